//! Reading beside the writer: a few read-only connections.

use super::StoreError;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How many readers may work at a time.
const READERS: usize = 4;

/// Read-only connections. Each read sees everything that was committed before
/// it began.
#[derive(Debug, Clone)]
pub struct Reads(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    free: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Reads {
    /// For the database at `path`, which the writer has opened before.
    pub fn new(path: &Path) -> Self {
        Self(Arc::new(Inner {
            path: path.into(),
            free: Mutex::default(),
            permits: Semaphore::new(READERS),
        }))
    }

    /// Runs `query` on a thread that may block.
    pub async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ask(query).await
    }

    /// The same, for queries that have errors of their own.
    pub(crate) async fn ask<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let _permit = self.0.permits.acquire().await;
        let inner = self.clone();
        match tokio::task::spawn_blocking(move || inner.with(query)).await {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    /// Runs `query` on this thread.
    pub fn run_blocking<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.with(query)
    }

    /// The same, for queries that have errors of their own.
    pub(crate) fn with<T, E: From<StoreError>>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let free = self.0.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match free {
            Some(connection) => connection,
            None => open(&self.0.path)?,
        };
        // A connection that failed is not used again.
        let result = query(&connection)?;
        self.0.free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(result)
    }
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -8_192)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}
