//! What touches the browser.

#![allow(unreachable_pub, reason = "wasm-bindgen exports only what is `pub`")]

mod device;
mod fetch;
mod model;
mod store;
mod worker;

use grid_contexts::script::words;
use wasm_bindgen::prelude::*;

/// Runs first: a panic's message goes to the console before the instance stops.
#[wasm_bindgen(start)]
fn start() {
    grid_contexts::script::report_panics();
}
