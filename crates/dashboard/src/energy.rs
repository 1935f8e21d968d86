//! How much electricity work took: an estimate, because no browser tells. Its
//! assumption is shown beside it, and the visitor's to change.

/// What a unit of work is taken to need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assumption {
    /// Watts that a busy core draws beside what the machine draws anyway.
    pub watts: u64,
    /// Millions of fuel that such a core executes in a second.
    pub speed: u64,
}

impl Assumption {
    /// A core of a laptop: 6 W, and 500 million fuel a second in a browser.
    pub const LAPTOP: Self = Self { watts: 6, speed: 500 };

    /// Milliwatt-hours of so much fuel.
    pub fn milliwatt_hours(self, fuel: u64) -> u64 {
        let speed = u128::from(self.speed.max(1)) * 1_000_000 * 3_600;
        let energy = u128::from(fuel).saturating_mul(u128::from(self.watts)).saturating_mul(1_000);
        u64::try_from(energy / speed).unwrap_or(u64::MAX)
    }
}

/// Energy in words: milliwatt-hours, watt-hours or kilowatt-hours.
pub fn words(milliwatt_hours: u64) -> String {
    match milliwatt_hours {
        0..1_000 => format!("{milliwatt_hours} mWh"),
        1_000..1_000_000 => format!("{} Wh", crate::words::thousandths(milliwatt_hours)),
        _ => format!("{} kWh", crate::words::thousandths(milliwatt_hours / 1_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_follows_from_fuel() {
        // An hour of one core: 500 million fuel a second, 3600 seconds.
        let hour = 500_000_000 * 3_600;
        assert_eq!(Assumption::LAPTOP.milliwatt_hours(hour), 6_000);
        let hot = Assumption { watts: 12, speed: 250 };
        assert_eq!(hot.milliwatt_hours(hour), 24_000);
        assert_eq!(Assumption { watts: 6, speed: 0 }.milliwatt_hours(0), 0);
        assert_eq!(Assumption { watts: u64::MAX, speed: 0 }.milliwatt_hours(u64::MAX), u64::MAX);
    }

    #[test]
    fn it_is_read_at_a_glance() {
        assert_eq!(words(0), "0 mWh");
        assert_eq!(words(6_000), "6 Wh");
        assert_eq!(words(1_250), "1.2 Wh");
        assert_eq!(words(1_250_000), "1.2 kWh");
    }
}
