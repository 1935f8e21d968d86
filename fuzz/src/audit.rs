//! The auditor: leaves that a lying relay wrote, logs that an honest one wrote,
//! proof files, and the rules in the log.

use crate::{array, join, pieces};
use grid_audit::proof::{self, ProofFile, ProvenLeaf};
use grid_audit::testing::World;
use grid_audit::{Auditor, Finding, Keys, Read};
use grid_log::testing::MemoryLog;
use grid_protocol::Delegation;
use grid_protocol::api::JobState;
use grid_protocol::entry::Entry;
use grid_scheduler::Task;
use grid_scheduler::trust::Rules;
use std::sync::LazyLock;

const ERROR_PPB: u32 = 100_000;

/// A small honest log, with every kind of leaf that it writes by itself.
pub(crate) struct Log {
    world: World,
    pub(crate) entries: Vec<Entry>,
    keys: Keys,
    /// Number of a settlement's entry.
    settled: u64,
}

/// Made once: signing takes its time.
pub(crate) fn log() -> &'static Log {
    static LOG: LazyLock<Log> = LazyLock::new(|| {
        let mut world = World::new(4, Rules::default());
        let job = world.job(2, ERROR_PPB);
        world.compute(job, 0..2);
        world.tail(job);
        let node = world.nodes[0].public();
        let delegation = Delegation::sign(&world.nodes[1], &node);
        world.push(|at_ms| Entry::AccountLink { at_ms, node, delegation });
        world.end(job, JobState::Cancelled, 1);
        let count = world.leaves().len() as u64;
        let entries: Vec<Entry> = (1..=count).map(|seq| world.entry(seq).clone()).collect();
        let settled = entries.iter().position(|entry| matches!(entry, Entry::Settled { .. }));
        let settled = settled.expect("a task is settled") as u64 + 1;
        let keys = Keys::new(world.relay()).expect("a sound key");
        Log { world, entries, keys, settled }
    });
    &LOG
}

/// Leaves of a log, each after its length, as an auditor takes them: first all
/// with their signatures verified, then believed, to get further.
pub fn leaves(bytes: &[u8]) -> bool {
    let Log { world, keys, .. } = log();
    let leaves = pieces(bytes);
    let mut verified = Auditor::new(world.relay());
    let mut believed = Auditor::new(world.relay());
    let mut sound = true;
    for (seq, leaf) in (1..).zip(&leaves) {
        let (read, reread) = (keys.read(seq, leaf), keys.reread(seq, leaf));
        if let Ok(read) = &read {
            assert_eq!(reread.as_ref(), Ok(read), "verifying changes what is read");
        }
        sound &= read.is_ok();
        verified.apply(read);
        believed.apply(reread);
    }
    for auditor in [verified, believed] {
        let counts = auditor.counts();
        assert_eq!(counts.entries, leaves.len() as u64);
        assert!(counts.findings >= auditor.findings().len() as u64);
        auditor.points();
        auditor.balances();
    }
    sound
}

/// Seeds of [`leaves`].
pub fn leaves_seeds() -> Vec<Vec<u8>> {
    let all = log().world.leaves();
    vec![join(all), join(&all[..all.len() / 2])]
}

/// Seeds of the target `leaf`: one of each kind and tag.
pub fn leaf_seeds() -> Vec<Vec<u8>> {
    let mut leaves = log().world.leaves().to_vec();
    leaves.sort_by_key(|leaf| (leaf[0], leaf[3], leaf.len()));
    leaves.dedup_by_key(|leaf| (leaf[0], leaf[3]));
    leaves
}

/// What an honest relay does, as bytes say; an audit never finds anything.
pub fn honest_relay(bytes: &[u8]) -> bool {
    let ([nodes, liars], rest) = array(bytes);
    let mut world = World::new(1 + usize::from(nodes % 5), Rules::default());
    world.liars = (0..world.nodes.len()).filter(|at| liars >> at & 1 == 1).collect();
    let mut next = Vec::new();
    for &[what, which] in rest.as_chunks::<2>().0.iter().take(24) {
        let at = usize::from(which) % next.len().max(1);
        match what % 4 {
            0 if next.len() < 3 => next.push((world.job(40, ERROR_PPB), 0)),
            1 | 2 => {
                if let Some((job, from)) = next.get_mut(at) {
                    let until = (*from + u32::from(what >> 6)).min(40);
                    world.compute(*job, *from..until);
                    *from = until;
                }
            }
            _ => {
                if let Some((job, _)) = next.get(at) {
                    world.tail(*job);
                }
            }
        }
    }
    let findings = audit(&world);
    assert_eq!(findings, [], "an honest relay is accused");
    true
}

fn audit(world: &World) -> Vec<Finding> {
    let keys = Keys::new(world.relay()).expect("a sound key");
    let mut auditor = Auditor::new(world.relay());
    for (seq, leaf) in (1..).zip(world.leaves()) {
        auditor.apply(keys.read(seq, leaf));
    }
    assert!(auditor.balances());
    auditor.findings().to_vec()
}

/// Seeds of [`honest_relay`].
pub fn relay_seeds() -> Vec<Vec<u8>> {
    vec![vec![3, 0, 0, 0, 65, 0, 3, 0], vec![4, 2, 0, 0, 129, 0, 0, 1, 194, 1, 3, 1]]
}

/// A file that claims to prove a result.
pub fn proof_file(bytes: &[u8]) -> bool {
    let relay = log().world.relay();
    let report = proof::check(bytes, Some(&relay));
    if let Some(proven) = &report.proven {
        assert!(report.steps.iter().all(|step| step.ok) && !proven.nodes.is_empty());
        // Whatever else a file says, only what this log settled can be proven.
        let task = Task { job: proven.job, index: proven.index };
        let settled = log().entries.iter().any(|entry| {
            matches!(entry, Entry::Settled { job, index, .. }
                if *job == task.job && *index == task.index)
        });
        assert!(settled, "proven, and never settled");
    }
    report.proven.is_some()
}

/// Seeds of [`proof_file`].
pub fn proof_file_seeds() -> Vec<Vec<u8>> {
    let Log { world, settled, .. } = log();
    let mut memory = MemoryLog::default();
    memory.append(&world.hashes());
    let size = memory.tree.size();
    let proven = |seq: u64| {
        let inclusion = memory.tree.inclusion_proof(&memory.tiles, seq - 1, size);
        let inclusion = inclusion.expect("all tiles are there");
        ProvenLeaf { seq, leaf: world.leaves()[seq as usize - 1].clone(), inclusion }
    };
    let Entry::Settled { votes, .. } = world.entry(*settled) else { return Vec::new() };
    let file = ProofFile {
        grid_proof: 1,
        relay: world.relay(),
        settled: proven(*settled),
        votes: votes.iter().map(|seq| proven(*seq)).collect(),
        checkpoint: crate::log::signed(world.signer().clone(), size, memory.tree.root()),
    };
    vec![serde_json::to_vec(&file).expect("every key is text")]
}

/// The rules of trust, as they are logged; then an audit under these rules.
pub fn rules(bytes: &[u8]) -> bool {
    let Ok(rules) = Rules::decode(bytes) else { return false };
    assert_eq!((rules.encode(), rules.validate()), (bytes.to_vec(), Ok(())));
    let Log { world, keys, .. } = log();
    let mut auditor = Auditor::new(world.relay());
    auditor.apply(Ok(Read::Fact(Entry::Rules { at_ms: 0, rules: rules.encode() })));
    for (seq, leaf) in (2..).zip(&world.leaves()[1..]) {
        auditor.apply(keys.reread(seq, leaf));
    }
    auditor.points();
    true
}

/// Seeds of [`rules`].
pub fn rules_seeds() -> Vec<Vec<u8>> {
    let trusting = Rules { floor_ppm: 0, newcomer: 0, hold: 0, ..Rules::default() };
    vec![Rules::default().encode(), trusting.encode()]
}
