//! How close two sources of the same thing are.

use super::{Embed, Logits};

/// How close the next tokens of two decoders are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Positions compared.
    pub positions: usize,
    /// Share of positions at which both think the same token the likeliest.
    pub top1: f64,
    /// Mean Kullback-Leibler divergence from the reference, in nats.
    pub kl: f64,
    /// Perplexity of the text under the reference.
    pub reference_ppl: f64,
    /// Perplexity of the other over that.
    pub ppl_ratio: f64,
}

/// Compares two decoders on texts, each from an empty cache. `progress` is
/// called with the number of texts done.
pub fn compare_logits(
    reference: &mut dyn Logits,
    other: &mut dyn Logits,
    texts: &[Vec<u32>],
    mut progress: impl FnMut(usize),
) -> Quality {
    let (mut positions, mut same, mut kl) = (0_usize, 0_usize, 0.0);
    let (mut known, mut surprise) = (0_usize, [0.0; 2]);
    for (done, text) in texts.iter().enumerate() {
        let (ours, theirs) = (reference.logits(text), other.logits(text));
        for (position, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            let logs = [ours, theirs].map(|logits| log_softmax(logits));
            positions += 1;
            same += usize::from(likeliest(ours) == likeliest(theirs));
            kl += logs[0].iter().zip(&logs[1]).map(|(p, q)| p.exp() * (p - q)).sum::<f64>();
            if let Some(next) = text.get(position + 1) {
                known += 1;
                for (sum, logs) in surprise.iter_mut().zip(&logs) {
                    *sum -= logs[*next as usize];
                }
            }
        }
        progress(done + 1);
    }
    let [reference_ppl, other_ppl] = surprise.map(|sum| (sum / known.max(1) as f64).exp());
    let count = positions.max(1) as f64;
    Quality {
        positions,
        top1: same as f64 / count,
        kl: kl / count,
        reference_ppl,
        ppl_ratio: other_ppl / reference_ppl,
    }
}

/// How close the embeddings of two encoders are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cosines {
    /// Texts compared.
    pub texts: usize,
    /// The smallest cosine of two embeddings of one text.
    pub min: f64,
    /// The mean of them.
    pub mean: f64,
}

/// Compares two encoders on texts with their special tokens.
pub fn compare_embeddings(
    reference: &mut dyn Embed,
    other: &mut dyn Embed,
    texts: &[Vec<u32>],
) -> Cosines {
    let cosines: Vec<f64> =
        texts.iter().map(|text| cosine(&reference.embed(text), &other.embed(text))).collect();
    let mean = cosines.iter().sum::<f64>() / cosines.len().max(1) as f64;
    Cosines { texts: texts.len(), min: cosines.iter().copied().fold(1.0, f64::min), mean }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - top).exp()).sum();
    logits.iter().map(|logit| f64::from(logit - top) - sum.ln()).collect()
}

/// The first of the largest.
fn likeliest(logits: &[f32]) -> usize {
    let better = |best: usize, at: usize| if logits[at] > logits[best] { at } else { best };
    (1..logits.len()).fold(0, better)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same logits for every token.
    struct Fixed(Vec<f32>);

    impl Logits for Fixed {
        fn logits(&mut self, ids: &[u32]) -> Vec<Vec<f32>> {
            vec![self.0.clone(); ids.len()]
        }
    }

    impl Embed for Fixed {
        fn embed(&mut self, _: &[u32]) -> Vec<f32> {
            self.0.clone()
        }
    }

    /// Logits that give these probabilities, and a number more each.
    fn fixed(probabilities: [f32; 2], more: f32) -> Fixed {
        Fixed(probabilities.map(|p| p.ln() + more).to_vec())
    }

    #[test]
    fn the_same_twice_is_equal() {
        let texts = [vec![0, 1, 1], vec![1]];
        let quality = compare_logits(
            &mut fixed([0.2, 0.8], 0.0),
            &mut fixed([0.2, 0.8], 3.0),
            &texts,
            |_| (),
        );
        assert_eq!((quality.positions, quality.top1), (4, 1.0));
        assert!(quality.kl.abs() < 1e-6 && (quality.ppl_ratio - 1.0).abs() < 1e-6, "{quality:?}");
        // Both known tokens have probability 0.8.
        assert!((quality.reference_ppl - 1.25).abs() < 1e-6, "{quality:?}");
    }

    #[test]
    fn differences_are_counted() {
        let texts = [vec![0, 1]];
        let quality = compare_logits(
            &mut fixed([0.25, 0.75], 0.0),
            &mut fixed([0.5, 0.5], 0.0),
            &texts,
            |_| (),
        );
        assert_eq!(quality.top1, 0.0);
        let kl = 0.25 * f64::ln(0.25 / 0.5) + 0.75 * f64::ln(0.75 / 0.5);
        assert!((quality.kl - kl).abs() < 1e-6, "{quality:?}");
        assert!((quality.ppl_ratio - 1.5).abs() < 1e-6, "{quality:?}");
    }

    #[test]
    fn the_worst_cosine_counts() {
        let texts = [vec![1], vec![2]];
        let (mut a, mut b) = (Fixed(vec![1.0, 0.0]), Fixed(vec![2.0, 2.0]));
        let cosines = compare_embeddings(&mut a, &mut b, &texts);
        assert!((cosines.min - std::f64::consts::FRAC_1_SQRT_2).abs() < 1e-9, "{cosines:?}");
    }
}
