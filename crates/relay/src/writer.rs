//! The one thread that writes. It takes every request that waits, commits them
//! together, lets the log follow, and only then tells anyone.

use crate::job::Job;
use crate::state::Shared;
use crate::store::{Outcome, Store, StoreError, Write};
use grid_protocol::JobId;
use grid_scheduler::trust::{Draw, Settlement};
use grid_scheduler::{Lease, Task};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait; senders wait beyond that.
const QUEUE: usize = 4096;
/// Most writes in one commit.
const BATCH: usize = 512;
/// Pause before a failed commit is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// Something to make durable, and what follows from it.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) write: Write,
    pub(crate) then: Then,
}

/// What follows once a write is durable. It is carried out by the writer, in
/// the order of commits, whether or not the caller still waits: the state in
/// memory follows from what is durable.
#[derive(Debug)]
pub(crate) enum Then {
    /// Nothing in memory changes.
    Nothing,
    /// The job's tasks can be leased.
    Start(Arc<Job>),
    /// The job's leases are over.
    End(JobId),
    /// The lease is over and its receipt a vote with this draw; its node is
    /// told.
    Vote(Lease, Draw),
    /// The relay's own run is a vote with this draw.
    Referee(Task, Draw),
    /// The task is settled.
    Settled(Box<Settlement>),
    /// Those who came can be drawn, those who left can't.
    Roster,
    /// The draw of the task's vote with this entry is made anew.
    Redrawn(Task, u64),
}

/// The write could not be made, and never will be: see the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotWritten;

pub(crate) type Answer = Result<Outcome, NotWritten>;

#[derive(Debug)]
pub(crate) enum Item {
    Request(Box<Request>, Option<oneshot::Sender<Answer>>),
    /// The log follows what other processes wrote.
    Follow,
    /// Everything before it is committed when this is dropped.
    Barrier(oneshot::Sender<()>),
    Stop,
}

/// Where requests go.
#[derive(Debug, Clone)]
pub(crate) struct Writer(mpsc::Sender<Item>);

impl Writer {
    pub(crate) fn channel() -> (Self, mpsc::Receiver<Item>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), receiver)
    }

    /// Queues a request; waits while the queue is full. An error means that the
    /// relay is shutting down.
    pub(crate) async fn send(&self, request: Request) -> Result<(), NotWritten> {
        self.0.send(Item::Request(Box::new(request), None)).await.map_err(|_| NotWritten)
    }

    /// Queues a request, and waits until it is durable.
    pub(crate) async fn ask(&self, request: Request) -> Answer {
        let (answer, answered) = oneshot::channel();
        let item = Item::Request(Box::new(request), Some(answer));
        self.0.send(item).await.map_err(|_| NotWritten)?;
        answered.await.unwrap_or(Err(NotWritten))
    }

    /// Waits until everything queued before is committed.
    pub(crate) async fn drained(&self) {
        let (barrier, passed) = oneshot::channel();
        if self.0.send(Item::Barrier(barrier)).await.is_ok() {
            let _ = passed.await;
        }
    }

    /// Lets the log follow what other processes wrote. While the queue is
    /// full, commits let it in any case.
    pub(crate) fn follow(&self) {
        let _ = self.0.try_send(Item::Follow);
    }

    pub(crate) async fn stop(&self) {
        let _ = self.0.send(Item::Stop).await;
    }
}

/// Starts the thread. It ends on [`Writer::stop`], and when the relay is gone.
pub(crate) fn spawn(
    mut store: Box<dyn Store>,
    mut queue: mpsc::Receiver<Item>,
    shared: Weak<Shared>,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("writer".into()).spawn(move || {
        let mut items = Vec::with_capacity(BATCH);
        loop {
            items.clear();
            if queue.blocking_recv_many(&mut items, BATCH) == 0 {
                return;
            }
            let Some(shared) = shared.upgrade() else { return };
            if !handle(&mut *store, &mut items, &shared) {
                return;
            }
        }
    })
}

/// Commits what was queued; false when the thread is to end.
fn handle(store: &mut dyn Store, items: &mut Vec<Item>, shared: &Shared) -> bool {
    let (mut writes, mut rest, mut barriers) = (Vec::new(), Vec::new(), Vec::new());
    let (mut go_on, mut follows) = (true, false);
    for item in items.drain(..) {
        match item {
            Item::Request(request, answer) => {
                writes.push(request.write);
                rest.push((request.then, answer));
            }
            Item::Follow => follows = true,
            Item::Barrier(barrier) => barriers.push(barrier),
            Item::Stop => go_on = false,
        }
    }
    if !writes.is_empty() {
        let Some(answers) = commit(store, &writes, shared) else { return false };
        if !follow(shared) {
            return false;
        }
        let done = writes.into_iter().zip(rest).zip(answers);
        let mut waiting = Vec::new();
        shared.committed(done.map(|((write, (then, answer)), outcome)| {
            if let Some(answer) = answer {
                waiting.push((answer, outcome.clone()));
            }
            (write, then, outcome)
        }));
        for (answer, outcome) in waiting {
            // A caller that no longer waits has nothing to be told.
            let _ = answer.send(outcome);
        }
    }
    if follows && let Err(error) = shared.log.follow() {
        tracing::error!(%error, "the log can't follow the store");
    }
    drop(barriers);
    go_on
}

/// Tries until the log has followed: what is durable is told with a root that
/// covers it, or not at all. False when the relay is stopped first.
fn follow(shared: &Shared) -> bool {
    loop {
        let Err(error) = shared.log.follow() else {
            shared.store_works(true);
            return true;
        };
        if shared.store_works(false) {
            tracing::error!(%error, "the log can't follow the store; trying again");
        }
        if shared.stopping.load(Ordering::Relaxed) {
            return false;
        }
        // tidy-allow(sleep): the disk may be read again later.
        std::thread::sleep(RETRY);
    }
}

/// Tries until the store says yes. `None` when the relay is stopped first.
fn commit(store: &mut dyn Store, writes: &[Write], shared: &Shared) -> Option<Vec<Answer>> {
    loop {
        let start = Instant::now();
        match store.commit(writes) {
            Ok(outcomes) => {
                shared.store_works(true);
                shared.metrics.commit_writes.observe(writes.len() as f64);
                let took = start.elapsed();
                shared.metrics.commit_seconds.observe(took.as_secs_f64());
                shared.metrics.latest.committed(took);
                return Some(outcomes.into_iter().map(Ok).collect());
            }
            Err(error) if is_of_the_write(&error) => {
                let [write] = writes else {
                    // One of them can't be written: the others can.
                    let alone = writes
                        .iter()
                        .map(|write| commit(store, std::slice::from_ref(write), shared)?.pop());
                    return alone.collect();
                };
                tracing::error!(%error, write = name(write), "a write can't be made");
                return Some(vec![Err(NotWritten)]);
            }
            Err(error) => {
                if shared.store_works(false) {
                    tracing::error!(%error, "the store does not take writes; trying again");
                }
                if shared.stopping.load(Ordering::Relaxed) {
                    return None;
                }
                // tidy-allow(sleep): the disk may take writes again later.
                std::thread::sleep(RETRY);
            }
        }
    }
}

/// Errors that lie in what is written, not in the disk.
fn is_of_the_write(error: &StoreError) -> bool {
    use rusqlite::ErrorCode::{ConstraintViolation, TooBig, TypeMismatch};
    match error {
        StoreError::Database(error) => match error.sqlite_error_code() {
            Some(code) => matches!(code, ConstraintViolation | TooBig | TypeMismatch),
            // Not from SQLite: a value that can't be bound or read.
            None => true,
        },
        _ => true,
    }
}

fn name(write: &Write) -> &'static str {
    match write {
        Write::AddOwner { .. } => "add_owner",
        Write::RevokeKey { .. } => "revoke_key",
        Write::LinkAccount { .. } => "link_account",
        Write::PutModule { .. } => "put_module",
        Write::PutModel(_) => "put_model",
        Write::RemoveModel { .. } => "remove_model",
        Write::PutInput { .. } => "put_input",
        Write::SubmitJob(_) => "submit_job",
        Write::EndJob { .. } => "end_job",
        Write::Accept(_) => "accept",
        Write::Settle(_) => "settle",
        Write::People(_) => "people",
        Write::Log(_) => "log",
    }
}
