//! Votes on tasks that are not settled, as the relay keeps them beside
//! [`Quorums`]: whom each one's draw names, and what it pays.

use crate::members::Members;
use crate::store::{Settle, Write};
use crate::writer::{Request, Then};
use grid_protocol::api::ReceiptInfo;
use grid_protocol::{JobId, PublicKey};
use grid_scheduler::trust::{Act, Draw, Excuses, Quorums, Rules, Settlement, Vote, Voter};
use grid_scheduler::{Check, Skip, Task};
use std::collections::{BTreeSet, HashMap, HashSet};

/// A vote on a task that is not settled.
#[derive(Debug)]
struct Ballot {
    info: ReceiptInfo,
    drawn: Drawn,
}

/// Whom a vote's draw names, on the roster of its entry or of the last one that
/// had it made anew.
#[derive(Debug)]
struct Drawn {
    candidates: Vec<(u32, PublicKey)>,
    /// Of the roster.
    version: u64,
    /// Whom the log passes over.
    excuses: Excuses,
    /// How often it was looked for a checker again.
    again: u32,
}

/// What to do where nobody whom a draw names checked.
#[derive(Debug)]
pub(crate) enum Again {
    /// Ask them again.
    Ask(Check),
    /// Have this receipt's draw made anew: others are there now.
    Redraw(u64),
}

/// Runs by the relay itself that may come to nothing, of one task.
pub(crate) const REFEREE_TRIES: u32 = 5;

/// Something to be done when its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Later {
    /// Look for a checker again: there is no referee.
    Check,
    /// Go on with a check from before a restart: nodes had time to come back.
    Resume,
    /// The referee failed; it tries again.
    Referee,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Votes {
    pub(crate) quorums: Quorums,
    pub(crate) members: Members,
    ballots: HashMap<JobId, HashMap<u64, Ballot>>,
    /// Settlements on their way that catch a node. What is decided meanwhile
    /// waits: it might be decided otherwise after them.
    catching: bool,
    waiting: Vec<Settlement>,
    settling: HashSet<Task>,
    /// Tasks whose runs by the relay itself came to nothing: how often, and why
    /// at last.
    failed: HashMap<Task, (u32, String)>,
    later: BTreeSet<(u64, Task, Later)>,
}

/// What a settlement came to.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Votes that are paid.
    pub(crate) paid: Vec<ReceiptInfo>,
    /// Nodes that were caught.
    pub(crate) caught: Vec<PublicKey>,
    /// Tasks whose own settlement waited, and is not to be any more.
    pub(crate) undecided: Vec<Task>,
    /// What follows.
    pub(crate) acts: Vec<Act>,
}

impl Votes {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            quorums: Quorums::new(rules),
            members: Members::default(),
            ballots: HashMap::new(),
            catching: false,
            waiting: Vec::new(),
            settling: HashSet::new(),
            failed: HashMap::new(),
            later: BTreeSet::new(),
        }
    }

    pub(crate) fn is_caught(&self, node: &PublicKey) -> bool {
        self.quorums.trust().is_caught(node)
    }

    /// A receipt was committed for a task.
    pub(crate) fn vote(&mut self, task: Task, info: ReceiptInfo, vote: Vote) -> Vec<Act> {
        self.keep(task, info, &vote);
        self.quorums.vote(task, vote)
    }

    /// A receipt was committed before a restart.
    pub(crate) fn recall(&mut self, task: Task, info: ReceiptInfo, vote: Vote) {
        self.keep(task, info, &vote);
        self.quorums.recall(task, vote);
    }

    fn keep(&mut self, task: Task, info: ReceiptInfo, vote: &Vote) {
        let mut voters = voters(self.quorums.votes(&task));
        if let Voter::Node(node) = vote.voter {
            voters.push(node);
        }
        let ballot = Ballot { info, drawn: self.draw(&vote.draw, &voters, 0) };
        self.ballots.entry(task.job).or_default().insert(vote.seq, ballot);
    }

    fn draw(&self, draw: &Draw, voters: &[PublicKey], again: u32) -> Drawn {
        Drawn {
            candidates: self.members.candidates(draw, voters),
            version: self.members.version(),
            excuses: Excuses::default(),
            again,
        }
    }

    /// The check that the draw of this vote asks for. Who was caught can't be
    /// asked.
    pub(crate) fn check(&self, task: Task, seq: u64) -> Option<Check> {
        let drawn = &self.ballots.get(&task.job)?.get(&seq)?.drawn;
        let (mut candidates, excuses) = (drawn.candidates.clone(), &drawn.excuses);
        candidates.retain(|(_, node)| !self.is_caught(node));
        let together = candidates.iter().all(|(place, node)| excuses.covers(*place, node));
        Some(Check { task, seq, candidates, together })
    }

    /// The same for the last vote on a task.
    pub(crate) fn last_check(&self, task: Task) -> Option<Check> {
        self.check(task, self.quorums.votes(&task).last()?.seq)
    }

    /// For a relay without referee: nobody whom the last draw names was to be
    /// had. `online` tells who is there.
    pub(crate) fn again(
        &mut self,
        task: Task,
        online: impl Fn(&PublicKey) -> bool,
    ) -> Option<Again> {
        let check = self.last_check(task)?;
        let (seq, draw, voters) = self.open_draw(task)?;
        let drawn = &mut self.ballots.get_mut(&task.job)?.get_mut(&seq)?.drawn;
        drawn.again = drawn.again.saturating_add(1);
        let others = drawn.version != self.members.version() && check.together;
        let new = if others { self.members.candidates(&draw, &voters) } else { Vec::new() };
        let there = new.iter().any(|(_, node)| online(node) && !self.is_caught(node));
        Some(if there { Again::Redraw(seq) } else { Again::Ask(check) })
    }

    /// How often a checker was looked for again.
    pub(crate) fn times_again(&self, task: Task) -> u32 {
        let seq = self.quorums.votes(&task).last().map(|vote| vote.seq);
        let ballot = seq.and_then(|seq| self.ballots.get(&task.job)?.get(&seq));
        ballot.map_or(0, |ballot| ballot.drawn.again)
    }

    fn open_draw(&self, task: Task) -> Option<(u64, Draw, Vec<PublicKey>)> {
        let votes = self.quorums.votes(&task);
        let Vote { seq, draw, .. } = *votes.last()?;
        Some((seq, draw, voters(votes)))
    }

    /// A Redrawn entry was written. Votes since then have draws of their own.
    pub(crate) fn redrawn(&mut self, task: Task, seq: u64) {
        let Some((last, draw, voters)) = self.open_draw(task).filter(|(last, ..)| *last == seq)
        else {
            return;
        };
        let again = self.times_again(task);
        let drawn = self.draw(&draw, &voters, again);
        let ballot = self.ballots.get_mut(&task.job).and_then(|ballots| ballots.get_mut(&last));
        if let Some(ballot) = ballot {
            ballot.drawn = drawn;
        }
    }

    /// The log passes over a node that was drawn.
    pub(crate) fn excuse(&mut self, task: Task, skip: &Skip) {
        let ballots = self.ballots.get_mut(&task.job);
        if let Some(ballot) = ballots.and_then(|ballots| ballots.get_mut(&skip.seq)) {
            ballot.drawn.excuses.add(skip.place, skip.node, skip.why);
        }
    }

    /// Fuel of an open task's votes, by task.
    pub(crate) fn open_fuel(&self, job: JobId, tasks: u32) -> Vec<(u32, u64)> {
        let Some(ballots) = self.ballots.get(&job) else { return Vec::new() };
        let fuel = |index| {
            let votes = self.quorums.votes(&Task { job, index });
            let fuel = votes.iter().filter_map(|vote| match vote.voter {
                Voter::Node(_) => ballots.get(&vote.seq).map(|ballot| ballot.info.fuel),
                Voter::Relay => Some(0),
            });
            (!votes.is_empty()).then(|| (index, fuel.sum()))
        };
        (0..tasks).filter_map(fuel).collect()
    }

    /// The write that settles a task, unless it has to wait.
    pub(crate) fn settle(&mut self, settlement: Settlement, at_ms: u64) -> Option<Request> {
        self.settling.insert(settlement.task);
        if self.catching {
            self.waiting.push(settlement);
            return None;
        }
        self.catching = self.catches(&settlement);
        let settle = Settle {
            job: settlement.task.job,
            index: settlement.task.index,
            answer: settlement.answer,
            votes: settlement.votes.iter().map(|vote| vote.seq).collect(),
            at_ms,
        };
        let write = Write::Settle(Box::new(settle));
        Some(Request { write, then: Then::Settled(Box::new(settlement)) })
    }

    fn catches(&self, settlement: &Settlement) -> bool {
        settlement.votes.iter().any(|vote| match &vote.voter {
            Voter::Node(node) => vote.answer != settlement.answer && !self.is_caught(node),
            Voter::Relay => false,
        })
    }

    /// A settlement was written.
    pub(crate) fn settled(&mut self, seq: u64, settlement: &Settlement) -> Settled {
        let was_caught: Vec<_> =
            voters(&settlement.votes).into_iter().filter(|node| self.is_caught(node)).collect();
        self.over(settlement);
        let acts = self.quorums.settled(seq, settlement);
        let mut settled = Settled { acts, ..Settled::default() };
        let mut ballots = self.ballots.get_mut(&settlement.task.job);
        for vote in &settlement.votes {
            let ballot = ballots.as_mut().and_then(|ballots| ballots.remove(&vote.seq));
            let Voter::Node(node) = vote.voter else { continue };
            if vote.answer == settlement.answer {
                let paid = ballot.filter(|_| !was_caught.contains(&node));
                settled.paid.extend(paid.map(|ballot| ballot.info));
            } else if self.quorums.trust().is_caught(&node) && !was_caught.contains(&node) {
                settled.caught.push(node);
            }
        }
        self.confirm(&mut settled);
        settled
    }

    /// It is not on its way any more.
    fn over(&mut self, settlement: &Settlement) {
        self.settling.remove(&settlement.task);
        self.failed.remove(&settlement.task);
        if self.catches(settlement) {
            self.catching = false;
        }
    }

    /// Is a settlement of the task on its way?
    pub(crate) fn is_settling(&self, task: Task) -> bool {
        self.settling.contains(&task)
    }

    /// A settlement was not written: its job is over, or a vote overtook it
    /// and it is decided again.
    pub(crate) fn not_settled(&mut self, settlement: &Settlement) -> Settled {
        self.over(settlement);
        let mut settled = Settled::default();
        if let Err(acts) = self.quorums.confirm(settlement) {
            settled.undecided.push(settlement.task);
            settled.acts.extend(acts);
        }
        self.confirm(&mut settled);
        settled
    }

    /// Settlements that waited are decided again.
    fn confirm(&mut self, settled: &mut Settled) {
        if self.catching {
            return;
        }
        for settlement in std::mem::take(&mut self.waiting) {
            match self.quorums.confirm(&settlement) {
                Ok(()) => settled.acts.push(Act::Settle(settlement)),
                Err(acts) => {
                    self.settling.remove(&settlement.task);
                    settled.undecided.push(settlement.task);
                    settled.acts.extend(acts);
                }
            }
        }
    }

    pub(crate) fn end_job(&mut self, job: JobId) {
        self.quorums.end_job(job);
        self.failed.retain(|task, _| task.job != job);
        self.ballots.remove(&job);
        self.waiting.retain(|settlement| settlement.task.job != job);
        self.settling.retain(|task| task.job != job);
    }

    /// A run by the relay itself came to nothing. Gives back how often by now.
    pub(crate) fn referee_failed(&mut self, task: Task, why: String) -> u32 {
        let failed = self.failed.entry(task).or_default();
        *failed = (failed.0.saturating_add(1), why);
        failed.0
    }

    /// May the relay run this task, after what came of it so far?
    pub(crate) fn may_referee(&self, task: Task) -> bool {
        self.failed.get(&task).is_none_or(|(times, _)| *times < REFEREE_TRIES)
    }

    /// What the job's owner should know of tasks that wait for nodes only.
    pub(crate) fn note(&self, job: JobId) -> Option<String> {
        let given_up = self.failed.iter().filter(|(task, (times, _))| {
            task.job == job && *times >= REFEREE_TRIES && !self.quorums.votes(task).is_empty()
        });
        let (task, (_, why)) = given_up.min_by_key(|(task, _)| **task)?;
        let index = task.index;
        Some(format!("task {index} waits for other nodes: the relay can't run it itself: {why}"))
    }

    pub(crate) fn later(&mut self, at: u64, task: Task, what: Later) {
        self.later.insert((at, task, what));
    }

    /// What is due by now.
    pub(crate) fn due(&mut self, now: u64) -> Vec<(Task, Later)> {
        let mut due = Vec::new();
        while self.later.first().is_some_and(|(at, ..)| *at <= now) {
            due.extend(self.later.pop_first().map(|(_, task, what)| (task, what)));
        }
        due
    }
}

fn voters(votes: &[Vote]) -> Vec<PublicKey> {
    let node = |vote: &Vote| match vote.voter {
        Voter::Node(node) => Some(node),
        Voter::Relay => None,
    };
    votes.iter().filter_map(node).collect()
}

/// A vote as trust sees it, made of what is known of its receipt.
pub(crate) fn vote_of(body: &grid_protocol::ReceiptBody, seq: u64, draw: Draw) -> Vote {
    let voter = if body.node == body.relay { Voter::Relay } else { Voter::Node(body.node) };
    Vote { seq, voter, answer: body.answer(), draw }
}
