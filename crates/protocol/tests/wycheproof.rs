//! Project Wycheproof's Ed25519 vectors against the verification that decides.

use grid_protocol::{PublicKey, Signature};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    tests: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: u32,
    comment: String,
    key: PublicKey,
    #[serde(with = "hex::serde")]
    message: Vec<u8>,
    signature: String,
    valid: bool,
}

fn vectors() -> Vec<Vector> {
    let text = include_str!("../../../tests/vectors/wycheproof-ed25519.json");
    serde_json::from_str::<Vectors>(text).expect("the file is ours").tests
}

/// A signature of another length can't even be read.
fn accepted(vector: &Vector, verify: impl Fn(&PublicKey, &[u8], &Signature) -> bool) -> bool {
    let signature = vector.signature.parse::<Signature>();
    signature.is_ok_and(|signature| verify(&vector.key, &vector.message, &signature))
}

#[test]
fn strict_verification_agrees() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 151);
    for vector in vectors {
        let strict = accepted(&vector, |key, message, signature| {
            key.verify_strict(message, signature).is_ok()
        });
        assert_eq!(strict, vector.valid, "{}: {}", vector.id, vector.comment);
    }
}

/// What strict verification accepts, the nodes' small library accepts too:
/// a relay's acknowledgement is never refused by a node.
#[test]
fn what_strict_accepts_all_accept() {
    for vector in vectors().iter().filter(|vector| vector.valid) {
        let small =
            accepted(vector, |key, message, signature| key.verify(message, signature).is_ok());
        assert!(small, "{}: {}", vector.id, vector.comment);
    }
}

/// Wycheproof has no small-order keys. With one, S = 0 and R = the neutral
/// element "sign" every message for one in eight nonces at least: whoever
/// joined with it could be anyone.
#[test]
fn small_order_keys_sign_nothing() {
    let point = |first: u8, rest: u8, last: u8| {
        let mut bytes = [rest; 32];
        (bytes[0], bytes[31]) = (first, last);
        bytes
    };
    let neutral = point(1, 0, 0);
    let keys = [
        neutral,
        point(0, 0, 0),          // order 4
        point(0, 0, 0x80),       // order 4
        point(0xec, 0xff, 0x7f), // order 2: y = -1
        point(0xee, 0xff, 0x7f), // the neutral element, not canonical: y = p + 1
        point(0xed, 0xff, 0x7f), // order 4, not canonical: y = p
        point(1, 0, 0x80),       // the neutral element with a sign: not canonical
    ];
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&neutral);
    for key in keys {
        for message in 0..64u8 {
            let strict = PublicKey(key).verify_strict(&[message], &Signature(signature));
            assert!(strict.is_err(), "{}", PublicKey(key));
        }
    }
}
