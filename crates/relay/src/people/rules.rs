//! The file of the rules of rewards, which the operator edits.

use crate::config::ConfigError;
use grid_ledger::RewardRules;
use std::io;
use std::path::Path;

/// Name of the file in the data directory that is read when none is named.
pub const REWARDS_FILE: &str = "rewards.toml";

/// Reads the rules from the file `named`, or else from `rewards.toml` in the
/// data directory; `None` where that isn't there.
pub(crate) fn read_rewards(
    named: Option<&Path>,
    data_dir: &Path,
) -> Result<Option<RewardRules>, ConfigError> {
    let usual = data_dir.join(REWARDS_FILE);
    let path = named.unwrap_or(&usual);
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(source) => return Err(ConfigError::Read { path: path.into(), source }),
    };
    let bad = |source| ConfigError::Parse { path: path.into(), source: Box::new(source) };
    let rules: RewardRules = toml::from_str(&text).map_err(bad)?;
    rules.validate().map_err(ConfigError::Rewards)?;
    Ok(Some(rules))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file() {
        let dir = tempfile::tempdir().unwrap();
        let read = |named: Option<&str>| {
            let named = named.map(|name| dir.path().join(name));
            read_rewards(named.as_deref(), dir.path()).map_err(|error| error.to_string())
        };
        assert_eq!(read(None), Ok(None));
        assert!(read(Some("other.toml")).unwrap_err().contains("other.toml"));
        let write = |text: &str| std::fs::write(dir.path().join(REWARDS_FILE), text).unwrap();
        write("invitation_ppm = 1000\nsite_ppm = 900000");
        let expect =
            RewardRules { invitation_ppm: 1000, site_ppm: 900_000, ..RewardRules::default() };
        assert_eq!(read(None), Ok(Some(expect)));
        assert_eq!(read(Some(REWARDS_FILE)), Ok(Some(expect)));
        for (text, named) in [
            ("invitation_pm = 1", "invitation_pm"),
            ("availability_cap_ppm = 200000", "availability_cap_ppm"),
            ("site_ppm = -1", "rewards.toml"),
        ] {
            write(text);
            let error = read(None).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
        // What the command prints is a file that says the same.
        let text = toml::to_string(&expect).unwrap();
        write(&text);
        assert_eq!(read(None), Ok(Some(expect)));
    }
}
