//! A network that goes away and comes back, after a second or an hour: what was
//! done is neither lost nor counted twice, and the node asks for its relay
//! neither too often nor too seldom.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use grid_node::{Action, Config, Event, RunReport};
use grid_protocol::{
    Ack, Digest, ExitReason, FromNode, LeaseId, LeaseOffer, LeaseToken, ToNode, decode, encode,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use support::{Bench, ORIGIN, input, module, output, relay_key, spec};

const SLOTS: u8 = 2;
/// The world goes on in steps of this many milliseconds.
const TICK: u64 = 500;
/// How long a lease holds without a heartbeat.
const DEADLINE: u64 = 60_000;
/// How often the relay sends something.
const PING: u64 = 20_000;
const HOUR: u64 = 3_600_000;

/// How a network is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outage {
    /// Sockets close, and none opens.
    Refused,
    /// Nothing arrives, and nothing says so.
    Silent,
}

/// Some time with a network, then some without.
#[derive(Debug, Clone)]
struct Phase {
    up: u64,
    down: u64,
    outage: Outage,
    /// The relay was started again meanwhile: it knows of no lease.
    restart: bool,
}

/// What the relay knows of a lease.
#[derive(Debug)]
enum Known {
    /// It stands until then.
    Until(u64),
    /// Its receipt was accepted.
    Accepted(Digest),
    /// Given back or expired.
    Over,
}

/// A network with a relay at its other end, and an executor.
struct World {
    bench: Bench,
    outage: Option<Outage>,
    /// Does the node have a socket, and did it open?
    socket: Option<bool>,
    joined: bool,
    joins: usize,
    /// Does the relay have work?
    work: bool,
    /// Messages on their way to the node.
    coming: Vec<ToNode>,
    leases: BTreeMap<LeaseId, Known>,
    /// When runs end.
    runs: BTreeMap<LeaseId, u64>,
    run_ms: u64,
    /// Joins when a receipt was first sent, and how often it was.
    sent: BTreeMap<Digest, (usize, usize)>,
    receipts: BTreeMap<LeaseId, Digest>,
    kept: BTreeSet<Digest>,
    /// Since when the node could have asked for a socket.
    lonely: u64,
    /// Times at which it asked.
    asked: Vec<u64>,
}

impl World {
    fn new(run_ms: u64, seed: u64) -> Self {
        let config = Config { slots: SLOTS, jitter_seed: seed, ..Config::default() };
        let mut world = Self {
            bench: Bench::new(config),
            outage: None,
            socket: None,
            joined: false,
            joins: 0,
            work: true,
            coming: Vec::new(),
            leases: BTreeMap::new(),
            runs: BTreeMap::new(),
            run_ms,
            sent: BTreeMap::new(),
            receipts: BTreeMap::new(),
            kept: BTreeSet::new(),
            lonely: 0,
            asked: Vec::new(),
        };
        let actions = world.bench.line("on");
        world.act(actions);
        world
    }

    fn now(&self) -> u64 {
        self.bench.now
    }

    fn tell(&mut self, event: Event) {
        let actions = self.bench.tell(event);
        self.act(actions);
    }

    /// Time passes; what is due happens.
    fn pass(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(TICK) {
            let actions = self.bench.after(TICK);
            self.act(actions);
            let now = self.now();
            for known in self.leases.values_mut() {
                if matches!(known, Known::Until(until) if *until < now) {
                    *known = Known::Over;
                }
            }
            if self.outage != Some(Outage::Silent) {
                match (self.socket, self.outage) {
                    (Some(_), Some(_)) => self.closed(),
                    (Some(false), None) => {
                        self.socket = Some(true);
                        self.tell(Event::Opened);
                    }
                    _ => {}
                }
                if self.joined && now.is_multiple_of(PING) {
                    self.coming.push(ToNode::Ping);
                }
                for message in std::mem::take(&mut self.coming) {
                    self.tell(Event::Message(encode(&message)));
                }
            }
            let ended = self.runs.iter().filter(|(_, at)| **at <= now).map(|(id, _)| *id);
            for lease in ended.collect::<Vec<_>>() {
                self.runs.remove(&lease);
                // Outputs differ, so that each receipt tells its lease.
                let report = RunReport {
                    reason: ExitReason::Exit,
                    exit_code: 0,
                    output: output(usize::from(lease.0[0])),
                    check: Digest::ZERO,
                    fuel: 5,
                    hint: None,
                };
                self.tell(Event::Finished { lease, report });
            }
            if self.socket.is_none() {
                let waited = self.now() - self.lonely;
                assert!(waited <= 60_000 + TICK, "it has not asked for {waited} ms");
            }
        }
    }

    fn closed(&mut self) {
        self.gone();
        self.tell(Event::Closed);
    }

    /// There is no socket any more; what was on its way is lost.
    fn gone(&mut self) {
        (self.socket, self.joined, self.lonely) = (None, false, self.now());
        self.coming.clear();
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Connect(_) => {
                    assert!(self.socket.is_none(), "a second socket");
                    self.socket = Some(false);
                    self.asked.push(self.now());
                }
                Action::Disconnect => self.gone(),
                Action::Send(bytes) => {
                    assert_eq!(self.socket, Some(true), "sends into nothing");
                    let message = decode(&bytes).unwrap();
                    if let FromNode::Result(result) = &message {
                        let receipt = result.unverified().unwrap().verify().unwrap();
                        self.note(receipt.body().lease, receipt.digest());
                    }
                    if self.outage.is_none() {
                        self.hear(message);
                    }
                }
                Action::Fetch { lease, digest, .. } => {
                    let result = match self.outage {
                        None => Ok(module()),
                        Some(_) => Err("no network".into()),
                    };
                    self.tell(Event::Fetched { lease, digest, result });
                }
                Action::StartExecutor => self.tell(Event::ExecutorReady { holding: vec![] }),
                Action::Run { lease, .. } => {
                    self.runs.insert(lease, self.now() + self.run_ms);
                }
                Action::Drop(lease) => {
                    self.runs.remove(&lease);
                    let known = &self.leases[&lease];
                    assert!(!matches!(known, Known::Until(_)), "dropped, and it stands");
                }
                Action::Keep(kept) => {
                    let known = &self.leases[&kept.ack.lease];
                    assert!(
                        matches!(known, Known::Accepted(digest) if *digest == kept.ack.receipt)
                    );
                    assert!(self.kept.insert(kept.ack.receipt), "counted twice");
                }
                _ => {}
            }
        }
    }

    /// A receipt is sent once, and once more after each join.
    fn note(&mut self, lease: LeaseId, digest: Digest) {
        let before = *self.receipts.entry(lease).or_insert(digest);
        assert_eq!(before, digest, "another receipt for the same lease");
        let (joins, times) = self.sent.entry(digest).or_insert((self.joins, 0));
        *times += 1;
        assert!(*times <= self.joins - *joins + 1, "sent again and again");
    }

    /// The relay hears; what it answers is on its way.
    fn hear(&mut self, message: FromNode) {
        let now = self.now();
        match message {
            FromNode::Hello { .. } => {
                let relay = relay_key(0).public();
                let (version, origin, nonce) = (1, ORIGIN.into(), [7; 32]);
                self.coming.push(ToNode::Challenge { version, relay, origin, nonce });
            }
            FromNode::Join(join) => {
                (self.joined, self.joins) = (true, self.joins + 1);
                let stands = |id: &LeaseId| matches!(self.leases.get(id), Some(Known::Until(_)));
                let standing = join.holding.into_iter().filter(stands).collect();
                let tasks = self.accepted().len() as u64;
                let (heartbeat_ms, fuel) = (10_000, 5 * tasks);
                self.coming.push(ToNode::Welcome { heartbeat_ms, standing, fuel, tasks });
            }
            FromNode::Ready { slots } if self.work => {
                for _ in 0..slots {
                    let mut lease = LeaseId([0; 16]);
                    lease.0[..8].copy_from_slice(&(self.leases.len() as u64 + 1).to_le_bytes());
                    self.leases.insert(lease, Known::Until(now + DEADLINE));
                    self.coming.push(ToNode::Lease(LeaseOffer {
                        lease,
                        token: LeaseToken([7; 16]),
                        spec: spec().encode(),
                        deadline_ms: DEADLINE as u32,
                        module_bytes: 11,
                        input: Some(input()),
                        draft: None,
                        publisher: None,
                    }));
                }
            }
            FromNode::Heartbeat { leases } => {
                for held in leases {
                    if let Some(known @ Known::Until(_)) = self.leases.get_mut(&held.lease) {
                        *known = Known::Until(now + DEADLINE);
                    }
                }
            }
            FromNode::Result(result) => {
                let receipt = result.unverified().unwrap().verify().unwrap();
                let (lease, digest) = (receipt.body().lease, receipt.digest());
                let known = self.leases.get_mut(&lease).unwrap();
                if matches!(known, Known::Until(_)) {
                    *known = Known::Accepted(digest);
                }
                self.coming.push(match known {
                    Known::Accepted(accepted) => {
                        assert_eq!(*accepted, digest);
                        let (salt, root) = (Digest::ZERO, Digest::ZERO);
                        let ack = Ack { receipt: digest, lease, seq: 1, salt, size: 1, root };
                        ToNode::of_ack(&ack, relay_key(0).sign(&ack.encode()))
                    }
                    _ => ToNode::Rejected { lease, code: 5, message: "no such lease".into() },
                });
            }
            FromNode::GiveBack { lease, .. } => {
                self.leases.insert(lease, Known::Over);
            }
            FromNode::Ready { .. } | FromNode::Partial(_) | FromNode::Update(_) => {}
        }
    }

    fn accepted(&self) -> BTreeSet<Digest> {
        let digests = self.leases.values().filter_map(|known| match known {
            Known::Accepted(digest) => Some(*digest),
            _ => None,
        });
        digests.collect()
    }

    fn lose(&mut self, phase: &Phase) {
        self.outage = Some(phase.outage);
        self.coming.clear();
        self.pass(phase.down);
        if phase.restart {
            let stand = self.leases.values_mut().filter(|known| matches!(known, Known::Until(_)));
            stand.for_each(|known| *known = Known::Over);
        }
        self.outage = None;
        // A socket that was silent is found to be dead.
        if phase.outage == Outage::Silent && self.socket.is_some() {
            self.closed();
        }
    }

    /// After some time with a network all is as it should be.
    fn settled(&mut self) {
        self.pass(2 * DEADLINE);
        assert_eq!((self.socket, self.joined), (Some(true), true), "one connection");
        self.work = false;
        self.pass(self.run_ms + 5_000);
        assert!(!self.leases.values().any(|known| matches!(known, Known::Until(_))));
        assert_eq!(self.accepted(), self.kept, "what counts is proved");
        let status = self.bench.node.status();
        assert!(status.running.is_empty());
        assert_eq!((status.tasks, status.fuel), (self.kept.len() as u64, 5 * status.tasks));
    }
}

fn phase() -> impl Strategy<Value = Phase> {
    let down = prop::sample::select(vec![500, 3_000, 20_000, 50_000, 61_000, 300_000, HOUR]);
    let outage = prop::sample::select(vec![Outage::Refused, Outage::Silent]);
    (1_000..150_000u64, down, outage, any::<bool>()).prop_map(|(up, down, outage, restart)| Phase {
        up,
        down,
        outage,
        restart,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_counted_twice(
        phases in proptest::collection::vec(phase(), 1..6),
        run_ms in prop::sample::select(vec![500, 10_000, 70_000]),
        seed: u64,
    ) {
        let mut world = World::new(run_ms, seed);
        for phase in &phases {
            world.pass(phase.up);
            world.lose(phase);
        }
        world.settled();
    }
}

/// Through an hour without a relay it asks once a minute or so, and afterwards
/// within a minute.
#[test]
fn an_hour_without_a_relay() {
    for (outage, least, most) in [(Outage::Refused, 60, 130), (Outage::Silent, 45, 100)] {
        let mut world = World::new(10_000, 1);
        world.pass(35_000);
        assert!(world.bench.node.status().tasks >= 2, "it worked before");
        let before = world.asked.len();
        world.lose(&Phase { up: 0, down: HOUR, outage, restart: true });
        let asked = world.asked.len() - before;
        assert!((least..=most).contains(&asked), "{outage:?}: it asked {asked} times");
        let gaps = world.asked[before..].windows(2).map(|pair| pair[1] - pair[0]);
        assert!(gaps.clone().all(|gap| gap >= 1_000), "{:?}", gaps.collect::<Vec<_>>());
        world.pass(61_000);
        assert!(world.joined, "{outage:?}: it is back within a minute");
        world.settled();
    }
}
