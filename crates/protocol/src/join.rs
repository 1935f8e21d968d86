//! What a node signs to join, and what an account signs to say "this node is
//! mine".

use crate::bytes::{header, put_bytes};
use crate::{PublicKey, Signature, SigningKey};
use minicbor::{Decode, Encode};

const JOIN_DOMAIN: &str = "grid-join";
const DELEGATION_DOMAIN: &str = "grid-delegation";
const VERSION: u16 = 1;

/// The bytes a node signs to answer a challenge. Relay key and origin are in
/// them, so the answer can't be replayed at another relay.
pub fn join_bytes(relay: &PublicKey, origin: &str, nonce: &[u8; 32], node: &PublicKey) -> Vec<u8> {
    let mut out = header(JOIN_DOMAIN, VERSION);
    out.extend_from_slice(&relay.0);
    put_bytes(&mut out, origin.as_bytes());
    out.extend_from_slice(nonce);
    out.extend_from_slice(&node.0);
    out
}

/// An account's statement that a node is its own.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Delegation {
    /// The account's key.
    #[n(0)]
    pub account: PublicKey,
    /// Its signature over [`Delegation::bytes`].
    #[n(1)]
    pub signature: Signature,
}

impl Delegation {
    /// The bytes that the account signs.
    pub fn bytes(account: &PublicKey, node: &PublicKey) -> Vec<u8> {
        let mut out = header(DELEGATION_DOMAIN, VERSION);
        out.extend_from_slice(&account.0);
        out.extend_from_slice(&node.0);
        out
    }

    /// Signs for `node` with the account's key.
    pub fn sign(account: &SigningKey, node: &PublicKey) -> Self {
        let public = account.public();
        Self { account: public, signature: account.sign(&Self::bytes(&public, node)) }
    }
}
