//! How likely a result is wrong, from what checks showed of its node and of
//! nodes like it. Only `+ - * /` on f64, so that every platform agrees.

use super::rules::Rules;

/// Classes of nodes by passed checks: 0, 1, 2 to 3, 4 to 7, ...
const CLASSES: usize = 33;

/// Euler's number, of Sarmenta's bound.
const E: f64 = std::f64::consts::E;

/// Checks and failures; what is old fades.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Tally {
    checks: f64,
    failures: f64,
}

impl Tally {
    fn add(&mut self, failed: bool, window: f64) {
        let keep = 1.0 - 1.0 / window;
        self.checks = self.checks * keep + 1.0;
        self.failures = self.failures * keep + if failed { 1.0 } else { 0.0 };
    }

    /// Share of failures, after Laplace: one more check, and in it as much of
    /// a failure as the prior leaves possible, at most one.
    fn error(&self, prior: f64) -> f64 {
        let checks = self.checks + 1.0;
        let doubt = (prior * checks).min(1.0);
        ((doubt + self.failures) / checks).min(1.0)
    }
}

/// What is known of all nodes together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Population {
    /// Checks of nodes that were in just this class.
    members: [Tally; CLASSES],
    /// Checks of nodes that were in this class or above.
    elders: [Tally; CLASSES],
}

impl Default for Population {
    fn default() -> Self {
        Self { members: [Tally::default(); CLASSES], elders: [Tally::default(); CLASSES] }
    }
}

fn class(passes: u32) -> usize {
    (u32::BITS - passes.leading_zeros()) as usize
}

impl Population {
    /// A node with so many passes was checked.
    pub(super) fn record(&mut self, rules: &Rules, passes: u32, failed: bool) {
        let (class, window) = (class(passes), f64::from(rules.window));
        self.members[class].add(failed, window);
        for elders in &mut self.elders[..=class] {
            elders.add(failed, window);
        }
    }

    /// Probability that a result of a node with so many passes is wrong.
    /// Never grows with `passes`.
    pub(super) fn error(&self, rules: &Rules, passes: u32) -> f64 {
        let prior = sarmenta(rules.faulty(), passes);
        let class = class(passes);
        let shown = self.members[..=class].iter().zip(&self.elders[..=class]);
        // A node is at least as good as those with fewer passes. A failure
        // speaks against all classes up to the one it happened in.
        shown
            .map(|(members, elders)| members.error(prior).max(elders.error(prior)))
            .fold(1.0, f64::min)
    }
}

/// Error of the results of a node that passed `k` spot checks, when a share
/// `f` of nodes is faulty, each lying as often as serves it best: at most
/// `f / ((1 - f) e k)` (Sarmenta 2002, spot-checking with blacklisting), and
/// at most `f`.
fn sarmenta(f: f64, k: u32) -> f64 {
    if k == 0 { f } else { (f / ((1.0 - f) * E * f64::from(k))).min(f) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn classes_double() {
        let classes: Vec<usize> = [0, 1, 2, 3, 4, 7, 8, u32::MAX].map(class).to_vec();
        assert_eq!(classes, [0, 1, 2, 2, 3, 3, 4, 32]);
    }

    #[test]
    fn alone_sarmentas_bound_counts() {
        let rules = Rules::default();
        let none = Population::default();
        // 0.2 / (0.8 e k), and never above the share that is assumed faulty.
        for (passes, error) in [(0, 0.2), (1, 0.091_97), (100, 9.197e-4), (1_000, 9.197e-5)] {
            let found = none.error(&rules, passes);
            assert!((found / error - 1.0).abs() < 1e-3, "{passes}: {found}");
        }
    }

    #[test]
    fn a_class_is_proven_by_its_own_checks_and_doubted_by_one_failure() {
        let rules = Rules::default();
        let mut all = Population::default();
        let threshold = 1e-4;
        for _ in 0..30_000 {
            all.record(&rules, 40, false);
        }
        assert!(all.error(&rules, 39) < threshold);
        assert!(all.error(&rules, 100) < threshold, "above, nodes are as good");
        assert!(all.error(&rules, 31) > threshold, "below, nothing was shown");
        all.record(&rules, 70, true);
        assert!(all.error(&rules, 40) > threshold, "one as proven as they was caught");
        let mut checks = 0;
        while all.error(&rules, 40) > threshold {
            all.record(&rules, 40, false);
            checks += 1;
        }
        assert!((5_000..20_000).contains(&checks), "{checks}");
        all.record(&rules, 3, true);
        assert!(all.error(&rules, 40) < threshold, "a failure says nothing of those above");
    }

    #[test]
    fn every_platform_computes_the_same_bits() {
        let rules = Rules::default();
        let mut all = Population::default();
        for i in 0..5_000_u32 {
            all.record(&rules, i % 97, i % 499 == 7);
        }
        let bits = [0, 1, 50, 96, 1_000].map(|passes| all.error(&rules, passes).to_bits());
        let known = [
            4_581_104_606_131_890_250,
            4_581_104_606_131_890_250,
            4_567_765_656_009_023_678,
            4_566_043_429_398_780_569,
            4_546_414_602_290_728_853,
        ];
        assert_eq!(bits, known);
    }

    proptest! {
        #[test]
        fn more_passes_never_raise_the_error(
            checks in proptest::collection::vec((0..3_000_u32, proptest::bool::weighted(0.05)), 0..400),
            window in 1..500_u32,
        ) {
            let rules = Rules { window, ..Rules::default() };
            let mut all = Population::default();
            for (passes, failed) in checks {
                all.record(&rules, passes, failed);
            }
            let mut last = 1.0;
            for passes in 0..4_000 {
                let error = all.error(&rules, passes);
                prop_assert!(error > 0.0 && error <= last, "{} passes: {} after {}", passes, error, last);
                last = error;
            }
        }
    }
}
