//! How long a job's leases take.

/// A histogram of milliseconds: four buckets an octave, so that a quantile is
/// at most a quarter too high.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    buckets: Box<[u32; BUCKETS]>,
    count: u64,
}

const BUCKETS: usize = 128;

impl Default for Times {
    fn default() -> Self {
        Self { buckets: Box::new([0; BUCKETS]), count: 0 }
    }
}

impl Times {
    pub(crate) fn add(&mut self, ms: u64) {
        self.buckets[bucket(ms)] += 1;
        self.count += 1;
    }

    /// The time that 95 % take at most; `None` as long as nothing is known.
    pub(crate) fn p95(&self) -> Option<u64> {
        let wanted = (self.count * 95).div_ceil(100);
        let mut below = 0;
        let found = self.buckets.iter().position(|count| {
            below += u64::from(*count);
            below >= wanted
        });
        found.filter(|_| self.count > 0).map(upper)
    }
}

fn bucket(ms: u64) -> usize {
    if ms < 4 {
        return ms as usize;
    }
    let octave = ms.ilog2() as usize;
    let quarter = (ms >> (octave - 2)) as usize & 3;
    (4 * (octave - 1) + quarter).min(BUCKETS - 1)
}

/// Where a bucket ends.
fn upper(bucket: usize) -> u64 {
    if bucket < 4 {
        return bucket as u64;
    }
    let (octave, quarter) = (bucket / 4 + 1, bucket as u64 % 4);
    ((5 + quarter) << (octave - 2)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_they_say() {
        for ms in (0..5_000).chain([1 << 20, (1 << 31) - 1]) {
            let at = bucket(ms);
            assert!(upper(at) >= ms && upper(at) <= ms + ms / 4, "{ms}: {}", upper(at));
            assert!(at == 0 || upper(at - 1) < ms, "{ms}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_quantile() {
        let mut times = Times::default();
        assert_eq!(times.p95(), None);
        (1..=100).for_each(|ms| times.add(ms));
        assert!((95..=119).contains(&times.p95().unwrap()), "{:?}", times.p95());
    }
}
