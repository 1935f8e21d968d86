//! The network now, as server-sent events: one snapshot a second, made once
//! however many watch.

use super::{Dashboard, History};
use crate::error::AppError;
use crate::follow::Derived as _;
use crate::socket::{Peer, address};
use crate::state::{Shared, unix_ms};
use crate::streams::events;
use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::response::sse::Event;
use grid_protocol::api::NodeInfo;
use grid_protocol::live::{Kind, Live, SettledInfo};
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

/// A stream without news gets a snapshot after this: whoever watches sees by its
/// time that the relay is there.
const ANYWAY: Duration = Duration::from_secs(20);

/// The last snapshot.
#[derive(Debug, Default)]
pub(super) struct Snapshot(tokio::sync::Mutex<Option<Made>>);

#[derive(Debug)]
struct Made {
    at: Instant,
    /// Another one where more than the time differs.
    version: u64,
    live: Live,
    json: Arc<str>,
}

impl Made {
    fn new(live: Live, last: Option<&Self>) -> Self {
        let version = match last {
            Some(last) if Live { time_ms: last.live.time_ms, ..live.clone() } == last.live => {
                last.version
            }
            Some(last) => last.version + 1,
            None => 0,
        };
        let json = serde_json::to_string(&live).unwrap_or_default().into();
        Self { at: Instant::now(), version, live, json }
    }
}

/// `GET /v1/live`: at once, then every second in which something changed, and
/// after [`ANYWAY`].
pub(super) async fn stream(
    State(dashboard): State<Arc<Dashboard>>,
    peer: Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, AppError> {
    let shared = &dashboard.shared;
    let watching = shared.watchers.admit(address(shared, peer.0, &headers))?;
    Ok(events(async_stream::stream! {
        let _watching = watching;
        let mut stop = dashboard.shared.stop.subscribe();
        let mut sent = None;
        loop {
            // A store that can't be read now may be readable in a second.
            if let Ok((version, json)) = latest(&dashboard).await
                && is_due(sent, version, Instant::now())
            {
                yield Ok::<_, Infallible>(Event::default().data(&*json));
                sent = Some((version, Instant::now()));
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }))
}

/// Is a snapshot to be sent to who was sent one of this version then?
fn is_due(sent: Option<(u64, Instant)>, version: u64, now: Instant) -> bool {
    sent.is_none_or(|(last, at)| last != version || now.duration_since(at) >= ANYWAY)
}

/// The last snapshot's version and JSON.
async fn latest(dashboard: &Dashboard) -> Result<(u64, Arc<str>), AppError> {
    let mut last = dashboard.snapshot.0.lock().await;
    let made = match last.take_if(|made| made.at.elapsed() < MAX_AGE) {
        Some(made) => made,
        None => {
            let look = |history: &History| {
                (history.lately(unix_ms()), history.recent(), history.is_complete())
            };
            let found = dashboard.ask(look).await?;
            Made::new(live(&dashboard.shared, found), last.as_ref())
        }
    };
    let made = last.insert(made);
    Ok((made.version, made.json.clone()))
}

fn live(shared: &Shared, found: (u64, Vec<SettledInfo>, bool)) -> Live {
    let (settled_10_s, recent, complete) = found;
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
        tasks_settled: core.tasks_settled,
        tasks_provisional: totals.open as u64,
        settled_10_s,
        fuel: core.fuel,
        settled: recent,
        complete,
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

    fn live(time_ms: u64, nodes_online: u64) -> Live {
        Live {
            time_ms,
            relay: PublicKey([1; 32]),
            version: String::new(),
            nodes_online,
            kinds: Vec::new(),
            nodes: Vec::new(),
            tasks_waiting: 0,
            tasks_leased: 0,
            tasks_settled: 0,
            tasks_provisional: 0,
            settled_10_s: 0,
            fuel: 0,
            settled: Vec::new(),
            complete: true,
        }
    }

    #[test]
    fn time_alone_is_no_news() {
        let first = Made::new(live(1_000, 3), None);
        let later = Made::new(live(2_000, 3), Some(&first));
        assert_eq!(later.version, first.version);
        assert!(later.json.contains("2000"), "who comes now is told the time it is");
        let news = Made::new(live(3_000, 4), Some(&later));
        assert_ne!(news.version, first.version);

        let now = Instant::now();
        let sent = Some((first.version, now));
        assert!(is_due(None, first.version, now));
        assert!(!is_due(sent, later.version, now + ANYWAY / 2));
        assert!(is_due(sent, news.version, now));
        assert!(is_due(sent, later.version, now + ANYWAY));
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
