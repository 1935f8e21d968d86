//! Grid's node in a browser. One wasm file serves three contexts (see
//! extension/README.md): the service worker runs the node, the offscreen
//! document supervises runs, and a fresh sandboxed worker executes each task
//! module.
//!
//! What decides is pure and tested natively ([`supervisor`], [`desk`]); what
//! touches the browser is in the private module `web`.

pub mod desk;
pub mod rehearsal;
pub mod supervisor;

use grid_contexts::messages;

#[cfg(target_arch = "wasm32")]
mod web;
