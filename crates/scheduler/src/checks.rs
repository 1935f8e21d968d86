//! Leases beyond a task's first: checks by nodes that a draw names, and second
//! leases of slow ones.

use crate::Why;
use crate::job::{Asked, Checking, LOOK, Stage};
use crate::lanes::Lane;
use crate::scheduler::{Scheduler, Standing};
use crate::types::{Check, Grant, Skip, Task};
use grid_protocol::entry::Unanswered;
use grid_protocol::{LeaseId, PublicKey};

/// Nodes of one draw that are asked one after the other. When so many were
/// passed over, those that are left are asked together: however crowded the
/// network, a draw costs the log a few entries.
const PASSES: usize = 3;
/// Nodes that are asked together have so many times as long to answer.
const TOGETHER: u64 = 6;

impl Scheduler {
    /// A task that has votes wants another. The first candidate that is there
    /// gets it before anything else, once it has a free slot; what keeps a
    /// candidate from it comes out as a skip.
    pub fn check(&mut self, now: u64, check: Check) {
        let Check { task, seq, candidates, together } = check;
        let crowd = candidates.last().filter(|_| together).map(|(place, _)| *place);
        let checking =
            Checking { seq, candidates, passed: Vec::new(), crowd, asked: Asked::Nobody };
        if self.set_stage(task, Stage::Check(checking)) {
            self.ask_next(now, task);
        }
    }

    /// False when the task isn't open.
    pub(crate) fn set_stage(&mut self, task: Task, stage: Stage) -> bool {
        let Some(job) = self.jobs.get_mut(&task.job) else { return false };
        let Some(before) = job.set_stage(task.index, stage) else { return false };
        if let Stage::Check(checking) = before {
            self.unreserve(task, checking.asked);
        }
        self.relist(task.job);
        true
    }

    /// Reserves a check for the next candidate that is there, or for all that
    /// are left.
    fn ask_next(&mut self, now: u64, task: Task) {
        loop {
            let caught = &self.caught;
            let Some(job) = self.jobs.get_mut(&task.job) else { return };
            let (affordable, needs) = (job.affordable(), job.needs);
            let Some(checking) = job.checking(task.index) else { return };
            checking.asked = Asked::Nobody;
            if !affordable {
                return self.ask_referee(task);
            }
            // The log itself says that they are shut out.
            checking.candidates.retain(|(_, node)| !caught.contains(node));
            let passed = |node| checking.passed.iter().any(|(passed, _)| passed == node);
            let in_turn = checking.crowd.is_none() && checking.passed.len() < PASSES;
            let next = checking.candidates.iter().find(|(_, node)| !passed(node)).copied();
            let Some((place, node)) = next.filter(|_| in_turn) else {
                return self.ask_together(now, task);
            };
            let there = self.nodes.get(&node).filter(|node| node.online);
            match there.map(|node| node.abilities.meet(needs)) {
                Some(true) => {
                    let until = now + self.settings.answer_ms;
                    return self.reserve(task, vec![(place, node)], false, until);
                }
                Some(false) => self.pass_over(task, place, node, Unanswered::Unable),
                None => self.pass_over(task, place, node, Unanswered::Absent),
            }
        }
    }

    /// Reserves it for whoever is left and has a free slot first.
    fn ask_together(&mut self, now: u64, task: Task) {
        let nodes = &self.nodes;
        let Some(job) = self.jobs.get_mut(&task.job) else { return };
        let needs = job.needs;
        let Some(checking) = job.checking(task.index) else { return };
        let failed = |node: &PublicKey| {
            let passed = checking.passed.iter().find(|(passed, _)| passed == node);
            passed.is_some_and(|(_, why)| matches!(why, Unanswered::Silent | Unanswered::Unable))
        };
        let there = |node: &PublicKey| {
            nodes.get(node).is_some_and(|node| node.online && node.abilities.meet(needs))
        };
        let left = checking.candidates.iter().filter(|(_, node)| there(node) && !failed(node));
        let left: Vec<_> = left.copied().collect();
        if left.is_empty() {
            return self.give_up(task);
        }
        let until = now + TOGETHER * self.settings.answer_ms;
        self.reserve(task, left, true, until);
    }

    fn reserve(&mut self, task: Task, nodes: Vec<(u32, PublicKey)>, together: bool, until: u64) {
        self.answers.insert((until, task));
        for (_, key) in &nodes {
            if let Some(node) = self.nodes.get_mut(key) {
                node.checks.push_back(task);
            }
            self.requeue(*key);
        }
        let checking = self.jobs.get_mut(&task.job).and_then(|job| job.checking(task.index));
        if let Some(checking) = checking {
            checking.asked = Asked::Reserved { nodes, together, until };
        }
    }

    /// Nobody whom the draw names checks.
    fn give_up(&mut self, task: Task) {
        self.excuse(task, u32::MAX);
        self.ask_referee(task);
    }

    /// The log is to excuse every candidate before this place.
    fn excuse(&mut self, task: Task, before: u32) {
        let Some(job) = self.jobs.get_mut(&task.job) else { return };
        let Some(checking) = job.checking(task.index) else { return };
        let unexcused = checking.candidates.iter().rev().find(|(place, node)| {
            let passed = checking.passed.iter().any(|(passed, _)| passed == node);
            *place < before && !passed && checking.crowd < Some(*place)
        });
        if let Some((place, node)) = unexcused.copied() {
            checking.crowd = Some(place);
            let why = Unanswered::Crowded;
            self.skips.push(Skip { task, seq: checking.seq, place, node, why });
        }
    }

    /// Whoever was slow needs not go on.
    fn ask_referee(&mut self, task: Task) {
        self.set_stage(task, Stage::Busy);
        self.referee.push(task);
        let leases = self.jobs.get(&task.job).map(|job| job.leases_of(task.index).to_vec());
        for id in leases.unwrap_or_default() {
            if self.leases.get(&id).is_some_and(|standing| standing.deadline.is_some()) {
                let over = self.remove_lease(id, Why::Superseded);
                self.over.extend(over.map(|(over, _)| over));
            }
        }
        self.relist(task.job);
    }

    fn pass_over(&mut self, task: Task, place: u32, node: PublicKey, why: Unanswered) {
        if self.caught.contains(&node) {
            return;
        }
        let Some(job) = self.jobs.get_mut(&task.job) else { return };
        let Some(checking) = job.checking(task.index) else { return };
        checking.passed.retain(|(passed, _)| *passed != node);
        checking.passed.push((node, why));
        self.skips.push(Skip { task, seq: checking.seq, place, node, why });
    }

    /// Nobody is waited for any more.
    pub(crate) fn unreserve(&mut self, task: Task, asked: Asked) {
        let Asked::Reserved { nodes, until, .. } = asked else { return };
        self.answers.remove(&(until, task));
        for (_, key) in nodes {
            if let Some(reserved) = self.nodes.get_mut(&key) {
                reserved.checks.retain(|check| *check != task);
                self.requeue(key);
            }
        }
    }

    /// The nodes for which the check was reserved, which is given up; and were
    /// they asked together?
    fn reserved(&mut self, task: Task) -> Option<(Vec<(u32, PublicKey)>, bool)> {
        let checking = self.jobs.get_mut(&task.job)?.checking(task.index)?;
        let asked = std::mem::replace(&mut checking.asked, Asked::Nobody);
        let Asked::Reserved { nodes, together, .. } = &asked else {
            checking.asked = asked;
            return None;
        };
        let reserved = (nodes.clone(), *together);
        self.unreserve(task, asked);
        Some(reserved)
    }

    /// A node for which a check was reserved left.
    pub(crate) fn pass_over_absent(&mut self, now: u64, task: Task, left: PublicKey) {
        let checking = self.jobs.get_mut(&task.job).and_then(|job| job.checking(task.index));
        let asked = checking.map(|checking| &mut checking.asked);
        let Some(Asked::Reserved { nodes, together, .. }) = asked else { return };
        let others = nodes.iter().any(|(_, node)| *node != left);
        if *together && others {
            return nodes.retain(|(_, node)| *node != left);
        }
        match self.reserved(task) {
            Some((_, true)) => self.give_up(task),
            Some((nodes, false)) => {
                for (place, node) in nodes {
                    self.pass_over(task, place, node, Unanswered::Absent);
                }
                self.ask_next(now, task);
            }
            None => {}
        }
    }

    /// A check's lease ended without a result. Where the next was asked
    /// already, nothing changes.
    pub(crate) fn pass_over_holder(
        &mut self,
        now: u64,
        task: Task,
        lease: LeaseId,
        (place, node): (u32, PublicKey),
        unable: bool,
    ) {
        let checking = self.jobs.get_mut(&task.job).and_then(|job| job.checking(task.index));
        if checking.is_some_and(|checking| checking.asked == Asked::Leased(lease)) {
            let why = if unable { Unanswered::Unable } else { Unanswered::Silent };
            self.pass_over(task, place, node, why);
            self.ask_next(now, task);
        }
    }

    /// Drawn nodes that had no free slot in time are passed over, slow leases
    /// looked at.
    pub(crate) fn pass_over_late(&mut self, now: u64) {
        while let Some((_, task)) = self.answers.first().filter(|(at, _)| *at <= now).copied() {
            match self.reserved(task) {
                Some((_, true)) => self.give_up(task),
                Some((nodes, false)) => {
                    for (place, node) in nodes {
                        self.pass_over(task, place, node, Unanswered::Busy);
                    }
                    self.ask_next(now, task);
                }
                None => {
                    self.answers.pop_first();
                }
            }
        }
        while let Some((_, lease)) = self.slow.first().filter(|(at, _)| *at <= now).copied() {
            self.slow.pop_first();
            self.look_at_slow(now, lease);
        }
    }

    fn look_at_slow(&mut self, now: u64, id: LeaseId) {
        let Some(Standing { node, task, deadline: Some(_), since, place, .. }) =
            self.leases.get(&id)
        else {
            return;
        };
        let (node, task, since, place) = (*node, *task, *since, *place);
        let slow_at = since + self.slow_after(task);
        if slow_at > now {
            self.look_again(id, slow_at);
        } else if let Some(place) = place {
            self.pass_over_holder(now, task, id, (place, node), false);
        } else {
            self.stragglers.push(id);
        }
    }

    fn slow_after(&self, task: Task) -> u64 {
        let p95 = self.jobs.get(&task.job).and_then(|job| job.times.p95());
        let twice = p95.map_or(self.settings.lease_ms, |p95| 2 * p95);
        twice.max(self.settings.slow_ms)
    }

    fn look_again(&mut self, id: LeaseId, at: u64) {
        if let Some(standing) = self.leases.get_mut(&id) {
            standing.slow_at = at;
            self.slow.insert((at, id));
        }
    }

    /// Free slots for which checks are reserved get those.
    pub(crate) fn grant_checks(
        &mut self,
        now: u64,
        new_lease: &mut impl FnMut() -> LeaseId,
        grants: &mut Vec<Grant>,
    ) {
        while let Some(key) = self.called.first().copied() {
            let task = self.nodes.get(&key).and_then(|node| node.checks.front().copied());
            let Some(task) = task else {
                self.called.remove(&key);
                continue;
            };
            let nodes = self.reserved(task).map(|(nodes, _)| nodes).unwrap_or_default();
            let Some((place, _)) = nodes.into_iter().find(|(_, node)| *node == key) else {
                self.called.remove(&key);
                continue;
            };
            let Some(job) = self.jobs.get_mut(&task.job) else { continue };
            if !job.affordable() {
                self.ask_referee(task);
                continue;
            }
            let lease = new_lease();
            if let Some(checking) = job.checking(task.index) {
                checking.asked = Asked::Leased(lease);
            }
            self.excuse(task, place);
            grants.push(self.grant(now, lease, key, task, Some(place)));
        }
    }

    /// Slow leases get a second one beside them, while slots are free that
    /// nothing else waits for.
    pub(crate) fn grant_seconds(
        &mut self,
        now: u64,
        new_lease: &mut impl FnMut() -> LeaseId,
        grants: &mut Vec<Grant>,
    ) {
        for id in std::mem::take(&mut self.stragglers) {
            let Some(Standing { node, task, deadline: Some(_), .. }) = self.leases.get(&id) else {
                continue;
            };
            let (holder, task) = (*node, *task);
            let Some(job) = self.jobs.get(&task.job) else { continue };
            if job.leases_of(task.index).len() != 1 || job.open(task.index).is_some() {
                continue;
            }
            let lane = Lane::of(job.needs);
            let queue = if lane == Lane::Modules { &self.runnable } else { &self.inferable };
            let free = queue.is_empty() && job.may_repeat();
            let others = self.idle.iter(lane).take(LOOK).copied();
            let mut others = others.filter(|key| *key != holder);
            let other = others.find(|key| !self.avoids(now, task.job, key));
            drop(others);
            match other.filter(|_| free) {
                Some(key) => {
                    if let Some(job) = self.jobs.get_mut(&task.job) {
                        job.seconds += 1;
                    }
                    grants.push(self.grant(now, new_lease(), key, task, None));
                }
                None => self.look_again(id, now + self.settings.slow_ms.max(1)),
            }
        }
    }

    pub(crate) fn grant(
        &mut self,
        now: u64,
        lease: LeaseId,
        key: PublicKey,
        task: Task,
        place: Option<u32>,
    ) -> Grant {
        let deadline = now + self.settings.lease_ms;
        self.unrelease(task);
        let slow_at = now + self.slow_after(task).max(1);
        if let Some(job) = self.jobs.get_mut(&task.job) {
            job.add_lease(task.index, lease);
        }
        self.leased += 1;
        let standing =
            Standing { node: key, task, deadline: Some(deadline), since: now, slow_at, place };
        self.leases.insert(lease, standing);
        self.add_deadline(deadline, lease);
        self.slow.insert((slow_at, lease));
        if let Some(node) = self.nodes.get_mut(&key) {
            node.slots -= 1;
            node.held.push(lease);
        }
        self.requeue(key);
        self.relist(task.job);
        Grant { lease, node: key, task }
    }
}
