//! What an operator does beside running the relay: its files, its key, its
//! owners. The commands work while the relay runs: SQLite's lock orders them.

use crate::core::random;
use crate::inference::{self, InferenceError};
use crate::server::{RelayError, io_error};
use crate::state::unix_ms;
use crate::store::{
    BlobError, Blobs, CheckReport, ModelRow, NewModelRow, Outcome, OwnerRow, Reads, Refusal,
    SqliteStore, Store, StoreError, Write, check, model_named, rows,
};
use base64::Engine as _;
use grid_protocol::{Digest, SigningKey, limits};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// Longest name of a model, in bytes.
const MAX_MODEL_NAME: usize = 64;

/// Why an operator's command failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// The name can't be an owner's or operator's.
    #[error("a name has 1 to 64 letters, digits, `.`, `_` or `-`")]
    Name,
    /// The operator has a key already.
    #[error("{0} has a key; revoke it first")]
    KeyStands(String),
    /// The operator has no key.
    #[error("{0} has no operator's key")]
    NoSuchKey(String),
    /// A rule forbids it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A relay runs on this data directory already.
    #[error("another relay runs on this data directory")]
    InUse,
    /// The relay is stopping.
    #[error("the relay is stopping")]
    Closed,
    /// The key file holds something else.
    #[error("{0} is not a relay's key: 64 hexadecimal digits")]
    Key(PathBuf),
    /// The secret's file holds something else.
    #[error("{0} is not a log's secret: 64 hexadecimal digits")]
    Secret(PathBuf),
    /// The log has another name already.
    #[error("the log is named {kept}, which can't be changed to {asked}")]
    LogRenamed {
        /// Its name.
        kept: String,
        /// The name configured.
        asked: String,
    },
    /// The name can't be a model's.
    #[error("a model's name has 1 to 64 letters, digits, `.`, `_` or `-`")]
    ModelName,
    /// The file can't be a campaign.
    #[error("{0}")]
    Campaign(String),
    /// The file can't be installed.
    #[error(transparent)]
    Model(InferenceError),
    /// The name can't be a site's.
    #[error("a site's name has 1 to 64 characters")]
    SiteName,
    /// Too few or too many origins.
    #[error("a site has 1 to 32 origins")]
    SiteOrigins,
    /// It is no origin.
    #[error("{0} is not an origin: https://shop.example")]
    SiteOrigin(String),
    /// No site has the key.
    #[error("no site has this key")]
    NoSuchSite,
    /// The store is damaged.
    #[error(transparent)]
    Check(#[from] crate::store::CheckError),
}

/// Where a relay's files are, below its data directory.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub(crate) database: PathBuf,
    pub(crate) blobs: PathBuf,
    pub(crate) log: PathBuf,
    key: PathBuf,
    secret: PathBuf,
    origin: PathBuf,
}

impl Paths {
    fn of(data_dir: &Path) -> Self {
        Self {
            database: data_dir.join("grid.sqlite"),
            blobs: data_dir.join("blobs"),
            log: data_dir.join("log"),
            key: data_dir.join("relay.key"),
            secret: data_dir.join("log.secret"),
            origin: data_dir.join("log.origin"),
        }
    }

    /// Keeps other relays out of the data directory for as long as the file is
    /// open: they would lease the same tasks.
    pub(crate) fn lock(&self) -> Result<fs::File, RelayError> {
        let path = self.key.with_file_name("relay.lock");
        let what = || format!("can't lock {}", path.display());
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        let file = options.open(&path).map_err(io_error(what()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(fs::TryLockError::WouldBlock) => Err(OperatorError::InUse.into()),
            Err(fs::TryLockError::Error(error)) => Err(io_error(what())(error)),
        }
    }

    pub(crate) fn create(data_dir: &Path) -> Result<Self, RelayError> {
        let what = format!("can't create the data directory {}", data_dir.display());
        fs::create_dir_all(data_dir).map_err(io_error(what))?;
        Ok(Self::of(data_dir))
    }
}

/// The relay's key; made, synced and kept for its owner only on first start.
pub(crate) fn relay_key(paths: &Paths) -> Result<SigningKey, RelayError> {
    let wrong = || OperatorError::Key(paths.key.clone());
    let seed = kept(&paths.key, 0o600, || Digest(random()).to_string())?;
    Ok(SigningKey::from_seed(seed.parse::<Digest>().map_err(|_| wrong())?.0))
}

/// What hides receipts and owners in the log; kept as the key is.
pub(crate) fn log_secret(paths: &Paths) -> Result<Digest, RelayError> {
    let wrong = |_| OperatorError::Secret(paths.secret.clone()).into();
    kept(&paths.secret, 0o600, || Digest(random()).to_string())?.parse().map_err(wrong)
}

/// The log's name, which never changes: as configured, or else made of the
/// relay's origin, at the first start.
pub(crate) fn log_origin(
    paths: &Paths,
    configured: Option<&str>,
    origin: &str,
) -> Result<String, RelayError> {
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    let first = || configured.map_or_else(|| format!("{host}/log"), str::to_owned);
    let kept = kept(&paths.origin, 0o644, first)?;
    match configured {
        Some(asked) if asked != kept => {
            Err(OperatorError::LogRenamed { kept, asked: asked.to_owned() }.into())
        }
        _ => Ok(kept),
    }
}

/// The line that a file holds; made by `first` when there is none.
fn kept(path: &Path, mode: u32, first: impl FnOnce() -> String) -> Result<String, RelayError> {
    let what = || format!("can't read or write {}", path.display());
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = first();
            write_kept(path, mode, &format!("{text}\n")).map_err(io_error(what()))?;
            Ok(text)
        }
        Err(error) => Err(io_error(what())(error)),
    }
}

/// What a JSON file of the data directory lists; nothing where there is none.
pub(crate) fn read_list<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, RelayError> {
    let what = || format!("can't read {}", path.display());
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| io_error(what())(io::Error::new(io::ErrorKind::InvalidData, error))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(io_error(what())(error)),
    }
}

/// Writes such a file anew; makes its folder where it is missing.
pub(crate) fn write_list<T: Serialize>(
    path: &Path,
    mode: u32,
    list: &[T],
) -> Result<(), RelayError> {
    let what = || format!("can't write {}", path.display());
    let text = serde_json::to_string_pretty(list)
        .map_err(|error| io_error(what())(io::Error::other(error)))?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(io_error(what()))?;
    }
    write_kept(path, mode, &format!("{text}\n")).map_err(io_error(what()))
}

/// Written beside and renamed: a crash leaves a whole file or none.
pub(crate) fn write_kept(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    match path.parent() {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// A new owner's key, and the write that makes it valid.
pub(crate) fn new_owner(name: &str, budget: u64) -> Result<(String, Write), OperatorError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > limits::MAX_OWNER_NAME || !name.chars().all(allowed) {
        return Err(OperatorError::Name);
    }
    let secret = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random::<32>());
    let key = format!("grid_{secret}");
    let hash = Digest::of(key.as_bytes());
    Ok((key, Write::AddOwner { name: name.into(), hash, budget, at_ms: unix_ms() }))
}

pub(crate) fn done(outcome: Outcome) -> Result<(), OperatorError> {
    match outcome {
        Outcome::Refused(refusal) => Err(refusal.into()),
        _ => Ok(()),
    }
}

/// Adds an owner with this budget in fuel, or gives one whose key was revoked
/// a new key and adds to its budget. Gives back the key, which is stored
/// nowhere.
pub fn add_owner(data_dir: &Path, name: &str, budget: u64) -> Result<String, RelayError> {
    let (key, write) = new_owner(name, budget)?;
    commit(data_dir, write)?;
    Ok(key)
}

/// Ends an owner's key. Jobs that run go on.
pub fn revoke_owner(data_dir: &Path, name: &str) -> Result<(), RelayError> {
    let paths = existing(data_dir)?;
    let owner = Reads::new(&paths.database).run_blocking(|db| rows::owner_by_name(db, name))?;
    let owner = owner.ok_or(Refusal::NoSuchOwner).map_err(OperatorError::from)?;
    match owner.key {
        Some(hash) => commit(data_dir, Write::RevokeKey { hash, at_ms: unix_ms() }),
        None => Ok(()),
    }
}

pub(crate) fn commit(data_dir: &Path, write: Write) -> Result<(), RelayError> {
    let paths = Paths::create(data_dir)?;
    let secret = log_secret(&paths)?;
    let outcomes = SqliteStore::open(&paths.database, secret)?.commit(&[write])?;
    outcomes.into_iter().try_for_each(done)?;
    Ok(())
}

/// Every owner, by name.
pub fn owners(data_dir: &Path) -> Result<Vec<OwnerRow>, RelayError> {
    let paths = existing(data_dir)?;
    Ok(Reads::new(&paths.database).run_blocking(rows::owners)?)
}

/// Installs a model file: keeps its blocks as blobs, each checked, and gives
/// it a name that jobs and the API know it by. Anyone who reaches the relay may
/// read it from then on. Works while the relay runs; installing it again is
/// harmless.
pub fn add_model(data_dir: &Path, file: &Path, name: &str) -> Result<ModelRow, RelayError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > MAX_MODEL_NAME || !name.chars().all(allowed) {
        return Err(OperatorError::ModelName.into());
    }
    let what = || format!("can't read {}", file.display());
    let mut reader = io::BufReader::new(fs::File::open(file).map_err(io_error(what()))?);
    let model = inference::open(&mut reader).map_err(OperatorError::Model)?;
    let bytes: u64 = model.blocks.iter().map(|(_, size)| u64::from(*size)).sum();
    let paths = Paths::create(data_dir)?;
    let blobs = Blobs::put_beside(&paths.blobs, u64::MAX)?;
    let wrong = |why: String| OperatorError::Model(InferenceError::File(why));
    for (number, (digest, size)) in model.blocks.iter().enumerate() {
        let mut block = vec![0; *size as usize];
        reader.read_exact(&mut block).map_err(io_error(what()))?;
        if Digest::of(&block) != *digest {
            let why = format!("block {number} has another digest than the header says");
            return Err(wrong(why).into());
        }
        blobs.put(*digest, &block)?;
    }
    if reader.read(&mut [0]).map_err(io_error(what()))? > 0 {
        return Err(wrong("bytes follow the last block".into()).into());
    }
    let digest = Digest::of(&model.header);
    blobs.put(digest, &model.header)?;
    let row = ModelRow {
        digest,
        name: name.into(),
        work: model.work,
        context: model.context,
        header_bytes: model.header.len() as u32,
        bytes,
        added_ms: unix_ms(),
    };
    let blocks = model.blocks.into_iter().map(|(digest, _)| digest).collect();
    commit(data_dir, Write::PutModel(Box::new(NewModelRow { row: row.clone(), blocks })))?;
    Ok(row)
}

/// Every installed model, by name.
pub fn models(data_dir: &Path) -> Result<Vec<ModelRow>, RelayError> {
    let paths = existing(data_dir)?;
    Ok(Reads::new(&paths.database).run_blocking(crate::store::models)?)
}

/// Removes a model. Its blocks are deleted by the relay's next sweep.
pub fn remove_model(data_dir: &Path, name: &str) -> Result<(), RelayError> {
    let paths = existing(data_dir)?;
    let found = Reads::new(&paths.database).run_blocking(|db| model_named(db, name))?;
    let digest = found.ok_or(Refusal::NoSuchModel).map_err(OperatorError::from)?.digest;
    commit(data_dir, Write::RemoveModel { digest })
}

/// Rebuilds every derived table from the entries and compares; checks every
/// signature and output. The relay may run meanwhile.
pub fn check_store(data_dir: &Path) -> Result<CheckReport, RelayError> {
    let paths = existing(data_dir)?;
    let (key, secret) = (relay_key(&paths)?, log_secret(&paths)?);
    let blobs = Blobs::existing(&paths.blobs);
    let report = check(&paths.database, &blobs, &secret).map_err(OperatorError::Check)?;
    // Before the first start there is no log.
    if paths.origin.exists() {
        let origin = log_origin(&paths, None, "")?;
        crate::log::check(&paths.log, &origin, key, secret, &Reads::new(&paths.database))?;
    }
    Ok(report)
}

pub(crate) fn existing(data_dir: &Path) -> Result<Paths, RelayError> {
    let paths = Paths::of(data_dir);
    let what = format!("there is no relay's database in {}", data_dir.display());
    fs::metadata(&paths.database).map_err(io_error(what))?;
    Ok(paths)
}

/// Deletes blobs of at least this age that nothing refers to.
pub(crate) fn sweep(reads: &Reads, blobs: &Blobs, age: Duration) -> Result<u64, RelayError> {
    reads
        .run_blocking(|db| {
            Ok(blobs.sweep(age, |digest| -> Result<bool, SweepError> {
                Ok(rows::is_referred(db, digest)?)
            }))
        })?
        .map_err(|error| match error {
            SweepError::Store(error) => error.into(),
            SweepError::Blobs(error) => error.into(),
        })
}

#[derive(Debug)]
enum SweepError {
    Store(StoreError),
    Blobs(BlobError),
}

impl From<StoreError> for SweepError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<BlobError> for SweepError {
    fn from(error: BlobError) -> Self {
        Self::Blobs(error)
    }
}
