//! The worker's side: hears what a page asks, fetches bundles and tiles, and
//! tells what comes of it. Both ways the messages are JSON.

mod net;

use crate::claims::{ASKED, Claim};
use crate::prove::{Next, Prove, checkpoint};
use crate::replay::{Replay, Verdict};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use grid_audit::proof::{self, Report};
use grid_protocol::PublicKey;
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsCast as _;
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen_futures::spawn_local;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

/// Bundles that are fetched at a time.
const AHEAD: usize = 6;

/// What a page asks for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ask {
    /// Is this proof file good?
    Check { proof: String, relay: Option<PublicKey> },
    /// The proof of the settlement in this entry, made from the relay's log.
    Prove { seq: u64 },
    /// Is everything that the relay says what its log makes it?
    Audit,
}

/// What the worker tells the page.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum News {
    /// What a proof file proves.
    Report(Report),
    /// A proof file.
    Proof(String),
    /// So many entries of so many.
    Progress(u64, u64),
    /// What the replay found.
    Verdict(Verdict),
    /// It could not be done.
    Failed(String),
}

/// Hears the page from now on.
#[wasm_bindgen(start)]
fn start() {
    let hear = Closure::<dyn FnMut(MessageEvent)>::new(|event: MessageEvent| {
        let text = event.data().as_string().unwrap_or_default();
        // Only the page that started this worker can ask.
        if let Ok(ask) = serde_json::from_str(&text) {
            spawn_local(async { tell(&answer(ask).await.unwrap_or_else(News::Failed)) });
        }
    });
    scope().set_onmessage(Some(hear.as_ref().unchecked_ref()));
    // For as long as the worker lives.
    hear.forget();
}

fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

fn tell(news: &News) {
    let json = serde_json::to_string(news).unwrap_or_default();
    // Only what can't be cloned can't be posted.
    let _ = scope().post_message(&json.into());
}

async fn answer(ask: Ask) -> Result<News, String> {
    Ok(match ask {
        Ask::Check { proof, relay } => News::Report(proof::check(proof.as_bytes(), relay.as_ref())),
        Ask::Prove { seq } => News::Proof(made(seq).await?),
        Ask::Audit => News::Verdict(replay().await?),
    })
}

/// The proof of the settlement in entry `seq`.
async fn made(seq: u64) -> Result<String, String> {
    let relay = net::relay().await?;
    let signed = checkpoint(&net::bytes("log/checkpoint").await?, &relay)?;
    let mut prove = Prove::new(relay, signed, seq);
    loop {
        match prove.next()? {
            Next::Done(file) => return String::from_utf8(file).map_err(|why| why.to_string()),
            Next::Fetch(path) => prove.give(path, &net::tile(path).await?)?,
        }
    }
}

async fn replay() -> Result<Verdict, String> {
    let relay = net::relay().await?;
    // Asked first: the checkpoint that follows covers it.
    let mut claims = Vec::with_capacity(ASKED.len());
    for path in ASKED {
        claims.push(Claim::read(path, &net::bytes(path).await?)?);
    }
    let signed = checkpoint(&net::bytes("log/checkpoint").await?, &relay)?;
    let mut replay = Replay::new(relay, signed, claims)?;
    tell(&News::Progress(0, replay.size()));
    let paths = (0..).map_while(|index| replay.bundle(index)).collect::<Vec<_>>();
    let mut bundles = stream::iter(paths).map(net::tile).buffered(AHEAD);
    while let Some(bundle) = bundles.try_next().await? {
        replay.give(&bundle)?;
        tell(&News::Progress(replay.done(), replay.size()));
    }
    Ok(replay.verdict())
}
