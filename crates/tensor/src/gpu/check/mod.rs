//! Holds a device to the reference, bit for bit, over random and extreme inputs.
//!
//! Tests run this, natively and in browsers; a node runs a round before it trusts a driver that it
//! has not met.

mod cases;
mod random;

use std::task::Poll;

use cases::Case;
pub(super) use random::Random;

use super::{Error, Gpu};
use crate::activation::{Activation, Matrix};
use crate::backend::{Backend, Cpu};

/// What a device did with the cases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Cases that were compared.
    pub cases: usize,
    /// What differed from the reference, in words; empty for a good device.
    pub wrong: Vec<String>,
}

/// What a case ends in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Matrix(Matrix),
    Activation(Activation),
    Columns(Vec<u32>),
}

/// A backend that takes matrices as they are.
trait Device: Backend {
    fn take(&self, x: &Matrix) -> Self::Matrix;
}

impl Device for Cpu {
    fn take(&self, x: &Matrix) -> Matrix {
        x.clone()
    }
}

impl Device for Gpu {
    fn take(&self, x: &Matrix) -> super::Matrix {
        self.matrix(x)
    }
}

/// Which operators' cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All.
    All,
    /// Matrix products only: what [`Tiles`](super::Tiles) cut.
    Products,
}

/// Runs `rounds` rounds of cases, which follow from `seed`.
///
/// # Errors
/// When the device is lost or fails; what differs is no error, but is in the report.
pub async fn run(gpu: &Gpu, scope: Scope, seed: u64, rounds: usize) -> Result<Report, Error> {
    let mut random = Random::new(seed);
    let mut report = Report::default();
    for round in 0..rounds {
        let mut cases = cases::round(&mut random);
        cases.retain(|case| scope == Scope::All || matches!(case, Case::Linear { .. }));
        // All at once: reading back is slow in browsers, and buffers change hands meanwhile.
        let results = all(cases.iter().map(|case| case.run(gpu)).collect()).await;
        for (case, got) in cases.iter().zip(results) {
            let Ok(want) = case.run(&Cpu::reference()).await;
            report.cases += 1;
            if let Some(difference) = difference(&got?, &want) {
                report
                    .wrong
                    .push(format!("{} (seed {seed}, round {round}): {difference}", case.name()));
            }
        }
    }
    Ok(report)
}

/// What all futures give, in their order.
async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        if outputs.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

fn difference(got: &Outcome, want: &Outcome) -> Option<String> {
    if got == want {
        return None;
    }
    let lists = |outcome: &Outcome| -> Vec<(&str, Vec<i64>)> {
        let of = |values: &[i32]| values.iter().map(|v| i64::from(*v)).collect();
        match outcome {
            Outcome::Matrix(x) => vec![("value", of(&x.data)), ("exponent", of(&x.exponents))],
            Outcome::Activation(a) => vec![
                ("mantissa", a.mantissas.iter().map(|v| i64::from(*v)).collect()),
                ("shift", a.shifts.iter().map(|v| i64::from(*v)).collect()),
                ("sum", of(&a.sums)),
                ("exponent", of(&a.exponents)),
            ],
            Outcome::Columns(found) => {
                vec![("column", found.iter().map(|v| i64::from(*v)).collect())]
            }
        }
    };
    for ((what, got), (_, want)) in lists(got).iter().zip(&lists(want)) {
        if got.len() != want.len() {
            return Some(format!("{} {what}s instead of {}", got.len(), want.len()));
        }
        let wrong = || got.iter().zip(want).filter(|(g, w)| g != w).count();
        if let Some(at) = got.iter().zip(want).position(|(g, w)| g != w) {
            let (g, w, wrong) = (got[at], want[at], wrong());
            return Some(format!(
                "{what} {at} is {g} instead of {w}; {wrong} of {} differ",
                got.len()
            ));
        }
    }
    Some("another shape".to_owned())
}
