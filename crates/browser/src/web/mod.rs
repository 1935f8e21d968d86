//! What touches the browser. Each file is one context's driver, or one kind
//! of thing it needs.

#![allow(unreachable_pub, reason = "wasm-bindgen exports only what is `pub`")]

mod account;
mod acks;
mod blobs;
mod executor;
mod guest;
mod http;
mod node;
mod office;
mod people;
mod requests;
mod socket;
mod storage;
mod view;

use grid_contexts::script::words;
use grid_contexts::wait::performance_now;
use wasm_bindgen::prelude::*;

/// Runs first in every context: a panic's message goes to the console before
/// the instance stops.
#[wasm_bindgen(start)]
fn start() {
    grid_contexts::script::report_panics();
}
