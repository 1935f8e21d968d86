//! Acknowledgements that nodes kept: each promises that the log holds a
//! receipt.

use crate::failure::{Exit, Failure};
use crate::files::read_bounded;
use grid_protocol::{Ack, Digest, PublicKey, Signature};
use serde::Deserialize;
use std::path::PathBuf;

const MAX_FILE: u64 = 16 << 20;

/// A promise, signed by the relay.
#[derive(Debug, Clone)]
pub(super) struct Promise {
    /// Where it was read.
    pub(super) from: String,
    pub(super) ack: Ack,
}

impl Promise {
    /// What the log must hold at entry `ack.seq`.
    pub(super) fn commitment(&self) -> Digest {
        grid_protocol::entry::commitment(&self.ack.salt, &self.ack.receipt)
    }
}

#[derive(Deserialize)]
struct Kept {
    ack: Ack,
    #[serde(alias = "ack_signature")]
    signature: Signature,
}

/// What a file may hold: one, a list of them, or a receipt.json.
#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    One(Kept),
    Many(Vec<Kept>),
    Receipt { result: Kept },
}

/// Reads the files, and refuses what the relay did not sign: only a signed
/// promise proves anything.
pub(super) fn read(paths: &[PathBuf], relay: &PublicKey) -> Result<Vec<Promise>, Failure> {
    let mut promises = Vec::new();
    for path in paths {
        let bytes = read_bounded(path, MAX_FILE)
            .map_err(|error| Failure::file("read the acknowledgement", path, &error))?;
        let bad = |why: String| {
            let message = format!("{}: {why}", path.display());
            Failure::new(Exit::Failed, "bad_ack", message)
                .hint("give what the node's popup or `grid results --out` wrote")
        };
        let content: Content = serde_json::from_slice(&bytes)
            .map_err(|_| bad("it holds no acknowledgement".into()))?;
        let kept = match content {
            Content::One(kept) | Content::Receipt { result: kept } => vec![kept],
            Content::Many(kept) => kept,
        };
        for Kept { ack, signature } in kept {
            relay.verify_strict(&ack.encode(), &signature).map_err(|_| {
                bad(format!("the acknowledgement of entry {} is not signed by {relay}", ack.seq))
            })?;
            promises.push(Promise { from: path.display().to_string(), ack });
        }
    }
    Ok(promises)
}
