//! What needs a browser: drawing, fetching, talking with the worker.

mod app;
mod chart;
mod checker;
mod files;
mod key;
mod net;
mod pages;
mod parts;
mod stream;

use wasm_bindgen::prelude::wasm_bindgen;

/// Starts the pages.
#[wasm_bindgen(start)]
fn start() {
    app::mount();
}
