//! Serves a log over HTTP on loopback, as a relay does: honest or not, as its
//! leaves and checkpoint are.

use grid_audit::testing::World;
use grid_log::checkpoint::LogKey;
use grid_log::testing::MemoryTiles;
use grid_log::tile::{TILE_WIDTH, TilePath, encode_bundle, encode_hashes};
use grid_log::{Hash, TileReader as _, Tree};
use grid_protocol::api::PointsInfo;
use grid_protocol::{PublicKey, SigningKey};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Name of the log.
pub const ORIGIN: &str = "relay.test/log";

/// What is served, by path.
type Pages = HashMap<String, Vec<u8>>;

/// A server of a log's files; it stops when dropped.
#[derive(Debug)]
pub struct LogServer {
    address: SocketAddr,
    pages: Arc<Mutex<Pages>>,
    task: JoinHandle<()>,
}

impl LogServer {
    /// Serves these leaves, with a checkpoint over them and these points.
    pub async fn start(
        key: &SigningKey,
        leaves: &[Vec<u8>],
        points: &PointsInfo,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let pages = Arc::new(Mutex::new(pages(key, leaves, points)));
        let served = pages.clone();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let pages = served.clone();
                // A client that hangs up is its own business.
                tokio::spawn(async move { drop(serve(socket, &pages).await) });
            }
        });
        Ok(Self { address, pages, task })
    }

    /// Its address, as a relay's.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves another log from now on.
    pub fn set(&self, key: &SigningKey, leaves: &[Vec<u8>], points: &PointsInfo) {
        *self.pages() = pages(key, leaves, points);
    }

    /// Changes what is served at a path (`/log/checkpoint`).
    pub fn change(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(page) = self.pages().get_mut(path) {
            change(page);
        }
    }

    fn pages(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LogServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What an honest relay says of the points in a world's log.
pub fn points(world: &World) -> PointsInfo {
    let auditor = replayed(world.relay(), world.leaves());
    let nodes = auditor.points().into_iter().filter(|points| points.tasks > 0);
    let nodes = nodes.map(|points| grid_protocol::api::Earned {
        node: points.node,
        fuel: points.fuel,
        tasks: points.tasks,
    });
    PointsInfo { seq: world.leaves().len() as u64, nodes: nodes.collect() }
}

fn replayed(relay: PublicKey, leaves: &[Vec<u8>]) -> grid_audit::Auditor {
    let keys = grid_audit::Keys::new(relay).expect("a signing key is no weak key");
    let mut auditor = grid_audit::Auditor::new(relay);
    for (at, leaf) in leaves.iter().enumerate() {
        auditor.apply(keys.reread(at as u64 + 1, leaf));
    }
    auditor
}

fn pages(key: &SigningKey, leaves: &[Vec<u8>], points: &PointsInfo) -> Pages {
    let hashes: Vec<Hash> = leaves.iter().map(|leaf| grid_log::merkle::leaf_hash(leaf)).collect();
    let mut tree = Tree::new();
    let mut tiles = MemoryTiles::default();
    tiles.store(tree.append(&hashes));
    let mut pages = Pages::new();
    let width = usize::from(TILE_WIDTH);
    for (index, chunk) in leaves.chunks(width).enumerate() {
        let path = TilePath::entries(index as u64, chunk.len() as u16);
        let bundle = encode_bundle(chunk).expect("leaves are short");
        pages.insert(format!("/log/{path}"), bundle);
    }
    for (level, index) in tiles.0.keys().copied().collect::<Vec<_>>() {
        let path = TilePath::hashes(level, index, TILE_WIDTH);
        let hashes = tiles.tile(level, index, TILE_WIDTH).unwrap_or_default();
        pages.insert(format!("/log/{path}"), encode_hashes(&hashes));
    }
    for (path, hashes) in tree.partial_tiles() {
        pages.insert(format!("/log/{path}"), encode_hashes(hashes));
    }
    let log = LogKey::new(ORIGIN, key.clone()).expect("the origin is a name");
    let note = log.sign(tree.size(), tree.root()).expect("the log is not too large");
    pages.insert("/log/checkpoint".into(), note.encode().into_bytes());
    let json = serde_json::to_vec(points).expect("every key is text");
    pages.insert("/v1/points".into(), json);
    let ledger = replayed(key.public(), leaves).ledger().info();
    let json = serde_json::to_vec(&ledger).expect("every key is text");
    pages.insert("/v1/ledger".into(), json);
    pages.insert("/v1/network".into(), network(key.public()));
    pages
}

fn network(relay: PublicKey) -> Vec<u8> {
    let network = serde_json::json!({
        "relay": relay, "version": "0", "protocol": [1], "nodes": [], "nodes_online": 0,
        "tasks_waiting": 0, "tasks_leased": 0, "tasks_done": 0, "fuel": 0, "receipts": [],
    });
    network.to_string().into_bytes()
}

/// Answers GET after GET on one connection.
async fn serve(socket: TcpStream, pages: &Mutex<Pages>) -> io::Result<()> {
    let (read, mut write) = socket.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await? {
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        while lines.next_line().await?.is_some_and(|header| !header.is_empty()) {}
        let page = pages.lock().unwrap_or_else(PoisonError::into_inner).get(&path).cloned();
        let (status, body) = match page {
            Some(page) => ("200 OK", page),
            None => {
                let error = br#"{"error":{"code":"not_found","message":"there is nothing here"}}"#;
                ("404 Not Found", error.to_vec())
            }
        };
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
        write.write_all(head.as_bytes()).await?;
        write.write_all(&body).await?;
    }
    Ok(())
}
