//! One column's values, and what is printed of them.

use std::collections::BTreeSet;

/// The heading of what [`Summary::cells`] gives.
pub(crate) const HEADINGS: [&str; 10] =
    ["column", "type", "count", "missing", "min", "max", "mean", "deviation", "median", "distinct"];

/// A column while rows are added.
pub(crate) struct Column {
    name: String,
    missing: usize,
    count: usize,
    /// The values as numbers, as long as every one is a number.
    numbers: Option<Vec<f64>>,
    distinct: BTreeSet<String>,
}

impl Column {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            missing: 0,
            count: 0,
            numbers: Some(Vec::new()),
            distinct: BTreeSet::new(),
        }
    }

    /// Adds a cell. Blanks around it don't count.
    pub(crate) fn add(&mut self, cell: &str) {
        let cell = cell.trim();
        if ["", "na", "n/a", "nan", "null"].iter().any(|word| word.eq_ignore_ascii_case(cell)) {
            self.missing += 1;
            return;
        }
        self.count += 1;
        let number = cell.parse().ok().filter(|number: &f64| number.is_finite());
        match (&mut self.numbers, number) {
            // Adding zero turns -0 into 0.
            (Some(numbers), Some(number)) => numbers.push(number + 0.0),
            _ => self.numbers = None,
        }
        if !self.distinct.contains(cell) {
            self.distinct.insert(cell.into());
        }
    }

    pub(crate) fn finish(self) -> Summary {
        let values = match self.numbers {
            _ if self.count == 0 => Values::Empty,
            Some(numbers) => Values::Numbers(Numbers::of(numbers)),
            None => Values::Text { distinct: self.distinct.len() },
        };
        Summary { name: self.name, count: self.count, missing: self.missing, values }
    }
}

/// What is printed of a column.
pub(crate) struct Summary {
    name: String,
    count: usize,
    missing: usize,
    values: Values,
}

enum Values {
    Empty,
    Numbers(Numbers),
    Text { distinct: usize },
}

impl Summary {
    /// The summary as a row under [`HEADINGS`].
    pub(crate) fn cells(&self) -> [String; 10] {
        let (kind, [min, max, mean, deviation, median], distinct) = match &self.values {
            Values::Empty => ("empty", Default::default(), String::new()),
            Values::Text { distinct } => ("text", Default::default(), distinct.to_string()),
            Values::Numbers(n) => {
                let deviation = n.deviation.map(shown).unwrap_or_default();
                let of = [shown(n.min), shown(n.max), shown(n.mean), deviation, shown(n.median)];
                ("number", of, String::new())
            }
        };
        let (count, missing) = (self.count.to_string(), self.missing.to_string());
        let name = self.name.clone();
        [name, kind.into(), count, missing, min, max, mean, deviation, median, distinct]
    }
}

/// The shortest decimal that reads back as the same number.
fn shown(number: f64) -> String {
    let plain = number == 0.0 || (1e-5..1e16).contains(&number.abs());
    if plain { format!("{number}") } else { format!("{number:e}") }
}

#[derive(Debug, PartialEq)]
struct Numbers {
    min: f64,
    max: f64,
    mean: f64,
    /// None of a single value.
    deviation: Option<f64>,
    median: f64,
}

impl Numbers {
    /// Of at least one finite number. Sums run in order of size, so that the
    /// order of rows makes no difference.
    fn of(mut numbers: Vec<f64>) -> Self {
        numbers.sort_by(f64::total_cmp);
        let (min, max) = (numbers[0], numbers[numbers.len() - 1]);
        // Scaled by a power of two (exact), no sum or square overflows.
        let scale = power_of_two(min.abs().max(max.abs()));
        let n = numbers.len() as f64;
        let sum_of = |f: &dyn Fn(f64) -> f64| sum(numbers.iter().map(|x| f(x / scale)));
        // Rounding can put the mean of equal numbers beside them.
        let mean = (sum_of(&|x| x) / n).clamp(min / scale, max / scale);
        let variance = sum_of(&|x| (x - mean) * (x - mean)) / (n - 1.0);
        let middle = numbers.len() / 2;
        let median = if numbers.len() % 2 == 1 {
            numbers[middle]
        } else {
            // Halves first: the sum of two numbers can overflow.
            (numbers[middle - 1] / scale / 2.0 + numbers[middle] / scale / 2.0) * scale
        };
        let deviation = (numbers.len() > 1).then(|| variance.sqrt() * scale);
        Self { min, max, mean: mean * scale, deviation, median }
    }
}

/// Neumaier's compensated sum: what rounding loses is summed beside it.
fn sum(numbers: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0f64, 0.0);
    for x in numbers {
        let next = sum + x;
        lost += if sum.abs() >= x.abs() { (sum - next) + x } else { (x - next) + sum };
        sum = next;
    }
    sum + lost
}

/// The power of two at or below a number that is not negative; the least
/// normal one for anything smaller.
fn power_of_two(number: f64) -> f64 {
    const EXPONENT: u64 = 0x7ff0_0000_0000_0000;
    f64::from_bits(number.to_bits() & EXPONENT).max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(numbers: &[f64], mean: f64, deviation: Option<f64>, median: f64) {
        let min = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let max = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let expect = Numbers { min, max, mean, deviation, median };
        assert_eq!(Numbers::of(numbers.to_vec()), expect);
        let reversed = numbers.iter().rev().copied().collect();
        assert_eq!(Numbers::of(reversed), expect);
    }

    #[test]
    fn known_values() {
        check(&[5.0], 5.0, None, 5.0);
        check(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], 5.0, Some((32f64 / 7.0).sqrt()), 4.5);
        check(&[0.0, 0.0], 0.0, Some(0.0), 0.0);
        check(&[0.1, 0.1, 0.1], 0.1, Some(0.0), 0.1);
    }

    #[test]
    fn the_ends_of_the_range() {
        check(&[f64::MAX, f64::MAX], f64::MAX, Some(0.0), f64::MAX);
        check(&[-f64::MAX, 0.0, f64::MAX], 0.0, Some(f64::MAX), 0.0);
        check(&[5e-324, 5e-324, 1.5e-323], 1e-323, Some(5e-324), 5e-324);
        // Summed one after the other, these give 0.
        check(&[1.0, 1e100, 1.0, -1e100], 0.5, Some((2e200f64 / 3.0).sqrt()), 1.0);
        // A large offset: sums of  of the values themselves give 0 here.
        check(&[1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0], 1e9 + 2.0, Some(1.0), 1e9 + 2.0);
    }

    #[test]
    fn numbers_as_shown() {
        for (number, expect) in [
            (0.0, "0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e15, "1000000000000000"),
            (1e16, "1e16"),
            (-1.5e300, "-1.5e300"),
            (1e-7, "1e-7"),
        ] {
            assert_eq!(shown(number), expect);
        }
    }
}
