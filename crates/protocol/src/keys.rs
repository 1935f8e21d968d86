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

    /// Strict verification, once: see [`StrictKey`].
    #[cfg(feature = "strict")]
    pub fn verify_strict(&self, bytes: &[u8], signature: &Signature) -> Result<(), SignatureError> {
        StrictKey::new(self)?.verify(bytes, signature)
    }
}

/// A public key made ready to decide on many signatures.
///
/// Strict verification: canonical encodings of key, R and S, neither key nor R
/// of small order, and no cofactor. It accepts what ed25519-dalek's
/// `verify_strict` accepts under a key whose encoding is canonical, and takes a
/// quarter less time: the key is decompressed once, and R not at all.
#[cfg(feature = "strict")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StrictKey(ed25519_dalek::VerifyingKey);

#[cfg(feature = "strict")]
impl StrictKey {
    /// Refuses what is no key: not a point, not canonical, of small order.
    pub fn new(public: &PublicKey) -> Result<Self, SignatureError> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&public.0).map_err(|_| SignatureError)?;
        let sound = is_canonical(&public.0) && !key.is_weak();
        if sound { Ok(Self(key)) } else { Err(SignatureError) }
    }

    /// The key's bytes.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.to_bytes())
    }

    /// Verifies strictly.
    pub fn verify(&self, bytes: &[u8], signature: &Signature) -> Result<(), SignatureError> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        if is_small_order(*signature.r_bytes()) {
            return Err(SignatureError);
        }
        // Refuses an S that is not canonical, and compares the bytes of R with
        // the canonical encoding of the point that they must be: R is a point,
        // canonical, and not one of those above.
        ed25519_dalek::Verifier::verify(&self.0, bytes, &signature).map_err(|_| SignatureError)
    }
}

/// y of the points of small order, little-endian: 0, 1, -1, and those of the
/// points of order 8.
#[cfg(feature = "strict")]
const SMALL_ORDER: [[u8; 32]; 5] = {
    let (zero, mut one, mut minus_one) = ([0; 32], [0; 32], [0xff; 32]);
    one[0] = 1;
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    let eighth = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ];
    let minus_eighth = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ];
    [zero, one, minus_one, eighth, minus_eighth]
};

/// Is this the canonical encoding of a point of small order, with either sign?
#[cfg(feature = "strict")]
fn is_small_order(mut point: [u8; 32]) -> bool {
    point[31] &= 0x7f;
    SMALL_ORDER.contains(&point)
}

/// Is the y coordinate below p = 2^255 - 19 (RFC 8032, 5.1.3)?
#[cfg(feature = "strict")]
fn is_canonical(point: &[u8; 32]) -> bool {
    let high = point[31] & 0x7f;
    !(high == 0x7f && point[1..31].iter().all(|byte| *byte == 0xff) && point[0] >= 0xed)
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
