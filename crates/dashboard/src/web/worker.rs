//! The replay, in a worker: fetches bundles ahead, applies them in order, and
//! tells the page how far it is.

use super::net;
use crate::prove::checkpoint;
use crate::replay::{Replay, Verdict};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use grid_protocol::api::PointsInfo;
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsCast as _;
use wasm_bindgen_futures::spawn_local;
use web_sys::DedicatedWorkerGlobalScope;

/// Bundles that are fetched at a time.
const AHEAD: usize = 6;

/// What the worker tells the page, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum News {
    /// So many entries of so many.
    Progress(u64, u64),
    /// It is over.
    Verdict(Verdict),
    /// It could not be ended.
    Failed(String),
}

/// Replays the relay's log, and ends.
pub(super) fn run() {
    spawn_local(async {
        tell(&match replay().await {
            Ok(verdict) => News::Verdict(verdict),
            Err(why) => News::Failed(why),
        });
    });
}

fn tell(news: &News) {
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    let json = serde_json::to_string(news).unwrap_or_default();
    // Only what can't be cloned can't be posted.
    let _ = scope.post_message(&json.into());
}

async fn replay() -> Result<Verdict, String> {
    let relay = net::relay().await?;
    // Asked first: the checkpoint that follows covers it.
    let claimed: PointsInfo = net::json("v1/points").await?;
    let signed = checkpoint(&net::bytes("log/checkpoint").await?, &relay)?;
    let mut replay = Replay::new(relay, signed, claimed)?;
    tell(&News::Progress(0, replay.size()));
    let paths = (0..).map_while(|index| replay.bundle(index)).collect::<Vec<_>>();
    let mut bundles = stream::iter(paths).map(net::tile).buffered(AHEAD);
    while let Some(bundle) = bundles.try_next().await? {
        replay.give(&bundle)?;
        tell(&News::Progress(replay.done(), replay.size()));
    }
    Ok(replay.verdict())
}
