//! Supervises runs from the offscreen document: gives each a fresh worker of
//! the sandboxed frame, watches that it lives, and holds what finished until
//! the node has taken it, across deaths of the service worker.
//!
//! Pure: [`Supervisor`] gets what happened and returns what to do.

use crate::desk::{Desk, DeskEffect};
use crate::messages::{
    FromInference, FromSupervisor, FromWorker, Job, ToInference, ToSupervisor, ToWorker,
};
use grid_node::Share;
use grid_protocol::{GiveBackReason, LeaseId};

/// A worker of the frame; never used for two runs.
pub type WorkerId = u32;

/// A frame or a worker that isn't there after so long never will be.
const START_MS: f64 = 20_000.0;
/// A worker that runs shows that it lives far more often than this. Compiling
/// the module counts.
const SILENT_MS: f64 = 10_000.0;
/// A worker stops at the end of its slice when it is told to pause.
const PAUSE_MS: f64 = 3_000.0;
/// A result that the node hasn't taken after so long: the node is dead.
const UNSEEN_MS: f64 = 2_000.0;
/// How often [`Supervisor::tick`] wants to be called while runs are held.
pub const TICK_MS: u32 = 500;

/// What to do. In order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Build the sandboxed frame, in place of the one before; its workers are
    /// gone with it. Answer with [`Supervisor::frame_up`].
    BuildFrame,
    /// Start a worker in the frame.
    Spawn(WorkerId),
    /// Terminate it.
    Kill(WorkerId),
    /// Tell a worker.
    Worker(WorkerId, ToWorker),
    /// Tell the node.
    Node(FromSupervisor),
    /// Start the service worker: something waits for it.
    WakeNode,
    /// Start the worker that infers.
    StartInference,
    /// Terminate it.
    EndInference,
    /// Tell it.
    Inference(ToInference),
}

/// One run.
#[derive(Debug)]
enum Run {
    /// Its worker is being started.
    Starting { worker: WorkerId, job: Job, since: f64 },
    /// Its worker runs it.
    Running { worker: WorkerId, heard: f64, pause: Pause, warm: bool },
    /// Ended; the message says how.
    Ended { message: FromSupervisor, seen: bool, since: f64 },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Pause {
    No,
    /// Told to, at that time.
    Told(f64),
    /// It said that it does.
    Yes,
}

#[derive(Debug)]
struct Spare {
    worker: WorkerId,
    ready: bool,
    since: f64,
}

/// How far the node is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Link {
    Down,
    /// Connected; it hears of the power supply.
    Up,
    /// It asked for [`FromSupervisor::Ready`], and the frame isn't there yet.
    Asked,
    /// It knows what is held and hears of runs.
    Greeted,
}

/// See the module. Times are milliseconds of any steady clock.
#[derive(Debug)]
pub struct Supervisor {
    /// `None` once the frame is up, else since when it is being built.
    frame_since: Option<f64>,
    link: Link,
    power: Option<bool>,
    share: u8,
    /// Sleep that ended runs still owe, and when they said so.
    owed: (f64, f64),
    spare_wanted: bool,
    spare: Option<Spare>,
    /// In order of arrival. A few: a list is smaller than a map.
    runs: Vec<(LeaseId, Run)>,
    last_worker: WorkerId,
    /// Supervises inference.
    desk: Desk,
    effects: Vec<Effect>,
}

impl Supervisor {
    /// A supervisor whose frame is not there yet.
    pub fn new(now: f64) -> Self {
        Self {
            frame_since: Some(now),
            link: Link::Down,
            power: None,
            share: 100,
            owed: (0.0, now),
            spare_wanted: true,
            spare: None,
            runs: Vec::new(),
            last_worker: 0,
            desk: Desk::default(),
            effects: vec![Effect::BuildFrame],
        }
    }

    /// One without a frame: it runs no modules.
    pub fn builtin_only(now: f64) -> Self {
        let (frame_since, effects) = (None, Vec::new());
        Self { frame_since, effects, spare_wanted: false, ..Self::new(now) }
    }

    /// What is to be done since the last call.
    pub fn effects(&mut self) -> Vec<Effect> {
        let desk = self.desk.effects().into_iter().map(|effect| match effect {
            DeskEffect::Start => Effect::StartInference,
            DeskEffect::End => Effect::EndInference,
            DeskEffect::Tell(message) => Effect::Inference(message),
            DeskEffect::Node(message) => Effect::Node(message),
            DeskEffect::WakeNode => Effect::WakeNode,
        });
        std::mem::take(&mut self.effects).into_iter().chain(desk).collect()
    }

    /// The node handed over a new port: it started, or started again.
    pub fn connect(&mut self) {
        self.link = Link::Up;
        self.desk.disconnect();
        self.effects.push(Effect::Node(FromSupervisor::Power(self.power)));
    }

    /// The service worker died. Runs go on, and it is woken to keep their
    /// leases alive.
    pub fn disconnect(&mut self) {
        self.link = Link::Down;
        self.desk.disconnect();
        if !self.runs.is_empty() || self.desk.holding().next().is_some() {
            self.effects.push(Effect::WakeNode);
        }
    }

    /// The browser told the state of the power supply.
    pub fn power(&mut self, mains: Option<bool>) {
        if mains == self.power {
            return;
        }
        self.power = mains;
        self.effects.push(match self.link {
            Link::Down => Effect::WakeNode, // It may have waited for this.
            _ => Effect::Node(FromSupervisor::Power(mains)),
        });
    }

    /// The frame can start workers.
    pub fn frame_up(&mut self, now: f64) {
        self.frame_since = None;
        for (_, run) in &mut self.runs {
            if let Run::Starting { worker, since, .. } = run {
                *since = now;
                self.effects.push(Effect::Spawn(*worker));
            }
        }
        self.fill_spare(now);
        self.greet();
    }

    /// The frame's process ended, or the frame doesn't work: builds another.
    fn frame_gone(&mut self, now: f64) {
        if self.frame_since.is_some() {
            return;
        }
        self.frame_since = Some(now);
        self.spare = None;
        for (lease, _) in self.workers() {
            self.fail(lease, "the sandbox ended".into(), now);
        }
        // Workers that were asked for died with the frame.
        self.effects.retain(|effect| !matches!(effect, Effect::Spawn(_) | Effect::Kill(_)));
        self.effects.push(Effect::BuildFrame);
    }

    /// A message of the node.
    pub fn node(&mut self, message: ToSupervisor, now: f64) {
        match message {
            ToSupervisor::Run(lease, job) => self.run(lease, job, now),
            ToSupervisor::Drop(lease) => {
                if let Some(worker) = find(&mut self.runs, lease).and_then(|run| run.worker()) {
                    self.effects.push(Effect::Kill(worker));
                }
                self.runs.retain(|(id, _)| *id != lease);
                self.desk.drop_run(lease, now);
                self.fill_spare(now);
            }
            ToSupervisor::Infer(lease, job) => self.desk.run(lease, job, now),
            ToSupervisor::Pace(cpu, gpu) => {
                self.pace(cpu, now);
                self.desk.pace(Share { cpu, gpu }, now);
            }
            ToSupervisor::Seen(lease) => {
                self.desk.seen(lease);
                if let Some(Run::Ended { seen, .. }) = find(&mut self.runs, lease) {
                    *seen = true;
                }
            }
            ToSupervisor::Hello => {
                self.link = Link::Asked;
                self.greet();
            }
            ToSupervisor::Spare(wanted) => {
                self.spare_wanted = wanted;
                if !wanted && let Some(spare) = self.spare.take() {
                    self.effects.push(Effect::Kill(spare.worker));
                }
                self.fill_spare(now);
            }
        }
    }

    /// A message of a worker.
    pub fn worker(&mut self, worker: WorkerId, message: FromWorker, now: f64) {
        if let Some(spare) = self.spare.as_mut().filter(|spare| spare.worker == worker) {
            if !spare.ready && message == FromWorker::Ready {
                spare.ready = true;
                self.effects.push(Effect::Worker(worker, ToWorker::Rehearse));
            }
            return;
        }
        let Some(lease) = self.lease_of(worker) else { return };
        match message {
            FromWorker::Ready => self.begin(lease, now),
            FromWorker::Progress(fuel) => {
                if let Some(Run::Running { heard, pause, .. }) = find(&mut self.runs, lease) {
                    *heard = now;
                    if *pause != Pause::No {
                        *pause = Pause::Yes;
                    }
                }
                if self.link == Link::Greeted {
                    self.effects.push(Effect::Node(FromSupervisor::Progress(lease, fuel)));
                }
                self.fill_spare(now);
            }
            FromWorker::Finished(mut finished) => {
                if let Some(Run::Running { warm, .. }) = find(&mut self.runs, lease) {
                    finished.warm = *warm;
                }
                self.owed = (self.owed_now(now) + finished.owed_ms.clamp(0.0, START_MS), now);
                self.end(lease, FromSupervisor::Finished(lease, finished), now);
            }
            FromWorker::Failed(detail) => self.fail(lease, detail, now),
        }
    }

    /// A worker died by itself.
    pub fn worker_error(&mut self, worker: WorkerId, detail: &str, now: f64) {
        if self.spare.as_ref().is_some_and(|spare| spare.worker == worker) {
            self.spare = None; // The next run starts its own.
        } else if let Some(lease) = self.lease_of(worker) {
            self.fail(lease, format!("the worker ended: {detail}"), now);
        }
    }

    /// A message of the worker that infers.
    pub fn inference(&mut self, message: FromInference, now: f64) {
        self.desk.worker(message, now);
    }

    /// The worker that infers died by itself.
    pub fn inference_error(&mut self, detail: &str, now: f64) {
        self.desk.worker_error(detail, now);
    }

    /// Time passed: ends what doesn't answer.
    pub fn tick(&mut self, now: f64) {
        self.desk.tick(now);
        if let Some(since) = &mut self.frame_since {
            if now - *since > START_MS {
                *since = now;
                self.effects.push(Effect::BuildFrame);
            }
            return;
        }
        let late = |since: f64| now - since > START_MS;
        let spare_late = self.spare.as_ref().is_some_and(|s| !s.ready && late(s.since));
        let run_late =
            |(_, run): &(LeaseId, Run)| matches!(run, Run::Starting { since, .. } if late(*since));
        if spare_late || self.runs.iter().any(run_late) {
            return self.frame_gone(now);
        }
        let mut silent = Vec::new();
        let mut wake = false;
        for (lease, run) in &mut self.runs {
            match run {
                Run::Starting { .. } => {}
                Run::Running { heard, pause, .. } => match *pause {
                    Pause::No if now - *heard > SILENT_MS => silent.push(*lease),
                    Pause::Told(at) if now - at > PAUSE_MS => silent.push(*lease),
                    _ => {}
                },
                Run::Ended { seen, since, .. } => {
                    if !*seen && now - *since > UNSEEN_MS {
                        *since = now;
                        wake = true;
                    }
                }
            }
        }
        let lost = !silent.is_empty();
        for lease in silent {
            self.fail(lease, "the worker did not answer".into(), now);
        }
        if lost && self.workers().is_empty() {
            // It may not have been the worker's fault: the frame's process ends
            // without a word.
            self.frame_gone(now);
        }
        if wake {
            self.effects.push(Effect::WakeNode);
        }
    }

    /// Is there anything that [`Supervisor::tick`] could end?
    pub fn wants_ticks(&self) -> bool {
        self.frame_since.is_some()
            || self.spare.as_ref().is_some_and(|spare| !spare.ready)
            || !self.runs.is_empty()
            || self.desk.wants_ticks()
    }

    fn run(&mut self, lease: LeaseId, job: Job, now: f64) {
        if find(&mut self.runs, lease).is_some() {
            return; // Asked twice, around a restart: it is held already.
        }
        match self.spare.take() {
            Some(spare) => {
                let (worker, ready) = (spare.worker, spare.ready);
                self.runs.push((lease, Run::Starting { worker, job, since: spare.since }));
                if ready {
                    self.begin(lease, now);
                    if let Some(Run::Running { warm, .. }) = find(&mut self.runs, lease) {
                        *warm = true;
                    }
                }
            }
            None => {
                let worker = self.spawn();
                self.runs.push((lease, Run::Starting { worker, job, since: now }));
            }
        }
        // The next spare is started when this run shows that it takes long, or
        // ends: starting one now would slow a short one down.
    }

    /// The worker of a starting run is ready: hands it the job.
    fn begin(&mut self, lease: LeaseId, now: f64) {
        let Some(run) = find(&mut self.runs, lease) else { return };
        if !matches!(run, Run::Starting { .. }) {
            return;
        }
        let worker = run.worker().unwrap_or_default();
        let pause = if self.share == 0 { Pause::Told(now) } else { Pause::No };
        let running = Run::Running { worker, heard: now, pause, warm: false };
        if let Run::Starting { job, .. } = std::mem::replace(run, running) {
            let owed = self.owed_now(now);
            self.owed = (0.0, now);
            self.effects.push(Effect::Worker(worker, ToWorker::Run(job, self.share, owed)));
        }
    }

    fn pace(&mut self, share: u8, now: f64) {
        if share == self.share {
            return;
        }
        self.share = share;
        for (_, run) in &mut self.runs {
            if let Run::Running { worker, heard, pause, .. } = run {
                *heard = now;
                *pause = if share == 0 { Pause::Told(now) } else { Pause::No };
                self.effects.push(Effect::Worker(*worker, ToWorker::Pace(share)));
            }
        }
    }

    fn fail(&mut self, lease: LeaseId, detail: String, now: f64) {
        let reason = GiveBackReason::Device.number();
        self.end(lease, FromSupervisor::Failed(lease, reason, detail), now);
    }

    fn end(&mut self, lease: LeaseId, message: FromSupervisor, now: f64) {
        let Some(run) = find(&mut self.runs, lease) else { return };
        if let Some(worker) = run.worker() {
            self.effects.push(Effect::Kill(worker));
        }
        *run = Run::Ended { message: message.clone(), seen: false, since: now };
        match self.link {
            Link::Greeted => self.effects.push(Effect::Node(message)),
            Link::Up | Link::Asked => {} // It will hear when it is greeted.
            Link::Down => self.effects.push(Effect::WakeNode),
        }
        self.fill_spare(now);
    }

    /// Tells a node that asked for it what is held.
    fn greet(&mut self) {
        if self.link != Link::Asked || self.frame_since.is_some() {
            return;
        }
        self.link = Link::Greeted;
        let holding =
            self.runs.iter().map(|(lease, _)| *lease).chain(self.desk.holding()).collect();
        self.effects.push(Effect::Node(FromSupervisor::Ready(holding)));
        for (_, run) in &self.runs {
            if let Run::Ended { message, .. } = run {
                self.effects.push(Effect::Node(message.clone()));
            }
        }
        self.desk.connect();
    }

    fn fill_spare(&mut self, now: f64) {
        if self.spare_wanted && self.spare.is_none() && self.frame_since.is_none() {
            let worker = self.spawn();
            self.spare = Some(Spare { worker, ready: false, since: now });
        }
    }

    /// Takes the next worker's id and starts it, unless the frame isn't there:
    /// then it is started with it.
    fn spawn(&mut self) -> WorkerId {
        self.last_worker += 1;
        if self.frame_since.is_none() {
            self.effects.push(Effect::Spawn(self.last_worker));
        }
        self.last_worker
    }

    fn owed_now(&self, now: f64) -> f64 {
        (self.owed.0 - (now - self.owed.1)).max(0.0)
    }

    fn workers(&self) -> Vec<(LeaseId, WorkerId)> {
        let worker = |(lease, run): &(LeaseId, Run)| Some((*lease, run.worker()?));
        self.runs.iter().filter_map(worker).collect()
    }

    fn lease_of(&self, worker: WorkerId) -> Option<LeaseId> {
        self.workers().into_iter().find(|(_, w)| *w == worker).map(|(lease, _)| lease)
    }
}

fn find(runs: &mut [(LeaseId, Run)], lease: LeaseId) -> Option<&mut Run> {
    runs.iter_mut().find(|(id, _)| *id == lease).map(|(_, run)| run)
}

impl Run {
    fn worker(&self) -> Option<WorkerId> {
        match self {
            Self::Starting { worker, .. } | Self::Running { worker, .. } => Some(*worker),
            Self::Ended { .. } => None,
        }
    }
}

#[cfg(test)]
#[path = "supervisor_tests.rs"]
mod tests;
