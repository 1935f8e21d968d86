//! The store's promises: all or nothing, once, without gaps, and every table a
//! function of the entries, however a commit ends.

use bytes::Bytes;
use grid_protocol::api::{JobState, ModuleInfo};
use grid_protocol::entry::{MAX_ROSTER, Member, Unanswered};
use grid_protocol::{
    Delegation, Digest, ExitReason, Files, JobId, LeaseId, PublicKey, Receipt, ReceiptBody,
    Runtime, Side, SigningKey,
};
use grid_relay::store::{
    Accept, Blobs, CheckReport, Entry, NewBody, NewJobRow, NewTaskRow, Outcome, OwnerId, Refusal,
    Settle, SqliteStore, Store, Write, check,
};
use proptest::prelude::*;
use std::path::Path;

fn relay() -> SigningKey {
    SigningKey::from_seed([200; 32])
}

const SECRET: Digest = Digest([9; 32]);

fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(&dir.join("grid.sqlite"), SECRET).unwrap()
}

fn check_in(dir: &Path) -> CheckReport {
    let blobs = Blobs::open(&dir.join("blobs"), 1 << 20).unwrap();
    check(&dir.join("grid.sqlite"), &blobs, &SECRET).unwrap()
}

/// Entries of the votes on a task, in order, and the answer of each.
fn votes(dir: &Path, job: u8, index: u8) -> Vec<(u64, Digest)> {
    let entries = entries(dir);
    let entries = entries.iter().map(|(kind, bytes)| Entry::decode(*kind, bytes).unwrap());
    let votes = entries.zip(1..).filter_map(|(entry, seq)| match entry {
        Entry::Receipt { job: of, index: at, receipt, .. }
            if (of, at) == (job_id(job), index.into()) =>
        {
            Some((seq, receipt.body.answer()))
        }
        _ => None,
    });
    votes.collect()
}

/// Settles a task for the answer of its `first` vote, if it has so many.
fn settle(dir: &Path, job: u8, index: u8, first: usize) -> Write {
    let votes = votes(dir, job, index);
    let mut seqs: Vec<u64> = votes.iter().map(|(seq, _)| *seq).collect();
    let first = first.min(seqs.len().saturating_sub(1));
    let answer = votes.get(first).map_or(Digest::ZERO, |(_, answer)| *answer);
    if !seqs.is_empty() {
        seqs.swap(0, first);
    }
    settle_by(job, index, answer, seqs)
}

fn settle_by(job: u8, index: u8, answer: Digest, votes: Vec<u64>) -> Write {
    let (job, index) = (job_id(job), index.into());
    Write::Settle(Box::new(Settle { job, index, answer, votes, at_ms: 8 }))
}

/// Every entry: kind and bytes, in order.
fn entries(dir: &Path) -> Vec<(u8, Vec<u8>)> {
    let db = rusqlite::Connection::open(dir.join("grid.sqlite")).unwrap();
    let mut query = db.prepare("SELECT kind, bytes FROM entries ORDER BY seq").unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(|row| row.unwrap()).collect()
}

fn job_id(job: u8) -> JobId {
    JobId([job; 16])
}

fn receipt(node: u8, lease: u8, fuel: u64) -> Receipt {
    let key = SigningKey::from_seed([node; 32]);
    let body = ReceiptBody {
        relay: relay().public(),
        lease: LeaseId([lease; 16]),
        spec: Digest::of(b"spec"),
        input: Digest::of(b"input"),
        reason: ExitReason::Exit,
        exit_code: u32::from(lease / 10 % 2),
        output: Digest::of(&output()),
        check: Digest::ZERO,
        fuel,
        node: key.public(),
    };
    body.sign(&key).verify().unwrap()
}

fn output() -> Vec<u8> {
    Files::new(Side::Output).encode()
}

fn add_owner(name: &str, key: u8) -> Write {
    let hash = Digest::of(&[key]);
    Write::AddOwner { name: name.into(), hash, budget: 1_000, at_ms: 1 }
}

/// Every task has a fuel limit of 100.
fn submit(job: u8, tasks: u8) -> Write {
    let bytes = Bytes::from(Files::stdin(vec![job]).encode());
    let body = NewBody { digest: Digest::of(&bytes), size: bytes.len() as u64, bytes: Some(bytes) };
    let task = NewTaskRow { name: "t".into(), input: body.digest, input_bytes: body.size };
    let template = format!(r#"{{"module":"{}","fuel":100,"tasks":[]}}"#, Digest::ZERO);
    Write::SubmitJob(Box::new(NewJobRow {
        runtime: Runtime::Wasm,
        id: job_id(job),
        owner: OwnerId(1),
        created_ms: 2,
        template,
        admitted: Digest::ZERO,
        admission: 1,
        module_bytes: 10,
        budget: 100 * u64::from(tasks),
        fuel: 100,
        error_ppb: 1,
        tasks: vec![task; usize::from(tasks)],
        bodies: vec![body],
    }))
}

fn accept(job: u8, index: u8, node: u8, lease: u8) -> Write {
    Write::Accept(Box::new(Accept {
        job: job_id(job),
        index: u32::from(index),
        // Leases of one tens agree.
        receipt: receipt(node, lease, u64::from(lease / 10 * 10)),
        draw: [lease; 80],
        output: Some(output().into()),
        hint: None,
        at_ms: 3,
    }))
}

fn end(job: u8, state: JobState) -> Write {
    Write::EndJob { job: job_id(job), state, at_ms: 4 }
}

fn logged() -> impl Strategy<Value = Entry> {
    let key = |node: u8| SigningKey::from_seed([node; 32]).public();
    let member = move |node| Member { node: key(node), network: [1; 8], account: [0; 8] };
    prop_oneof![
        (0u64..3, 1u8..4).prop_map(move |(at_ms, node)| Entry::Roster {
            at_ms,
            removed: vec![],
            added: vec![member(node)],
        }),
        (0u64..3, 1u8..4).prop_map(move |(at_ms, node)| Entry::Unanswered {
            at_ms,
            seq: 4,
            place: 0,
            node: key(node),
            why: Unanswered::Busy,
        }),
        (0u64..3, 1u8..4).prop_map(move |(at_ms, node)| Entry::Refused {
            at_ms,
            node: key(node),
            lease: LeaseId([1; 16]),
            code: 3,
            receipt: Digest::ZERO,
        }),
        (0u64..3).prop_map(|at_ms| Entry::Rules { at_ms, rules: vec![1, 2] }),
    ]
}

/// What a batch holds: settlements are made of what is there by then.
#[derive(Debug, Clone)]
enum Step {
    Write(Box<Write>),
    Settle(u8, u8, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => write().prop_map(|write| Step::Write(Box::new(write))),
        1 => (0u8..5, 0u8..4, 0usize..3).prop_map(|(job, index, at)| Step::Settle(job, index, at)),
    ]
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        1 => logged().prop_map(Write::Log),
        1 => (0u8..3).prop_map(|key| add_owner("ada", key)),
        1 => (0u8..3).prop_map(|key| add_owner("bob", key + 10)),
        1 => (0u8..3).prop_map(|key| Write::RevokeKey { hash: Digest::of(&[key + 10]), at_ms: 5 }),
        2 => (0u8..5, 1u8..4).prop_map(|(job, tasks)| submit(job, tasks)),
        8 => (0u8..5, 0u8..4, 1u8..4, 0u8..30, any::<u64>())
            .prop_map(|(job, index, node, lease, at_ms)| match accept(job, index, node, lease) {
                // The clock may jump.
                Write::Accept(accept) => Write::Accept(Box::new(Accept { at_ms, ..*accept })),
                other => other,
            }),
        1 => (0u8..5, any::<bool>()).prop_map(|(job, cancelled)| {
            end(job, if cancelled { JobState::Cancelled } else { JobState::OutOfBudget })
        }),
        1 => (0u8..3).prop_map(|node| {
            let account = SigningKey::from_seed([100 + node; 32]);
            let node = SigningKey::from_seed([node + 1; 32]).public();
            let delegation = Delegation::sign(&account, &node);
            Write::LinkAccount { node, delegation, at_ms: 6 }
        }),
        1 => (0u8..2).prop_map(|module| Write::PutModule {
            owner: OwnerId(1),
            info: ModuleInfo {
                source: Digest::of(&[module]),
                admitted: Digest::ZERO,
                admission: 1,
                source_bytes: 1,
                admitted_bytes: 2,
                memory_pages: 3,
            },
        }),
    ]
}

/// How one commit ends.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// As it should.
    Fine,
    /// The store says no, and has kept everything.
    Kept,
    /// The process dies after it.
    Killed,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![2 => Just(Fate::Fine), 1 => Just(Fate::Kept), 1 => Just(Fate::Killed)]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn what_was_kept_is_recognised(
        batches in prop::collection::vec((prop::collection::vec(step(), 1..8), fate()), 1..12),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        store.commit(&[add_owner("ada", 77)]).unwrap();
        for (batch, fate) in &batches {
            let batch: Vec<Write> = batch.iter().map(|step| match step {
                Step::Write(write) => (**write).clone(),
                Step::Settle(job, index, first) => settle(dir.path(), *job, *index, *first),
            }).collect();
            let batch = &batch;
            let outcomes = store.commit(batch).unwrap();
            let kept = entries(dir.path());
            match fate {
                Fate::Fine => continue,
                Fate::Kept => {}
                // As SIGKILL leaves it: nothing is closed.
                Fate::Killed => std::mem::forget(std::mem::replace(&mut store, open(dir.path()))),
            }
            // Nobody was told what came of it, so it is done again.
            let again = store.commit(batch).unwrap();
            let mut refused = 0;
            for (outcome, again) in outcomes.iter().zip(&again) {
                match (outcome, again) {
                    // A refusal may have lost its reason since; nobody was told.
                    (Outcome::Refused(_), _) => refused += 1,
                    (Outcome::Accepted { .. }, _) => {
                        prop_assert_eq!(accepted(outcome), accepted(again));
                    }
                    _ => prop_assert_eq!(outcome, again),
                }
            }
            let now = entries(dir.path());
            prop_assert_eq!(&now[..kept.len()], &kept);
            prop_assert!(refused > 0 || now.len() == kept.len(), "something was kept twice");
        }
        let report = check_in(dir.path());
        prop_assert!(report.credited <= report.receipts);
        prop_assert_eq!(report.entries, entries(dir.path()).len() as u64);
    }
}

fn accepted(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Accepted { seq, .. } => *seq,
        other => panic!("not accepted: {other:?}"),
    }
}

#[test]
fn a_receipt_is_one_entry_however_often_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let set_up = [add_owner("ada", 1), submit(1, 2)];
    store.commit(&set_up).unwrap();
    let twice = store.commit(&[accept(1, 0, 1, 50), accept(1, 0, 1, 50)]).unwrap();
    assert_eq!(accepted(&twice[0]), accepted(&twice[1]));
    let before = entries(dir.path()).len();
    // Another receipt for the same lease, the same node's second vote.
    let others = [accept(1, 1, 2, 50), accept(1, 0, 1, 51)];
    let refused = vec![Outcome::Refused(Refusal::TaskDone); 2];
    assert_eq!(store.commit(&others).unwrap(), refused);
    assert_eq!(entries(dir.path()).len(), before);
    // Another node's vote is one more.
    let second = store.commit(&[accept(1, 0, 2, 52)]).unwrap();
    assert_eq!(second, [Outcome::Accepted { seq: before as u64 + 1, again: false }]);
    check_in(dir.path());
}

fn table(dir: &Path, sql: &str) -> Vec<i64> {
    let db = rusqlite::Connection::open(dir.join("grid.sqlite")).unwrap();
    let mut query = db.prepare(sql).unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    rows.map(|row| row.unwrap()).collect()
}

#[test]
fn a_settlement_pays_those_who_agree_and_the_last_one_refunds() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    // Fuel is 30, 30 and 40: the third node disagrees. The relay's own run
    // agrees, and is not paid.
    let votes = [accept(1, 0, 1, 30), accept(1, 0, 2, 31), accept(1, 0, 3, 40)];
    store.commit(&[&[add_owner("ada", 1), submit(1, 2)], &votes[..]].concat()).unwrap();
    store.commit(&[accept(1, 0, 200, 32), accept(1, 1, 1, 20)]).unwrap();
    assert_eq!(table(dir.path(), "SELECT count(*) FROM nodes"), [0]);
    let first = settle(dir.path(), 1, 0, 1);
    let settled = store.commit(std::slice::from_ref(&first)).unwrap();
    let [Outcome::Settled { seq, job_done: false }] = settled[..] else { panic!("{settled:?}") };
    assert_eq!(table(dir.path(), "SELECT fuel FROM nodes ORDER BY fuel"), [30, 30]);
    assert_eq!(table(dir.path(), "SELECT spent FROM jobs"), [60]);
    assert_eq!(table(dir.path(), "SELECT count(*) FROM decisions"), [3]);
    assert_eq!(store.commit(&[first]).unwrap(), [Outcome::Settled { seq, job_done: false }]);
    // A vote that comes too late, another decision.
    let late = [accept(1, 0, 4, 33), settle(dir.path(), 1, 0, 0)];
    assert_eq!(store.commit(&late).unwrap(), vec![Outcome::Refused(Refusal::TaskDone); 2]);

    let last = settle(dir.path(), 1, 1, 0);
    for _ in 0..2 {
        let settled = store.commit(std::slice::from_ref(&last)).unwrap();
        assert!(matches!(settled[..], [Outcome::Settled { job_done: true, .. }]), "{settled:?}");
    }
    let cancelled = store.commit(&[end(1, JobState::Cancelled)]).unwrap();
    assert_eq!(cancelled, [Outcome::Ended(JobState::Done)]);
    assert_eq!(table(dir.path(), "SELECT balance FROM owners"), [1_000 - 80]);
    let report = check_in(dir.path());
    assert_eq!((report.receipts, report.credited, report.fuel), (5, 3, 80));
}

#[test]
fn a_settlement_names_all_votes_and_is_covered_by_the_budget() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.commit(&[add_owner("ada", 1), submit(1, 1), accept(1, 0, 1, 50)]).unwrap();
    let only_one = settle(dir.path(), 1, 0, 0);
    store.commit(&[accept(1, 0, 2, 51), accept(1, 0, 3, 52)]).unwrap();
    let votes = votes(dir.path(), 1, 0);
    let (seqs, answer): (Vec<u64>, _) = (votes.iter().map(|(seq, _)| *seq).collect(), votes[0].1);
    let twice = settle_by(1, 0, answer, [&seqs[..], &seqs[..1]].concat());
    let foreign = settle_by(1, 0, answer, vec![1, 2, 3]);
    let other_answer = settle_by(1, 0, Digest::ZERO, seqs);
    let none = settle_by(1, 0, answer, vec![]);
    let refused = store.commit(&[only_one, twice, foreign, other_answer, none]).unwrap();
    assert_eq!(refused, vec![Outcome::Refused(Refusal::OtherVotes); 5]);
    // Three times 50 is more than the job's 100.
    let all = settle(dir.path(), 1, 0, 0);
    assert_eq!(store.commit(&[all]).unwrap(), [Outcome::Refused(Refusal::OverBudget)]);
    let over = [end(1, JobState::OutOfBudget), settle(dir.path(), 1, 0, 0)];
    assert_eq!(store.commit(&over).unwrap()[1], Outcome::Refused(Refusal::JobOver));
    check_in(dir.path());
}

#[test]
fn facts_are_logged_once_and_only_those() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let rules = Write::Log(Entry::Rules { at_ms: 1, rules: vec![1] });
    let later = Write::Log(Entry::Rules { at_ms: 2, rules: vec![1] });
    let facts = [rules.clone(), later, rules];
    assert_eq!(store.commit(&facts).unwrap(), vec![Outcome::Done; 3]);
    assert_eq!(entries(dir.path()).len(), 2);
    let node = PublicKey([1; 32]);
    let long = Entry::Roster { at_ms: 1, removed: vec![node; MAX_ROSTER + 1], added: vec![] };
    let votes = vec![1];
    let settled =
        Entry::Settled { at_ms: 1, job: job_id(1), index: 0, answer: Digest::ZERO, votes };
    let refused = store.commit(&[Write::Log(long), Write::Log(settled)]).unwrap();
    assert_eq!(refused, vec![Outcome::Refused(Refusal::NotAFact); 2]);
    check_in(dir.path());
}

#[test]
fn another_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let db = rusqlite::Connection::open(dir.path().join("grid.sqlite")).unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    let error = SqliteStore::open(&dir.path().join("grid.sqlite"), SECRET).unwrap_err();
    assert_eq!(error.to_string(), "the database has version 1; this build knows version 5");
}

#[test]
fn an_owner_cannot_reserve_more_than_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let outcomes = store.commit(&[add_owner("ada", 1), submit(1, 6), submit(2, 5)]).unwrap();
    assert_eq!(outcomes[2], Outcome::Refused(Refusal::BudgetTooSmall { balance: 400 }));
    assert_eq!(
        store.commit(&[accept(2, 0, 1, 9)]).unwrap(),
        [Outcome::Refused(Refusal::NoSuchJob)]
    );
}

#[test]
fn a_copy_made_at_any_moment_opens_and_holds() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.commit(&[add_owner("ada", 1), submit(1, 3)]).unwrap();
    for index in 0..3 {
        store.commit(&[accept(1, index, 1, 10 + index)]).unwrap();
        // What a crash would leave now: database and log, nothing closed.
        let copy = tempfile::tempdir().unwrap();
        for name in ["grid.sqlite", "grid.sqlite-wal"] {
            std::fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
        }
        drop(open(copy.path()));
        assert_eq!(check_in(copy.path()).receipts, u64::from(index) + 1);
        assert_eq!(entries(copy.path()), entries(dir.path()));
    }
}

/// `sql` damages a store; the check must say so.
fn damaged(sql: &str, expect: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let unanswered = Entry::Unanswered {
        at_ms: 1,
        seq: 4,
        place: 0,
        node: PublicKey([1; 32]),
        why: Unanswered::Silent,
    };
    let writes = [
        add_owner("ada", 1),
        submit(1, 2),
        accept(1, 0, 1, 7),
        submit(2, 1),
        Write::Log(unanswered),
        accept(1, 1, 1, 8),
    ];
    store.commit(&writes).unwrap();
    // Entries 1 to 7, and this is 8.
    store.commit(&[settle(dir.path(), 1, 0, 0)]).unwrap();
    check_in(dir.path());
    let db = rusqlite::Connection::open(dir.path().join("grid.sqlite")).unwrap();
    db.execute_batch(sql).unwrap();
    let blobs = Blobs::open(&dir.path().join("blobs"), 1).unwrap();
    let error = check(&dir.path().join("grid.sqlite"), &blobs, &SECRET).unwrap_err();
    assert!(error.to_string().contains(expect), "{sql}: {error}");
}

#[test]
fn the_check_finds_damage() {
    damaged("DELETE FROM entries WHERE seq = 2", "entry 2 is missing");
    damaged("DELETE FROM entries WHERE seq = 8", "table nodes");
    damaged(
        "DELETE FROM entries WHERE seq = 4;
         UPDATE entries SET seq = seq - 1 WHERE seq > 4;
         UPDATE outputs SET seq = seq - 1 WHERE seq > 4",
        "entry 7 contradicts",
    );
    damaged("UPDATE owners SET balance = balance + 1", "table owners");
    damaged("UPDATE owners SET name = 'bob'", "table owners");
    damaged("UPDATE keys SET live = 0", "table keys");
    damaged("UPDATE nodes SET fuel = fuel + 1", "table nodes");
    damaged("UPDATE jobs SET spent = spent + 1", "table jobs");
    damaged("UPDATE jobs SET voted = voted + 1", "table jobs");
    damaged("UPDATE jobs SET tasks = tasks + 1 WHERE row = 2", "table jobs");
    damaged("UPDATE jobs SET state = 2 WHERE row = 2", "table jobs");
    damaged("UPDATE tasks SET result = 4 WHERE id = 2", "table tasks");
    damaged("UPDATE tasks SET settled = NULL", "table tasks");
    damaged("DELETE FROM leases", "table leases");
    damaged("DELETE FROM votes WHERE seq = 4", "table votes");
    damaged("DELETE FROM results WHERE final = 0", "table results");
    damaged("DELETE FROM results WHERE final = 1", "table results");
    damaged("DELETE FROM decisions WHERE seq = 6", "table decisions");
    damaged("DELETE FROM facts", "table facts");
    damaged("DELETE FROM outputs WHERE seq = 4", "output that entry 4 names");
    damaged("UPDATE outputs SET bytes = x'00' WHERE seq = 4", "output that entry 4 names");
    let flip = |seq, at| {
        format!(
            "UPDATE entries SET bytes = CAST(substr(bytes, 1, {at}) || x'01' ||
                 substr(bytes, {at} + 2) AS BLOB) WHERE seq = {seq}"
        )
    };
    damaged(&flip(4, 200), "entry 4 holds a signature");
    // The answer, and a vote's number, of what settled a task.
    damaged(&flip(8, 40), "entry 8 contradicts");
    damaged(&flip(8, 64), "entry 8 contradicts");
    damaged("UPDATE entries SET bytes = x'00' WHERE seq = 1", "kind 5 can't be decoded");
}
