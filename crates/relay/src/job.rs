//! A running job, as the data path needs it.

use crate::store::{JobRow, TaskRow};
use grid_protocol::api::NewJob;
use grid_protocol::infer::Work;
use grid_protocol::{Digest, JobId, Publisher, Runtime, Spec};
use grid_scheduler::Needs;
use tokio::sync::watch;

/// An input list of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// A running job. What its tasks' specs are made of is kept in memory; their
/// bodies are not.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: JobId,
    /// Its owner's name.
    pub(crate) owner: String,
    pub(crate) template: NewJob,
    pub(crate) admitted: Digest,
    pub(crate) admission: u16,
    pub(crate) module_bytes: u32,
    pub(crate) inputs: Vec<Input>,
    /// Moves when a result was committed, and when the job ends.
    pub(crate) changed: watch::Sender<u64>,
}

impl Job {
    pub(crate) fn of_row(row: &JobRow, tasks: &[TaskRow]) -> Self {
        Self {
            id: row.id,
            owner: row.owner.clone(),
            template: row.template.clone(),
            admitted: row.admitted,
            admission: row.admission,
            module_bytes: row.module_bytes,
            inputs: tasks
                .iter()
                .map(|task| Input { digest: task.input, size: task.input_bytes })
                .collect(),
            changed: watch::Sender::new(0),
        }
    }

    /// The task's input; `None` when there is no such task.
    pub(crate) fn input(&self, index: u32) -> Option<Input> {
        self.inputs.get(index as usize).copied()
    }

    /// The task's spec; `None` when there is no such task.
    pub(crate) fn spec(&self, index: u32) -> Option<Spec> {
        let input = self.input(index)?;
        Some(self.template.spec(self.admitted, self.admission, input.digest))
    }

    /// Whose work it is, as nodes are told.
    pub(crate) fn publisher(&self) -> Publisher {
        Publisher { owner: self.owner.clone(), job: self.template.name.clone() }
    }

    /// What its tasks need of a node.
    pub(crate) fn needs(&self) -> Needs {
        match self.template.runtime {
            Runtime::Infer => Needs::Model(self.admitted),
            _ => Needs::Modules,
        }
    }

    /// Do its tasks generate text, so that a claim of it is checked in one
    /// pass?
    pub(crate) fn generates(&self) -> bool {
        let work = self.template.args.first().and_then(|work| Work::of(work));
        self.template.runtime == Runtime::Infer && work == Some(Work::Generate)
    }

    /// Fuel limit of each task.
    pub(crate) fn fuel_limit(&self) -> u64 {
        self.template.fuel.unwrap_or(grid_protocol::limits::DEFAULT_FUEL)
    }
}
