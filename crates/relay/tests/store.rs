//! The store's promises: all or nothing, once, without gaps, and every table a
//! function of the entries, however a commit ends.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use bytes::Bytes;
use grid_protocol::api::{JobState, ModuleInfo};
use grid_protocol::{
    Delegation, Digest, ExitReason, Files, JobId, LeaseId, Receipt, ReceiptBody, Side, SigningKey,
};
use grid_relay::store::{
    Accept, Blobs, CheckReport, NewBody, NewJobRow, NewTaskRow, Outcome, OwnerId, Refusal,
    SqliteStore, Store, Write, check,
};
use proptest::prelude::*;
use std::path::Path;

fn relay() -> SigningKey {
    SigningKey::from_seed([200; 32])
}

fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(&dir.join("grid.sqlite"), relay()).unwrap()
}

fn check_in(dir: &Path) -> CheckReport {
    let blobs = Blobs::open(&dir.join("blobs"), 1 << 20).unwrap();
    check(&dir.join("grid.sqlite"), &blobs, relay().public()).unwrap()
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
        exit_code: u32::from(lease % 2),
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
        id: job_id(job),
        owner: OwnerId(1),
        created_ms: 2,
        template,
        admitted: Digest::ZERO,
        admission: 1,
        module_bytes: 10,
        budget: 100 * u64::from(tasks),
        tasks: vec![task; usize::from(tasks)],
        bodies: vec![body],
    }))
}

fn accept(job: u8, index: u8, node: u8, lease: u8) -> Write {
    Write::Accept(Box::new(Accept {
        job: job_id(job),
        index: u32::from(index),
        receipt: receipt(node, lease, u64::from(lease % 101)),
        output: Some(output().into()),
        hint: None,
        at_ms: 3,
    }))
}

fn end(job: u8, state: JobState) -> Write {
    Write::EndJob { job: job_id(job), state, at_ms: 4 }
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        1 => (0u8..3).prop_map(|key| add_owner("ada", key)),
        1 => (0u8..3).prop_map(|key| add_owner("bob", key + 10)),
        1 => (0u8..3).prop_map(|key| Write::RevokeKey { hash: Digest::of(&[key + 10]), at_ms: 5 }),
        2 => (0u8..5, 1u8..4).prop_map(|(job, tasks)| submit(job, tasks)),
        8 => (0u8..5, 0u8..4, 1u8..4, 0u8..30)
            .prop_map(|(job, index, node, lease)| accept(job, index, node, lease)),
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
        batches in prop::collection::vec((prop::collection::vec(write(), 1..8), fate()), 1..12),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        store.commit(&[add_owner("ada", 77)]).unwrap();
        for (batch, fate) in &batches {
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
    // Another lease for the same task, another receipt for the same lease.
    let others = [accept(1, 0, 2, 51), accept(1, 1, 2, 50)];
    let refused = vec![Outcome::Refused(Refusal::TaskDone); 2];
    assert_eq!(store.commit(&others).unwrap(), refused);
    assert_eq!(entries(dir.path()).len(), before);
    check_in(dir.path());
}

#[test]
fn the_last_result_ends_the_job_and_refunds() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let writes = [add_owner("ada", 1), submit(1, 2), accept(1, 0, 1, 30), accept(1, 1, 1, 40)];
    let outcomes = store.commit(&writes).unwrap();
    assert!(matches!(outcomes[3], Outcome::Accepted { job_done: true, .. }));
    assert_eq!(
        store.commit(&[end(1, JobState::Cancelled)]).unwrap(),
        [Outcome::Ended(JobState::Done)]
    );
    let db = rusqlite::Connection::open(dir.path().join("grid.sqlite")).unwrap();
    let balance =
        |_: ()| db.query_row("SELECT balance FROM owners", [], |row| row.get::<_, i64>(0));
    assert_eq!(balance(()).unwrap(), 1_000 - 70);
    check_in(dir.path());
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
    let writes = [add_owner("ada", 1), submit(1, 2), accept(1, 0, 1, 7), submit(2, 1)];
    store.commit(&writes).unwrap();
    check_in(dir.path());
    let db = rusqlite::Connection::open(dir.path().join("grid.sqlite")).unwrap();
    db.execute_batch(sql).unwrap();
    let blobs = Blobs::open(&dir.path().join("blobs"), 1).unwrap();
    let error = check(&dir.path().join("grid.sqlite"), &blobs, relay().public()).unwrap_err();
    assert!(error.to_string().contains(expect), "{sql}: {error}");
}

#[test]
fn the_check_finds_damage() {
    damaged("DELETE FROM entries WHERE seq = 2", "entry 2 is missing");
    damaged(
        "DELETE FROM entries WHERE seq = 4; UPDATE entries SET seq = 4 WHERE seq = 5",
        "table nodes",
    );
    damaged("UPDATE owners SET balance = balance + 1", "table owners");
    damaged("UPDATE keys SET live = 0", "table keys");
    damaged("UPDATE nodes SET fuel = fuel + 1", "table nodes");
    damaged("UPDATE jobs SET spent = spent + 1", "table jobs");
    damaged("UPDATE jobs SET state = 2 WHERE row = 2", "table jobs");
    damaged("UPDATE tasks SET result = 4 WHERE id = 2", "table tasks");
    damaged("DELETE FROM leases", "table leases");
    damaged("DELETE FROM results", "table results");
    damaged("DELETE FROM outputs", "output that entry 4 names");
    damaged("UPDATE outputs SET bytes = x'00'", "output that entry 4 names");
    damaged("UPDATE results SET ack = zeroblob(64)", "entry 4 holds a signature");
    damaged(
        "UPDATE entries SET bytes = CAST(substr(bytes, 1, 40) || x'01' || substr(bytes, 42) AS BLOB) WHERE seq = 4",
        "entry 4 holds a signature",
    );
    damaged("UPDATE entries SET bytes = x'00' WHERE seq = 1", "kind 5 can't be decoded");
}
