//! Proofs and replays from tiles as a log serves them, honest and not.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use grid_audit::proof;
use grid_audit::testing::World;
use grid_checker::prove::{Next, Prove, checkpoint};
use grid_checker::replay::{Replay, Verdict};
use grid_log::TileReader as _;
use grid_log::checkpoint::LogKey;
use grid_log::testing::MemoryLog;
use grid_log::tile::{TileLevel, TilePath, encode_bundle, encode_hashes};
use grid_protocol::PublicKey;
use grid_protocol::api::{Earned, PointsInfo};
use grid_protocol::entry::Leaf;
use grid_scheduler::trust::Rules;

/// A relay's log, and what the relay says beside it.
struct Served {
    world: World,
    points: PointsInfo,
    /// A tile that it serves altered.
    spoilt: Option<TilePath>,
}

impl Served {
    fn new(tasks: u32) -> Self {
        let mut world = World::new(4, Rules::default());
        let job = world.job(tasks, 100_000);
        world.compute(job, 0..tasks);
        world.tail(job);
        let mut served = Self {
            points: PointsInfo { seq: world.leaves().len() as u64, nodes: Vec::new() },
            world,
            spoilt: None,
        };
        // What an honest relay says is what the log makes it.
        let verdict = served.replay().unwrap();
        let said = |node: &grid_checker::replay::Computed| Earned {
            node: node.node,
            fuel: node.fuel,
            tasks: node.tasks,
        };
        served.points.nodes = verdict.nodes.iter().map(said).collect();
        served
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
        let mut replay = Replay::new(relay, signed, self.points.clone())?;
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
    assert_eq!(verdict.settled, 200);
    assert_eq!(verdict.nodes.len(), 4);
    assert!(verdict.nodes.iter().all(|node| node.agrees));
    assert!(verdict.nodes.is_sorted_by(|a, b| a.fuel >= b.fuel));
}

#[test]
fn credit_without_a_receipt_is_found() {
    let mut served = Served::new(20);
    served.points.nodes[2].fuel += 1;
    let liked = PublicKey([3; 32]);
    served.points.nodes.push(Earned { node: liked, fuel: 5, tasks: 1 });
    let verdict = served.replay().unwrap();
    assert_eq!(verdict.problems.len(), 2, "{:?}", verdict.problems);
    let differ: Vec<_> = verdict.nodes.iter().filter(|node| !node.agrees).collect();
    assert_eq!(differ.len(), 2);
    assert!(differ.iter().any(|node| node.node == liked && node.fuel == 0));
}

#[test]
fn points_from_past_the_log_are_found() {
    let mut served = Served::new(20);
    served.points.seq += 1;
    assert_eq!(served.replay().unwrap().problems.len(), 1);
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
