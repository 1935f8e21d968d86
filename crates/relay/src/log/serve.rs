//! The log over HTTP: static files that anyone may read (C2SP tlog-tiles).

use super::tiles::{self, Source};
use super::{Log, LogError};
use crate::error::{AppError, Code, store_unavailable};
use crate::openapi::{Api, op};
use crate::state::Shared;
use axum::extract::{Path, State};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use grid_log::tile::{TILE_WIDTH, TileLevel, TilePath, encode_hashes};
use rusqlite::Connection;
use std::sync::Arc;

/// The routes below `/log`.
pub(crate) fn api() -> Api {
    const TEXT: &str = "text/plain";
    let tile = op("Hashes or entries of the log")
        .notes("C2SP tlog-tiles: `0/000`, `entries/x001/234.p/5` and so on; they never change.");
    Api::new()
        .get("/log/checkpoint", checkpoint, op("The newest checkpoint").gives_text(TEXT))
        .get(
            "/log/cosigned",
            cosigned,
            op("The newest checkpoint that a witness cosigned")
                .gives_text(TEXT)
                .fails(&[Code::NotFound]),
        )
        .get("/log/key", key, op("The key that checkpoints are verified with").gives_text(TEXT))
        .get("/log/tile/{*rest}", self::tile, tile.gives_bytes())
        .any_origin()
}

fn text(text: String, cache: &'static str) -> Response {
    let headers: [(HeaderName, &str); 2] =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, cache)];
    (headers, text).into_response()
}

/// `GET /log/checkpoint`: the newest.
async fn checkpoint(State(shared): State<Arc<Shared>>) -> Response {
    text(shared.log.checkpoint(), "no-store")
}

/// `GET /log/cosigned`: the newest that a witness cosigned. While the log grows
/// that is a little older than the newest.
async fn cosigned(State(shared): State<Arc<Shared>>) -> Result<Response, AppError> {
    let cosigned = shared.log.cosigned().ok_or_else(AppError::not_found)?;
    Ok(text(cosigned.encode(), "no-store"))
}

/// `GET /log/key`: what checkpoints are verified with.
async fn key(State(shared): State<Arc<Shared>>) -> Response {
    text(format!("{}\n", shared.log.key.verifier()), "max-age=3600")
}

/// `GET /log/tile/...`: hashes and entries, full or not.
async fn tile(
    State(shared): State<Arc<Shared>>,
    Path(rest): Path<String>,
) -> Result<Response, AppError> {
    let path: TilePath = format!("tile/{rest}").parse().map_err(|_| AppError::not_found())?;
    let asked = shared.clone();
    let found = shared.reads.ask(move |db| asked.log.tile(db, path)).await;
    let bytes = found.map_err(|error| {
        tracing::error!(%error, "a tile can't be served");
        store_unavailable()
    })?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, bytes.ok_or_else(AppError::not_found)?).into_response())
}

impl Log {
    /// The checkpoint that is served: the newest, cosigned where it is.
    fn checkpoint(&self) -> String {
        let head = self.head();
        let cosigned = self.cosigned();
        let same = cosigned.filter(|cosigned| cosigned.checkpoint().size() == head.tree.size());
        same.unwrap_or_else(|| head.checkpoint.clone()).encode()
    }

    /// A tile's bytes; `None` when the log has not so many hashes or entries.
    /// An incomplete tile is served for as long as anyone asks for it.
    fn tile(&self, db: &Connection, path: TilePath) -> Result<Option<Vec<u8>>, LogError> {
        let head = self.head();
        let tree = &head.tree;
        let (index, width) = (path.index(), path.width());
        let level = match path.level() {
            TileLevel::Hashes(level) => level,
            TileLevel::Entries => 0,
        };
        let nodes = tree.size().checked_shr(8 * u32::from(level)).unwrap_or(0);
        let first = index * u64::from(TILE_WIDTH);
        if first + u64::from(width) > nodes {
            return Ok(None);
        }
        let full = first + u64::from(TILE_WIDTH) <= nodes;
        let source = Source { tiles: &self.tiles, leaves: &self.leaves, db, writes: false };
        Ok(Some(match path.level() {
            TileLevel::Entries if path.is_full() => source.bundle(tree, index)?,
            TileLevel::Entries => source.bundle_of(index, width)?.0,
            TileLevel::Hashes(level) if full => {
                encode_hashes(&source.hashes(tree, level, index)?[..usize::from(width)])
            }
            TileLevel::Hashes(level) => {
                encode_hashes(&tiles::edge(tree, level)[..usize::from(width)])
            }
        }))
    }
}
