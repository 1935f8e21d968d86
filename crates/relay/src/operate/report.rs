//! What is told to an operator.

use super::latest::{Pace, Took};
use super::login::Operator;
use crate::api::nodes::words;
use crate::dashboard::{Dashboard, RefusedMoment, RefusedReceipt};
use crate::error::AppError;
use crate::state::unix_ms;
use crate::store::rows;
use axum::Json;
use axum::extract::State;
use grid_protocol::api::Suspects;
use grid_protocol::{JobId, PublicKey, RejectCode, Runtime};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Jobs, nodes and bans that one answer lists.
const MOST: usize = 100;

/// How the relay does.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Health {
    /// The relay's version.
    version: &'static str,
    /// What nodes and owners call it.
    origin: String,
    /// Since it started, in milliseconds.
    uptime_ms: u64,
    /// Does the store take writes?
    store_works: bool,
    /// How long the last commits took, in microseconds.
    commits_us: Took,
    /// Number of the last entry.
    entries: u64,
    /// Node sockets that are open.
    sockets: u64,
    /// Node sockets that may be.
    max_sockets: u64,
    /// Nodes on line.
    nodes_online: u64,
    /// Size of the database with its log, in bytes.
    database_bytes: u64,
    /// Size of the blob folder, in bytes.
    blob_bytes: u64,
    /// Size that it may come to.
    max_blob_bytes: u64,
    /// Room on the data directory's disk, in bytes; `null` where the system
    /// doesn't tell.
    disk_free_bytes: Option<u64>,
    /// Size of that disk.
    disk_bytes: Option<u64>,
}

/// `GET /v1/operator/health`
pub(super) async fn health(
    State(dashboard): State<Arc<Dashboard>>,
    _: Operator,
) -> Result<Json<Health>, AppError> {
    let shared = &dashboard.shared;
    let entries = shared.reads.run(rows::last_entry).await?;
    let folder = shared.config.data_dir.clone();
    let (database_bytes, disk) = tokio::task::spawn_blocking(move || sizes(&folder))
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    let nodes_online = shared.core().online() as u64;
    Ok(Json(Health {
        version: env!("CARGO_PKG_VERSION"),
        origin: shared.origin.clone(),
        uptime_ms: shared.now(),
        store_works: shared.takes_writes(),
        commits_us: shared.metrics.latest.commits(),
        entries,
        sockets: shared.sockets.load(Ordering::Relaxed) as u64,
        max_sockets: shared.config.max_sockets as u64,
        nodes_online,
        database_bytes,
        blob_bytes: shared.blobs.used(),
        max_blob_bytes: shared.config.max_blob_bytes,
        disk_free_bytes: disk.map(|(free, _)| free),
        disk_bytes: disk.map(|(_, all)| all),
    }))
}

/// Of the database, and what of the disk is free and there.
fn sizes(folder: &Path) -> (u64, Option<(u64, u64)>) {
    let size = |name: &str| std::fs::metadata(folder.join(name)).map_or(0, |file| file.len());
    let database = ["grid.sqlite", "grid.sqlite-wal"].map(size).iter().sum();
    let disk = rustix::fs::statvfs(folder).ok();
    let of = |blocks: u64, unit: u64| blocks.saturating_mul(unit);
    (
        database,
        disk.map(|disk| (of(disk.f_bavail, disk.f_frsize), of(disk.f_blocks, disk.f_frsize))),
    )
}

/// What waits.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Queues {
    /// By runtime.
    runtimes: Vec<Queue>,
    /// Running jobs, oldest first, at most 100.
    jobs: Vec<Waiting>,
}

/// What waits in one runtime.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Queue {
    /// The runtime.
    runtime: Runtime,
    /// Running jobs.
    jobs: u64,
    /// Their tasks that have no result and no node.
    waiting: u64,
    /// Leases that nodes hold, checks among them.
    leased: u64,
    /// Tasks whose result may still be replaced.
    provisional: u64,
    /// When the oldest of them was submitted: milliseconds since 1970-01-01
    /// UTC; `null` where there is none.
    oldest_ms: Option<u64>,
}

/// A job that runs.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Waiting {
    /// The job.
    job: JobId,
    /// Its runtime.
    runtime: Runtime,
    /// When it was submitted: milliseconds since 1970-01-01 UTC.
    created_ms: u64,
    /// Its tasks.
    tasks: u64,
    /// Those that are settled.
    done: u64,
    /// Leases that nodes hold.
    leased: u64,
    /// Nodes on line that can run it.
    nodes_able: u64,
    /// What keeps a task of it from ending, in words.
    note: Option<String>,
}

/// `GET /v1/operator/queues`
pub(super) async fn queues(
    State(dashboard): State<Arc<Dashboard>>,
    _: Operator,
) -> Result<Json<Queues>, AppError> {
    let shared = &dashboard.shared;
    let rows = shared.reads.run(rows::running_jobs).await?;
    let core = shared.core();
    let queue = |runtime| Queue {
        runtime,
        jobs: 0,
        waiting: 0,
        leased: 0,
        provisional: 0,
        oldest_ms: None,
    };
    let mut runtimes: Vec<_> = Runtime::ALL.map(queue).into();
    let mut jobs = Vec::new();
    for row in rows {
        let (id, runtime) = (row.id, row.template.runtime);
        let job = row.info(core.scheduler.job_leased(id) as u64);
        if let Some(queue) = runtimes.iter_mut().find(|queue| queue.runtime == runtime) {
            queue.jobs += 1;
            queue.waiting += core.scheduler.job_waiting(id) as u64;
            queue.leased += job.leased;
            queue.provisional += job.provisional;
            queue.oldest_ms.get_or_insert(job.created_ms);
        }
        if jobs.len() < MOST {
            let able = |job: Arc<crate::job::Job>| core.scheduler.online_for(job.needs()) as u64;
            jobs.push(Waiting {
                job: id,
                runtime,
                created_ms: job.created_ms,
                tasks: job.tasks,
                done: job.done,
                leased: job.leased,
                nodes_able: core.job(id).map_or(0, able),
                note: core.votes.note(id),
            });
        }
    }
    Ok(Json(Queues { runtimes, jobs }))
}

/// How long nodes take.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Nodes {
    /// Of all, in milliseconds.
    all: Took,
    /// Each node's, slowest first, at most 100.
    nodes: Vec<Pace>,
    /// How many take twice as long as usual, or longer.
    slow: u64,
}

/// `GET /v1/operator/nodes`
pub(super) async fn nodes(State(dashboard): State<Arc<Dashboard>>, _: Operator) -> Json<Nodes> {
    let (all, mut nodes) = dashboard.shared.metrics.latest.paces();
    let slow = nodes.iter().filter(|pace| pace.slow).count() as u64;
    nodes.truncate(MOST);
    Json(Nodes { all, nodes, slow })
}

/// Receipts that were refused.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Refusals {
    /// Since the relay started, logged or not.
    since_start: Vec<Reason>,
    /// The last week by the hour, of those that the log holds: leases that were
    /// held, at most 100 a node and day.
    hours: Vec<RefusedMoment>,
    /// The last of them, newest first.
    latest: Vec<RefusedReceipt>,
    /// False while the relay still reads its older entries.
    complete: bool,
}

/// How many were refused for a reason.
#[derive(Debug, Serialize, JsonSchema)]
struct Reason {
    /// The reason.
    reason: &'static str,
    /// How many.
    count: u64,
}

/// `GET /v1/operator/refusals`
pub(super) async fn refusals(
    State(dashboard): State<Arc<Dashboard>>,
    _: Operator,
) -> Result<Json<Refusals>, AppError> {
    let found = dashboard.ask(|history| history.refused(unix_ms())).await?;
    let (complete, hours, latest) = found;
    let reason = |code: &RejectCode| Reason {
        reason: code.name(),
        count: dashboard.shared.metrics.rejections(code.name()),
    };
    let since_start = RejectCode::ALL.iter().map(reason).filter(|reason| reason.count > 0);
    let since_start = since_start.collect();
    Ok(Json(Refusals { since_start, hours, latest, complete }))
}

/// Nodes that were caught: they get no more leases.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Bans {
    /// How many there are.
    count: u64,
    /// The last of them, newest first, at most 100.
    nodes: Vec<Ban>,
}

/// A node that was caught.
#[derive(Debug, Serialize, JsonSchema)]
struct Ban {
    /// The node.
    node: PublicKey,
    /// Number of the entry that caught it, of which anyone may make a proof.
    seq: u64,
    /// When: milliseconds since 1970-01-01 UTC.
    time_ms: u64,
    /// Why, in words.
    why: String,
}

/// `GET /v1/operator/bans`
pub(super) async fn bans(
    State(dashboard): State<Arc<Dashboard>>,
    _: Operator,
) -> Result<Json<Bans>, AppError> {
    let (count, caught) = dashboard.shared.reads.run(|db| rows::caught(db, MOST)).await?;
    let ban = |(node, row): (PublicKey, rows::DecisionRow)| {
        let (_, why) = words(&row, node, Some(row.seq));
        Ban { node, seq: row.seq, time_ms: row.entry.at_ms(), why }
    };
    Ok(Json(Bans { count, nodes: caught.into_iter().map(ban).collect() }))
}

/// `GET /v1/operator/suspects`
pub(super) async fn suspects(
    State(dashboard): State<Arc<Dashboard>>,
    _: Operator,
) -> Result<Json<Suspects>, AppError> {
    crate::people::suspects_now(&dashboard.shared).await.map(Json)
}
