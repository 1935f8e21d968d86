//! Who is let in: an operator, by `Authorization: Bearer gridop_...`.

use crate::dashboard::Dashboard;
use crate::error::{AppError, Code, store_unavailable};
use crate::socket::{Peer, address, subscriber};
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
    /// How long this address may try no key, if so.
    fn refused(&self, from: IpAddr, now: Instant) -> Option<Duration> {
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= ADDRESSES {
            attempts.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
        }
        match attempts.get(&subscriber(from)) {
            Some((since, count)) if *count >= MOST => {
                WINDOW.checked_sub(now.duration_since(*since)).filter(|wait| !wait.is_zero())
            }
            Some(_) => None,
            None => (attempts.len() >= ADDRESSES).then_some(WINDOW),
        }
    }

    /// It tried a wrong one.
    fn failed(&self, from: IpAddr, now: Instant) {
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, count) = attempts.entry(subscriber(from)).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count += 1;
    }
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
        if let Some(wait) = dashboard.attempts.refused(from, Instant::now()) {
            let refused = Code::TooManyAttempts.because("too many wrong keys; wait a minute");
            return Err(refused.after(wait));
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
            assert_eq!(attempts.refused(from, start), None);
            attempts.failed(from, start);
        }
        let later = start + WINDOW / 4;
        assert_eq!(attempts.refused(from, start), Some(WINDOW));
        assert_eq!(attempts.refused(from, later), Some(WINDOW * 3 / 4), "what is left of it");
        assert_eq!(attempts.refused(other, start), None, "somebody else");
        assert_eq!(attempts.refused(from, start + WINDOW), None);
        attempts.failed(from, start + WINDOW);
        assert_eq!(attempts.refused(from, start + WINDOW), None, "the count began anew");
    }

    #[test]
    fn addresses_are_bounded() {
        let attempts = Attempts::default();
        let start = Instant::now();
        for number in 0..ADDRESSES as u32 {
            attempts.failed(IpAddr::V4(number.into()), start);
        }
        let new = [200, 0, 0, 1].into();
        assert_eq!(attempts.refused(new, start), Some(WINDOW), "nobody new meanwhile");
        assert_eq!(attempts.refused([0, 0, 0, 1].into(), start), None);
        assert_eq!(attempts.refused(new, start + WINDOW), None);
        assert!(attempts.0.lock().unwrap().is_empty());
        // Of one subscriber's IPv6 network all addresses are one.
        let v6 = |text: &str| subscriber(text.parse().unwrap());
        assert_eq!(v6("2001:db8::1"), v6("2001:db8::2:3"));
        assert_ne!(v6("2001:db8::1"), v6("2001:db8:0:1::1"));
        assert_eq!(v6("::ffff:10.0.0.1"), subscriber([10, 0, 0, 1].into()));
    }
}
