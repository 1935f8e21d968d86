//! What is derived from entries beside the way of a result: read when someone
//! asks, a piece at a time; the rest of what there is, behind.

use crate::state::Shared;
use crate::store::{StoreError, rows};
use rusqlite::Connection;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Entries read in one go: some tens of milliseconds.
const AT_A_TIME: u64 = 5_000;

/// A function of the entries.
pub(crate) trait Derived: Send + 'static {
    /// What it is, for the relay's own log.
    const NAME: &'static str;

    /// Reads at most `most` entries on, up to entry `last`.
    fn read_on(&mut self, db: &Connection, last: u64, most: u64) -> Result<(), StoreError>;

    /// Was everything read that there was?
    fn is_complete(&self) -> bool;
}

/// A function of the entries, and who reads on.
#[derive(Debug)]
pub(crate) struct Follower<T>(Arc<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    derived: Mutex<T>,
    /// One reads and asks at a time; the others wait where waiting costs nothing.
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

    /// Reads on for a bounded time, and asks. Where that is not all there is, the
    /// rest is read behind, whether or not anyone asks again.
    pub(crate) async fn ask<A: Send + 'static>(
        &self,
        shared: &Arc<Shared>,
        question: impl FnOnce(&mut T) -> A + Send + 'static,
    ) -> Result<A, StoreError> {
        let (answer, complete) = self.read(shared, question).await?;
        if !complete && !self.0.catching_up.swap(true, Ordering::Relaxed) {
            tokio::spawn(self.clone().catch_up(shared.clone()));
        }
        Ok(answer)
    }

    /// Reads and asks on a thread that may block: both can take a while. Says
    /// whether everything was read that the log covers, and no more is read: it
    /// could not be audited.
    async fn read<A: Send + 'static>(
        &self,
        shared: &Arc<Shared>,
        question: impl FnOnce(&mut T) -> A + Send + 'static,
    ) -> Result<(A, bool), StoreError> {
        let _one = self.0.reading.lock().await;
        let (inner, asked) = (self.0.clone(), shared.clone());
        let read = move |db: &_| {
            let last = rows::last_entry(db)?;
            if let Err(error) = asked.log.reach(last) {
                tracing::error!(%error, "the log can't follow the store");
            }
            let last = last.min(asked.log.size());
            // What panicked while holding it left counts that are still counts.
            let mut derived = inner.derived.lock().unwrap_or_else(PoisonError::into_inner);
            derived.read_on(db, last, AT_A_TIME)?;
            Ok((question(&mut derived), derived.is_complete()))
        };
        shared.reads.run(read).await
    }

    /// Until everything is read, or can't be.
    async fn catch_up(self, shared: Arc<Shared>) {
        let mut stop = shared.stop.subscribe();
        loop {
            let read = tokio::select! {
                read = self.read(&shared, |_| ()) => read,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            if let Err(error) = &read {
                tracing::error!(%error, "{} can't be read from entries", T::NAME);
            }
            if !matches!(read, Ok(((), false))) {
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

        fn read_on(&mut self, _: &Connection, _: u64, _: u64) -> Result<(), StoreError> {
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
        pieces.ask(relay.shared(), |_| ()).await.unwrap();
        let read = || pieces.0.derived.lock().unwrap().0;
        let mut ticks = interval(Duration::from_millis(5));
        let complete = async {
            while read() < 5 {
                ticks.tick().await;
            }
        };
        timeout(Duration::from_secs(30), complete).await.expect("nobody reads on");
        pieces.ask(relay.shared(), |_| ()).await.unwrap();
        assert_eq!(read(), 6, "then once for who asks");
        relay.shutdown().await;
    }

    /// With one worker, as here, nothing would go on beside.
    #[tokio::test]
    async fn a_long_question_does_not_keep_a_worker() {
        let dir = tempfile::tempdir().unwrap();
        let relay = Relay::start(Config::for_test(dir.path())).await.unwrap();
        let pieces = Follower::new(Pieces(9));
        let (begun, begins) = tokio::sync::oneshot::channel();
        let (answer, answered) = std::sync::mpsc::channel();
        let question = move |_: &mut Pieces| {
            begun.send(()).unwrap();
            answered.recv_timeout(Duration::from_secs(30)).is_ok()
        };
        let long = pieces.ask(relay.shared(), question);
        let short = async {
            begins.await.unwrap();
            let waits = pieces.ask(relay.shared(), |_| ());
            assert!(timeout(Duration::from_millis(1), waits).await.is_err(), "one at a time");
            let _ = answer.send(());
        };
        let (long, ()) = tokio::join!(long, short);
        assert!(long.unwrap());
        relay.shutdown().await;
    }
}
