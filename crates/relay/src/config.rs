//! What an operator decides, and where it is read from.

use crate::log::WitnessAddress;
use crate::people::read_rewards;
use crate::trust::{TrustConfig, TrustOptions};
use crate::units::{Size, Span};
use grid_ledger::{RewardRules, RewardRulesError};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// Name of the configuration file in the data directory.
pub const FILE_NAME: &str = "grid-relay.toml";
/// The data directory when none is named.
pub const DEFAULT_DATA_DIR: &str = "grid-data";

/// What an operator decided. [`Config::new`] has the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Folder of database, blobs and the relay's key. Created when missing.
    pub data_dir: PathBuf,
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The origin that nodes and owners use; by default `http://` and the
    /// address that was bound. Nodes sign it when they join.
    pub origin: Option<String>,
    /// The log's name, fixed at the first start; by default the origin without
    /// its scheme, and `/log`.
    pub log_origin: Option<String>,
    /// Nodes send a heartbeat for their leases at least this often.
    pub heartbeat: Duration,
    /// A lease without a heartbeat ends after this.
    pub lease_deadline: Duration,
    /// Leases of a node whose socket closed stand for this long.
    pub grace: Duration,
    /// A socket that has not joined after this is closed.
    pub join_timeout: Duration,
    /// A ping is sent when nothing else was sent for this long.
    pub ping: Duration,
    /// A socket from which nothing came for this long is closed.
    pub silence: Duration,
    /// How long the relay waits for clients that are slow.
    pub patience: Patience,
    /// Most node sockets at a time.
    pub max_sockets: usize,
    /// Most bytes that the blob folder may hold.
    pub max_blob_bytes: u64,
    /// Witnesses that are to cosign the log's checkpoints.
    pub witnesses: Vec<WitnessAddress>,
    /// How much is checked, and by whom.
    pub trust: TrustConfig,
    /// What is issued on top of verified work.
    pub rewards: RewardRules,
    /// The file that says so; by default `rewards.toml` in the data directory,
    /// if it is there.
    pub rewards_file: Option<PathBuf>,
}

/// How long the relay waits for clients that are slow. No option sets it: tests
/// do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The sender of a body who pauses for longer is given up.
    pub pause: Duration,
    /// A body is to come in so much time, and what its size takes on a slow
    /// line beside it.
    pub body: Duration,
    /// A client that takes nothing of what was written to it for so long is
    /// disconnected.
    pub unread: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let (pause, minute) = (Duration::from_secs(30), Duration::from_secs(60));
        Self { pause, body: minute, unread: minute }
    }
}

impl Config {
    /// The defaults, for this data directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8090)),
            origin: None,
            log_origin: None,
            heartbeat: Duration::from_secs(10),
            lease_deadline: Duration::from_secs(60),
            grace: Duration::from_secs(30),
            join_timeout: Duration::from_secs(10),
            ping: Duration::from_secs(15),
            silence: Duration::from_secs(60),
            patience: Patience::default(),
            max_sockets: 10_000,
            max_blob_bytes: 32 << 30,
            witnesses: Vec::new(),
            trust: TrustConfig::default(),
            rewards: RewardRules::default(),
            rewards_file: None,
        }
    }

    /// For tests: on a free port of the loopback interface, every node is
    /// believed, and nothing is issued.
    pub fn for_test(data_dir: impl Into<PathBuf>) -> Self {
        let trust = TrustConfig { roster: Duration::ZERO, ..TrustConfig::private() };
        let (listen, rewards) = (SocketAddr::from(([127, 0, 0, 1], 0)), RewardRules::NONE);
        Self { listen, trust, rewards, ..Self::new(data_dir) }
    }
}

/// Why a configuration was refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file can't be read.
    #[error("can't read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a configuration: it says where and why, and names keys
    /// that are not known.
    #[error("{path}: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A value is outside its range, or contradicts another.
    #[error("{0}")]
    Range(&'static str),
    /// A rule of rewards is outside its range.
    #[error(transparent)]
    Rewards(RewardRulesError),
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Options of `grid-relay serve`, each of which may be left out. The same names
/// are flags (`--lease-deadline`), environment variables
/// (`GRID_LEASE_DEADLINE`) and keys of the file (`lease_deadline`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:8090]
    #[arg(long, env = "GRID_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Origin that nodes and owners use, https://grid.example for one behind a
    /// proxy; nodes refuse a relay that calls itself otherwise than they do
    /// [default: http:// and the address]
    #[arg(long, env = "GRID_ORIGIN", value_name = "URL")]
    pub origin: Option<String>,
    /// Name of the transparency log, which witnesses and auditors know it by;
    /// fixed at the first start [default: the origin without https://, and
    /// /log]
    #[arg(long, env = "GRID_LOG_ORIGIN", value_name = "NAME")]
    pub log_origin: Option<String>,
    /// How often nodes tell which leases they work on [default: 10s]
    #[arg(long, env = "GRID_HEARTBEAT", value_name = "TIME")]
    pub heartbeat: Option<Span>,
    /// A lease without a heartbeat for so long goes to another node
    /// [default: 1m]
    #[arg(long, env = "GRID_LEASE_DEADLINE", value_name = "TIME")]
    pub lease_deadline: Option<Span>,
    /// How long the leases of a node whose socket closed wait for it
    /// [default: 30s]
    #[arg(long, env = "GRID_GRACE", value_name = "TIME")]
    pub grace: Option<Span>,
    /// A socket that has not joined by then is closed [default: 10s]
    #[arg(long, env = "GRID_JOIN_TIMEOUT", value_name = "TIME")]
    pub join_timeout: Option<Span>,
    /// Nodes get a ping when nothing else was sent for so long; browsers stop
    /// an extension that is silent for 30s [default: 15s]
    #[arg(long, env = "GRID_PING", value_name = "TIME")]
    pub ping: Option<Span>,
    /// A socket from which nothing came for so long is closed [default: 1m]
    #[arg(long, env = "GRID_SILENCE", value_name = "TIME")]
    pub silence: Option<Span>,
    /// Most node sockets at a time [default: 10000]
    #[arg(long, env = "GRID_MAX_SOCKETS", value_name = "NUMBER")]
    pub max_sockets: Option<usize>,
    /// Most bytes that modules, large inputs and large outputs may take
    /// [default: 32GiB]
    #[arg(long, env = "GRID_MAX_BLOB_BYTES", value_name = "SIZE")]
    pub max_blob_bytes: Option<Size>,
    /// File that gets {"listening":"http://..."} once connections are accepted
    /// [default: none; the line is printed in any case]
    #[arg(long, env = "GRID_READY_FILE", value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// What is logged, as `info` or `grid_relay=debug,warn` [default: info]
    #[arg(long, env = "GRID_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// How log lines look [default: text]
    #[arg(long, env = "GRID_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// A witness that is to cosign the log's checkpoints: its key, a space, its
    /// address; may be given more than once [default: none]
    #[arg(long = "witness", value_name = "KEY URL")]
    pub witnesses: Option<Vec<WitnessAddress>>,
    /// File of the rules of rewards, TOML; read at the start and on SIGHUP
    /// [default: rewards.toml in the data directory, if it is there]
    #[arg(long, env = "GRID_REWARDS", value_name = "FILE")]
    pub rewards: Option<PathBuf>,
    #[command(flatten)]
    #[serde(default)]
    /// How much is checked, and by whom.
    pub trust: TrustOptions,
}

impl Options {
    /// What `file` says, where these say nothing.
    #[must_use]
    pub fn or(self, file: Self) -> Self {
        Self {
            listen: self.listen.or(file.listen),
            origin: self.origin.or(file.origin),
            log_origin: self.log_origin.or(file.log_origin),
            heartbeat: self.heartbeat.or(file.heartbeat),
            lease_deadline: self.lease_deadline.or(file.lease_deadline),
            grace: self.grace.or(file.grace),
            join_timeout: self.join_timeout.or(file.join_timeout),
            ping: self.ping.or(file.ping),
            silence: self.silence.or(file.silence),
            max_sockets: self.max_sockets.or(file.max_sockets),
            max_blob_bytes: self.max_blob_bytes.or(file.max_blob_bytes),
            ready_file: self.ready_file.or(file.ready_file),
            log: self.log.or(file.log),
            log_format: self.log_format.or(file.log_format),
            witnesses: self.witnesses.or(file.witnesses),
            rewards: self.rewards.or(file.rewards),
            trust: self.trust.or(file.trust),
        }
    }

    /// The defaults, where there are any.
    pub fn defaults() -> Self {
        let Config {
            data_dir: _,
            listen,
            origin,
            log_origin,
            heartbeat,
            lease_deadline,
            grace,
            join_timeout,
            ping,
            silence,
            patience: _,
            max_sockets,
            max_blob_bytes,
            witnesses,
            trust,
            rewards: _,
            rewards_file,
        } = Config::new(DEFAULT_DATA_DIR);
        Self {
            listen: Some(listen),
            origin,
            log_origin,
            heartbeat: Some(Span(heartbeat)),
            lease_deadline: Some(Span(lease_deadline)),
            grace: Some(Span(grace)),
            join_timeout: Some(Span(join_timeout)),
            ping: Some(Span(ping)),
            silence: Some(Span(silence)),
            max_sockets: Some(max_sockets),
            max_blob_bytes: Some(Size(max_blob_bytes)),
            ready_file: None,
            log: Some("info".into()),
            log_format: Some(LogFormat::Text),
            witnesses: Some(witnesses),
            rewards: rewards_file,
            trust: TrustOptions::of(&trust),
        }
    }

    /// Reads the file `named`, or else `grid-relay.toml` in the data directory
    /// if it is there.
    pub fn read(named: Option<&Path>, data_dir: &Path) -> Result<Self, ConfigError> {
        let usual = data_dir.join(FILE_NAME);
        let path = named.unwrap_or(&usual);
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(source) => return Err(ConfigError::Read { path: path.into(), source }),
        };
        let bad = |source| ConfigError::Parse { path: path.into(), source: Box::new(source) };
        toml::from_str(&text).map_err(bad)
    }

    /// The configuration, with defaults for what was left out.
    pub fn config(&self, data_dir: &Path) -> Result<Config, ConfigError> {
        let default = Config::new(data_dir);
        let span = |option: Option<Span>, default| option.map_or(default, |Span(time)| time);
        let config = Config {
            listen: self.listen.unwrap_or(default.listen),
            origin: self.origin.clone().map(|origin| origin.trim_end_matches('/').to_owned()),
            log_origin: self.log_origin.clone(),
            heartbeat: span(self.heartbeat, default.heartbeat),
            lease_deadline: span(self.lease_deadline, default.lease_deadline),
            grace: span(self.grace, default.grace),
            join_timeout: span(self.join_timeout, default.join_timeout),
            ping: span(self.ping, default.ping),
            silence: span(self.silence, default.silence),
            patience: default.patience,
            max_sockets: self.max_sockets.unwrap_or(default.max_sockets),
            max_blob_bytes: self.max_blob_bytes.map_or(default.max_blob_bytes, |Size(max)| max),
            witnesses: self.witnesses.clone().unwrap_or_default(),
            trust: self.trust.config(),
            rewards: read_rewards(self.rewards.as_deref(), data_dir)?.unwrap_or(default.rewards),
            rewards_file: self.rewards.clone(),
            data_dir: default.data_dir,
        };
        check(&config)?;
        Ok(config)
    }
}

/// No time is longer than this: they travel as 32-bit milliseconds.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

fn check(config: &Config) -> Result<(), ConfigError> {
    let ensure = |ok: bool, why| if ok { Ok(()) } else { Err(ConfigError::Range(why)) };
    let times = [
        config.heartbeat,
        config.lease_deadline,
        config.grace,
        config.join_timeout,
        config.ping,
        config.silence,
        config.trust.answer,
        config.trust.slow,
        config.trust.roster,
    ];
    ensure(
        times.iter().all(|time| !time.is_zero() && *time <= LONGEST),
        "times must be over 0 and at most 24h",
    )?;
    ensure(
        config.lease_deadline >= 2 * config.heartbeat,
        "lease_deadline must be at least twice heartbeat, or working nodes lose their leases",
    )?;
    ensure(
        config.silence >= 2 * config.ping,
        "silence must be at least twice ping, or idle nodes lose their sockets",
    )?;
    ensure(config.max_sockets >= 1, "max_sockets must be at least 1")?;
    ensure(config.trust.rules.validate().is_ok(), "a rule of trust is outside its range")?;
    let web = |origin: &String| origin.starts_with("http://") || origin.starts_with("https://");
    ensure(config.origin.as_ref().is_none_or(web), "origin must start with http:// or https://")?;
    ensure(
        config.origin.is_some() || !config.listen.ip().is_unspecified(),
        "listening on every address needs origin: the address that nodes and owners use",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE_NAME), text).unwrap();
        Options::read(None, dir.path())
            .and_then(|options| options.config(Path::new("d")))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_file_may_be_missing_unless_it_was_named() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Options::read(None, dir.path()).unwrap(), Options::default());
        let named = dir.path().join("other.toml");
        let missing = Options::read(Some(&named), dir.path()).unwrap_err();
        assert!(missing.to_string().contains("other.toml"));
    }

    #[test]
    fn files() {
        let default = Config::new("d");
        assert_eq!(parse(""), Ok(default.clone()));
        assert_eq!(
            parse("heartbeat = '2s'\nmax_blob_bytes = '1GiB'\norigin = 'https://g.example/'"),
            Ok(Config {
                heartbeat: Duration::from_secs(2),
                max_blob_bytes: 1 << 30,
                origin: Some("https://g.example".into()),
                ..default
            })
        );
        let check = |text: &str, named: &str| {
            let error = parse(text).unwrap_err();
            assert!(error.contains(named), "{error}");
        };
        check("hartbeat = '2s'", "hartbeat");
        check("heartbeat = 2", "heartbeat");
        check("heartbeat = '1m'", "lease_deadline");
        check("ping = '40s'", "silence");
        check("grace = '0s'", "24h");
        check("origin = 'ftp://x'", "origin");
        check("listen = '0.0.0.0:80'", "origin");
        check("max_sockets = 0", "max_sockets");
        check("[trust]\nfaulty_ppm = 500000", "rule of trust");
        check("[trust]\nflor_ppm = 1", "flor_ppm");
        let private = parse(
            "[trust]\ndiversity = false\nreferee = false\nfaulty_ppm = 0\n\
            floor_ppm = 0\nnewcomer = 0\nhold = 0",
        );
        assert_eq!(private.unwrap().trust, TrustConfig::private());
    }
}
