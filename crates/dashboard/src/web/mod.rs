//! What needs a browser: drawing, fetching, the worker.

mod app;
mod chart;
mod net;
mod pages;
mod parts;
mod worker;

use wasm_bindgen::prelude::wasm_bindgen;

/// Starts the pages, or in a worker the replay.
#[wasm_bindgen(start)]
fn start() {
    if web_sys::window().is_some() { app::mount() } else { worker::run() }
}
