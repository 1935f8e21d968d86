//! The network now, as server-sent events: one snapshot a second, made once
//! however many watch.

use super::Dashboard;
use crate::error::{AppError, Code};
use crate::state::unix_ms;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use grid_protocol::api::NodeInfo;
use grid_protocol::live::{Kind, Live};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Nodes listed.
const NODES: usize = 100;
/// Nodes whose kind is counted; the others are of kind "other".
const COUNTED: usize = 10_000;
/// Kinds told apart: nodes choose their own names.
const KINDS: usize = 8;
const EVERY: Duration = Duration::from_secs(1);
/// A snapshot is made no more often than this.
const MAX_AGE: Duration = Duration::from_millis(900);

/// The last snapshot, and when it was made.
#[derive(Debug, Default)]
pub(super) struct Snapshot(tokio::sync::Mutex<Option<(Instant, Arc<str>)>>);

/// `GET /v1/live`: at once, and then every second in which something changed.
pub(super) async fn stream(State(dashboard): State<Arc<Dashboard>>) -> Result<Response, AppError> {
    let permit = dashboard.streams.clone().try_acquire_owned();
    let permit =
        permit.map_err(|_| Code::Busy.because("too many watch already; try again later"))?;
    let events = async_stream::stream! {
        let _permit = permit;
        let mut stop = dashboard.shared.stop.subscribe();
        let mut last: Option<Arc<str>> = None;
        loop {
            // A store that can't be read now may be readable in a second.
            if let Ok(json) = json(&dashboard).await
                && last.as_ref() != Some(&json)
            {
                yield Ok::<_, Infallible>(Event::default().data(&*json));
                last = Some(json);
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    };
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

async fn json(dashboard: &Dashboard) -> Result<Arc<str>, AppError> {
    let mut last = dashboard.snapshot.0.lock().await;
    if let Some((at, json)) = &*last
        && at.elapsed() < MAX_AGE
    {
        return Ok(json.clone());
    }
    dashboard.read_on().await?;
    let totals = dashboard.shared.reads.run(totals).await?;
    let live = live(dashboard, totals);
    let json: Arc<str> = serde_json::to_string(&live).unwrap_or_default().into();
    *last = Some((Instant::now(), json.clone()));
    Ok(json)
}

/// Tasks that are settled, and tasks with a result at least.
fn totals(db: &rusqlite::Connection) -> Result<(u64, u64), crate::store::StoreError> {
    let mut query =
        db.prepare_cached("SELECT coalesce(sum(done), 0), coalesce(sum(voted), 0) FROM jobs")?;
    let count = |number: i64| u64::try_from(number).unwrap_or_default();
    Ok(query.query_row([], |row| Ok((count(row.get(0)?), count(row.get(1)?))))?)
}

fn live(dashboard: &Dashboard, (settled, voted): (u64, u64)) -> Live {
    let shared = &dashboard.shared;
    let (settled_10_s, recent) = {
        let history = dashboard.history();
        (history.lately(unix_ms()), history.recent())
    };
    let core = shared.core();
    let totals = core.scheduler.totals();
    let mut nodes = core.nodes(COUNTED);
    let kinds = kinds(&nodes, core.online() as u64);
    nodes.truncate(NODES);
    Live {
        time_ms: unix_ms(),
        relay: shared.relay,
        version: env!("CARGO_PKG_VERSION").into(),
        nodes_online: core.online() as u64,
        kinds,
        nodes,
        tasks_waiting: totals.waiting as u64,
        tasks_leased: totals.leased as u64,
        tasks_settled: settled,
        tasks_provisional: voted.saturating_sub(settled),
        settled_10_s,
        fuel: core.fuel,
        settled: recent,
    }
}

/// Nodes by what their software calls itself, without its version.
fn kinds(nodes: &[NodeInfo], online: u64) -> Vec<Kind> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for node in nodes {
        let name = node.agent.split(['/', ' ']).next().unwrap_or_default();
        *counts.entry(if name.is_empty() { "unnamed" } else { name }).or_default() += 1;
    }
    let mut kinds: Vec<Kind> =
        counts.into_iter().map(|(name, nodes)| Kind { name: name.into(), nodes }).collect();
    kinds.sort_by(|a, b| b.nodes.cmp(&a.nodes).then_with(|| a.name.cmp(&b.name)));
    kinds.truncate(KINDS - 1);
    let named: u64 = kinds.iter().map(|kind| kind.nodes).sum();
    if named < online {
        kinds.push(Kind { name: "other".into(), nodes: online - named });
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;
    use grid_protocol::PublicKey;

    fn node(agent: &str) -> NodeInfo {
        NodeInfo { node: PublicKey([1; 32]), agent: agent.into(), leased: 0, tasks: 0, fuel: 0 }
    }

    #[test]
    fn kinds_are_counted_without_versions() {
        let nodes = ["grid-chrome/0.1.0", "grid-chrome/0.2.0", "grid-swarm 3", ""].map(node);
        let named = |kinds: Vec<Kind>| {
            kinds.into_iter().map(|kind| (kind.name, kind.nodes)).collect::<Vec<_>>()
        };
        let expect = [("grid-chrome", 2), ("grid-swarm", 1), ("unnamed", 1), ("other", 6)];
        assert_eq!(named(kinds(&nodes, 10)), expect.map(|(name, n)| (name.to_owned(), n)));
    }

    #[test]
    fn names_that_nodes_choose_are_bounded() {
        let nodes: Vec<_> = (0..100).map(|n| node(&format!("n{n}/1"))).collect();
        let kinds = kinds(&nodes, 100);
        assert_eq!(kinds.len(), KINDS);
        assert_eq!(kinds.iter().map(|kind| kind.nodes).sum::<u64>(), 100);
    }
}
