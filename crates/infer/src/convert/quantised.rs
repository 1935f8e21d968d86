//! The block formats of GGUF (ggml's `ggml-quants.c`), as blocks of 32 whose
//! scale and minimum are exact: an f16 times a small integer fits an f64.

use super::half::{bf16, f16};
use super::source::{Layout, Rows};
use grid_tensor::weights::{BLOCK, Block, Kind};

/// A format of GGUF that can be converted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ggml {
    pub(super) name: &'static str,
    pub(super) layout: Layout,
    /// Numbers of a block.
    pub(super) numbers: u32,
    /// Bytes of a block.
    pub(super) bytes: u32,
    read: fn(&[u8], &mut Rows),
}

const fn format(
    name: &'static str,
    layout: Layout,
    numbers: u32,
    bytes: u32,
    read: fn(&[u8], &mut Rows),
) -> Ggml {
    Ggml { name, layout, numbers, bytes, read }
}

impl Ggml {
    /// The format of a type number; else the number's name, where it has one.
    pub(super) fn from_type(number: u32) -> Result<Self, String> {
        use Layout::{Blocks, Floats};
        Ok(match number {
            0 => format("F32", Floats, 1, 4, |block, rows| {
                floats(rows, block.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            }),
            1 => format("F16", Floats, 1, 2, |block, rows| {
                floats(rows, block.as_chunks().0.iter().map(|bytes| f16(*bytes) as f32));
            }),
            30 => format("BF16", Floats, 1, 2, |block, rows| {
                floats(rows, block.as_chunks().0.iter().map(|bytes| bf16(*bytes)));
            }),
            2 => format("Q4_0", Blocks(Kind::N4), 32, 18, |block, rows| {
                let q = nibbles(&block[2..]).map(|q| q as i8 - 8);
                push(rows, Block { q, scale: half(block, 0), min: 0.0 });
            }),
            3 => format("Q4_1", Blocks(Kind::N4), 32, 20, |block, rows| {
                centred(rows, nibbles(&block[4..]), half(block, 0), half(block, 2));
            }),
            6 => format("Q5_0", Blocks(Kind::B8), 32, 22, |block, rows| {
                let low = nibbles(&block[6..]);
                let high = |k: usize| (block[2 + k / 8] >> (k % 8) & 1) << 4;
                let q = std::array::from_fn(|k| (low[k] | high(k)) as i8 - 16);
                push(rows, Block { q, scale: half(block, 0), min: 0.0 });
            }),
            8 => format("Q8_0", Blocks(Kind::B8), 32, 34, |block, rows| {
                let q = std::array::from_fn(|k| block[2 + k] as i8);
                push(rows, Block { q, scale: half(block, 0), min: 0.0 });
            }),
            12 => format("Q4_K", Blocks(Kind::N4), 256, 144, q4_k),
            14 => format("Q6_K", Floats, 256, 210, q6_k),
            other => return Err(type_name(other).map_or(format!("number {other}"), str::to_owned)),
        })
    }

    /// Reads whole blocks; how many bytes there are was checked.
    pub(super) fn rows(&self, bytes: &[u8]) -> Rows {
        let blocks = bytes.chunks_exact(self.bytes as usize);
        let mut rows = match self.layout {
            Layout::Blocks(_) => {
                Rows::Blocks(Vec::with_capacity(blocks.len() * self.numbers as usize / BLOCK))
            }
            Layout::Floats => {
                Rows::Floats(Vec::with_capacity(blocks.len() * self.numbers as usize))
            }
        };
        blocks.for_each(|block| (self.read)(block, &mut rows));
        rows
    }
}

/// Names of formats that can't be converted.
fn type_name(number: u32) -> Option<&'static str> {
    Some(match number {
        7 => "Q5_1",
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        13 => "Q5_K",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        _ => return None,
    })
}

fn push(rows: &mut Rows, block: Block) {
    if let Rows::Blocks(blocks) = rows {
        blocks.push(block);
    }
}

fn floats(rows: &mut Rows, numbers: impl Iterator<Item = f32>) {
    if let Rows::Floats(floats) = rows {
        floats.extend(numbers);
    }
}

fn half(block: &[u8], at: usize) -> f64 {
    f16([block[at], block[at + 1]])
}

/// Thirty-two numbers of four bits: the low halves of 16 bytes, then the high.
fn nibbles(bytes: &[u8]) -> [u8; BLOCK] {
    std::array::from_fn(|k| if k < 16 { bytes[k] & 15 } else { bytes[k - 16] >> 4 })
}

/// `q * scale + min` with q of 0 to 15 is `(q - 8) * scale + (min + 8 * scale)`.
/// Exact: the terms are some 20 bits wide and at most 29 binary places apart.
fn centred(rows: &mut Rows, q: [u8; BLOCK], scale: f64, min: f64) {
    push(rows, Block { q: q.map(|q| q as i8 - 8), scale, min: min + 8.0 * scale });
}

/// Eight blocks of 32 with 6-bit scales and minimums of a common scale.
fn q4_k(block: &[u8], rows: &mut Rows) {
    let (d, dmin) = (half(block, 0), half(block, 2));
    let (scales, q) = (&block[4..16], &block[16..]);
    for j in 0..8 {
        let (scale, min) = if j < 4 {
            (scales[j] & 63, scales[j + 4] & 63)
        } else {
            let high = |at: usize| scales[at] >> 6 << 4;
            (scales[j + 4] & 15 | high(j - 4), scales[j + 4] >> 4 | high(j))
        };
        // 64 numbers are 32 bytes: the low halves, then the high ones.
        let bytes = &q[j / 2 * 32..];
        let numbers =
            std::array::from_fn(|k| if j % 2 == 0 { bytes[k] & 15 } else { bytes[k] >> 4 });
        centred(rows, numbers, d * f64::from(scale), -dmin * f64::from(min));
    }
}

/// Sixteen blocks of 16 with 8-bit scales of a common scale.
fn q6_k(block: &[u8], rows: &mut Rows) {
    let (ql, qh, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let d = half(block, 208);
    floats(
        rows,
        (0..256).map(|at| {
            let (half, quarter, l) = (at / 128, at % 128 / 32, at % 32);
            let low = ql[half * 64 + quarter % 2 * 32 + l] >> (quarter / 2 * 4) & 15;
            let high = qh[half * 32 + l] >> (2 * quarter) & 3;
            let q = i32::from(low | high << 4) - 32;
            let scale = i32::from(scales[half * 8 + quarter * 2 + l / 16] as i8);
            (d * f64::from(scale * q)) as f32
        }),
    );
}
