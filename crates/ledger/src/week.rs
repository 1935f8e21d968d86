//! What was earned on each of the last seven days.

/// Milliseconds of a day.
pub(crate) const DAY_MS: u64 = 86_400_000;
const DAYS: u64 = 7;

/// Sums of the last seven days, by days since 1970-01-01.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Week {
    /// The day of the last sum.
    last: u64,
    sums: [u64; DAYS as usize],
}

impl Week {
    /// Adds to a day that is not before those that came.
    pub(crate) fn add(&mut self, day: u64, amount: u64) {
        for gone in (self.last + 1..=day).take(DAYS as usize) {
            self.sums[(gone % DAYS) as usize] = 0;
        }
        if day > self.last + DAYS {
            self.sums = [0; DAYS as usize];
        }
        self.last = self.last.max(day);
        let sum = &mut self.sums[(day % DAYS) as usize];
        *sum = sum.saturating_add(amount);
    }

    /// Adds another's sums, day by day.
    pub(crate) fn merge(&mut self, other: &Self) {
        let first = (other.last + 1).saturating_sub(DAYS);
        let last = self.last.max(other.last);
        self.add(last, 0);
        for day in first..=other.last {
            if day + DAYS > last {
                let sum = &mut self.sums[(day % DAYS) as usize];
                *sum = sum.saturating_add(other.sums[(day % DAYS) as usize]);
            }
        }
    }

    /// The sum of `days` (at most 7) days, of which `day` is the last.
    pub(crate) fn sum(&self, day: u64, days: u64) -> u64 {
        let first = (day + 1).saturating_sub(days.min(DAYS));
        let kept = (self.last + 1).saturating_sub(DAYS)..=self.last;
        let within = (first..=day).filter(|day| kept.contains(day));
        within.map(|day| self.sums[(day % DAYS) as usize]).fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_counted_by_hand(
            steps in prop::collection::vec((0_u64..12, 1_u64..100), 1..40),
            later in 0_u64..12,
            days in 1_u64..8,
        ) {
            let (mut week, mut all, mut day) = (Week::default(), Vec::new(), 20_000);
            for (step, amount) in steps {
                day += step;
                week.add(day, amount);
                all.push((day, amount));
            }
            let asked = day + later;
            let expect: u64 = all.iter()
                .filter(|(of, _)| *of <= asked && *of + days > asked)
                .map(|(_, amount)| amount)
                .sum();
            prop_assert_eq!(week.sum(asked, days), expect);
            // Split in two and merged, it is the same.
            for cut in 0..all.len() {
                let (mut one, mut other) = (Week::default(), Week::default());
                for (at, (day, amount)) in all.iter().enumerate() {
                    if at < cut { one.add(*day, *amount) } else { other.add(*day, *amount) }
                }
                let mut both = one;
                both.merge(&other);
                prop_assert_eq!(both.sum(asked, days), expect);
                other.merge(&one);
                prop_assert_eq!(other.sum(asked, days), expect);
            }
        }
    }
}
