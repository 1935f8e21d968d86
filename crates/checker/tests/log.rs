//! Proofs and replays from tiles as a log serves them, honest and not.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use grid_audit::proof;
use grid_audit::testing::World;
use grid_audit::{Auditor, Keys};
use grid_checker::claims::{ASKED, Claim};
use grid_checker::prove::{Next, Prove, checkpoint};
use grid_checker::replay::{Replay, Verdict};
use grid_log::TileReader as _;
use grid_log::checkpoint::LogKey;
use grid_log::testing::MemoryLog;
use grid_log::tile::{TileLevel, TilePath, encode_bundle, encode_hashes};
use grid_protocol::entry::{Entry, Leaf, PeopleFact, TeamChange};
use grid_protocol::{PublicKey, TeamId};
use grid_scheduler::trust::Rules;
use serde_json::{Value, json};

const DAY_MS: u64 = 86_400_000;

/// What an honest relay says after the whole log.
fn honest(world: &World) -> Vec<Value> {
    let (keys, mut auditor) = (Keys::new(world.relay()).unwrap(), Auditor::new(world.relay()));
    for (at, leaf) in world.leaves().iter().enumerate() {
        auditor.apply(keys.read(at as u64 + 1, leaf));
    }
    let (seq, complete, ledger) = (world.leaves().len() as u64, true, auditor.ledger());
    let nodes = auditor
        .points()
        .into_iter()
        .map(|one| json!({"node": one.node, "fuel": one.fuel, "tasks": one.tasks}));
    let nodes: Vec<_> = nodes.collect();
    let mut best = nodes.clone();
    best.sort_by_key(|one| std::cmp::Reverse(one["fuel"].as_u64()));
    let mut answers =
        vec![json!({"seq": seq, "nodes": nodes}), serde_json::to_value(ledger.info()).unwrap()];
    let today = world.entry(seq).at_ms() / DAY_MS;
    let spans = [(Some(1), today), (Some(7), today - 6), (None, 0)];
    for (days, first) in spans {
        let ((nodes, count), from_ms) = (ledger.node_leaders(days, today * DAY_MS), first * DAY_MS);
        let nodes = if days.is_none() { json!(best) } else { json!(nodes) };
        answers.push(json!({
            "from_ms": from_ms, "complete": complete, "nodes": nodes, "count": count, "seq": seq,
        }));
    }
    let of = |days| ledger.leaders(days, today * DAY_MS);
    for (days, first) in spans {
        let ((people, count), from_ms) = (of(days), first * DAY_MS);
        answers.push(json!({
            "from_ms": from_ms, "complete": complete, "people": people, "count": count, "seq": seq,
        }));
    }
    for (days, first) in spans {
        let ((teams, count), from_ms) = (ledger.team_leaders(days, today * DAY_MS), first * DAY_MS);
        answers.push(json!({
            "from_ms": from_ms, "complete": complete, "teams": teams, "count": count, "seq": seq,
        }));
    }
    answers
}

/// A relay's log, and what the relay says beside it.
struct Served {
    world: World,
    /// Its answers, in the order of [`ASKED`].
    answers: Vec<Value>,
    /// A tile that it serves altered.
    spoilt: Option<TilePath>,
}

impl Served {
    fn new(tasks: u32) -> Self {
        let mut world = World::new(4, Rules::default());
        let job = world.job(tasks, 100_000);
        world.compute(job, 0..tasks);
        world.tail(job);
        let account = world.nodes[1].public();
        world.push(|at_ms| {
            let (change, team) = (TeamChange::Made, TeamId([7; 16]));
            Entry::People { at_ms, fact: PeopleFact::Team { change, team, account } }
        });
        let job = world.job(8, 100_000);
        world.compute(job, 0..8);
        world.tail(job);
        let answers = honest(&world);
        Self { world, answers, spoilt: None }
    }

    fn note(&self) -> String {
        let key = LogKey::new("log.example", self.world.signer().clone()).unwrap();
        let tree = self.world.tree();
        key.sign(tree.size(), tree.root()).unwrap().encode()
    }

    fn tile(&self, path: TilePath) -> Vec<u8> {
        let first = path.index() as usize * 256;
        let mut bytes = match path.level() {
            TileLevel::Entries => {
                let leaves = &self.world.leaves()[first..first + usize::from(path.width())];
                encode_bundle(leaves).unwrap()
            }
            TileLevel::Hashes(level) => {
                let mut log = MemoryLog::default();
                log.append(&self.world.hashes());
                let tile = log.served().tile(level, path.index(), path.width()).unwrap();
                encode_hashes(&tile[..usize::from(path.width())])
            }
        };
        if self.spoilt == Some(path) {
            *bytes.last_mut().unwrap() ^= 1;
        }
        bytes
    }

    fn replay(&self) -> Result<Verdict, String> {
        let relay = self.world.relay();
        let signed = checkpoint(self.note().as_bytes(), &relay)?;
        let claims = ASKED.iter().zip(&self.answers);
        let claims = claims.map(|(path, said)| Claim::read(path, said.to_string().as_bytes()));
        let mut replay = Replay::new(relay, signed, claims.collect::<Result<_, _>>()?)?;
        for index in 0.. {
            let Some(path) = replay.bundle(index) else { break };
            replay.give(&self.tile(path))?;
        }
        assert_eq!(replay.done(), replay.size());
        Ok(replay.verdict())
    }

    fn prove(&self, seq: u64) -> Result<Vec<u8>, String> {
        let relay = self.world.relay();
        let mut prove = Prove::new(relay, checkpoint(self.note().as_bytes(), &relay)?, seq);
        loop {
            match prove.next()? {
                Next::Done(file) => return Ok(file),
                Next::Fetch(path) => prove.give(path, &self.tile(path))?,
            }
        }
    }

    fn settlements(&self) -> Vec<u64> {
        let settles = |leaf: &Vec<u8>| matches!(Leaf::decode(leaf), Ok(Leaf::Settled { .. }));
        let found = self.world.leaves().iter().enumerate().filter(|(_, leaf)| settles(leaf));
        found.map(|(at, _)| at as u64 + 1).collect()
    }
}

#[test]
fn an_honest_log_agrees_with_its_relay() {
    let served = Served::new(200);
    assert!(served.world.leaves().len() > 256, "more than one bundle");
    let verdict = served.replay().unwrap();
    assert_eq!((verdict.problems, verdict.more), (Vec::new(), 0));
    assert_eq!(verdict.settled, 208);
    assert_eq!((verdict.nodes.len(), verdict.compared.len()), (4, ASKED.len()));
    assert!(verdict.nodes.iter().all(|node| node.agrees));
    assert!(verdict.nodes.is_sorted_by(|a, b| a.fuel >= b.fuel));
}

#[test]
fn credit_without_a_receipt_is_found() {
    let mut served = Served::new(20);
    let nodes = served.answers[0]["nodes"].as_array_mut().unwrap();
    nodes[2]["fuel"] = (nodes[2]["fuel"].as_u64().unwrap() + 1).into();
    let liked = PublicKey([3; 32]);
    nodes.push(json!({"node": liked, "fuel": 5, "tasks": 1}));
    let verdict = served.replay().unwrap();
    assert_eq!(verdict.problems.len(), 1, "{:?}", verdict.problems);
    assert!(verdict.problems[0].starts_with("/v1/points, after entry "));
    assert!(verdict.problems[0].ends_with("; 1 more nodes differ"), "{:?}", verdict.problems);
    let differ: Vec<_> = verdict.nodes.iter().filter(|node| !node.agrees).collect();
    assert_eq!(differ.len(), 2);
    assert!(differ.iter().any(|node| node.node == liked && node.fuel == 0));
}

/// Whatever the relay says otherwise, in whichever answer, is found and named.
#[test]
fn every_figure_is_held_against_the_log() {
    let mut served = Served::new(20);
    let asked = |path: &str| ASKED.iter().position(|asked| *asked == path).unwrap();
    let (day, week) = ("v1/leaders?span=day&of=people", "v1/leaders?span=week&of=people");
    for (path, pointer, to, said) in [
        ("v1/points", "/nodes/0/tasks", json!(99), "99 tasks, the log makes it"),
        ("v1/ledger", "/people/1/points/work", json!(0), "work of person"),
        ("v1/ledger", "/people/0/points/campaign", json!(7), "campaign of person"),
        ("v1/ledger", "/issued", json!("-5"), "issued: the relay says -5"),
        ("v1/ledger", "/owners", json!(i128::MAX.to_string()), "owners' budgets: "),
        ("v1/ledger", "/held", json!(i128::MAX.to_string()), "reserved and held: "),
        ("v1/leaders?span=day&of=nodes", "/nodes/1/fuel", json!(1), "at place 2 the relay has"),
        ("v1/leaders?span=week&of=nodes", "/nodes/0/node", json!(PublicKey([3; 32])), "at place 1"),
        ("v1/leaders?span=all&of=nodes", "/count", json!(1), "nodes: the relay says 1"),
        (day, "/people/0/key", json!(PublicKey([3; 32])), "at place 1 the relay has 0303"),
        (week, "/people/3", Value::Null, "at place 4 the relay has nobody"),
        ("v1/leaders?span=all&of=people", "/count", json!(9), "people: the relay says 9"),
        ("v1/leaders?span=day&of=teams", "/teams/0/earned", json!(1), "at place 1"),
        ("v1/leaders?span=week&of=teams", "/teams/0/members", json!(3), "members of team 0707"),
        ("v1/leaders?span=all&of=teams", "/count", json!(0), "teams: the relay says 0"),
    ] {
        let at = asked(path);
        let honest = served.answers[at].clone();
        match &to {
            Value::Null => drop(served.answers[at]["people"].as_array_mut().unwrap().remove(3)),
            to => *served.answers[at].pointer_mut(pointer).unwrap() = to.clone(),
        }
        let problems = served.replay().unwrap().problems;
        assert_eq!(problems.len(), 1, "{path} {pointer}: {problems:?}");
        assert!(problems[0].starts_with(&format!("/{path}, after entry ")), "{problems:?}");
        assert!(problems[0].contains(said), "{problems:?}");
        served.answers[at] = honest;
    }
    assert_eq!(served.replay().unwrap().problems, [""; 0]);
    served.answers[1] = json!({"people": "many"});
    assert!(served.replay().unwrap_err().starts_with("v1/ledger: an answer not understood"));
}

#[test]
fn answers_of_earlier_entries_are_held_against_those() {
    let mut served = Served::new(20);
    let before = served.answers.clone();
    let job = served.world.job(8, 100_000);
    served.world.compute(job, 0..8);
    served.world.tail(job);
    assert_eq!(served.replay().unwrap().problems, [""; 0]);
    assert_ne!(honest(&served.world)[1], before[1]);
    // Said of the end, they are wrong.
    let last = served.world.leaves().len() as u64;
    served.answers.iter_mut().for_each(|answer| answer["seq"] = last.into());
    assert_eq!(served.replay().unwrap().problems.len(), ASKED.len());
    // And of what is not in the log nobody can say.
    served.answers[0]["seq"] = (last + 1).into();
    let problems = served.replay().unwrap().problems;
    assert!(problems.last().unwrap().contains("past the"), "{problems:?}");
}

#[test]
fn entries_that_were_not_signed_are_found() {
    let mut served = Served::new(20);
    let last = served.world.leaves().len() as u64;
    served.spoilt = Some(TilePath::entries(0, last as u16));
    let verdict = served.replay().unwrap();
    assert!(verdict.problems[0].contains("root"), "{:?}", verdict.problems);
}

#[test]
fn every_settlement_can_be_proved() {
    let served = Served::new(150);
    let relay = served.world.relay();
    for seq in served.settlements().into_iter().step_by(20) {
        let file = served.prove(seq).unwrap();
        let report = proof::check(&file, Some(&relay));
        assert!(report.proven.is_some(), "{:?}", report.steps);
    }
}

#[test]
fn what_proves_nothing_is_refused() {
    let mut served = Served::new(20);
    assert!(served.prove(1).unwrap_err().contains("settles no task"));
    assert!(served.prove(1_000_000).unwrap_err().contains("not in the log"));
    let width = served.world.leaves().len() as u16;
    served.spoilt = Some(TilePath::hashes(0, 0, width));
    assert!(served.prove(served.settlements()[0]).is_err());
    let note = served.note();
    assert!(checkpoint(note.as_bytes(), &PublicKey([1; 32])).is_err());
    assert!(checkpoint(&note.as_bytes()[1..], &served.world.relay()).is_err());
}
