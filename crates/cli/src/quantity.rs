//! Amounts as people write and read them.

use std::{str::FromStr, time::Duration};

/// An amount of fuel: `5000000`, `20M`, `1.5G` (powers of 1000).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fuel(pub(crate) u64);

/// A number of bytes: `65536`, `64K`, `16M` (powers of 1024).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

impl FromStr for Fuel {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        amount(text, 1000)
            .map(Self)
            .ok_or_else(|| "expected a number like 5000000, 20M or 1.5G".into())
    }
}

impl FromStr for Bytes {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        amount(text, 1024)
            .map(Self)
            .ok_or_else(|| "expected a number like 65536, 64K or 16M".into())
    }
}

/// A decimal number with at most three digits after the point, times a power
/// of `unit`. Exact: an amount that is no whole number is refused.
fn amount(text: &str, unit: u64) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let power = match &text[digits.len()..] {
        "" => 0,
        "k" | "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        _ => return None,
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let number = |text: &str| -> Option<u128> {
        let plain =
            (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if plain { text.parse().ok() } else { None }
    };
    if part.len() > 3 {
        return None;
    }
    // Below 10^20 * 10^3 * 1024^4, far from an overflow of 128 bits.
    let scale = 10_u128.pow(part.len() as u32);
    let total = (number(whole)? * scale + number(part)?) * u128::from(unit).pow(power);
    if total.is_multiple_of(scale) { u64::try_from(total / scale).ok() } else { None }
}

/// Fuel in three or four digits: `12.3 M`.
pub(crate) fn fuel(amount: u64) -> String {
    scaled(amount, 1000, ["", " k", " M", " G", " T", " P"])
}

/// Bytes in three or four digits: `12.3 KiB`.
pub(crate) fn bytes(amount: u64) -> String {
    scaled(amount, 1024, [" bytes", " KiB", " MiB", " GiB", " TiB", " PiB"])
}

fn scaled(amount: u64, unit: u64, names: [&str; 6]) -> String {
    let mut power = 0;
    let mut divisor = 1;
    // 999,950 is 1.0 M, not 1000.0 k.
    while power < 5 && amount >= unit * divisor - divisor / 20 {
        divisor *= unit;
        power += 1;
    }
    match power {
        0 => format!("{amount}{}", names[0]),
        _ => format!("{:.1}{}", amount as f64 / divisor as f64, names[power]),
    }
}

/// A span of time in its largest unit or two: `3 min 20 s`.
pub(crate) fn span(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {} min", s / 3600, s / 60 % 60),
        _ => format!("{} d {} h", s / 86_400, s / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        let check = |text: &str, expect: Option<u64>| {
            assert_eq!(text.parse::<Fuel>().ok().map(|fuel| fuel.0), expect, "{text:?}");
        };
        check("5000000", Some(5_000_000));
        check("20M", Some(20_000_000));
        check("1.5G", Some(1_500_000_000));
        check("1.5", None);
        check("0.001k", Some(1));
        check("0.0001M", None);
        check("", None);
        check("-1", None);
        check("+1", None);
        check("1.M", None);
        check("G", None);
        check("1e9", None);
        check("99999999999T", None);
        check("18446744073709551615", Some(u64::MAX));
        assert_eq!("64K".parse(), Ok(Bytes(65_536)));
        assert_eq!("1.5M".parse(), Ok(Bytes(1_572_864)));
    }

    #[test]
    fn amounts_for_people() {
        let shown = [0, 999, 1000, 12_345, 999_949, 999_950, 1_500_000_000].map(fuel);
        assert_eq!(shown, ["0", "999", "1.0 k", "12.3 k", "999.9 k", "1.0 M", "1.5 G"]);
        assert_eq!(fuel(u64::MAX), "18446.7 P");
        assert_eq!([bytes(100), bytes(65_536)], ["100 bytes", "64.0 KiB"]);
        let shown = [5, 200, 7260, 100_000].map(|s| span(Duration::from_secs(s)));
        assert_eq!(shown, ["5 s", "3 min 20 s", "2 h 1 min", "1 d 3 h"]);
    }
}
