//! The thread that writes the log's files, behind the writer.
//!
//! Nothing waits for it. What it couldn't write, or was not told because it
//! was too far behind, it makes again from the entries later; what a crash
//! took from it, the next start does.

use super::leaves::Leaves;
use super::tiles::{Source, Tiles};
use super::{Head, LogError};
use crate::store::Reads;
use grid_log::tile::TilePath;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Batches that may wait.
const QUEUE: usize = 256;
/// Files are synced this often while there are new ones: what a crash of the
/// machine costs the next start.
const SYNC: Duration = Duration::from_secs(5);

/// What an append completed.
#[derive(Debug)]
pub(super) struct Completed {
    /// Size of the log before.
    pub(super) before: u64,
    /// The log after.
    pub(super) head: Arc<Head>,
    /// Full tiles and bundles.
    pub(super) files: Vec<(TilePath, Vec<u8>)>,
}

#[derive(Debug)]
pub(super) struct Publisher(Mutex<Option<(SyncSender<Completed>, JoinHandle<()>)>>);

impl Publisher {
    /// Starts the thread; all files of `head` are written, but not synced.
    pub(super) fn start(
        tiles: Tiles,
        leaves: Leaves,
        reads: Reads,
        head: Arc<Head>,
    ) -> Result<Self, LogError> {
        let (sender, queue) = sync_channel(QUEUE);
        let written = head.tree.size();
        let work = Work { tiles, leaves, reads, head, written, kept: None };
        let thread = std::thread::Builder::new().name("log".into()).spawn(move || work.run(&queue));
        let thread =
            thread.map_err(|source| LogError::io("the thread of the log".as_ref(), source))?;
        Ok(Self(Mutex::new(Some((sender, thread)))))
    }

    /// Never waits.
    pub(super) fn send(&self, completed: Completed) {
        if let Some((sender, _)) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            // What is not told is noticed by the next that is.
            let _ = sender.try_send(completed);
        }
    }

    /// Waits until everything is written and synced.
    pub(super) fn stop(&self) {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((sender, thread)) = running {
            drop(sender);
            // A panic of the thread has been reported by itself.
            let _ = thread.join();
        }
    }
}

struct Work {
    tiles: Tiles,
    leaves: Leaves,
    reads: Reads,
    /// The last that it was told.
    head: Arc<Head>,
    /// All files of a log of this size are written.
    written: u64,
    /// Size of the checkpoint that was kept last.
    kept: Option<u64>,
}

impl Work {
    fn run(mut self, queue: &Receiver<Completed>) {
        let (mut works, mut over) = (true, false);
        let mut due = Instant::now() + SYNC;
        while !over {
            match queue.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(completed) => self.write(completed),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => over = true,
            }
            if over || due <= Instant::now() {
                let kept = self.keep();
                if let Err(error) = &kept
                    && works
                {
                    tracing::error!(%error, "the log's files can't be written; trying again");
                }
                works = kept.is_ok();
                due = Instant::now() + SYNC;
            }
        }
    }

    fn write(&mut self, completed: Completed) {
        let Completed { before, head, files } = completed;
        // After a gap or a failure nothing counts before all is made again.
        if before == self.written
            && files.iter().all(|(path, bytes)| self.tiles.write(*path, bytes).is_ok())
        {
            self.written = head.tree.size();
        }
        self.head = head;
    }

    /// Makes what was not written, and keeps the checkpoint once all is synced.
    fn keep(&mut self) -> Result<(), LogError> {
        let size = self.head.tree.size();
        if self.written < size {
            let (tiles, leaves, from) = (&self.tiles, &self.leaves, self.written);
            self.reads
                .with(|db| Source { tiles, leaves, db, writes: true }.make_all(from, size))?;
            self.written = size;
        }
        if self.kept != Some(size) {
            self.tiles.keep(&self.head.checkpoint.encode())?;
            self.kept = Some(size);
        }
        Ok(())
    }
}
