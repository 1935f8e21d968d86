//! The scheduler itself.

use crate::job::{Job, LOOK, MAX_AVOID};
use crate::lease::{Lease, LeaseError, Over, Why};
use crate::turns::Turns;
use crate::types::{Decisions, Grant, Joined, Settings, Submission, Task, Totals};
use grid_protocol::{JobId, LeaseId, PublicKey, limits};
use std::collections::{BTreeSet, HashMap};

#[derive(Debug, Default)]
struct Node {
    online: bool,
    slots: u8,
    /// At most [`limits::MAX_SLOTS`].
    held: Vec<LeaseId>,
    /// Its ticket among the nodes with free slots.
    turn: Option<u64>,
}

#[derive(Debug)]
struct Standing {
    node: PublicKey,
    task: Task,
    /// `None` while its result is being committed.
    deadline: Option<u64>,
}

/// See the crate's documentation.
#[derive(Debug, Default)]
pub struct Scheduler {
    settings: Settings,
    jobs: HashMap<JobId, Job>,
    nodes: HashMap<PublicKey, Node>,
    leases: HashMap<LeaseId, Standing>,
    /// Jobs that have something to lease; each in turn, so that jobs share.
    runnable: Turns<JobId>,
    /// Nodes with free slots, the one that waits longest first.
    idle: Turns<PublicKey>,
    deadlines: BTreeSet<(u64, LeaseId)>,
    /// Tasks that came back and wait for their release.
    releases: BTreeSet<(u64, Task)>,
    exhausted: Vec<JobId>,
    online: usize,
    waiting: usize,
    leased: usize,
}

impl Scheduler {
    /// Without jobs and nodes.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// A job's tasks may be leased from now on.
    pub fn submit(&mut self, submission: Submission) {
        let id = submission.job;
        self.end_job(id);
        let job = Job::new(submission);
        if job.waiting() > 0 {
            self.waiting += job.waiting();
            self.jobs.insert(id, job);
            self.relist(id);
        }
    }

    /// A job is over: its leases are, too. Results that are being committed
    /// are left to the store's decision.
    pub fn end_job(&mut self, id: JobId) -> Vec<Over> {
        let Some(job) = self.jobs.remove(&id) else { return Vec::new() };
        if let Some(turn) = job.turn {
            self.runnable.remove(turn);
        }
        self.waiting -= job.waiting();
        self.leased -= job.leased.len();
        for (index, tries) in &job.tries {
            if let Some(until) = tries.until {
                self.releases.remove(&(until, Task { job: id, index: *index }));
            }
        }
        let mut over = Vec::new();
        for lease in job.leased.into_values() {
            if self.leases.get(&lease).is_some_and(|standing| standing.deadline.is_some()) {
                over.extend(self.remove_lease(lease, Why::JobOver));
            }
        }
        over
    }

    /// A node joined, or joined again, holding these leases. It has no free
    /// slot until it says so.
    pub fn join(&mut self, now: u64, key: PublicKey, holding: &[LeaseId]) -> Joined {
        let node = self.nodes.entry(key).or_default();
        self.online += usize::from(!node.online);
        node.online = true;
        node.slots = 0;
        if let Some(turn) = node.turn.take() {
            self.idle.remove(turn);
        }
        let held = node.held.clone();
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
                let task = self.leases.get(&lease).map(|standing| standing.task);
                joined.over.extend(self.remove_lease(lease, Why::Forgotten));
                if let Some(task) = task {
                    self.put_first(task);
                }
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

    /// A node's socket closed. Its leases stand for the time of grace.
    pub fn vanish(&mut self, now: u64, key: PublicKey) {
        let Some(node) = self.nodes.get_mut(&key).filter(|node| node.online) else { return };
        node.online = false;
        self.online -= 1;
        if let Some(turn) = node.turn.take() {
            self.idle.remove(turn);
        }
        if node.held.is_empty() {
            self.nodes.remove(&key);
            return;
        }
        for lease in node.held.clone() {
            self.set_deadline(lease, now + self.settings.grace_ms);
        }
    }

    /// A node won't finish a lease.
    pub fn give_back(
        &mut self,
        now: u64,
        node: PublicKey,
        id: LeaseId,
    ) -> Result<Task, LeaseError> {
        let lease = self.take(node, id)?;
        let task = lease.task;
        self.put_back(now, lease);
        Ok(task)
    }

    /// A node finished a lease. From here it is being committed: exactly one
    /// of [`Self::complete`] and [`Self::put_back`] follows.
    pub fn take(&mut self, node: PublicKey, id: LeaseId) -> Result<Lease, LeaseError> {
        let task = self.held_by(node, id)?;
        if let Some(standing) = self.leases.get_mut(&id)
            && let Some(deadline) = standing.deadline.take()
        {
            self.deadlines.remove(&(deadline, id));
        }
        self.release_hold(node, id);
        Ok(Lease { id, node, task })
    }

    /// The result is durable and used this much fuel: the task is finished.
    pub fn complete(&mut self, lease: Lease, fuel: u64) {
        self.leases.remove(&lease.id);
        let Task { job: id, index } = lease.task;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.leased.get(&index) != Some(&lease.id) {
            return;
        }
        job.leased.remove(&index);
        job.tries.remove(&index);
        job.spent = job.spent.saturating_add(fuel);
        self.leased -= 1;
        if job.waiting() == 0 && job.leased.is_empty() {
            if let Some(turn) = job.turn {
                self.runnable.remove(turn);
            }
            self.jobs.remove(&id);
        } else {
            self.relist(id);
        }
    }

    /// There is no result after all: the task waits again, and that node
    /// doesn't get it at once.
    pub fn put_back(&mut self, now: u64, lease: Lease) {
        if self.remove_lease(lease.id, Why::Forgotten).is_some() {
            self.put_off(now, lease.task, lease.node);
        }
    }

    /// Time went by: leases past their deadline are over, tasks that were put
    /// off may be leased again.
    pub fn expire(&mut self, now: u64) -> Vec<Over> {
        let mut over = Vec::new();
        while self.deadlines.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, lease)) = self.deadlines.pop_first() else { break };
            let Some((node, task)) = self.holder(lease) else { continue };
            if self.nodes.get(&node).is_some_and(|node| node.online) {
                over.extend(self.remove_lease(lease, Why::Expired));
                self.put_off(now, task, node);
            } else {
                over.extend(self.remove_lease(lease, Why::Vanished));
                self.put_first(task);
            }
        }
        while self.releases.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, task)) = self.releases.pop_first() else { break };
            self.release(task);
        }
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
    /// ids.
    pub fn dispatch(&mut self, now: u64, mut new_lease: impl FnMut() -> LeaseId) -> Decisions {
        let mut grants = Vec::new();
        let mut aside = Vec::new();
        while !self.runnable.is_empty() && aside.len() < LOOK {
            let Some(key) = self.idle.pop() else { break };
            if let Some(node) = self.nodes.get_mut(&key) {
                node.turn = None;
            }
            let Some(task) = self.pick(&key) else {
                aside.push(key);
                continue;
            };
            let lease = new_lease();
            self.grant(now, lease, key, task);
            grants.push(Grant { lease, node: key, task });
        }
        for key in aside {
            self.requeue(key);
        }
        Decisions { grants, out_of_budget: std::mem::take(&mut self.exhausted) }
    }

    /// Who holds this lease, and for which task; also while its result is
    /// being committed.
    pub fn holder(&self, id: LeaseId) -> Option<(PublicKey, Task)> {
        self.leases.get(&id).map(|standing| (standing.node, standing.task))
    }

    /// Is the task leased?
    pub fn is_leased(&self, task: Task) -> bool {
        self.jobs.get(&task.job).is_some_and(|job| job.leased.contains_key(&task.index))
    }

    /// Tasks of a job that are leased.
    pub fn job_leased(&self, job: JobId) -> usize {
        self.jobs.get(&job).map_or(0, |job| job.leased.len())
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

    /// A task for this node from the jobs whose turn it is.
    fn pick(&mut self, node: &PublicKey) -> Option<Task> {
        for _ in 0..LOOK.min(self.runnable.len()) {
            let id = self.runnable.pop()?;
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            job.turn = None;
            let chosen = job.choose(node);
            if let Some(index) = chosen {
                return Some(Task { job: id, index });
            }
            self.relist(id);
        }
        None
    }

    fn grant(&mut self, now: u64, lease: LeaseId, key: PublicKey, task: Task) {
        let deadline = now + self.settings.lease_ms;
        if let Some(job) = self.jobs.get_mut(&task.job) {
            job.leased.insert(task.index, lease);
            if let Some(tries) = job.tries.get_mut(&task.index) {
                tries.turn = None;
                if let Some(until) = tries.until.take() {
                    self.releases.remove(&(until, task));
                }
            }
        }
        self.waiting -= 1;
        self.leased += 1;
        self.leases.insert(lease, Standing { node: key, task, deadline: Some(deadline) });
        self.deadlines.insert((deadline, lease));
        if let Some(node) = self.nodes.get_mut(&key) {
            node.slots -= 1;
            node.held.push(lease);
        }
        self.requeue(key);
        self.relist(task.job);
    }

    /// Ends a lease; the caller says what becomes of the task.
    fn remove_lease(&mut self, id: LeaseId, why: Why) -> Option<Over> {
        let Standing { node, task, deadline } = self.leases.remove(&id)?;
        if let Some(deadline) = deadline {
            self.deadlines.remove(&(deadline, id));
        }
        self.release_hold(node, id);
        if let Some(job) = self.jobs.get_mut(&task.job)
            && job.leased.get(&task.index) == Some(&id)
        {
            job.leased.remove(&task.index);
            self.leased -= 1;
        }
        Some(Over { lease: id, node, why })
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

    /// The task may be leased to anyone, before others.
    fn put_first(&mut self, task: Task) {
        if let Some(job) = self.jobs.get_mut(&task.job) {
            job.fresh.push_front(task.index);
            self.waiting += 1;
            self.relist(task.job);
        }
    }

    /// The task failed at a node that was there: others may have it at once,
    /// that node later; when no other is there, nobody for a while.
    fn put_off(&mut self, now: u64, task: Task, by: PublicKey) {
        let Some(job) = self.jobs.get_mut(&task.job) else { return };
        let tries = job.tries.entry(task.index).or_default();
        tries.count = tries.count.saturating_add(1);
        if !tries.avoid.contains(&by) {
            tries.avoid.push(by);
        }
        let there = |key: &&PublicKey| self.nodes.get(*key).is_some_and(|node| node.online);
        let refused_by = tries.avoid.iter().filter(there).count();
        let until = if refused_by < self.online && tries.avoid.len() <= MAX_AVOID {
            tries.turn = Some(job.returned.push(task.index));
            now + self.settings.avoid_ms
        } else {
            job.put_off += 1;
            let doubled = self.settings.backoff_ms << (tries.count - 1).min(20);
            now + doubled.min(self.settings.max_backoff_ms)
        };
        tries.until = Some(until);
        self.releases.insert((until, task));
        self.waiting += 1;
        self.relist(task.job);
    }

    /// Anyone may have the task again. It is out of `releases` already.
    fn release(&mut self, task: Task) {
        let Some(job) = self.jobs.get_mut(&task.job) else { return };
        let Some(tries) = job.tries.get_mut(&task.index) else { return };
        tries.avoid.clear();
        tries.until = None;
        match tries.turn.take() {
            Some(turn) => job.returned.remove(turn),
            None => job.put_off -= 1,
        }
        job.fresh.push_front(task.index);
        self.relist(task.job);
    }

    /// Puts a job among the runnable ones, or out of them, as it stands.
    fn relist(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        match (job.runnable(), job.turn) {
            (true, None) => job.turn = Some(self.runnable.push(id)),
            (false, Some(turn)) => {
                self.runnable.remove(turn);
                job.turn = None;
            }
            _ => {}
        }
        if job.leased.is_empty() && !job.affordable() && !job.exhausted {
            job.exhausted = true;
            self.exhausted.push(id);
        }
    }

    /// Puts a node among the idle ones, or out of them, as it stands.
    fn requeue(&mut self, key: PublicKey) {
        let Some(node) = self.nodes.get_mut(&key) else { return };
        let full = node.held.len() >= usize::from(limits::MAX_SLOTS);
        let free = node.online && node.slots > 0 && !full;
        match (free, node.turn) {
            (true, None) => node.turn = Some(self.idle.push(key)),
            (false, Some(turn)) => {
                self.idle.remove(turn);
                node.turn = None;
            }
            _ => {}
        }
    }
}
