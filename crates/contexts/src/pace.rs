//! How a run shares the core it runs on: slices of fuel, and sleep between them
//! so that the share holds in every ten milliseconds or so.

/// How long a slice of a run that has the core for itself should take, in
/// milliseconds: short enough that a pause or a message is noticed at once, long
/// enough that yielding costs nothing. With a smaller share it is as much
/// smaller, so that somebody who types on the same core isn't held up for long.
pub const SLICE_MS: f64 = 10.0;
/// But yielding isn't worth it for less, in milliseconds.
const SHORTEST_MS: f64 = 2.0;
/// Fuel of the first slice: under a millisecond on any device.
const FIRST_SLICE: u64 = 500_000;
/// Bounds of a slice's fuel, against clocks that stand still or jump.
const SLICE_RANGE: (u64, u64) = (10_000, 1 << 34);
/// Longest sleep at a time, in milliseconds: the worker shows that it lives,
/// and notices a changed share, at least this often.
const MAX_SLEEP_MS: f64 = 500.0;
/// Debts below this are carried on: a timer isn't more exact.
const MIN_SLEEP_MS: f64 = 4.0;

/// The pace of one run. Times are milliseconds of any steady clock.
#[derive(Debug)]
pub struct Pace {
    share: u8,
    slice: u64,
    /// When the slice that runs now was granted, and its fuel.
    slice_start: f64,
    slice_fuel: u64,
    /// Sleep still owed for the time used so far.
    owed_ms: f64,
}

/// What a run does between two slices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rest {
    /// Goes on.
    None,
    /// Lets its messages in, then asks again.
    Yield,
    /// Sleeps so many milliseconds, then asks again.
    Sleep(f64),
    /// Waits until the share changes.
    Paused,
}

impl Pace {
    /// Starts with a share of 0 to 100 percent, and the sleep that the run
    /// before still owed.
    pub fn new(share: u8, owed_ms: f64, now: f64) -> Self {
        Self { share, slice: FIRST_SLICE, slice_start: now, slice_fuel: 0, owed_ms }
    }

    /// Sleep still owed, in milliseconds.
    pub fn owed(&self) -> f64 {
        self.owed_ms.max(0.0)
    }

    /// The share changed. What was owed at the old one is forgiven.
    pub fn set_share(&mut self, share: u8) {
        if share != self.share {
            self.share = share;
            self.owed_ms = 0.0;
        }
    }

    /// Time was used: the module ran, or was compiled.
    pub fn used(&mut self, ms: f64) {
        let share = f64::from(self.share.clamp(1, 100)) / 100.0;
        self.owed_ms += ms.max(0.0) * (1.0 - share) / share;
    }

    /// Time was slept.
    pub fn slept(&mut self, ms: f64) {
        // A machine that was suspended for an hour doesn't earn an hour of work.
        self.owed_ms = (self.owed_ms - ms.max(0.0)).max(-SLICE_MS);
    }

    /// Fuel to grant for the slice that starts now.
    pub fn start_slice(&mut self, now: f64) -> u64 {
        self.slice_start = now;
        self.slice_fuel = self.slice;
        self.slice
    }

    /// The slice is over, or the run: counts the time and sizes the next one.
    /// Returns how long it took.
    pub fn end_slice(&mut self, now: f64) -> f64 {
        let took = (now - self.slice_start).max(0.0);
        self.used(took);
        if self.slice_fuel > 0 {
            let aim = (SLICE_MS * f64::from(self.share) / 100.0).max(SHORTEST_MS);
            let ideal = self.slice_fuel as f64 * (aim / took.max(0.05));
            let near = ideal.clamp(self.slice as f64 / 8.0, self.slice as f64 * 8.0);
            self.slice = (near as u64).clamp(SLICE_RANGE.0, SLICE_RANGE.1);
        }
        self.slice_start = now;
        self.slice_fuel = 0;
        took
    }

    /// What to do before the next slice. `since_yield` is how long ago the run
    /// last let its messages in.
    pub fn rest(&self, since_yield: f64) -> Rest {
        if self.share == 0 {
            Rest::Paused
        } else if self.owed_ms >= MIN_SLEEP_MS {
            Rest::Sleep(self.owed_ms.min(MAX_SLEEP_MS))
        } else if since_yield >= SLICE_MS / 2.0 {
            Rest::Yield
        } else {
            Rest::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Simulates a module that burns `speed` fuel a millisecond on a clock
    /// whose sleeps take `late` longer; returns the busy share and the mean
    /// length of a slice.
    fn simulate(share: u8, speed: f64, late: f64) -> (f64, f64) {
        let (mut now, mut busy, mut slices) = (0.0, 0.0, 0.0);
        let mut pace = Pace::new(share, 0.0, now);
        while now < 60_000.0 {
            let took = pace.start_slice(now) as f64 / speed;
            now += took;
            busy += took;
            slices += 1.0;
            pace.end_slice(now);
            while let Rest::Sleep(ms) = pace.rest(0.0) {
                now += ms + late;
                pace.slept(ms + late);
            }
        }
        (busy / now, busy / slices)
    }

    #[test]
    fn the_share_holds_on_average() {
        for share in [1, 5, 25, 50, 75, 99, 100] {
            for speed in [50_000.0, 1_000_000.0] {
                for late in [0.0, 3.0] {
                    let (busy, slice) = simulate(share, speed, late);
                    let want = f64::from(share) / 100.0;
                    assert!((busy / want - 1.0).abs() < 0.1, "{share}% at {speed}: {busy}");
                    let aim = (want * 10.0).max(2.0);
                    let range = aim / 2.0..aim * 2.0;
                    assert!(range.contains(&slice), "{share}% at {speed}: {slice} ms");
                }
            }
        }
    }

    #[test]
    fn pause_and_change() {
        let mut pace = Pace::new(10, 0.0, 0.0);
        pace.used(1_000.0);
        assert_eq!(pace.rest(0.0), Rest::Sleep(500.0));
        pace.set_share(0);
        assert_eq!(pace.rest(0.0), Rest::Paused);
        pace.set_share(100);
        assert_eq!(pace.rest(0.0), Rest::None);
        assert_eq!(pace.rest(SLICE_MS), Rest::Yield);
    }

    #[test]
    fn a_long_sleep_is_no_credit() {
        let mut pace = Pace::new(50, 0.0, 0.0);
        pace.slept(3_600_000.0);
        pace.used(100.0);
        assert!(matches!(pace.rest(0.0), Rest::Sleep(ms) if ms > 80.0));
    }
}
