//! What an audit keeps: the leaves it downloaded, and the last checkpoint that
//! everything was verified under.

use crate::failure::{Exit, Failure};
use crate::files::{read_bounded, write_private};
use grid_client::log::verified;
use grid_log::checkpoint::SignedCheckpoint;
use grid_log::tile::{TILE_WIDTH, TilePath};
use grid_protocol::PublicKey;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

const CHECKPOINT: &str = "checkpoint";
const MAX_FILE: u64 = 256 * (2 + 65_535);

/// A folder of one relay's log.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    folder: PathBuf,
}

impl Kept {
    pub(super) fn open(
        folder: Option<PathBuf>,
        relay: &PublicKey,
        fresh: bool,
    ) -> Result<Self, Failure> {
        let folder = match folder {
            Some(folder) => folder,
            None => default(relay)?,
        };
        let kept = Self { folder };
        if fresh {
            kept.forget()?;
        }
        Ok(kept)
    }

    /// The checkpoint that was verified last. Its own signature is checked
    /// again: a folder of another relay is an error.
    pub(super) fn checkpoint(
        &self,
        relay: &PublicKey,
    ) -> Result<Option<SignedCheckpoint>, Failure> {
        let path = self.folder.join(CHECKPOINT);
        let bytes = match read_bounded(&path, MAX_FILE) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::file("read", &path, &error)),
        };
        verified(&bytes, relay).map(Some).map_err(|why| {
            let message = format!("{} is not of this relay: {why}", path.display());
            Failure::new(Exit::Failed, "audit_state", message)
                .hint("name another folder with --state, or begin again with --fresh")
        })
    }

    /// The bundle of 256 leaves at this index, if it is here.
    pub(super) fn bundle(&self, index: u64) -> Option<Vec<u8>> {
        read_bounded(&self.path(index), MAX_FILE).ok()
    }

    /// Keeps a full bundle. It may be lost, never half there.
    pub(super) fn keep(&self, index: u64, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(index);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let temporary = path.with_extension(format!("tmp-{}", std::process::id()));
        fs::write(&temporary, bytes)?;
        fs::rename(&temporary, &path)
    }

    /// Everything up to this checkpoint is verified.
    pub(super) fn store(&self, checkpoint: &SignedCheckpoint) -> Result<(), Failure> {
        let path = self.folder.join(CHECKPOINT);
        write_private(&path, checkpoint.encode().as_bytes())
            .map_err(|error| Failure::file("write", &path, &error))
    }

    /// Keeps what is here as evidence, and begins a folder beside it.
    pub(super) fn set_aside(self) -> Result<Self, Failure> {
        let mut folder = self.folder.clone().into_os_string();
        folder.push(".rewritten");
        let kept = Self { folder: folder.into() };
        kept.forget()?;
        Ok(kept)
    }

    fn forget(&self) -> Result<(), Failure> {
        let failed = |path: &Path, error: io::Error| Failure::file("remove", path, &error);
        for (path, remove) in [
            (self.folder.join(CHECKPOINT), fs::remove_file as fn(PathBuf) -> io::Result<()>),
            (self.folder.join("tile"), fs::remove_dir_all),
        ] {
            match remove(path.clone()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed(&path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn path(&self, index: u64) -> PathBuf {
        self.folder.join(TilePath::entries(index, TILE_WIDTH).to_string())
    }
}

/// `$XDG_CACHE_HOME/grid/audit/KEY`, else `~/.cache/grid/audit/KEY`.
fn default(relay: &PublicKey) -> Result<PathBuf, Failure> {
    let xdg = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || env::var_os("HOME").filter(|home| !home.is_empty());
    let base = xdg.or_else(|| home().map(|home| PathBuf::from(home).join(".cache")));
    let base = base.ok_or_else(|| {
        Failure::new(Exit::Failed, "no_home", "there is no place to keep what is verified")
            .hint("name a folder with --state DIR")
    })?;
    Ok(base.join("grid").join("audit").join(relay.to_string()))
}
