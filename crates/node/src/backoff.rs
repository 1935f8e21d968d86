//! Waits between attempts: exponential, with jitter, so that nodes which lost
//! the same relay don't come back together.

/// Waits double from `first` to `last` milliseconds; each is drawn from the
/// upper half of its range, and none is under a second.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: u64,
    last: u64,
    attempt: u32,
    seed: u64,
}

/// Shortest wait, in milliseconds.
const LEAST: u64 = 1_000;

impl Backoff {
    pub(crate) fn new(first: u64, last: u64, seed: u64) -> Self {
        Self { first, last, attempt: 0, seed }
    }

    /// The next wait, in milliseconds.
    pub(crate) fn next(&mut self) -> u64 {
        let wait = (self.first << self.attempt.min(20)).min(self.last);
        self.attempt += 1;
        self.jittered(wait)
    }

    /// The longest wait, whatever came before.
    pub(crate) fn longest(&mut self) -> u64 {
        self.attempt = 20;
        self.next()
    }

    /// Anew: things work again.
    pub(crate) fn reset(&mut self) {
        self.attempt = 0;
    }

    /// Between half of `wait` and all of it.
    pub(crate) fn jittered(&mut self, wait: u64) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let half = wait / 2;
        (wait - z % (half + 1)).max(LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_within_bounds() {
        for seed in 0..100 {
            let mut backoff = Backoff::new(2_000, 60_000, seed);
            for doubled in [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
                let wait = backoff.next();
                assert!((doubled / 2).max(1_000) <= wait && wait <= doubled, "{wait} of {doubled}");
            }
            assert!(backoff.longest() >= 30_000);
            backoff.reset();
            assert!(backoff.next() <= 2_000);
        }
    }

    #[test]
    fn seeds_differ() {
        let third = |seed| {
            let mut backoff = Backoff::new(2_000, 60_000, seed);
            (backoff.next(), backoff.next(), backoff.next()).2
        };
        assert_ne!(third(1), third(2));
    }
}
