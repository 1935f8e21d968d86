//! Requests that an account signed: `Authorization: Account KEY:TIME:SIGNATURE`.

use super::locked;
use crate::api::body::read_small;
use crate::error::{AppError, Code};
use crate::hourly::{Hourly, left_ms};
use crate::socket::{Peer, address};
use crate::state::{Shared, unix_ms};
use axum::extract::{FromRequest, Request};
use axum::http::{Method, header};
use bytes::Bytes;
use grid_protocol::{AccountRequest, PublicKey, REQUEST_VALID_MS, Signature};
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Largest body of a signed request.
const MAX_BODY: usize = 16 * 1024;
/// Signatures of writes that are remembered while they are valid.
const MOST_SEEN: usize = 100_000;
/// Writes of accounts from one network in an hour.
const WRITES_AN_HOUR: u32 = 240;
/// What accounts from one network may read in an hour.
const READS_AN_HOUR: u32 = 3_600;

/// A request that an account signed, and its body.
pub(super) struct Signed {
    pub(super) account: PublicKey,
    pub(super) body: Bytes,
    /// Tells this request from all others, for ever.
    pub(super) signature: Signature,
}

impl Signed {
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, AppError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Code::BadRequest.because(format!("the body: {error}")))
    }
}

impl FromRequest<Arc<Shared>> for Signed {
    type Rejection = AppError;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, AppError> {
        let (parts, body) = request.into_parts();
        let refuse = |why: &str| Code::Unauthorized.because(why);
        let header = parts.headers.get(header::AUTHORIZATION);
        let (account, time_ms, signature) = header
            .and_then(|value| value.to_str().ok()?.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("account"))
            .and_then(|(_, text)| AccountRequest::parse(text))
            .ok_or_else(|| {
                refuse("the Authorization header is not `Account KEY:TIME:SIGNATURE`")
            })?;
        let now_ms = unix_ms();
        if now_ms.abs_diff(time_ms) > REQUEST_VALID_MS {
            return Err(Code::Clock.because(format!(
                "the request's time is over 5 minutes from the relay's, which is {now_ms}"
            )));
        }
        let body = read_small(shared, &parts.headers, body, MAX_BODY).await?;
        let asked = AccountRequest {
            relay: &shared.relay,
            origin: &shared.origin,
            method: parts.method.as_str(),
            target: parts.uri.path_and_query().map_or("/", |target| target.as_str()),
            time_ms,
            body: &body,
        };
        account
            .verify_strict(&asked.bytes(), &signature)
            .map_err(|_| refuse("the account did not sign this request"))?;
        let peer = parts.extensions.get::<Peer>().copied();
        let peer = peer.map(|peer| address(shared, peer, &parts.headers));
        let mut signatures = locked(&shared.people.signatures);
        if parts.method == Method::GET {
            signatures.read(peer, now_ms)?;
        } else {
            signatures.take(&signature, time_ms, peer, now_ms)?;
        }
        drop(signatures);
        Ok(Self { account, body, signature })
    }
}

/// Signatures that were used, and who writes how much.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    /// When each is valid no more.
    seen: HashMap<[u8; 64], u64>,
    writes: Hourly,
    reads: Hourly,
}

impl Signatures {
    /// A signature is used for a write: once, and not too many from one
    /// network.
    fn take(
        &mut self,
        signature: &Signature,
        time_ms: u64,
        peer: Option<IpAddr>,
        now_ms: u64,
    ) -> Result<(), AppError> {
        if self.seen.contains_key(&signature.0) {
            return Err(Code::Replayed.because("this request was made before; sign it anew"));
        }
        if self.seen.len() >= MOST_SEEN {
            self.seen.retain(|_, until| *until >= now_ms);
        }
        if self.seen.len() >= MOST_SEEN {
            return Err(too_many(REQUEST_VALID_MS));
        }
        if !self.writes.take(peer, WRITES_AN_HOUR, now_ms) {
            return Err(too_many(left_ms(now_ms)));
        }
        self.seen.insert(signature.0, time_ms.saturating_add(REQUEST_VALID_MS));
        Ok(())
    }

    /// Reading costs the relay something, too.
    fn read(&mut self, peer: Option<IpAddr>, now_ms: u64) -> Result<(), AppError> {
        if self.reads.take(peer, READS_AN_HOUR, now_ms) {
            return Ok(());
        }
        Err(too_many(left_ms(now_ms)))
    }
}

fn too_many(wait_ms: u64) -> AppError {
    Code::RateLimited
        .because("too many requests of accounts come from your network; try again later")
        .after(Duration::from_millis(wait_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hourly::HOUR_MS;
    use axum::response::IntoResponse as _;

    fn take(all: &mut Signatures, n: u64, peer: &str, now_ms: u64) -> Result<(), Code> {
        let mut signature = Signature([0; 64]);
        signature.0[..8].copy_from_slice(&n.to_le_bytes());
        let peer = Some(peer.parse().unwrap());
        all.take(&signature, now_ms, peer, now_ms).map_err(|error| error.code)
    }

    #[test]
    fn a_signature_is_used_once() {
        let mut all = Signatures::default();
        assert_eq!(take(&mut all, 1, "192.0.2.1", 5), Ok(()));
        assert_eq!(take(&mut all, 1, "192.0.2.1", 5), Err(Code::Replayed));
        assert_eq!(take(&mut all, 2, "192.0.2.1", 5), Ok(()));
    }

    #[test]
    fn one_network_does_not_write_for_ever() {
        let mut all = Signatures::default();
        for n in 0..u64::from(WRITES_AN_HOUR) {
            assert_eq!(take(&mut all, n, &format!("192.0.2.{}", n % 256), 5), Ok(()));
        }
        assert_eq!(take(&mut all, 1_000, "192.0.2.7", 5), Err(Code::RateLimited));
        let (signature, peer) = (Signature([9; 64]), "192.0.2.7".parse().ok());
        let refused = all.take(&signature, 5, peer, HOUR_MS - 59_500).unwrap_err();
        let response = refused.into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "60", "what is left of the hour");
        assert_eq!(take(&mut all, 1_001, "::ffff:192.0.2.7", 5), Err(Code::RateLimited));
        assert_eq!(take(&mut all, 1_002, "192.0.3.7", 5), Ok(()));
        assert_eq!(take(&mut all, 1_003, "2001:db8::1", 5), Ok(()));
        assert_eq!(take(&mut all, 1_004, "192.0.2.7", HOUR_MS), Ok(()));
    }

    #[test]
    fn one_network_does_not_read_for_ever() {
        let mut all = Signatures::default();
        let mut read = |peer: &str| all.read(Some(peer.parse().unwrap()), 5).map_err(|e| e.code);
        for _ in 0..READS_AN_HOUR {
            assert_eq!(read("192.0.2.1"), Ok(()));
        }
        assert_eq!(read("192.0.2.9"), Err(Code::RateLimited));
        assert_eq!(read("192.0.3.1"), Ok(()));
        assert_eq!(take(&mut all, 1, "192.0.2.1", 5), Ok(()), "writes are counted apart");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut all = Signatures::default();
        for n in 0..MOST_SEEN as u64 {
            let mut signature = Signature([0; 64]);
            signature.0[..8].copy_from_slice(&n.to_le_bytes());
            all.seen.insert(signature.0, 100);
        }
        assert_eq!(take(&mut all, 1 << 40, "192.0.2.7", 5), Err(Code::RateLimited));
        assert_eq!(take(&mut all, 1 << 40, "192.0.2.7", 101), Ok(()), "the old are forgotten");
        assert_eq!(all.seen.len(), 1);
    }
}
