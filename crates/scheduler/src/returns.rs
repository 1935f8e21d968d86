//! Tasks whose lease ended without a result.

use crate::job::{MAX_AVOID, Stage};
use crate::scheduler::{Scheduler, Standing};
use crate::types::{Needs, Task};
use crate::{Over, Why};
use grid_protocol::{LeaseId, PublicKey};

/// What to make of a task whose lease ended without a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Anyone may have it, at once.
    Again,
    /// Others may have it: the node could not, would not, or said nothing.
    Failed { device: bool, job: bool },
}

impl Scheduler {
    /// A lease ends without a result: others may have its task.
    pub(crate) fn lose(&mut self, now: u64, id: LeaseId, why: Why, fate: Fate) -> Option<Over> {
        let (over, Standing { node, task, place, .. }) = self.remove_lease(id, why)?;
        let job = self.jobs.get_mut(&task.job);
        let Some(job) = job else { return Some(over) };
        if let Fate::Failed { job: true, .. } = fate {
            job.fail(now, node, now + self.settings.avoid_job_ms);
        }
        let taken = job.open(task.index).is_some() || !job.leases_of(task.index).is_empty();
        match (place, fate) {
            (Some(place), _) => {
                let unable = matches!(fate, Fate::Failed { device: true, .. });
                self.pass_over_holder(now, task, id, (place, node), unable);
            }
            _ if taken => {}
            (None, Fate::Again) => {
                job.fresh.push_front(task.index);
                self.waiting += 1;
            }
            (None, Fate::Failed { device, .. }) => self.put_off(now, task, node, device),
        }
        self.relist(task.job);
        Some(over)
    }

    /// The task failed at a node that was there: others may have it at once,
    /// that node later; when no other is there, nobody for a while. A task that
    /// device after device can't run goes to the referee.
    fn put_off(&mut self, now: u64, task: Task, by: PublicKey, device: bool) {
        let Some(job) = self.jobs.get_mut(&task.job) else { return };
        let tries = job.tries.entry(task.index).or_default();
        tries.count = tries.count.saturating_add(1);
        if !tries.avoid.contains(&by) {
            tries.avoid.push(by);
        }
        if device {
            tries.device = tries.device.saturating_add(1);
            if !tries.devices.contains(&by) && tries.devices.len() < MAX_AVOID {
                tries.devices.push(by);
            }
            let most = self.settings.device_tries;
            if most > 0 && (tries.devices.len() >= most as usize || tries.device >= 2 * most) {
                job.tries.remove(&task.index);
                self.open += usize::from(job.open_with(task.index, 0, Stage::Busy));
                self.referee.push(task);
                return;
            }
        }
        let there = |key: &&PublicKey| self.nodes.get(*key).is_some_and(|node| node.online);
        let refused_by = tries.avoid.iter().filter(there).count();
        let online = match job.needs {
            Needs::Modules => self.able.modules,
            Needs::Model(_) => self.able.inference,
        };
        let until = if refused_by < online && tries.avoid.len() <= MAX_AVOID {
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
    }

    /// Anyone may have the task again. It is out of `releases` already.
    pub(crate) fn release(&mut self, task: Task) {
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

    /// A task that came back is leased: it waits for no release.
    pub(crate) fn unrelease(&mut self, task: Task) {
        let Some(job) = self.jobs.get_mut(&task.job) else { return };
        let Some(tries) = job.tries.get_mut(&task.index) else { return };
        tries.turn = None;
        if let Some(until) = tries.until.take() {
            self.releases.remove(&(until, task));
        }
    }
}
