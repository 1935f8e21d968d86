//! How an account says that a request is its own.

use crate::bytes::{header, put_bytes};
use crate::{Digest, PublicKey, Signature, SigningKey};

const DOMAIN: &str = "grid-account-request";
const VERSION: u16 = 1;

/// How far a request's time may be from the relay's clock, in milliseconds.
pub const REQUEST_VALID_MS: u64 = 5 * 60 * 1000;

/// What an account signs to make an HTTP request. Relay key and origin are in
/// it, so that it can't be replayed at another relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountRequest<'a> {
    /// The relay's key.
    pub relay: &'a PublicKey,
    /// The relay's origin, as it names itself.
    pub origin: &'a str,
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub method: &'a str,
    /// Path and query, as they are sent.
    pub target: &'a str,
    /// Milliseconds since 1970-01-01 UTC, by the account's clock.
    pub time_ms: u64,
    /// The body, as it is sent.
    pub body: &'a [u8],
}

impl AccountRequest<'_> {
    /// The bytes that are signed: domain, version, relay, origin, method,
    /// target, time, SHA-256 of the body.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = header(DOMAIN, VERSION);
        out.extend_from_slice(&self.relay.0);
        put_bytes(&mut out, self.origin.as_bytes());
        put_bytes(&mut out, self.method.as_bytes());
        put_bytes(&mut out, self.target.as_bytes());
        out.extend_from_slice(&self.time_ms.to_le_bytes());
        out.extend_from_slice(&Digest::of(self.body).0);
        out
    }

    /// The value of the `Authorization` header: `Account KEY:TIME:SIGNATURE`.
    pub fn authorization(&self, account: &SigningKey) -> String {
        let signature = account.sign(&self.bytes());
        format!("Account {}:{}:{signature}", account.public(), self.time_ms)
    }

    /// Reads what follows `Account `: key, time and signature. Nothing of it is
    /// verified.
    pub fn parse(text: &str) -> Option<(PublicKey, u64, Signature)> {
        let mut parts = text.trim().splitn(3, ':');
        let (key, time, signature) = (parts.next()?, parts.next()?, parts.next()?);
        Some((key.parse().ok()?, time.parse().ok()?, signature.parse().ok()?))
    }
}
