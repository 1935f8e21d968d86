//! Reading safetensors: F32, F16 and BF16, renamed as GGUF names them.

use super::ConvertError;
use super::half::{bf16, f16};
use super::source::{Layout, Rows, Source, SourceTensor};
use crate::file::MAX_SIDE;
use ::safetensors::tensor::{Dtype, Metadata, SafeTensorError, SafeTensors};
use std::ops::Range;
use thiserror::Error;

/// Why a safetensors file was refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SafetensorsError {
    /// What the format's own library says.
    #[error("{0}")]
    Format(#[from] SafeTensorError),
    /// A tensor that can't be converted.
    #[error("tensor {name:?}: {why}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// A safetensors file in memory.
#[derive(Debug)]
pub struct Safetensors {
    bytes: Vec<u8>,
    /// Where the data begins.
    begin: usize,
    metadata: Metadata,
    tensors: Vec<SourceTensor>,
    /// The names in the file, in the same order.
    names: Vec<String>,
}

impl Safetensors {
    /// From a file's bytes. `rename` gives a tensor's name in GGUF: none for one
    /// that is passed over.
    ///
    /// # Errors
    /// The file is broken, or holds a format that can't be converted.
    pub fn open(
        bytes: Vec<u8>,
        rename: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SafetensorsError> {
        let (header, metadata) = SafeTensors::read_metadata(&bytes)?;
        let (mut tensors, mut names) = (Vec::new(), metadata.offset_keys());
        names.retain(|name| rename(name).is_some());
        for name in &names {
            let refuse = |why| SafetensorsError::Tensor { name: name.clone(), why };
            let info = metadata.info(name).ok_or_else(|| refuse("it has no entry"))?;
            let (rows, cols) = match info.shape.as_slice() {
                [cols] => (1, *cols),
                [rows, cols] => (*rows, *cols),
                _ => return Err(refuse("it has more than two dimensions, or none")),
            };
            let side = |n: usize| u32::try_from(n).ok().filter(|n| (1..=MAX_SIDE).contains(n));
            let shape = side(rows).zip(side(cols));
            let (rows, cols) = shape.ok_or_else(|| refuse("its shape is out of range"))?;
            let format = match info.dtype {
                Dtype::F32 => "F32",
                Dtype::F16 => "F16",
                Dtype::BF16 => "BF16",
                _ => return Err(refuse("its format can't be converted; F32, F16 and BF16 can")),
            };
            let name = rename(name).unwrap_or_default();
            tensors.push(SourceTensor { name, rows, cols, layout: Layout::Floats, format });
        }
        // The header's length stands in eight bytes before it.
        Ok(Self { begin: 8 + header, bytes, metadata, tensors, names })
    }
}

impl Source for Safetensors {
    fn tensors(&self) -> &[SourceTensor] {
        &self.tensors
    }

    fn read_rows(&mut self, name: &str, rows: Range<u32>) -> Result<Rows, ConvertError> {
        let missing = || ConvertError::MissingTensor(name.to_owned());
        let number = self.tensors.iter().position(|tensor| tensor.name == name);
        let number = number.ok_or_else(missing)?;
        let info = self.metadata.info(&self.names[number]).ok_or_else(missing)?;
        let size = info.dtype.bitsize() / 8;
        let row = self.tensors[number].cols as usize * size;
        let from = self.begin + info.data_offsets.0;
        let (start, end) = (from + rows.start as usize * row, from + rows.end as usize * row);
        let inside = start <= end && end <= self.begin + info.data_offsets.1;
        let bytes = self.bytes.get(start..end).filter(|_| inside).ok_or_else(missing)?;
        Ok(Rows::Floats(match info.dtype {
            Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::BF16 => bytes.as_chunks().0.iter().map(|b| bf16(*b)).collect(),
            _ => bytes.as_chunks().0.iter().map(|b| f16(*b) as f32).collect(),
        }))
    }
}
