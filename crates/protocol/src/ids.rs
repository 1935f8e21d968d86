//! Fixed-size identifiers. All print as lower-case hexadecimal.

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// A text that is not the hexadecimal form of the id asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected {expected} hexadecimal digits")]
pub struct ParseHexError {
    /// Number of digits that the id has.
    pub expected: usize,
}

/// Defines a newtype over `[u8; N]` with hex text, serde (as hex) and CBOR
/// (as a byte string of exactly N bytes).
macro_rules! fixed_bytes {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl FromStr for $name {
            type Err = ParseHexError;
            fn from_str(text: &str) -> Result<Self, ParseHexError> {
                let mut out = [0; $len];
                hex::decode_to_slice(text, &mut out)
                    .map_err(|_| ParseHexError { expected: 2 * $len })?;
                Ok(Self(out))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "description": concat!($len, " bytes, in lower-case hexadecimal."),
                    "type": "string",
                    "pattern": format!("^[0-9a-f]{{{}}}$", 2 * $len),
                })
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: encode::Write>(
                &self,
                e: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
                let at = d.position();
                <[u8; $len]>::try_from(d.bytes()?)
                    .map(Self)
                    .map_err(|_| decode::Error::message("wrong length").at(at))
            }
        }
    };
}
pub(crate) use fixed_bytes;

/// Ids whose text is not secret print it in debug output too.
macro_rules! debug_as_hex {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    )*};
}
pub(crate) use debug_as_hex;

fixed_bytes!(
    /// SHA-256 of some bytes.
    Digest, 32
);
fixed_bytes!(
    /// A lease: 16 random bytes, fresh for each lease, so that a second copy
    /// of a task can't be recognised by it. Not secret: receipts name it.
    LeaseId, 16
);
fixed_bytes!(
    /// What lets the holder of a lease read its blobs and write its output.
    /// Secret between relay and node: never logged, never in a URL.
    LeaseToken, 16
);
fixed_bytes!(
    /// A job: 16 random bytes.
    JobId, 16
);
fixed_bytes!(
    /// A browser: 16 random bytes, by which a relay knows nodes of one browser
    /// on several sites. Personal: kept in no log.
    BrowserId, 16
);
fixed_bytes!(
    /// A campaign: 16 random bytes.
    CampaignId, 16
);
fixed_bytes!(
    /// A team: the beginning of a digest of its name, so that the log names it
    /// and need not hold what people wrote.
    TeamId, 16
);
debug_as_hex!(Digest, LeaseId, JobId, CampaignId, TeamId);

impl fmt::Debug for BrowserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BrowserId(..)")
    }
}

impl fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaseToken(..)")
    }
}

impl Digest {
    /// All zero: "no digest here".
    pub const ZERO: Self = Self([0; 32]);

    /// SHA-256 (FIPS 180-4) of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}
