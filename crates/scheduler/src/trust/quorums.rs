//! Open tasks: their votes so far, and the provisional results of each node.

use super::rules::Rules;
use super::state::Trust;
use super::vote::{Draw, Settlement, Vote, Voter, Want};
use crate::Task;
use grid_protocol::entry::MAX_VOTES;
use grid_protocol::{JobId, PublicKey, Runtime};
use std::collections::{HashMap, VecDeque};

/// What the relay is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Lease the task to the draw's first candidate that may vote beside
    /// `avoid`; if there is none, say [`Quorums::no_checker`].
    Check {
        /// The task.
        task: Task,
        /// Entry of the receipt whose draw it is.
        seq: u64,
        /// That draw.
        draw: Draw,
        /// Who voted already.
        avoid: Vec<PublicKey>,
    },
    /// Log it, then say [`Quorums::settled`]. Ask [`Quorums::confirm`] first
    /// if anything else was settled meanwhile.
    Settle(Settlement),
    /// The task's votes were all a caught node's: as [`Act::Check`].
    Reissue {
        /// The task.
        task: Task,
        /// Entry of the receipt whose draw it is.
        seq: u64,
        /// That draw.
        draw: Draw,
        /// Who voted already.
        avoid: Vec<PublicKey>,
    },
    /// Run it, and vote as [`Voter::Relay`].
    Referee {
        /// The task.
        task: Task,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its one result is provisional.
    Held,
    /// A further vote is on its way.
    Checking,
    /// The relay runs it.
    Judging,
    /// A settlement is on its way.
    Settling,
}

#[derive(Debug)]
struct Open {
    votes: Vec<Vote>,
    stage: Stage,
}

#[derive(Debug)]
struct Job {
    runtime: Runtime,
    error_ppb: u32,
    /// Tasks that are not settled, with votes or without.
    left: u32,
    open: HashMap<u32, Open>,
}

/// A node's votes on open tasks of one runtime.
#[derive(Debug, Default)]
struct Desk {
    /// Provisional results, in the order of the log.
    held: VecDeque<(u64, Task)>,
    others: Vec<Task>,
}

impl Desk {
    fn forget(&mut self, task: &Task) {
        if let Some(place) = self.held.iter().position(|(_, held)| held == task) {
            self.held.remove(place);
        } else if let Some(place) = self.others.iter().position(|other| other == task) {
            self.others.swap_remove(place);
        }
    }
}

/// Decides, vote by vote, what each open task needs next. A function of the
/// entries: after a restart the relay opens its jobs, tells the settlements of
/// the log again, recalls the votes on what is open, and asks
/// [`Self::resume`].
#[derive(Debug, Default)]
pub struct Quorums {
    trust: Trust,
    jobs: HashMap<JobId, Job>,
    desks: HashMap<(Runtime, PublicKey), Desk>,
}

fn nodes(votes: &[Vote]) -> Vec<PublicKey> {
    let node = |vote: &Vote| match vote.voter {
        Voter::Node(node) => Some(node),
        Voter::Relay => None,
    };
    votes.iter().filter_map(node).collect()
}

impl Quorums {
    /// Without jobs.
    pub fn new(rules: Rules) -> Self {
        Self { trust: Trust::new(rules), ..Self::default() }
    }

    /// Standings and rules.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// A Rules entry was committed.
    pub fn set_rules(&mut self, rules: Rules) {
        self.trust.set_rules(rules);
    }

    /// A job of this runtime with so many tasks that are not settled; its results may be wrong
    /// with probability `error_ppb` billionths.
    pub fn open_job(&mut self, job: JobId, runtime: Runtime, error_ppb: u32, tasks: u32) {
        self.end_job(job);
        if tasks > 0 {
            self.jobs.insert(job, Job { runtime, error_ppb, left: tasks, open: HashMap::new() });
        }
    }

    /// A job is over: what is provisional in it never settles.
    pub fn end_job(&mut self, job: JobId) {
        let Some(ended) = self.jobs.remove(&job) else { return };
        for (index, open) in ended.open {
            self.forget(ended.runtime, &Task { job, index }, &open.votes);
        }
    }

    fn forget(&mut self, runtime: Runtime, task: &Task, votes: &[Vote]) {
        for node in nodes(votes) {
            let key = (runtime, node);
            if let Some(desk) = self.desks.get_mut(&key) {
                desk.forget(task);
                if desk.held.is_empty() && desk.others.is_empty() {
                    self.desks.remove(&key);
                }
            }
        }
    }

    /// Votes of a node on tasks that are not settled.
    pub fn open_of(&self, node: &PublicKey) -> u64 {
        let desks = Runtime::ALL.iter().filter_map(|runtime| self.desks.get(&(*runtime, *node)));
        desks.map(|desk| (desk.held.len() + desk.others.len()) as u64).sum()
    }

    fn stage(&self, task: &Task) -> Option<Stage> {
        Some(self.jobs.get(&task.job)?.open.get(&task.index)?.stage)
    }

    /// The votes on an open task, in the order of the log.
    pub fn votes(&self, task: &Task) -> &[Vote] {
        let open = self.jobs.get(&task.job).and_then(|job| job.open.get(&task.index));
        open.map_or(&[], |open| &open.votes)
    }

    /// A receipt was committed. Votes on unknown jobs change nothing; one that
    /// overtook its task's settlement waits until that was written, or
    /// refused and then decided again by [`Self::confirm`].
    pub fn vote(&mut self, task: Task, vote: Vote) -> Vec<Act> {
        let stage = self.stage(&task);
        self.recall(task, vote);
        if stage == Some(Stage::Settling) {
            return Vec::new();
        }
        match self.decide(task) {
            // The relay runs it already.
            Some(Act::Check { .. } | Act::Reissue { .. } | Act::Referee { .. })
                if stage == Some(Stage::Judging) =>
            {
                self.set_stage(task, Stage::Judging);
                Vec::new()
            }
            act => act.into_iter().collect(),
        }
    }

    /// After a restart: a vote on a task that is not settled. Nothing is
    /// decided before [`Self::resume`]. Votes of nodes that no settlement
    /// would have room for don't count.
    pub fn recall(&mut self, task: Task, vote: Vote) {
        let Some(job) = self.jobs.get_mut(&task.job) else { return };
        let open = Open { votes: Vec::new(), stage: Stage::Checking };
        let open = job.open.entry(task.index).or_insert(open);
        if let Voter::Node(node) = vote.voter {
            if open.votes.len() + 1 >= MAX_VOTES {
                return;
            }
            self.desks.entry((job.runtime, node)).or_default().others.push(task);
        }
        open.votes.push(vote);
    }

    /// What an open task needs now.
    fn decide(&mut self, task: Task) -> Option<Act> {
        let job = self.jobs.get_mut(&task.job)?;
        let open = job.open.get_mut(&task.index)?;
        let Vote { seq, draw, .. } = *open.votes.last()?;
        let (stage, act) = match self.trust.wants(job.runtime, &open.votes, job.error_ppb) {
            Want::Settle { answer } => {
                let settlement = Settlement::new(task, answer, open.votes.clone());
                (Stage::Settling, Some(Act::Settle(settlement)))
            }
            Want::Hold => (Stage::Held, None),
            Want::Check => {
                let (avoid, trust) = (nodes(&open.votes), &self.trust);
                let act = match avoid.iter().all(|node| trust.is_caught(node)) {
                    true => Act::Reissue { task, seq, draw, avoid },
                    false => Act::Check { task, seq, draw, avoid },
                };
                (Stage::Checking, Some(act))
            }
            Want::Referee => (Stage::Judging, Some(Act::Referee { task })),
        };
        self.set_stage(task, stage);
        act
    }

    /// Moves the task between the piles on its voters' desks.
    fn set_stage(&mut self, task: Task, stage: Stage) {
        let Some(job) = self.jobs.get_mut(&task.job) else { return };
        let Some(open) = job.open.get_mut(&task.index) else { return };
        let before = std::mem::replace(&mut open.stage, stage);
        if (before == Stage::Held) == (stage == Stage::Held) {
            return;
        }
        for vote in &open.votes {
            let Voter::Node(node) = vote.voter else { continue };
            let Some(desk) = self.desks.get_mut(&(job.runtime, node)) else { continue };
            desk.forget(&task);
            if stage == Stage::Held {
                let place = desk.held.partition_point(|(seq, _)| *seq < vote.seq);
                desk.held.insert(place, (vote.seq, task));
            } else {
                desk.others.push(task);
            }
        }
    }

    /// Is this settlement still what the votes call for? Otherwise, what is.
    /// Settlements before it may have caught one of its voters, or raised
    /// doubts about a class of nodes.
    pub fn confirm(&mut self, settlement: &Settlement) -> Result<(), Vec<Act>> {
        match self.decide(settlement.task) {
            Some(Act::Settle(wanted)) if wanted == *settlement => Ok(()),
            act => Err(act.into_iter().collect()),
        }
    }

    /// The settlement was committed as entry `seq`: standings change, and what
    /// that means for other tasks is returned.
    pub fn settled(&mut self, seq: u64, settlement: &Settlement) -> Vec<Act> {
        let task = settlement.task;
        // A settled task's job was open; votes on others are not decided here.
        let runtime = self.jobs.get(&task.job).map_or(Runtime::Wasm, |job| job.runtime);
        let effects = self.trust.settle(runtime, seq, settlement);
        if let Some(job) = self.jobs.get_mut(&task.job) {
            let open = job.open.remove(&task.index);
            job.left = job.left.saturating_sub(1);
            if job.left == 0 {
                self.jobs.remove(&task.job);
            }
            if let Some(open) = open {
                self.forget(runtime, &task, &open.votes);
            }
        }
        let mut acts = Vec::new();
        for node in effects.passed {
            self.release(runtime, node, &mut acts);
        }
        for node in effects.caught {
            for runtime in Runtime::ALL {
                self.doubt(runtime, node, &mut acts);
            }
        }
        acts
    }

    /// The node passed a check: some of its provisional results may settle, or
    /// be checked after all where its class has come under doubt.
    fn release(&mut self, runtime: Runtime, node: PublicKey, acts: &mut Vec<Act>) {
        let Some(desk) = self.desks.get(&(runtime, node)) else { return };
        let proved = |seq| self.trust.proved_since(runtime, &node, seq);
        let proved = desk.held.iter().take_while(|(seq, _)| proved(*seq));
        let tasks: Vec<Task> = proved.map(|(_, task)| *task).collect();
        for task in tasks {
            acts.extend(self.decide(task));
        }
    }

    /// The node was caught: its votes don't count any more.
    fn doubt(&mut self, runtime: Runtime, node: PublicKey, acts: &mut Vec<Act>) {
        let Some(desk) = self.desks.get(&(runtime, node)) else { return };
        let held = desk.held.iter().map(|(_, task)| *task);
        let tasks: Vec<Task> = held.chain(desk.others.iter().copied()).collect();
        for task in tasks {
            // Where a vote is on its way it decides; a settlement on its way
            // is decided by `confirm`.
            if self.stage(&task) == Some(Stage::Held) {
                acts.extend(self.decide(task));
            }
        }
    }

    /// Nothing of the job is left to lease: what is provisional in it is
    /// checked now.
    pub fn tail(&mut self, job: JobId) -> Vec<Act> {
        let Some(tasks) = self.jobs.get(&job) else { return Vec::new() };
        let held = tasks.open.iter().filter(|(_, open)| open.stage == Stage::Held);
        let mut held: Vec<u32> = held.map(|(index, _)| *index).collect();
        held.sort_unstable();
        let mut acts = Vec::new();
        for index in held {
            let task = Task { job, index };
            let Some(Vote { seq, draw, .. }) = self.votes(&task).last().copied() else { continue };
            let avoid = nodes(self.votes(&task));
            self.set_stage(task, Stage::Checking);
            acts.push(Act::Check { task, seq, draw, avoid });
        }
        acts
    }

    /// No candidate may check the task, or none answered: the relay runs it.
    pub fn no_checker(&mut self, task: Task) -> Vec<Act> {
        if self.stage(&task) != Some(Stage::Checking) {
            return Vec::new();
        }
        self.set_stage(task, Stage::Judging);
        vec![Act::Referee { task }]
    }

    /// The relay runs nothing itself: the next vote on the task decides.
    pub fn no_referee(&mut self, task: Task) {
        if self.stage(&task) == Some(Stage::Judging) {
            self.set_stage(task, Stage::Checking);
        }
    }

    /// After a restart: what every open task needs, in the order of the log.
    pub fn resume(&mut self) -> Vec<Act> {
        let mut tasks: Vec<(u64, Task)> = Vec::new();
        for (job, state) in &self.jobs {
            for (index, open) in &state.open {
                let first = open.votes.first().map_or(0, |vote| vote.seq);
                tasks.push((first, Task { job: *job, index: *index }));
            }
        }
        tasks.sort_unstable();
        tasks.into_iter().filter_map(|(_, task)| self.decide(task)).collect()
    }
}
