//! What touches the browser. Each file is one context's driver, or one kind
//! of thing it needs.

#![allow(unreachable_pub, reason = "wasm-bindgen exports only what is `pub`")]

mod acks;
mod blobs;
mod chrome;
mod executor;
mod guest;
mod node;
mod office;
mod socket;
mod view;

use grid_contexts::wait::performance_now;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(text: &str);
}

/// Runs first in every context: a panic's message goes to the console before
/// the instance stops.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|info| console_error(&info.to_string())));
}

/// The words of whatever JavaScript threw.
fn words(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.to_string()),
        None => error.as_string().unwrap_or_else(|| "an unknown error".into()),
    }
}
