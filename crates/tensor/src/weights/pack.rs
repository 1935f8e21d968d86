//! From real numbers to a [`Weights`], and the bound that makes its sums safe.
//!
//! Runs when a model is converted; `f64` is fine here, because a model is named by the digest of what
//! comes out.

use wide::{i16x8, i32x4};

use super::{BLOCK, GROUP, Kind, Shape, Weights, WeightsError, place, unpack_b8, unpack_n4};
use crate::activation::{BLOCK_LIMIT, ROW_LIMIT};

/// Largest |D| and |M|.
const SCALE_LIMIT: f64 = 8191.0;
/// Largest intermediate product: with the half that rounding adds, at most 2^29, it stays in 31 bits.
const PRODUCT_LIMIT: i64 = (3 << 29) - 1;

/// 32 numbers of a row: `q * scale + min`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block {
    /// Numbers; -8..=7 for [`Kind::N4`].
    pub q: [i8; BLOCK],
    /// What one step is worth.
    pub scale: f64,
    /// What zero is worth.
    pub min: f64,
}

/// A matrix from blocks, row by row. `kind` is [`Kind::N4`] or [`Kind::B8`].
///
/// # Errors
/// [`WeightsError`] for a bad shape, a block that isn't finite, or a minimum in eight-bit blocks.
pub fn pack_blocks(
    kind: Kind,
    rows: usize,
    cols: usize,
    blocks: &[Block],
) -> Result<Weights, WeightsError> {
    let mut weights = empty(kind, rows, cols)?;
    let per_row = cols / BLOCK;
    if blocks.len() != rows * per_row {
        return Err(WeightsError::Shape { rows, cols });
    }
    if kind == Kind::B8 && blocks.iter().any(|b| b.min != 0.0) {
        return Err(WeightsError::Minimum);
    }
    let mut exponents = Vec::with_capacity(rows);
    for (row, blocks) in blocks.chunks_exact(per_row).enumerate() {
        let top = blocks.iter().map(|b| b.scale.abs().max(b.min.abs())).fold(0.0, f64::max);
        if blocks.iter().any(|b| !b.scale.is_finite() || !b.min.is_finite()) || top > 1e20 {
            return Err(WeightsError::NotFinite(row));
        }
        exponents.push(exponent_for(top, SCALE_LIMIT));
    }
    let (exponent, exponents) = spread(&exponents);
    for (row, blocks) in blocks.chunks_exact(per_row).enumerate() {
        let unit = (-f64::from(exponents[row])).exp2();
        for (index, block) in blocks.iter().enumerate() {
            let fixed = |x: f64| (x * unit + 0.5).floor() as i16;
            set_scale(&mut weights, row, index, fixed(block.scale), fixed(block.min));
            for (k, q) in block.q.iter().enumerate() {
                set_number(&mut weights, row, index * BLOCK + k, i32::from(*q));
            }
        }
    }
    set_shifts(&mut weights, exponent, &exponents);
    choose_shifts(&mut weights)?;
    weights.shape.exponent += (weights.shape.dot_shift + weights.shape.sum_shift) as i32;
    weights.check()?;
    Ok(weights)
}

/// A matrix of [`Kind::R16`] from real numbers, row by row: each row as fine as its sum allows.
///
/// # Errors
/// [`WeightsError`] for a bad shape or a number that isn't finite.
pub fn pack_floats(rows: usize, cols: usize, values: &[f32]) -> Result<Weights, WeightsError> {
    let mut weights = empty(Kind::R16, rows, cols)?;
    if values.len() != rows * cols {
        return Err(WeightsError::Shape { rows, cols });
    }
    // Half a step a column is what rounding may add to the sum.
    let room = f64::from(i32::MAX) / f64::from(ROW_LIMIT) - cols as f64;
    let mut exponents = Vec::with_capacity(rows);
    for (row, values) in values.chunks_exact(cols).enumerate() {
        let top = values.iter().fold(0.0, |m: f64, v| m.max(f64::from(v.abs())));
        let sum: f64 = values.iter().map(|v| f64::from(v.abs())).sum();
        if values.iter().any(|v| !v.is_finite()) || top > 1e20 {
            return Err(WeightsError::NotFinite(row));
        }
        exponents
            .push(exponent_for(top, 32_767.0).map(|e| e.max(exponent_for(sum, room).unwrap_or(e))));
    }
    let (exponent, exponents) = spread(&exponents);
    for (row, values) in values.chunks_exact(cols).enumerate() {
        let unit = (-f64::from(exponents[row])).exp2();
        for (col, value) in values.iter().enumerate() {
            set_number(&mut weights, row, col, (f64::from(*value) * unit + 0.5).floor() as i32);
        }
    }
    set_shifts(&mut weights, exponent, &exponents);
    weights.check()?;
    Ok(weights)
}

/// The largest |accumulator| of a row for any activation, rounding included; none when a product
/// on the way could already leave 32 bits. `blocks` are the row's (sum of magnitudes, D, M).
fn row_bound(shape: &Shape, blocks: impl Iterator<Item = (i64, i32, i32)>) -> Option<i64> {
    let limit = i64::from(BLOCK_LIMIT);
    let mut sum = 0;
    for (numbers, d, m) in blocks {
        if shape.kind == Kind::R16 {
            sum += numbers * i64::from(ROW_LIMIT);
            continue;
        }
        let dot = ((numbers * limit) >> shape.dot_shift) + 1;
        let total = ((BLOCK as i64 * limit) >> shape.dot_shift) + 1;
        let product = dot * i64::from(d.abs()) + total * i64::from(m.abs());
        if product > PRODUCT_LIMIT {
            return None;
        }
        sum += (product >> shape.sum_shift) + 1;
    }
    Some(sum)
}

/// The first row whose accumulator could overflow.
pub(super) fn overflowing_row(weights: &Weights) -> Option<usize> {
    let bounds = Bounds::of(weights);
    (0..weights.shape.rows).find(|row| !bounds.fits(&weights.shape, *row))
}

/// The magnitudes and scales of all blocks, from which every bound follows.
struct Bounds {
    per_row: usize,
    blocks: Vec<(i64, i32, i32)>,
}

impl Bounds {
    fn of(weights: &Weights) -> Self {
        let shape = &weights.shape;
        let per_row = shape.cols / BLOCK;
        let mut blocks = vec![(0, 0, 0); shape.groups() * GROUP * per_row];
        for group in 0..shape.groups() {
            for (block, vectors) in
                weights.group(group).chunks_exact(shape.kind.vectors()).enumerate()
            {
                let sums = magnitudes(shape.kind, vectors);
                for (row, sum) in sums.into_iter().enumerate() {
                    let row = group * GROUP + row;
                    let (d, m) = weights.scale(row, block);
                    blocks[row * per_row + block] = (i64::from(sum), d, m);
                }
            }
        }
        Self { per_row, blocks }
    }

    fn row(&self, row: usize) -> impl Iterator<Item = (i64, i32, i32)> {
        self.blocks[row * self.per_row..(row + 1) * self.per_row].iter().copied()
    }

    fn fits(&self, shape: &Shape, row: usize) -> bool {
        row_bound(shape, self.row(row)).is_some_and(|bound| bound <= i64::from(i32::MAX))
    }
}

/// For each of eight rows the sum of its numbers' magnitudes in one block.
fn magnitudes(kind: Kind, vectors: &[i32x4]) -> [i32; GROUP] {
    let ones = i16x8::splat(1);
    let abs = |v: i16x8| {
        // |-32768| doesn't fit: halves of it are counted apart.
        let sign = v >> 15_u32;
        let folded = (v ^ sign).dot(ones);
        folded - sign.dot(ones)
    };
    let mut sums = [i32x4::ZERO; 2];
    let half = kind.numbers() / 2;
    for (quad, sum) in sums.iter_mut().enumerate() {
        for v in &vectors[kind.vectors() - (2 - quad) * half..][..half] {
            *sum += match kind {
                Kind::N4 => {
                    unpack_n4(*v).into_iter().fold(i32x4::ZERO, |s, n| s + abs(n - i16x8::splat(8)))
                }
                Kind::B8 => unpack_b8(*v).into_iter().fold(i32x4::ZERO, |s, n| s + abs(n)),
                Kind::R16 => abs(bytemuck::cast(*v)),
            };
        }
    }
    bytemuck::cast(sums)
}

/// The smallest shifts with which no product and no sum overflows.
fn choose_shifts(weights: &mut Weights) -> Result<(), WeightsError> {
    let bounds = Bounds::of(weights);
    let shape = &mut weights.shape;
    shape.sum_shift = 15;
    let rows = 0..shape.rows;
    shape.dot_shift = (0..=15)
        .find(|shift| {
            let tried = Shape { dot_shift: *shift, ..*shape };
            rows.clone().all(|row| row_bound(&tried, bounds.row(row)).is_some())
        })
        .ok_or(WeightsError::Overflow(0))?;
    shape.sum_shift = (0..=15)
        .find(|shift| {
            let tried = Shape { sum_shift: *shift, ..*shape };
            rows.clone().all(|row| bounds.fits(&tried, row))
        })
        .ok_or(WeightsError::Overflow(0))?;
    Ok(())
}

/// The smallest e with `top / 2^e` rounded at most `limit`; none for zero.
fn exponent_for(top: f64, limit: f64) -> Option<i32> {
    if top == 0.0 {
        return None;
    }
    let mut e = (top / limit).log2().floor() as i32 - 1;
    while (top * (-f64::from(e)).exp2() + 0.5).floor() > limit {
        e += 1;
    }
    Some(e)
}

/// The matrix's exponent (the largest of a row), and each row's, at most 30 below.
fn spread(rows: &[Option<i32>]) -> (i32, Vec<i32>) {
    let top = rows.iter().flatten().copied().max().unwrap_or(0);
    (top, rows.iter().map(|e| e.unwrap_or(top).max(top - 30)).collect())
}

fn empty(kind: Kind, rows: usize, cols: usize) -> Result<Weights, WeightsError> {
    let shape = Shape { kind, rows, cols, exponent: 0, dot_shift: 0, sum_shift: 0 };
    shape.bytes()?;
    let groups = rows.div_ceil(GROUP);
    let data = vec![i32x4::ZERO; groups * (cols / BLOCK) * kind.vectors()];
    let mut weights = Weights {
        shape,
        data: data.into(),
        shifts: vec![0; (groups * GROUP).next_multiple_of(16)].into(),
    };
    if kind == Kind::N4 {
        // Rows that only fill the group up are zero, which isn't all bits zero.
        for row in rows..groups * GROUP {
            for col in 0..cols {
                set_number(&mut weights, row, col, 0);
            }
        }
    }
    Ok(weights)
}

fn lanes(weights: &mut Weights) -> &mut [i16] {
    let data =
        std::sync::Arc::get_mut(&mut weights.data).expect("a matrix being packed has one owner");
    bytemuck::cast_slice_mut(data)
}

fn at(weights: &Weights, row: usize, block: usize) -> usize {
    let shape = &weights.shape;
    (row / GROUP * (shape.cols / BLOCK) + block) * shape.kind.vectors() * 8
}

fn set_scale(weights: &mut Weights, row: usize, block: usize, d: i16, m: i16) {
    let (start, quad, lane) = (at(weights, row, block), row % GROUP / 4, row % 4 * 2);
    match weights.shape.kind {
        Kind::N4 => {
            lanes(weights)[start + quad * 8 + lane] = d;
            lanes(weights)[start + quad * 8 + lane + 1] = m;
        }
        Kind::B8 => lanes(weights)[start + lane + quad] = d,
        Kind::R16 => {}
    }
}

fn set_number(weights: &mut Weights, row: usize, col: usize, value: i32) {
    let kind = weights.shape.kind;
    let (vector, lane, part) = place(kind, row % GROUP, col % BLOCK);
    let at = at(weights, row, col / BLOCK) + vector * 8 + lane;
    let lane = &mut lanes(weights)[at];
    let (width, value) = match kind {
        Kind::N4 => (4, value.clamp(-8, 7) + 8),
        Kind::B8 => (8, value.clamp(-128, 127)),
        Kind::R16 => (16, value.clamp(-32_768, 32_767)),
    };
    let mask = ((1_u32 << width) - 1) << (part as u32 * width);
    *lane =
        ((*lane as u16 as u32 & !mask) | (((value as u32) << (part as u32 * width)) & mask)) as i16;
}

fn set_shifts(weights: &mut Weights, exponent: i32, rows: &[i32]) {
    weights.shape.exponent = exponent;
    let shifts =
        std::sync::Arc::get_mut(&mut weights.shifts).expect("a matrix being packed has one owner");
    for (shift, e) in shifts.iter_mut().zip(rows) {
        *shift = (exponent - e) as u8;
    }
}
