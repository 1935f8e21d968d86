//! Votes on tasks that are not settled, as the relay keeps them beside
//! [`Quorums`]: whom each one's draw names, and what it pays.

use crate::members::Members;
use crate::store::{Settle, Write};
use crate::writer::{Request, Then};
use grid_protocol::api::ReceiptInfo;
use grid_protocol::{JobId, PublicKey};
use grid_scheduler::Task;
use grid_scheduler::trust::{Act, Draw, Quorums, Rules, Settlement, Vote, Voter};
use std::collections::{BTreeSet, HashMap, HashSet};

/// A vote on a task that is not settled.
#[derive(Debug)]
struct Ballot {
    info: ReceiptInfo,
    candidates: Vec<(u32, PublicKey)>,
}

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
        let candidates = self.members.candidates(&vote.draw, &voters);
        let ballot = Ballot { info, candidates };
        self.ballots.entry(task.job).or_default().insert(vote.seq, ballot);
    }

    /// Who may check, by the draw of this vote.
    pub(crate) fn candidates(&self, task: Task, seq: u64) -> Vec<(u32, PublicKey)> {
        let ballot = self.ballots.get(&task.job).and_then(|ballots| ballots.get(&seq));
        ballot.map(|ballot| ballot.candidates.clone()).unwrap_or_default()
    }

    /// The last vote on a task, and who may check by its draw.
    pub(crate) fn last_draw(&self, task: Task) -> Option<(u64, Vec<(u32, PublicKey)>)> {
        let seq = self.quorums.votes(&task).last()?.seq;
        Some((seq, self.candidates(task, seq)))
    }

    /// The same, drawn again from who is there now: for a relay without
    /// referee.
    pub(crate) fn draw_again(&self, task: Task) -> Option<(u64, Vec<(u32, PublicKey)>)> {
        let votes = self.quorums.votes(&task);
        let Vote { seq, draw, .. } = *votes.last()?;
        Some((seq, self.members.candidates(&draw, &voters(votes))))
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

    /// Votes of a node on tasks that are not settled. O(n).
    pub(crate) fn open_of(&self, node: &PublicKey) -> u64 {
        let ballots = self.ballots.values().flat_map(HashMap::values);
        ballots.filter(|ballot| ballot.info.node == *node).count() as u64
    }

    pub(crate) fn end_job(&mut self, job: JobId) {
        self.quorums.end_job(job);
        self.ballots.remove(&job);
        self.waiting.retain(|settlement| settlement.task.job != job);
        self.settling.retain(|task| task.job != job);
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
