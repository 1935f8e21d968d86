//! Choosing a token: docs/arithmetic.md, "Sampling".

use crate::fixed::exp2_neg;

/// The column of the largest value; of equal ones the first.
#[must_use]
pub fn argmax(logits: &[i32]) -> u32 {
    let mut best = 0;
    for (i, v) in logits.iter().enumerate() {
        if *v > logits[best] {
            best = i;
        }
    }
    best as u32
}

/// A temperature in thousandths, above 0 and at most 2000 (2.0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Temperature(u32);

impl Temperature {
    /// A temperature of `milli / 1000`; none outside 1 to 2000.
    #[must_use]
    pub fn new(milli: u32) -> Option<Self> {
        (1..=2000).contains(&milli).then_some(Self(milli))
    }
}

/// A token drawn with probability proportional to `e^(logit / temperature)`, by 64 random bits.
///
/// `exponent` is the logits': `value * 2^exponent`.
#[must_use]
pub fn draw(logits: &[i32], exponent: i32, temperature: Temperature, random: u64) -> u32 {
    // 2^16 * log2(e) * 1000: a distance of logits in Q16 and in powers of two, times the temperature.
    const SCALE: u128 = 94_548_460;
    let top = logits[argmax(logits) as usize];
    let weight = |v: i32| {
        let distance = u128::from(top.abs_diff(v)) * SCALE / u128::from(temperature.0);
        // At 2^60 every distance but zero is out of the table's reach.
        let distance = match exponent {
            0.. => distance << exponent.min(60),
            _ => distance.checked_shr(exponent.unsigned_abs()).unwrap_or(0),
        };
        u64::from(exp2_neg(u32::try_from(distance).unwrap_or(u32::MAX)))
    };
    let sum: u64 = logits.iter().map(|v| weight(*v)).sum();
    let mut left = ((u128::from(random) * u128::from(sum)) >> 64) as u64;
    for (i, v) in logits.iter().enumerate() {
        let w = weight(*v);
        if left < w {
            return i as u32;
        }
        left -= w;
    }
    unreachable!("the draw lies under the sum of the weights")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn draws_have_their_probabilities() {
        let logits = [0, 1 << 16, 2 << 16];
        let temperature = Temperature::new(500).expect("in range");
        let mut counts = [0_u32; 3];
        let step = u64::MAX / 100_000;
        for i in 0..100_000 {
            counts[draw(&logits, -16, temperature, i * step) as usize] += 1;
        }
        let e2 = 1f64.exp().powi(2);
        let sum = 1.0 + e2 + e2 * e2;
        for (count, want) in counts.iter().zip([1.0, e2, e2 * e2]) {
            assert!((f64::from(*count) / 100_000.0 - want / sum).abs() < 1e-3, "{counts:?}");
        }
    }

    proptest! {
        #[test]
        fn any_logits_give_a_token(logits in prop::collection::vec(any::<i32>(), 1..50), e in -60i32..40, t in 1u32..=2000, r: u64) {
            let token = draw(&logits, e, Temperature::new(t).expect("in range"), r);
            prop_assert!((token as usize) < logits.len());
            let first = argmax(&logits) as usize;
            prop_assert!(logits.iter().all(|v| *v <= logits[first]));
            prop_assert!(logits[..first].iter().all(|v| *v < logits[first]));
        }
    }
}
