//! What host calls cost, and the account of what was granted.

/// Any call into the host, `grid.grow` included: about what crossing from a
/// module into a browser's host takes in nanoseconds.
pub(super) const CALL: u64 = 1000;
/// Each buffer of a vector, subscription, path component or directory entry.
pub(super) const ITEM: u64 = 100;
/// One fuel moves or clears this many bytes.
pub(super) const BYTES_PER_FUEL: u64 = 8;
/// One byte of randomness (a SHA-256 block gives 32).
pub(super) const RANDOM_BYTE: u64 = 8;

/// Fuel granted so far, and the limit. What remains of the grant is in the
/// module's global; used is granted minus remaining.
#[derive(Debug)]
pub(super) struct Meter {
    limit: u64,
    granted: u64,
}

impl Meter {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, granted: 0 }
    }

    /// Fuel used when `remaining` is left of the grant.
    pub(super) fn used(&self, remaining: i64) -> u64 {
        self.granted.saturating_add_signed(remaining.saturating_neg())
    }

    /// True when more than the limit is used.
    pub(super) fn over(&self, remaining: i64) -> bool {
        self.used(remaining) > self.limit
    }

    /// Grants what makes `remaining` at least 0, and `slice` in all, but
    /// never more than the limit. None when the limit is passed.
    pub(super) fn refill(&mut self, remaining: i64, slice: u64) -> Option<i64> {
        if self.over(remaining) {
            return None;
        }
        let need = remaining.saturating_neg().max(0).cast_unsigned();
        let grant = slice.max(need).min(self.limit - self.granted);
        self.granted += grant;
        Some(remaining.saturating_add_unsigned(grant))
    }

    /// The limit.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants() {
        let check = |granted, remaining, slice, expect| {
            let mut meter = Meter { limit: 100, granted };
            assert_eq!(meter.refill(remaining, slice), expect, "{granted} {remaining} {slice}");
            assert!(meter.granted <= 100);
        };
        check(0, -1, 10, Some(9));
        check(0, -50, 10, Some(0));
        check(0, -100, 1, Some(0));
        check(0, -101, u64::MAX, None);
        check(90, -5, 50, Some(5));
        check(100, -1, 50, None);
        check(100, 0, 50, Some(0));
        check(0, i64::MIN, 1, None);
    }
}
