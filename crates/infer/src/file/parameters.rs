//! A model's hyper-parameters: named numbers.

use minicbor::data::Type;
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
use std::collections::BTreeMap;
use thiserror::Error;

/// A number: counts are whole, the rest are finite floats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A count, size or flag.
    Int(u64),
    /// A finite float, exactly as the source had it.
    Float(f64),
}

impl<C> Encode<C> for Number {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        match self {
            Self::Int(number) => e.u64(*number)?.ok(),
            Self::Float(number) => e.f64(*number)?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for Number {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        match d.datatype()? {
            Type::F64 => d.f64().map(Self::Float),
            _ => d.u64().map(Self::Int),
        }
    }
}

/// Why a parameter can't be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// The model doesn't have it.
    #[error("the model has no parameter {0}")]
    Missing(&'static str),
    /// It is there, and of another kind or out of range.
    #[error("parameter {0} is out of range")]
    Range(&'static str),
}

/// Named numbers, sorted by name. docs/model-file.md lists the names of each
/// family.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters(pub BTreeMap<String, Number>);

impl Parameters {
    /// A count that must be there, 1 to `most`.
    ///
    /// # Errors
    /// It is missing, a float, 0 or above `most`.
    pub fn count(&self, name: &'static str, most: u64) -> Result<u64, ParameterError> {
        match self.0.get(name) {
            None => Err(ParameterError::Missing(name)),
            Some(Number::Int(number)) if (1..=most).contains(number) => Ok(*number),
            Some(_) => Err(ParameterError::Range(name)),
        }
    }

    /// A float that must be there.
    ///
    /// # Errors
    /// It is missing, or a count.
    pub fn float(&self, name: &'static str) -> Result<f64, ParameterError> {
        match self.0.get(name) {
            None => Err(ParameterError::Missing(name)),
            Some(Number::Float(number)) => Ok(*number),
            Some(Number::Int(_)) => Err(ParameterError::Range(name)),
        }
    }
}

impl<C> Encode<C> for Parameters {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        c: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        self.0.encode(e, c)
    }
}

impl<'b, C> Decode<'b, C> for Parameters {
    fn decode(d: &mut Decoder<'b>, c: &mut C) -> Result<Self, decode::Error> {
        BTreeMap::decode(d, c).map(Self)
    }
}
