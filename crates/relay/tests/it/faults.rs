//! What owners and nodes see while the store fails.

use crate::common::{self, BUDGET, Fixture, Node, Owner, receive, until};
use grid_protocol::{FromNode, RefuseCode, ToNode};
use grid_relay::store::{Outcome, Store, StoreError, Write};
use grid_relay::{Config, Relay};
use reqwest::Method;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const FINE: u8 = 0;
/// Says no, and keeps nothing.
const LOSE: u8 = 1;
/// Says no once, and keeps everything; then says no.
const KEEP: u8 = 2;

struct Faulty {
    store: Box<dyn Store>,
    mode: Arc<AtomicU8>,
}

impl Store for Faulty {
    fn commit(&mut self, writes: &[Write]) -> Result<Vec<Outcome>, StoreError> {
        let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
        let full = StoreError::Database(rusqlite::Error::SqliteFailure(full, None));
        match self.mode.load(Ordering::SeqCst) {
            FINE => self.store.commit(writes),
            KEEP => {
                self.store.commit(writes)?;
                self.mode.store(LOSE, Ordering::SeqCst);
                Err(full)
            }
            _ => Err(full),
        }
    }
}

async fn start() -> (Fixture, Arc<AtomicU8>) {
    let dir = tempfile::tempdir().unwrap();
    let mode = Arc::new(AtomicU8::new(FINE));
    let faults = mode.clone();
    let wrap = move |store| -> Box<dyn Store> { Box::new(Faulty { store, mode: faults }) };
    let relay = Relay::start_with(Config::for_test(dir.path()), wrap).await.unwrap();
    let key = relay.add_owner("ada", BUDGET).await.unwrap();
    let owner = Owner { base: format!("http://{}", relay.address()), key };
    (Fixture { dir, relay, owner }, mode)
}

/// How many entries there are of this kind.
fn entries_of(relay: &Fixture, kind: u8) -> i64 {
    let db = rusqlite::Connection::open(relay.dir.path().join("grid.sqlite")).unwrap();
    let count = "SELECT count(*) FROM entries WHERE kind = ?1";
    db.query_row(count, [kind], |row| row.get(0)).unwrap()
}

async fn a_result_survives(fault: u8) {
    let (relay, mode) = start().await;
    let info = relay.owner.submit_job(&[b"1", b"2"], None).await;
    let mut node = relay.node(1).await;
    node.ready(1).await;
    let offer = node.lease().await;
    let result = node.result(&offer, b"", 1);

    mode.store(fault, Ordering::SeqCst);
    node.ready(1).await;
    node.send_result(&result).await;
    until(|| async { relay.owner.get("/healthz").await.0 == 503 }).await;
    // Nothing is promised meanwhile, and no work given.
    let put = relay.owner.error(Method::POST, "/v1/jobs", "{}").await;
    assert_eq!(put, (503, "store_unavailable".into()));
    assert_eq!(relay.metric("grid_store_works").await, 0.0);
    let mut refused = common::connect(&relay.relay).await;
    let hello = FromNode::Hello { versions: vec![1], agent: String::new() };
    common::send(&mut refused, &hello).await;
    let answer = receive(&mut refused).await;
    let Some(ToNode::Refused { code, .. }) = answer else { panic!("{answer:?}") };
    assert_eq!(code, RefuseCode::Closing.number());
    // What is there can still be read.
    assert_eq!(relay.owner.job(info.id).await.tasks, 2);
    // The node loses its socket, and with it what it was told.
    drop(node);

    mode.store(FINE, Ordering::SeqCst);
    until(|| async { relay.owner.get("/healthz").await.0 == 200 }).await;
    let mut node = Node::join(&relay.relay, 1, &[offer.lease]).await;
    let seq = node.deliver(&result).await;
    assert_eq!(node.deliver(&result).await, seq);
    node.ready(1).await;
    let offer = node.lease().await;
    let result = node.result(&offer, b"", 1);
    node.deliver(&result).await;
    assert_eq!(relay.owner.results(info.id).await.len(), 2);
    assert_eq!(relay.owner.account().await, BUDGET - 2);
    assert_eq!(relay.metric("grid_receipts_accepted_total").await, 2.0);
    assert_eq!(relay.metric("grid_recoveries_total{reason=\"store\"}").await, 1.0);
    relay.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_failed_and_was_lost() {
    a_result_survives(LOSE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_failed_and_was_kept() {
    a_result_survives(KEEP).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_outlive_an_outage() {
    let (relay, mode) = start().await;
    relay.owner.submit_job(&[b"1"], None).await;
    let mut node = relay.node(1).await;
    node.ready(1).await;
    let offer = node.lease().await;
    // That the node came is an entry too: the next write is the owner's.
    until(|| async { entries_of(&relay, 4) == 1 }).await;
    mode.store(LOSE, Ordering::SeqCst);
    let other = relay.owner.clone();
    let doubtful = tokio::spawn(async move { other.submit_job(&[b"x"], None).await });
    until(|| async { relay.owner.get("/healthz").await.0 == 503 }).await;
    mode.store(FINE, Ordering::SeqCst);
    // Whoever still waits when it is over gets the true answer.
    let info = doubtful.await.unwrap();
    assert_eq!(relay.owner.job(info.id).await.tasks, 1);
    let result = node.result(&offer, b"", 1);
    node.deliver(&result).await;
    relay.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_store_does_not_keep_the_relay_from_stopping() {
    let (relay, mode) = start().await;
    relay.owner.submit_job(&[b"1"], None).await;
    let mut node = relay.node(1).await;
    node.ready(1).await;
    let offer = node.lease().await;
    mode.store(LOSE, Ordering::SeqCst);
    let result = node.result(&offer, b"", 1);
    node.send_result(&result).await;
    until(|| async { relay.owner.get("/healthz").await.0 == 503 }).await;
    let stopped = tokio::spawn(relay.finish());
    let answer = node.receive().await;
    let ToNode::Refused { code, .. } = answer else { panic!("acknowledged: {answer:?}") };
    assert_eq!(code, RefuseCode::Closing.number());
    stopped.await.unwrap();
}
