//! Witnesses (C2SP tlog-witness): the relay hands them its newest checkpoint
//! and serves what they cosigned. Acknowledgements never wait for them.

use super::tiles::Source;
use super::{Head, Log, LogError};
use crate::state::Shared;
use futures_util::future::join_all;
use grid_log::Hash;
use grid_log::checkpoint::CheckpointError;
use grid_log::note::{KeyError, KeyKind, VerifierKey};
use grid_log::witness::{AddCheckpoint, parse_known_size};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often a new checkpoint is looked for.
const EVERY: Duration = Duration::from_millis(500);
/// Longest that a witness may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a failure; twice as long after each, up to [`MAX_PAUSE`].
const PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(300);
/// Longest answer that is read, in bytes: some signature lines.
const MAX_ANSWER: usize = 16 * 1024;

/// A witness: its key and address, with a space between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WitnessAddress {
    /// What its cosignatures are verified with.
    pub key: VerifierKey,
    /// `add-checkpoint` is below this.
    pub url: String,
}

/// Why text is not a witness.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WitnessAddressError {
    /// Not a key, a space, and an address.
    #[error("a witness is its key, a space, and its http:// or https:// address")]
    Malformed,
    /// The key is none.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl FromStr for WitnessAddress {
    type Err = WitnessAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, url) = text.trim().split_once(' ').ok_or(WitnessAddressError::Malformed)?;
        let key: VerifierKey = key.parse()?;
        let url = url.trim().trim_end_matches('/').to_owned();
        let web = url.starts_with("http://") || url.starts_with("https://");
        if !web || key.kind() != KeyKind::Witness {
            return Err(WitnessAddressError::Malformed);
        }
        Ok(Self { key, url })
    }
}

impl fmt::Display for WitnessAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.url)
    }
}

impl TryFrom<String> for WitnessAddress {
    type Error = WitnessAddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<WitnessAddress> for String {
    fn from(address: WitnessAddress) -> Self {
        address.to_string()
    }
}

/// Why there is no cosignature.
#[derive(Debug, Error)]
enum Failure {
    #[error("it can't be reached: {0}")]
    Http(#[from] reqwest::Error),
    #[error("it answers {0}")]
    Status(u16),
    #[error("its answer is no cosignature: {0}")]
    Answer(#[from] CheckpointError),
    #[error("its answer is too long, or no text")]
    Malformed,
    #[error("it cosigned a log of {0} leaves, which this is not the beginning of")]
    Ahead(u64),
    #[error("it has cosigned another history")]
    Split,
    #[error("no proof can be made: {0}")]
    Proof(#[from] LogError),
}

/// What is known of a witness.
struct Watching {
    address: WitnessAddress,
    /// Size that it cosigned last, as far as known.
    known: u64,
    /// Size of the last checkpoint that it cosigned for this process.
    cosigned: u64,
    failures: u32,
    next: Instant,
}

/// Has every new checkpoint cosigned, until the relay stops.
pub(crate) async fn serve(shared: Arc<Shared>) {
    let new = |address: &WitnessAddress| {
        let (address, next) = (address.clone(), Instant::now());
        Watching { address, known: 0, cosigned: 0, failures: 0, next }
    };
    let mut all: Vec<Watching> = shared.config.witnesses.iter().map(new).collect();
    let builder = reqwest::Client::builder().timeout(TIMEOUT);
    let http = match builder.redirect(reqwest::redirect::Policy::none()).build() {
        Ok(http) => http,
        Err(error) => return tracing::error!(%error, "no checkpoint will be cosigned"),
    };
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stop = shared.stop.subscribe();
    while !all.is_empty() {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        tokio::select! {
            () = round(&shared, &http, &mut all) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Asks those that have not cosigned the newest checkpoint.
async fn round(shared: &Arc<Shared>, http: &reqwest::Client, all: &mut [Watching]) {
    let head = shared.log.head();
    let (size, now) = (head.tree.size(), Instant::now());
    let due = all.iter_mut().filter(|one| size > 0 && one.cosigned != size && one.next <= now);
    let asked = due.map(async |one| {
        let answer = one.ask(shared, http, &head).await;
        (one, answer)
    });
    let answers = join_all(asked).await;
    let mut checkpoint = match shared.log.cosigned() {
        Some(cosigned) if cosigned.checkpoint().size() == size => cosigned,
        _ => head.checkpoint.clone(),
    };
    let mut new = false;
    for (one, answer) in answers {
        let key = &one.address.key;
        let added = answer.and_then(|lines| Ok(checkpoint.add_cosignature(&lines, key)?));
        new |= added.is_ok();
        one.ended(size, added.map(|_| ()));
    }
    if new {
        shared.log.set_cosigned(checkpoint);
    }
}

impl Watching {
    /// The lines that it answers with. A conflict tells where it stands, and is
    /// tried once more from there.
    async fn ask(
        &mut self,
        shared: &Arc<Shared>,
        http: &reqwest::Client,
        head: &Arc<Head>,
    ) -> Result<String, Failure> {
        let size = head.tree.size();
        for _ in 0..2 {
            let (old, asked, of) = (self.known, shared.clone(), head.clone());
            let proof = shared.reads.ask(move |db| asked.log.consistency(db, &of, old)).await?;
            let checkpoint = head.checkpoint.encode();
            let request = AddCheckpoint { old, proof, checkpoint }.encode();
            let url = format!("{}/add-checkpoint", self.address.url);
            let response = http.post(url).body(request).send().await?;
            let status = response.status().as_u16();
            let text = read(response).await?;
            match (status, parse_known_size(&text)) {
                (200, _) => return Ok(text),
                (409, Some(known)) if known > size => return Err(Failure::Ahead(known)),
                (409, Some(known)) if known != old => self.known = known,
                (409, _) | (422, _) => return Err(Failure::Split),
                _ => return Err(Failure::Status(status)),
            }
        }
        Err(Failure::Status(409))
    }

    /// A failure is logged once, until it is over.
    fn ended(&mut self, size: u64, result: Result<(), Failure>) {
        let witness = self.address.key.name();
        match result {
            Ok(()) => {
                if self.failures > 0 {
                    tracing::info!(witness, "the witness cosigns again");
                }
                (self.known, self.cosigned, self.failures) = (size, size, 0);
            }
            Err(error) => {
                if self.failures == 0 {
                    tracing::error!(witness, %error, "a witness does not cosign; trying again");
                }
                let pause = PAUSE * (1 << self.failures.min(16));
                self.failures += 1;
                self.next = Instant::now() + pause.min(MAX_PAUSE);
            }
        }
    }
}

async fn read(mut response: reqwest::Response) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(Failure::Malformed);
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| Failure::Malformed)
}

impl Log {
    /// Proves that the log of `old` leaves is the beginning of this one. Empty
    /// where it is larger.
    fn consistency(&self, db: &Connection, head: &Head, old: u64) -> Result<Vec<Hash>, LogError> {
        let source = Source { tiles: &self.tiles, leaves: &self.leaves, db, writes: false };
        let proof = head.tree.consistency_proof(&source, old, head.tree.size());
        proof.map_err(|error| LogError::Proof(error.to_string()))
    }
}
