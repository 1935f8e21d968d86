//! Recomputes everything that a relay decided from its public log: who
//! computed what, what was checked, what became canonical, and every point.
//!
//! Pure. Two stages, so that the expensive one runs on all cores:
//! [`Keys::read`] decodes one leaf and verifies every signature, commitment
//! and draw inside it, and knows nothing of others; [`Auditor::apply`] takes
//! leaves in order and holds each decision to the rules and to what came
//! before. Neither believes the relay anything; what can't be known from a log
//! is said in docs/verification.md.

mod auditor;
mod draws;
mod finding;
mod money;
pub mod proof;
mod read;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use auditor::{Auditor, Counts, NodePoints};
pub use finding::{Fault, Finding};
pub use read::{Keys, Read, ReadVote};

#[cfg(test)]
mod tests;
