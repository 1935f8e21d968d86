//! Streams of the network's figures: how many there may be, and how they are
//! sent.

use crate::error::{AppError, Code};
use crate::socket::subscriber;
use axum::http::HeaderName;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Streams that anyone may open, `/v1/live` and `/v1/network/live` together.
const MOST: usize = 256;
/// Of those, from one address.
const OF_ONE: usize = 8;

/// Tells proxies (nginx and what follows it) to pass on what comes as it comes.
pub(crate) const UNBUFFERED: (HeaderName, &str) =
    (HeaderName::from_static("x-accel-buffering"), "no");

/// Server-sent events.
pub(crate) fn events(
    events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static,
) -> Response {
    ([UNBUFFERED], Sse::new(events).keep_alive(KeepAlive::default())).into_response()
}

/// Who watches, by where they come from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watchers(Arc<Mutex<HashMap<[u8; 8], usize>>>);

/// The right to watch, until it is dropped.
#[derive(Debug)]
pub(crate) struct Watching {
    watchers: Watchers,
    from: [u8; 8],
}

impl Watchers {
    pub(crate) fn admit(&self, from: IpAddr) -> Result<Watching, AppError> {
        let from = subscriber(from);
        let mut watchers = self.lock();
        if watchers.values().sum::<usize>() >= MOST {
            return Err(Code::Busy.because("too many watch already; try again later"));
        }
        let count = watchers.entry(from).or_default();
        if *count >= OF_ONE {
            return Err(Code::Busy.because("your address watches often enough already"));
        }
        *count += 1;
        Ok(Watching { watchers: self.clone(), from })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 8], usize>> {
        // What panicked while holding it left counts that are still counts.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut watchers = self.watchers.lock();
        if let Some(count) = watchers.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                watchers.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_leaves_room_for_others() {
        let watchers = Watchers::default();
        let at = |n: usize| IpAddr::from([10, 0, (n / 256) as u8, (n % 256) as u8]);
        let mut one: Vec<_> = (0..OF_ONE).map(|_| watchers.admit(at(0)).unwrap()).collect();
        assert!(watchers.admit(at(0)).is_err());
        let others: Vec<_> = (OF_ONE..MOST).map(|n| watchers.admit(at(n)).unwrap()).collect();
        assert!(watchers.admit(at(1)).is_err(), "as many as there may be");
        one.pop();
        drop(watchers.admit(at(0)).unwrap());
        drop((one, others));
        assert!(watchers.lock().is_empty());
    }
}
