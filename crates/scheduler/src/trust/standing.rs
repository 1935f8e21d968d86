//! A node's record, and what can be said of it.

use super::rules::Rules;
use std::fmt;

/// What is remembered of a node in one runtime.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    pub(super) passes: u32,
    /// Its receipts that passed and were committed last, by rising entry, at
    /// most as many as the hold.
    pub(super) latest: Vec<u64>,
}

impl Record {
    pub(super) fn pass(&mut self, receipt: u64, hold: usize) {
        self.passes = self.passes.saturating_add(1);
        let place = self.latest.partition_point(|seq| *seq < receipt);
        self.latest.insert(place, receipt);
        let surplus = self.latest.len().saturating_sub(hold);
        self.latest.drain(..surplus);
    }

    /// Did receipts committed after `receipt` pass as often as the hold asks?
    pub(super) fn proved_since(&self, receipt: u64, hold: usize) -> bool {
        let first = self.latest.len().checked_sub(hold);
        first.is_some_and(|first| self.latest.get(first).is_none_or(|seq| *seq > receipt))
    }
}

/// How a node stands, and why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Checks it passed.
    pub passes: u32,
    /// The settlement's entry in which it was caught: it is shut out.
    pub caught: Option<u64>,
    /// Is it still always checked, for lack of passes?
    pub newcomer: bool,
    /// Probability that its next result is wrong, 0 to 1.
    pub error: f64,
    /// The rules it is judged by.
    pub rules: Rules,
}

impl Standing {
    /// Share of its results that are checked in a job that allows wrong
    /// results with probability `error_ppb` billionths: 1, or the floor.
    pub fn check_rate(&self, error_ppb: u32) -> f64 {
        if self.newcomer || self.error > f64::from(error_ppb) / 1e9 {
            1.0
        } else {
            self.rules.floor()
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(seq) = self.caught {
            return write!(
                f,
                "shut out: its answer lost in entry {seq}, after {} passed checks",
                self.passes
            );
        }
        let one_in = (1.0 / self.error).round().min(1e9) as u64;
        if self.newcomer {
            write!(
                f,
                "newcomer: passed {} of {} checks, so every result is checked; ",
                self.passes, self.rules.newcomer
            )?;
        } else {
            write!(f, "established: passed {} checks; ", self.passes)?;
        }
        write!(
            f,
            "a result is wrong with a chance of 1 in {one_in}; jobs that allow that much check \
             {:.1}% of results{}",
            self.rules.floor() * 100.0,
            if self.newcomer { " once it is established" } else { ", others every one" }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn standings_are_explained() {
        let rules = Rules::default();
        let mut standing = Standing { passes: 3, caught: None, newcomer: true, error: 0.05, rules };
        assert_eq!(
            standing.to_string(),
            "newcomer: passed 3 of 20 checks, so every result is checked; a result is wrong with \
             a chance of 1 in 20; jobs that allow that much check 6.0% of results once it is \
             established"
        );
        standing = Standing { passes: 90, newcomer: false, error: 0.000_08, ..standing };
        assert_eq!(
            standing.to_string(),
            "established: passed 90 checks; a result is wrong with a chance of 1 in 12500; jobs \
             that allow that much check 6.0% of results, others every one"
        );
        standing.caught = Some(77);
        assert_eq!(
            standing.to_string(),
            "shut out: its answer lost in entry 77, after 90 passed checks"
        );
    }

    proptest! {
        #[test]
        fn later_passes_are_counted(
            receipts in proptest::collection::btree_set(0..200_u64, 0..40),
            order in any::<u64>(),
            receipt in 0..200_u64,
            hold in 1..10_usize,
        ) {
            let mut passed: Vec<u64> = receipts.into_iter().collect();
            // Checks end in any order.
            passed.sort_by_key(|seq| (seq ^ order).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mut record = Record::default();
            for seq in &passed {
                record.pass(*seq, hold);
            }
            let later = passed.iter().filter(|seq| **seq > receipt).count();
            prop_assert_eq!(record.proved_since(receipt, hold), later >= hold);
            prop_assert_eq!(record.passes as usize, passed.len());
        }
    }
}
