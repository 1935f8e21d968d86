//! The node: what it knows, and the one way in.

use crate::address::Address;
use crate::backoff::Backoff;
use crate::cache::ModuleCache;
use crate::executor::Executor;
use crate::lease::{Lease, Owed};
use crate::link::Link;
use crate::policy::Permission;
use crate::{
    Action, Config, Event, IdleState, Membership, Power, Running, SavedLease, Settings, Share,
    State, Status, Why,
};
use grid_protocol::{Digest, Inference, LeaseId, PublicKey, SigningKey, limits};
use std::collections::BTreeMap;

/// The node. Tell it what happens with [`Node::handle`], carry out what it
/// asks for, in order.
///
/// Before switching it on, tell it who is at the device and how it is powered
/// ([`Event::Idle`], [`Event::Power`]): what it isn't told doesn't hold it back.
#[derive(Debug)]
pub struct Node {
    pub(crate) config: Config,
    pub(crate) key: SigningKey,

    pub(crate) settings: Settings,
    /// Where `settings.relay` is; `None` where that is no address.
    pub(crate) address: Option<Address>,
    pub(crate) idle: Option<IdleState>,
    pub(crate) power: Power,
    /// Minutes that local time is ahead of UTC.
    pub(crate) zone: i32,
    pub(crate) membership: Membership,
    pub(crate) permission: Permission,

    pub(crate) link: Link,
    pub(crate) backoff: Backoff,
    /// Why there is no link, where an attempt failed.
    pub(crate) trouble: Option<Why>,
    pub(crate) error: Option<String>,
    /// Leases that the relay may still send: announced, not received.
    pub(crate) credit: u8,

    pub(crate) executor: Executor,
    /// The pace that the executor was told last.
    pub(crate) paced: Option<Share>,

    pub(crate) leases: BTreeMap<LeaseId, Lease>,
    /// Given back while no relay listened; told after the next join.
    pub(crate) owed: Vec<Owed>,
    /// Leases whose module and input are there, for the next
    /// [`Action::Run`].
    pub(crate) fetched: Vec<LeaseId>,
    /// Modules whose fetch went with a lease that is over.
    pub(crate) orphaned: Vec<Digest>,
    pub(crate) cache: ModuleCache,
    /// Models that the executor keeps whole.
    pub(crate) models: Vec<Digest>,
    /// What the relay was told of inference.
    pub(crate) told: Option<Inference>,
    /// Do the saved leases differ from `leases`?
    pub(crate) unsaved: bool,

    pub(crate) tasks: u64,
    pub(crate) fuel: u64,
    /// The time asked for by the last [`Action::Wake`], until it comes.
    alarm: Option<u64>,
    /// The driver's time at the last event.
    pub(crate) clock: u64,
    /// How far the driver's clock was put back so far: all other times here are
    /// as if it had not been.
    behind: u64,
}

impl Node {
    /// A node that is switched off. `saved` is what the last [`Action::Save`]
    /// kept, where the driver was stopped since; `now` is in the milliseconds
    /// of [`Node::handle`].
    pub fn new(config: Config, key: SigningKey, saved: Vec<SavedLease>, now: u64) -> Self {
        let config = Config { slots: config.slots.clamp(1, limits::MAX_SLOTS), ..config };
        let settings = Settings::default();
        let leases = saved.into_iter().map(|saved| (saved.lease, Lease::restored(saved, now)));
        Self {
            address: Address::parse(&settings.relay),
            settings,
            idle: None,
            power: Power { mains: None },
            zone: 0,
            membership: Membership::default(),
            permission: Permission::Off,
            link: Link::Down { retry_at: 0 },
            backoff: Backoff::new(2_000, 60_000, config.jitter_seed),
            trouble: None,
            error: None,
            credit: 0,
            executor: Executor::new(config.jitter_seed),
            paced: None,
            leases: leases.collect(),
            owed: Vec::new(),
            fetched: Vec::new(),
            orphaned: Vec::new(),
            cache: ModuleCache::new(config.cache_bytes),
            models: Vec::new(),
            told: None,
            unsaved: false,
            tasks: 0,
            fuel: 0,
            alarm: None,
            clock: now,
            behind: 0,
            config,
            key,
        }
    }

    /// Takes in what happened; what comes back is to be done in order. `now` is
    /// in milliseconds. A clock that is put back does no harm, one that is put
    /// forward (or a device that slept) looks like a relay that fell silent.
    pub fn handle(&mut self, now: u64, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        let out = &mut out;
        if now < self.clock {
            self.behind += self.clock - now;
            self.alarm = None;
        }
        self.clock = now;
        let now = now + self.behind;
        match event {
            Event::Settings(settings) => self.on_settings(settings, out),
            Event::Idle(idle) => self.idle = Some(idle),
            Event::Power(power) => self.power = power,
            Event::Zone(zone) => self.zone = zone,
            Event::Membership(membership) => self.on_membership(membership, out),
            Event::Opened => self.on_opened(now, out),
            Event::Message(bytes) => self.on_message(now, &bytes, out),
            Event::Closed => self.on_closed(now),
            Event::Fetched { lease, digest, result } => self.on_fetched(lease, digest, result, out),
            Event::Uploaded { lease, result } => self.on_uploaded(now, lease, result, out),
            Event::ExecutorReady { holding } => self.on_executor_ready(&holding, out),
            Event::Progress { lease, fuel } => self.on_progress(lease, fuel),
            Event::Finished { lease, report } => self.on_finished(lease, report, out),
            Event::Failed { lease, reason, detail } => self.on_failed(lease, reason, &detail, out),
            Event::Loading { lease, model, bytes, total } => {
                self.on_loading(lease, model, (bytes, total));
            }
            Event::Text { lease, offset, text, pieces } => {
                self.on_text(lease, offset, &text, pieces);
            }
            Event::Models(models) => self.on_models(models),
            Event::ExecutorGone => self.on_executor_gone(now, out),
            Event::Wake => {}
        }
        if self.alarm.is_some_and(|at| at <= now) {
            self.alarm = None;
        }
        self.settle(now, out);
        std::mem::take(out)
    }

    /// Brings what is done in line with what is known: one order for all events.
    fn settle(&mut self, now: u64, out: &mut Vec<Action>) {
        self.settle_permission(now, out);
        self.settle_link(now, out);
        self.settle_inference(now, out);
        self.settle_executor(now, out);
        self.settle_uploads(now, out);
        self.settle_fetches(out);
        self.settle_saved(out);
        self.settle_runs(out);
        self.settle_ready(out);
        self.settle_alarm(now, out);
    }

    /// Asks to be woken at the earliest need. An alarm that is asked for
    /// already and comes too early does no harm, and is left.
    fn settle_alarm(&mut self, now: u64, out: &mut Vec<Action>) {
        let needs = [
            self.permission.need(),
            self.rules_change().map(|at| at + self.behind),
            self.link_need(),
            self.address.as_ref().and_then(|_| self.executor.need(self.permission)),
            self.uploads_need(),
            self.texts_need(),
        ];
        let Some(need) = needs.into_iter().flatten().min() else { return };
        let need = need.max(now + 1);
        if self.alarm.is_none_or(|at| need < at) {
            self.alarm = Some(need);
            out.push(Action::Wake(need - self.behind));
        }
    }

    /// What the node says of itself.
    pub fn status(&self) -> Status {
        let (state, why) = self.state();
        let waits = matches!(why, Why::Snoozed | Why::OutsideHours);
        let unfinished = self.leases.iter().filter(|(_, lease)| lease.unfinished());
        Status {
            state,
            why,
            until: self.rules_change().filter(|_| waits),
            error: self.error.clone(),
            node: self.key.public(),
            tasks: self.tasks,
            fuel: self.fuel,
            running: unfinished
                .map(|(id, lease)| Running {
                    lease: *id,
                    owner: lease.publisher.owner.clone(),
                    job: lease.publisher.job.clone(),
                    runtime: lease.spec.runtime,
                    module: lease.spec.module.to_string(),
                    model: lease.inferring.model.clone(),
                    loading: lease.inferring.loading,
                    pieces: lease.inferring.pieces,
                    fuel: lease.fuel,
                    limit: lease.spec.fuel,
                    since: lease.since,
                })
                .collect(),
        }
    }

    /// Is it joined to its relay?
    pub fn joined(&self) -> bool {
        self.link.joined()
    }

    /// The key of the relay that it is joined to.
    pub fn relay(&self) -> Option<PublicKey> {
        match self.link {
            Link::Joined { relay, .. } => Some(relay),
            _ => None,
        }
    }

    /// Receipts acknowledged, as [`Status::tasks`], without building a status.
    pub fn tasks(&self) -> u64 {
        self.tasks
    }

    fn state(&self) -> (State, Why) {
        if !self.settings.on {
            return (State::Off, Why::SwitchedOff);
        }
        if let Some(why) = self.forbidden() {
            return (State::Paused, why);
        }
        if self.address.is_none() {
            return (State::Connecting, Why::BadAddress);
        }
        let unfinished = self.leases.values().any(Lease::unfinished);
        match (unfinished, self.link.joined(), self.executor.is_ready()) {
            (true, _, true) => (State::Working, Why::Working),
            (true, _, false) | (false, true, false) => (State::Waiting, Why::StartingSandbox),
            (false, true, true) => (State::Waiting, Why::NoWork),
            (false, false, _) => (State::Connecting, self.trouble.unwrap_or(Why::Joining)),
        }
    }
}
