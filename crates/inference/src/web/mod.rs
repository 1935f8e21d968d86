//! What touches the browser.

#![allow(unreachable_pub, reason = "wasm-bindgen exports only what is `pub`")]

mod device;
mod fetch;
mod model;
mod store;
mod worker;

use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(text: &str);
}

/// Runs first: a panic's message goes to the console before the instance stops.
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
