//! Waiting in a worker, with its messages let in.

use gloo::timers::callback::Timeout;
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::MessageChannel;

#[wasm_bindgen]
extern "C" {
    /// Milliseconds of a steady clock.
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    pub fn performance_now() -> f64;
}

/// Sleeps so many milliseconds.
pub async fn sleep(ms: u32) {
    let slept = Promise::new(&mut |resolve, _| {
        let wake = move || drop(resolve.call0(&JsValue::UNDEFINED));
        Timeout::new(ms, wake).forget();
    });
    let _ = JsFuture::from(slept).await;
}

/// Goes once through the event loop. A timer would take four milliseconds.
pub async fn let_messages_in() {
    let Ok(channel) = MessageChannel::new() else { return };
    let (here, there) = (channel.port1(), channel.port2());
    let came = Promise::new(&mut |resolve, _| here.set_onmessage(Some(&resolve)));
    let _ = there.post_message(&JsValue::NULL);
    let _ = JsFuture::from(came).await;
    here.close();
}
