//! The socket to the relay.

use grid_protocol::limits;
use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, MessageEvent, WebSocket};

/// What happens to a socket.
pub(crate) enum SocketEvent {
    Opened,
    Message(Vec<u8>),
    /// Could not be opened, or closed.
    Closed,
}

/// A socket. Closed when dropped (from inside its own callback too); no event
/// follows.
pub(crate) struct Socket {
    socket: WebSocket,
    _open: Closure<dyn FnMut()>,
    _message: Closure<dyn FnMut(MessageEvent)>,
    _close: Closure<dyn FnMut()>,
}

impl Socket {
    /// Opens a socket. An error: the address is none.
    pub(crate) fn open(
        url: &str,
        event: impl Fn(SocketEvent) + Clone + 'static,
    ) -> Result<Self, JsValue> {
        let socket = WebSocket::new(url)?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let (opened, closed) = (event.clone(), event.clone());
        let open = Closure::<dyn FnMut()>::new(move || opened(SocketEvent::Opened));
        let message = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
            // A text message is none of ours: an empty one decodes to nothing.
            let bytes = message.data().dyn_into::<ArrayBuffer>();
            // Of one that is too long, enough to see that.
            let bytes = bytes.map(|buffer| {
                Uint8Array::new(&buffer).subarray(0, limits::MAX_MESSAGE as u32 + 1).to_vec()
            });
            event(SocketEvent::Message(bytes.unwrap_or_default()));
        });
        let close = Closure::<dyn FnMut()>::new(move || closed(SocketEvent::Closed));
        socket.set_onopen(Some(open.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(message.as_ref().unchecked_ref()));
        socket.set_onclose(Some(close.as_ref().unchecked_ref()));
        Ok(Self { socket, _open: open, _message: message, _close: close })
    }

    /// Sends; where that fails, `Closed` follows.
    pub(crate) fn send(&self, bytes: &[u8]) {
        let _ = self.socket.send_with_u8_array(bytes);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        let _ = self.socket.close();
    }
}
