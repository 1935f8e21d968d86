//! The scheduler itself: jobs, nodes and leases.

use crate::job::{Asked, Job, LOOK, Stage};
use crate::lanes::{Idle, Lane, Online, Tickets};
use crate::lease::{Lease, LeaseError, Over, Why};
use crate::returns::Fate;
use crate::turns::Turns;
use crate::types::{
    Abilities, Decisions, Grant, Joined, Needs, Settings, Skip, Submission, Task, Totals,
};
use grid_protocol::{GiveBackReason, JobId, LeaseId, PublicKey, limits};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) online: bool,
    pub(crate) slots: u8,
    /// At most [`limits::MAX_SLOTS`].
    pub(crate) held: Vec<LeaseId>,
    pub(crate) abilities: Abilities,
    /// Its tickets among the nodes with free slots.
    pub(crate) tickets: Tickets,
    /// Checks that its next free slots are for.
    pub(crate) checks: VecDeque<Task>,
}

impl Node {
    pub(crate) fn is_free(&self) -> bool {
        self.online && self.slots > 0 && self.held.len() < usize::from(limits::MAX_SLOTS)
    }
}

#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) node: PublicKey,
    pub(crate) task: Task,
    /// `None` while its result is being committed.
    pub(crate) deadline: Option<u64>,
    pub(crate) since: u64,
    /// When it is looked at for being slow.
    pub(crate) slow_at: u64,
    /// Place in the draw, where it is a check.
    pub(crate) place: Option<u32>,
}

/// See the crate's documentation.
#[derive(Debug, Default)]
pub struct Scheduler {
    pub(crate) settings: Settings,
    pub(crate) jobs: HashMap<JobId, Job>,
    pub(crate) nodes: HashMap<PublicKey, Node>,
    /// Nodes that were shut out.
    pub(crate) caught: HashSet<PublicKey>,
    pub(crate) leases: HashMap<LeaseId, Standing>,
    /// Jobs that have something to lease; each in turn, so that jobs share.
    pub(crate) runnable: Turns<JobId>,
    /// The same of jobs that infer.
    pub(crate) inferable: Turns<JobId>,
    /// Which of the two goes first the next time.
    inference_first: bool,
    pub(crate) idle: Idle,
    /// Nodes with free slots for which checks are reserved.
    pub(crate) called: BTreeSet<PublicKey>,
    /// Jobs with nothing to lease and results that are only held.
    pub(crate) trailing: BTreeSet<JobId>,
    deadlines: BTreeSet<(u64, LeaseId)>,
    /// When leases are looked at for being slow.
    pub(crate) slow: BTreeSet<(u64, LeaseId)>,
    /// Leases that are slow.
    pub(crate) stragglers: Vec<LeaseId>,
    /// Tasks that came back and wait for their release.
    pub(crate) releases: BTreeSet<(u64, Task)>,
    /// Until when drawn nodes may have a free slot.
    pub(crate) answers: BTreeSet<(u64, Task)>,
    pub(crate) exhausted: Vec<JobId>,
    pub(crate) skips: Vec<Skip>,
    pub(crate) referee: Vec<Task>,
    pub(crate) over: Vec<Over>,
    pub(crate) online: usize,
    pub(crate) able: Online,
    pub(crate) waiting: usize,
    pub(crate) leased: usize,
    pub(crate) open: usize,
}

impl Scheduler {
    /// Without jobs and nodes.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// A job's tasks may be leased from now on. Tasks that have votes already
    /// are held until [`Self::check`], [`Self::busy`] or [`Self::settled`].
    pub fn submit(&mut self, submission: Submission) {
        let id = submission.job;
        self.end_job(id);
        let job = Job::new(submission);
        if !job.is_over() {
            self.waiting += job.waiting();
            self.open += job.open_tasks();
            self.jobs.insert(id, job);
            self.relist(id);
        }
    }

    /// A job is over: its leases are, too. Results that are being committed
    /// are left to the store's decision.
    pub fn end_job(&mut self, id: JobId) -> Vec<Over> {
        let Some(job) = self.jobs.remove(&id) else { return Vec::new() };
        if let Some(turn) = job.turn {
            self.waiting_for(job.needs).remove(turn);
        }
        self.trailing.remove(&id);
        self.waiting -= job.waiting();
        self.open -= job.open_tasks();
        for (index, tries) in &job.tries {
            if let Some(until) = tries.until {
                self.releases.remove(&(until, Task { job: id, index: *index }));
            }
        }
        for (index, open) in job.opened() {
            if let Stage::Check(checking) = &open.stage {
                self.unreserve(Task { job: id, index }, checking.asked.clone());
            }
        }
        let mut over = Vec::new();
        for lease in job.leased() {
            self.leased -= 1;
            if self.leases.get(&lease).is_some_and(|standing| standing.deadline.is_some()) {
                over.extend(self.remove_lease(lease, Why::JobOver).map(|(over, _)| over));
            }
        }
        over
    }

    /// A node joined, or joined again, holding these leases. It has no free
    /// slot until it says so.
    pub fn join(&mut self, now: u64, key: PublicKey, holding: &[LeaseId]) -> Joined {
        let node = self.nodes.entry(key).or_default();
        let (came, abilities) = (!node.online, node.abilities.clone());
        node.online = true;
        node.slots = 0;
        let held = node.held.clone();
        if came {
            self.online += 1;
            self.count_online(&abilities, true);
        }
        self.requeue(key);
        let mut joined = Joined::default();
        for lease in holding.iter().take(4 * usize::from(limits::MAX_SLOTS)) {
            let stands = self.leases.get(lease).is_some_and(|standing| standing.node == key);
            if stands && !joined.standing.contains(lease) {
                self.set_deadline(*lease, now + self.settings.lease_ms);
                joined.standing.push(*lease);
            }
        }
        for lease in held {
            if !joined.standing.contains(&lease) {
                joined.over.extend(self.lose(now, lease, Why::Forgotten, Fate::Again));
            }
        }
        joined
    }

    /// A node announced free slots; the number replaces the last one.
    pub fn ready(&mut self, key: PublicKey, slots: u8) {
        let Some(node) = self.nodes.get_mut(&key).filter(|node| node.online) else { return };
        node.slots = slots.min(limits::MAX_SLOTS);
        self.requeue(key);
    }

    /// A node still works on a lease: its deadline moves.
    pub fn heartbeat(&mut self, now: u64, node: PublicKey, id: LeaseId) -> Result<(), LeaseError> {
        self.held_by(node, id)?;
        self.set_deadline(id, now + self.settings.lease_ms);
        Ok(())
    }

    /// A node's socket closed. Its leases stand for the time of grace; checks
    /// that were reserved for it go to the next in the draw.
    pub fn vanish(&mut self, now: u64, key: PublicKey) {
        let Some(node) = self.nodes.get_mut(&key).filter(|node| node.online) else { return };
        node.online = false;
        self.online -= 1;
        let (checks, held) = (std::mem::take(&mut node.checks), node.held.clone());
        let abilities = node.abilities.clone();
        self.count_online(&abilities, false);
        self.requeue(key);
        if held.is_empty() {
            self.nodes.remove(&key);
        }
        for lease in held {
            self.set_deadline(lease, now + self.settings.grace_ms);
        }
        for task in checks {
            self.pass_over_absent(now, task, key);
        }
    }

    /// A node was caught: its leases are over, and it is gone. No check is asked
    /// of it any more, and none of that is a skip: the log says why.
    pub fn shut_out(&mut self, now: u64, key: PublicKey) -> Vec<Over> {
        self.caught.insert(key);
        self.vanish(now, key);
        let held = self.nodes.get(&key).map(|node| node.held.clone()).unwrap_or_default();
        held.into_iter().filter_map(|id| self.lose(now, id, Why::Caught, Fate::Again)).collect()
    }

    /// A node won't finish a lease.
    pub fn give_back(
        &mut self,
        now: u64,
        node: PublicKey,
        id: LeaseId,
        reason: Option<GiveBackReason>,
    ) -> Result<Task, LeaseError> {
        let task = self.held_by(node, id)?;
        let device = matches!(reason, Some(GiveBackReason::Device | GiveBackReason::Unable));
        self.lose(now, id, Why::Forgotten, Fate::Failed { device, job: device });
        Ok(task)
    }

    /// A node finished a lease. From here it is being committed: exactly one
    /// of [`Self::voted`], [`Self::forget`] and [`Self::put_back`] follows. A
    /// lease whose task has another's result being committed is over instead.
    pub fn take(&mut self, now: u64, node: PublicKey, id: LeaseId) -> Result<Lease, LeaseError> {
        let task = self.held_by(node, id)?;
        if self.is_committing(task) {
            self.lose(now, id, Why::Superseded, Fate::Again);
            return Err(LeaseError::Unknown);
        }
        if let Some(standing) = self.leases.get_mut(&id)
            && let Some(deadline) = standing.deadline.take()
        {
            self.deadlines.remove(&(deadline, id));
        }
        self.release_hold(node, id);
        Ok(Lease { id, node, task })
    }

    /// The result is durable and used this much fuel: the task is held until it
    /// is told what else it needs. A second lease of it is over.
    pub fn voted(&mut self, now: u64, lease: Lease, fuel: u64) -> Vec<Over> {
        let Some((_, standing)) = self.remove_lease(lease.id, Why::Superseded) else {
            return Vec::new();
        };
        let Task { job: id, index } = lease.task;
        let Some(job) = self.jobs.get_mut(&id) else { return Vec::new() };
        job.times.add(now.saturating_sub(standing.since));
        job.tries.remove(&index);
        let before = job.checking(index).map(|checking| checking.asked.clone());
        self.open += usize::from(job.open_with(index, fuel, Stage::Held));
        let others = job.leases_of(index).to_vec();
        self.unreserve(lease.task, before.unwrap_or(Asked::Nobody));
        let over = others.into_iter().filter_map(|id| self.remove_lease(id, Why::Superseded));
        let over = over.map(|(over, _)| over).collect();
        self.relist(id);
        over
    }

    /// The store refused the result for good: the task or job is over.
    pub fn forget(&mut self, lease: Lease) {
        self.remove_lease(lease.id, Why::Forgotten);
        let Task { job: id, index } = lease.task;
        if let Some(job) = self.jobs.get_mut(&id) {
            // It is not to be leased again: what made it so comes by itself.
            if job.open(index).is_none() && job.leases_of(index).is_empty() {
                job.open_with(index, 0, Stage::Busy);
                self.open += 1;
            }
            self.relist(id);
        }
    }

    /// There is no result after all: the task waits again, and that node
    /// doesn't get it at once.
    pub fn put_back(&mut self, now: u64, lease: Lease) {
        self.lose(now, lease.id, Why::Forgotten, Fate::Failed { device: false, job: true });
    }

    /// The task's settlement is on its way, or the referee runs it: nothing is
    /// asked of nodes.
    pub fn busy(&mut self, task: Task) {
        self.set_stage(task, Stage::Busy);
    }

    /// Its settlement is not to be, after all: nothing is asked until
    /// [`Self::check`] or [`Self::busy`].
    pub fn hold(&mut self, task: Task) {
        self.set_stage(task, Stage::Held);
    }

    /// The task has its canonical result; the job paid this much for it.
    pub fn settled(&mut self, task: Task, paid: u64) -> Vec<Over> {
        let Some(job) = self.jobs.get_mut(&task.job) else { return Vec::new() };
        let Some(open) = job.close(task.index) else { return Vec::new() };
        self.open -= 1;
        job.spent = job.spent.saturating_add(paid);
        let leases = job.leases_of(task.index).to_vec();
        if let Stage::Check(checking) = open.stage {
            self.unreserve(task, checking.asked);
        }
        let over = leases.into_iter().filter_map(|id| self.remove_lease(id, Why::Superseded));
        let over = over.map(|(over, _)| over).collect();
        if self.jobs.get(&task.job).is_some_and(Job::is_over) {
            self.end_job(task.job);
        } else {
            self.relist(task.job);
        }
        over
    }

    /// Time went by: leases past their deadline are over, tasks that were put
    /// off may be leased again, drawn nodes without a free slot are passed
    /// over. A lease is slow that takes longer than twice what 95 % of its
    /// job's took so far (before any is known: a lease's whole time), and
    /// longer than `slow_ms`: then another node may get its task, too.
    pub fn expire(&mut self, now: u64) -> Vec<Over> {
        let mut over = Vec::new();
        while self.deadlines.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, lease)) = self.deadlines.pop_first() else { break };
            let Some((node, _)) = self.holder(lease) else { continue };
            over.extend(if self.nodes.get(&node).is_some_and(|node| node.online) {
                let fate = Fate::Failed { device: false, job: true };
                self.lose(now, lease, Why::Expired, fate)
            } else {
                self.lose(now, lease, Why::Vanished, Fate::Again)
            });
        }
        while self.releases.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, task)) = self.releases.pop_first() else { break };
            self.release(task);
        }
        self.pass_over_late(now);
        over
    }

    /// Nobody could reach the relay's store for a while: every deadline starts
    /// anew. O(n).
    pub fn renew(&mut self, now: u64) {
        let standing: Vec<_> = self.leases.iter().map(|(id, held)| (*id, held.node)).collect();
        for (id, node) in standing {
            let online = self.nodes.get(&node).is_some_and(|node| node.online);
            let time = if online { self.settings.lease_ms } else { self.settings.grace_ms };
            self.set_deadline(id, now + time);
        }
    }

    /// Matches free slots and waiting tasks. `new_lease` gives fresh random
    /// ids. The clock counts from the start.
    pub fn dispatch(&mut self, now: u64, mut new_lease: impl FnMut() -> LeaseId) -> Decisions {
        let mut grants = Vec::new();
        self.grant_checks(now, &mut new_lease, &mut grants);
        // Nodes that can do both do both.
        self.inference_first = !self.inference_first;
        if self.inference_first {
            self.grant_inference(now, &mut new_lease, &mut grants);
        }
        self.grant_modules(now, &mut new_lease, &mut grants);
        if !self.inference_first {
            self.grant_inference(now, &mut new_lease, &mut grants);
        }
        self.grant_seconds(now, &mut new_lease, &mut grants);
        let mut tails = Vec::new();
        // After a start nodes get the grace to come back.
        let nobody = self.online == 0 && now >= self.settings.grace_ms;
        if nobody || !self.idle.is_empty() {
            tails.extend(std::mem::take(&mut self.trailing));
        }
        Decisions {
            grants,
            out_of_budget: std::mem::take(&mut self.exhausted),
            skips: std::mem::take(&mut self.skips),
            referee: std::mem::take(&mut self.referee),
            over: std::mem::take(&mut self.over),
            tails,
        }
    }

    /// Who holds this lease, and for which task; also while its result is
    /// being committed.
    pub fn holder(&self, id: LeaseId) -> Option<(PublicKey, Task)> {
        self.leases.get(&id).map(|standing| (standing.node, standing.task))
    }

    /// Is the task leased?
    pub fn is_leased(&self, task: Task) -> bool {
        self.jobs.get(&task.job).is_some_and(|job| !job.leases_of(task.index).is_empty())
    }

    /// Is a result of the task being committed?
    pub fn is_committing(&self, task: Task) -> bool {
        let Some(job) = self.jobs.get(&task.job) else { return false };
        let committing =
            |id: &LeaseId| self.leases.get(id).is_some_and(|other| other.deadline.is_none());
        job.leases_of(task.index).iter().any(committing)
    }

    /// Does the task have votes, or is it the referee's, and is not settled?
    pub fn is_open(&self, task: Task) -> bool {
        self.jobs.get(&task.job).is_some_and(|job| job.open(task.index).is_some())
    }

    /// Tasks of a job that are leased.
    pub fn job_leased(&self, job: JobId) -> usize {
        self.jobs.get(&job).map_or(0, Job::leased_tasks)
    }

    /// Tasks of a job that wait for a lease, and have no vote.
    pub fn job_waiting(&self, job: JobId) -> usize {
        self.jobs.get(&job).map_or(0, Job::waiting)
    }

    /// Leases that a node holds.
    pub fn node_leases(&self, node: PublicKey) -> usize {
        self.nodes.get(&node).map_or(0, |node| node.held.len())
    }

    /// Counts over all jobs and nodes.
    pub fn totals(&self) -> Totals {
        Totals {
            jobs: self.jobs.len(),
            waiting: self.waiting,
            leased: self.leased,
            open: self.open,
            nodes: self.online,
        }
    }

    fn held_by(&self, node: PublicKey, id: LeaseId) -> Result<Task, LeaseError> {
        let standing = self.leases.get(&id).ok_or(LeaseError::Unknown)?;
        if standing.node != node {
            return Err(LeaseError::NotYours);
        }
        standing.deadline.map(|_| standing.task).ok_or(LeaseError::Committing)
    }

    /// Does nothing to a lease whose result is being committed.
    fn set_deadline(&mut self, id: LeaseId, at: u64) {
        if let Some(deadline) = self.leases.get_mut(&id).and_then(|s| s.deadline.as_mut()) {
            self.deadlines.remove(&(*deadline, id));
            *deadline = at;
            self.deadlines.insert((at, id));
        }
    }

    /// Nodes that run modules get tasks, the one that waits longest first.
    fn grant_modules(
        &mut self,
        now: u64,
        new_lease: &mut impl FnMut() -> LeaseId,
        grants: &mut Vec<Grant>,
    ) {
        let mut aside = Vec::new();
        while !self.runnable.is_empty() && aside.len() < LOOK {
            let Some(key) = self.idle.iter(Lane::Modules).next().copied() else { break };
            if let Some(node) = self.nodes.get_mut(&key) {
                self.idle.remove(std::mem::take(&mut node.tickets));
            }
            let Some(task) = self.pick(now, &key) else {
                aside.push(key);
                continue;
            };
            self.waiting -= 1;
            grants.push(self.grant(now, new_lease(), key, task, None));
        }
        for key in aside {
            self.requeue(key);
        }
    }

    /// A task for this node from the jobs whose turn it is.
    fn pick(&mut self, now: u64, node: &PublicKey) -> Option<Task> {
        for _ in 0..LOOK.min(self.runnable.len()) {
            let id = self.runnable.pop()?;
            let avoided = self.avoids(now, id, node);
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            job.turn = None;
            let chosen = if avoided { None } else { job.choose(node) };
            if let Some(index) = chosen {
                return Some(Task { job: id, index });
            }
            self.relist(id);
        }
        None
    }

    /// Did the node fail a task of the job lately, and is there one that
    /// didn't?
    pub(crate) fn avoids(&self, now: u64, job: JobId, node: &PublicKey) -> bool {
        let Some(job) = self.jobs.get(&job) else { return false };
        let there = |key: &&PublicKey| self.nodes.get(*key).is_some_and(|node| node.online);
        job.failed(now).any(|failed| failed == node)
            && job.failed(now).filter(there).count() < self.online_for(job.needs)
    }

    /// Ends a lease; the caller says what becomes of the task.
    pub(crate) fn remove_lease(&mut self, id: LeaseId, why: Why) -> Option<(Over, Standing)> {
        let standing = self.leases.remove(&id)?;
        if let Some(deadline) = standing.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        self.slow.remove(&(standing.slow_at, id));
        let Standing { node, task, .. } = standing;
        if let Some(job) = self.jobs.get_mut(&task.job)
            && job.remove_lease(task.index, id)
        {
            self.leased -= 1;
        }
        self.release_hold(node, id);
        Some((Over { lease: id, node, why }, standing))
    }

    /// The node doesn't hold the lease any more.
    fn release_hold(&mut self, key: PublicKey, id: LeaseId) {
        let Some(node) = self.nodes.get_mut(&key) else { return };
        node.held.retain(|held| *held != id);
        if node.online {
            self.requeue(key);
        } else if node.held.is_empty() {
            self.nodes.remove(&key);
        }
    }

    pub(crate) fn add_deadline(&mut self, at: u64, lease: LeaseId) {
        self.deadlines.insert((at, lease));
    }

    /// Puts a job among the runnable ones, or out of them, as it stands.
    pub(crate) fn relist(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let queue = match job.needs {
            Needs::Modules => &mut self.runnable,
            Needs::Model(_) => &mut self.inferable,
        };
        match (job.runnable(), job.turn) {
            (true, None) => job.turn = Some(queue.push(id)),
            (false, Some(turn)) => {
                queue.remove(turn);
                job.turn = None;
            }
            _ => {}
        }
        if job.trails() {
            self.trailing.insert(id);
        } else {
            self.trailing.remove(&id);
        }
        if job.stuck() && !job.exhausted {
            job.exhausted = true;
            self.exhausted.push(id);
        }
    }

    /// Puts a node among the idle ones, or out of them, as it stands.
    pub(crate) fn requeue(&mut self, key: PublicKey) {
        let Some(node) = self.nodes.get_mut(&key) else { return };
        let free = node.is_free();
        match (free, node.tickets.is_empty()) {
            (true, true) => node.tickets = self.idle.push(key, &node.abilities),
            (false, false) => self.idle.remove(std::mem::take(&mut node.tickets)),
            _ => {}
        }
        if free && !node.checks.is_empty() {
            self.called.insert(key);
        } else {
            self.called.remove(&key);
        }
    }
}
