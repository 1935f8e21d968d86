//! Who is let in: an operator, by `Authorization: Bearer gridop_...`.

use crate::dashboard::Dashboard;
use crate::error::{AppError, Code, store_unavailable};
use crate::socket::{Peer, address};
use axum::extract::FromRequestParts;
use axum::http::{header, request::Parts};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong keys that one address may try in [`WINDOW`].
const MOST: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered.
const ADDRESSES: usize = 4096;

/// Wrong keys of late, by where they came from.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<[u8; 8], (Instant, u32)>>);

impl Attempts {
    /// May this address try a key?
    fn allowed(&self, from: IpAddr, now: Instant) -> bool {
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= ADDRESSES {
            attempts.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
        }
        match attempts.get(&of(from)) {
            Some((since, count)) => *count < MOST || now.duration_since(*since) >= WINDOW,
            None => attempts.len() < ADDRESSES,
        }
    }

    /// It tried a wrong one.
    fn failed(&self, from: IpAddr, now: Instant) {
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, count) = attempts.entry(of(from)).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count += 1;
    }
}

/// One address, or of IPv6 the network that one subscriber has.
fn of(from: IpAddr) -> [u8; 8] {
    let mut key = [0; 8];
    match from.to_canonical() {
        IpAddr::V4(address) => key[4..].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => key.copy_from_slice(&address.octets()[..8]),
    }
    key
}

/// An operator, by the name of its key.
pub(super) struct Operator(pub(super) String);

impl FromRequestParts<Arc<Dashboard>> for Operator {
    type Rejection = AppError;

    async fn from_request_parts(
        parts: &mut Parts,
        dashboard: &Arc<Dashboard>,
    ) -> Result<Self, AppError> {
        let peer = parts.extensions.get::<Peer>().copied();
        let from = peer.map(|peer| address(&dashboard.shared, peer, &parts.headers));
        let from = from.ok_or_else(|| Code::Internal.because("a request from nowhere"))?;
        if !dashboard.attempts.allowed(from, Instant::now()) {
            return Err(Code::TooManyAttempts.because("too many wrong keys; wait a minute"));
        }
        let header = parts.headers.get(header::AUTHORIZATION);
        let key = header.and_then(|value| {
            let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| key.trim().to_owned())
        });
        let wrong =
            || Code::Unauthorized.because("the Authorization header names no operator's key");
        // Who brings no key has not tried one.
        let key = key.ok_or_else(wrong)?;
        let operators = dashboard.operators.clone();
        let found = tokio::task::spawn_blocking(move || operators.name_of(&key))
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        match found {
            Ok(Some(name)) => Ok(Self(name)),
            Ok(None) => {
                dashboard.attempts.failed(from, Instant::now());
                Err(wrong())
            }
            Err(error) => {
                tracing::error!(%error, "operators' keys can't be read");
                Err(store_unavailable())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_ends_and_begins_anew() {
        let attempts = Attempts::default();
        let (from, other) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let start = Instant::now();
        for _ in 0..MOST {
            assert!(attempts.allowed(from, start));
            attempts.failed(from, start);
        }
        assert!(!attempts.allowed(from, start));
        assert!(attempts.allowed(other, start), "somebody else");
        assert!(attempts.allowed(from, start + WINDOW));
        attempts.failed(from, start + WINDOW);
        assert!(attempts.allowed(from, start + WINDOW), "the count began anew");
    }

    #[test]
    fn addresses_are_bounded() {
        let attempts = Attempts::default();
        let start = Instant::now();
        for number in 0..ADDRESSES as u32 {
            attempts.failed(IpAddr::V4(number.into()), start);
        }
        assert!(!attempts.allowed([200, 0, 0, 1].into(), start), "nobody new meanwhile");
        assert!(attempts.allowed([0, 0, 0, 1].into(), start));
        assert!(attempts.allowed([200, 0, 0, 1].into(), start + WINDOW));
        assert!(attempts.0.lock().unwrap().is_empty());
        // Of one subscriber's IPv6 network all addresses are one.
        let v6 = |text: &str| of(text.parse().unwrap());
        assert_eq!(v6("2001:db8::1"), v6("2001:db8::2:3"));
        assert_ne!(v6("2001:db8::1"), v6("2001:db8:0:1::1"));
        assert_eq!(v6("::ffff:10.0.0.1"), of([10, 0, 0, 1].into()));
    }
}
