//! Fuel: what owners were granted, what jobs reserved, spent and gave back.

use crate::Fault;
use grid_protocol::api::JobState;
use grid_protocol::entry::{Movement, OwnerTag};
use grid_protocol::{JobId, PublicKey, Runtime};
use std::collections::{HashMap, hash_map};

/// A job, as far as the log says.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    owner: OwnerTag,
    reserved: u64,
    spent: u64,
    /// Fuel limit of each task.
    pub(crate) fuel: u64,
    /// What executes them.
    pub(crate) runtime: Runtime,
    pub(crate) error_ppb: u32,
    /// Which tasks are settled.
    settled: Vec<u64>,
    tasks: u32,
    left: u32,
    pub(crate) over: bool,
}

impl Job {
    /// Marks a task as settled.
    pub(crate) fn settle(&mut self, id: JobId, index: u32) -> Result<(), Fault> {
        if index >= self.tasks {
            return Err(Fault::NoSuchTask(id, index));
        }
        let (word, bit) = (index as usize / 64, 1 << (index % 64));
        if self.settled[word] & bit != 0 {
            return Err(Fault::SettledTwice(id, index));
        }
        self.settled[word] |= bit;
        self.left -= 1;
        Ok(())
    }

    pub(crate) fn spend(&mut self, fuel: u64) -> Result<(), Fault> {
        let spent = self.spent.checked_add(fuel).filter(|spent| *spent <= self.reserved);
        self.spent = spent.ok_or(Fault::Money)?;
        Ok(())
    }
}

/// Owners and jobs.
#[derive(Debug, Default)]
pub(crate) struct Money {
    owners: HashMap<OwnerTag, u64>,
    pub(crate) jobs: HashMap<JobId, Job>,
    /// Granted by the operator in all.
    pub(crate) granted: u64,
    /// Spent on settled results in all.
    pub(crate) spent: u64,
}

impl Money {
    /// Applies a Budget entry.
    pub(crate) fn moved(
        &mut self,
        movement: Movement,
        amount: u64,
        owner: OwnerTag,
    ) -> Result<(), Fault> {
        let balance = self.owners.entry(owner).or_default();
        match movement {
            Movement::Grant => {
                *balance = balance.checked_add(amount).ok_or(Fault::Money)?;
                self.granted = self.granted.saturating_add(amount);
            }
            Movement::Reserve { job: id, runtime, tasks, fuel, error_ppb } => {
                let hash_map::Entry::Vacant(vacant) = self.jobs.entry(id) else {
                    return Err(Fault::ReservedTwice(id));
                };
                if tasks as usize > grid_protocol::limits::MAX_TASKS {
                    return Err(Fault::NoSuchTask(id, tasks));
                }
                *balance = balance.checked_sub(amount).ok_or(Fault::Money)?;
                vacant.insert(Job {
                    owner,
                    reserved: amount,
                    spent: 0,
                    fuel,
                    runtime,
                    error_ppb,
                    settled: vec![0; (tasks as usize).div_ceil(64)],
                    tasks,
                    left: tasks,
                    over: false,
                });
            }
            Movement::Refund(id, state) => {
                let job = self.jobs.get_mut(&id).filter(|job| !job.over && job.owner == owner);
                let job = job.ok_or(Fault::NoSuchJob(id))?;
                if state == JobState::Done && job.left > 0 {
                    return Err(Fault::NotDone(job.left));
                }
                let left = job.reserved - job.spent;
                if amount != left {
                    return Err(Fault::Refund { refund: amount, left });
                }
                job.over = true;
                *balance = balance.checked_add(left).ok_or(Fault::Money)?;
            }
        }
        Ok(())
    }

    /// The job, while it runs.
    pub(crate) fn running(&mut self, id: JobId) -> Result<&mut Job, Fault> {
        self.jobs.get_mut(&id).filter(|job| !job.over).ok_or(Fault::NoSuchJob(id))
    }

    /// Everything granted is with owners, reserved by running jobs, or spent.
    pub(crate) fn balances(&self) -> bool {
        let owners: u128 = self.owners.values().map(|balance| u128::from(*balance)).sum();
        let running = self.jobs.values().filter(|job| !job.over);
        let reserved: u128 = running.map(|job| u128::from(job.reserved - job.spent)).sum();
        owners + reserved + u128::from(self.spent) == u128::from(self.granted)
    }
}

/// What a node earned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Earned {
    pub(crate) fuel: u64,
    pub(crate) tasks: u64,
}

impl Earned {
    pub(crate) fn add(&mut self, fuel: u64) {
        self.fuel = self.fuel.saturating_add(fuel);
        self.tasks += 1;
    }
}

/// Points by node.
pub(crate) type Points = HashMap<PublicKey, Earned>;
