//! Sites whose pages may hold the widget: those that the operator lists in a
//! file of the data directory, which commands write and a running relay
//! follows; and those that an account made an invitation for.

use crate::core::random;
use crate::error::AppError;
use crate::operator::{OperatorError, read_list, write_list};
use crate::server::RelayError;
use crate::store::people::{self, CodeRow};
use crate::store::{Reads, StoreError};
use grid_protocol::entry::InvitationKind;
use grid_protocol::{InvitationCode, PublicKey};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Name of the file in the data directory.
const FILE: &str = "sites.json";
/// How long a running relay goes by what it last read.
const FRESH: Duration = Duration::from_secs(1);
/// Letters of a key, none of which is taken for another.
const LETTERS: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";
/// Letters in a key: 80 bits.
const KEY: usize = 16;
/// Longest name of a site, in characters.
const MAX_NAME: usize = 64;
/// Origins that one site may have.
const MAX_ORIGINS: usize = 32;

/// A site that may hold the widget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// What its pages name it by: public, 16 letters and digits.
    pub key: String,
    /// What visitors are told of who asks them.
    pub name: String,
    /// Origins whose pages may hold the widget.
    pub origins: Vec<String>,
    /// The account that gets its share of what visitors earn; a site of the
    /// operator's list has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<PublicKey>,
}

/// Lists a site. A relay that runs knows it a second later.
pub fn add_site(data_dir: &Path, name: &str, origins: &[String]) -> Result<Site, RelayError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(OperatorError::SiteName.into());
    }
    if !(1..=MAX_ORIGINS).contains(&origins.len()) {
        return Err(OperatorError::SiteOrigins.into());
    }
    let origins = origins
        .iter()
        .map(|text| origin(text).ok_or_else(|| OperatorError::SiteOrigin(text.clone())))
        .collect::<Result<_, _>>()?;
    let letters = random::<KEY>().map(|byte| LETTERS[usize::from(byte) % LETTERS.len()]);
    let key = letters.iter().map(|letter| char::from(*letter)).collect();
    let site = Site { key, name: name.to_owned(), origins, account: None };
    let mut all = sites(data_dir)?;
    all.push(site.clone());
    save(data_dir, &all)?;
    Ok(site)
}

/// Ends a site: its pages can't hold the widget from then on.
pub fn remove_site(data_dir: &Path, key: &str) -> Result<(), RelayError> {
    let mut all = sites(data_dir)?;
    let before = all.len();
    all.retain(|site| site.key != key);
    if all.len() == before {
        return Err(OperatorError::NoSuchSite.into());
    }
    save(data_dir, &all)
}

/// Every site, in the order in which they came.
pub fn sites(data_dir: &Path) -> Result<Vec<Site>, RelayError> {
    read_list(&data_dir.join(FILE))
}

fn save(data_dir: &Path, all: &[Site]) -> Result<(), RelayError> {
    write_list(&data_dir.join(FILE), 0o644, all)
}

/// An origin as browsers write it: `https://` or `http://`, a host, perhaps a
/// port that isn't the scheme's own. Nothing that could end a source in a
/// content policy passes.
pub(crate) fn origin(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let (scheme, rest) = text.split_once("://")?;
    let own_port = match scheme {
        "https" => 443u16,
        "http" => 80,
        _ => return None,
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse::<u16>().ok()?)),
        _ => (authority, None),
    };
    let name = |host: &str| {
        host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
    };
    let v6 = |host: &str| {
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
    };
    if host.is_empty() || host.len() > 253 || !(name(host) || v6(host)) || port == Some(0) {
        return None;
    }
    Some(match port.filter(|port| *port != own_port) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

/// The list, as a running relay follows it.
#[derive(Debug)]
pub(super) struct Sites {
    data_dir: PathBuf,
    reads: Reads,
    read: Mutex<Option<(Instant, Arc<[Site]>)>>,
}

/// The site that an account made an invitation for.
fn invited(db: &Connection, key: &str) -> Result<Option<Site>, StoreError> {
    let Ok(code) = key.parse::<InvitationCode>() else { return Ok(None) };
    let found = people::code(db, code.digest())?;
    Ok(found.filter(|row| row.made.kind == InvitationKind::Site).map(
        |CodeRow { account, made }| {
            let name = made.name.map_or_else(|| account.to_string(), |name| name.to_string());
            let origins = made.origins.iter().filter_map(|text| origin(text)).collect();
            Site { key: made.code.to_string(), name, origins, account: Some(account) }
        },
    ))
}

impl Sites {
    pub(super) fn new(data_dir: &Path, reads: Reads) -> Self {
        Self { data_dir: data_dir.to_owned(), reads, read: Mutex::default() }
    }

    /// The site with this key: of the operator's list, or of an account's
    /// invitations.
    pub(super) async fn find(&self, key: String) -> Result<Site, AppError> {
        if let Some(site) = self.listed(&key) {
            return Ok(site);
        }
        let invited = self.reads.run(move |db| invited(db, &key)).await?;
        invited.ok_or_else(AppError::not_found)
    }

    fn listed(&self, key: &str) -> Option<Site> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let all = match &*read {
            Some((at, all)) if at.elapsed() < FRESH => all.clone(),
            before => {
                // A list that can't be read leaves the one before in force.
                let all = sites(&self.data_dir).map(Arc::from).unwrap_or_else(|error| {
                    tracing::error!(%error, "the list of sites can't be read");
                    before.as_ref().map(|(_, all)| all.clone()).unwrap_or_default()
                });
                *read = Some((Instant::now(), all.clone()));
                all
            }
        };
        drop(read);
        all.iter().find(|site| site.key == key).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn origins_are_written_one_way() {
        let check = |text: &str, expected| assert_eq!(origin(text).as_deref(), expected, "{text}");
        check(" HTTPS://Shop.Example/ ", Some("https://shop.example"));
        check("https://shop.example:443", Some("https://shop.example"));
        check("http://localhost:8080", Some("http://localhost:8080"));
        check("http://[::1]:81", Some("http://[::1]:81"));
        check("http://[::1]", Some("http://[::1]"));
        for text in [
            "",
            "shop.example",
            "https://",
            "ftp://a",
            "https://a/b",
            "https://a b",
            "https://*.a",
            "https://a;script-src",
            "https://a,b",
            "https://a:0",
            "https://a:x",
            "https://a?b",
            "https://me@a",
            "https://[x]",
            "'none'",
            "https://a\n",
        ] {
            // A line's end at the end is a blank, as any other.
            let expected = if text.ends_with('\n') { Some("https://a") } else { None };
            check(text, expected);
        }
    }

    #[test]
    fn a_list_is_kept_and_followed() {
        let folder = tempfile::tempdir().unwrap();
        let reads = Reads::new(&folder.path().join("none"));
        let following = Sites::new(folder.path(), reads);
        let origins = ["https://shop.example/".to_owned()];
        let shop = add_site(folder.path(), " A shop ", &origins).unwrap();
        assert_eq!((shop.name.as_str(), shop.key.len()), ("A shop", KEY));
        assert!(shop.key.bytes().all(|byte| LETTERS.contains(&byte)));
        let other = add_site(folder.path(), "Another", &origins).unwrap();
        assert_ne!(shop.key, other.key);
        assert_eq!(sites(folder.path()).unwrap(), [shop.clone(), other.clone()]);
        assert_eq!(following.listed(&shop.key), Some(shop.clone()));
        assert_eq!(following.listed("x"), None);
        // A list that somebody broke leaves the last one that was read.
        *following.read.lock().unwrap() =
            Some((Instant::now() - 2 * FRESH, Arc::from([shop.clone()])));
        fs::write(folder.path().join(FILE), "{").unwrap();
        assert_eq!(following.listed(&shop.key), Some(shop.clone()));
        save(folder.path(), &[shop.clone(), other]).unwrap();
        remove_site(folder.path(), &shop.key).unwrap();
        assert!(remove_site(folder.path(), &shop.key).is_err());
        assert_eq!(sites(folder.path()).unwrap().len(), 1);
    }

    #[test]
    fn bad_sites_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let check = |name: &str, origins: &[&str]| {
            let origins: Vec<_> = origins.iter().map(|text| (*text).to_owned()).collect();
            assert!(add_site(folder.path(), name, &origins).is_err(), "{name:?} {origins:?}");
        };
        check("", &["https://a"]);
        check("a\u{7}", &["https://a"]);
        check(&"a".repeat(65), &["https://a"]);
        check("a", &[]);
        check("a", &["https://a", "b"]);
        check("a", &["https://a"; 33]);
        assert!(sites(folder.path()).unwrap().is_empty());
    }
}
