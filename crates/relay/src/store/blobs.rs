//! Bodies over 64 KiB and modules: files named by SHA-256.

use grid_protocol::Digest;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use thiserror::Error;

/// Why a blob could not be kept or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The folder holds as much as it may.
    #[error("the blob folder holds as much as it may")]
    Full,
    /// The file system said no.
    #[error("the blob folder: {0}")]
    Io(#[from] io::Error),
}

/// A folder of blobs: `ab/ab01...` for the digest ab01..., and `tmp/`.
///
/// All calls block. Files that nothing refers to are deleted by
/// [`Blobs::sweep`] once they are old enough; a put makes a file young again.
#[derive(Debug, Clone)]
pub struct Blobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    max_bytes: u64,
    used: AtomicU64,
    temporary: AtomicU64,
    /// What temporary files' names begin with.
    prefix: String,
    /// Held while a file gets its name, is made young, or is deleted: the sweep
    /// must not delete what was put just now.
    names: Mutex<()>,
}

impl Blobs {
    /// Opens the folder, creates it when missing, and deletes what a crash
    /// left half-written.
    pub fn open(folder: &Path, max_bytes: u64) -> Result<Self, BlobError> {
        let temporary = folder.join("tmp");
        if temporary.exists() {
            fs::remove_dir_all(&temporary)?;
        }
        fs::create_dir_all(&temporary)?;
        let blobs = Self(Arc::new(Inner {
            folder: folder.into(),
            max_bytes,
            used: AtomicU64::new(0),
            temporary: AtomicU64::new(0),
            prefix: String::new(),
            names: Mutex::default(),
        }));
        let mut used = 0;
        blobs.for_each(|_, _, metadata| {
            used += metadata.len();
            Ok(())
        })?;
        blobs.0.used.store(used, Ordering::Relaxed);
        Ok(blobs)
    }

    /// The folder of a relay that may be running: for reading only.
    pub(crate) fn existing(folder: &Path) -> Self {
        Self::beside(folder, 0, String::new())
    }

    /// The folder of a relay that may be running, for a process beside it that
    /// puts up to `max_bytes`. A relay that starts meanwhile makes a put fail.
    pub(crate) fn put_beside(folder: &Path, max_bytes: u64) -> Result<Self, BlobError> {
        fs::create_dir_all(folder.join("tmp"))?;
        Ok(Self::beside(folder, max_bytes, format!("{}-", std::process::id())))
    }

    fn beside(folder: &Path, max_bytes: u64, prefix: String) -> Self {
        Self(Arc::new(Inner {
            folder: folder.into(),
            max_bytes,
            used: AtomicU64::new(0),
            temporary: AtomicU64::new(0),
            prefix,
            names: Mutex::default(),
        }))
    }

    /// Keeps `bytes`, whose SHA-256 the caller knows to be `digest`.
    ///
    /// When this returns `Ok` the blob is durable under its name. After an
    /// error or a crash it is there whole, or not at all.
    pub fn put(&self, digest: Digest, bytes: &[u8]) -> Result<(), BlobError> {
        let path = self.path(digest);
        if self.renew(&path)? {
            return Ok(());
        }
        let size = bytes.len() as u64;
        if self.0.used.fetch_add(size, Ordering::Relaxed) + size > self.0.max_bytes {
            self.0.used.fetch_sub(size, Ordering::Relaxed);
            return Err(BlobError::Full);
        }
        let number = self.0.temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = self.0.folder.join("tmp").join(format!("{}{number}", self.0.prefix));
        let kept = write(&temporary, bytes).and_then(|()| self.name(&temporary, &path));
        if !matches!(kept, Ok(true)) {
            self.0.used.fetch_sub(size, Ordering::Relaxed);
            // What stays of it, the next start deletes.
            let _ = fs::remove_file(&temporary);
        }
        kept?;
        Ok(())
    }

    fn names(&self) -> MutexGuard<'_, ()> {
        self.0.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a file young; false when it isn't there.
    fn renew(&self, path: &Path) -> io::Result<bool> {
        let _names = self.names();
        match File::open(path) {
            Ok(file) => file.set_modified(SystemTime::now()).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Names `temporary` `path`, durably; false when that was there already.
    fn name(&self, temporary: &Path, path: &Path) -> io::Result<bool> {
        if self.renew(path)? {
            return Ok(false);
        }
        let Some(folder) = path.parent() else { return Ok(false) };
        if !folder.exists() {
            fs::create_dir_all(folder)?;
            File::open(&self.0.folder)?.sync_all()?;
        }
        let _names = self.names();
        let fresh = !path.exists();
        fs::rename(temporary, path)?;
        File::open(folder)?.sync_all()?;
        Ok(fresh)
    }

    /// Opens a blob for reading; gives back its size too. `None` when it isn't
    /// there.
    pub fn open_blob(&self, digest: Digest) -> Result<Option<(File, u64)>, BlobError> {
        match File::open(self.path(digest)) {
            Ok(file) => {
                let size = file.metadata()?.len();
                Ok(Some((file, size)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Bytes that all blobs have together.
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Deletes blobs that are older than `age` and for which `keep` says no;
    /// gives back how many.
    pub fn sweep<E>(
        &self,
        age: Duration,
        mut keep: impl FnMut(Digest) -> Result<bool, E>,
    ) -> Result<u64, E>
    where
        E: From<BlobError>,
    {
        let mut old = Vec::new();
        self.for_each(|digest, path, metadata| {
            if is_old(metadata.modified()?, age) {
                old.push((digest, path, metadata.len()));
            }
            Ok(())
        })?;
        let mut deleted = 0;
        for (digest, path, size) in old {
            let _names = self.names();
            let metadata = fs::metadata(&path).map_err(BlobError::from)?;
            let still = metadata.modified().is_ok_and(|modified| is_old(modified, age));
            if still && !keep(digest)? && fs::remove_file(path).is_ok() {
                self.0.used.fetch_sub(size, Ordering::Relaxed);
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    fn for_each(
        &self,
        mut each: impl FnMut(Digest, PathBuf, fs::Metadata) -> io::Result<()>,
    ) -> Result<(), BlobError> {
        for folder in fs::read_dir(&self.0.folder)? {
            let folder = folder?;
            if folder.file_name() == "tmp" || !folder.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(folder.path())? {
                let file = file?;
                let digest = file.file_name().to_str().and_then(|name| name.parse().ok());
                if let Some(digest) = digest {
                    each(digest, file.path(), file.metadata()?)?;
                }
            }
        }
        Ok(())
    }

    fn path(&self, digest: Digest) -> PathBuf {
        let name = digest.to_string();
        self.0.folder.join(&name[..2]).join(name)
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn is_old(modified: SystemTime, age: Duration) -> bool {
    SystemTime::now().duration_since(modified).is_ok_and(|since| since >= age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_whole_and_counted_once() {
        let dir = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"abc");
        {
            let blobs = Blobs::open(dir.path(), 5).unwrap();
            blobs.put(digest, b"abc").unwrap();
            blobs.put(digest, b"abc").unwrap();
            assert_eq!(blobs.used(), 3);
            assert!(matches!(blobs.put(Digest::of(b"def"), b"def"), Err(BlobError::Full)));
            fs::write(dir.path().join("tmp/77"), b"half").unwrap();
        }
        let blobs = Blobs::open(dir.path(), 5).unwrap();
        assert_eq!(blobs.used(), 3);
        assert!(!dir.path().join("tmp/77").exists());
        let (file, size) = blobs.open_blob(digest).unwrap().unwrap();
        assert_eq!((io::read_to_string(file).unwrap().as_str(), size), ("abc", 3));
        assert!(blobs.open_blob(Digest::of(b"def")).unwrap().is_none());
    }

    #[test]
    fn the_sweep_deletes_what_is_old_and_unreferred() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), 100).unwrap();
        let [kept, left] = [b"kept".as_slice(), b"left"].map(|bytes| {
            blobs.put(Digest::of(bytes), bytes).unwrap();
            Digest::of(bytes)
        });
        let keep = |digest| Ok::<_, BlobError>(digest == kept);
        assert_eq!(blobs.sweep(Duration::from_secs(60), keep).unwrap(), 0);
        assert_eq!(blobs.sweep(Duration::ZERO, keep).unwrap(), 1);
        assert!(blobs.open_blob(kept).unwrap().is_some());
        assert!(blobs.open_blob(left).unwrap().is_none());
        assert_eq!(blobs.used(), 4);
    }
}
