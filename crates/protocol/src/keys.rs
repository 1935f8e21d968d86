//! Ed25519 keys. Nodes sign with ed25519-compact; with the feature `strict`,
//! ed25519-dalek gives the same bytes faster. Deciding on a signature is
//! [`PublicKey::verify_strict`]: what it accepts, every Ed25519 library accepts.

use crate::ids::{ParseHexError, debug_as_hex, fixed_bytes};
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};
use thiserror::Error;

fixed_bytes!(
    /// An Ed25519 public key: of a node, an account or a relay.
    PublicKey, 32
);
fixed_bytes!(
    /// An Ed25519 signature (RFC 8032).
    Signature, 64
);
debug_as_hex!(PublicKey, Signature);

/// The signature is not one that strict verification accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the signature is not valid for this key and these bytes")]
pub struct SignatureError;

/// A private key. Never printed, never copied to another install.
#[derive(Clone)]
pub struct SigningKey {
    small: ed25519_compact::KeyPair,
    /// The same key for ed25519-dalek, which signs three times as fast: what
    /// carries it for strict verification anyway signs with it too.
    #[cfg(feature = "strict")]
    fast: ed25519_dalek::SigningKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {})", self.public())
    }
}

impl SigningKey {
    /// The key made from 32 random bytes (RFC 8032, 5.1.5).
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self {
            small: ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new(seed)),
            #[cfg(feature = "strict")]
            fast: ed25519_dalek::SigningKey::from_bytes(&seed),
        }
    }

    /// The random bytes it was made from.
    pub fn seed(&self) -> [u8; 32] {
        *self.small.sk.seed()
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(*self.small.pk)
    }

    /// Signs deterministically (RFC 8032): every library gives these bytes.
    pub fn sign(&self, bytes: &[u8]) -> Signature {
        #[cfg(feature = "strict")]
        return Signature(ed25519_dalek::Signer::sign(&self.fast, bytes).to_bytes());
        #[cfg(not(feature = "strict"))]
        self.sign_small(bytes)
    }

    /// Signs with the small library, as nodes in browsers do.
    #[cfg(any(test, not(feature = "strict")))]
    fn sign_small(&self, bytes: &[u8]) -> Signature {
        Signature(*self.small.sk.sign(bytes, None))
    }
}

impl PublicKey {
    /// Verifies as RFC 8032 does, with the small library that nodes carry. For
    /// a node's own use (acks); whoever decides for others uses
    /// `verify_strict`.
    pub fn verify(&self, bytes: &[u8], signature: &Signature) -> Result<(), SignatureError> {
        ed25519_compact::PublicKey::new(self.0)
            .verify(bytes, &ed25519_compact::Signature::new(signature.0))
            .map_err(|_| SignatureError)
    }

    /// Strict verification: canonical encodings of key, R and S, neither key
    /// nor R of small order, and no cofactor (ed25519-dalek's
    /// `verify_strict`, plus the check that the key's encoding is canonical).
    #[cfg(feature = "strict")]
    pub fn verify_strict(&self, bytes: &[u8], signature: &Signature) -> Result<(), SignatureError> {
        if !self.is_canonical() {
            return Err(SignatureError);
        }
        ed25519_dalek::VerifyingKey::from_bytes(&self.0)
            .and_then(|key| {
                key.verify_strict(bytes, &ed25519_dalek::Signature::from_bytes(&signature.0))
            })
            .map_err(|_| SignatureError)
    }

    /// Is the y coordinate below p = 2^255 - 19 (RFC 8032, 5.1.3)?
    #[cfg(feature = "strict")]
    fn is_canonical(&self) -> bool {
        let high = self.0[31] & 0x7f;
        !(high == 0x7f && self.0[1..31].iter().all(|byte| *byte == 0xff) && self.0[0] >= 0xed)
    }
}

#[cfg(all(test, feature = "strict"))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_libraries_sign_alike(seed in any::<[u8; 32]>(), bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let key = SigningKey::from_seed(seed);
            let signature = key.sign(&bytes);
            prop_assert_eq!(signature, key.sign_small(&bytes));
            prop_assert_eq!(key.public().verify_strict(&bytes, &signature), Ok(()));
            prop_assert_eq!(key.public().verify(&bytes, &signature), Ok(()));
        }
    }
}
