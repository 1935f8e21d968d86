//! The relay: dispatches leases over WebSockets, verifies receipts, keeps
//! accepted facts as entries, and serves owners over HTTP.
//!
//! Tests embed it: [`Relay::start`] binds, recovers and serves.

mod config;
mod server;
pub mod store;

pub use config::Config;
pub use server::{Relay, RelayError, RelayHandle};
