//! A message port that carries [`messages`](crate::messages).

use crate::messages::{decode, encode};
use js_sys::{Array, ArrayBuffer, Uint8Array};
use minicbor::{Decode, Encode};
use wasm_bindgen::prelude::*;
use web_sys::{MessageEvent, MessagePort};

/// One end of a channel. Closed when dropped (from inside its own callbacks
/// too); no callback follows.
pub struct Port {
    port: MessagePort,
    _message: Closure<dyn FnMut(MessageEvent)>,
}

impl Port {
    /// Listens. Messages that don't decode are ignored. That the other end is
    /// gone can't be seen here: Chromium's ports have no `close` event.
    pub fn new<T: for<'b> Decode<'b, ()>>(
        port: MessagePort,
        mut message: impl FnMut(T) + 'static,
    ) -> Self {
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            if let Ok(buffer) = event.data().dyn_into::<ArrayBuffer>()
                && let Some(decoded) = decode(&Uint8Array::new(&buffer).to_vec())
            {
                message(decoded);
            }
        });
        // Setting `onmessage` starts the port.
        port.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        Self { port, _message: on_message }
    }

    /// Sends; a port whose other end is gone swallows it.
    pub fn send<T: Encode<()>>(&self, message: &T) {
        let buffer = Uint8Array::from(encode(message).as_slice()).buffer();
        let _ = self.port.post_message_with_transferable(&buffer, &Array::of1(&buffer));
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.port.set_onmessage(None);
        self.port.close();
    }
}
