//! Trust: how much a result is believed, and what it takes to believe it.
//!
//! A function of the log: [`Trust`] changes only when a settlement is applied,
//! and [`Quorums`] when a receipt or a settlement was committed, so that relay
//! and auditor come to the same decisions. docs/verification.md has the rules,
//! their sources and what a simulation shows of them.
//!
//! Invariants:
//! - a result never settles alone unless its node is no newcomer, its draw
//!   spared it the check, and its node passed later checks;
//! - more passes never raise a node's error probability;
//! - the votes of a caught node settle nothing;
//! - whoever dissents from a settled answer is caught, and only then.

mod evidence;
mod quorums;
mod roster;
mod rules;
mod standing;
mod state;
mod vote;

pub use quorums::{Act, Quorums};
pub use roster::{Excuses, Roster};
pub use rules::{MAX_HOLD, Rules, RulesError};
pub use standing::Standing;
pub use state::Trust;
pub use vote::{Draw, Effects, Settlement, Vote, Voter, Want};
