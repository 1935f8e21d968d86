//! What a header must be before anybody believes it.

use super::header::{Header, Span};
use super::parameters::Number;
use super::{ALIGN, BLOCK, MAX_DATA, MAX_NAME, MAX_PARAMETERS, MAX_SIDE, MAX_TENSORS, MAX_TITLE};
use thiserror::Error;

/// Why a header was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Fewer or more bytes than the header says.
    #[error("the header is not as long as it says")]
    Truncated,
    /// The file begins with something else.
    #[error("this is no Grid model file")]
    Magic,
    /// Another version of the layout.
    #[error("this is a model file of version {0}, which this program doesn't know")]
    Version(u32),
    /// The header claims more than is allowed.
    #[error("the header is too large")]
    TooLarge,
    /// The CBOR is broken, or says what no header says.
    #[error("the header can't be read: {0}")]
    Cbor(String),
    /// The same header has another, shorter or sorted, encoding.
    #[error("the header is not encoded as headers are")]
    Encoding,
    /// A limit is exceeded.
    #[error("{0} is out of range")]
    Range(&'static str),
    /// Something about a tensor.
    #[error("tensor {name}: {why}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two parts share bytes, or lie outside of the data.
    #[error("parts of the data overlap or lie outside")]
    Spans,
    /// Bytes that no part covers, beyond alignment.
    #[error("the data has bytes that belong to nothing")]
    Gap,
}

/// Why a block was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BlockError {
    /// Too short or too long.
    #[error("the block has {found} bytes instead of {expected}")]
    Length {
        /// Bytes that came.
        found: usize,
        /// Bytes it has.
        expected: u64,
    },
    /// Other bytes.
    #[error("the block's digest is another one")]
    Digest,
}

/// A name that can be printed and can't be mistaken for another.
fn is_name(name: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(fine)
}

fn is_title(text: &str) -> bool {
    text.len() <= MAX_TITLE && !text.chars().any(char::is_control)
}

impl Header {
    /// Checks limits, sizes and that the parts lie in the data side by side.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), HeaderError> {
        let range = |fine: bool, what| if fine { Ok(()) } else { Err(HeaderError::Range(what)) };
        range(is_title(&self.name) && !self.name.is_empty(), "the model's name")?;
        range(is_title(&self.licence), "the licence")?;
        range(self.length <= MAX_DATA, "the length of the data")?;
        range(self.blocks.len() as u64 == self.length.div_ceil(BLOCK), "the number of blocks")?;
        range(self.parameters.0.len() <= MAX_PARAMETERS, "the number of parameters")?;
        for (name, number) in &self.parameters.0 {
            range(is_name(name), "a parameter's name")?;
            range(!matches!(number, Number::Float(f) if !f.is_finite()), "a parameter")?;
        }
        range((1..=MAX_TENSORS).contains(&self.tensors.len()), "the number of tensors")?;
        let sorted = self.tensors.is_sorted_by(|one, next| one.name < next.name);
        range(sorted, "the order of the tensors")?;
        self.tensors.iter().try_for_each(|tensor| {
            let refuse = |why| {
                Err(HeaderError::Tensor { name: tensor.name.chars().take(64).collect(), why })
            };
            if !is_name(&tensor.name) {
                return refuse("its name is not allowed");
            }
            if !(1..=MAX_SIDE).contains(&tensor.rows) || !(1..=MAX_SIDE).contains(&tensor.cols) {
                return refuse("its shape is out of range");
            }
            match tensor.size() {
                None => refuse("its format doesn't fit its shape"),
                Some(size) if size != tensor.span.length => refuse("its length is another one"),
                Some(_) => Ok(()),
            }
        })?;
        self.check_spans()
    }

    /// Aligned, in the data, side by side: nothing overlaps, nothing is left.
    fn check_spans(&self) -> Result<(), HeaderError> {
        let tensors = self.tensors.iter().map(|tensor| tensor.span);
        let mut spans: Vec<Span> = tensors.chain([self.tokenizer]).collect();
        spans.sort_unstable_by_key(|span| (span.offset, span.length));
        let mut end = 0_u64;
        for span in spans {
            if span.offset < end || !span.offset.is_multiple_of(ALIGN) {
                return Err(HeaderError::Spans);
            }
            if span.offset - end >= ALIGN {
                return Err(HeaderError::Gap);
            }
            end = span.end().filter(|end| *end <= self.length).ok_or(HeaderError::Spans)?;
        }
        if end != self.length {
            return Err(HeaderError::Gap);
        }
        Ok(())
    }
}
