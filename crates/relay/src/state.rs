//! What every part of the relay shares.

use crate::Config;
use crate::api::cached::Cached;
use crate::bodies::Bodies;
use crate::core::{Core, random};
use crate::inference::Inference;
use crate::job::Job;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::network::Snapshot;
use crate::people::People;
use crate::referee::Referee;
use crate::store::{Accept, Blobs, Outcome, Reads, Refusal, Write, rows};
use crate::streams::Watchers;
use crate::writer::{Answer, Request, Then, Writer};
use grid_log::vrf::{Output, Prover};
use grid_protocol::api::JobState;
use grid_protocol::entry::DRAW_PROOF;
use grid_protocol::{
    Digest, Files, JobId, LeaseId, LeaseOffer, LeaseToken, PublicKey, RejectCode, Side, SigningKey,
    ToNode,
};
use grid_scheduler::trust::Draw;
use grid_scheduler::{Lease, Settings, Submission, Task};
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::task::TaskTracker;

/// Bodies that may be in memory at a time, in mebibytes (three copies of one
/// are counted: as received, as decoded, as written).
const BODY_MEBIBYTES: usize = 512;
/// The same for what leases upload, so that nodes never stand in owners' way:
/// room for the largest output.
const OUTPUT_MEBIBYTES: usize = 256;
/// Modules that may be admitted at a time.
const ADMISSIONS: usize = 2;
/// Calls of the OpenAI API that may be under way.
const CALLS: usize = 512;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    /// Keeps other relays out of the data directory.
    pub(crate) lock: File,
    pub(crate) relay: PublicKey,
    /// Signs the relay's own runs.
    pub(crate) key: SigningKey,
    /// Makes draws.
    prover: Prover,
    pub(crate) referee: Referee,
    /// Runs inference, where this relay can.
    pub(crate) inference: Option<Arc<dyn Inference>>,
    /// What follows from what was written, in order.
    pub(crate) follow_ups: mpsc::UnboundedSender<Request>,
    pub(crate) origin: String,
    pub(crate) writer: Writer,
    pub(crate) reads: Reads,
    pub(crate) blobs: Blobs,
    pub(crate) log: Log,
    pub(crate) bodies: Bodies,
    pub(crate) metrics: Metrics,
    pub(crate) snapshot: Snapshot,
    pub(crate) people: People,
    pub(crate) points: Cached,
    pub(crate) sockets: AtomicUsize,
    pub(crate) body_memory: Semaphore,
    pub(crate) output_memory: Semaphore,
    pub(crate) admissions: Semaphore,
    pub(crate) watchers: Watchers,
    /// Calls of the OpenAI API.
    pub(crate) calls: Arc<Semaphore>,
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
}

/// What was opened before.
pub(crate) struct Parts {
    pub(crate) writer: Writer,
    pub(crate) reads: Reads,
    pub(crate) blobs: Blobs,
    pub(crate) log: Log,
    pub(crate) referee: Referee,
    pub(crate) inference: Option<Arc<dyn Inference>>,
    pub(crate) follow_ups: mpsc::UnboundedSender<Request>,
}

impl Shared {
    pub(crate) fn new(
        config: Config,
        lock: File,
        key: &SigningKey,
        origin: String,
        parts: Parts,
    ) -> Self {
        let Parts { writer, reads, blobs, log, referee, inference, follow_ups } = parts;
        let milliseconds = |duration: std::time::Duration| duration.as_millis() as u64;
        let settings = Settings {
            lease_ms: milliseconds(config.lease_deadline),
            grace_ms: milliseconds(config.grace),
            answer_ms: milliseconds(config.trust.answer),
            slow_ms: milliseconds(config.trust.slow),
            device_tries: if config.trust.referee { Settings::default().device_tries } else { 0 },
            ..Settings::default()
        };
        let rules = config.trust.rules;
        Self {
            config,
            lock,
            relay: key.public(),
            key: key.clone(),
            prover: Prover::from_seed(key.seed()),
            referee,
            inference,
            follow_ups,
            origin,
            writer,
            reads,
            blobs,
            log,
            bodies: Bodies::default(),
            metrics: Metrics::new(),
            snapshot: Snapshot::default(),
            people: People::new(key.public()),
            points: Cached::default(),
            sockets: AtomicUsize::new(0),
            body_memory: Semaphore::new(BODY_MEBIBYTES),
            output_memory: Semaphore::new(OUTPUT_MEBIBYTES),
            admissions: Semaphore::new(ADMISSIONS),
            watchers: Watchers::default(),
            calls: Arc::new(Semaphore::new(CALLS)),
            stopping: AtomicBool::new(false),
            stop: watch::Sender::new(false),
            tracker: TaskTracker::new(),
            core: Mutex::new(Core::new(settings, rules)),
            works: AtomicBool::new(true),
            secret: random(),
            start: Instant::now(),
        }
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

    /// Sends waiting tasks to free slots, and does what else is due.
    pub(crate) fn dispatch(&self, core: &mut Core) {
        if !self.takes_writes() {
            return;
        }
        // What is decided may lead to more, but not for ever: a task that is
        // checked, or the referee's, is not held any more.
        loop {
            let decisions = core.dispatch(self.now(), &self.metrics);
            self.log_skips(core, decisions.skips);
            for job in decisions.out_of_budget {
                let write = Write::EndJob { job, state: JobState::OutOfBudget, at_ms: unix_ms() };
                self.follow_up(Request { write, then: Then::End(job) });
            }
            for task in decisions.referee {
                core.votes.quorums.no_checker(task);
                self.ask_referee(core, task);
            }
            if decisions.tails.is_empty() {
                return;
            }
            for job in decisions.tails {
                let acts = core.votes.quorums.tail(job);
                self.act(core, acts);
            }
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
        self.act_later(&mut core);
        self.log_roster(&mut core);
        self.dispatch(&mut core);
    }

    /// Writes are durable: memory follows, nodes are told.
    pub(crate) fn committed(&self, done: impl Iterator<Item = (Write, Then, Answer)>) {
        // Signed before the lock is taken: that takes longer than all the rest.
        let done: Vec<_> = done
            .map(|(write, then, answer)| {
                let ack = match (&then, &write, &answer) {
                    (
                        Then::Vote(lease, _),
                        Write::Accept(accept),
                        Ok(Outcome::Accepted { seq, .. }),
                    ) => {
                        let (ack, signature) =
                            self.log.ack(accept.receipt.digest(), lease.id(), *seq);
                        Some(ToNode::of_ack(&ack, signature))
                    }
                    _ => None,
                };
                (write, then, answer, ack)
            })
            .collect();
        let mut core = self.core();
        for (write, then, answer, ack) in done {
            match (then, write, answer) {
                (Then::Start(job), Write::SubmitJob(row), Ok(Outcome::Submitted)) => {
                    let tasks = row.tasks.len() as u32;
                    core.votes.quorums.open_job(job.id, row.runtime, row.error_ppb, tasks);
                    let submission = Submission {
                        job: job.id,
                        needs: job.needs(),
                        tasks: (0..tasks).collect(),
                        open: Vec::new(),
                        fuel_limit: job.fuel_limit(),
                        budget: row.budget,
                        spent: 0,
                    };
                    core.start(job, submission);
                }
                (Then::End(job), _, Ok(Outcome::Ended(_))) => core.end(job, &self.metrics),
                (Then::Vote(lease, draw), Write::Accept(accept), answer) => {
                    self.accepted(&mut core, lease, draw, &accept, (answer, ack));
                }
                (
                    Then::Referee(task, draw),
                    Write::Accept(accept),
                    Ok(Outcome::Accepted { seq, .. }),
                ) => {
                    let body = accept.receipt.body();
                    self.voted(&mut core, task, body, draw, (seq, accept.at_ms));
                }
                (Then::Settled(settlement), _, answer) => {
                    self.settled(&mut core, &settlement, answer);
                }
                (Then::Redrawn(task, seq), _, answer) => {
                    self.redrawn(&mut core, task, seq, &answer);
                }
                (Then::Roster, write, answer) => self.roster_logged(&mut core, &write, &answer),
                _ => {}
            }
        }
        self.dispatch(&mut core);
    }

    fn accepted(
        &self,
        core: &mut Core,
        lease: Lease,
        draw: Draw,
        accept: &Accept,
        (answer, ack): (Answer, Option<ToNode>),
    ) {
        let (id, node, task) = (lease.id(), lease.node(), lease.task());
        let body = accept.receipt.body();
        match (answer, ack) {
            // Accepted "again" is what a commit that failed left behind: it was
            // never told to anyone.
            (Ok(Outcome::Accepted { seq, .. }), Some(ack)) => {
                let over = core.scheduler.voted(self.now(), lease, body.fuel);
                core.tell_over(over, &self.metrics);
                self.metrics.accepted.inc();
                core.accepted(node, id, task.job, ack, &self.metrics);
                self.voted(core, task, body, draw, (seq, accept.at_ms));
            }
            (Ok(outcome), _) => {
                core.scheduler.forget(lease);
                core.forget_lease(id);
                let code = match outcome {
                    Outcome::Refused(Refusal::JobOver | Refusal::NoSuchJob) => RejectCode::JobOver,
                    _ => RejectCode::Lease,
                };
                core.reject(node, id, code, &self.metrics);
            }
            (Err(_), _) => {
                core.scheduler.put_back(self.now(), lease);
                core.forget_lease(id);
                core.reject(node, id, RejectCode::Lease, &self.metrics);
            }
        }
    }

    /// The draw over a receipt, and its proof.
    pub(crate) fn draw(&self, receipt: &Digest) -> ([u8; DRAW_PROOF], Draw) {
        let (proof, output) = self.prover.prove(&receipt.0);
        (proof.0, draw_of(&output))
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
            draft: self.draft(job, index).await,
            publisher: Some(job.publisher()),
        }))
    }

    /// What a task's first vote left on standard output, for whoever is to
    /// check a generation. A check without it takes longer, no more.
    async fn draft(&self, job: &Job, index: u32) -> Option<Vec<u8>> {
        let seq = self.first_vote(job, index)?;
        self.reads.run(move |db| Ok(claimed(db, seq))).await.ok().flatten()
    }

    /// The same, for the relay's own run. Blocks.
    pub(crate) fn draft_blocking(&self, job: &Job, index: u32) -> Option<Vec<u8>> {
        let seq = self.first_vote(job, index)?;
        self.reads.run_blocking(|db| Ok(claimed(db, seq))).ok().flatten()
    }

    fn first_vote(&self, job: &Job, index: u32) -> Option<u64> {
        let task = Task { job: job.id, index };
        let core = self.core();
        let votes = core.votes.quorums.votes(&task);
        votes.first().filter(|_| job.generates()).map(|vote| vote.seq)
    }

    /// How many of a job's tasks are leased.
    pub(crate) fn leased(&self, job: JobId) -> u64 {
        self.core().scheduler.job_leased(job) as u64
    }
}

/// Standard output of the output list that came with a receipt, if it came with
/// one.
fn claimed(db: &rusqlite::Connection, seq: u64) -> Option<Vec<u8>> {
    let output = rows::inline_output(db, seq).ok().flatten()?;
    let files = Files::decode(Side::Output, &output).ok()?;
    files.get("stdout").map(<[u8]>::to_vec)
}

/// What decisions take of a draw's output: its first half.
pub(crate) fn draw_of(output: &Output) -> Draw {
    let mut draw = [0; 32];
    draw.copy_from_slice(&output[..32]);
    Draw(draw)
}

/// Milliseconds since 1970-01-01 UTC.
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
