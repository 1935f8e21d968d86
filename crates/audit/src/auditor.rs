//! The stage that knows what came before: applies leaves in order.

use crate::draws::Draws;
use crate::money::{Money, Points};
use crate::{Fault, Finding, Read, ReadVote};
use grid_ledger::{Fact, Ledger};
use grid_protocol::entry::{Entry, Member};
use grid_protocol::{Digest, JobId, LeaseId, PublicKey, Runtime};
use grid_scheduler::Task;
use grid_scheduler::trust::{Roster, Rules, Settlement, Trust, Vote, Voter, Want};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// How many findings are kept; more are counted.
const MOST: usize = 1000;

/// What an audit counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Entries.
    pub entries: u64,
    /// Receipts that were committed.
    pub receipts: u64,
    /// Of those, still hidden: their tasks are not settled.
    pub hidden: u64,
    /// Receipts that were refused.
    pub refused: u64,
    /// Tasks that were settled.
    pub settled: u64,
    /// Of those, by one node's result alone.
    pub alone: u64,
    /// Votes that the relay cast itself.
    pub relay_votes: u64,
    /// Draws that went to a later place than the log alone explains.
    pub unanswered: u64,
    /// Draws that were made anew, since nobody whom they named checked.
    pub redrawn: u64,
    /// Nodes that were caught.
    pub caught: u64,
    /// Findings, kept or not.
    pub findings: u64,
}

/// What a node earned, as the log says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodePoints {
    /// The node.
    pub node: PublicKey,
    /// Fuel of its receipts that agree with canonical results.
    pub fuel: u64,
    /// Those receipts.
    pub tasks: u64,
    /// Entry that caught it.
    pub caught: Option<u64>,
    /// The account it is linked to.
    pub account: Option<PublicKey>,
}

/// A receipt that is hidden still.
#[derive(Debug)]
struct Hidden {
    commitment: Digest,
    /// Who could be drawn when it was committed.
    roster: Arc<Roster>,
}

/// Replays a log. Every entry is applied, even after a finding: what the relay
/// says then counts as what it says.
#[derive(Debug)]
pub struct Auditor {
    relay: PublicKey,
    trust: Trust,
    roster: Arc<Roster>,
    hidden: HashMap<u64, Hidden>,
    draws: Draws,
    leases: HashSet<LeaseId>,
    money: Money,
    ledger: Ledger,
    points: Points,
    caught: HashMap<PublicKey, u64>,
    counts: Counts,
    findings: Vec<Finding>,
}

impl Auditor {
    /// At the log's beginning.
    pub fn new(relay: PublicKey) -> Self {
        Self {
            relay,
            trust: Trust::new(Rules::default()),
            roster: Arc::default(),
            hidden: HashMap::new(),
            draws: Draws::default(),
            leases: HashSet::new(),
            money: Money::default(),
            ledger: Ledger::new(relay),
            points: Points::new(),
            caught: HashMap::new(),
            counts: Counts::default(),
            findings: Vec::new(),
        }
    }

    /// Applies the next entry, read or found to be wrong already.
    pub fn apply(&mut self, read: Result<Read, Finding>) {
        self.counts.entries += 1;
        let seq = self.counts.entries;
        let faults = match read {
            Err(finding) => vec![finding.fault],
            Ok(Read::Hidden { at_ms, commitment }) => {
                self.counts.receipts += 1;
                self.ledger.apply(seq, at_ms, Fact::Receipt(None));
                self.hidden.insert(seq, Hidden { commitment, roster: self.roster.clone() });
                Vec::new()
            }
            Ok(Read::Settled { at_ms, job, index, answer, votes }) => {
                let opened = votes.iter().map(ReadVote::for_ledger).collect::<Vec<_>>();
                self.ledger.apply(seq, at_ms, Fact::Settled { job, answer, votes: &opened });
                self.settled(seq, Task { job, index }, answer, &votes)
            }
            Ok(Read::Fact(entry)) => {
                let allowed = self.ledger.allows(&entry).map_err(Fault::People);
                self.ledger.apply(seq, entry.at_ms(), Fact::Entry(&entry));
                allowed.err().into_iter().chain(self.fact(seq, entry).err()).collect()
            }
        };
        for fault in faults {
            self.found(Finding { seq, fault });
        }
    }

    fn found(&mut self, finding: Finding) {
        self.counts.findings += 1;
        if self.findings.len() < MOST {
            self.findings.push(finding);
        }
    }

    fn fact(&mut self, seq: u64, entry: Entry) -> Result<(), Fault> {
        match entry {
            Entry::Refused { .. } => self.counts.refused += 1,
            Entry::Unanswered { seq: of, place, node, why, .. } => {
                self.open_draw(of, seq)?;
                self.counts.unanswered += 1;
                self.draws.unanswered(of, place, node, why);
            }
            Entry::Redrawn { seq: of, .. } => {
                self.open_draw(of, seq)?;
                self.counts.redrawn += 1;
                self.draws.redrawn(of, self.roster.clone());
            }
            Entry::Rules { rules, .. } => {
                self.trust.set_rules(Rules::decode(&rules).map_err(|_| Fault::Rules)?);
            }
            Entry::Roster { removed, added, .. } => self.roster(&removed, &added)?,
            Entry::Budget { movement, amount, owner, .. } => {
                self.money.moved(movement, amount, owner)?;
            }
            // Nothing follows from a key but who may submit; what follows from
            // links and people's facts, the ledger knows.
            Entry::Key { .. } | Entry::AccountLink { .. } | Entry::People { .. } => {}
            // These are leaves of their own.
            Entry::Receipt { .. } | Entry::Settled { .. } => return Err(Fault::Malformed),
        }
        Ok(())
    }

    /// Is entry `of` a receipt whose draw is open at entry `seq`?
    fn open_draw(&self, of: u64, seq: u64) -> Result<(), Fault> {
        let open = of < seq && self.hidden.contains_key(&of);
        if open { Ok(()) } else { Err(Fault::Unanswered) }
    }

    fn roster(&mut self, removed: &[PublicKey], added: &[Member]) -> Result<(), Fault> {
        let there = |node: &PublicKey| self.roster.member(node).is_some();
        if let Some(node) = removed.iter().find(|node| !there(node)) {
            return Err(Fault::Roster(*node));
        }
        let stays = |node: &PublicKey| there(node) && !removed.contains(node);
        if let Some(member) = added.iter().find(|member| stays(&member.node)) {
            return Err(Fault::Roster(member.node));
        }
        Arc::make_mut(&mut self.roster).apply(added, removed);
        Ok(())
    }

    fn settled(&mut self, seq: u64, task: Task, answer: Digest, votes: &[ReadVote]) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut rosters = Vec::with_capacity(votes.len());
        for vote in votes {
            match self.hidden.remove(&vote.seq) {
                Some(hidden) => {
                    if hidden.commitment != vote.commitment {
                        faults.push(Fault::Opened(vote.seq));
                    }
                    rosters.push(hidden.roster);
                }
                None => {
                    faults.push(Fault::NotHidden(vote.seq));
                    rosters.push(self.roster.clone());
                }
            }
            if !self.leases.insert(vote.body.lease) {
                faults.push(Fault::Lease(vote.body.lease));
            }
        }
        let (relay, first) = (self.relay, &votes[0]);
        if first.answer != answer {
            faults.push(Fault::Answer);
        }
        let same = |vote: &ReadVote| {
            vote.body.spec == first.body.spec && vote.body.input == first.body.input
        };
        if !votes.iter().all(same) {
            faults.push(Fault::Spec);
        }
        let mut voters = HashSet::new();
        let twice = votes.iter().find(|vote| !voters.insert(vote.body.node));
        faults.extend(twice.map(|vote| Fault::TwoVotes(vote.body.node)));

        let cast: Vec<Vote> = votes.iter().map(|vote| as_vote(vote, relay)).collect();
        match self.money.running(task.job) {
            Err(fault) => faults.push(fault),
            Ok(job) => {
                let over = votes.iter().find(|vote| vote.body.fuel > job.fuel);
                faults.extend(over.map(|vote| Fault::Fuel(vote.seq)));
                faults.extend(job.settle(task.job, task.index).err());
                let error_ppb = job.error_ppb;
                match self.trust.wants(job.runtime, &cast, error_ppb) {
                    Want::Settle { answer: right } if right == answer => {}
                    Want::Settle { .. } => faults.push(Fault::Quorum("another answer has it")),
                    Want::Hold => faults.push(Fault::Quorum("it stands alone and too early")),
                    Want::Check => faults.push(Fault::Quorum("it wants another vote")),
                    Want::Referee => faults.push(Fault::Quorum("it wants the relay's own run")),
                }
            }
        }
        let caught = |node: &PublicKey| self.trust.is_caught(node);
        faults.extend(self.draws.check(relay, votes, &rosters, caught));
        let settlement = Settlement { task, answer, votes: cast };
        let runtime = self.money.jobs.get(&task.job).map_or(Runtime::Wasm, |job| job.runtime);
        let effects = self.trust.settle(runtime, seq, &settlement);
        self.credit(task.job, votes, &effects.credited, &mut faults);
        self.counts.settled += 1;
        self.counts.alone += u64::from(votes.len() == 1 && first.body.node != relay);
        for node in effects.caught {
            self.counts.caught += 1;
            self.caught.entry(node).or_insert(seq);
        }
        faults
    }

    /// Nodes earn what their credited receipts used; the relay earns nothing.
    fn credit(
        &mut self,
        job: JobId,
        votes: &[ReadVote],
        credited: &[u64],
        faults: &mut Vec<Fault>,
    ) {
        let by_relay = votes.iter().filter(|vote| vote.body.node == self.relay).count();
        self.counts.relay_votes += by_relay as u64;
        for ReadVote { body, .. } in votes.iter().filter(|vote| credited.contains(&vote.seq)) {
            self.points.entry(body.node).or_default().add(body.fuel);
            self.money.spent = self.money.spent.saturating_add(body.fuel);
            if let Some(job) = self.money.jobs.get_mut(&job) {
                faults.extend(job.spend(body.fuel).err());
            }
        }
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        Counts { hidden: self.hidden.len() as u64, ..self.counts }
    }

    /// What was found, the first 1,000.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Does all fuel that was granted belong to someone?
    pub fn balances(&self) -> bool {
        self.money.balances() && self.ledger.sum() == 0
    }

    /// Budgets, points and rewards, as the log says.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Every node that earned something or was caught, by key.
    pub fn points(&self) -> Vec<NodePoints> {
        let nodes: BTreeMap<_, _> = (self.points.keys().chain(self.caught.keys()))
            .map(|node| {
                let earned = self.points.get(node).copied().unwrap_or_default();
                let points = NodePoints {
                    node: *node,
                    fuel: earned.fuel,
                    tasks: earned.tasks,
                    caught: self.caught.get(node).copied(),
                    account: self.ledger.account(node),
                };
                (*node, points)
            })
            .collect();
        nodes.into_values().collect()
    }
}

fn as_vote(vote: &ReadVote, relay: PublicKey) -> Vote {
    let voter = match vote.body.node {
        node if node == relay => Voter::Relay,
        node => Voter::Node(node),
    };
    Vote { seq: vote.seq, voter, answer: vote.answer, draw: vote.draw }
}
