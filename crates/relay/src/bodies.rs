//! Small input lists that were used lately, so that a lease needs no query.

use bytes::Bytes;
use grid_protocol::Digest;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Bytes kept.
const MAX_BYTES: usize = 64 << 20;

#[derive(Debug, Default)]
pub(crate) struct Bodies(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    bodies: HashMap<Digest, Bytes>,
    order: VecDeque<Digest>,
    bytes: usize,
}

impl Bodies {
    pub(crate) fn get(&self, digest: Digest) -> Option<Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bodies.get(&digest).cloned()
    }

    pub(crate) fn put(&self, digest: Digest, body: Bytes) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = body.len();
        if kept.bodies.insert(digest, body).is_none() {
            kept.order.push_back(digest);
            kept.bytes += size;
        }
        while kept.bytes > MAX_BYTES {
            let Some(oldest) = kept.order.pop_front() else { break };
            kept.bytes -= kept.bodies.remove(&oldest).map_or(0, |body| body.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first() {
        let bodies = Bodies::default();
        let digest = |number: u8| Digest([number; 32]);
        for number in 0..3 {
            bodies.put(digest(number), Bytes::from(vec![number; MAX_BYTES / 2]));
            bodies.put(digest(number), Bytes::from(vec![number; MAX_BYTES / 2]));
        }
        assert_eq!(bodies.get(digest(0)), None);
        assert!(bodies.get(digest(1)).is_some() && bodies.get(digest(2)).is_some());
    }
}
