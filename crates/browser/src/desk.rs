//! Supervises inference from the offscreen document: one worker, which keeps
//! its model in memory from task to task and ends when nothing came for a
//! while; one task at a time.
//!
//! Pure: [`Desk`] gets what happened and returns what to do, as the
//! [`Supervisor`](crate::supervisor::Supervisor) that holds it does.

use crate::messages::{FromInference, FromSupervisor, Inference, Model, ToInference};
use grid_node::Share;
use grid_protocol::{GiveBackReason, LeaseId};

/// A worker that isn't there after so long never will be.
const START_MS: f64 = 30_000.0;
/// A worker that works says so far more often than this, but for a transfer
/// from the relay, which it gives up itself after two minutes.
const SILENT_MS: f64 = 150_000.0;
/// A worker that was told to pause or to stop does so between two slices.
const OBEY_MS: f64 = 15_000.0;
/// Without a task for so long its memory is given back.
const IDLE_MS: f64 = 5.0 * 60_000.0;
/// A result that the node hasn't taken after so long: the node is dead.
const UNSEEN_MS: f64 = 2_000.0;

/// What to do. In order.
#[derive(Debug, Clone, PartialEq)]
pub enum DeskEffect {
    /// Start the worker that infers.
    Start,
    /// Terminate it.
    End,
    /// Tell it.
    Tell(ToInference),
    /// Tell the node.
    Node(FromSupervisor),
    /// Start the service worker: something waits for it.
    WakeNode,
}

#[derive(Debug)]
struct Worker {
    ready: bool,
    /// The task that it works on.
    busy: Option<LeaseId>,
    /// When it was last heard, or got something to do.
    heard: f64,
    /// Since when it owes an answer to a pause or a stop.
    told: Option<f64>,
    /// It said that it pauses: it may be silent.
    paused: bool,
}

#[derive(Debug)]
enum Run {
    Waiting(Inference),
    Working,
    Ended { message: FromSupervisor, seen: bool, since: f64 },
}

/// See the module. Times are milliseconds of any steady clock.
#[derive(Debug)]
pub struct Desk {
    worker: Option<Worker>,
    share: Share,
    /// Whether the node hears.
    connected: bool,
    /// In order of arrival.
    runs: Vec<(LeaseId, Run)>,
    /// What the worker said last of the models it keeps, for a node that
    /// didn't hear it.
    models: Option<Vec<Model>>,
    effects: Vec<DeskEffect>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            worker: None,
            share: Share { cpu: 100, gpu: 100 },
            connected: false,
            runs: Vec::new(),
            models: None,
            effects: Vec::new(),
        }
    }
}

impl Desk {
    /// What is to be done since the last call.
    pub fn effects(&mut self) -> Vec<DeskEffect> {
        std::mem::take(&mut self.effects)
    }

    /// Leases that are held, working or finished.
    pub fn holding(&self) -> impl Iterator<Item = LeaseId> {
        self.runs.iter().map(|(lease, _)| *lease)
    }

    /// The node hears from now on: it is told what ended without it.
    pub fn connect(&mut self) {
        self.connected = true;
        let models = self.models.clone().map(FromSupervisor::Models);
        let ended = self.runs.iter().filter_map(|(_, run)| match run {
            Run::Ended { message, .. } => Some(message.clone()),
            Run::Waiting(_) | Run::Working => None,
        });
        self.effects.extend(models.into_iter().chain(ended).map(DeskEffect::Node));
    }

    /// The node doesn't hear any more.
    pub fn disconnect(&mut self) {
        self.connected = false;
    }

    /// A task came.
    pub fn run(&mut self, lease: LeaseId, job: Inference, now: f64) {
        if self.runs.iter().all(|(other, _)| *other != lease) {
            self.runs.push((lease, Run::Waiting(job)));
            self.settle(now);
        }
    }

    /// A run is to be stopped, or forgotten.
    pub fn drop_run(&mut self, lease: LeaseId, now: f64) {
        self.runs.retain(|(other, _)| *other != lease);
        if let Some(worker) = self.worker.as_mut().filter(|worker| worker.busy == Some(lease)) {
            worker.told.get_or_insert(now);
            self.effects.push(DeskEffect::Tell(ToInference::Stop(lease)));
        }
    }

    /// The node has the end of this run.
    pub fn seen(&mut self, lease: LeaseId) {
        if let Some(Run::Ended { seen, .. }) = self.find(lease) {
            *seen = true;
        }
    }

    /// The shares changed; one of no core pauses.
    pub fn pace(&mut self, share: Share, now: f64) {
        if share == self.share {
            return;
        }
        self.share = share;
        if let Some(worker) = self.worker.as_mut().filter(|worker| worker.ready) {
            worker.heard = now;
            worker.paused = false;
            worker.told = (share.cpu == 0 && worker.busy.is_some()).then_some(now);
            self.effects.push(DeskEffect::Tell(ToInference::Pace(share.cpu, share.gpu)));
        }
    }

    /// A message of the worker.
    pub fn worker(&mut self, message: FromInference, now: f64) {
        let Some(worker) = &mut self.worker else { return };
        worker.heard = now;
        match message {
            FromInference::Ready => {
                if !std::mem::replace(&mut worker.ready, true) {
                    let Share { cpu, gpu } = self.share;
                    self.effects.push(DeskEffect::Tell(ToInference::Pace(cpu, gpu)));
                    self.settle(now);
                }
            }
            FromInference::Alive => {
                worker.paused = self.share.cpu == 0;
                let stopping =
                    worker.busy.is_some_and(|lease| !self.runs.iter().any(|(l, _)| *l == lease));
                if worker.paused && !stopping {
                    worker.told = None;
                }
            }
            FromInference::Loading(lease, loading) => {
                self.tell_of(lease, FromSupervisor::Loading(lease, loading));
            }
            FromInference::Text(lease, text) => {
                self.tell_of(lease, FromSupervisor::Text(lease, text));
            }
            FromInference::Models(models) => {
                self.models = Some(models.clone());
                if self.connected {
                    self.effects.push(DeskEffect::Node(FromSupervisor::Models(models)));
                }
            }
            FromInference::Finished(lease, finished) => {
                self.free(lease);
                self.end(lease, FromSupervisor::Finished(lease, finished), now);
                self.settle(now);
            }
            FromInference::Failed(lease, reason, detail) => {
                self.free(lease);
                self.end(lease, FromSupervisor::Failed(lease, reason, detail), now);
                self.settle(now);
            }
        }
    }

    /// The worker died by itself.
    pub fn worker_error(&mut self, detail: &str, now: f64) {
        self.lose(&format!("the worker ended: {detail}"), now);
    }

    /// Time passed: ends what doesn't answer, and what isn't needed.
    pub fn tick(&mut self, now: f64) {
        if let Some(worker) = &self.worker {
            let silent = now - worker.heard;
            let late = worker.told.is_some_and(|told| now - told > OBEY_MS);
            match worker.busy {
                None if !worker.ready && silent > START_MS => {
                    self.lose("the worker did not start", now);
                }
                None if worker.ready && silent > IDLE_MS => self.end_worker(),
                Some(_) if late || (silent > SILENT_MS && !worker.paused) => {
                    self.lose("the worker did not answer", now);
                }
                _ => {}
            }
        }
        for (_, run) in &mut self.runs {
            if let Run::Ended { seen: false, since, .. } = run
                && now - *since > UNSEEN_MS
            {
                *since = now;
                self.effects.push(DeskEffect::WakeNode);
            }
        }
    }

    /// Is there anything that [`Desk::tick`] could end?
    pub fn wants_ticks(&self) -> bool {
        self.worker.is_some() || !self.runs.is_empty()
    }

    fn find(&mut self, lease: LeaseId) -> Option<&mut Run> {
        self.runs.iter_mut().find(|(id, _)| *id == lease).map(|(_, run)| run)
    }

    fn tell_of(&mut self, lease: LeaseId, message: FromSupervisor) {
        if self.connected && matches!(self.find(lease), Some(Run::Working)) {
            self.effects.push(DeskEffect::Node(message));
        }
    }

    /// The worker is done with this task.
    fn free(&mut self, lease: LeaseId) {
        if let Some(worker) = self.worker.as_mut().filter(|worker| worker.busy == Some(lease)) {
            worker.busy = None;
            worker.told = None;
        }
    }

    fn end(&mut self, lease: LeaseId, message: FromSupervisor, now: f64) {
        let Some(run) = self.find(lease) else { return };
        if let Run::Ended { .. } = run {
            return;
        }
        *run = Run::Ended { message: message.clone(), seen: false, since: now };
        self.effects.push(match self.connected {
            true => DeskEffect::Node(message),
            false => DeskEffect::WakeNode,
        });
    }

    /// The worker is of no use any more: whatever it had is lost, and what
    /// waits gets another one.
    fn lose(&mut self, detail: &str, now: f64) {
        let Some(worker) = &self.worker else { return };
        let (ready, busy) = (worker.ready, worker.busy);
        self.end_worker();
        let first = || self.runs.iter().find(|(_, run)| matches!(run, Run::Waiting(_)));
        // One that can't even start fails what it was started for.
        let failed = busy.or_else(|| first().filter(|_| !ready).map(|(lease, _)| *lease));
        if let Some(lease) = failed {
            let reason = GiveBackReason::Lost.number();
            self.end(lease, FromSupervisor::Failed(lease, reason, detail.into()), now);
        }
        self.settle(now);
    }

    fn end_worker(&mut self) {
        self.worker = None;
        self.effects.push(DeskEffect::End);
    }

    /// Gives the next task to the worker.
    fn settle(&mut self, now: f64) {
        let Some((lease, run)) =
            self.runs.iter_mut().find(|(_, run)| matches!(run, Run::Waiting(_)))
        else {
            return;
        };
        let worker = self.worker.get_or_insert_with(|| {
            self.effects.push(DeskEffect::Start);
            Worker { ready: false, busy: None, heard: now, told: None, paused: false }
        });
        if !worker.ready || worker.busy.is_some() {
            return;
        }
        if let Run::Waiting(job) = std::mem::replace(run, Run::Working) {
            worker.busy = Some(*lease);
            worker.heard = now;
            worker.paused = false;
            worker.told = (self.share.cpu == 0).then_some(now);
            self.effects.push(DeskEffect::Tell(ToInference::Run(*lease, job)));
        }
    }
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
