//! The header: what a model is, and where in the data each part lies.

use super::parameters::Parameters;
use super::{
    BLOCK, BlockError, HeaderError, MAGIC, MAX_EXPONENT, MAX_HEADER, PREFIX, VERSION, aligned,
};
use grid_protocol::Digest;
use grid_tensor::weights::{Kind, Shape};
use minicbor::{Decode, Encode};

/// What kind of network the tensors make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
#[non_exhaustive]
pub enum Family {
    /// Decoder with RMSNorm, rotary positions, gated SiLU.
    #[n(0)]
    Llama,
    /// Decoder of Gemma 3: more norms, gated GELU, sliding windows.
    #[n(1)]
    Gemma3,
    /// Encoder with LayerNorm, learned positions, GELU.
    #[n(2)]
    Bert,
}

impl Family {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Gemma3 => "gemma3",
            Self::Bert => "bert",
        }
    }
}

/// How a tensor's numbers are stored. All are integers: what a model computes
/// is decided when it is converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
#[non_exhaustive]
pub enum Format {
    /// Integers of 32 bits: biases, frequencies.
    #[n(0)]
    I32,
    /// [`Kind::N4`], the bytes of [`grid_tensor::weights`].
    #[n(1)]
    N4,
    /// [`Kind::B8`].
    #[n(2)]
    B8,
    /// [`Kind::R16`].
    #[n(3)]
    R16,
    /// A norm: epsilon, gains, and biases where there are two rows.
    #[n(4)]
    Norm,
}

impl Format {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::I32 => "i32",
            Self::N4 => "n4",
            Self::B8 => "b8",
            Self::R16 => "r16",
            Self::Norm => "norm",
        }
    }

    /// The format of a kind of matrix.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::N4 => Self::N4,
            Kind::B8 => Self::B8,
            Kind::R16 => Self::R16,
        }
    }

    fn kind(self) -> Option<Kind> {
        match self {
            Self::I32 | Self::Norm => None,
            Self::N4 => Some(Kind::N4),
            Self::B8 => Some(Kind::B8),
            Self::R16 => Some(Kind::R16),
        }
    }
}

/// Where some bytes of the data are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Span {
    /// From the beginning of the data, in bytes.
    #[n(0)]
    pub offset: u64,
    /// In bytes.
    #[n(1)]
    pub length: u64,
}

impl Span {
    /// Where it ends; `None` past 2^64.
    pub fn end(self) -> Option<u64> {
        self.offset.checked_add(self.length)
    }
}

/// A row of the table of tensors.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Tensor {
    /// GGUF's name of it without `.weight`, such as `blk.0.attn_q`.
    #[n(0)]
    pub name: String,
    /// How its numbers are stored.
    #[n(1)]
    pub format: Format,
    /// Number of rows: outputs of a matrix; 1 for a vector or an RMSNorm, 2 for a LayerNorm.
    #[n(2)]
    pub rows: u32,
    /// Number of columns: inputs of a matrix, which are consecutive.
    #[n(3)]
    pub cols: u32,
    /// Power of two of the numbers; of a matrix [`Shape::exponent`].
    #[n(4)]
    pub exponent: i32,
    /// Of a matrix: [`Shape::dot_shift`]. 0 for others, like the next one.
    #[n(5)]
    pub dot_shift: u32,
    /// Of a matrix: [`Shape::sum_shift`].
    #[n(6)]
    pub sum_shift: u32,
    /// Where its bytes are. The length follows from format and shape.
    #[n(7)]
    pub span: Span,
}

impl Tensor {
    /// What `grid_tensor` needs besides the bytes; none for a vector.
    pub fn shape(&self) -> Option<Shape> {
        Some(Shape {
            kind: self.format.kind()?,
            rows: self.rows as usize,
            cols: self.cols as usize,
            exponent: self.exponent,
            dot_shift: self.dot_shift,
            sum_shift: self.sum_shift,
        })
    }

    /// How many bytes it has; `None` where no tensor is like that.
    pub(super) fn size(&self) -> Option<u64> {
        if let Some(shape) = self.shape() {
            return shape.bytes().ok().map(|bytes| bytes as u64);
        }
        let plain = self.dot_shift == 0 && self.sum_shift == 0;
        let fine = plain && self.exponent.unsigned_abs() <= MAX_EXPONENT;
        let cols = u64::from(self.cols);
        let size = match (self.format, self.rows) {
            (Format::Norm, 1) => 4 + (2 * cols).next_multiple_of(4),
            (Format::Norm, 2) => 4 + (2 * cols).next_multiple_of(4) + 4 * cols,
            (Format::I32, 1) => 4 * cols,
            _ => return None,
        };
        fine.then_some(size)
    }
}

/// What stands between the magic and the data.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Header {
    /// What people call the model.
    #[n(0)]
    pub name: String,
    /// Its licence, as its source names it; empty when the source doesn't.
    #[n(1)]
    pub licence: String,
    /// What kind of network it is.
    #[n(2)]
    pub family: Family,
    /// Its hyper-parameters.
    #[n(3)]
    pub parameters: Parameters,
    /// Its tensors, sorted by name.
    #[n(4)]
    pub tensors: Vec<Tensor>,
    /// Where the tokenizer is (`tokenizer::Tokenizer::decode`).
    #[n(5)]
    pub tokenizer: Span,
    /// Length of the data in bytes.
    #[n(6)]
    pub length: u64,
    /// SHA-256 of each block of the data.
    #[n(7)]
    pub blocks: Vec<Digest>,
}

/// A block of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Where in the data it is.
    pub span: Span,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}

impl Block {
    /// Checks a block that came from anywhere.
    ///
    /// # Errors
    /// Its length or its digest is another one.
    pub fn check(&self, bytes: &[u8]) -> Result<(), BlockError> {
        if bytes.len() as u64 != self.span.length {
            return Err(BlockError::Length { found: bytes.len(), expected: self.span.length });
        }
        if Digest::of(bytes) != self.digest {
            return Err(BlockError::Digest);
        }
        Ok(())
    }
}

impl Header {
    /// How many bytes the header has, from the first [`PREFIX`] bytes of a file.
    ///
    /// # Errors
    /// They are no model file's, or claim more than [`MAX_HEADER`].
    pub fn length(prefix: &[u8]) -> Result<usize, HeaderError> {
        let prefix = prefix.first_chunk::<PREFIX>().ok_or(HeaderError::Truncated)?;
        let word = |at: usize| prefix[at..at + 4].iter().rfold(0, |n, b| n << 8 | u32::from(*b));
        if prefix[..8] != MAGIC {
            return Err(HeaderError::Magic);
        }
        if word(8) != VERSION {
            return Err(HeaderError::Version(word(8)));
        }
        let length = word(12) as usize;
        if length > MAX_HEADER - PREFIX {
            return Err(HeaderError::TooLarge);
        }
        Ok(PREFIX + length)
    }

    /// Reads a header, prefix included, and checks all of it. Whatever follows
    /// the header is an error: only exactly these bytes have the digest.
    ///
    /// # Errors
    /// Something about it is not as docs/model-file.md says.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let length = Self::length(bytes)?;
        if bytes.len() != length {
            return Err(HeaderError::Truncated);
        }
        let header: Self = minicbor::decode(&bytes[PREFIX..])
            .map_err(|error| HeaderError::Cbor(error.to_string()))?;
        header.check()?;
        // One model, one digest: no other bytes mean the same header.
        if header.encode() != bytes {
            return Err(HeaderError::Encoding);
        }
        Ok(header)
    }

    /// Its bytes, prefix included, zeros not.
    pub fn encode(&self) -> Vec<u8> {
        let cbor = minicbor::to_vec(self).expect("writing to a Vec does not fail");
        let mut out = Vec::with_capacity(PREFIX + cbor.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(cbor.len() as u32).to_le_bytes());
        out.extend_from_slice(&cbor);
        out
    }

    /// The model's digest.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }

    /// Where in the file the data begins, for a header of so many bytes.
    pub fn data_begins(length: usize) -> u64 {
        aligned(length as u64)
    }

    /// A block, by number from 0.
    pub fn block(&self, number: usize) -> Option<Block> {
        let digest = *self.blocks.get(number)?;
        let offset = number as u64 * BLOCK;
        let length = self.length.checked_sub(offset)?.min(BLOCK);
        Some(Block { span: Span { offset, length }, digest })
    }

    /// A tensor by name.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        let found = self.tensors.binary_search_by(|tensor| tensor.name.as_str().cmp(name)).ok()?;
        self.tensors.get(found)
    }
}
