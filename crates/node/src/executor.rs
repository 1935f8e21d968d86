//! The executor's life, as the node sees it.

use crate::backoff::Backoff;
use crate::lease::Stage;
use crate::policy::Permission;
use crate::{Action, IdleState, Node, Share};
use grid_protocol::{GiveBackReason, LeaseId};

/// How long an executor may take to start, in milliseconds.
const START: u64 = 10_000;

#[derive(Debug)]
pub(crate) struct Executor {
    state: State,
    backoff: Backoff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not asked for.
    Off,
    /// Asked for; late at `until`.
    Starting { until: u64 },
    /// Takes runs.
    Ready,
    /// Gone, or too late; asked for again at `retry_at`.
    Gone { retry_at: u64 },
}

impl Executor {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: State::Off, backoff: Backoff::new(1_000, 60_000, !seed) }
    }

    /// Off again, as it was made.
    pub(crate) fn stop(&mut self) {
        self.state = State::Off;
        self.backoff.reset();
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    pub(crate) fn need(&self, permission: Permission) -> Option<u64> {
        match self.state {
            State::Starting { until } => Some(until),
            State::Gone { retry_at } if permission == Permission::Allowed => Some(retry_at),
            _ => None,
        }
    }
}

impl Node {
    pub(crate) fn settle_executor(&mut self, now: u64, out: &mut Vec<Action>) {
        if let State::Starting { until } = self.executor.state
            && until <= now
        {
            self.executor.state = State::Gone { retry_at: now + self.executor.backoff.next() };
            self.lose_runs(&[], "the sandbox was lost", out);
        }
        let due = match self.executor.state {
            State::Off => true,
            State::Gone { retry_at } => retry_at <= now,
            State::Starting { .. } | State::Ready => false,
        };
        let allowed = self.permission == Permission::Allowed;
        if allowed && due && self.address.is_some() {
            self.executor.state = State::Starting { until: now + START };
            out.push(Action::StartExecutor);
        }
        let in_use = self.idle == Some(IdleState::Active);
        let pace = if allowed { self.settings.share(in_use) } else { Share::NONE };
        // A run that outlived the driver must pause though nothing was started.
        let runs =
            pace == Share::NONE && !self.leases.is_empty() && self.permission != Permission::Off;
        if (self.executor.is_ready() || runs) && self.paced != Some(pace) {
            self.paced = Some(pace);
            out.push(Action::Pace(pace));
        }
    }

    pub(crate) fn on_executor_ready(&mut self, holding: &[LeaseId], out: &mut Vec<Action>) {
        match self.executor.state {
            State::Starting { .. } | State::Gone { .. } => {}
            // Switched off since, or told before: the list is older than what
            // was sent since.
            State::Off | State::Ready => return,
        }
        self.executor.state = State::Ready;
        self.executor.backoff.reset();
        self.paced = None;
        for lease in holding.iter().filter(|lease| !self.leases.contains_key(lease)) {
            out.push(Action::Drop(*lease));
        }
        self.lose_runs(holding, "the sandbox was started anew", out);
    }

    pub(crate) fn on_executor_gone(&mut self, now: u64, out: &mut Vec<Action>) {
        if self.executor.state == State::Off {
            return;
        }
        self.executor.state = State::Gone { retry_at: now + self.executor.backoff.next() };
        self.paced = None;
        self.lose_runs(&[], "the sandbox was lost", out);
    }

    /// Gives back the runs that the executor doesn't hold.
    fn lose_runs(&mut self, holding: &[LeaseId], detail: &str, out: &mut Vec<Action>) {
        let lost =
            |id: &LeaseId, stage: &Stage| matches!(stage, Stage::Running) && !holding.contains(id);
        let lost = self.leases.iter().filter(|(id, lease)| lost(id, &lease.stage));
        for id in lost.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.give_back(id, GiveBackReason::Lost, detail, out);
        }
    }
}
