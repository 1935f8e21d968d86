//! The log: notes, checkpoints, tiles, proofs, witnesses, draws.

use crate::{array, split, vectors};
use grid_log::checkpoint::{LogKey, UnverifiedCheckpoint, WitnessKey};
use grid_log::merkle::{leaf_hash, verify_consistency, verify_inclusion};
use grid_log::note::{Note, VerifierKey};
use grid_log::testing::MemoryLog;
use grid_log::tile::{self, TilePath};
use grid_log::vrf::{Output, Proof, Prover, Verifier, VrfError, proof_to_hash};
use grid_log::witness::{AddCheckpoint, Latest, Witness, parse_known_size};
use grid_log::{Hash, MAX_SIZE};
use std::sync::LazyLock;

const ORIGIN: &str = "relay.example/log";
/// A time in seconds since 1970.
const NOW: u64 = 1_700_000_000;

static LOG: LazyLock<LogKey> =
    LazyLock::new(|| LogKey::new(ORIGIN, vectors::key("relay")).expect("a name for a key"));
static WITNESS: LazyLock<WitnessKey> = LazyLock::new(|| {
    WitnessKey::new("witness.example", vectors::key("account")).expect("a name for a key")
});
/// Small, with an incomplete tile.
static MEMORY: LazyLock<MemoryLog> = LazyLock::new(|| MemoryLog::of_size(300));

/// A note, or a verifier key's text.
pub fn note(bytes: &[u8]) -> bool {
    let key = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<VerifierKey>().ok());
    if let Some(key) = &key {
        assert_eq!(key.to_string().as_bytes(), bytes);
    }
    let Ok(note) = Note::parse(bytes) else { return key.is_some() };
    assert_eq!(note.encode().as_bytes(), bytes);
    assert!(!note.signatures().is_empty());
    let _ = note.verify_log(LOG.verifier());
    let _ = note.verify_witness(WITNESS.verifier());
    true
}

/// A checkpoint; or the lines that a witness answers with.
pub fn checkpoint(bytes: &[u8]) -> bool {
    cosigned(bytes);
    let Ok(unverified) = UnverifiedCheckpoint::parse(bytes) else { return false };
    if let Ok(signed) = unverified.verify(LOG.verifier()) {
        let checkpoint = signed.checkpoint();
        assert_eq!(checkpoint.origin(), ORIGIN);
        assert_eq!(signed.encode().as_bytes(), bytes);
        assert!(bytes.starts_with(format!("{checkpoint}\n").as_bytes()), "another text");
        let again = LOG.sign(checkpoint.size(), *checkpoint.root());
        let again = again.expect("it was read, so it can be signed");
        assert!(!checkpoint.extensions().is_empty() || again.checkpoint() == checkpoint);
    }
    true
}

fn cosigned(bytes: &[u8]) {
    let Ok(lines) = std::str::from_utf8(bytes) else { return };
    let mut signed = LOG.sign(1, leaf_hash(b"")).expect("a tree of one leaf");
    let before = signed.clone();
    match signed.add_cosignature(lines, WITNESS.verifier()) {
        Ok(time) => assert_eq!(signed.cosigned_by(WITNESS.verifier()), Ok(time)),
        Err(_) => assert_eq!(signed, before, "an error adds nothing"),
    }
}

/// Seeds of [`checkpoint`] and [`note`].
pub fn checkpoint_seeds() -> Vec<Vec<u8>> {
    let tree = &MEMORY.tree;
    let mut signed = LOG.sign(tree.size(), tree.root()).expect("a sound checkpoint");
    let bare = signed.encode();
    signed.add_cosignature(&cosignature(), WITNESS.verifier()).expect("a sound cosignature");
    [bare, signed.encode()].map(String::into_bytes).into()
}

/// The line with which a new witness answers the log.
fn cosignature() -> String {
    let mut witness = watching(Latest::default());
    let request = request(0, 300);
    let pending = witness.add_checkpoint(&request, NOW).expect("a sound request");
    witness.persisted(pending).expect("nothing came between")
}

fn watching(latest: Latest) -> Witness {
    let mut witness = Witness::new(WITNESS.clone());
    witness.watch(ORIGIN, &[*LOG.verifier().public()], latest).expect("a name for a key");
    witness
}

/// A request to cosign the log at `size`, from when it had `old` leaves.
fn request(old: u64, size: u64) -> Vec<u8> {
    let log = &*MEMORY;
    let root = log.tree.root_at(&log.tiles, size).expect("all tiles are there");
    let proof = log.tree.consistency_proof(&log.tiles, old, size);
    let checkpoint = LOG.sign(size, root).expect("a sound checkpoint").encode();
    let proof = proof.expect("all tiles are there");
    AddCheckpoint { old, proof, checkpoint }.encode().into_bytes()
}

/// A request to a new witness, and to one that cosigned a tree of 100 leaves.
pub fn witness(bytes: &[u8]) -> bool {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Some(size) = parse_known_size(text)
    {
        assert_eq!(format!("{size}\n"), text);
    }
    let Ok(request) = AddCheckpoint::decode(bytes) else { return false };
    assert_eq!(AddCheckpoint::decode(request.encode().as_bytes()).as_ref(), Ok(&request));
    let log = &*MEMORY;
    let root = log.tree.root_at(&log.tiles, 100).expect("all tiles are there");
    for latest in [Latest::default(), Latest { size: 100, root }] {
        let mut witness = watching(latest);
        let Ok(pending) = witness.add_checkpoint(bytes, NOW) else { continue };
        let next = pending.latest();
        assert!(request.old == latest.size && next.size >= latest.size, "it went back");
        assert!(next.size != latest.size || next.root == latest.root, "another history");
        let line = witness.persisted(pending).expect("nothing came between");
        let checkpoint = UnverifiedCheckpoint::parse(request.checkpoint.as_bytes());
        let verified = checkpoint.and_then(|checkpoint| checkpoint.verify(LOG.verifier()));
        let mut signed = verified.expect("only what the log signed is cosigned");
        // A note that is full, or cosigned already, has no place for it.
        if signed.cosigned_by(WITNESS.verifier()).is_err() {
            let _ = signed.add_cosignature(&line, WITNESS.verifier());
        }
        assert_eq!(witness.latest(ORIGIN), Some(next));
    }
    true
}

/// Seeds of [`witness`].
pub fn witness_seeds() -> Vec<Vec<u8>> {
    vec![request(0, 300), request(100, 300), request(100, 256), request(100, 100)]
}

/// A tile's path; or a width and a tile or bundle of that many.
pub fn tile(bytes: &[u8]) -> bool {
    let path = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<TilePath>().ok());
    if let Some(path) = path {
        assert_eq!(path.to_string().as_bytes(), bytes);
        assert!(path.index() < MAX_SIZE && (1..=tile::TILE_WIDTH).contains(&path.width()));
        assert!(path.full().is_full());
    }
    let (width, rest) = array(bytes);
    let width = u16::from_be_bytes(width);
    let hashes = tile::decode_hashes(rest, width).ok();
    if let Some(hashes) = &hashes {
        assert_eq!((hashes.len(), tile::encode_hashes(hashes)), (width.into(), rest.to_vec()));
    }
    let entries = tile::decode_bundle(rest, width).ok();
    if let Some(entries) = &entries {
        assert_eq!(entries.len(), usize::from(width));
        let wide = width > tile::TILE_WIDTH;
        assert_eq!(tile::encode_bundle(entries).ok(), (!wide).then(|| rest.to_vec()));
    }
    path.is_some() || hashes.is_some() || entries.is_some()
}

/// Seeds of [`tile`].
pub fn tile_seeds() -> Vec<Vec<u8>> {
    let bundle = tile::encode_bundle(&[&b"one"[..], b"", b"three"]).expect("three short entries");
    let hashes = tile::encode_hashes(&[Hash([1; 32]), Hash([2; 32])]);
    let paths = ["tile/0/x001/234.p/17", "tile/entries/x123/x456/789", "tile/63/000"];
    let mut seeds: Vec<Vec<u8>> = paths.map(|path| path.into()).into();
    seeds.extend([[vec![0, 3], bundle].concat(), [vec![0, 2], hashes].concat()]);
    seeds
}

/// Proofs: any bytes as one, and a right one with any change, which is wrong.
pub fn proof(bytes: &[u8]) -> bool {
    let (numbers, rest) = array::<16>(bytes);
    let number = |at: usize| u64::from_le_bytes(array(&numbers[at..]).0);
    let hashes: Vec<Hash> = rest.as_chunks::<32>().0.iter().copied().map(Hash).collect();
    if let [leaf, root, proof @ ..] = &hashes[..] {
        let _ = verify_inclusion(leaf, number(0), number(8), proof, root);
        let _ = verify_consistency(number(0), leaf, number(8), root, proof);
    }
    let log = &*MEMORY;
    let size = number(8) % 301;
    let (index, old) = (number(0) % size.max(1), number(0) % (size + 1));
    let root = log.tree.root_at(&log.tiles, size).expect("all tiles are there");
    let old_root = log.tree.root_at(&log.tiles, old).expect("all tiles are there");
    let right = log.tree.consistency_proof(&log.tiles, old, size).expect("all tiles are there");
    let verify = |proof: &[Hash]| verify_consistency(old, &old_root, size, &root, proof);
    assert_eq!(verify(&right), Ok(()));
    let wrong = changed(&right, rest);
    assert_eq!(verify(&wrong).is_ok(), wrong == right);
    if size > 0 {
        let right = log.tree.inclusion_proof(&log.tiles, index, size);
        let right = right.expect("all tiles are there");
        let leaf = log.leaves[index as usize];
        let verify = |proof: &[Hash]| verify_inclusion(&leaf, index, size, proof, &root);
        assert_eq!(verify(&right), Ok(()));
        let wrong = changed(&right, rest);
        assert_eq!(verify(&wrong).is_ok(), wrong == right);
    }
    bytes.len() >= 16
}

/// A proof with hashes taken away, added, swapped or altered, as bytes say.
fn changed(proof: &[Hash], bytes: &[u8]) -> Vec<Hash> {
    let mut proof = proof.to_vec();
    for change in bytes.chunks_exact(3).take(4) {
        let at = usize::from(change[1]) % proof.len().max(1);
        match change[0] % 4 {
            0 if !proof.is_empty() => drop(proof.remove(at)),
            1 => proof.insert(at, Hash([change[2]; 32])),
            2 if !proof.is_empty() => proof.swap(at, 0),
            3 if !proof.is_empty() => proof[at].0[usize::from(change[2]) % 32] ^= change[2] | 1,
            _ => {}
        }
    }
    proof
}

/// Seeds of [`proof`].
pub fn proof_seeds() -> Vec<Vec<u8>> {
    let seed = |index: u64, size: u64, rest: &[u8]| {
        [&index.to_le_bytes()[..], &size.to_le_bytes(), rest].concat()
    };
    vec![seed(7, 300, &[]), seed(255, 257, &[7; 32 * 12]), seed(u64::MAX, MAX_SIZE, &[3; 64])]
}

/// A proof of a draw and what was drawn over: any bytes, and a right proof with
/// any change, which is wrong.
pub fn vrf(bytes: &[u8]) -> bool {
    static KEYS: LazyLock<(Prover, Verifier)> = LazyLock::new(|| {
        let prover = Prover::from_seed([7; 32]);
        let verifier = Verifier::new(&prover.public()).expect("a sound key");
        (prover, verifier)
    });
    let (prover, verifier) = &*KEYS;
    let (came, input) = array::<80>(bytes);
    let verified: Result<Output, VrfError> = verifier.verify(input, &Proof(came));
    if let Ok(output) = verified {
        assert_eq!(proof_to_hash(&Proof(came)).ok(), Some(output));
    }
    let (right, output) = prover.prove(input);
    assert_eq!(verified.is_ok(), came == right.0, "another proof verifies");
    assert_eq!(verifier.verify(input, &right).ok(), Some(output));
    // Most bytes are no points at all: a right proof with a few bits changed is.
    let mut wrong = right.0;
    for (byte, change) in wrong.iter_mut().rev().zip(split(input, 8).0) {
        *byte ^= change;
    }
    assert_eq!(verifier.verify(input, &Proof(wrong)).is_ok(), wrong == right.0);
    verified.is_ok()
}

/// Seeds of [`vrf`].
pub fn vrf_seeds() -> Vec<Vec<u8>> {
    let prover = Prover::from_seed([7; 32]);
    let seed = |input: &[u8]| [&prover.prove(input).0.0[..], input].concat();
    vec![seed(b""), seed(b"a receipt's digest")]
}

/// A signed checkpoint of these leaf hashes: for proof files.
pub(crate) fn signed(key: grid_protocol::SigningKey, size: u64, root: Hash) -> String {
    let key = LogKey::new(ORIGIN, key).expect("a name for a key");
    key.sign(size, root).expect("a sound checkpoint").encode()
}
