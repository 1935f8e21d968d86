//! Weight matrices in their three formats: docs/arithmetic.md, "Weights".
//!
//! Rows are kept in groups of eight (two quads of four rows), columns in blocks of 32, and within a
//! block the layout is what `i16x8` dot products and `vec4<u32>` loads read straight through: a
//! 16-bit lane belongs to one row of the quad, and two neighbouring lanes hold two neighbouring
//! columns of that row.

mod pack;

use std::sync::Arc;

use wide::{i16x8, i32x4, u16x8};

pub use pack::{Block, pack_blocks, pack_floats};

/// Columns of a block.
pub const BLOCK: usize = 32;
/// Rows of a group.
pub const GROUP: usize = 8;

/// How a matrix holds its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Four-bit numbers -8..=7, a scale and a minimum for each block: `q * D + M`.
    N4,
    /// Eight-bit numbers, a scale for each block: `q * D`.
    B8,
    /// Sixteen-bit numbers with an exponent for each row.
    R16,
}

impl Kind {
    /// The number that files hold.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::N4 => 1,
            Self::B8 => 2,
            Self::R16 => 3,
        }
    }

    /// The kind of a number in a file.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::N4),
            2 => Some(Self::B8),
            3 => Some(Self::R16),
            _ => None,
        }
    }

    /// 16-byte vectors of a block of eight rows.
    #[must_use]
    pub const fn vectors(self) -> usize {
        match self {
            Self::N4 => 2 + 2 * 4,
            Self::B8 => 1 + 2 * 8,
            Self::R16 => 2 * 16,
        }
    }

    /// Of these, the vectors that hold numbers; the others, before them, hold scales.
    #[must_use]
    pub const fn numbers(self) -> usize {
        match self {
            Self::N4 => 8,
            Self::B8 => 16,
            Self::R16 => 32,
        }
    }
}

/// What makes a matrix impossible.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeightsError {
    /// Columns come in blocks of 32.
    #[error(
        "a matrix of {rows} x {cols}: columns must be a multiple of 32, both above 0 and at most 2^20"
    )]
    Shape {
        /// Rows.
        rows: usize,
        /// Columns.
        cols: usize,
    },
    /// The bytes aren't those of the shape.
    #[error("{got} bytes of weights where the shape needs {want}")]
    Length {
        /// Bytes that came.
        got: usize,
        /// Bytes of the shape.
        want: usize,
    },
    /// A shift or an exponent that the arithmetic doesn't allow.
    #[error("{0} is out of range")]
    Range(&'static str),
    /// The numbers could overflow a 32-bit accumulator.
    #[error("row {0} could overflow its accumulator")]
    Overflow(usize),
    /// Eight-bit blocks have no minimum.
    #[error("a block with a minimum needs four-bit numbers")]
    Minimum,
    /// Not a number, or infinite.
    #[error("row {0} holds something that is no finite number")]
    NotFinite(usize),
}

/// What a matrix needs besides its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Format.
    pub kind: Kind,
    /// Rows: outputs.
    pub rows: usize,
    /// Columns: inputs.
    pub cols: usize,
    /// Exponent of the matrix: a result is `accumulator * 2^(exponent + that of the input)`.
    pub exponent: i32,
    /// Rounded shift of a block's dot product before its scale; 0 for [`Kind::R16`].
    pub dot_shift: u32,
    /// Rounded shift of the scaled product before it is summed; 0 for [`Kind::R16`].
    pub sum_shift: u32,
}

impl Shape {
    fn groups(&self) -> usize {
        self.rows.div_ceil(GROUP)
    }

    /// Bytes of the matrix: numbers and scales, then a shift for each row, padded to 16.
    ///
    /// # Errors
    /// [`WeightsError::Shape`] or [`WeightsError::Range`] when no matrix has that shape.
    pub fn bytes(&self) -> Result<usize, WeightsError> {
        const LIMIT: usize = 1 << 20;
        let (rows, cols) = (self.rows, self.cols);
        if rows == 0 || cols == 0 || rows > LIMIT || cols > LIMIT || !cols.is_multiple_of(BLOCK) {
            return Err(WeightsError::Shape { rows, cols });
        }
        if self.exponent.unsigned_abs() > 100 {
            return Err(WeightsError::Range("a matrix's exponent"));
        }
        let shifts = if self.kind == Kind::R16 { 0 } else { 15 };
        if self.dot_shift > shifts || self.sum_shift > shifts {
            return Err(WeightsError::Range("a matrix's shift"));
        }
        let vectors = self.groups() as u64 * (cols / BLOCK) as u64 * self.kind.vectors() as u64;
        let bytes = vectors * 16 + (self.groups() * GROUP).next_multiple_of(16) as u64;
        usize::try_from(bytes).map_err(|_| WeightsError::Shape { rows, cols })
    }
}

/// A matrix whose products can't overflow.
#[derive(Clone)]
pub struct Weights {
    shape: Shape,
    /// Groups, then blocks, then the vectors of a block.
    data: Arc<[i32x4]>,
    /// For each row the shift that brings it to the matrix's exponent, 0 to 30.
    shifts: Arc<[u8]>,
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.shape.fmt(f)
    }
}

impl Weights {
    /// Reads a matrix and proves that none of its sums can overflow.
    ///
    /// # Errors
    /// [`WeightsError`] for a wrong length, a shift out of range or a row that could overflow.
    pub fn decode(shape: Shape, bytes: &[u8]) -> Result<Self, WeightsError> {
        let want = shape.bytes()?;
        if bytes.len() != want {
            return Err(WeightsError::Length { got: bytes.len(), want });
        }
        let padded = (shape.groups() * GROUP).next_multiple_of(16);
        let (data, shifts) = bytes.split_at(want - padded);
        let mut aligned = vec![i32x4::ZERO; data.len() / 16];
        bytemuck::cast_slice_mut::<i32x4, u8>(&mut aligned).copy_from_slice(data);
        let weights = Self { shape, data: aligned.into(), shifts: shifts.into() };
        weights.check()?;
        Ok(weights)
    }

    /// The bytes that [`Weights::decode`] reads.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = bytemuck::cast_slice::<i32x4, u8>(&self.data).to_vec();
        out.extend_from_slice(&self.shifts);
        out
    }

    /// Shape and exponents.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The vectors of a group of eight rows: for each block of 32 columns its scales and numbers.
    #[must_use]
    pub fn group(&self, group: usize) -> &[i32x4] {
        let len = self.shape.cols / BLOCK * self.shape.kind.vectors();
        &self.data[group * len..(group + 1) * len]
    }

    /// All vectors, as a GPU takes them.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        bytemuck::cast_slice(&self.data)
    }

    /// The shifts of all rows, padded to a multiple of 16.
    #[must_use]
    pub fn shifts(&self) -> &[u8] {
        &self.shifts
    }

    /// The scale `(D, M)` of a block; `(1, 0)` for [`Kind::R16`].
    #[must_use]
    pub fn scale(&self, row: usize, block: usize) -> (i32, i32) {
        let kind = self.shape.kind;
        let vectors = &self.group(row / GROUP)[block * kind.vectors()..];
        let lanes = bytemuck::cast_slice::<i32x4, i16>(&vectors[..2]);
        let (quad, lane) = (row % GROUP / 4, row % 4);
        match kind {
            Kind::N4 => {
                (i32::from(lanes[quad * 8 + lane * 2]), i32::from(lanes[quad * 8 + lane * 2 + 1]))
            }
            Kind::B8 => (i32::from(lanes[lane * 2 + quad]), 0),
            Kind::R16 => (1, 0),
        }
    }

    /// The number at (row, column), before its scale.
    #[must_use]
    pub fn number(&self, row: usize, col: usize) -> i32 {
        let (block, k) = (col / BLOCK, col % BLOCK);
        let vectors = &self.group(row / GROUP)[block * self.shape.kind.vectors()..];
        let (vector, lane, part) = place(self.shape.kind, row % GROUP, k);
        let lane = bytemuck::cast_slice::<i32x4, i16>(&vectors[vector..=vector])[lane];
        match self.shape.kind {
            Kind::N4 => ((lane as u16 >> (4 * part)) & 15) as i32 - 8,
            Kind::B8 if part == 0 => i32::from(lane as i8),
            Kind::B8 => i32::from(lane >> 8),
            Kind::R16 => i32::from(lane),
        }
    }

    /// Proves the bound of docs/arithmetic.md, "No accumulator overflows", for every row.
    fn check(&self) -> Result<(), WeightsError> {
        if self.shifts.iter().any(|s| *s > 30) {
            return Err(WeightsError::Range("a row's shift"));
        }
        match pack::overflowing_row(self) {
            Some(row) => Err(WeightsError::Overflow(row)),
            None => Ok(()),
        }
    }
}

/// Where a number lies within a block of eight rows: vector, 16-bit lane, part of the lane.
fn place(kind: Kind, row: usize, k: usize) -> (usize, usize, usize) {
    let (quad, lane, pair) = (row / 4, row % 4 * 2 + k % 2, k / 2);
    match kind {
        Kind::N4 => (2 + quad * 4 + pair / 4, lane, pair % 4),
        Kind::B8 => (1 + quad * 8 + pair / 2, lane, pair % 2),
        Kind::R16 => (quad * 16 + pair, lane, 0),
    }
}

/// Four vectors of numbers + 8, for four pairs of columns.
#[inline(always)]
pub(crate) fn unpack_n4(v: i32x4) -> [i16x8; 4] {
    let v: u16x8 = bytemuck::cast(v);
    let mask = u16x8::splat(15);
    [v & mask, (v >> 4_u32) & mask, (v >> 8_u32) & mask, v >> 12_u32].map(bytemuck::cast)
}

/// Two vectors of numbers, for two pairs of columns.
#[inline(always)]
pub(crate) fn unpack_b8(v: i32x4) -> [i16x8; 2] {
    let v: i16x8 = bytemuck::cast(v);
    [(v << 8_u32) >> 8_u32, v >> 8_u32]
}
