//! What is derived from entries beside the way of a result: read when someone
//! asks, a piece at a time; the rest of what there is, behind.

use crate::state::Shared;
use crate::store::StoreError;
use rusqlite::Connection;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Entries read in one go: some tens of milliseconds.
const AT_A_TIME: u64 = 5_000;

/// A function of the entries.
pub(crate) trait Derived: Send + 'static {
    /// What it is, for the relay's own log.
    const NAME: &'static str;

    /// Reads at most `most` entries on.
    fn read_on(&mut self, db: &Connection, most: u64) -> Result<(), StoreError>;

    /// Was everything read that there was?
    fn is_complete(&self) -> bool;
}

/// A function of the entries, and who reads on.
#[derive(Debug)]
pub(crate) struct Follower<T>(Arc<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    derived: Mutex<T>,
    /// One reads entries at a time; the others use what it read.
    reading: tokio::sync::Mutex<()>,
    catching_up: AtomicBool,
}

impl<T> Clone for Follower<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Derived> Follower<T> {
    pub(crate) fn new(derived: T) -> Self {
        let (derived, reading) = (Mutex::new(derived), tokio::sync::Mutex::default());
        Self(Arc::new(Inner { derived, reading, catching_up: AtomicBool::new(false) }))
    }

    pub(crate) fn get(&self) -> MutexGuard<'_, T> {
        // What panicked while holding it left counts that are still counts.
        self.0.derived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads on for a bounded time. Where that is not all there is, the rest is
    /// read behind, whether or not anyone asks again.
    pub(crate) async fn read_on(&self, shared: &Arc<Shared>) -> Result<(), StoreError> {
        self.read(shared).await?;
        if !self.get().is_complete() && !self.0.catching_up.swap(true, Ordering::Relaxed) {
            tokio::spawn(self.clone().catch_up(shared.clone()));
        }
        Ok(())
    }

    async fn read(&self, shared: &Shared) -> Result<(), StoreError> {
        let _one = self.0.reading.lock().await;
        let follower = self.clone();
        shared.reads.run(move |db| follower.get().read_on(db, AT_A_TIME)).await
    }

    /// Until everything is read, or can't be.
    async fn catch_up(self, shared: Arc<Shared>) {
        let mut stop = shared.stop.subscribe();
        loop {
            let read = tokio::select! {
                read = self.read(&shared) => read,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            if let Err(error) = &read {
                tracing::error!(%error, "{} can't be read from entries", T::NAME);
            }
            if read.is_err() || self.get().is_complete() {
                return self.0.catching_up.store(false, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Relay};
    use tokio::time::{Duration, interval, timeout};

    #[derive(Debug)]
    struct Pieces(u32);

    impl Derived for Pieces {
        const NAME: &'static str = "a test";

        fn read_on(&mut self, _: &Connection, _: u64) -> Result<(), StoreError> {
            self.0 += 1;
            Ok(())
        }

        fn is_complete(&self) -> bool {
            self.0 >= 5
        }
    }

    #[tokio::test]
    async fn what_was_begun_is_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let relay = Relay::start(Config::for_test(dir.path())).await.unwrap();
        let pieces = Follower::new(Pieces(0));
        pieces.read_on(relay.shared()).await.unwrap();
        let mut ticks = interval(Duration::from_millis(5));
        let complete = async {
            while !pieces.get().is_complete() {
                ticks.tick().await;
            }
        };
        timeout(Duration::from_secs(30), complete).await.expect("nobody reads on");
        pieces.read_on(relay.shared()).await.unwrap();
        assert_eq!(pieces.get().0, 6, "then once for who asks");
        relay.shutdown().await;
    }
}
