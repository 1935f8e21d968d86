//! Being a witness (C2SP tlog-witness): cosigns a checkpoint that follows from
//! the last one it cosigned, and refuses every other history for good.

use crate::failure::{Exit, Failure};
use crate::files::{read_bounded, write_private};
use grid_client::Client;
use grid_log::checkpoint::{SignedCheckpoint, WitnessKey};
use grid_log::witness::{AddCheckpoint, Latest, Witness};
use grid_protocol::{Digest, PublicKey, SigningKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

const MAX_FILE: u64 = 1 << 20;

/// The last checkpoint of a log that was cosigned.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Seen {
    size: u64,
    root: Digest,
}

/// Cosigns; gives back the witness's key as text, and the cosignature line.
pub(super) async fn cosign(
    folder: &Path,
    client: &Client,
    relay: &PublicKey,
    checkpoint: &SignedCheckpoint,
) -> Result<(String, String), Failure> {
    let mut witness = Witness::new(key(folder)?);
    let origin = checkpoint.checkpoint().origin().to_owned();
    let (path, mut seen) = seen(folder)?;
    let latest = seen
        .get(&origin)
        .map_or_else(Latest::default, |seen| Latest { size: seen.size, root: seen.root });
    let named = |error: grid_log::note::KeyError| {
        Failure::new(Exit::NotVerified, "witness", format!("the log's name: {error}"))
    };
    witness.watch(&origin, &[*relay], latest).map_err(named)?;
    let (old, size) = (latest.size, checkpoint.checkpoint().size());
    let refused = |why: String| Failure::new(Exit::NotVerified, "witness", why);
    if old > size {
        return Err(refused(format!("this witness cosigned {old} entries, the log has {size}")));
    }
    let proof =
        client.prove(checkpoint, |tree, tiles| tree.consistency_proof(tiles, old, size)).await?;
    let request = AddCheckpoint { old, proof, checkpoint: checkpoint.encode() };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let pending = witness
        .add_checkpoint(request.encode().as_bytes(), now)
        .map_err(|error| refused(format!("this witness does not cosign: {error}")))?;
    // Durable before the cosignature is shown: it can't be taken back.
    let Latest { size, root } = pending.latest();
    seen.insert(origin, Seen { size, root });
    let json = serde_json::to_vec_pretty(&seen).expect("every key is text");
    write_private(&path, &json).map_err(|error| Failure::file("write", &path, &error))?;
    let line = witness.persisted(pending).map_err(|error| refused(error.to_string()))?;
    let mut cosigned = checkpoint.clone();
    let checked = cosigned.add_cosignature(&line, witness.verifier());
    checked.map_err(|error| refused(error.to_string()))?;
    let path = folder.join("checkpoint");
    write_private(&path, cosigned.encode().as_bytes())
        .map_err(|error| Failure::file("write", &path, &error))?;
    Ok((witness.verifier().to_string(), line.trim_end().to_owned()))
}

/// The witness's key, made when there is none.
fn key(folder: &Path) -> Result<WitnessKey, Failure> {
    let path = folder.join("witness.key");
    let bad = |why: &str| {
        Failure::new(Exit::Failed, "witness", format!("{} {why}", path.display()))
            .hint("it holds NAME and 64 hexadecimal digits; remove it to make another witness")
    };
    let text = match read_bounded(&path, MAX_FILE) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| bad("is no witness's key"))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).map_err(|_| bad("can't be made: no randomness"))?;
            let name =
                format!("witness-{}", &hex::encode(SigningKey::from_seed(seed).public().0)[..8]);
            let text = format!("{name} {}\n", hex::encode(seed));
            write_private(&path, text.as_bytes())
                .map_err(|error| Failure::file("write", &path, &error))?;
            text
        }
        Err(error) => return Err(Failure::file("read", &path, &error)),
    };
    let mut words = text.split_whitespace();
    let (name, seed) = words.next().zip(words.next()).ok_or_else(|| bad("is no witness's key"))?;
    let seed: Digest = seed.parse().map_err(|_| bad("is no witness's key"))?;
    WitnessKey::new(name, SigningKey::from_seed(seed.0)).map_err(|_| bad("has a bad name"))
}

fn seen(folder: &Path) -> Result<(PathBuf, BTreeMap<String, Seen>), Failure> {
    let path = folder.join("witness.json");
    let seen = match read_bounded(&path, MAX_FILE) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| {
            let message = format!("{} is damaged", path.display());
            Failure::new(Exit::Failed, "witness", message)
                .hint("a witness that forgets what it cosigned is none: make another key")
        })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(Failure::file("read", &path, &error)),
    };
    Ok((path, seen))
}
