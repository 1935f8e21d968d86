//! Grid's own rules: the relay's part around [`Quorums`] and [`Roster`].

use super::nodes::{Nodes, TRUTH};
use super::random::Random;
use super::report::{Counts, Row};
use super::{ERROR_PPB, Policy, Scenario, Size};
use crate::Task;
use crate::trust::{Act, Draw, Quorums, Roster, Rules, Settlement, Vote, Voter};
use grid_protocol::entry::Member;
use grid_protocol::{JobId, PublicKey, Runtime};
use std::collections::{HashMap, VecDeque};

const JOB: JobId = JobId([7; 16]);
/// Candidates of a draw that are tried before the relay runs the task.
const CANDIDATES: u32 = 64;

/// A check that a node was drawn for.
struct Check {
    task: u32,
    draw: Draw,
    place: u32,
    avoid: Vec<PublicKey>,
}

struct World {
    random: Random,
    nodes: Nodes,
    /// Places in `nodes` of keys on line, and of those that were.
    places: HashMap<PublicKey, usize>,
    online: Vec<usize>,
    inbox: Vec<VecDeque<Check>>,
    roster: Roster,
    quorums: Quorums,
    seq: u64,
    counts: Counts,
    acts: VecDeque<Act>,
}

pub(super) fn run(scenario: &Scenario, rules: Rules, size: Size, seed: u64) -> Row {
    let nodes = Nodes::new(scenario, size.nodes);
    let mut world = World {
        random: Random::new(seed),
        places: HashMap::new(),
        online: (0..nodes.all.len()).collect(),
        inbox: nodes.all.iter().map(|_| VecDeque::new()).collect(),
        nodes,
        roster: Roster::default(),
        quorums: Quorums::new(rules),
        seq: 0,
        counts: Counts::default(),
        acts: VecDeque::new(),
    };
    world.quorums.open_job(JOB, Runtime::Wasm, ERROR_PPB, size.tasks);
    for place in 0..world.nodes.all.len() {
        world.join(place);
    }
    while world.counts.tasks < size.tasks && !world.online.is_empty() {
        let free = world.random.below(world.online.len());
        world.work(world.online[free], size);
    }
    for index in 0..world.counts.tasks {
        for vote in world.quorums.votes(&Task { job: JOB, index }) {
            let Voter::Node(node) = &vote.voter else { continue };
            if !world.quorums.trust().is_caught(node) {
                world.nodes.all[world.places[node]].open += 1;
            }
        }
    }
    world.counts.row(scenario, Policy::Ours(rules), &world.nodes)
}

impl World {
    fn join(&mut self, place: usize) {
        let node = self.nodes.all[place].key;
        self.places.insert(node, place);
        // A network of its own for each, the same when it comes back.
        let network = (place as u64 + 1).to_le_bytes();
        self.roster.apply(&[Member { node, network, account: [0; 8] }], &[]);
    }

    /// A free node does what it was drawn for, or a fresh task.
    fn work(&mut self, place: usize, size: Size) {
        let check = self.inbox[place].pop_front();
        let (index, first) = match &check {
            Some(check) => {
                let votes = self.quorums.votes(&Task { job: JOB, index: check.task });
                (check.task, votes.first().map(|vote| vote.answer))
            }
            None => (self.counts.begin(size), None),
        };
        let answer = self.nodes.answer(place, index, first, &mut self.random);
        self.counts.computed += 1;
        self.vote(index, Voter::Node(self.nodes.all[place].key), answer);
        while let Some(act) = self.acts.pop_front() {
            self.act(act);
        }
    }

    fn vote(&mut self, index: u32, voter: Voter, answer: grid_protocol::Digest) {
        self.seq += 1;
        let draw = Draw(self.random.bytes());
        let vote = Vote { seq: self.seq, voter, answer, draw };
        self.acts.extend(self.quorums.vote(Task { job: JOB, index }, vote));
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Check { task, draw, avoid, .. } | Act::Reissue { task, draw, avoid, .. } => {
                self.draw(Check { task: task.index, draw, place: 0, avoid });
            }
            Act::Referee { task } => {
                self.counts.referee += 1;
                self.vote(task.index, Voter::Relay, TRUTH);
            }
            Act::Settle(settlement) => match self.quorums.confirm(&settlement) {
                Ok(()) => self.settle(&settlement),
                Err(acts) => self.acts.extend(acts),
            },
        }
    }

    /// Gives the check to the draw's next candidate.
    fn draw(&mut self, mut check: Check) {
        while check.place < CANDIDATES {
            let member = self.roster.candidate(&check.draw, check.place).copied();
            check.place += 1;
            if let Some(member) = member
                && self.roster.eligible(&member, &check.avoid)
            {
                self.inbox[self.places[&member.node]].push_back(check);
                return;
            }
        }
        let task = Task { job: JOB, index: check.task };
        self.acts.extend(self.quorums.no_checker(task));
    }

    fn settle(&mut self, settlement: &Settlement) {
        self.seq += 1;
        self.counts.settle(&settlement.answer);
        let caught = |world: &Self, node: &PublicKey| world.quorums.trust().is_caught(node);
        let before: Vec<bool> = settlement
            .votes
            .iter()
            .map(|vote| matches!(&vote.voter, Voter::Node(node) if caught(self, node)))
            .collect();
        let acts = self.quorums.settled(self.seq, settlement);
        self.acts.extend(acts);
        for (vote, was_caught) in settlement.votes.iter().zip(before) {
            let Voter::Node(node) = vote.voter else { continue };
            let place = self.places[&node];
            if vote.answer == settlement.answer && !was_caught {
                self.nodes.all[place].credited += 1;
            } else if !was_caught && caught(self, &node) {
                self.shut_out(place, node);
            }
        }
    }

    fn shut_out(&mut self, place: usize, node: PublicKey) {
        self.roster.apply(&[], &[node]);
        if self.nodes.shut_out(place) {
            self.join(place);
        } else {
            self.online.retain(|other| *other != place);
        }
        // Its leases are over: the next candidates get them.
        for check in std::mem::take(&mut self.inbox[place]) {
            self.draw(check);
        }
    }
}
