//! Where relay and owner key come from: flags, environment, then the file
//! that `grid login` writes.

use crate::args::Global;
use crate::failure::{Exit, Failure, KEY_HINT};
use crate::files::{read_bounded, write_private};
use crate::ui;
use grid_client::{Client, OwnerKey, is_loopback};
use grid_protocol::PublicKey;
use serde::{Deserialize, Serialize};
use std::{env, io, path::PathBuf};

/// The relay when none is named anywhere.
pub(crate) const DEFAULT_RELAY: &str = "http://127.0.0.1:8090";
/// Largest configuration or key file.
const MAX_FILE: u64 = 64 << 10;

/// The configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The relay's address.
    pub(crate) relay: Option<String>,
    /// The relay's public key, as it was at login.
    pub(crate) relay_key: Option<PublicKey>,
    /// The owner key. Sent to `relay` and nowhere else.
    pub(crate) key: Option<String>,
}

impl Config {
    /// `$XDG_CONFIG_HOME/grid/config.toml`, else `~/.config/grid/config.toml`.
    pub(crate) fn path() -> Option<PathBuf> {
        // The XDG specification: a path that is not absolute is ignored.
        let xdg = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
        let home = || env::var_os("HOME").filter(|home| !home.is_empty());
        let base = xdg.or_else(|| home().map(|home| PathBuf::from(home).join(".config")));
        base.map(|base| base.join("grid").join("config.toml"))
    }

    /// Reads the file; an empty configuration where there is none.
    pub(crate) fn load() -> Result<Self, Failure> {
        let Some(path) = Self::path() else { return Ok(Self::default()) };
        let text = match read_bounded(&path, MAX_FILE) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Failure::file("read", &path, &error)),
        };
        toml::from_str(&text).map_err(|error| {
            // Only the message: the text around it may hold the key.
            let message = format!("{} is not as it should be: {}", path.display(), error.message());
            Failure::new(Exit::Failed, "bad_config", message)
                .hint("run `grid login` to write it anew")
        })
    }

    /// Writes the file, readable by its owner only; gives back its path.
    pub(crate) fn store(&self) -> Result<PathBuf, Failure> {
        let path = Self::path().ok_or_else(|| {
            Failure::new(Exit::Failed, "no_home", "there is no place for the configuration file")
                .hint("set HOME or XDG_CONFIG_HOME")
        })?;
        let text = toml::to_string(self).expect("three texts are always TOML");
        write_private(&path, text.as_bytes())
            .map_err(|error| Failure::file("write", &path, &error))?;
        Ok(path)
    }
}

/// The relay to talk to and what is known of it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Client,
    /// The key that the relay had at login.
    pinned: Option<PublicKey>,
}

/// Address of the relay to use, and whether it is the one logged in to.
pub(crate) fn relay(global: &Global, config: &Config) -> (String, bool) {
    let trim = |url: &str| url.trim().trim_end_matches('/').to_owned();
    let stored = config.relay.as_deref().map(trim);
    let relay = global.relay.as_deref().filter(|url| !url.trim().is_empty()).map(trim);
    let relay = relay.or_else(|| stored.clone()).unwrap_or_else(|| DEFAULT_RELAY.into());
    let known = stored.is_some_and(|stored| stored == relay);
    (relay, known)
}

/// The owner key from `--key-file` or GRID_KEY.
pub(crate) fn given_key(global: &Global) -> Result<Option<String>, Failure> {
    if let Some(path) = &global.key_file {
        let bytes = read_bounded(path, MAX_FILE)
            .map_err(|error| Failure::file("read the owner key from", path, &error))?;
        return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
    }
    Ok(env::var("GRID_KEY").ok().filter(|key| !key.trim().is_empty()))
}

/// Warns where an owner key would cross a network that anyone can listen to.
pub(crate) fn warn_when_open(relay: &str) {
    if relay.starts_with("http:") && !is_loopback(relay) {
        ui::warn(&format!("{relay} is not encrypted: others on the way can read your owner key"));
    }
}

impl Session {
    /// The relay and the key to use.
    pub(crate) fn open(global: &Global) -> Result<Self, Failure> {
        let config = Config::load()?;
        let (relay, known) = relay(global, &config);
        let stored = config.key.filter(|_| known);
        let key = given_key(global)?.or(stored).ok_or_else(|| {
            let message = format!("there is no owner key for {relay}");
            Failure::new(Exit::Refused, "no_key", message).hint(KEY_HINT)
        })?;
        if !global.json {
            warn_when_open(&relay);
        }
        let client = Client::new(&relay, OwnerKey::new(&key)?)?;
        Ok(Self { client, pinned: config.relay_key.filter(|_| known) })
    }

    /// The relay's public key; an error when it is not the one it had at
    /// login.
    pub(crate) async fn relay_key(&self) -> Result<PublicKey, Failure> {
        let now = self.client.network().await?.relay;
        match self.pinned {
            Some(pinned) if pinned != now => {
                let relay = self.client.relay();
                let message = format!("{relay} has another key than when you logged in: {now}");
                Err(Failure::new(Exit::NotVerified, "relay_changed", message)
                    .hint("if its operator says that this is right, run `grid login` again"))
            }
            _ => Ok(now),
        }
    }
}
