//! What anyone may see of the network.

use crate::state::Shared;
use grid_protocol::VERSIONS;
use grid_protocol::api::NetworkInfo;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Nodes listed.
const NODES: usize = 100;
/// However many ask, it is made no more often than this.
const MAX_AGE: Duration = Duration::from_millis(250);

/// The last answer, and when it was made.
#[derive(Debug, Default)]
pub(crate) struct Snapshot(Mutex<Option<(Instant, Arc<str>)>>);

/// The JSON of [`NetworkInfo`].
pub(crate) fn json(shared: &Shared) -> Arc<str> {
    let mut last = shared.snapshot.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, json)) = &*last
        && at.elapsed() < MAX_AGE
    {
        return json.clone();
    }
    let json: Arc<str> = serde_json::to_string(&info(shared)).unwrap_or_default().into();
    *last = Some((Instant::now(), json.clone()));
    json
}

fn info(shared: &Shared) -> NetworkInfo {
    let core = shared.core();
    let totals = core.scheduler.totals();
    NetworkInfo {
        relay: shared.relay,
        version: env!("CARGO_PKG_VERSION").into(),
        protocol: VERSIONS.to_vec(),
        nodes: core.nodes(NODES),
        nodes_online: core.online() as u64,
        tasks_waiting: totals.waiting as u64,
        tasks_leased: totals.leased as u64,
        tasks_done: core.tasks_done,
        fuel: core.fuel,
        receipts: core.recent.iter().cloned().collect(),
    }
}

/// The text of `/metrics`.
pub(crate) fn metrics(shared: &Shared) -> String {
    let (totals, online, roster) = {
        let core = shared.core();
        (core.scheduler.totals(), core.online(), core.votes.members.len())
    };
    let metrics = &shared.metrics;
    metrics.nodes.set(online as i64);
    metrics.sockets.set(shared.sockets.load(Ordering::Relaxed) as i64);
    metrics.jobs.set(totals.jobs as i64);
    metrics.set_tasks(totals.waiting, totals.leased);
    metrics.provisional.set(totals.open as i64);
    metrics.roster.set(roster as i64);
    metrics.blob_bytes.set(shared.blobs.used() as i64);
    metrics.store_works.set(i64::from(shared.takes_writes()));
    metrics.text()
}
