//! Acknowledgements that the node keeps: with one, its owner can prove that the
//! relay dropped a receipt. The last thousand, in parts, so that keeping one
//! more writes a small part.

use super::storage;
use grid_protocol::{Ack, LeaseId, Signature, ToNode, decode};
use serde::{Deserialize, Serialize};

/// Acknowledgements in one part.
const PART: usize = 100;
/// Parts; the oldest is dropped for a new one.
const PARTS: usize = 10;
/// Key in storage: the number of the part that is being filled.
const CURRENT: &str = "acks";

/// One of them. What `grid audit --ack` reads needs the last two.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The relay's origin.
    pub(super) relay: String,
    ack: Ack,
    signature: Signature,
}

impl Kept {
    /// The acknowledgement in a message, if it is one.
    pub(super) fn of(relay: &str, message: &[u8]) -> Option<Self> {
        let message: ToNode = decode(message).ok()?;
        let (ack, signature) = message.ack()?;
        Some(Self { relay: relay.into(), ack, signature })
    }

    pub(super) fn lease(&self) -> LeaseId {
        self.ack.lease
    }
}

fn name(part: usize) -> String {
    format!("{CURRENT}-{part}")
}

/// The part that is being filled.
#[derive(Debug, Default)]
pub(super) struct Acks {
    number: usize,
    part: Vec<Kept>,
}

impl Acks {
    /// As storage holds them.
    pub(super) async fn load() -> Self {
        let number = storage::load(CURRENT).await.unwrap_or(0) % PARTS;
        Self { number, part: storage::load(&name(number)).await.unwrap_or_default() }
    }

    /// Keeps one more. Gives back what is to be written.
    pub(super) fn keep(&mut self, ack: Kept) -> (usize, Vec<Kept>) {
        if self.part.len() >= PART {
            self.number = (self.number + 1) % PARTS;
            self.part.clear();
        }
        self.part.push(ack);
        (self.number, self.part.clone())
    }
}

/// Writes a part.
pub(super) async fn save(number: usize, part: Vec<Kept>) -> Result<(), String> {
    // A part is named as current once it is there.
    storage::store(&name(number), &part).await?;
    storage::store(CURRENT, &number).await
}

/// All that one relay gave, the oldest first.
pub(super) async fn of_relay(origin: &str) -> Vec<Kept> {
    let current: usize = storage::load(CURRENT).await.unwrap_or(0);
    let mut all = Vec::new();
    for step in 1..=PARTS {
        let part: Option<Vec<Kept>> = storage::load(&name((current + step) % PARTS)).await;
        all.extend(part.unwrap_or_default().into_iter().filter(|kept| kept.relay == origin));
    }
    all
}
