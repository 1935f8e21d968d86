//! What the data path keeps in memory, behind one lock that is held for
//! microseconds: the scheduler, running jobs, joined nodes, standing leases.
//! All of it is lost with the process; what is durable makes it again.

use crate::browsers::Browsers;
use crate::hourly::Hourly;
use crate::job::Job;
use crate::metrics::Metrics;
use crate::outbox::{Out, Outbox};
use crate::receipt;
use crate::votes::{Again, Votes};
use grid_protocol::api::{NodeInfo, ReceiptInfo};
use grid_protocol::entry::Member;
use grid_protocol::{
    Digest, JobId, LeaseId, Partial, PublicKey, RefuseCode, RejectCode, ToNode, limits,
};
use grid_scheduler::trust::Rules;
use grid_scheduler::{Abilities, Decisions, Over, Scheduler, Settings, Submission, Task, Why};
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{oneshot, watch};

/// Receipts that the status page shows.
pub(crate) const RECENT: usize = 20;
/// Leases remembered as ended with their job, so that a late result is told
/// why.
const MAX_JOB_OVER: usize = 10_000;
/// Uploads that one lease may make: the first, and repetitions.
const MAX_UPLOADS: u8 = 4;

/// A joined node's socket.
#[derive(Debug)]
pub(crate) struct Session {
    /// Tells this session from those of the same node before and after it.
    number: u64,
    outbox: Arc<Outbox>,
    agent: String,
    fuel: u64,
    tasks: u64,
}

/// A standing lease.
#[derive(Debug)]
struct Live {
    granted: Instant,
    uploads: u8,
    uploaded: Option<Digest>,
    /// Dropped, it ends the upload that is under way.
    upload: Option<oneshot::Sender<Infallible>>,
}

impl Live {
    fn new() -> Self {
        Self { granted: Instant::now(), uploads: 0, uploaded: None, upload: None }
    }
}

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) scheduler: Scheduler,
    pub(crate) votes: Votes,
    jobs: HashMap<JobId, Arc<Job>>,
    sessions: HashMap<PublicKey, Session>,
    pub(crate) browsers: Browsers,
    /// Joins that had something new to write.
    pub(crate) new_joins: Hourly,
    live: HashMap<LeaseId, Live>,
    job_over: HashMap<LeaseId, PublicKey>,
    job_over_order: VecDeque<LeaseId>,
    /// Text that running generations gave so far, where someone watches.
    streams: HashMap<JobId, watch::Sender<String>>,
    random: Random,
    pub(crate) refusals: Refusals,
    sessions_so_far: u64,
    pub(crate) recent: VecDeque<ReceiptInfo>,
    /// Receipts that agree with canonical results.
    pub(crate) tasks_done: u64,
    /// Tasks that have their canonical result.
    pub(crate) tasks_settled: u64,
    pub(crate) fuel: u64,
}

impl Core {
    pub(crate) fn new(settings: Settings, rules: Rules) -> Self {
        Self {
            scheduler: Scheduler::new(settings),
            votes: Votes::new(rules),
            jobs: HashMap::new(),
            sessions: HashMap::new(),
            browsers: Browsers::default(),
            new_joins: Hourly::default(),
            live: HashMap::new(),
            job_over: HashMap::new(),
            job_over_order: VecDeque::new(),
            streams: HashMap::new(),
            random: Random::default(),
            refusals: Refusals::default(),
            sessions_so_far: 0,
            recent: VecDeque::new(),
            tasks_done: 0,
            tasks_settled: 0,
            fuel: 0,
        }
    }

    pub(crate) fn job(&self, id: JobId) -> Option<Arc<Job>> {
        self.jobs.get(&id).cloned()
    }

    /// A job's tasks may be leased from now on.
    pub(crate) fn start(&mut self, job: Arc<Job>, submission: Submission) {
        self.scheduler.submit(submission);
        self.jobs.insert(job.id, job);
    }

    pub(crate) fn end(&mut self, id: JobId, metrics: &Metrics) {
        let over = self.scheduler.end_job(id);
        self.tell_over(over, metrics);
        self.forget_job(id);
    }

    pub(crate) fn forget_job(&mut self, id: JobId) {
        self.votes.end_job(id);
        self.streams.remove(&id);
        if let Some(job) = self.jobs.remove(&id) {
            job.changed.send_modify(|version| *version += 1);
        }
    }

    /// The job has news for those who follow it.
    pub(crate) fn changed(&self, id: JobId) {
        if let Some(job) = self.jobs.get(&id) {
            job.changed.send_modify(|version| *version += 1);
        }
    }

    /// A node joined; an older socket of the same key is closed. Gives back
    /// the session's number and which leases stand.
    pub(crate) fn join(
        &mut self,
        now: u64,
        node: PublicKey,
        joining: Joining,
        metrics: &Metrics,
    ) -> (u64, Vec<LeaseId>) {
        self.sessions_so_far += 1;
        let number = self.sessions_so_far;
        let Joining { outbox, agent, fuel, tasks, holding, member, abilities } = joining;
        let session = Session { number, outbox, agent, fuel, tasks };
        if let Some(old) = self.sessions.insert(node, session) {
            old.outbox.close(RefuseCode::Replaced);
        }
        match member {
            Some(member) => self.votes.members.join(member),
            None => self.votes.members.leave(node),
        }
        let joined = self.scheduler.join(now, node, &holding);
        self.scheduler.able(node, abilities);
        self.tell_over(joined.over, metrics);
        (number, joined.standing)
    }

    /// Is this the node's session still?
    pub(crate) fn is_current(&self, node: PublicKey, number: u64) -> bool {
        self.sessions.get(&node).is_some_and(|session| session.number == number)
    }

    pub(crate) fn leave(&mut self, now: u64, node: PublicKey, number: u64) {
        if self.is_current(node, number) {
            self.sessions.remove(&node);
            self.browsers.leave(node);
            self.votes.members.leave(node);
            self.scheduler.vanish(now, node);
        }
    }

    /// The node is told why, and leaves in order.
    pub(crate) fn dismiss(&self, node: PublicKey, code: RefuseCode) {
        if let Some(session) = self.sessions.get(&node) {
            session.outbox.close(code);
        }
    }

    /// The node is told why, and gone.
    pub(crate) fn shut_out(&mut self, node: PublicKey, code: RefuseCode) {
        self.browsers.leave(node);
        self.votes.members.leave(node);
        if let Some(session) = self.sessions.remove(&node) {
            session.outbox.close(code);
        }
    }

    /// Sends waiting tasks to free slots. Gives back what else was decided.
    #[must_use]
    pub(crate) fn dispatch(&mut self, now: u64, metrics: &Metrics) -> Decisions {
        let random = &mut self.random;
        let mut decisions = self.scheduler.dispatch(now, || LeaseId(random.take()));
        metrics.granted.inc_by(decisions.grants.len() as u64);
        for grant in std::mem::take(&mut decisions.grants) {
            let live = Live::new();
            self.live.insert(grant.lease, live);
            let Task { job, index } = grant.task;
            let job = self.jobs.get(&job).cloned();
            if let (Some(session), Some(job)) = (self.sessions.get(&grant.node), job) {
                session.outbox.push(Out::Offer { lease: grant.lease, job, index });
            }
        }
        self.tell_over(std::mem::take(&mut decisions.over), metrics);
        decisions
    }

    /// Leases are over: their nodes may stop.
    pub(crate) fn tell_over(&mut self, over: Vec<Over>, metrics: &Metrics) {
        for Over { lease, node, why } in over {
            metrics.lease_over(why.name());
            self.forget_lease(lease);
            if why == Why::JobOver {
                if self.job_over_order.len() == MAX_JOB_OVER
                    && let Some(oldest) = self.job_over_order.pop_front()
                {
                    self.job_over.remove(&oldest);
                }
                self.job_over.insert(lease, node);
                self.job_over_order.push_back(lease);
            }
            if why != Why::Forgotten {
                self.tell(node, ToNode::Cancel { lease });
            }
        }
    }

    pub(crate) fn forget_lease(&mut self, lease: LeaseId) {
        self.live.remove(&lease);
    }

    /// Why there is no such lease for this node.
    pub(crate) fn why_no_lease(&self, lease: LeaseId, node: PublicKey) -> RejectCode {
        if self.job_over.get(&lease) == Some(&node) {
            RejectCode::JobOver
        } else {
            RejectCode::Lease
        }
    }

    pub(crate) fn tell(&self, node: PublicKey, message: ToNode) {
        if let Some(session) = self.sessions.get(&node) {
            session.outbox.push(Out::Message(message));
        }
    }

    pub(crate) fn reject(
        &self,
        node: PublicKey,
        lease: LeaseId,
        code: RejectCode,
        metrics: &Metrics,
    ) {
        metrics.rejected(code.name());
        self.tell(node, rejected(lease, code));
    }

    /// A receipt is durable: its node is told.
    pub(crate) fn accepted(
        &mut self,
        node: PublicKey,
        lease: LeaseId,
        job: JobId,
        ack: ToNode,
        metrics: &Metrics,
    ) {
        if let Some(live) = self.live.remove(&lease) {
            let took = live.granted.elapsed();
            metrics.lease_seconds.observe(took.as_secs_f64());
            metrics.latest.ended(node, job, took);
        }
        self.tell(node, ack);
    }

    /// A receipt agrees with its task's canonical result: its node earned its
    /// fuel.
    pub(crate) fn credit(&mut self, info: &ReceiptInfo) {
        self.tasks_done += 1;
        self.fuel += info.fuel;
        if let Some(session) = self.sessions.get_mut(&info.node) {
            session.fuel += info.fuel;
            session.tasks += 1;
        }
        self.recent.truncate(RECENT - 1);
        self.recent.push_front(info.clone());
    }

    /// What to do where nobody whom a draw names checked.
    pub(crate) fn again(&mut self, task: Task) -> Option<Again> {
        let sessions = &self.sessions;
        self.votes.again(task, |node| sessions.contains_key(node))
    }

    /// The text that a job of one generation gives, as it comes. Whoever
    /// watches tells when it is enough.
    pub(crate) fn watch_text(&mut self, job: JobId) -> watch::Receiver<String> {
        self.streams.entry(job).or_default().subscribe()
    }

    pub(crate) fn unwatch_text(&mut self, job: JobId) {
        self.streams.remove(&job);
    }

    /// A piece of text from a node. Only what follows what is known counts:
    /// the text is the same whichever node it comes from.
    pub(crate) fn partial(&mut self, node: PublicKey, partial: &Partial) {
        let Some((holder, task)) = self.scheduler.holder(partial.lease) else { return };
        let Some(stream) = self.streams.get(&task.job).filter(|_| holder == node) else { return };
        stream.send_if_modified(|text| {
            let known = text.len().checked_sub(partial.offset as usize);
            let fresh = known.and_then(|known| partial.text.get(known..)).unwrap_or_default();
            let fits = text.len() + fresh.len() <= limits::INLINE_BODY;
            if fits {
                text.push_str(fresh);
            }
            fits && !fresh.is_empty()
        });
    }

    /// What was uploaded under a lease.
    pub(crate) fn uploaded(&self, lease: LeaseId) -> Option<Digest> {
        self.live.get(&lease)?.uploaded
    }

    /// Counts an upload before it is read; `None` when the lease made enough.
    /// What is given back comes when the upload is to end: the lease is over,
    /// or makes another.
    pub(crate) fn begin_upload(&mut self, lease: LeaseId) -> Option<oneshot::Receiver<Infallible>> {
        let live = self.live.get_mut(&lease).filter(|live| live.uploads < MAX_UPLOADS)?;
        live.uploads += 1;
        let (upload, over) = oneshot::channel();
        live.upload = Some(upload);
        Some(over)
    }

    /// The blob is durable, and checked against the lease's spec.
    pub(crate) fn end_upload(&mut self, lease: LeaseId, digest: Digest) {
        if let Some(live) = self.live.get_mut(&lease) {
            live.uploaded = Some(digest);
        }
    }

    /// The most active nodes on line, at most `most`.
    pub(crate) fn nodes(&self, most: usize) -> Vec<NodeInfo> {
        let rank =
            |(key, session): &(&PublicKey, &Session)| (std::cmp::Reverse(session.tasks), **key);
        let mut all: Vec<_> = self.sessions.iter().collect();
        if all.len() > most {
            all.select_nth_unstable_by_key(most, rank);
            all.truncate(most);
        }
        all.sort_unstable_by_key(rank);
        all.into_iter()
            .map(|(node, session)| NodeInfo {
                node: *node,
                agent: session.agent.clone(),
                leased: self.scheduler.node_leases(*node) as u64,
                tasks: session.tasks,
                fuel: session.fuel,
            })
            .collect()
    }

    pub(crate) fn is_online(&self, node: &PublicKey) -> bool {
        self.sessions.contains_key(node)
    }

    pub(crate) fn online(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn close_all(&self, code: RefuseCode) {
        for session in self.sessions.values() {
            session.outbox.close(code);
        }
    }
}

/// Refused receipts of each node that were logged today.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    day: u64,
    of: HashMap<PublicKey, u32>,
}

impl Refusals {
    /// Refused receipts of one node that are logged in a day.
    const MOST: u32 = 100;

    /// Is this one to be logged?
    pub(crate) fn count(&mut self, node: PublicKey, at_ms: u64) -> bool {
        let day = at_ms / 86_400_000;
        if day != self.day {
            *self = Self { day, of: HashMap::new() };
        }
        let count = self.of.entry(node).or_default();
        *count = count.saturating_add(1);
        *count <= Self::MOST
    }
}

/// What a node brings when it joins.
#[derive(Debug)]
pub(crate) struct Joining {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) agent: String,
    pub(crate) fuel: u64,
    pub(crate) tasks: u64,
    pub(crate) holding: Vec<LeaseId>,
    /// Its entry on the roster, if it can run the tasks there are.
    pub(crate) member: Option<Member>,
    pub(crate) abilities: Abilities,
}

pub(crate) fn rejected(lease: LeaseId, code: RejectCode) -> ToNode {
    ToNode::Rejected { lease, code: code.number(), message: receipt::words(code).into() }
}

/// Random bytes from the system, fetched many at a time.
#[derive(Debug)]
struct Random {
    bytes: [u8; 1024],
    used: usize,
}

impl Default for Random {
    fn default() -> Self {
        Self { bytes: [0; 1024], used: 1024 }
    }
}

impl Random {
    fn take(&mut self) -> [u8; 16] {
        if self.used == self.bytes.len() {
            self.bytes = random();
            self.used = 0;
        }
        let mut out = [0; 16];
        out.copy_from_slice(&self.bytes[self.used..self.used + 16]);
        self.used += 16;
        out
    }
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has no random bytes: nothing safe can go on");
    bytes
}
