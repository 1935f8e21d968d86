//! A relay in miniature that writes logs, honest ones unless told otherwise:
//! for tests and benchmarks.

use grid_log::merkle::leaf_hash;
use grid_log::vrf::Prover;
use grid_log::{Hash, Tree};
use grid_protocol::entry::{Entry, Leaf, Member, Movement, OwnerTag};
use grid_protocol::{
    Digest, ExitReason, JobId, LeaseId, PublicKey, ReceiptBody, Runtime, SigningKey,
    UnverifiedReceipt,
};
use grid_scheduler::Task;
use grid_scheduler::trust::{Act, Draw, Quorums, Roster, Rules, Settlement, Vote, Voter};
use std::collections::VecDeque;

const OWNER: OwnerTag = OwnerTag([7; 16]);
const SECRET: Digest = Digest([9; 32]);
/// Fuel limit of every task.
pub const LIMIT: u64 = 1_000_000;

/// A log and everything that its relay knows.
pub struct World {
    key: SigningKey,
    prover: Prover,
    /// Keys of the nodes, all on line.
    pub nodes: Vec<SigningKey>,
    entries: Vec<Entry>,
    leaves: Vec<Vec<u8>>,
    quorums: Quorums,
    roster: Roster,
    jobs: u8,
    at_ms: u64,
    acts: VecDeque<Act>,
    /// Nodes that lie about every result.
    pub liars: Vec<usize>,
}

impl World {
    /// With this many nodes on line, an owner, and rules.
    pub fn new(nodes: usize, rules: Rules) -> Self {
        let key = SigningKey::from_seed([1; 32]);
        let seed = |at: usize| Digest::of(&at.to_le_bytes()).0;
        let mut world = Self {
            prover: Prover::from_seed([1; 32]),
            key,
            nodes: (0..nodes).map(|at| SigningKey::from_seed(seed(at))).collect(),
            entries: Vec::new(),
            leaves: Vec::new(),
            quorums: Quorums::new(rules),
            roster: Roster::default(),
            jobs: 0,
            at_ms: 1_700_000_000_000,
            acts: VecDeque::new(),
            liars: Vec::new(),
        };
        world.push(|at_ms| Entry::Rules { at_ms, rules: rules.encode() });
        let members: Vec<Member> = (world.nodes.iter())
            .map(|key| Member { node: key.public(), network: [0; 8], account: [0; 8] })
            .collect();
        for added in members.chunks(512).map(<[Member]>::to_vec) {
            world.roster.apply(&added, &[]);
            world.push(|at_ms| Entry::Roster { at_ms, removed: Vec::new(), added });
        }
        let (movement, amount, owner) = (Movement::Grant, u64::MAX / 4, OWNER);
        world.push(|at_ms| Entry::Budget { at_ms, movement, amount, owner });
        world
    }

    /// The relay's key.
    pub fn relay(&self) -> PublicKey {
        self.key.public()
    }

    /// The relay's secret key.
    pub fn signer(&self) -> &SigningKey {
        &self.key
    }

    /// The leaves so far.
    pub fn leaves(&self) -> &[Vec<u8>] {
        &self.leaves
    }

    /// Hashes of the leaves so far.
    pub fn hashes(&self) -> Vec<Hash> {
        self.leaves.iter().map(|leaf| leaf_hash(leaf)).collect()
    }

    /// The tree of the leaves so far.
    pub fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        tree.append(&self.hashes());
        tree
    }

    /// Writes an entry, true or not; gives back its number.
    pub fn push(&mut self, entry: impl FnOnce(u64) -> Entry) -> u64 {
        self.at_ms += 1;
        let entry = entry(self.at_ms);
        let entries = &self.entries;
        let find = |seq: u64| entries.get(seq as usize - 1).cloned();
        let leaf = Leaf::of(&entry, &SECRET, find).expect("its votes are entries");
        self.leaves.push(leaf.encode());
        self.entries.push(entry);
        self.entries.len() as u64
    }

    /// Time goes by.
    pub fn wait(&mut self, ms: u64) {
        self.at_ms += ms;
    }

    /// An entry that was written.
    pub fn entry(&self, seq: u64) -> &Entry {
        &self.entries[seq as usize - 1]
    }

    /// Starts a job.
    pub fn job(&mut self, tasks: u32, error_ppb: u32) -> JobId {
        self.jobs += 1;
        let job = JobId([self.jobs; 16]);
        let amount = u64::from(tasks) * LIMIT * 4;
        let runtime = Runtime::Wasm;
        let movement = Movement::Reserve { job, runtime, tasks, fuel: LIMIT, error_ppb };
        self.push(|at_ms| Entry::Budget { at_ms, movement, amount, owner: OWNER });
        self.quorums.open_job(job, runtime, error_ppb, tasks);
        job
    }

    /// Ends a job, and refunds what it says it left.
    pub fn end(&mut self, job: JobId, state: grid_protocol::api::JobState, amount: u64) -> u64 {
        let movement = Movement::Refund(job, state);
        self.push(|at_ms| Entry::Budget { at_ms, movement, amount, owner: OWNER })
    }

    /// The receipt of a node (by place; the relay itself for `None`) on a task.
    pub fn receipt(&self, task: Task, node: Option<usize>) -> UnverifiedReceipt {
        let key = node.map_or(&self.key, |at| &self.nodes[at]);
        let input = [&task.job.0[..], &task.index.to_le_bytes()].concat();
        let lies = node.is_some_and(|at| self.liars.contains(&at));
        let lease = Digest::of(&[&input[..], &key.public().0].concat());
        let mut id = [0; 16];
        id.copy_from_slice(&lease.0[..16]);
        let body = ReceiptBody {
            relay: self.relay(),
            lease: LeaseId(id),
            spec: Digest::of(&input),
            input: Digest::of(&input[1..]),
            reason: ExitReason::Exit,
            exit_code: 0,
            output: if lies { Digest::of(b"lie") } else { Digest::of(&input[2..]) },
            check: Digest::ZERO,
            fuel: 1000 + u64::from(task.index),
            node: key.public(),
        };
        body.sign(key)
    }

    /// Commits a receipt; gives back its entry and its draw.
    pub fn commit(&mut self, task: Task, receipt: UnverifiedReceipt) -> (u64, Draw) {
        let digest = Digest::of(&receipt.body.encode());
        let (proof, output) = self.prover.prove(&digest.0);
        let Task { job, index } = task;
        let draw = proof.0;
        let seq = self.push(|at_ms| Entry::Receipt { at_ms, job, index, draw, receipt });
        let mut first = [0; 32];
        first.copy_from_slice(&output[..32]);
        (seq, Draw(first))
    }

    /// A node (the relay itself for `None`) votes; nothing follows yet.
    pub fn vote(&mut self, task: Task, node: Option<usize>) -> u64 {
        let receipt = self.receipt(task, node);
        let answer = receipt.body.answer();
        let (seq, draw) = self.commit(task, receipt);
        let voter = node.map_or(Voter::Relay, |at| Voter::Node(self.nodes[at].public()));
        let acts = self.quorums.vote(task, Vote { seq, voter, answer, draw });
        self.acts.extend(acts);
        seq
    }

    /// Writes a settlement by these votes.
    pub fn settle(&mut self, task: Task, answer: Digest, votes: Vec<u64>) -> u64 {
        let Task { job, index } = task;
        self.push(|at_ms| Entry::Settled { at_ms, job, index, answer, votes })
    }

    /// Does what the rules call for, until they call for nothing more.
    pub fn follow(&mut self) {
        while let Some(act) = self.acts.pop_front() {
            match act {
                Act::Check { task, draw, avoid, .. } | Act::Reissue { task, draw, avoid, .. } => {
                    let checker = self.checker(&draw, &avoid);
                    self.vote(task, checker);
                }
                Act::Referee { task } => {
                    self.vote(task, None);
                }
                Act::Settle(settlement) => match self.quorums.confirm(&settlement) {
                    Ok(()) => self.settled(&settlement),
                    Err(acts) => self.acts.extend(acts),
                },
            }
        }
    }

    fn settled(&mut self, settlement: &Settlement) {
        let votes = settlement.votes.iter().map(|vote| vote.seq).collect();
        let seq = self.settle(settlement.task, settlement.answer, votes);
        let acts = self.quorums.settled(seq, settlement);
        self.acts.extend(acts);
    }

    /// Who the draw names, past voters, their groups and the caught; nobody on
    /// a roster where the draw finds nobody.
    fn checker(&self, draw: &Draw, avoid: &[PublicKey]) -> Option<usize> {
        let trust = self.quorums.trust();
        let mut places = (0..1024).map_while(|place| self.roster.candidate(draw, place));
        let fits = |member: &&Member| {
            self.roster.eligible(member, avoid) && !trust.is_caught(&member.node)
        };
        let node = places.find(fits)?.node;
        self.nodes.iter().position(|key| key.public() == node)
    }

    /// Computes a job's tasks, each first by the next node that wasn't caught.
    pub fn compute(&mut self, job: JobId, tasks: std::ops::Range<u32>) {
        for index in tasks {
            let places = (0..self.nodes.len()).map(|at| (at + index as usize) % self.nodes.len());
            let trust = self.quorums.trust();
            let free = places.into_iter().find(|at| !trust.is_caught(&self.nodes[*at].public()));
            self.vote(Task { job, index }, free);
            self.follow();
        }
    }

    /// Checks what is provisional in a job.
    pub fn tail(&mut self, job: JobId) {
        let acts = self.quorums.tail(job);
        self.acts.extend(acts);
        self.follow();
    }
}

impl World {
    /// Puts one entry's leaf in the place of another's, and the other way.
    pub fn swap_leaves(&mut self, one: u64, two: u64) {
        self.leaves.swap(one as usize - 1, two as usize - 1);
    }
}
