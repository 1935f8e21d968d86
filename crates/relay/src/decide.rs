//! What follows from votes and settlements that are durable: checks, further
//! settlements, nodes that are caught.

use crate::core::Core;
use crate::state::{Shared, unix_ms};
use crate::store::{Entry, Outcome, Refusal, Write};
use crate::votes::{Again, Later, Settled, vote_of};
use crate::writer::{Answer, Request, Then};
use grid_protocol::api::ReceiptInfo;
use grid_protocol::{Digest, ReceiptBody, RefuseCode};
use grid_scheduler::trust::{Act, Draw, Settlement};
use grid_scheduler::{Skip, Task};
use std::collections::VecDeque;

/// Pause before a checker is looked for again, where there is no referee; twice
/// as long each time, up to [`MAX_AGAIN`] doublings.
const AGAIN_MS: u64 = 1_000;
const MAX_AGAIN: u32 = 3;
/// How long checks from before a restart wait for the nodes that are drawn.
const RESUME_MS: u64 = 5_000;

impl Shared {
    /// Queues a request behind those that were queued so; what is queued here
    /// is written in this order.
    pub(crate) fn follow_up(&self, request: Request) {
        // An error means that the relay stops: the next start decides anew.
        let _ = self.follow_ups.send(request);
    }

    /// A receipt for a task is durable: it counts as a vote.
    pub(crate) fn voted(
        &self,
        core: &mut Core,
        task: Task,
        body: &ReceiptBody,
        draw: Draw,
        (seq, time_ms): (u64, u64),
    ) {
        let info = ReceiptInfo {
            receipt: Digest::of(&body.encode()),
            node: body.node,
            reason: body.reason,
            fuel: body.fuel,
            seq,
            time_ms,
        };
        self.metrics.votes.inc();
        let acts = core.votes.vote(task, info, vote_of(body, seq, draw));
        core.changed(task.job);
        self.act(core, acts);
    }

    /// Carries out what was decided.
    pub(crate) fn act(&self, core: &mut Core, acts: Vec<Act>) {
        let mut acts = VecDeque::from(acts);
        while let Some(act) = acts.pop_front() {
            match act {
                Act::Check { task, seq, .. } | Act::Reissue { task, seq, .. } => {
                    self.metrics.checks.inc();
                    if let Some(check) = core.votes.check(task, seq) {
                        core.scheduler.check(self.now(), check);
                    }
                }
                Act::Settle(settlement) => {
                    core.scheduler.busy(settlement.task);
                    if let Some(request) = core.votes.settle(settlement, unix_ms()) {
                        self.follow_up(request);
                    }
                }
                Act::Referee { task } => self.ask_referee(core, task),
            }
        }
    }

    /// Carries out what was decided at a start: nodes first get some time to
    /// come back.
    pub(crate) fn resume(&self, core: &mut Core, acts: Vec<Act>) {
        let at = self.now() + RESUME_MS.min(self.config.grace.as_millis() as u64);
        let mut rest = Vec::new();
        for act in acts {
            match act {
                Act::Check { task, .. } | Act::Reissue { task, .. } => {
                    core.votes.later(at, task, Later::Resume);
                }
                act => rest.push(act),
            }
        }
        self.act(core, rest);
    }

    /// No node decides this task: the relay does, where it may.
    pub(crate) fn ask_referee(&self, core: &mut Core, task: Task) {
        core.scheduler.busy(task);
        if self.config.trust.referee && core.votes.may_referee(task) {
            self.referee.ask(task);
        } else {
            core.votes.quorums.no_referee(task);
            let pause = AGAIN_MS << core.votes.times_again(task).min(MAX_AGAIN);
            core.votes.later(self.now() + pause, task, Later::Check);
        }
    }

    /// What was put off and is due.
    pub(crate) fn act_later(&self, core: &mut Core) {
        for (task, what) in core.votes.due(self.now()) {
            if core.votes.is_settling(task) {
                continue;
            }
            let check = match what {
                Later::Referee => {
                    self.referee.ask(task);
                    None
                }
                Later::Resume => core.votes.last_check(task),
                Later::Check => match core.again(task) {
                    Some(Again::Ask(check)) => Some(check),
                    Some(Again::Redraw(seq)) => {
                        let write = Write::Log(Entry::Redrawn { at_ms: unix_ms(), seq });
                        self.follow_up(Request { write, then: Then::Redrawn(task, seq) });
                        None
                    }
                    None => None,
                },
            };
            if let Some(check) = check {
                core.scheduler.check(self.now(), check);
            }
        }
    }

    /// The entry of a draw that was made anew is durable, or never will be:
    /// then those are asked again whom it named before.
    pub(crate) fn redrawn(&self, core: &mut Core, task: Task, seq: u64, answer: &Answer) {
        if *answer == Ok(Outcome::Done) {
            core.votes.redrawn(task, seq);
        }
        let check = core.votes.last_check(task).filter(|_| !core.votes.is_settling(task));
        if let Some(check) = check {
            core.scheduler.check(self.now(), check);
        }
    }

    /// Logs who came and went, where it is time.
    pub(crate) fn log_roster(&self, core: &mut Core) {
        let every = self.config.trust.roster.as_millis() as u64;
        for entry in core.votes.members.due(self.now(), unix_ms(), every) {
            self.follow_up(Request { write: Write::Log(entry), then: Then::Roster });
        }
    }

    /// A roster entry is durable, or never will be.
    pub(crate) fn roster_logged(&self, core: &mut Core, write: &Write, answer: &Answer) {
        let Write::Log(Entry::Roster { removed, added, .. }) = write else { return };
        core.votes.members.logged(removed, added, *answer == Ok(Outcome::Done));
        self.log_roster(core);
    }

    /// Logs drawn nodes that did not check.
    pub(crate) fn log_skips(&self, core: &mut Core, skips: Vec<Skip>) {
        for skip in skips {
            self.metrics.unanswered.inc();
            core.votes.excuse(skip.task, &skip);
            let Skip { seq, place, node, why, .. } = skip;
            let entry = Entry::Unanswered { at_ms: unix_ms(), seq, place, node, why };
            self.follow_up(Request { write: Write::Log(entry), then: Then::Nothing });
        }
    }

    /// A settlement came back from the store.
    pub(crate) fn settled(&self, core: &mut Core, settlement: &Settlement, answer: Answer) {
        let task = settlement.task;
        let (settled, job_done) = match answer {
            Ok(Outcome::Settled { seq, job_done }) => {
                (core.votes.settled(seq, settlement), job_done)
            }
            other => {
                let usual = [Refusal::JobOver, Refusal::OtherVotes].map(Outcome::Refused);
                if !other.as_ref().is_ok_and(|outcome| usual.contains(outcome)) {
                    tracing::error!(job = %task.job, index = task.index, outcome = ?other,
                        "a task can't be settled");
                }
                let settled = core.votes.not_settled(settlement);
                return self.follow_settled(core, settled);
            }
        };
        self.metrics.settled.inc();
        core.tasks_settled += 1;
        let paid = settled.paid.iter().map(|info| info.fuel).sum();
        for info in settled.paid.iter().rev() {
            core.credit(info);
        }
        let over = core.scheduler.settled(task, paid);
        core.tell_over(over, &self.metrics);
        if job_done {
            core.forget_job(task.job);
        } else {
            core.changed(task.job);
        }
        self.follow_settled(core, settled);
    }

    fn follow_settled(&self, core: &mut Core, settled: Settled) {
        for node in settled.caught {
            self.metrics.caught.inc();
            tracing::warn!(%node, "a node was caught: its answer lost");
            let over = core.scheduler.shut_out(self.now(), node);
            core.tell_over(over, &self.metrics);
            core.shut_out(node, RefuseCode::Caught);
        }
        for task in settled.undecided {
            core.scheduler.hold(task);
        }
        self.act(core, settled.acts);
    }
}
