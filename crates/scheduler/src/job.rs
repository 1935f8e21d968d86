//! A job's tasks and budget.

use crate::Submission;
use crate::turns::Turns;
use grid_protocol::{LeaseId, PublicKey};
use std::collections::{HashMap, VecDeque};

/// How many tasks, jobs or nodes are looked at before a match is put off.
pub(crate) const LOOK: usize = 8;
/// Nodes remembered for having given one task back; with more, it is put off
/// for everyone.
pub(crate) const MAX_AVOID: usize = 16;

/// A task that came back without a result.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    /// How often it came back from a node that was there.
    pub(crate) count: u32,
    /// Nodes that shall not get it before it is released.
    pub(crate) avoid: Vec<PublicKey>,
    /// When it is released, where it waits for that.
    pub(crate) until: Option<u64>,
    /// Its place among the returned ones, where others may have it already.
    pub(crate) turn: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) fuel_limit: u64,
    pub(crate) budget: u64,
    pub(crate) spent: u64,
    /// Anyone may have these.
    pub(crate) fresh: VecDeque<u32>,
    /// Came back; anyone may have these but the nodes they avoid.
    pub(crate) returned: Turns<u32>,
    /// Came back, and nobody gets them before they are released.
    pub(crate) put_off: usize,
    /// Leased, or its result is being committed.
    pub(crate) leased: HashMap<u32, LeaseId>,
    /// Everything known of tasks that came back and are unfinished.
    pub(crate) tries: HashMap<u32, Tries>,
    /// Its ticket among the jobs that have something to lease.
    pub(crate) turn: Option<u64>,
    /// Told to be out of budget.
    pub(crate) exhausted: bool,
}

impl Job {
    pub(crate) fn new(submission: Submission) -> Self {
        Self {
            fuel_limit: submission.fuel_limit,
            budget: submission.budget,
            spent: submission.spent,
            fresh: submission.tasks.into(),
            returned: Turns::default(),
            put_off: 0,
            leased: HashMap::new(),
            tries: HashMap::new(),
            turn: None,
            exhausted: false,
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.fresh.len() + self.returned.len() + self.put_off
    }

    /// Does the budget cover one more lease beside those that stand?
    pub(crate) fn affordable(&self) -> bool {
        let leases = self.leased.len() as u128 + 1;
        u128::from(self.spent) + leases * u128::from(self.fuel_limit) <= u128::from(self.budget)
    }

    pub(crate) fn runnable(&self) -> bool {
        self.affordable() && !(self.fresh.is_empty() && self.returned.is_empty())
    }

    /// A task for `node`, taken out of its queue; tasks that came back first.
    /// `None` when the first few returned ones all avoid it and none is fresh.
    pub(crate) fn choose(&mut self, node: &PublicKey) -> Option<u32> {
        let found = self.returned.iter().take(LOOK).find_map(|(turn, index)| {
            let tries = self.tries.get(index)?;
            (!tries.avoid.contains(node)).then_some((turn, *index))
        });
        if let Some((turn, index)) = found {
            self.returned.remove(turn);
            return Some(index);
        }
        if let Some(index) = self.fresh.pop_front() {
            return Some(index);
        }
        // Others get a look at what stands behind these.
        for _ in 0..LOOK.min(self.returned.len()) {
            if let Some(index) = self.returned.pop() {
                let turn = self.returned.push(index);
                if let Some(tries) = self.tries.get_mut(&index) {
                    tries.turn = Some(turn);
                }
            }
        }
        None
    }
}
