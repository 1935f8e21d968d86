//! What every part of the relay shares.

use crate::Config;
use crate::bodies::Bodies;
use crate::core::{Core, random};
use crate::job::Job;
use crate::metrics::Metrics;
use crate::network::Snapshot;
use crate::store::{Blobs, JobRow, Outcome, Reads, Refusal, StoreError, TaskRow, Write, rows};
use crate::writer::{Answer, Request, Then, Writer};
use grid_protocol::api::{JobState, ReceiptInfo};
use grid_protocol::{
    Digest, JobId, LeaseId, LeaseOffer, LeaseToken, PublicKey, RejectCode, SigningKey, ToNode,
};
use grid_scheduler::Settings;
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

/// Bodies that may be in memory at a time, in mebibytes (three copies of one
/// are counted: as received, as decoded, as written).
const BODY_MEBIBYTES: usize = 512;
/// Modules that may be admitted at a time.
const ADMISSIONS: usize = 2;
/// Open streams of the status page.
const LIVE_STREAMS: usize = 256;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    /// Keeps other relays out of the data directory.
    pub(crate) lock: File,
    pub(crate) relay: PublicKey,
    pub(crate) origin: String,
    pub(crate) writer: Writer,
    pub(crate) reads: Reads,
    pub(crate) blobs: Blobs,
    pub(crate) bodies: Bodies,
    pub(crate) metrics: Metrics,
    pub(crate) snapshot: Snapshot,
    pub(crate) sockets: AtomicUsize,
    pub(crate) body_memory: Semaphore,
    pub(crate) admissions: Semaphore,
    pub(crate) live_streams: Semaphore,
    /// No new work is taken or given.
    pub(crate) stopping: AtomicBool,
    /// Everything that waits ends now.
    pub(crate) stop: watch::Sender<bool>,
    /// Connections and sockets that are open.
    pub(crate) tracker: TaskTracker,
    core: Mutex<Core>,
    works: AtomicBool,
    /// Makes lease tokens: a token is a function of its lease.
    secret: [u8; 32],
    start: Instant,
    runtime: tokio::runtime::Handle,
}

impl Shared {
    pub(crate) fn new(
        config: Config,
        lock: File,
        key: &SigningKey,
        origin: String,
        writer: Writer,
        reads: Reads,
        blobs: Blobs,
    ) -> Self {
        let milliseconds = |duration: std::time::Duration| duration.as_millis() as u64;
        let settings = Settings {
            lease_ms: milliseconds(config.lease_deadline),
            grace_ms: milliseconds(config.grace),
            ..Settings::default()
        };
        Self {
            config,
            lock,
            relay: key.public(),
            origin,
            writer,
            reads,
            blobs,
            bodies: Bodies::default(),
            metrics: Metrics::new(),
            snapshot: Snapshot::default(),
            sockets: AtomicUsize::new(0),
            body_memory: Semaphore::new(BODY_MEBIBYTES),
            admissions: Semaphore::new(ADMISSIONS),
            live_streams: Semaphore::new(LIVE_STREAMS),
            stopping: AtomicBool::new(false),
            stop: watch::Sender::new(false),
            tracker: TaskTracker::new(),
            core: Mutex::new(Core::new(settings)),
            works: AtomicBool::new(true),
            secret: random(),
            start: Instant::now(),
            runtime: tokio::runtime::Handle::current(),
        }
    }

    /// Takes up what the store holds unfinished. Blocks.
    pub(crate) fn recover(&self) -> Result<(), StoreError> {
        type Unfinished = Vec<(JobRow, Vec<TaskRow>)>;
        let (jobs, recent, totals) = self.reads.run_blocking(|db| {
            let jobs = rows::running_jobs(db)?.into_iter().map(|job| {
                let tasks = rows::tasks(db, &job)?;
                Ok((job, tasks))
            });
            let jobs = jobs.collect::<Result<Unfinished, StoreError>>()?;
            Ok((jobs, rows::recent(db, crate::core::RECENT)?, rows::totals(db)?))
        })?;
        let mut core = self.core();
        core.recent = recent.into();
        (core.fuel, core.tasks_done) = totals;
        for (row, tasks) in jobs {
            let unfinished: Vec<u32> =
                tasks.iter().filter(|task| task.result.is_none()).map(|task| task.index).collect();
            self.metrics.recovered("start");
            tracing::info!(job = %row.id, tasks = unfinished.len(), "a job is taken up again");
            let job = std::sync::Arc::new(Job::of_row(&row, &tasks));
            core.start(job, unfinished, row.budget, row.spent);
        }
        self.dispatch(&mut core);
        Ok(())
    }

    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        // What panicked while holding it left maps that are still maps.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The scheduler's clock: milliseconds since the relay started.
    pub(crate) fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    /// The token of a lease.
    pub(crate) fn token(&self, lease: LeaseId) -> LeaseToken {
        let mut input = [0; 48];
        input[..32].copy_from_slice(&self.secret);
        input[32..].copy_from_slice(&lease.0);
        let mut token = [0; 16];
        token.copy_from_slice(&Digest::of(&input).0[..16]);
        LeaseToken(token)
    }

    /// Does the store take writes?
    pub(crate) fn takes_writes(&self) -> bool {
        self.works.load(Ordering::Relaxed) && !self.stopping.load(Ordering::Relaxed)
    }

    /// The writer tells whether the store works; true when that changed. After
    /// an outage every lease gets its time anew: nodes could not deliver.
    pub(crate) fn store_works(&self, works: bool) -> bool {
        let changed = self.works.swap(works, Ordering::Relaxed) != works;
        if changed && works {
            tracing::info!("the store takes writes again");
            self.metrics.recovered("store");
            let mut core = self.core();
            core.scheduler.renew(self.now());
        }
        changed
    }

    /// Sends waiting tasks to free slots.
    pub(crate) fn dispatch(&self, core: &mut Core) {
        if !self.takes_writes() {
            return;
        }
        for job in core.dispatch(self.now(), &self.metrics) {
            let writer = self.writer.clone();
            let end = Write::EndJob { job, state: JobState::OutOfBudget, at_ms: unix_ms() };
            self.runtime.spawn(async move {
                // An error means that the relay stops: the next start sees it.
                let _ = writer.send(Request { write: end, then: Then::End(job) }).await;
            });
        }
    }

    /// Time goes by: leases expire, tasks that were put off come back.
    pub(crate) fn tick(&self) {
        if !self.takes_writes() {
            return;
        }
        let mut core = self.core();
        let over = core.scheduler.expire(self.now());
        core.tell_over(over, &self.metrics);
        self.dispatch(&mut core);
    }

    /// Writes are durable: memory follows, nodes are told.
    pub(crate) fn committed(&self, done: impl Iterator<Item = (Write, Then, Answer)>) {
        let mut core = self.core();
        for (write, then, answer) in done {
            match (then, write, answer) {
                (Then::Start(job), Write::SubmitJob(row), Ok(Outcome::Submitted)) => {
                    let tasks = (0..row.tasks.len() as u32).collect();
                    core.start(job, tasks, row.budget, 0);
                }
                (Then::End(job), _, Ok(Outcome::Ended(_))) => core.end(job, &self.metrics),
                (Then::Complete(lease), Write::Accept(accept), answer) => {
                    self.completed(&mut core, lease, *accept, answer);
                }
                _ => {}
            }
        }
        self.dispatch(&mut core);
    }

    fn completed(
        &self,
        core: &mut Core,
        lease: grid_scheduler::Lease,
        accept: crate::store::Accept,
        answer: Answer,
    ) {
        let (id, node) = (lease.id(), lease.node());
        let body = accept.receipt.body();
        match answer {
            // Accepted "again" is what a commit that failed left behind: it was
            // never told to anyone.
            Ok(Outcome::Accepted { seq, ack, job_done, .. }) => {
                core.scheduler.complete(lease, body.fuel);
                self.metrics.accepted.inc();
                let receipt = accept.receipt.digest();
                let info = ReceiptInfo {
                    receipt,
                    node,
                    reason: body.reason,
                    fuel: body.fuel,
                    seq,
                    time_ms: accept.at_ms,
                };
                let ack = ToNode::Ack { receipt, lease: id, seq, signature: ack };
                core.accepted(info, accept.job, job_done, ack, id, &self.metrics);
            }
            Ok(outcome) => {
                core.scheduler.complete(lease, 0);
                core.forget_lease(id);
                let code = match outcome {
                    Outcome::Refused(Refusal::JobOver | Refusal::NoSuchJob) => RejectCode::JobOver,
                    _ => RejectCode::Lease,
                };
                core.reject(node, id, code, &self.metrics);
            }
            Err(_) => {
                core.scheduler.put_back(self.now(), lease);
                core.forget_lease(id);
                core.reject(node, id, RejectCode::Lease, &self.metrics);
            }
        }
    }

    /// The message that offers a lease. `None` when the input can't be read:
    /// the lease goes back.
    pub(crate) async fn offer(&self, lease: LeaseId, job: &Job, index: u32) -> Option<ToNode> {
        let (spec, input) = (job.spec(index)?, job.input(index)?);
        let input = if rows::is_inline(input.size) {
            let body = match self.bodies.get(input.digest) {
                Some(body) => body,
                None => {
                    let digest = input.digest;
                    let found = self.reads.run(move |db| rows::body(db, digest)).await;
                    let body: bytes::Bytes = found.ok().flatten()?.into();
                    self.bodies.put(input.digest, body.clone());
                    body
                }
            };
            Some(body.to_vec())
        } else {
            None
        };
        Some(ToNode::Lease(LeaseOffer {
            lease,
            token: self.token(lease),
            spec: spec.encode(),
            deadline_ms: self.config.lease_deadline.as_millis() as u32,
            module_bytes: job.module_bytes,
            input,
        }))
    }

    /// How many of a job's tasks are leased.
    pub(crate) fn leased(&self, job: JobId) -> u64 {
        self.core().scheduler.job_leased(job) as u64
    }
}

/// Milliseconds since 1970-01-01 UTC.
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
