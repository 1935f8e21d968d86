//! The node's behaviour as a state machine: an [`Event`] in, [`Action`]s out.
//!
//! Pure: no clock, randomness, sockets or storage; whoever drives it passes
//! the time in and carries the actions out. The browser and the simulated
//! swarm drive the same code.

mod action;
mod event;
mod settings;
mod status;

pub use action::{Action, FetchKind, SavedLease};
pub use event::{Event, IdleState, Power, RunReport};
pub use settings::Settings;
pub use status::{Running, State, Status, Why};
