//! Who computes what: matching, leases, deadlines and job budgets.
//!
//! Pure: events go in as method calls with the caller's clock (milliseconds)
//! and randomness, decisions come out as values. Every event costs O(log n).
//!
//! Invariants, held by the property tests:
//! - a task has at most two standing leases, never two of one node, and a
//!   second one only where the first is slow;
//! - every unfinished task of a known job waits, is put off, is leased, or is
//!   open: it has votes, or is the referee's;
//! - `spent + fuel of open votes + leases * fuel limit` never exceeds a job's
//!   budget while a lease stands;
//! - a lease goes to a node that can do what its job needs;
//! - a node never holds more leases than it announced slots, nor more than
//!   [`grid_protocol::limits::MAX_SLOTS`];
//! - a check goes to the first candidate of its draw for whose predecessors
//!   there are skips.
//!
//! Whether a task needs votes, and whose, is decided in [`trust`].

mod checks;
mod job;
mod lanes;
mod lease;
mod returns;
mod scheduler;
#[cfg(feature = "simulate")]
pub mod sim;
mod times;
pub mod trust;
mod turns;
mod types;

pub use lease::{Lease, LeaseError, Over, Why};
pub use scheduler::Scheduler;
pub use types::{
    Abilities, Check, Decisions, Grant, Joined, Needs, Settings, Skip, Submission, Task, Totals,
};
