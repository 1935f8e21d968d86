//! What pages are shown, and the figures that the benchmark reads.

use super::account;
use crate::messages::Model;
use grid_node::{Settings, State, Status, Why};
use grid_protocol::{LeaseId, PublicKey, Runtime, limits};
use serde::Serialize;

/// Samples kept of each figure.
const SAMPLES: usize = 64;

/// What pages are shown. Numbers are JavaScript's: exact up to 2^53.
#[derive(Debug, Serialize)]
pub(crate) struct View<'a> {
    state: State,
    why: Why,
    /// When that ends by itself, in milliseconds since 1970.
    until: Option<f64>,
    error: Option<String>,
    node: PublicKey,
    tasks: f64,
    points: f64,
    /// Since midnight, as this browser counted.
    today: Today,
    /// The entry of the last receipt that was acknowledged.
    newest: Option<f64>,
    running: Vec<Running>,
    models: Vec<Kept<'a>>,
    account: account::Shown<'a>,
    /// What went wrong when something was to be kept.
    trouble: Option<&'a str>,
    settings: &'a Settings,
    version: &'static str,
    debug: &'a Figures,
}

#[derive(Debug, Serialize)]
struct Today {
    tasks: f64,
    points: f64,
}

/// What the node doesn't know itself.
pub(super) struct Besides<'a> {
    pub(super) settings: &'a Settings,
    pub(super) models: &'a [Model],
    pub(super) figures: &'a Figures,
    pub(super) account: account::Shown<'a>,
    pub(super) trouble: Option<&'a str>,
    /// Tasks and fuel of today.
    pub(super) today: (u64, u64),
    pub(super) newest: Option<u64>,
}

/// A model that is kept.
#[derive(Debug, Serialize)]
struct Kept<'a> {
    name: &'a str,
    bytes: f64,
}

#[derive(Debug, Serialize)]
struct Running {
    lease: LeaseId,
    owner: String,
    job: String,
    runtime: Runtime,
    module: String,
    model: String,
    /// Bytes that are here, bytes in all.
    loading: Option<[f64; 2]>,
    pieces: u32,
    fuel: f64,
    limit: f64,
    /// Milliseconds since 1970.
    since: f64,
}

impl<'a> View<'a> {
    pub(super) fn new(status: Status, besides: Besides<'a>) -> Self {
        let Besides { settings, models, figures, account, trouble, today, newest } = besides;
        let running = status.running.into_iter().map(|run| Running {
            lease: run.lease,
            owner: run.owner,
            job: run.job,
            runtime: run.runtime,
            module: run.module,
            model: run.model,
            loading: run.loading.map(|(bytes, total)| [bytes as f64, total as f64]),
            pieces: run.pieces,
            fuel: run.fuel as f64,
            limit: run.limit as f64,
            since: run.since as f64,
        });
        Self {
            state: status.state,
            why: status.why,
            until: status.until.map(|until| until as f64),
            error: status.error,
            node: status.node,
            tasks: status.tasks as f64,
            points: points(status.fuel),
            today: Today { tasks: today.0 as f64, points: points(today.1) },
            newest: newest.map(|seq| seq as f64),
            running: running.collect(),
            models: models
                .iter()
                .map(|model| Kept { name: &model.name, bytes: model.bytes as f64 })
                .collect(),
            account,
            trouble,
            settings,
            version: env!("CARGO_PKG_VERSION"),
            debug: figures,
        }
    }
}

fn points(fuel: u64) -> f64 {
    fuel as f64 / limits::FUEL_PER_POINT as f64
}

/// Times, in milliseconds.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Figures {
    /// From the start of the service worker until the node could take events.
    pub(crate) ready_ms: f64,
    /// From a lease's message to its result's message, without the time inside
    /// the module; with a spare worker, and without. The newest last.
    overhead_ms: Vec<f64>,
    overhead_cold_ms: Vec<f64>,
    /// When each lease came.
    #[serde(skip)]
    came: Vec<(LeaseId, f64)>,
}

impl Figures {
    /// A lease came (the first call for it counts).
    pub(crate) fn came(&mut self, lease: LeaseId, at: f64) {
        if self.came.iter().all(|(other, _)| *other != lease) {
            self.came.truncate(SAMPLES); // Leases that were given back.
            self.came.insert(0, (lease, at));
        }
    }

    /// Its result was sent.
    pub(crate) fn sent(&mut self, lease: LeaseId, at: f64, module_ms: f64, warm: bool) {
        let Some(index) = self.came.iter().position(|(other, _)| *other == lease) else { return };
        let (_, came) = self.came.remove(index);
        let samples = if warm { &mut self.overhead_ms } else { &mut self.overhead_cold_ms };
        if samples.len() == SAMPLES {
            samples.remove(0);
        }
        samples.push(at - came - module_ms);
    }
}
