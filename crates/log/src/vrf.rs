//! The verifiable draw: ECVRF-EDWARDS25519-SHA512-TAI (RFC 9381, section 5.5,
//! suite 0x03). Whoever has the secret key can compute the output for an
//! input, nobody else can predict it, and everyone can check it.
//!
//! The key is the relay's Ed25519 seed: one identity signs and draws. That is
//! sound as long as Ed25519 never signs what the draw takes its nonce from:
//! both derive nonces as SHA-512(second half of the expanded seed ‖ message),
//! and the draw's message is an encoded point, exactly 32 bytes. Whatever Grid
//! signs with Ed25519 is longer than 32 bytes: hand-laid bytes begin with a
//! length byte, an ASCII domain and a version, and hold at least one 32-byte
//! key or digest after that; a checkpoint holds a root of 44 characters after
//! its origin and size. Challenges can't be carried over either: the draw's
//! begins with 0x03 0x02 and covers five points, Ed25519's begins with R and
//! the key.

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use curve25519_dalek::traits::{Identity, IsIdentity, VartimeMultiscalarMul};
use grid_protocol::PublicKey;
use sha2::{Digest as _, Sha512};
use std::{fmt, iter};
use thiserror::Error;

const SUITE: u8 = 3;

/// Why a key or a proof is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VrfError {
    /// The key is no point, not canonical, or of small order.
    #[error("not a key to draw with")]
    Key,
    /// The proof is not a canonical point, a challenge and a canonical scalar.
    #[error("not a proof")]
    Malformed,
    /// The proof is not one for this key and input.
    #[error("the proof is of another key or another input")]
    Mismatch,
}

impl VrfError {
    /// A code that stays the same between versions.
    pub fn code(self) -> &'static str {
        match self {
            Self::Key => "vrf_key",
            Self::Malformed => "vrf_malformed",
            Self::Mismatch => "vrf_mismatch",
        }
    }
}

/// A proof that an output is right: 80 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Proof(pub [u8; 80]);

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proof({})", hex::encode(self.0))
    }
}

/// An output: 64 bytes that look random.
pub type Output = [u8; 64];

/// The secret half.
pub struct Prover {
    scalar: Scalar,
    /// What nonces are derived from, beside the message.
    prefix: [u8; 32],
    public: [u8; 32],
}

impl fmt::Debug for Prover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prover(of {})", self.public())
    }
}

impl Prover {
    /// The key made from 32 random bytes, as Ed25519 makes it (RFC 8032,
    /// section 5.1.5).
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let expanded: [u8; 64] = Sha512::digest(seed).into();
        let (low, prefix) = (part(&expanded, 0), part(&expanded, 32));
        // Reduced: everything that it is multiplied with has prime order.
        let scalar = Scalar::from_bytes_mod_order(clamp_integer(low));
        let public = EdwardsPoint::mul_base(&scalar).compress().0;
        Self { scalar, prefix, public }
    }

    /// Its public half, the same as the Ed25519 key's.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.public)
    }

    /// Proves the output for an input (section 5.1). Takes the same time
    /// whatever the key is.
    pub fn prove(&self, input: &[u8]) -> (Proof, Output) {
        let h = encode_to_curve(&self.public, input);
        let h_bytes = h.compress().0;
        let gamma = h * self.scalar;
        let nonce = Sha512::new().chain_update(self.prefix).chain_update(h_bytes).finalize();
        let nonce = Scalar::from_bytes_mod_order_wide(&nonce.into());
        let points = [gamma, EdwardsPoint::mul_base(&nonce), h * nonce, gamma.mul_by_cofactor()];
        let [gamma, u, v, output] = EdwardsPoint::compress_batch(&points);
        let c = challenge(&[&self.public, &h_bytes, &gamma.0, &u.0, &v.0]);
        let s = nonce + scalar_of(&c) * self.scalar;
        let mut proof = [0; 80];
        proof[..32].copy_from_slice(&gamma.0);
        proof[32..48].copy_from_slice(&c);
        proof[48..].copy_from_slice(s.as_bytes());
        (Proof(proof), output_of(&output.0))
    }
}

/// The public half, prepared to check many proofs: 2 MiB, made in about 2 ms.
pub struct Verifier {
    public: [u8; 32],
    base: Multiples,
    minus_public: Multiples,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({})", PublicKey(self.public))
    }
}

impl Verifier {
    /// Prepares a key. It must be a canonical point that is not of small order
    /// (section 5.4.5).
    pub fn new(public: &PublicKey) -> Result<Self, VrfError> {
        let point = decode_point(&public.0).ok_or(VrfError::Key)?;
        if point.is_small_order() {
            return Err(VrfError::Key);
        }
        Ok(Self::prepare(public.0, point))
    }

    fn prepare(public: [u8; 32], point: EdwardsPoint) -> Self {
        let (base, minus_public) = (ED25519_BASEPOINT_POINT, -point);
        Self {
            public,
            base: Multiples::new(base, 32),
            // Challenges have 16 bytes.
            minus_public: Multiples::new(minus_public, 16),
        }
    }

    /// Verifies a proof for an input and gives the output (section 5.3).
    pub fn verify(&self, input: &[u8], proof: &Proof) -> Result<Output, VrfError> {
        let (gamma, c, s) = decode_proof(proof)?;
        let h = encode_to_curve(&self.public, input);
        let u = self.base.times(s.as_bytes()) + self.minus_public.times(&c);
        let v = EdwardsPoint::vartime_multiscalar_mul([s, scalar_of(&c)], [h, -gamma]);
        let [h, u, v, output] = EdwardsPoint::compress_batch(&[h, u, v, gamma.mul_by_cofactor()]);
        // Only one encoding of gamma is accepted: the bytes that were sent.
        if challenge(&[&self.public, &h.0, &part(&proof.0, 0), &u.0, &v.0]) == c {
            Ok(output_of(&output.0))
        } else {
            Err(VrfError::Mismatch)
        }
    }
}

/// For each byte of a scalar the 256 multiples of a fixed point that it selects:
/// a product takes an addition a byte and no doubling, four times as fast as
/// dalek's constant-time tables. For public scalars only.
struct Multiples(Vec<Vec<EdwardsPoint>>);

impl Multiples {
    fn new(point: EdwardsPoint, bytes: usize) -> Self {
        let starts = iter::successors(Some(point), |start| Some(start * Scalar::from(256u16)));
        let row = |start: EdwardsPoint| {
            let zero = EdwardsPoint::identity();
            iter::successors(Some(zero), |last| Some(last + start)).take(256).collect()
        };
        Self(starts.take(bytes).map(row).collect())
    }

    /// The point times a little-endian number of as many bytes.
    fn times(&self, bytes: &[u8]) -> EdwardsPoint {
        self.0.iter().zip(bytes).map(|(row, byte)| &row[usize::from(*byte)]).sum()
    }
}

/// The output that a proof claims (section 5.2): right only for proofs that
/// were verified.
pub fn proof_to_hash(proof: &Proof) -> Result<Output, VrfError> {
    let (gamma, _, _) = decode_proof(proof)?;
    Ok(output_of(&gamma.mul_by_cofactor().compress().0))
}

/// Splits a proof into gamma, challenge and response (section 5.4.4).
fn decode_proof(proof: &Proof) -> Result<(EdwardsPoint, [u8; 16], Scalar), VrfError> {
    let gamma = decode_point(&part(&proof.0, 0)).ok_or(VrfError::Malformed)?;
    let s = Option::from(Scalar::from_canonical_bytes(part(&proof.0, 48)));
    Ok((gamma, part(&proof.0, 32), s.ok_or(VrfError::Malformed)?))
}

/// Hashes the input to a point of prime order by trying counters (section
/// 5.4.1.1, salted with the key). Each try succeeds with probability 1/2: the
/// 256 that there are never run out.
fn encode_to_curve(public: &[u8; 32], input: &[u8]) -> EdwardsPoint {
    let start = Sha512::new().chain_update([SUITE, 1]).chain_update(public).chain_update(input);
    let mut tries = (0..=u8::MAX).filter_map(|counter| {
        let hash = start.clone().chain_update([counter, 0]).finalize();
        Some(decode_point(&part(&hash, 0))?.mul_by_cofactor()).filter(|point| !point.is_identity())
    });
    tries.next().expect("256 hashes that are no points: a chance of 2^-256")
}

/// Reads a point, refusing every encoding but the canonical one (RFC 8032,
/// section 5.1.3): y below p, and no negative zero for x.
fn decode_point(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    let top = bytes[31] & 0x7f;
    let all_ones = top == 0x7f && bytes[1..31].iter().all(|byte| *byte == 0xff);
    let not_below_p = all_ones && bytes[0] >= 0xed;
    // x is zero where y is 1 or -1.
    let one = top == 0 && bytes[1..31].iter().all(|byte| *byte == 0) && bytes[0] == 1;
    let minus_one = all_ones && bytes[0] == 0xec;
    let negative_zero = bytes[31] & 0x80 != 0 && (one || minus_one);
    if not_below_p || negative_zero { None } else { CompressedEdwardsY(*bytes).decompress() }
}

/// Section 5.4.3: over key, H, gamma, U and V.
fn challenge(points: &[&[u8; 32]; 5]) -> [u8; 16] {
    let start = Sha512::new().chain_update([SUITE, 2]);
    let hash = points.iter().fold(start, |hash, point| hash.chain_update(point));
    let mut c = [0; 16];
    c.copy_from_slice(&hash.chain_update([0]).finalize()[..16]);
    c
}

/// Section 5.2: from the point gamma times the cofactor.
fn output_of(point: &[u8; 32]) -> Output {
    Sha512::new().chain_update([SUITE, 3]).chain_update(point).chain_update([0]).finalize().into()
}

fn scalar_of(c: &[u8; 16]) -> Scalar {
    Scalar::from(u128::from_le_bytes(*c))
}

/// The `N` bytes from `at`, which every caller knows to be there.
fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 9381, appendix B.3: secret key, public key, input, H, proof, output.
    const EXAMPLES: [[&str; 6]; 3] = [
        [
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "91bbed02a99461df1ad4c6564a5f5d829d0b90cfc7903e7a5797bd658abf3318",
            "8657106690b5526245a92b003bb079ccd1a92130477671f6fc01ad16f26f723f\
             26f8a57ccaed74ee1b190bed1f479d9727d2d0f9b005a6e456a35d4fb0daab12\
             68a1b0db10836d9826a528ca76567805",
            "90cf1df3b703cce59e2a35b925d411164068269d7b2d29f3301c03dd757876ff\
             66b71dda49d2de59d03450451af026798e8f81cd2e333de5cdf4f3e140fdd8ae",
        ],
        [
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "5b659fc3d4e9263fd9a4ed1d022d75eaacc20df5e09f9ea937502396598dc551",
            "f3141cd382dc42909d19ec5110469e4feae18300e94f304590abdced48aed593\
             3bf0864a62558b3ed7f2fea45c92a465301b3bbf5e3e54ddf2d935be3b67926d\
             a3ef39226bbc355bdc9850112c8f4b02",
            "eb4440665d3891d668e7e0fcaf587f1b4bd7fbfe99d0eb2211ccec90496310eb\
             5e33821bc613efb94db5e5b54c70a848a0bef4553a41befc57663b56373a5031",
        ],
        [
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "bf4339376f5542811de615e3313d2b36f6f53c0acfebb482159711201192576a",
            "9bc0f79119cc5604bf02d23b4caede71393cedfbb191434dd016d30177ccbf80\
             96bb474e53895c362d8628ee9f9ea3c0e52c7a5c691b6c18c9979866568add7a\
             2d41b00b05081ed0f58ee5e31b3a970e",
            "645427e5d00c62a23fb703732fa5d892940935942101e456ecca7bb217c61c45\
             2118fec1219202a0edcf038bb6373241578be7217ba85a2687f7a0310b2df19f",
        ],
    ];

    fn array<const N: usize>(hex: &str) -> [u8; N] {
        hex::decode(hex).unwrap().try_into().unwrap()
    }

    #[test]
    fn the_rfcs_examples() {
        for [secret, public, input, h, proof, output] in EXAMPLES {
            let prover = Prover::from_seed(array(secret));
            let input = hex::decode(input).unwrap();
            assert_eq!(prover.public().to_string(), public);
            assert_eq!(hex::encode(encode_to_curve(&prover.public, &input).compress().0), h);
            let (made, drawn) = prover.prove(&input);
            assert_eq!(hex::encode(made.0), proof);
            assert_eq!(hex::encode(drawn), output);
            let verifier = Verifier::new(&prover.public()).unwrap();
            assert_eq!(verifier.verify(&input, &made), Ok(drawn));
            assert_eq!(proof_to_hash(&made), Ok(drawn));
        }
    }

    #[test]
    fn the_key_is_the_ed25519_key_of_the_seed() {
        let public = grid_protocol::SigningKey::from_seed([7; 32]).public();
        assert_eq!(Prover::from_seed([7; 32]).public(), public);
    }

    proptest! {
        // Each case prepares verifiers, which takes a while without optimisation.
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn only_the_proof_of_key_and_input_verifies(
            seed: [u8; 32],
            other: [u8; 32],
            input in proptest::collection::vec(any::<u8>(), 0..80),
            bit in 0usize..640,
        ) {
            prop_assume!(seed != other);
            let prover = Prover::from_seed(seed);
            let verifier = Verifier::new(&prover.public()).unwrap();
            let (proof, output) = prover.prove(&input);
            prop_assert_eq!(verifier.verify(&input, &proof), Ok(output));

            let stranger = Verifier::new(&Prover::from_seed(other).public()).unwrap();
            prop_assert_eq!(stranger.verify(&input, &proof), Err(VrfError::Mismatch));
            let longer = [input.as_slice(), &[0]].concat();
            prop_assert_eq!(verifier.verify(&longer, &proof), Err(VrfError::Mismatch));
            let mut altered = proof;
            altered.0[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(verifier.verify(&input, &altered).is_err());
        }

        #[test]
        fn any_bytes_are_refused_without_panic(key: [u8; 32], low: [u8; 32], high: [u8; 32]) {
            let mut proof = Proof([0; 80]);
            proof.0[..32].copy_from_slice(&low);
            proof.0[48..].copy_from_slice(&high);
            let _ = proof_to_hash(&proof);
            if let Ok(verifier) = Verifier::new(&PublicKey(key)) {
                prop_assert!(verifier.verify(b"input", &proof).is_err());
            }
        }
    }

    #[test]
    fn every_bit_of_a_proof_counts() {
        let prover = Prover::from_seed([1; 32]);
        let verifier = Verifier::new(&prover.public()).unwrap();
        let (proof, _) = prover.prove(b"input");
        for bit in 0..640 {
            let mut altered = proof;
            altered.0[bit / 8] ^= 1 << (bit % 8);
            assert!(verifier.verify(b"input", &altered).is_err(), "bit {bit}");
        }
    }

    /// The eight points of small order, and every other encoding of them that
    /// a lax decoder takes.
    #[test]
    fn small_order_and_non_canonical_keys_are_refused() {
        let [top, p] = [
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ];
        for hex in [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            "0100000000000000000000000000000000000000000000000000000000000080",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            top,
            p,
        ] {
            assert_eq!(Verifier::new(&PublicKey(array(hex))).err(), Some(VrfError::Key), "{hex}");
        }
    }

    /// y = p + 3 decodes to a point of large order in dalek.
    #[test]
    fn non_canonical_points_are_refused() {
        let mut lax = 0;
        for low in 0xed..=0xffu8 {
            for top in [0x7f, 0xff] {
                let mut bytes = [0xff; 32];
                (bytes[0], bytes[31]) = (low, top);
                lax += usize::from(CompressedEdwardsY(bytes).decompress().is_some());
                assert!(decode_point(&bytes).is_none());
                let mut proof = Prover::from_seed([1; 32]).prove(b"").0;
                proof.0[..32].copy_from_slice(&bytes);
                assert_eq!(proof_to_hash(&proof), Err(VrfError::Malformed));
            }
        }
        assert!(lax > 10, "dalek takes what we must refuse ({lax})");
    }

    /// What small-order keys would allow: gamma the identity, and one output
    /// for every input. The forged proof is sound in every other respect.
    #[test]
    fn a_forged_proof_needs_a_key_that_is_refused() {
        let mut public = [0; 32];
        public[0] = 1;
        let h = encode_to_curve(&public, b"input");
        let nonce = Scalar::from(12345u64);
        let identity = public;
        let (u, v) = (EdwardsPoint::mul_base(&nonce).compress(), (h * nonce).compress());
        let c = challenge(&[&public, &h.compress().0, &identity, &u.0, &v.0]);
        let mut proof = Proof([0; 80]);
        proof.0[..32].copy_from_slice(&identity);
        proof.0[32..48].copy_from_slice(&c);
        proof.0[48..].copy_from_slice(nonce.as_bytes());
        let key = CompressedEdwardsY(public).decompress().unwrap();
        let lax = Verifier::prepare(public, key);
        assert!(lax.verify(b"input", &proof).is_ok(), "the forgery must be sound to show anything");
        assert_eq!(Verifier::new(&PublicKey(public)).err(), Some(VrfError::Key));
    }

    /// s + q is the same scalar in other bytes.
    #[test]
    fn a_response_is_canonical() {
        const Q: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
        let prover = Prover::from_seed([2; 32]);
        let (mut proof, _) = prover.prove(b"input");
        let mut carry = 0u16;
        for (byte, q) in proof.0[48..].iter_mut().zip(array::<32>(Q)) {
            carry += u16::from(*byte) + u16::from(q);
            *byte = carry as u8;
            carry >>= 8;
        }
        let verifier = Verifier::new(&prover.public()).unwrap();
        assert_eq!(verifier.verify(b"input", &proof), Err(VrfError::Malformed));
    }
}
