//! What the parts reach alone, on one core: the rate can't be better.

use grid_protocol::{Digest, PublicKey, Signature, SignatureError, SigningKey};
use serde::Serialize;
use std::hint::black_box;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Serialize)]
pub(super) struct Limits {
    /// Strict verifications a second on one core: one for each receipt.
    verify_strict_per_s: f64,
    /// The same with the small library that nodes carry.
    verify_small_per_s: f64,
    /// Signatures a second on one core: one for each receipt, one for each
    /// acknowledgement.
    sign_per_s: f64,
    /// SHA-256 of 200 bytes, a second on one core.
    sha256_200_per_s: f64,
}

type Verify = fn(&PublicKey, &[u8], &Signature) -> Result<(), SignatureError>;

pub(super) fn measure() -> Limits {
    let key = SigningKey::from_seed([1; 32]);
    let (public, bytes) = (key.public(), [7u8; 200]);
    let signature = key.sign(&bytes);
    let verify = |verify: Verify| per_second(|| verify(&public, black_box(&bytes), &signature));
    Limits {
        verify_strict_per_s: verify(PublicKey::verify_strict),
        verify_small_per_s: verify(PublicKey::verify),
        sign_per_s: per_second(|| key.sign(black_box(&bytes))),
        sha256_200_per_s: per_second(|| Digest::of(black_box(&bytes))),
    }
}

fn per_second<T>(mut once: impl FnMut() -> T) -> f64 {
    const TIME: Duration = Duration::from_millis(500);
    let start = Instant::now();
    let mut count = 0u64;
    while start.elapsed() < TIME {
        for _ in 0..64 {
            black_box(once());
        }
        count += 64;
    }
    count as f64 / start.elapsed().as_secs_f64()
}
