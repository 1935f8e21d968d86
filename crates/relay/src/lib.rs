//! The relay: dispatches leases over WebSockets, verifies receipts, keeps
//! accepted facts as entries, and serves owners over HTTP.
//!
//! Tests embed it: [`Relay::start`] binds, recovers and serves.
//!
//! Data path: a node's socket ([`session`]) checks a result and hands it to the
//! one writer thread ([`writer`]), which commits what waits in one transaction
//! of the [`store`]; the [`log`] follows and signs; then memory follows
//! ([`state`], [`core`]): the lease is completed, free slots get new leases, the
//! node its acknowledgement.
//! Nothing is acknowledged before it is durable.
#![allow(rustdoc::private_intra_doc_links, reason = "the overview names private modules")]

mod api;
mod bodies;
mod browsers;
mod config;
mod core;
mod dashboard;
mod decide;
mod embed;
mod error;
mod follow;
mod hourly;
mod inference;
mod job;
mod log;
mod members;
mod metrics;
mod native;
mod network;
mod openai;
mod openapi;
mod operate;
mod operator;
mod outbox;
mod people;
mod receipt;
mod recover;
mod referee;
mod server;
mod session;
mod socket;
mod state;
pub mod store;
mod streams;
mod trust;
mod units;
mod votes;
mod writer;

pub use config::{Config, ConfigError, DEFAULT_DATA_DIR, FILE_NAME, LogFormat, Options, Patience};
pub use embed::{Site, add_site, remove_site, sites};
pub use inference::{Inference, InferenceError, InferenceTask, Inferred};
pub use log::{LogError, WitnessAddress, WitnessAddressError};
pub use native::Native;
pub use operate::{OperatorKey, add_operator, operators, revoke_operator};
pub use operator::{
    OperatorError, add_model, add_owner, check_store, models, owners, remove_model, revoke_owner,
};
pub use people::{REWARDS_FILE, campaigns, close_campaign, open_campaign, rewards, suspects};
pub use server::{Relay, RelayError, RelayHandle};
pub use trust::{TrustConfig, TrustOptions};
pub use units::{ParseUnitError, Size, Span};

/// The HTTP API's OpenAPI document (3.1, JSON), as `/v1/openapi.json` serves it.
pub fn openapi() -> &'static str {
    &openapi::DOCUMENT
}
