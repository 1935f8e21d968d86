//! What the contexts of the extension share: the messages between them, the
//! ports that carry these, and the pace at which work goes on. It exports
//! nothing to JavaScript: the wasm files that use it do.

pub mod messages;
pub mod pace;

#[cfg(target_arch = "wasm32")]
pub mod port;
#[cfg(target_arch = "wasm32")]
pub mod script;
#[cfg(target_arch = "wasm32")]
pub mod wait;
