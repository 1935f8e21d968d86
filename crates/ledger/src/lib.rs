//! Grid's double-entry ledger: owners' budgets, what jobs reserve, what nodes'
//! results hold, and what people have, by work and by reward. Every movement
//! goes from one account to another, so that all accounts together are zero at
//! every moment.
//!
//! Pure, and a function of the log: [`Ledger::apply`] takes its facts in order,
//! whoever reads them: the relay from its entries, an auditor from leaves. It
//! refuses nothing; whether a fact was allowed is for the audit to say. The
//! relay knows one thing more than the log shows, receipts that are not settled
//! yet ([`Fact::Receipt`]): with them results are *held* first. Without,
//! everything but what is held and reserved is the same.
//!
//! docs/verification.md, "Points", has the rules and who can cheat how.

mod allow;
mod book;
mod campaign;
mod day;
mod ledger;
mod people;
mod rules;
mod view;
mod week;

pub use allow::Objection;
pub use book::{Account, KEPT, Posting, Reason};
pub use campaign::Campaign;
pub use ledger::{Fact, Ledger, Receipt, Vote};
pub use rules::{RewardRules, RewardRulesError};

/// Millionths of `amount`, rounded down; at most [`u64::MAX`].
fn share(amount: u64, ppm: u32) -> u64 {
    let share = u128::from(amount) * u128::from(ppm) / 1_000_000;
    u64::try_from(share).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
