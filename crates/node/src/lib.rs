//! The node's behaviour as a state machine: an [`Event`] in, [`Action`]s out.
//!
//! Pure: no clock, randomness, sockets or storage; whoever drives it passes
//! the time in and carries the actions out. The browser and the simulated
//! swarm drive the same code.

mod action;
mod address;
mod backoff;
mod cache;
mod config;
mod event;
mod executor;
mod hours;
mod infer;
mod lease;
mod link;
mod node;
mod policy;
mod settings;
mod status;
mod work;

pub use action::{Action, FetchKind, Receipted, SavedLease};
pub use config::{Config, VerifyAck};
pub use event::{Event, IdleState, Membership, Power, RunReport};
pub use hours::Hours;
pub use node::Node;
pub use settings::{Settings, Share};
pub use status::{Running, State, Status, Why};
