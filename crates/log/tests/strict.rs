//! Keys and signatures that lax verification takes and ours refuses, whatever
//! they sign: small-order and non-canonical keys and R, R that is off by a
//! small-order point, S that is too large. Each forgery is shown to satisfy
//! the lax equation first; docs/protocol.md has the rule.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as BASE, EIGHT_TORSION};
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::traits::IsIdentity;
use curve25519_dalek::{EdwardsPoint, Scalar};
use grid_log::checkpoint::{CheckpointError, UnverifiedCheckpoint};
use grid_log::note::{KeyKind, Note, NoteError, VerifierKey};
use grid_protocol::{
    Delegation, Digest, ExitReason, LeaseId, PublicKey, ReceiptBody, Signature, UnverifiedReceipt,
    join_bytes,
};
use sha2::{Digest as _, Sha512};

const NEUTRAL: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
};

/// The group's order, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Encodings with y from p to 2^255 - 1, or x = 0 with a sign, that are those
/// of a point: none is canonical.
fn non_canonical() -> Vec<[u8; 32]> {
    let mut all = Vec::new();
    for top in [0x7f, 0xff] {
        for low in 0xed..=0xffu8 {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (low, top);
            all.push(bytes);
        }
    }
    let (mut one, mut minus_one) = (NEUTRAL, [0xff; 32]);
    one[31] = 0x80;
    minus_one[0] = 0xec;
    all.extend([one, minus_one]);
    all.retain(|bytes| point(bytes).is_some());
    all
}

/// Every encoding of the eight points of small order.
fn small_order() -> Vec<[u8; 32]> {
    let mut all: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|point| point.compress().0).collect();
    all.extend(non_canonical().into_iter().filter(|bytes| point(bytes).unwrap().is_small_order()));
    assert_eq!(all.len(), 14);
    all
}

/// Decodes as lax libraries do.
fn point(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    CompressedEdwardsY(*bytes).decompress()
}

fn challenge(r: &[u8; 32], key: &[u8; 32], message: &[u8]) -> Scalar {
    let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(message).finalize();
    Scalar::from_bytes_mod_order_wide(&hash.into())
}

/// Verification with a cofactor, and no look at encodings.
fn lax(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let (r, s) = signature.split_at(32);
    let r = <[u8; 32]>::try_from(r).unwrap();
    let s = Scalar::from_bytes_mod_order(s.try_into().unwrap());
    let (Some(key_point), Some(r_point)) = (point(key), point(&r)) else { return false };
    let rest = BASE * s - key_point * challenge(&r, key, message) - r_point;
    rest.mul_by_cofactor().is_identity()
}

/// A forgery: what is wrong with it, the key, the signature.
type Forgery = (String, [u8; 32], [u8; 64]);

fn joined(r: [u8; 32], s: [u8; 32]) -> [u8; 64] {
    let mut out = [0; 64];
    out[..32].copy_from_slice(&r);
    out[32..].copy_from_slice(&s);
    out
}

/// R of small order that satisfies the equation without a cofactor, too, by a
/// key that is the sum of a sound one and a point of order 8.
fn mixed(weak: &EdwardsPoint, message: &dyn Fn(&PublicKey) -> Vec<u8>) -> Forgery {
    let (r, torsion) = (weak.compress().0, EIGHT_TORSION[1]);
    let found = (1..1_000u64).find_map(|secret| {
        let secret = Scalar::from(secret);
        let key = (BASE * secret + torsion).compress().0;
        let challenge = challenge(&r, &key, &message(&PublicKey(key)));
        let satisfied = -(torsion * challenge) == *weak;
        satisfied.then(|| (key, joined(r, (challenge * secret).to_bytes())))
    });
    let (key, signature) = found.expect("one key in eight does");
    (format!("R {} by a mixed key", hex::encode(r)), key, signature)
}

/// Forgeries over what a message is under a key.
fn forgeries(message: &dyn Fn(&PublicKey) -> Vec<u8>) -> Vec<Forgery> {
    let secret = Scalar::from(0x1234_5678_9abc_def1u64);
    let key = (BASE * secret).compress().0;
    let signed = message(&PublicKey(key));
    let mut all = Vec::new();
    for weak in small_order() {
        all.push((format!("key {}", hex::encode(weak)), weak, joined(NEUTRAL, [0; 32])));
        let s = challenge(&weak, &key, &signed) * secret;
        all.push((format!("R {}", hex::encode(weak)), key, joined(weak, s.to_bytes())));
    }
    all.extend(EIGHT_TORSION.iter().map(|weak| mixed(weak, message)));
    let nonce = Scalar::from(77u64);
    for torsion in &EIGHT_TORSION[1..] {
        let r = (BASE * nonce + torsion).compress().0;
        let s = nonce + challenge(&r, &key, &signed) * secret;
        all.push(("R off by a small-order point".into(), key, joined(r, s.to_bytes())));
    }
    let r = (BASE * nonce).compress().0;
    let right = joined(r, (nonce + challenge(&r, &key, &signed) * secret).to_bytes());
    let verified = PublicKey(key).verify_strict(&signed, &Signature(right));
    assert_eq!(verified, Ok(()), "the signer must be sound to show anything");
    assert_eq!(Scalar::from_bytes_mod_order(ORDER), Scalar::ZERO);
    let (mut large, mut carry) = (right, 0);
    for (byte, order) in large[32..].iter_mut().zip(ORDER) {
        carry += u16::from(*byte) + u16::from(order);
        *byte = carry as u8;
        carry >>= 8;
    }
    all.push(("S + L".into(), key, large));
    for (name, key, signature) in &all {
        assert!(lax(key, &message(&PublicKey(*key)), signature), "{name} is no forgery");
    }
    // Of large order, so that nobody can sign with them: refused for what they are.
    for odd in non_canonical().into_iter().filter(|odd| !point(odd).unwrap().is_small_order()) {
        all.push((format!("key {}", hex::encode(odd)), odd, right));
        all.push((format!("R {}", hex::encode(odd)), key, joined(odd, [1; 32])));
    }
    assert!(all.len() > 60, "{}", all.len());
    all
}

/// No forgery over such a message is accepted.
fn refused(
    message: impl Fn(&PublicKey) -> Vec<u8>,
    accepts: impl Fn(PublicKey, Signature) -> bool,
) {
    for (name, key, signature) in forgeries(&message) {
        assert!(!accepts(PublicKey(key), Signature(signature)), "{name}");
    }
}

#[test]
fn of_any_message() {
    for message in [&b""[..], b"a message", &[0; 300]] {
        refused(
            |_| message.to_vec(),
            |key, signature| key.verify_strict(message, &signature).is_ok(),
        );
    }
}

#[test]
fn of_joins() {
    let relay = PublicKey([2; 32]);
    let message = |node: &PublicKey| join_bytes(&relay, "https://relay.example", &[9; 32], node);
    refused(message, |node, signature| node.verify_strict(&message(&node), &signature).is_ok());
}

#[test]
fn of_delegations() {
    let node = PublicKey([2; 32]);
    let message = |account: &PublicKey| Delegation::bytes(account, &node);
    refused(message, |account, signature| {
        account.verify_strict(&message(&account), &signature).is_ok()
    });
}

#[test]
fn of_receipts() {
    let body = |node: &PublicKey| ReceiptBody {
        relay: PublicKey([2; 32]),
        lease: LeaseId([3; 16]),
        spec: Digest([4; 32]),
        input: Digest([5; 32]),
        reason: ExitReason::Exit,
        exit_code: 0,
        output: Digest([6; 32]),
        check: Digest::ZERO,
        fuel: 7,
        node: *node,
    };
    refused(
        |node| body(node).encode(),
        |node, signature| UnverifiedReceipt { body: body(&node), signature }.verify().is_ok(),
    );
}

const NAME: &str = "relay.example/log";

/// A note with one signature line.
fn note(text: &str, key: &VerifierKey, signature: &[u8]) -> String {
    let bytes = [&key.id()[..], signature].concat();
    format!("{text}\n\u{2014} {NAME} {}\n", STANDARD.encode(bytes))
}

#[test]
fn of_checkpoints() {
    let text = format!("{NAME}\n7\n{}\n", STANDARD.encode([8; 32]));
    refused(
        |_| text.clone().into_bytes(),
        |public, signature| {
            let key = VerifierKey::new(NAME, KeyKind::Log, public).unwrap();
            let note = note(&text, &key, &signature.0);
            let verified = UnverifiedCheckpoint::parse(note.as_bytes()).unwrap().verify(&key);
            match verified {
                Ok(_) => true,
                Err(error) => {
                    assert_eq!(error, CheckpointError::Note(NoteError::Signature));
                    false
                }
            }
        },
    );
}

#[test]
fn of_cosignatures() {
    let (text, time) = ("a text\n", 1_700_000_000u64);
    refused(
        |_| format!("cosignature/v1\ntime {time}\n{text}").into_bytes(),
        |public, signature| {
            let key = VerifierKey::new(NAME, KeyKind::Witness, public).unwrap();
            let note = note(text, &key, &[&time.to_be_bytes()[..], &signature.0].concat());
            let verified = Note::parse(note.as_bytes()).unwrap().verify_witness(&key);
            assert!(matches!(verified, Ok(_) | Err(NoteError::Signature)), "{verified:?}");
            verified.is_ok()
        },
    );
}
