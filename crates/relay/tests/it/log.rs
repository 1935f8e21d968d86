//! The log as a stranger sees it over HTTP, and what damage does to it.

use crate::common::{self, BUDGET, Fixture, Node, Owner, get, until};
use grid_log::checkpoint::UnverifiedCheckpoint;
use grid_log::note::VerifierKey;
use grid_log::testing::MemoryTiles;
use grid_log::tile::{TILE_WIDTH, TileLevel, TilePath, decode_bundle, decode_hashes};
use grid_log::{Hash, Tree, merkle};
use grid_protocol::entry::{Leaf, commitment};
use grid_protocol::{Ack, Digest, LeaseId, PublicKey};
use grid_relay::store::{Entry, SqliteStore, Store, Write};
use grid_relay::{Config, Relay};
use std::collections::BTreeMap;
use std::path::Path;

/// Everything that a log serves for one checkpoint.
#[derive(Debug, Clone)]
struct Download {
    key: String,
    checkpoint: Vec<u8>,
    files: BTreeMap<TilePath, Vec<u8>>,
}

async fn fetch(base: &str, path: &str) -> Vec<u8> {
    let response = get(&format!("{base}/log/{path}")).await;
    assert_eq!(response.status(), 200, "{path}");
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    response.bytes().await.unwrap().to_vec()
}

async fn download(base: &str) -> Download {
    let key = String::from_utf8(fetch(base, "key").await).unwrap().trim().to_owned();
    let checkpoint = fetch(base, "checkpoint").await;
    let size = size_of(&checkpoint);
    let mut files = BTreeMap::new();
    for path in TilePath::new_hashes(0, size).chain(TilePath::new_entries(0, size)) {
        files.insert(path, fetch(base, &path.to_string()).await);
    }
    Download { key, checkpoint, files }
}

fn size_of(checkpoint: &[u8]) -> u64 {
    let text = std::str::from_utf8(checkpoint).unwrap();
    text.lines().nth(1).unwrap().parse().unwrap()
}

/// A log that was verified.
struct Verified {
    tree: Tree,
    tiles: MemoryTiles,
    leaves: Vec<Leaf>,
}

/// What a careful client does: the checkpoint's signature, each tile against
/// the root, each entry against its tile.
fn verify(log: &Download) -> Result<Verified, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let key: VerifierKey = log.key.parse().map_err(|error| text(&error))?;
    let signed = UnverifiedCheckpoint::parse(&log.checkpoint).map_err(|error| text(&error))?;
    let signed = signed.verify(&key).map_err(|error| text(&error))?;
    let (size, root) = (signed.checkpoint().size(), *signed.checkpoint().root());
    let mut tiles = MemoryTiles::default();
    for (path, bytes) in &log.files {
        if let TileLevel::Hashes(level) = path.level() {
            let hashes = decode_hashes(bytes, path.width()).map_err(|error| text(&error))?;
            tiles.0.insert((level, path.index()), hashes);
        }
    }
    let tree = Tree::from_edge(size, &root, &tiles).map_err(|error| text(&error))?;
    let (mut leaves, mut hashes) = (Vec::new(), Vec::new());
    for (path, bytes) in &log.files {
        if path.level() != TileLevel::Entries {
            continue;
        }
        for entry in decode_bundle(bytes, path.width()).map_err(|error| text(&error))? {
            hashes.push(merkle::leaf_hash(entry));
            leaves.push(Leaf::decode(entry).map_err(|error| text(&error))?);
        }
    }
    let mut again = Tree::new();
    again.append(&hashes);
    if again != tree {
        return Err("the entries are not those of the tiles".into());
    }
    // Some of each tile.
    for (index, hash) in (0..).zip(&hashes).step_by(97) {
        let proof = tree.inclusion_proof(&tiles, index, size).map_err(|error| text(&error))?;
        merkle::verify_inclusion(hash, index, size, &proof, &root).map_err(|error| text(&error))?;
    }
    Ok(Verified { tree, tiles, leaves })
}

impl Verified {
    fn root_at(&self, size: u64) -> Hash {
        self.tree.root_at(&self.tiles, size).unwrap()
    }

    /// The receipt that was acknowledged is in the log, which had the size and
    /// root that the acknowledgement names.
    fn holds(&self, ack: &Ack) {
        assert!(ack.size >= ack.seq);
        assert_eq!(self.root_at(ack.size), ack.root);
        let leaf = &self.leaves[ack.seq as usize - 1];
        let expected = commitment(&ack.salt, &ack.receipt);
        assert!(
            matches!(leaf, Leaf::Receipt { commitment, .. } if *commitment == expected),
            "{leaf:?}"
        );
    }

    /// It begins with the log that another checkpoint is of.
    fn extends(&self, checkpoint: &[u8]) {
        let old = UnverifiedCheckpoint::parse(checkpoint).unwrap();
        let text = std::str::from_utf8(checkpoint).unwrap();
        let root = text.lines().nth(2).unwrap();
        let size = size_of(checkpoint);
        use base64::Engine as _;
        let shown = base64::engine::general_purpose::STANDARD.encode(self.root_at(size).0);
        assert_eq!(root, shown, "{}", old.claimed_origin());
    }
}

/// Delivers so many tasks of one job; gives back their acknowledgements.
async fn work(relay: &Fixture, seed: u8, tasks: usize) -> Vec<Ack> {
    let inputs: Vec<String> = (0..tasks).map(|task| format!("{seed} {task}")).collect();
    let inputs: Vec<&[u8]> = inputs.iter().map(String::as_bytes).collect();
    relay.owner.submit_job(&inputs, None).await;
    let mut node = Node::join(&relay.relay, seed, &[]).await;
    let mut acks = Vec::new();
    for _ in 0..tasks {
        node.ready(1).await;
        let offer = node.lease().await;
        let result = node.result(&offer, b"out", 1);
        node.send_result(&result).await;
        let message = node.receive().await;
        let Some((ack, signature)) = message.ack() else { panic!("not an ack: {message:?}") };
        node.relay.verify_strict(&ack.encode(), &signature).unwrap();
        acks.push(ack);
    }
    acks
}

/// A relay whose log has these many facts that mean nothing, and then its own.
async fn with_history(facts: u64) -> Fixture {
    let relay = common::start().await;
    let dir = relay.finish().await;
    add_facts(dir.path(), 0, facts);
    start_in(dir).await
}

fn add_facts(dir: &Path, first: u64, facts: u64) {
    let secret: Digest =
        std::fs::read_to_string(dir.join("log.secret")).unwrap().trim().parse().unwrap();
    let mut store = SqliteStore::open(&dir.join("grid.sqlite"), secret).unwrap();
    let fact = |at_ms| {
        let node = PublicKey([7; 32]);
        let (lease, receipt) = (LeaseId([1; 16]), Digest::ZERO);
        Write::Log(Entry::Refused { at_ms, node, lease, code: 1, receipt })
    };
    store.commit(&(first..first + facts).map(fact).collect::<Vec<_>>()).unwrap();
}

/// A relay on this folder, whose owner `ada` gets a new key.
async fn start_in(dir: tempfile::TempDir) -> Fixture {
    grid_relay::revoke_owner(dir.path(), "ada").unwrap();
    let relay = Relay::start(Config::for_test(dir.path())).await.unwrap();
    let key = relay.add_owner("ada", BUDGET).await.unwrap();
    let owner = Owner { base: format!("http://{}", relay.address()), key };
    Fixture { dir, relay, owner }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_receipt_that_was_acknowledged_is_in_the_log() {
    let relay = common::start().await;
    let before = fetch(&relay.owner.base, "checkpoint").await;
    let mut acks = work(&relay, 1, 3).await;
    let first = verify(&download(&relay.owner.base).await).unwrap();
    // A full tile and more; then what another process wrote.
    acks.append(&mut work(&relay, 2, 150).await);
    grid_relay::add_owner(relay.dir.path(), "bob", 5).unwrap();
    let size = first.tree.size();
    until(|| async {
        let checkpoint = fetch(&relay.owner.base, "checkpoint").await;
        let log = verify(&download(&relay.owner.base).await).unwrap();
        let granted = log
            .leaves
            .iter()
            .filter(|leaf| matches!(leaf, Leaf::Fact(Entry::Key { added: true, .. })));
        assert!(size_of(&checkpoint) > size);
        granted.count() == 2
    })
    .await;
    let served = download(&relay.owner.base).await;
    let log = verify(&served).unwrap();
    acks.iter().for_each(|ack| log.holds(ack));
    log.extends(&before);
    assert_eq!(log.root_at(size), first.tree.root());
    let settled = log.leaves.iter().filter(|leaf| matches!(leaf, Leaf::Settled { .. }));
    assert_eq!(settled.count(), acks.len());
    let proof = log.tree.consistency_proof(&log.tiles, size, log.tree.size()).unwrap();
    let (old, new) = (first.tree.root(), log.tree.root());
    merkle::verify_consistency(size, &old, log.tree.size(), &new, &proof).unwrap();

    // It goes on after a restart, under its first name, on another port.
    let relay = relay.restart().await;
    let more = work(&relay, 3, 2).await;
    let log = download(&relay.owner.base).await;
    assert_eq!(log.key, served.key);
    let log = verify(&log).unwrap();
    acks.iter().chain(&more).for_each(|ack| log.holds(ack));
    log.extends(&served.checkpoint);
    relay.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partial_tiles_of_every_width() {
    let relay = with_history(300).await;
    let log = download(&relay.owner.base).await;
    let size = verify(&log).unwrap().tree.size();
    let base = &relay.owner.base;
    for (first, leaves) in [(0, 256), (1, size - 256)] {
        let path = TilePath::hashes(0, first, leaves as u16);
        let hashes = &log.files[&path];
        for width in 1..leaves as u16 {
            let path = TilePath::hashes(0, first, width).to_string();
            assert_eq!(fetch(base, &path).await, hashes[..32 * usize::from(width)], "{path}");
            if width % 17 == 0 {
                let path = TilePath::entries(first, width).to_string();
                let bundle = fetch(base, &path).await;
                let leaf_hash = |leaf: &&[u8]| merkle::leaf_hash(leaf).0;
                let entries: Vec<u8> =
                    decode_bundle(&bundle, width).unwrap().iter().flat_map(leaf_hash).collect();
                assert_eq!(entries, hashes[..32 * usize::from(width)], "{path}");
            }
        }
    }
    let beyond = [
        TilePath::hashes(0, 1, (size - 255) as u16).to_string(),
        TilePath::hashes(0, 1, TILE_WIDTH).to_string(),
        TilePath::entries(1, (size - 255) as u16).to_string(),
        TilePath::hashes(1, 0, 2).to_string(),
        TilePath::hashes(63, 0, 1).to_string(),
        TilePath::hashes(0, (1 << 53) - 1, 1).to_string(),
        "tile/0/0".into(),
        "tile/0/000.p/0".into(),
        "tile/0/000.p/256".into(),
        "tile/x/000".into(),
        "tile/0/..%2f..%2f..%2frelay.key".into(),
        "tile/".into(),
        "secret".into(),
    ];
    for path in beyond {
        let response = get(&format!("{base}/log/{path}")).await;
        assert_eq!(response.status(), 404, "{path}");
    }
    relay.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_notices_what_was_cut_swapped_or_altered() {
    let relay = with_history(600).await;
    let log = download(&relay.owner.base).await;
    verify(&log).unwrap();
    let mut spoiled = 0;
    let mut check = |log: &Download, what: &str| {
        assert!(verify(log).is_err(), "{what} goes unnoticed");
        spoiled += 1;
    };
    let paths: Vec<TilePath> = log.files.keys().copied().collect();
    for path in &paths {
        let mut cut = log.clone();
        let bytes = cut.files.get_mut(path).unwrap();
        bytes.truncate(bytes.len() - 1);
        check(&cut, &format!("a byte less of {path}"));
        let mut altered = log.clone();
        let bytes = altered.files.get_mut(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        check(&altered, &format!("a bit of {path}"));
        let mut longer = log.clone();
        longer.files.get_mut(path).unwrap().push(0);
        check(&longer, &format!("a byte more of {path}"));
    }
    for level in [TileLevel::Hashes(0), TileLevel::Entries] {
        let full = paths.iter().filter(|path| path.level() == level && path.is_full());
        let [one, two] = full.copied().collect::<Vec<_>>()[..] else { panic!("{paths:?}") };
        let mut swapped = log.clone();
        let other = swapped.files[&two].clone();
        let first = swapped.files.insert(one, other).unwrap();
        swapped.files.insert(two, first);
        check(&swapped, "a swap");
    }
    for at in [0, log.checkpoint.len() / 2, log.checkpoint.len() - 3] {
        let mut altered = log.clone();
        altered.checkpoint[at] ^= 1;
        check(&altered, "an altered checkpoint");
    }
    assert_eq!(spoiled, 3 * paths.len() + 5);
    relay.finish().await;
}

/// Names of all files of the log's tiles, and what they hold.
fn files(folder: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.clone(), std::fs::read(path).unwrap());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_took_is_made_again() {
    // More than a full tile of the second level.
    let relay = with_history(65_536 + 300).await;
    let acks = work(&relay, 1, 2).await;
    let seen = fetch(&relay.owner.base, "checkpoint").await;
    let dir = relay.finish().await;
    let log = dir.path().join("log");
    let whole = files(&log.join("tile"));
    assert!(whole.contains_key(&log.join("tile/1/000")));
    assert_eq!(whole.len(), 2 * 257 + 1);

    type Damage = fn(&Path);
    let damages: [(&str, Damage); 7] = [
        ("nothing", |_| {}),
        ("all files are lost", |log| std::fs::remove_dir_all(log).unwrap()),
        ("the kept checkpoint is lost", |log| {
            std::fs::remove_file(log.join("checkpoint")).unwrap();
        }),
        ("a tile is lost", |log| std::fs::remove_file(log.join("tile/0/256")).unwrap()),
        ("a tile is cut", |log| std::fs::write(log.join("tile/0/256"), [0; 31]).unwrap()),
        ("a tile is zeros", |log| std::fs::write(log.join("tile/0/256"), [0; 8192]).unwrap()),
        ("a rename is missing", |log| {
            std::fs::rename(log.join("tile/1/000"), log.join("tile/1/000.new")).unwrap();
        }),
    ];
    let mut dir = dir;
    for (what, damage) in damages {
        damage(&log);
        let relay = Relay::start(Config::for_test(dir.path())).await.expect(what);
        let owner = Owner { base: format!("http://{}", relay.address()), key: String::new() };
        let now = fetch(&owner.base, "checkpoint").await;
        assert!(size_of(&now) >= size_of(&seen), "{what}");
        let relay = Fixture { dir, relay, owner };
        // Reading makes again what a start had no need of.
        for path in ["tile/1/000", "tile/0/256", "tile/entries/256", "tile/0/000"] {
            let bytes = fetch(&relay.owner.base, path).await;
            assert_eq!(bytes, whole[&log.join(path)], "{what}: {path}");
        }
        dir = relay.finish().await;
        let mut now = files(&log.join("tile"));
        now.retain(|path, _| path.extension().is_none());
        for (path, bytes) in &now {
            assert_eq!(bytes, &whole[path], "{what}: {}", path.display());
        }
    }
    let relay = start_in(dir).await;
    let log = download(&relay.owner.base).await;
    let log = verify(&log).unwrap();
    acks.iter().for_each(|ack| log.holds(ack));
    log.extends(&seen);
    relay.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_below_a_running_relay_is_mended_when_it_is_read() {
    let relay = with_history(600).await;
    let dir = relay.finish().await;
    let relay = start_in(dir).await;
    let before = download(&relay.owner.base).await;
    let log = relay.dir.path().join("log");
    for path in ["tile/0/001", "tile/entries/001", "tile/0/000"] {
        let mut bytes = std::fs::read(log.join(path)).unwrap();
        bytes[100] ^= 1;
        std::fs::write(log.join(path), bytes).unwrap();
    }
    std::fs::remove_file(log.join("tile/entries/000")).unwrap();
    let after = download(&relay.owner.base).await;
    assert_eq!((after.checkpoint, after.files), (before.checkpoint, before.files));
    relay.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_cannot_be_written_stop_nothing() {
    let relay = common::start().await;
    // Where the folder of tiles should be there is a file.
    let tile = relay.dir.path().join("log/tile");
    std::fs::write(&tile, b"in the way").unwrap();
    let acks = work(&relay, 1, 150).await;
    let log = verify(&download(&relay.owner.base).await).unwrap();
    acks.iter().for_each(|ack| log.holds(ack));
    assert!(tile.is_file());
    std::fs::remove_file(&tile).unwrap();
    // What was missing is written at the end, if not before.
    let dir = relay.finish().await;
    assert!(dir.path().join("log/tile/0/000").is_file());
    let relay = start_in(dir).await;
    verify(&download(&relay.owner.base).await).unwrap();
    relay.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_the_log_was_not_made_of_is_refused() {
    let relay = common::start().await;
    let dir = relay.finish().await;
    let old = std::fs::read(dir.path().join("grid.sqlite")).unwrap();
    let relay = start_in(dir).await;
    work(&relay, 1, 2).await;
    let dir = relay.finish().await;
    let new = std::fs::read(dir.path().join("grid.sqlite")).unwrap();
    let refused = async |database: &[u8], expect: &str| {
        std::fs::write(dir.path().join("grid.sqlite"), database).unwrap();
        let error = Relay::start(Config::for_test(dir.path())).await.unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    };
    refused(&old, "is it an old copy?").await;
    // As long, but another history: a fork.
    std::fs::write(dir.path().join("grid.sqlite"), &old).unwrap();
    add_facts(dir.path(), 1_000, 20);
    let forked = std::fs::read(dir.path().join("grid.sqlite")).unwrap();
    refused(&forked, "are not those that the log has signed").await;
    std::fs::write(dir.path().join("grid.sqlite"), new).unwrap();
    let secret = std::fs::read(dir.path().join("log.secret")).unwrap();
    std::fs::write(dir.path().join("log.secret"), Digest([3; 32]).to_string()).unwrap();
    let new = std::fs::read(dir.path().join("grid.sqlite")).unwrap();
    refused(&new, "are not those that the log has signed").await;
    std::fs::write(dir.path().join("log.secret"), secret).unwrap();
    start_in(dir).await.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_check_compares_the_log_with_the_entries() {
    let relay = with_history(300).await;
    let dir = relay.finish().await;
    let path = dir.path().join("log/tile/entries/000");
    let whole = std::fs::read(&path).unwrap();
    let mut altered = whole.clone();
    altered[70] ^= 1;
    std::fs::write(&path, altered).unwrap();
    let error = grid_relay::check_store(dir.path()).unwrap_err().to_string();
    assert!(error.contains("tile/entries/000 is not what"), "{error}");
    std::fs::write(&path, whole).unwrap();
    grid_relay::check_store(dir.path()).unwrap();
    // Entries that were not signed like this.
    let db = rusqlite::Connection::open(dir.path().join("grid.sqlite")).unwrap();
    db.execute("DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)", []).unwrap();
    drop(db);
    assert!(grid_relay::check_store(dir.path()).is_err());
}
