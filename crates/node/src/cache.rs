//! Admitted modules kept for the next lease that needs them.

use grid_protocol::Digest;
use std::collections::VecDeque;
use std::sync::Arc;

/// Modules by digest, at most so many bytes; the one used longest ago goes
/// first.
#[derive(Debug, Default)]
pub(crate) struct ModuleCache {
    limit: usize,
    size: usize,
    /// Least recently used first.
    modules: VecDeque<(Digest, Arc<[u8]>)>,
}

impl ModuleCache {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    pub(crate) fn get(&mut self, digest: &Digest) -> Option<Arc<[u8]>> {
        let at = self.modules.iter().rposition(|(other, _)| other == digest)?;
        if at + 1 != self.modules.len() {
            let entry = self.modules.remove(at)?;
            self.modules.push_back(entry);
        }
        self.modules.back().map(|(_, module)| module.clone())
    }

    /// Keeps a module. One that is larger than the whole cache is not kept.
    pub(crate) fn put(&mut self, digest: Digest, module: Arc<[u8]>) {
        if module.len() > self.limit || self.get(&digest).is_some() {
            return;
        }
        self.size += module.len();
        self.modules.push_back((digest, module));
        while self.size > self.limit {
            let Some((_, oldest)) = self.modules.pop_front() else { break };
            self.size -= oldest.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oldest_goes_first() {
        let mut cache = ModuleCache::new(10);
        let digest = |n: u8| Digest([n; 32]);
        let module = |len: usize| -> Arc<[u8]> { vec![0; len].into() };
        cache.put(digest(1), module(4));
        cache.put(digest(2), module(4));
        assert!(cache.get(&digest(1)).is_some(), "used: now 2 is the oldest");
        cache.put(digest(3), module(4));
        assert!(cache.get(&digest(2)).is_none());
        assert!(cache.get(&digest(1)).is_some() && cache.get(&digest(3)).is_some());
        cache.put(digest(4), module(11));
        assert!(cache.get(&digest(4)).is_none() && cache.get(&digest(1)).is_some());
        cache.put(digest(5), module(10));
        assert!(cache.get(&digest(5)).is_some() && cache.get(&digest(1)).is_none());
        assert_eq!(cache.size, 10);
    }
}
