//! Hours of the week at which a node may work.

use serde::{Deserialize, Serialize};

const DAY: i64 = 1_440;
const WEEK: i64 = 7 * DAY;
const MINUTE_MS: i64 = 60_000;
/// 1970 began on a Thursday; weeks here begin on Monday.
const FIRST: i64 = 3 * DAY;

/// Hours of the week at which a node may work, in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    /// When they begin, in minutes since midnight, below 1440.
    pub from: u16,
    /// When they end, likewise. Not after `from`: on the next day.
    pub to: u16,
    /// The days on which they begin: bit 0 is Monday, bit 6 is Sunday.
    pub days: u8,
}

impl Hours {
    /// Whether work is allowed at `now` (milliseconds since 1970), where local
    /// time is so many minutes ahead of UTC, and in how many milliseconds that
    /// changes; `None`: it never does.
    pub fn at(&self, now: u64, zone: i32) -> (bool, Option<u64>) {
        let local = (now as i64).saturating_add(i64::from(zone) * MINUTE_MS);
        let minute = (local.div_euclid(MINUTE_MS) + FIRST).rem_euclid(WEEK);
        let open = self.open(minute);
        let changes = self.spans().flat_map(|(from, to)| [from, to]).filter_map(|at| {
            let ahead = (at - minute).rem_euclid(WEEK);
            (self.open(at) != open).then_some(ahead)
        });
        let into = local.rem_euclid(MINUTE_MS);
        let change = changes.min().map(|ahead| (ahead * MINUTE_MS - into) as u64);
        (open, change)
    }

    /// Beginning and end of each day's hours, in minutes since Monday began.
    fn spans(&self) -> impl Iterator<Item = (i64, i64)> {
        let (from, to) = (i64::from(self.from) % DAY, i64::from(self.to) % DAY);
        let length = if from < to { to - from } else { to - from + DAY };
        let days = self.days;
        (0..7).filter(move |day| days >> day & 1 == 1).map(move |day| {
            let begin = day * DAY + from;
            (begin, begin + length)
        })
    }

    fn open(&self, minute: i64) -> bool {
        self.spans().any(|(from, to)| (minute - from).rem_euclid(WEEK) < to - from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: u64 = 3_600_000;
    /// Monday, 5 January 1970, 00:00 UTC.
    const MONDAY: u64 = 4 * 24 * HOUR;

    #[test]
    fn at_night() {
        let nights = Hours { from: 22 * 60, to: 6 * 60, days: 0b000_1111 };
        let check = |hour: u64, open, change: u64| {
            assert_eq!(nights.at(MONDAY + hour * HOUR, 0), (open, Some(change * HOUR)), "{hour}");
        };
        check(0, false, 22); // Sunday's night isn't one of them.
        check(21, false, 1);
        check(22, true, 8);
        check(24, true, 6);
        check(30, false, 16);
        check(4 * 24, true, 6); // Thursday's, on Friday.
        check(4 * 24 + 6, false, 3 * 24 + 16);
    }

    #[test]
    fn elsewhere() {
        let day = Hours { from: 9 * 60, to: 17 * 60, days: 0b000_0001 };
        assert_eq!(day.at(MONDAY, 9 * 60), (true, Some(8 * HOUR)));
        assert_eq!(day.at(MONDAY + 30_001, 8 * 60 + 59), (false, Some(29_999)));
        assert!(day.at(MONDAY + 19 * HOUR, -10 * 60).0);
        assert_eq!(day.at(0, -600), (false, Some(MONDAY + 19 * HOUR)));
    }

    #[test]
    fn always_and_never() {
        let check = |from, to, days, open| {
            assert_eq!(Hours { from, to, days }.at(MONDAY, 0), (open, None));
        };
        check(60, 60, 127, true);
        check(0, 1_440, 127, true);
        check(0, 60, 0, false);
    }

    proptest! {
        /// It stays as it is until the change that is foretold, and changes then.
        #[test]
        fn changes_when_it_says(
            from: u16, to: u16, days: u8, now in 0..(1u64 << 42), zone in -900i32..900, part in 0.0..1.0,
        ) {
            let hours = Hours { from, to, days };
            let (open, change) = hours.at(now, zone);
            let Some(change) = change else {
                prop_assert_eq!(hours.at(now + (part * 6e8) as u64, zone), (open, None));
                return Ok(());
            };
            prop_assert!(change > 0 && change <= 7 * 24 * HOUR);
            prop_assert_eq!(hours.at(now + (change as f64 * part) as u64, zone).0, open);
            prop_assert_eq!(hours.at(now + change - 1, zone).0, open);
            prop_assert_eq!(hours.at(now + change, zone).0, !open);
        }
    }
}
