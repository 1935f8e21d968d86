//! The service worker: drives [`grid_node::Node`].

use super::account::Account;
use super::acks::{self, Acks, Kept};
use super::blobs::BlobAddress;
use super::socket::{Socket, SocketEvent};
use super::view::Figures;
use super::{performance_now, storage};
use crate::messages::{
    Finished, FromSupervisor, Inference, Job, Model, ToSupervisor, give_back_reason,
};
use gloo::timers::callback::Timeout;
use grid_contexts::port::Port;
use grid_contexts::script::console_error;
use grid_node::{Action, Config, Event, FetchKind, IdleState, Power, Receipted, Settings, Share};
use grid_protocol::infer::ARITHMETIC;
use grid_protocol::{Digest, GiveBackReason, LeaseId, LeaseToken, Package, PublicKey};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{AbortController, MessageChannel, MessagePort};

// From worker-scripts/service-worker.js.
#[wasm_bindgen]
extern "C" {
    /// Opens the offscreen document if it isn't there, and hands it a port.
    #[wasm_bindgen(js_name = openOffice, catch)]
    async fn open_office(port: MessagePort) -> Result<JsValue, JsValue>;
    /// Closes the offscreen document.
    #[wasm_bindgen(js_name = closeOffice)]
    fn close_office();
    /// Sets the alarm that brings a stopped service worker back, or clears it.
    /// Until `at`, in milliseconds since 1970, the service worker may stop.
    #[wasm_bindgen(js_name = setAlarm)]
    fn set_alarm(on: bool, at: Option<f64>);
    /// `chrome.idle.queryState`.
    #[wasm_bindgen(js_name = idleState)]
    async fn idle_state() -> JsValue;
    /// Deletes the folder of models.
    #[wasm_bindgen(js_name = deleteModels, catch)]
    async fn delete_models() -> Result<JsValue, JsValue>;
}

/// A node that rests is looked at so often, in milliseconds, whatever it waits
/// for: clocks are set, and an event may be missed.
const LONGEST_REST: u64 = 15 * 60_000;

/// What brings a stopped service worker back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alarm {
    /// Nothing: the node is off.
    Off,
    /// It isn't to stop; if it does, this is soon.
    Soon,
    /// Nothing changes by itself before this time, in milliseconds since 1970.
    At(u64),
}

/// The node, as the service worker's script holds it.
#[wasm_bindgen(js_name = Node)]
pub struct NodeHandle(pub(super) Rc<Driver>);

pub(super) struct Driver {
    pub(super) node: RefCell<grid_node::Node>,
    pub(super) settings: RefCell<Settings>,
    socket: RefCell<Option<Socket>>,
    /// The port to the supervisor.
    office: RefCell<Option<Port>>,
    /// Does the node want the executor?
    executing: Cell<bool>,
    /// Has the offscreen document told of the power supply? Only it knows.
    pub(super) power_known: Cell<bool>,
    /// Ends each lease's transfers with it.
    transfers: RefCell<BTreeMap<LeaseId, Transfers>>,
    timer: RefCell<Option<Timeout>>,
    /// What [`set_alarm`] was told last.
    alarm: Cell<Option<Alarm>>,
    /// When a message was last sent, for [`Figures`].
    last_sent: Cell<f64>,
    pub(super) figures: RefCell<Figures>,
    /// Models that are kept.
    pub(super) models: RefCell<Vec<Model>>,
    pub(super) acks: RefCell<Acks>,
    pub(super) account: RefCell<Account>,
    /// What went wrong when something was last to be kept.
    pub(super) trouble: RefCell<Option<String>>,
}

/// A lease's downloads and uploads. Ended when dropped.
struct Transfers(AbortController);

impl Default for Transfers {
    fn default() -> Self {
        Self(AbortController::new().expect("every browser that runs this has it"))
    }
}

impl Drop for Transfers {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Milliseconds since 1970, as the device's clock says: the node copes with one
/// that is set.
pub(super) fn now() -> u64 {
    js_sys::Date::now() as u64
}

/// Minutes that local time is ahead of UTC.
pub(super) fn zone() -> i32 {
    -js_sys::Date::new_0().get_timezone_offset() as i32
}

/// Starts the node with what storage holds. `agent` is the package's name;
/// `modules`: there is a sandbox for fetched modules.
#[wasm_bindgen(js_name = startNode)]
pub async fn start_node(agent: &str, modules: bool) -> Result<NodeHandle, JsValue> {
    let (key, trouble) = storage::key().await?;
    let settings = storage::settings().await;
    let leases = if settings.on { storage::leases().await } else { Vec::new() };
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| error.to_string())?;
    let config = Config {
        agent: format!("{agent}/{}", env!("CARGO_PKG_VERSION")),
        package: if modules { Package::Full } else { Package::BuiltinOnly },
        admissions: vec![grid_sandbox::ADMISSION],
        arithmetics: vec![ARITHMETIC],
        jitter_seed: u64::from_le_bytes(seed),
        ..Config::default()
    };
    let driver = Rc::new(Driver {
        node: RefCell::new(grid_node::Node::new(config, key, leases, now())),
        settings: RefCell::new(settings),
        socket: RefCell::default(),
        office: RefCell::default(),
        executing: Cell::new(false),
        power_known: Cell::new(false),
        transfers: RefCell::default(),
        timer: RefCell::default(),
        alarm: Cell::new(None),
        last_sent: Cell::new(0.0),
        figures: RefCell::default(),
        models: RefCell::new(storage::models().await),
        acks: RefCell::new(Acks::load().await),
        account: RefCell::new(Account::load().await),
        trouble: RefCell::new(trouble),
    });
    let handle = NodeHandle(driver);
    handle.0.announce_models();
    handle.0.tell_zone();
    handle.0.tell_membership();
    handle.idle(&idle_state().await.as_string().unwrap_or_default());
    handle.0.settle_settings();
    handle.0.figures.borrow_mut().ready_ms = performance_now();
    Ok(handle)
}

#[wasm_bindgen(js_class = Node)]
impl NodeHandle {
    /// `chrome.idle` said so.
    pub fn idle(&self, state: &str) {
        let state = match state {
            "idle" => IdleState::Idle,
            "locked" => IdleState::Locked,
            _ => IdleState::Active,
        };
        self.0.feed(Event::Idle(state));
    }

    /// An alarm rang. `office` says whether the offscreen document is there.
    pub fn wake(&self, office: bool) {
        if !office && self.0.office.borrow().is_some() {
            self.0.office_gone();
        }
        self.0.alarm.take(); // It rang.
        self.0.tell_zone(); // Which changes twice a year, and with a journey.
        self.0.feed(Event::Wake);
    }

    /// Keep a spare worker ready, or don't: to measure what it saves.
    pub fn spare(&self, wanted: bool) {
        self.0.tell_office(&ToSupervisor::Spare(wanted));
    }
}

impl Driver {
    /// The node's key.
    pub(super) fn key(&self) -> PublicKey {
        self.node.borrow().status().node
    }

    /// Settings hold from now on, whether they can be kept or not.
    pub(super) async fn change(self: &Rc<Self>, settings: Settings) {
        self.settings.replace(settings.clone());
        self.tell_zone();
        self.settle_settings();
        self.noted("settings", storage::save_settings(&settings).await);
    }

    /// Changes the account that the node belongs to.
    pub(super) async fn belong<T>(
        self: &Rc<Self>,
        change: impl FnOnce(&mut Account, &PublicKey) -> T,
    ) -> T {
        let node = self.key();
        let changed = change(&mut self.account.borrow_mut(), &node);
        let account = self.account.borrow().clone();
        self.tell_membership();
        self.noted("the account", account.save().await);
        changed
    }

    /// Deletes the models that are kept. An error: they are in use.
    pub(super) async fn empty_models(self: &Rc<Self>) -> Result<(), JsValue> {
        delete_models().await?;
        self.keep_models(Vec::new());
        Ok(())
    }

    fn tell_zone(self: &Rc<Self>) {
        self.feed(Event::Zone(zone()));
    }

    fn tell_membership(self: &Rc<Self>) {
        let membership = self.account.borrow().membership();
        self.feed(Event::Membership(membership));
    }

    /// Says whether something could be kept. A node that can keep nothing goes
    /// on, and says so.
    fn noted(&self, what: &str, kept: Result<(), String>) {
        if let Err(error) = &kept {
            console_error(&format!("{what} can't be kept: {error}"));
        }
        self.trouble.replace(kept.err());
    }

    fn blob(&self, lease: LeaseId, token: LeaseToken, digest: Digest) -> BlobAddress {
        let until = self.transfers.borrow_mut().entry(lease).or_default().0.signal();
        BlobAddress { origin: self.origin(), lease, token, digest, until }
    }

    /// Tells the node, and does what it asks for.
    fn feed(self: &Rc<Self>, event: Event) {
        let came = performance_now();
        let actions = self.node.borrow_mut().handle(now(), event);
        for action in actions {
            if let Action::Fetch { lease, .. } | Action::Run { lease, .. } = &action {
                self.figures.borrow_mut().came(*lease, came);
            }
            self.act(action);
        }
        self.settle_alarm();
    }

    fn settle_alarm(&self) {
        let alarm = match self.node.borrow().resting() {
            _ if !self.settings.borrow().on => Alarm::Off,
            Some(until) => Alarm::At(until),
            None => Alarm::Soon,
        };
        if self.alarm.replace(Some(alarm)) == Some(alarm) {
            return;
        }
        match alarm {
            Alarm::Off => set_alarm(false, None),
            Alarm::Soon => set_alarm(true, None),
            Alarm::At(until) => set_alarm(true, Some(until.min(now() + LONGEST_REST) as f64)),
        }
    }

    fn keep(self: &Rc<Self>, receipted: Receipted) {
        let kept = Kept::new(self.origin(), now() as f64, receipted);
        let written = self.acks.borrow_mut().keep(kept, zone());
        let driver = self.clone();
        spawn_local(async move { driver.noted("a receipt", acks::save(written).await) });
    }

    fn act(self: &Rc<Self>, action: Action) {
        match action {
            Action::Connect(url) => self.connect(&url),
            Action::Send(bytes) => {
                if let Some(socket) = &*self.socket.borrow() {
                    socket.send(&bytes);
                }
                self.last_sent.set(performance_now());
            }
            Action::Disconnect => drop(self.socket.take()),
            Action::Fetch { lease, token, digest, kind, max_bytes } => {
                let address = self.blob(lease, token, digest);
                let driver = self.clone();
                spawn_local(async move {
                    let result = match kind {
                        FetchKind::Module => address.module(max_bytes).await,
                        FetchKind::Input => address.download(max_bytes).await,
                    };
                    driver.feed(Event::Fetched { lease, digest, result });
                });
            }
            Action::Upload { lease, token, digest, bytes } => {
                let address = self.blob(lease, token, digest);
                let driver = self.clone();
                spawn_local(async move {
                    let result = address.upload(&bytes).await;
                    driver.feed(Event::Uploaded { lease, result });
                });
            }
            Action::StartExecutor => {
                self.executing.set(true);
                self.open_office();
                self.tell_office(&ToSupervisor::Hello);
            }
            Action::StopExecutor => self.shut_office(),
            Action::Run { lease, spec, module, input } => {
                let job = Job { spec: spec.encode(), module: module.to_vec(), input };
                self.tell_office(&ToSupervisor::Run(lease, job));
            }
            Action::Infer { lease, spec, input, draft } => {
                let (spec, origin) = (spec.encode(), self.origin());
                let quota = u64::from(self.settings.borrow().models_mib) << 20;
                let job = Inference { spec, input, draft, origin, quota };
                self.tell_office(&ToSupervisor::Infer(lease, job));
            }
            Action::Drop(lease) => {
                self.transfers.borrow_mut().remove(&lease);
                self.tell_office(&ToSupervisor::Drop(lease));
            }
            Action::Pace(Share { cpu, gpu }) => self.tell_office(&ToSupervisor::Pace(cpu, gpu)),
            Action::Keep(receipted) => self.keep(*receipted),
            Action::Save(leases) => {
                let driver = self.clone();
                spawn_local(async move {
                    // Of another area: a success says nothing of what is kept for good.
                    if let Err(error) = storage::save_leases(&leases).await {
                        driver.noted("leases", Err(error));
                    }
                });
            }
            Action::Wake(at) => {
                let wait = at.saturating_sub(now()).min(i32::MAX as u64) as u32;
                let driver = self.clone();
                let timer = Timeout::new(wait, move || driver.feed(Event::Wake));
                self.timer.replace(Some(timer));
            }
        }
    }

    /// Passes the settings on. A node that is on hears of the power supply
    /// first, lest it works on battery for a moment.
    fn settle_settings(self: &Rc<Self>) {
        let settings = self.settings.borrow().clone();
        self.settle_alarm();
        if !settings.on {
            self.feed(Event::Settings(settings));
            // The node asks for it only where it had asked for a start.
            self.shut_office();
        } else if self.power_known.get() {
            self.feed(Event::Settings(settings));
        } else {
            self.open_office();
        }
    }

    fn connect(self: &Rc<Self>, url: &str) {
        let driver = self.clone();
        let socket = Socket::open(url, move |event| match event {
            SocketEvent::Opened => driver.feed(Event::Opened),
            SocketEvent::Message(bytes) => driver.feed(Event::Message(bytes)),
            SocketEvent::Closed => {
                driver.socket.take();
                driver.feed(Event::Closed);
            }
        });
        match socket {
            Ok(socket) => drop(self.socket.replace(Some(socket))),
            Err(_) => {
                let driver = self.clone();
                spawn_local(async move { driver.feed(Event::Closed) });
            }
        }
    }

    /// Opens a port to the supervisor, unless there is one. What is sent before
    /// it listens waits in the channel.
    fn open_office(self: &Rc<Self>) {
        if self.office.borrow().is_some() {
            return;
        }
        let Ok(channel) = MessageChannel::new() else { return };
        let (driver, failed) = (self.clone(), self.clone());
        let port = Port::new(channel.port1(), move |message| driver.on_supervisor(message));
        self.office.replace(Some(port));
        spawn_local(async move {
            if let Err(error) = open_office(channel.port2()).await {
                console_error(&format!("no offscreen document: {}", super::words(&error)));
                failed.office_gone();
            }
        });
    }

    /// Ends the offscreen document, and all that runs in it.
    fn shut_office(&self) {
        self.transfers.borrow_mut().clear();
        self.executing.set(false);
        self.power_known.set(false);
        self.office.take();
        close_office();
    }

    fn office_gone(self: &Rc<Self>) {
        self.office.take();
        if self.executing.get() {
            self.feed(Event::ExecutorGone);
        }
        self.power_told(None);
    }

    fn power_told(self: &Rc<Self>, mains: Option<bool>) {
        self.feed(Event::Power(Power { mains }));
        if !self.power_known.replace(true) {
            let settings = self.settings.borrow().clone();
            self.feed(Event::Settings(settings));
        }
    }

    fn on_supervisor(self: &Rc<Self>, message: FromSupervisor) {
        match message {
            FromSupervisor::Power(mains) => self.power_told(mains),
            FromSupervisor::Ready(holding) => self.feed(Event::ExecutorReady { holding }),
            FromSupervisor::Progress(lease, fuel) => self.feed(Event::Progress { lease, fuel }),
            FromSupervisor::Finished(lease, finished) => self.finished(lease, finished),
            FromSupervisor::Failed(lease, reason, detail) => {
                self.tell_office(&ToSupervisor::Seen(lease));
                self.feed(Event::Failed { lease, reason: give_back_reason(reason), detail });
            }
            FromSupervisor::Loading(lease, loading) => self.feed(Event::Loading {
                lease,
                model: loading.name,
                bytes: loading.bytes,
                total: loading.total,
            }),
            FromSupervisor::Text(lease, text) => self.feed(Event::Text {
                lease,
                offset: text.offset,
                text: text.text,
                pieces: text.pieces,
            }),
            FromSupervisor::Models(models) => self.keep_models(models),
        }
    }

    fn finished(self: &Rc<Self>, lease: LeaseId, finished: Finished) {
        self.tell_office(&ToSupervisor::Seen(lease));
        let (module_ms, warm) = (finished.module_ms, finished.warm);
        match finished.report() {
            Some(report) => self.feed(Event::Finished { lease, report }),
            None => {
                let (reason, detail) = (GiveBackReason::Device, "no such exit reason".into());
                self.feed(Event::Failed { lease, reason, detail });
            }
        }
        self.figures.borrow_mut().sent(lease, self.last_sent.get(), module_ms, warm);
    }

    /// Other models are kept than before.
    fn keep_models(self: &Rc<Self>, models: Vec<Model>) {
        if *self.models.borrow() == models {
            return;
        }
        self.models.replace(models.clone());
        self.announce_models();
        let driver = self.clone();
        spawn_local(async move {
            driver.noted("the list of models", storage::save_models(&models).await);
        });
    }

    fn announce_models(self: &Rc<Self>) {
        let models = self.models.borrow().iter().map(|model| model.digest).collect();
        self.feed(Event::Models(models));
    }

    fn tell_office(&self, message: &ToSupervisor) {
        if let Some(port) = &*self.office.borrow() {
            port.send(message);
        }
    }

    /// The relay's origin, as the node connects to it.
    pub(super) fn origin(&self) -> String {
        let relay = self.settings.borrow().relay.trim().to_owned();
        web_sys::Url::new(&relay).map(|url| url.origin()).unwrap_or_default()
    }
}
