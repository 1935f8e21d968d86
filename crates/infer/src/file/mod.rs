//! The Grid model file (`.gridmodel`): a header that names everything, then
//! data in blocks that can be fetched, checked and kept one by one.
//!
//! ```text
//! magic 8 ‖ version u32 ‖ length of the CBOR u32 ‖ CBOR ‖ zeros to 64 bytes ‖ data
//! ```
//!
//! **The model's digest is SHA-256 of everything before the zeros.** The CBOR
//! holds the digest of every block of the data, so the digest names the whole
//! file. Offsets count from where the data begins.

mod check;
mod header;
mod load;
mod parameters;

pub use check::{BlockError, HeaderError};
pub use header::{Block, Family, Format, Header, Span, Tensor};
pub use load::{LoadError, Loader, norm_bytes};
pub use parameters::{Number, ParameterError, Parameters};

/// How a model file begins.
pub const MAGIC: [u8; 8] = *b"gridmodl";
/// Version of the layout.
pub const VERSION: u32 = 1;
/// Bytes before the CBOR: magic, version, length.
pub const PREFIX: usize = 16;
/// Size of a block of data in bytes; the last one may be shorter.
pub const BLOCK: u64 = 1 << 20;
/// Data, and every tensor in it, begins at a multiple of this many bytes.
pub const ALIGN: u64 = 64;
/// Largest header in bytes, prefix included.
pub const MAX_HEADER: usize = 2 << 20;
/// Most data a model may have, in bytes.
pub const MAX_DATA: u64 = 16 << 30;
/// Most tensors a model may have.
pub const MAX_TENSORS: usize = 4096;
/// Most rows or columns of a tensor.
pub const MAX_SIDE: u32 = 1 << 24;
/// Largest magnitude of an exponent.
pub const MAX_EXPONENT: u32 = 100;
/// Longest name of a tensor or parameter, in bytes.
pub const MAX_NAME: usize = 128;
/// Longest name or licence of a model, in bytes.
pub const MAX_TITLE: usize = 256;
/// Most parameters.
pub const MAX_PARAMETERS: usize = 64;

/// The next multiple of [`ALIGN`]; for offsets far below 2^64.
pub(crate) fn aligned(offset: u64) -> u64 {
    offset.div_ceil(ALIGN) * ALIGN
}

#[cfg(test)]
mod tests;
