//! Names that people choose: of accounts, teams and sites.

use crate::{Digest, TeamId};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

const LENGTHS: std::ops::RangeInclusive<usize> = 3..=32;
/// Letters to Unicode, but blank: Hangul's fillers.
const BLANK: [char; 4] = ['\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}'];

/// A text that can't be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a name has 3 to 32 characters: letters, digits, single spaces between them, and . _ ' & -"
)]
pub struct ParseNameError;

/// A name that people chose: 3 to 32 letters, digits, `.`, `_`, `'`, `&`, `-`,
/// with single spaces between words; not 32 hexadecimal digits, which are a
/// team's id. Neither controls nor directions nor letters that show nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Name(String);

impl Name {
    /// The id of the team with this name. Names that differ in capitals only
    /// are of the same team.
    pub fn team(&self) -> TeamId {
        let digest = Digest::of(format!("grid-team-v1{}", self.0.to_lowercase()).as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&digest.0[..16]);
        TeamId(id)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        let letter = |c: char| c.is_alphanumeric() && !BLANK.contains(&c);
        let allowed = |c: char| letter(c) || matches!(c, '.' | '_' | '\'' | '&' | '-' | ' ');
        let spaced = !text.starts_with(' ') && !text.ends_with(' ') && !text.contains("  ");
        let fits = text.len() <= 4 * LENGTHS.end() && LENGTHS.contains(&text.chars().count());
        let fine = fits && spaced && text.chars().all(allowed) && text.parse::<TeamId>().is_err();
        if fine { Ok(Self(text.to_owned())) } else { Err(ParseNameError) }
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Name {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "minLength": 3, "maxLength": 32})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for fine in
            ["abc", "Los Ángeles", "数字网", "O'Neil & co.", "x-y_z", "नाम", &"x".repeat(32)]
        {
            assert!(fine.parse::<Name>().is_ok(), "{fine}");
        }
        let long = "a".repeat(33);
        let (id, blank) = ("0f".repeat(16), "\u{3164}".repeat(3));
        let wrong = ["", "ab", &long, " abc", "abc ", "a  b", "a\nb c", "a\u{202e}bc", "<b>x</b>"];
        for wrong in wrong.into_iter().chain([&*id, &*blank]) {
            assert!(wrong.parse::<Name>().is_err(), "{wrong:?}");
        }
        let team = |name: &str| name.parse::<Name>().unwrap().team();
        assert_eq!(team("Red Team"), team("red team"));
        assert_ne!(team("Red Team"), team("redteam"));
    }
}
