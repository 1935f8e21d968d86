//! Reading GGUF, versions 2 and 3 (ggml's `docs/gguf.md`). Every count, length
//! and offset is checked against the file before anything is made from it.

use super::ConvertError;
use super::quantised::Ggml;
use super::source::{Rows, Source, SourceTensor};
use crate::file::{MAX_SIDE, MAX_TENSORS};
use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use thiserror::Error;

const MAGIC: [u8; 4] = *b"GGUF";
/// Most values of the metadata, elements of lists included.
const MAX_VALUES: u64 = 1 << 22;
/// Longest text: a chat template has some kilobytes.
const MAX_TEXT: u64 = 1 << 20;
/// Deepest list in a list.
const MAX_DEPTH: u32 = 4;
const MAX_ALIGNMENT: u64 = 1 << 16;

/// Why a GGUF file was refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GgufError {
    /// The file can't be read, or ends early.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The file begins with something else.
    #[error("it is no GGUF file")]
    Magic,
    /// Another version, or another byte order.
    #[error("it has version {0}; versions 2 and 3 can be read")]
    Version(u32),
    /// A count or length that can't be true.
    #[error("{0} is larger than the file or a limit allows")]
    Limit(&'static str),
    /// A value of no known type.
    #[error("the metadata holds a value of the unknown type {0}")]
    Type(u32),
    /// A text that is no UTF-8.
    #[error("{0} is no UTF-8")]
    Text(&'static str),
    /// The same name twice.
    #[error("{0:?} is there twice")]
    Twice(String),
    /// An alignment that is no power of two, or too large.
    #[error("the alignment {0} is out of range")]
    Alignment(u64),
    /// A tensor that doesn't fit.
    #[error("tensor {name:?}: {why}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}

/// A value of the metadata.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Any whole number.
    Int(i128),
    /// Any float.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text.
    Text(String),
    /// Values of one type.
    List(Vec<Value>),
}

/// An opened GGUF file.
#[derive(Debug)]
pub struct Gguf<R> {
    reader: R,
    metadata: BTreeMap<String, Value>,
    tensors: Vec<SourceTensor>,
    /// Format and place of each tensor.
    places: BTreeMap<String, (Ggml, u64)>,
}

impl<R: Read + Seek> Gguf<R> {
    /// Reads the metadata and the table of tensors, and checks that all of
    /// them lie in the file.
    ///
    /// # Errors
    /// The file is broken, or holds a format that can't be converted.
    pub fn open(mut reader: R) -> Result<Self, GgufError> {
        let length = reader.seek(SeekFrom::End(0))?;
        reader.seek(SeekFrom::Start(0))?;
        let mut parser = Parser { reader: BufReader::new(reader), at: 0, length, values: 0 };
        if parser.array::<4>()? != MAGIC {
            return Err(GgufError::Magic);
        }
        let version = parser.u32()?;
        if version != 2 && version != 3 {
            return Err(GgufError::Version(version));
        }
        let (tensors, pairs) = (parser.u64()?, parser.u64()?);
        if tensors > MAX_TENSORS as u64 {
            return Err(GgufError::Limit("the number of tensors"));
        }
        let mut metadata = BTreeMap::new();
        for _ in 0..pairs {
            let key = parser.text("a key of the metadata")?;
            let kind = parser.u32()?;
            let value = parser.value(kind, 0)?;
            if metadata.contains_key(&key) {
                return Err(GgufError::Twice(key));
            }
            metadata.insert(key, value);
        }
        let alignment = match metadata.get("general.alignment") {
            None => 32,
            Some(Value::Int(number)) => u64::try_from(*number).unwrap_or(u64::MAX),
            Some(_) => 0,
        };
        if !alignment.is_power_of_two() || alignment > MAX_ALIGNMENT {
            return Err(GgufError::Alignment(alignment));
        }
        let infos: Vec<Info> = (0..tensors).map(|_| parser.info()).collect::<Result<_, _>>()?;
        let begin = parser.at.div_ceil(alignment) * alignment;
        let places = place(&infos, begin, alignment, length)?;
        let tensors = infos.into_iter().map(|info| info.tensor).collect();
        Ok(Self { reader: parser.reader.into_inner(), metadata, tensors, places })
    }

    /// The metadata by key.
    pub fn metadata(&self) -> &BTreeMap<String, Value> {
        &self.metadata
    }
}

impl<R: Read + Seek> Source for Gguf<R> {
    fn tensors(&self) -> &[SourceTensor] {
        &self.tensors
    }

    fn read_rows(&mut self, name: &str, rows: Range<u32>) -> Result<Rows, ConvertError> {
        let tensor = self.tensors.iter().find(|tensor| tensor.name == name);
        let tensor = tensor.filter(|tensor| rows.start <= rows.end && rows.end <= tensor.rows);
        let (Some(tensor), Some((format, place))) = (tensor, self.places.get(name)) else {
            return Err(ConvertError::MissingTensor(name.to_owned()));
        };
        let row = u64::from(tensor.cols / format.numbers) * u64::from(format.bytes);
        let mut bytes = vec![0; (u64::from(rows.end - rows.start) * row) as usize];
        self.reader
            .seek(SeekFrom::Start(place + u64::from(rows.start) * row))
            .and_then(|_| self.reader.read_exact(&mut bytes))
            .map_err(GgufError::Io)?;
        Ok(format.rows(&bytes))
    }
}

struct Info {
    tensor: SourceTensor,
    format: Ggml,
    offset: u64,
}

/// Where in the file each tensor is: inside, aligned, side by side.
fn place(
    infos: &[Info],
    begin: u64,
    alignment: u64,
    length: u64,
) -> Result<BTreeMap<String, (Ggml, u64)>, GgufError> {
    let mut places = BTreeMap::new();
    let mut spans = Vec::new();
    for Info { tensor, format, offset } in infos {
        let refuse = |why: &str| GgufError::Tensor { name: tensor.name.clone(), why: why.into() };
        let blocks = u64::from(tensor.rows) * u64::from(tensor.cols / format.numbers);
        let size = blocks * u64::from(format.bytes);
        let start = offset.checked_add(begin).filter(|_| offset.is_multiple_of(alignment));
        let start = start.ok_or_else(|| refuse("its offset is not aligned"))?;
        let end = start.checked_add(size).filter(|end| *end <= length);
        let end = end.ok_or_else(|| refuse("it lies outside of the file"))?;
        spans.push((start, end, &tensor.name));
        if places.insert(tensor.name.clone(), (*format, start)).is_some() {
            return Err(GgufError::Twice(tensor.name.clone()));
        }
    }
    spans.sort_unstable();
    match spans.array_windows().find(|[one, next]| one.1 > next.0) {
        Some([_, next]) => {
            let why = "it shares bytes with another one".into();
            Err(GgufError::Tensor { name: next.2.clone(), why })
        }
        None => Ok(places),
    }
}

struct Parser<R> {
    reader: BufReader<R>,
    at: u64,
    length: u64,
    /// Values read so far.
    values: u64,
}

impl<R: Read> Parser<R> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, GgufError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, GgufError> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self, what: &'static str) -> Result<String, GgufError> {
        let length = self.u64()?;
        if length > MAX_TEXT || length > self.length - self.at.min(self.length) {
            return Err(GgufError::Limit(what));
        }
        let mut bytes = vec![0; length as usize];
        self.reader.read_exact(&mut bytes)?;
        self.at += length;
        String::from_utf8(bytes).map_err(|_| GgufError::Text(what))
    }

    fn value(&mut self, kind: u32, depth: u32) -> Result<Value, GgufError> {
        self.values += 1;
        if self.values > MAX_VALUES || depth > MAX_DEPTH {
            return Err(GgufError::Limit("the metadata"));
        }
        Ok(match kind {
            0 => Value::Int(i128::from(u8::from_le_bytes(self.array()?))),
            1 => Value::Int(i128::from(i8::from_le_bytes(self.array()?))),
            2 => Value::Int(i128::from(u16::from_le_bytes(self.array()?))),
            3 => Value::Int(i128::from(i16::from_le_bytes(self.array()?))),
            4 => Value::Int(i128::from(self.u32()?)),
            5 => Value::Int(i128::from(i32::from_le_bytes(self.array()?))),
            6 => Value::Float(f64::from(f32::from_le_bytes(self.array()?))),
            7 => match self.array()? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                _ => return Err(GgufError::Limit("a truth value")),
            },
            8 => Value::Text(self.text("a text of the metadata")?),
            9 => {
                let (kind, count) = (self.u32()?, self.u64()?);
                // Each element has a byte at least.
                if count > self.length - self.at.min(self.length) {
                    return Err(GgufError::Limit("a list of the metadata"));
                }
                let values = (0..count).map(|_| self.value(kind, depth + 1));
                Value::List(values.collect::<Result<_, _>>()?)
            }
            10 => Value::Int(i128::from(self.u64()?)),
            11 => Value::Int(i128::from(i64::from_le_bytes(self.array()?))),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            other => return Err(GgufError::Type(other)),
        })
    }

    fn info(&mut self) -> Result<Info, GgufError> {
        let name = self.text("a tensor's name")?;
        let refuse = |why: String| GgufError::Tensor { name: name.clone(), why };
        let dimensions = self.u32()?;
        let (cols, rows) = match dimensions {
            1 => (self.u64()?, 1),
            2 => (self.u64()?, self.u64()?),
            other => return Err(refuse(format!("it has {other} dimensions instead of 1 or 2"))),
        };
        let (kind, offset) = (self.u32()?, self.u64()?);
        let format = Ggml::from_type(kind)
            .map_err(|name| refuse(format!("its format {name} can't be converted")))?;
        let side = |side: u64| u32::try_from(side).ok().filter(|n| (1..=MAX_SIDE).contains(n));
        let shape = side(cols).zip(side(rows)).filter(|(cols, _)| cols % format.numbers == 0);
        let (cols, rows) = shape.ok_or_else(|| refuse("its shape is out of range".into()))?;
        let tensor = SourceTensor { name, rows, cols, layout: format.layout, format: format.name };
        Ok(Info { tensor, format, offset })
    }
}
