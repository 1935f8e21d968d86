//! A job's tasks and budget.

use crate::Submission;
use crate::times::Times;
use crate::turns::Turns;
use crate::types::Needs;
use grid_protocol::entry::Unanswered;
use grid_protocol::{LeaseId, PublicKey};
use std::collections::{HashMap, VecDeque};

/// How many tasks, jobs or nodes are looked at before a match is put off.
pub(crate) const LOOK: usize = 8;
/// Nodes remembered for having given one task back, or failed one of a job;
/// with more, the task is put off for everyone.
pub(crate) const MAX_AVOID: usize = 16;

/// A task that came back without a result.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    /// How often it came back from a node that was there.
    pub(crate) count: u32,
    /// How often because the device could not run it.
    pub(crate) device: u32,
    /// Nodes whose device could not run it.
    pub(crate) devices: Vec<PublicKey>,
    /// Nodes that shall not get it before it is released.
    pub(crate) avoid: Vec<PublicKey>,
    /// When it is released, where it waits for that.
    pub(crate) until: Option<u64>,
    /// Its place among the returned ones, where others may have it already.
    pub(crate) turn: Option<u64>,
}

/// A task that has votes, or is the referee's, and is not settled.
#[derive(Debug)]
pub(crate) struct Open {
    /// Fuel of its votes.
    pub(crate) fuel: u64,
    pub(crate) stage: Stage,
}

#[derive(Debug)]
pub(crate) enum Stage {
    /// Nothing is asked.
    Held,
    /// The referee runs it, or its settlement is on its way.
    Busy,
    /// A drawn node is to check it.
    Check(Checking),
}

/// Who is asked to check a task.
#[derive(Debug)]
pub(crate) struct Checking {
    pub(crate) seq: u64,
    /// Nodes of the draw, each at its first place, in order.
    pub(crate) candidates: Vec<(u32, PublicKey)>,
    /// Who was passed over, and why at last.
    pub(crate) passed: Vec<(PublicKey, Unanswered)>,
    /// The log excuses everybody up to this place.
    pub(crate) crowd: Option<u32>,
    pub(crate) asked: Asked,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    Nobody,
    /// The next free slot of any of these is for this task, if there is one in
    /// time: of the one whose turn it is, or of all that are left, `together`.
    Reserved {
        nodes: Vec<(u32, PublicKey)>,
        together: bool,
        until: u64,
    },
    Leased(LeaseId),
}

#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) needs: Needs,
    pub(crate) fuel_limit: u64,
    pub(crate) budget: u64,
    pub(crate) spent: u64,
    /// Anyone may have these.
    pub(crate) fresh: VecDeque<u32>,
    /// Came back; anyone may have these but the nodes they avoid.
    pub(crate) returned: Turns<u32>,
    /// Came back, and nobody gets them before they are released.
    pub(crate) put_off: usize,
    /// Standing leases, those whose result is being committed too: one or two
    /// of a task.
    leased: HashMap<u32, Vec<LeaseId>>,
    leases: usize,
    /// Leases granted so far, and how many of those were second ones.
    pub(crate) granted: u64,
    pub(crate) seconds: u64,
    /// How long leases took that ended with a result.
    pub(crate) times: Times,
    /// Everything known of tasks that came back and are unfinished.
    pub(crate) tries: HashMap<u32, Tries>,
    /// Nodes that failed a task, and until when others go first.
    failed: Vec<(PublicKey, u64)>,
    open: HashMap<u32, Open>,
    open_fuel: u64,
    held: usize,
    /// Its ticket among the jobs that have something to lease.
    pub(crate) turn: Option<u64>,
    /// Told to be out of budget.
    pub(crate) exhausted: bool,
}

impl Job {
    pub(crate) fn new(submission: Submission) -> Self {
        let open = submission.open.into_iter();
        let open: HashMap<_, _> =
            open.map(|(index, fuel)| (index, Open { fuel, stage: Stage::Held })).collect();
        Self {
            needs: submission.needs,
            fuel_limit: submission.fuel_limit,
            budget: submission.budget,
            spent: submission.spent,
            fresh: submission.tasks.into(),
            returned: Turns::default(),
            put_off: 0,
            leased: HashMap::new(),
            leases: 0,
            granted: 0,
            seconds: 0,
            times: Times::default(),
            tries: HashMap::new(),
            failed: Vec::new(),
            open_fuel: open.values().map(|open| open.fuel).fold(0, u64::saturating_add),
            held: open.len(),
            open,
            turn: None,
            exhausted: false,
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.fresh.len() + self.returned.len() + self.put_off
    }

    pub(crate) fn is_over(&self) -> bool {
        self.waiting() == 0 && self.leases == 0 && self.open.is_empty()
    }

    /// Does the budget cover one more lease beside those that stand and the
    /// votes that may have to be paid?
    pub(crate) fn affordable(&self) -> bool {
        let leases = (self.leases as u128 + 1) * u128::from(self.fuel_limit);
        let due = u128::from(self.spent) + u128::from(self.open_fuel) + leases;
        due <= u128::from(self.budget)
    }

    pub(crate) fn runnable(&self) -> bool {
        self.affordable() && !(self.fresh.is_empty() && self.returned.is_empty())
    }

    /// Has it nothing to lease, but results that are only held?
    pub(crate) fn trails(&self) -> bool {
        self.held > 0 && !self.runnable()
    }

    /// Is nothing under way that might free some budget?
    pub(crate) fn stuck(&self) -> bool {
        self.leases == 0 && self.open.is_empty() && !self.affordable()
    }

    /// Standing leases of a task.
    pub(crate) fn leases_of(&self, index: u32) -> &[LeaseId] {
        self.leased.get(&index).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn leased(&self) -> impl Iterator<Item = LeaseId> {
        self.leased.values().flatten().copied()
    }

    pub(crate) fn leased_tasks(&self) -> usize {
        self.leased.len()
    }

    pub(crate) fn add_lease(&mut self, index: u32, lease: LeaseId) {
        self.leased.entry(index).or_default().push(lease);
        self.leases += 1;
        self.granted += 1;
    }

    /// False when it isn't one of them.
    pub(crate) fn remove_lease(&mut self, index: u32, lease: LeaseId) -> bool {
        let Some(of_task) = self.leased.get_mut(&index) else { return false };
        let Some(at) = of_task.iter().position(|id| *id == lease) else { return false };
        of_task.swap_remove(at);
        if of_task.is_empty() {
            self.leased.remove(&index);
        }
        self.leases -= 1;
        true
    }

    /// May another second lease be granted? At most one in twenty leases is.
    pub(crate) fn may_repeat(&self) -> bool {
        self.seconds < (self.granted / 20).max(1) && self.affordable()
    }

    pub(crate) fn open(&self, index: u32) -> Option<&Open> {
        self.open.get(&index)
    }

    pub(crate) fn opened(&self) -> impl Iterator<Item = (u32, &Open)> {
        self.open.iter().map(|(index, open)| (*index, open))
    }

    pub(crate) fn open_tasks(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn checking(&mut self, index: u32) -> Option<&mut Checking> {
        match self.open.get_mut(&index) {
            Some(Open { stage: Stage::Check(checking), .. }) => Some(checking),
            _ => None,
        }
    }

    /// A vote came, or the referee is asked. True when the task was not open.
    pub(crate) fn open_with(&mut self, index: u32, fuel: u64, stage: Stage) -> bool {
        let new = !self.open.contains_key(&index);
        if new {
            self.held += 1;
        }
        let open = self.open.entry(index).or_insert(Open { fuel: 0, stage: Stage::Held });
        open.fuel = open.fuel.saturating_add(fuel);
        self.open_fuel = self.open_fuel.saturating_add(fuel);
        self.set_stage(index, stage);
        new
    }

    /// Gives back the stage before; `None` when the task isn't open.
    pub(crate) fn set_stage(&mut self, index: u32, stage: Stage) -> Option<Stage> {
        let open = self.open.get_mut(&index)?;
        let held = |stage: &Stage| usize::from(matches!(stage, Stage::Held));
        self.held += held(&stage);
        let before = std::mem::replace(&mut open.stage, stage);
        self.held -= held(&before);
        Some(before)
    }

    /// The task is settled.
    pub(crate) fn close(&mut self, index: u32) -> Option<Open> {
        let open = self.open.remove(&index)?;
        self.open_fuel = self.open_fuel.saturating_sub(open.fuel);
        self.held -= usize::from(matches!(open.stage, Stage::Held));
        Some(open)
    }

    /// A node failed one of its tasks.
    pub(crate) fn fail(&mut self, now: u64, node: PublicKey, until: u64) {
        self.failed.retain(|(failed, until)| *failed != node && *until > now);
        if self.failed.len() == MAX_AVOID {
            self.failed.remove(0);
        }
        self.failed.push((node, until));
    }

    /// Nodes that shall not get its tasks now.
    pub(crate) fn failed(&self, now: u64) -> impl Iterator<Item = &PublicKey> {
        self.failed.iter().filter(move |(_, until)| *until > now).map(|(node, _)| node)
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
