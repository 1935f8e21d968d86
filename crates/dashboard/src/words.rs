//! Figures as people read them.

/// Fuel that makes one point of verified work.
pub const FUEL_PER_POINT: u64 = 1_000_000_000;

/// A count with its thousands apart: 1,234,567.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "1 node", "2 nodes".
pub fn counted(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", count(number), if number == 1 { "" } else { "s" })
}

/// Fuel as points, with three digits that count.
pub fn points(fuel: u64) -> String {
    const MILLIONTH: u64 = FUEL_PER_POINT / 1_000_000;
    match fuel / MILLIONTH {
        0 if fuel == 0 => "0".into(),
        0..1_000 => "under 0.001".into(),
        1_000..1_000_000 => decimal(fuel / MILLIONTH / 100, 4),
        1_000_000..10_000_000 => decimal(fuel / MILLIONTH / 10_000, 2),
        10_000_000..1_000_000_000 => decimal(fuel / MILLIONTH / 100_000, 1),
        _ => count(fuel / FUEL_PER_POINT),
    }
}

/// A number of tenths: 12.3 of 123.
pub fn tenths(number: u64) -> String {
    if number >= 1_000 { count(number / 10) } else { decimal(number, 1) }
}

/// A share in percent. 100% is said of the whole only.
pub fn percent(part: u64, whole: u64) -> String {
    let tenths = u128::from(part) * 1_000 / u128::from(whole.max(1));
    format!("{}%", decimal(tenths as u64, 1))
}

/// Bytes, in binary units.
pub fn bytes(number: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = (number.max(1).ilog2() / 10) as usize;
    match unit {
        0 => format!("{number} bytes"),
        unit => {
            let tenths = u128::from(number) * 10 / (1 << (10 * unit));
            format!("{} {}", self::tenths(tenths as u64), units[unit])
        }
    }
}

/// A time in its largest two units: "3 h 20 min".
pub fn duration(ms: u64) -> String {
    let minutes = ms / 60_000;
    match (minutes / 1_440, minutes / 60 % 24, minutes % 60) {
        (0, 0, 0) => format!("{} s", ms / 1_000),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{} d {hours} h", count(days)),
    }
}

/// A number of thousandths, with one digit after the point.
pub fn thousandths(number: u64) -> String {
    tenths(number / 100)
}

/// A number of 10^-digits, without zeros at its end. Whole numbers are all
/// that is formatted: printing floats takes as much code as a page.
fn decimal(number: u64, digits: usize) -> String {
    let one = 10_u64.pow(digits as u32);
    let text = format!("{}.{:0digits$}", count(number / one), number % one);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The beginning of a key or digest; the whole is in the element's title.
pub fn short(text: &str) -> String {
    text.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_at_a_glance() {
        let check = |got: String, expect: &str| assert_eq!(got, expect);
        check(count(0), "0");
        check(count(999), "999");
        check(count(1_000), "1,000");
        check(count(u64::MAX), "18,446,744,073,709,551,615");
        check(counted(1, "node"), "1 node");
        check(counted(2_000, "node"), "2,000 nodes");
        check(points(0), "0");
        check(points(5), "under 0.001");
        check(points(2_500_000), "0.0025");
        check(points(1_234_000_000), "1.23");
        check(points(12_340_000_000), "12.3");
        check(points(123_400_000_000), "123.4");
        check(points(1_234_567_000_000_000), "1,234,567");
        check(tenths(0), "0");
        check(tenths(123), "12.3");
        check(tenths(12_344), "1,234");
        check(percent(8, 8), "100%");
        check(percent(99_999, 100_000), "99.9%");
        check(percent(1, 8), "12.5%");
        check(percent(0, 0), "0%");
        check(bytes(0), "0 bytes");
        check(bytes(1_023), "1023 bytes");
        check(bytes(1_536), "1.5 KiB");
        check(bytes(5 << 30), "5 GiB");
        check(bytes(u64::MAX), "15.9 EiB");
        check(duration(59_999), "59 s");
        check(duration(60_000), "1 min");
        check(duration(12_000_000), "3 h 20 min");
        check(duration(180_000_000), "2 d 2 h");
        check(thousandths(1_250), "1.2");
        check(short("0123456789abcdef"), "0123456789ab");
    }
}
