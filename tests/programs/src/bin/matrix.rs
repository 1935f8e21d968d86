//! Products of square matrices: f64, f32 and i32, row by row.

use std::ops::{AddAssign, Mul};
use std::process::ExitCode;
use task_programs::{Random, run};

const SIDE: usize = 96;

/// One row of a product: `row` times a matrix.
#[inline(never)]
fn multiply<T: Copy + Mul<Output = T> + AddAssign>(row: &[T], matrix: &[T], into: &mut [T]) {
    for (&factor, line) in row.iter().zip(matrix.chunks_exact(SIDE)) {
        for (sum, &value) in into.iter_mut().zip(line) {
            *sum += factor * value;
        }
    }
}

fn product<T: Copy + Default + Mul<Output = T> + AddAssign>(a: &[T], b: &[T]) -> Vec<T> {
    let mut c = vec![T::default(); SIDE * SIDE];
    for (row, into) in a.chunks_exact(SIDE).zip(c.chunks_exact_mut(SIDE)) {
        multiply(row, b, into);
    }
    c
}

fn main() -> ExitCode {
    let setup = || {
        let mut random = Random::new(9);
        let doubles: Vec<f64> = (0..SIDE * SIDE).map(|_| random.unit() - 0.5).collect();
        let singles: Vec<f32> = doubles.iter().map(|&value| value as f32).collect();
        let whole: Vec<i32> = doubles.iter().map(|&value| (value * 200.0) as i32).collect();
        (doubles, singles, whole)
    };
    run("matrix", setup, |(doubles, singles, whole), round, checksum| {
        let turn = round as usize % SIDE;
        doubles.rotate_left(turn);
        let product_of_doubles = product(doubles, doubles);
        product_of_doubles.iter().step_by(17).for_each(|&value| checksum.float(value));
        singles.rotate_left(turn);
        let product_of_singles = product(singles, singles);
        product_of_singles.iter().step_by(17).for_each(|&value| checksum.float(value.into()));
        whole.rotate_left(turn);
        let product_of_whole = product(whole, whole);
        product_of_whole.iter().step_by(17).for_each(|&value| checksum.number(value as u64));
    })
}
