//! Runs models in a worker of the extension: a wasm file of its own, so that
//! the node's stays small, with vectors.
//!
//! [`shelf`] decides which models are kept; what touches the browser is in the
//! private module `web`.

pub mod shelf;

#[cfg(target_arch = "wasm32")]
mod web;
