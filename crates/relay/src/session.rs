//! A node's socket once it has joined.

use crate::core::rejected;
use crate::outbox::{Close, Out, Outbox};
use crate::receipt::Claim;
use crate::socket::{End, WRITE_TIMEOUT, abilities, failed, received};
use crate::state::{Shared, unix_ms};
use crate::store::{Accept, Entry, Write, rows};
use crate::writer::{Request, Then};
use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use grid_protocol::{
    Digest, FromNode, GiveBackReason, LeaseId, PublicKey, RefuseCode, RejectCode, RunResult,
    StrictKey, ToNode, decode, encode, limits,
};
use grid_scheduler::{Lease, LeaseError};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// Results that no honest node sends, before a socket is closed for them.
const MAX_BAD_RESULTS: u32 = 16;

/// A joined node's socket, without the socket.
#[derive(Debug)]
pub(crate) struct Session {
    shared: Arc<Shared>,
    node: PublicKey,
    /// The same, to verify what it signs.
    key: StrictKey,
    number: u64,
    outbox: Arc<Outbox>,
    /// Does it run task modules?
    modules: bool,
    allowance: Allowance,
    bad_results: u32,
    heard: Instant,
    sent: Instant,
}

impl Session {
    pub(crate) fn new(
        shared: Arc<Shared>,
        key: StrictKey,
        number: u64,
        outbox: Arc<Outbox>,
        modules: bool,
    ) -> Self {
        let now = Instant::now();
        let allowance = Allowance::new(now);
        Self {
            shared,
            node: key.public(),
            key,
            number,
            outbox,
            modules,
            allowance,
            bad_results: 0,
            heard: now,
            sent: now,
        }
    }

    /// The node's leases stand for the grace from now, unless it joined again
    /// already.
    pub(crate) fn leave(&self) {
        self.shared.core().leave(self.shared.now(), self.node, self.number);
    }

    /// Until the socket ends.
    pub(crate) async fn run(&mut self, socket: &mut WebSocket) -> End {
        loop {
            let outbox = self.outbox.clone();
            let done = tokio::select! {
                biased;
                () = outbox.filled() => self.send_waiting(socket).await,
                message = socket.next() => match message {
                    None => Err(End::Gone),
                    Some(Err(error)) => Err(failed(&error)),
                    Some(Ok(message)) => self.on_message(message).await,
                },
                () = sleep(self.quiet()) => self.on_quiet(socket).await,
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// Time until something is due.
    fn quiet(&self) -> Duration {
        let config = &self.shared.config;
        let ping = (self.sent + config.ping).saturating_duration_since(Instant::now());
        let silence = (self.heard + config.silence).saturating_duration_since(Instant::now());
        ping.min(silence)
    }

    async fn on_quiet(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        if self.heard.elapsed() >= self.shared.config.silence {
            return Err(End::Refused(RefuseCode::Timeout));
        }
        if self.sent.elapsed() >= self.shared.config.ping {
            // The message keeps a service worker alive; the frame makes the
            // browser itself answer, so that a dead peer is noticed.
            let messages =
                [Message::Binary(encode(&ToNode::Ping).into()), Message::Ping(Bytes::new())];
            self.write(socket, messages.into()).await?;
        }
        Ok(())
    }

    async fn send_waiting(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        let (waiting, close) = self.outbox.take();
        if close == Some(Close::Slow) {
            return Err(End::Slow);
        }
        // Boxed: reading inputs takes room that an idle socket has no use for.
        let messages = Box::pin(self.messages(waiting)).await;
        self.write(socket, messages).await?;
        close.map_or(Ok(()), |close| Err(close.into()))
    }

    async fn messages(&self, waiting: VecDeque<Out>) -> VecDeque<Message> {
        let mut messages = VecDeque::with_capacity(waiting.len());
        for out in waiting {
            let message = match out {
                Out::Message(message) => message,
                Out::Offer { lease, job, index } => {
                    match self.shared.offer(lease, &job, index).await {
                        Some(message) => message,
                        None => {
                            tracing::error!(job = %job.id, index, "a task's input can't be read");
                            self.give_back(lease, None, "input_lost");
                            continue;
                        }
                    }
                }
            };
            messages.push_back(Message::Binary(encode(&message).into()));
        }
        messages
    }

    /// All of them, one flush.
    async fn write(
        &mut self,
        socket: &mut WebSocket,
        messages: VecDeque<Message>,
    ) -> Result<(), End> {
        let written = timeout(WRITE_TIMEOUT, async {
            for message in messages {
                socket.feed(message).await?;
            }
            socket.flush().await
        });
        match written.await {
            Ok(Ok(())) => {
                self.sent = Instant::now();
                Ok(())
            }
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Slow),
        }
    }

    async fn on_message(&mut self, message: Message) -> Result<(), End> {
        self.heard = Instant::now();
        // A flood is read slowly; that hurts nobody else.
        let wait = self.allowance.take(self.heard);
        if !wait.is_zero() {
            sleep(wait).await;
        }
        let Some(bytes) = received(message)? else { return Ok(()) };
        let message = decode(&bytes).map_err(|_| End::Refused(RefuseCode::Message))?;
        match message {
            FromNode::Hello { .. } | FromNode::Join(_) => {
                return Err(End::Refused(RefuseCode::Message));
            }
            FromNode::Ready { slots } => self.on_ready(slots),
            FromNode::Heartbeat { leases } => {
                let ids = leases.iter().map(|held| held.lease);
                self.on_heartbeat(ids.take(4 * usize::from(limits::MAX_SLOTS)));
            }
            FromNode::GiveBack { lease, reason, .. } => {
                self.give_back(lease, GiveBackReason::from_number(reason), "given_back");
            }
            FromNode::Partial(partial) => {
                if partial.text.len() > limits::MAX_PARTIAL {
                    return Err(End::Refused(RefuseCode::Message));
                }
                let mut core = self.shared.core();
                if core.is_current(self.node, self.number) {
                    core.partial(self.node, &partial);
                }
            }
            FromNode::Update(inference) => {
                let abilities = abilities(self.modules, Some(inference))?;
                let mut core = self.shared.core();
                if core.is_current(self.node, self.number) {
                    core.scheduler.able(self.node, abilities);
                    self.shared.dispatch(&mut core);
                }
            }
            FromNode::Result(result) => return Box::pin(self.on_result(result)).await,
        }
        Ok(())
    }

    fn on_ready(&self, slots: u8) {
        let mut core = self.shared.core();
        if core.is_current(self.node, self.number) {
            core.scheduler.ready(self.node, slots);
            self.shared.dispatch(&mut core);
        }
    }

    fn on_heartbeat(&self, leases: impl Iterator<Item = LeaseId>) {
        let mut core = self.shared.core();
        if !core.is_current(self.node, self.number) {
            return;
        }
        let now = self.shared.now();
        for lease in leases {
            match core.scheduler.heartbeat(now, self.node, lease) {
                Ok(()) | Err(LeaseError::Committing) => {}
                // Over, or never this node's: it may stop.
                Err(_) => core.tell(self.node, ToNode::Cancel { lease }),
            }
        }
    }

    fn give_back(&self, lease: LeaseId, reason: Option<GiveBackReason>, otherwise: &'static str) {
        let mut core = self.shared.core();
        if !core.is_current(self.node, self.number) {
            return;
        }
        match core.scheduler.give_back(self.shared.now(), self.node, lease, reason) {
            Ok(_) => {
                core.forget_lease(lease);
                let name = reason.map_or(otherwise, GiveBackReason::name);
                self.shared.metrics.lease_over(name);
                self.shared.dispatch(&mut core);
            }
            // It was over already; the node has been told.
            Err(_) => self.shared.metrics.lease_over("not_held"),
        }
    }

    async fn on_result(&mut self, result: RunResult) -> Result<(), End> {
        let claim = match Claim::new(result, self.shared.relay, self.node) {
            Ok(claim) => claim,
            Err((lease, code)) => return self.bad_result(lease, code),
        };
        let id = claim.receipt.body.lease;
        let taken = {
            let mut core = self.shared.core();
            if !core.is_current(self.node, self.number) {
                return Err(End::Refused(RefuseCode::Replaced));
            }
            let taken = core.scheduler.take(self.shared.now(), self.node, id);
            taken.map(|lease| {
                let job = core.job(lease.task().job);
                (lease, job, core.uploaded(id))
            })
        };
        let (lease, job, uploaded) = match taken {
            Ok(taken) => taken,
            // Its acknowledgement is on its way.
            Err(LeaseError::Committing) => return Ok(()),
            Err(LeaseError::NotYours) => return self.bad_result(id, RejectCode::NotYours),
            Err(_) => return self.on_late_result(&claim).await,
        };
        let index = lease.task().index;
        let spec = job.as_ref().and_then(|job| job.spec(index));
        let receipt = Digest::of(&claim.receipt.body.encode());
        let checked = match spec {
            Some(spec) => claim.check(&self.key, &spec, uploaded),
            None => Err(RejectCode::JobOver),
        };
        match checked {
            Ok(checked) => {
                self.allowance.give(2.0);
                let (proof, draw) = self.shared.draw(&checked.receipt.digest());
                let accept = Accept {
                    job: lease.task().job,
                    index,
                    receipt: checked.receipt,
                    draw: proof,
                    output: checked.output,
                    hint: checked.hint,
                    at_ms: unix_ms(),
                };
                let write = Write::Accept(Box::new(accept));
                let then = Then::Vote(lease, draw);
                let sent = self.shared.writer.send(Request { write, then });
                sent.await.map_err(|_| End::Refused(RefuseCode::Closing))
            }
            Err(code) => {
                self.put_back(lease, code, receipt);
                self.bad_result(id, code)
            }
        }
    }

    /// The refusal is logged, unless the node had many of them today.
    fn put_back(&self, lease: Lease, code: RejectCode, receipt: Digest) {
        let mut core = self.shared.core();
        let at_ms = unix_ms();
        if core.refusals.count(self.node, at_ms) {
            let (node, lease, code) = (self.node, lease.id(), code.number());
            let write = Write::Log(Entry::Refused { at_ms, node, lease, code, receipt });
            self.shared.follow_up(Request { write, then: Then::Nothing });
        }
        core.forget_lease(lease.id());
        self.shared.metrics.lease_over("rejected");
        core.scheduler.put_back(self.shared.now(), lease);
        self.shared.dispatch(&mut core);
    }

    /// A result for a lease that doesn't stand: accepted before, or too late.
    async fn on_late_result(&self, claim: &Claim) -> Result<(), End> {
        let id = claim.receipt.body.lease;
        let found = self.shared.reads.run(move |db| rows::accepted_by_lease(db, id)).await;
        let found = found.map_err(|error| {
            tracing::error!(%error, "an accepted receipt can't be looked up");
            End::Refused(RefuseCode::Closing)
        })?;
        let receipt = Digest::of(&claim.receipt.body.encode());
        let message = match found {
            Some(row) if row.node == self.node && row.receipt == receipt => {
                self.shared.metrics.repeated.inc();
                let (ack, signature) = self.shared.log.ack(receipt, id, row.seq);
                ToNode::of_ack(&ack, signature)
            }
            _ => {
                let code = self.shared.core().why_no_lease(id, self.node);
                self.shared.metrics.rejected(code.name());
                rejected(id, code)
            }
        };
        self.outbox.push(Out::Message(message));
        Ok(())
    }

    /// A result that an honest node doesn't send.
    fn bad_result(&mut self, lease: LeaseId, code: RejectCode) -> Result<(), End> {
        self.shared.metrics.rejected(code.name());
        tracing::warn!(node = %self.node, %lease, code = code.name(), "a result was rejected");
        self.outbox.push(Out::Message(rejected(lease, code)));
        self.bad_results += 1;
        if self.bad_results >= MAX_BAD_RESULTS {
            self.outbox.close(RefuseCode::Message);
        }
        Ok(())
    }
}

/// How fast a socket is read: 200 messages a second, and a result that was
/// accepted pays for itself and one message more. Nodes that work are never
/// slowed.
#[derive(Debug)]
struct Allowance {
    left: f32,
    at: Instant,
}

impl Allowance {
    const PER_SECOND: f32 = 200.0;
    const MOST: f32 = 512.0;

    fn new(now: Instant) -> Self {
        Self { left: Self::MOST, at: now }
    }

    /// Takes one; gives back how long to wait for it.
    fn take(&mut self, now: Instant) -> Duration {
        let since = now.saturating_duration_since(self.at).as_secs_f32();
        self.at = now;
        self.left = (self.left + since * Self::PER_SECOND).min(Self::MOST) - 1.0;
        Duration::from_secs_f32((-self.left).max(0.0) / Self::PER_SECOND)
    }

    fn give(&mut self, more: f32) {
        self.left = (self.left + more).min(Self::MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_waits_and_work_does_not() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        let waits = (0..1000).map(|_| allowance.take(start)).filter(|wait| !wait.is_zero());
        assert_eq!(waits.count(), 488);
        let mut allowance = Allowance::new(start);
        for _ in 0..100_000 {
            assert!(allowance.take(start).is_zero() && allowance.take(start).is_zero());
            allowance.give(2.0);
        }
        let mut allowance = Allowance::new(start);
        assert!((0..512).all(|_| allowance.take(start).is_zero()));
        let wait = allowance.take(start);
        assert_eq!(wait, Duration::from_millis(5));
        assert!(allowance.take(start + 4 * wait).is_zero());
    }
}
