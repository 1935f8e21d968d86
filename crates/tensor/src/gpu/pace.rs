//! How much goes into one submission: what the device was measured to do in some 20 ms.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::signal::{Sender, Waiting, signal};

/// What a submission is to take, in milliseconds; less than half of what it may.
const SLICE: f64 = 20.0;
/// Units of work a millisecond of a device that nothing is known of: the slowest that was seen.
const SLOWEST: f64 = 100_000.0;
/// No device is taken to be slower than that.
const LEAST: f64 = 10_000.0;
/// Times shorter than that are the clock's grain.
const GRAIN: f64 = 0.1;

/// Submissions that were measured.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Slices {
    /// How many.
    pub count: u32,
    /// The longest, in milliseconds.
    pub longest: f64,
    /// All together, in milliseconds.
    pub total: f64,
}

struct State {
    /// Units of work a millisecond.
    rate: f64,
    in_flight: u32,
    /// When the last submission ended, by the caller's clock.
    ended: f64,
    slices: Slices,
    waiting: Vec<Sender<()>>,
}

/// Shared with the callbacks of the device.
#[derive(Clone)]
pub(super) struct Pace(Arc<Mutex<State>>);

impl Pace {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            rate: SLOWEST,
            in_flight: 0,
            ended: f64::MIN,
            slices: Slices::default(),
            waiting: Vec::new(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Units of work that one submission may hold.
    pub(super) fn budget(&self) -> f64 {
        self.state().rate * SLICE
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.state().in_flight
    }

    pub(super) fn submitted(&self) {
        self.state().in_flight += 1;
    }

    /// A submission ended; what it took by the clock, were it measured so.
    pub(super) fn ended(&self, submitted: f64, now: f64) -> f64 {
        let mut state = self.state();
        state.in_flight = state.in_flight.saturating_sub(1);
        let began = submitted.max(state.ended);
        state.ended = now;
        for waiting in state.waiting.drain(..) {
            waiting.send(());
        }
        now - began
    }

    /// A submission of so much work took so long.
    pub(super) fn measured(&self, work: f64, milliseconds: f64) {
        let mut state = self.state();
        state.slices.count += 1;
        state.slices.total += milliseconds;
        state.slices.longest = state.slices.longest.max(milliseconds);
        let rate = work / milliseconds.max(GRAIN);
        // Step by step: work differs in kind, and a busy machine makes any slice long now and then.
        // A slice that was short enough never makes the next ones smaller.
        state.rate = if milliseconds > SLICE {
            rate.clamp(state.rate / 4.0, state.rate).max(LEAST)
        } else {
            rate.clamp(state.rate, state.rate * 2.0)
        };
    }

    pub(super) fn take_slices(&self) -> Slices {
        std::mem::take(&mut self.state().slices)
    }

    /// The next end of a submission.
    pub(super) fn next_end(&self) -> Waiting<()> {
        let (sender, waiting) = signal();
        self.state().waiting.push(sender);
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_follow_what_was_measured() {
        let pace = Pace::new();
        assert_eq!(pace.budget(), SLOWEST * SLICE);
        pace.measured(SLOWEST * 100.0, 1.0);
        assert_eq!(pace.budget(), 2.0 * SLOWEST * SLICE, "faster: at most twice as much");
        pace.measured(1.0, 10.0);
        assert_eq!(pace.budget(), 2.0 * SLOWEST * SLICE, "short enough: nothing shrinks");
        pace.measured(SLOWEST, 100.0);
        assert_eq!(pace.budget(), SLOWEST / 2.0 * SLICE, "too long: at least a quarter");
        let slices = pace.take_slices();
        assert_eq!((slices.count, slices.longest, slices.total), (3, 100.0, 111.0));
        assert_eq!(pace.take_slices(), Slices::default());
    }

    #[test]
    fn time_in_the_queue_is_not_counted() {
        let pace = Pace::new();
        pace.submitted();
        pace.submitted();
        assert_eq!(pace.ended(0.0, 30.0), 30.0);
        assert_eq!(pace.ended(1.0, 50.0), 20.0, "it began when the first one ended");
        assert_eq!(pace.in_flight(), 0);
    }
}
