//! What nodes did in one day (UTC), and what that is rewarded with.

use crate::rules::MOST_AVAILABILITY;
use crate::{RewardRules, share};
use grid_protocol::PublicKey;
use grid_protocol::entry::Unanswered;
use std::collections::BTreeMap;

/// What a node did in a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DayOf {
    /// Fuel of receipts that were credited.
    pub(crate) work: u64,
    /// Tasks that it was drawn to check, and did.
    pub(crate) answered: u32,
    /// Draws that named it while it was off line, or that it left open.
    pub(crate) missed: u32,
    /// Its results that another's agreed with.
    pub(crate) passed: u32,
    /// Receipts that were refused, and leases that it left open.
    pub(crate) failed: u32,
}

impl DayOf {
    /// Never more than a tenth of its work.
    pub(crate) fn availability(&self, rules: &RewardRules) -> u64 {
        let net = self.answered.saturating_sub(self.missed);
        let most = share(self.work, rules.availability_cap_ppm.min(MOST_AVAILABILITY));
        rules.availability.saturating_mul(u64::from(net)).min(most)
    }

    pub(crate) fn reliability(&self, rules: &RewardRules) -> u64 {
        let sound = self.failed == 0 && self.passed >= rules.reliability_passes;
        if sound { share(self.work, rules.reliability_ppm) } else { 0 }
    }
}

/// A day that is not over.
#[derive(Debug, Default)]
pub(crate) struct Day {
    /// Days since 1970-01-01.
    pub(crate) number: u64,
    nodes: BTreeMap<PublicKey, DayOf>,
}

impl Day {
    pub(crate) fn node(&mut self, node: PublicKey) -> &mut DayOf {
        self.nodes.entry(node).or_default()
    }

    /// A node that was drawn did not check. It can't help having no free slot,
    /// nor a device that can't run the task.
    pub(crate) fn unanswered(&mut self, node: PublicKey, why: Unanswered) {
        let day = self.node(node);
        match why {
            Unanswered::Absent => day.missed += 1,
            Unanswered::Silent => {
                day.missed += 1;
                day.failed += 1;
            }
            Unanswered::Busy | Unanswered::Unable | Unanswered::Crowded => {}
        }
    }

    /// A node that was caught is not rewarded.
    pub(crate) fn forget(&mut self, node: &PublicKey) {
        self.nodes.remove(node);
    }

    /// Another day begins; gives back who did what on this one, by key.
    pub(crate) fn end(&mut self, next: u64) -> BTreeMap<PublicKey, DayOf> {
        self.number = next;
        std::mem::take(&mut self.nodes)
    }
}
