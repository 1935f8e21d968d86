//! Receipts and the relay's acknowledgements of them, which the node keeps:
//! with these its owner can prove that the relay dropped a receipt. The last
//! thousand, in parts, so that keeping one more writes a small part; and what
//! each of the last days brought.

use super::storage;
use grid_node::Receipted;
use grid_protocol::{Ack, Digest, PublicKey, ReceiptBody, Runtime, Signature, limits};
use serde::{Deserialize, Serialize};

/// Receipts in one part.
const PART: usize = 25;
/// Parts; the oldest is dropped for a new one.
const PARTS: usize = 40;
/// Receipts that are shown.
const RECENT: usize = 20;
/// Days that are remembered.
const DAYS: usize = 30;
/// Keys in storage: the number of the part that is being filled; the days.
const CURRENT: &str = "acks";
const TALLY: &str = "days";
const DAY_MS: i64 = 86_400_000;

/// One of them. What `grid audit --ack` reads needs the first three.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The relay's origin.
    pub(super) relay: String,
    ack: Ack,
    signature: Signature,
    /// Kept by this version, not by the first.
    #[serde(default)]
    work: Option<Work>,
}

/// What it was for.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Work {
    /// When it was acknowledged, in milliseconds since 1970.
    at: f64,
    runtime: Runtime,
    module: Digest,
    model: String,
    fuel: f64,
    /// The relay's key.
    key: PublicKey,
    /// The receipt's body, in hexadecimal digits, and the node's signature.
    receipt: String,
    receipt_signature: Signature,
}

impl Kept {
    pub(super) fn new(relay: String, at: f64, receipted: Receipted) -> Self {
        let Receipted { runtime, module, model, fuel, relay: key, .. } = receipted;
        Self {
            relay,
            ack: receipted.ack,
            signature: receipted.ack_signature,
            work: Some(Work {
                at,
                runtime,
                module,
                model,
                fuel: fuel as f64,
                key,
                receipt: hex::encode(receipted.receipt),
                receipt_signature: receipted.signature,
            }),
        }
    }
}

/// A receipt as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    seq: f64,
    relay: String,
    at: f64,
    runtime: Runtime,
    module: Digest,
    model: String,
    points: f64,
}

/// What was found of one receipt.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    /// This node signed the receipt.
    signed: bool,
    /// The relay promised, under its own signature, that the log holds this
    /// very receipt.
    promised: bool,
}

impl Kept {
    fn shown(self) -> Option<Shown> {
        let work = self.work?;
        Some(Shown {
            seq: self.ack.seq as f64,
            relay: self.relay,
            at: work.at,
            runtime: work.runtime,
            module: work.module,
            model: work.model,
            points: work.fuel / limits::FUEL_PER_POINT as f64,
        })
    }

    fn checked(&self, node: &PublicKey) -> Option<Checked> {
        let work = self.work.as_ref()?;
        let bytes = hex::decode(&work.receipt).ok()?;
        let body = ReceiptBody::decode(&bytes).ok()?;
        let ours = body.node == *node && body.relay == work.key;
        let promise = self.ack.receipt == Digest::of(&bytes) && self.ack.lease == body.lease;
        Some(Checked {
            signed: ours && node.verify(&bytes, &work.receipt_signature).is_ok(),
            promised: promise && work.key.verify(&self.ack.encode(), &self.signature).is_ok(),
        })
    }
}

fn name(part: usize) -> String {
    format!("{CURRENT}-{part}")
}

/// A day's work: days since 1970 in local time, tasks, fuel.
type Day = (i64, u64, u64);

/// The part that is being filled, and the last days.
#[derive(Debug, Default)]
pub(super) struct Acks {
    number: usize,
    part: Vec<Kept>,
    days: Vec<Day>,
}

/// What is to be written after another one came.
pub(super) struct Written {
    number: usize,
    part: Vec<Kept>,
    days: Vec<Day>,
}

/// The day at a time (milliseconds since 1970), where local time is so many
/// minutes ahead.
fn day(at: f64, zone: i32) -> i64 {
    (at as i64 + i64::from(zone) * 60_000).div_euclid(DAY_MS)
}

impl Acks {
    /// As storage holds them.
    pub(super) async fn load() -> Self {
        let number = storage::load(CURRENT).await.unwrap_or(0) % PARTS;
        let part = storage::load(&name(number)).await.unwrap_or_default();
        Self { number, part, days: storage::load(TALLY).await.unwrap_or_default() }
    }

    /// Keeps one more. Gives back what is to be written.
    pub(super) fn keep(&mut self, kept: Kept, zone: i32) -> Written {
        if let Some(work) = &kept.work {
            let today = day(work.at, zone);
            // By number, not by order: the clock may have been put back.
            match self.days.iter_mut().find(|(day, ..)| *day == today) {
                Some((_, tasks, fuel)) => {
                    *tasks += 1;
                    *fuel = fuel.saturating_add(work.fuel as u64);
                }
                None => self.days.push((today, 1, work.fuel as u64)),
            }
            let old = self.days.len().saturating_sub(DAYS);
            self.days.drain(..old);
        }
        if self.part.len() >= PART {
            self.number = (self.number + 1) % PARTS;
            self.part.clear();
        }
        self.part.push(kept);
        Written { number: self.number, part: self.part.clone(), days: self.days.clone() }
    }

    /// Tasks and fuel of the day at this time.
    pub(super) fn on_day(&self, at: f64, zone: i32) -> (u64, u64) {
        let today = day(at, zone);
        let found = self.days.iter().find(|(day, ..)| *day == today);
        found.map_or((0, 0), |(_, tasks, fuel)| (*tasks, *fuel))
    }

    /// The entry of the newest one.
    pub(super) fn newest(&self) -> Option<u64> {
        self.part.last().map(|kept| kept.ack.seq)
    }
}

/// Writes them.
pub(super) async fn save(written: Written) -> Result<(), String> {
    let Written { number, part, days } = written;
    // A part is named as current once it is there.
    storage::store(&name(number), &part).await?;
    storage::store(CURRENT, &number).await?;
    storage::store(TALLY, &days).await
}

/// The last ones for which `pick` has something, the newest first.
async fn last<T>(most: usize, pick: impl Fn(Kept) -> Option<T>) -> Vec<T> {
    let current: usize = storage::load(CURRENT).await.unwrap_or(0) % PARTS;
    let mut found = Vec::new();
    for back in 0..PARTS {
        let part = (current + PARTS - back) % PARTS;
        let part: Vec<Kept> = storage::load(&name(part)).await.unwrap_or_default();
        found.extend(part.into_iter().rev().filter_map(&pick));
        if found.len() >= most {
            break;
        }
    }
    found.truncate(most);
    found
}

/// All that one relay gave, the oldest first.
pub(super) async fn of_relay(origin: &str) -> Vec<Kept> {
    let mut all = last(usize::MAX, |kept| (kept.relay == origin).then_some(kept)).await;
    all.reverse();
    all
}

/// The last ones, the newest first.
pub(super) async fn recent() -> Vec<Shown> {
    last(RECENT, Kept::shown).await
}

/// Checks the one of this entry in the log of the relay at `origin`; `None`:
/// it isn't kept.
pub(super) async fn check(origin: &str, seq: u64, node: &PublicKey) -> Option<Checked> {
    let wanted = |kept: &Kept| kept.relay == origin && kept.ack.seq == seq;
    last(1, |kept| wanted(&kept).then_some(kept)).await.first()?.checked(node)
}
