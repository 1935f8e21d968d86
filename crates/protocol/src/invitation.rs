//! Invitation codes.

use crate::Digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Crockford's base 32: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 12;

/// A text that is not an invitation code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an invitation code has 12 letters and digits")]
pub struct ParseCodeError;

/// An invitation code: 12 characters that are hard to mistake, 60 bits. Read
/// from what people type: capitals, hyphens, and o, i, l for 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InvitationCode([u8; LENGTH]);

impl InvitationCode {
    /// Made of random bytes: the lower 5 bits of each.
    pub fn new(random: [u8; LENGTH]) -> Self {
        Self(random.map(|byte| ALPHABET[usize::from(byte & 31)]))
    }

    /// What the log calls it: SHA-256 of `grid-invitation-v1` and the text.
    pub fn digest(&self) -> Digest {
        Digest::of(&[b"grid-invitation-v1", &self.0[..]].concat())
    }
}

impl fmt::Display for InvitationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{}", char::from(*byte)))
    }
}

impl FromStr for InvitationCode {
    type Err = ParseCodeError;

    fn from_str(text: &str) -> Result<Self, ParseCodeError> {
        let mut code = [0; LENGTH];
        let mut length = 0;
        for byte in text.trim().bytes().filter(|byte| *byte != b'-') {
            let byte = match byte.to_ascii_lowercase() {
                b'o' => b'0',
                b'i' | b'l' => b'1',
                byte => byte,
            };
            let place = code.get_mut(length).ok_or(ParseCodeError)?;
            *place = *ALPHABET.iter().find(|one| **one == byte).ok_or(ParseCodeError)?;
            length += 1;
        }
        if length == LENGTH { Ok(Self(code)) } else { Err(ParseCodeError) }
    }
}

impl Serialize for InvitationCode {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for InvitationCode {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for InvitationCode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "InvitationCode".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[0-9a-hjkmnp-tv-z]{12}$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codes_are_read_as_people_type_them() {
        let code: InvitationCode = "0123-ABCD-wxyz".parse().unwrap();
        assert_eq!(code.to_string(), "0123abcdwxyz");
        assert_eq!("oI2l3-abcd-wxy".parse(), Ok(InvitationCode(*b"01213abcdwxy")));
        assert_eq!(
            code.digest().to_string(),
            Digest::of(b"grid-invitation-v10123abcdwxyz").to_string()
        );
        for wrong in ["", "0123abcdwxy", "0123abcdwxyzz", "0123abcdwxyu", "0123abcdwxy\u{e9}"] {
            assert_eq!(wrong.parse::<InvitationCode>(), Err(ParseCodeError), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn text_and_back(random: [u8; LENGTH], text in ".{0,40}") {
            let code = InvitationCode::new(random);
            prop_assert_eq!(code.to_string().parse(), Ok(code));
            prop_assert!(code.to_string().len() <= crate::limits::MAX_INVITATION);
            let _ = text.parse::<InvitationCode>();
        }
    }
}
