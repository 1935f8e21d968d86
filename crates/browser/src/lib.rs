//! Grid's node in a browser. One wasm file serves three contexts (see
//! extension/README.md): the service worker runs the node, the offscreen
//! document supervises runs, and a fresh sandboxed worker executes each task
//! module.
//!
//! What decides is pure and tested natively ([`supervisor`], [`pace`],
//! [`messages`]); what touches the browser is in the private module `web`.

pub mod messages;
pub mod pace;
pub mod rehearsal;
pub mod supervisor;

#[cfg(target_arch = "wasm32")]
mod web;
