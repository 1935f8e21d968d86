//! Who computes what: matching, leases, deadlines and job budgets.
//!
//! Pure: events go in as method calls with the caller's clock (milliseconds)
//! and randomness, decisions come out as values. Every event costs O(log n).
//!
//! Invariants, held by the property tests:
//! - a task has at most one standing lease;
//! - every unfinished task of a known job waits, is put off, or is leased;
//! - `spent + leased * fuel limit` never exceeds a job's budget;
//! - a node never holds more leases than it announced slots, nor more than
//!   [`grid_protocol::limits::MAX_SLOTS`].
//!
//! One receipt decides a task today; replicas and credibility belong here too.

mod job;
mod lease;
mod scheduler;
mod turns;
mod types;

pub use lease::{Lease, LeaseError, Over, Why};
pub use scheduler::Scheduler;
pub use types::{Decisions, Grant, Joined, Settings, Submission, Task, Totals};
