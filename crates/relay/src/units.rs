//! Durations and sizes as people write them.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;

/// A duration written with its unit: `500ms`, `10s`, `5m`, `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

/// A size written in bytes or with its unit: `4096`, `64KiB`, `10MiB`, `2GiB`,
/// `1TiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

/// A text that is not a number with one of the units.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected a number with a unit, one of {0}")]
pub struct ParseUnitError(&'static str);

const SPANS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
const SIZES: [(&str, u64); 5] =
    [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("", 1)];

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (unit, factor) = units.iter().find(|(unit, _)| text.ends_with(unit))?;
    let number = text.strip_suffix(unit)?.trim_end();
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// With the largest unit that leaves no rest.
fn format(f: &mut fmt::Formatter<'_>, number: u64, units: &[(&str, u64)]) -> fmt::Result {
    let whole = |(_, factor): &&(&str, u64)| number.is_multiple_of(*factor) && number >= *factor;
    let (unit, factor) = units.iter().filter(whole).max_by_key(|unit| unit.1).unwrap_or(&units[0]);
    write!(f, "{}{unit}", number / factor)
}

impl FromStr for Span {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let millis = parse(text, &SPANS).ok_or(ParseUnitError("ms, s, m, h"))?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl FromStr for Size {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        parse(text, &SIZES).map(Self).ok_or(ParseUnitError("KiB, MiB, GiB, TiB, or none for bytes"))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        format(f, self.0.as_millis() as u64, &SPANS)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        format(f, self.0, &SIZES)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (text, millis) in [("500ms", 500), ("10s", 10_000), ("5m", 300_000), ("2h", 7_200_000)]
        {
            let span = Span(Duration::from_millis(millis));
            assert_eq!((text.parse(), span.to_string().as_str()), (Ok(span), text));
        }
        for (text, bytes) in [("4097", 4097), ("64KiB", 65_536), ("3GiB", 3 << 30)] {
            assert_eq!((text.parse(), Size(bytes).to_string().as_str()), (Ok(Size(bytes)), text));
        }
        for bad in ["", "s", "10", "-1s", "1.5s", "10 years", "99999999999999999999s"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
        for bad in ["", "KiB", "10kB", "18446744073709551615KiB"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }
}
