//! The simulator behind `cargo xtask bench trust`: what the rules of
//! [`crate::trust`], plain voting and BOINC's adaptive replication make of
//! nodes that lie. It runs the very code that the relay runs; only the draws
//! come from a seeded generator instead of a verifiable function.
//!
//! The model: a node that is free does the checks it was drawn for, and fresh
//! tasks otherwise; nodes are equally fast. A true answer is the same for
//! everybody, a lie is a different answer each time unless liars agree on it.

mod nodes;
mod ours;
mod random;
mod report;
mod voting;

pub use nodes::{Habit, Scenario, scenarios};
pub use report::Row;

use crate::trust::Rules;

/// Who decides how often a task is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// [`crate::trust`], by these rules.
    Ours(Rules),
    /// Two results of three must agree; more are asked for until two do.
    TwoOfThree,
    /// BOINC's adaptive replication: a host with fewer than 10 consecutive
    /// valid results is not trusted; otherwise it is with probability 1 - 1/N,
    /// N being their number. An untrusted host's job is replicated until two
    /// results agree.
    Boinc,
}

impl Policy {
    /// Its name in tables.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ours(_) => "grid",
            Self::TwoOfThree => "two_of_three",
            Self::Boinc => "boinc_adaptive",
        }
    }
}

/// How much is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Nodes on line at the start.
    pub nodes: u32,
    /// Tasks.
    pub tasks: u32,
}

/// The job's threshold in every run, in billionths: 1e-4.
pub const ERROR_PPB: u32 = 100_000;

/// Runs one scenario under one policy. The same arguments give the same row.
pub fn run(scenario: &Scenario, policy: Policy, size: Size, seed: u64) -> Row {
    match policy {
        Policy::Ours(rules) => ours::run(scenario, rules, size, seed),
        Policy::TwoOfThree => voting::run(scenario, policy, size, seed, |_, _| false),
        Policy::Boinc => voting::run(scenario, policy, size, seed, |valid, random| {
            valid >= 10 && random.chance(1.0 - 1.0 / f64::from(valid))
        }),
    }
}
