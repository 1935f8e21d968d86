//! Operators' keys: a file in the data directory, which commands write and a
//! running relay reads. It holds their SHA-256 only.

use crate::core::random;
use crate::operator::{OperatorError, read_list, write_list};
use crate::server::RelayError;
use crate::state::unix_ms;
use base64::Engine as _;
use grid_protocol::Digest;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Name of the file in the data directory.
const FILE: &str = "operators.json";
/// Longest name, in bytes.
const MAX_NAME: usize = 64;

/// An operator's key, without the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorKey {
    /// Whose it is: 1 to 64 letters, digits, `.`, `_` or `-`.
    pub name: String,
    /// SHA-256 of the key's text.
    pub hash: Digest,
    /// When it was made: milliseconds since 1970-01-01 UTC.
    pub created_ms: u64,
}

/// A new key for this operator, which is stored nowhere. A relay that runs
/// takes it at once.
pub fn add_operator(data_dir: &Path, name: &str) -> Result<String, RelayError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(allowed) {
        return Err(OperatorError::Name.into());
    }
    let mut keys = operators(data_dir)?;
    if keys.iter().any(|key| key.name == name) {
        return Err(OperatorError::KeyStands(name.to_owned()).into());
    }
    let secret = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random::<32>());
    let key = format!("gridop_{secret}");
    let hash = Digest::of(key.as_bytes());
    keys.push(OperatorKey { name: name.to_owned(), hash, created_ms: unix_ms() });
    save(data_dir, &keys)?;
    Ok(key)
}

/// Ends an operator's key, at once.
pub fn revoke_operator(data_dir: &Path, name: &str) -> Result<(), RelayError> {
    let mut keys = operators(data_dir)?;
    let before = keys.len();
    keys.retain(|key| key.name != name);
    if keys.len() == before {
        return Err(OperatorError::NoSuchKey(name.to_owned()).into());
    }
    save(data_dir, &keys)
}

/// Every operator's key, in the order in which they were made.
pub fn operators(data_dir: &Path) -> Result<Vec<OperatorKey>, RelayError> {
    read_list(&data_dir.join(FILE))
}

fn save(data_dir: &Path, keys: &[OperatorKey]) -> Result<(), RelayError> {
    write_list(&data_dir.join(FILE), 0o600, keys)
}

/// The keys that a running relay takes.
#[derive(Debug, Clone)]
pub(crate) struct Operators(PathBuf);

impl Operators {
    pub(crate) fn of(data_dir: &Path) -> Self {
        Self(data_dir.to_owned())
    }

    /// Whose key this is. Blocks: the file is read each time, so that a revoked
    /// key ends with the command. Takes the same time whichever key it is.
    pub(crate) fn name_of(&self, key: &str) -> Result<Option<String>, RelayError> {
        let hash = Digest::of(key.as_bytes());
        let mut found = None;
        for known in operators(&self.0)? {
            let differ = known.hash.0.iter().zip(hash.0).fold(0, |differ, (a, b)| differ | (a ^ b));
            if differ == 0 {
                found = Some(known.name);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_holds_until_it_is_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let known = Operators::of(dir.path());
        assert_eq!(known.name_of("gridop_x").unwrap(), None, "there is no file yet");
        let ada = add_operator(dir.path(), "ada").unwrap();
        let bob = add_operator(dir.path(), "bob").unwrap();
        assert!(ada.starts_with("gridop_") && ada.len() == 7 + 43 && ada != bob);
        assert_eq!(known.name_of(&ada).unwrap().as_deref(), Some("ada"));
        assert_eq!(known.name_of(&bob).unwrap().as_deref(), Some("bob"));
        assert_eq!(known.name_of(&ada[..49]).unwrap(), None);
        assert_eq!(known.name_of("").unwrap(), None);
        revoke_operator(dir.path(), "ada").unwrap();
        assert_eq!(known.name_of(&ada).unwrap(), None);
        assert_eq!(known.name_of(&bob).unwrap().as_deref(), Some("bob"));
        let path = dir.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!fs::read_to_string(path).unwrap().contains(&bob[7..]));
    }

    #[test]
    fn what_can_be_no_operator_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["", "a b", "ä", &"x".repeat(65)] {
            assert!(add_operator(dir.path(), name).is_err(), "{name:?}");
        }
        add_operator(dir.path(), "ada").unwrap();
        assert!(add_operator(dir.path(), "ada").is_err(), "revoke it first");
        assert!(revoke_operator(dir.path(), "bob").is_err());
        fs::write(dir.path().join(FILE), "[{}]").unwrap();
        assert!(Operators::of(dir.path()).name_of("x").is_err());
    }
}
