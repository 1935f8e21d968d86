//! Word frequencies of a text. The same code is the task module (built for
//! `wasm32-wasip1`) and the native program whose output it must equal.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

/// What `--help` prints, and what follows a wrong argument.
pub const USAGE: &str = "\
usage: word-frequencies [--top N] [--min-length N] < TEXT

Prints `count<TAB>word` for each word of the text, the most frequent first,
words of equal count in order of their code points. Words are lower-cased.

  --top N         print only the first N lines (default: all)
  --min-length N  leave out words of fewer than N characters (default: 1)
";

/// How to print the frequencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Lines to print at most.
    pub top: usize,
    /// Words of fewer characters (Unicode scalar values) are left out.
    pub min_length: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { top: usize::MAX, min_length: 1 }
    }
}

/// Runs the program: `arguments` are those after the program's name.
///
/// Returns the exit code: 0, or 2 for arguments it doesn't know. Bytes that
/// are no UTF-8 end a word; their number goes to `errors`.
///
/// # Errors
/// Only those of reading `input` and of writing `output` and `errors`.
pub fn run(
    arguments: impl Iterator<Item = String>,
    mut input: impl Read,
    mut output: impl Write,
    mut errors: impl Write,
) -> io::Result<u8> {
    let options = match parse(arguments) {
        Ok(Some(options)) => options,
        Ok(None) => {
            output.write_all(USAGE.as_bytes())?;
            return Ok(0);
        }
        Err(message) => {
            write!(errors, "word-frequencies: {message}\n\n{USAGE}")?;
            return Ok(2);
        }
    };
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let broken = bytes.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty()).count();
    if broken > 0 {
        writeln!(errors, "word-frequencies: {broken} times bytes that are not UTF-8, skipped")?;
    }
    let words = bytes.utf8_chunks().flat_map(|chunk| words(chunk.valid()));
    for (word, count) in most_frequent(words, options) {
        writeln!(output, "{count}\t{word}")?;
    }
    output.flush()?;
    Ok(0)
}

/// `None` when help was asked for.
fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let slot = match name {
            "--help" | "-h" => return Ok(None),
            "--top" => &mut options.top,
            "--min-length" => &mut options.min_length,
            _ => return Err(format!("unknown argument {argument:?}")),
        };
        let value = value.or_else(|| arguments.next());
        let value = value.ok_or_else(|| format!("{name} needs a number"))?;
        *slot = value.parse().map_err(|_| format!("{name} needs a number, not {value:?}"))?;
    }
    Ok(Some(options))
}

/// The words of a text, lower-cased, in order.
///
/// A word is a run of letters, digits and combining marks (U+0300 to U+036F);
/// an apostrophe between two of those belongs to it (`don't`), and U+2019 is
/// written as `'`.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(char::is_alphanumeric)?;
        rest = &rest[start..];
        let end = word_end(rest);
        let word = rest[..end].to_lowercase().replace('\u{2019}', "'");
        rest = &rest[end..];
        Some(word)
    })
}

/// Bytes of the word that `text` begins with.
fn word_end(text: &str) -> usize {
    let in_word = |c: char| c.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&c);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let apostrophe = matches!(c, '\'' | '\u{2019}');
        let joins = apostrophe && chars.peek().is_some_and(|(_, next)| next.is_alphanumeric());
        if !in_word(c) && !joins {
            return at;
        }
    }
    text.len()
}

/// Counts words and sorts them: by count, the largest first, then by word.
pub fn most_frequent(
    words: impl Iterator<Item = String>,
    options: Options,
) -> Vec<(String, usize)> {
    let mut counts = BTreeMap::new();
    for word in words {
        *counts.entry(word).or_insert(0) += 1;
    }
    let mut sorted: Vec<_> = counts.into_iter().collect();
    sorted.retain(|(word, _)| word.chars().count() >= options.min_length);
    // Stable, so words of equal count keep the map's order.
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    sorted.truncate(options.top);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[&str]) {
        assert_eq!(words(text).collect::<Vec<_>>(), expect, "{text:?}");
    }

    #[test]
    fn what_a_word_is() {
        check("", &[]);
        check(" \t\n.,;--", &[]);
        check("Down the Rabbit-Hole", &["down", "the", "rabbit", "hole"]);
        check("`Curiouser and curiouser!'", &["curiouser", "and", "curiouser"]);
        check("don't 'don\u{2019}t' dogs'", &["don't", "don't", "dogs"]);
        check("rock'n'roll ''' a''b", &["rock'n'roll", "a", "b"]);
        check("in 1865, 2nd_of", &["in", "1865", "2nd", "of"]);
        check("*emphasis* and--dashes", &["emphasis", "and", "dashes"]);
    }

    #[test]
    fn lower_case_is_unicodes() {
        check("ÄRGER Straße ΟΔΥΣΣΕΥΣ", &["ärger", "straße", "οδυσσευς"]);
        // A capital that becomes two code points, and one without lower case.
        check("İ ẞ 東京 Ǆ", &["i\u{307}", "ß", "東京", "ǆ"]);
        check("CAFE\u{301}S", &["cafe\u{301}s"]);
        check("\u{301}x", &["x"]);
    }

    fn output(arguments: &[&str], input: &[u8]) -> (u8, String, String) {
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let arguments = arguments.iter().map(|a| (*a).to_owned());
        let code = run(arguments, input, &mut output, &mut errors).unwrap();
        (code, String::from_utf8(output).unwrap(), String::from_utf8(errors).unwrap())
    }

    #[test]
    fn sorted_by_count_then_word() {
        let text = b"b a c a b z Z z";
        assert_eq!(output(&[], text).1, "3\tz\n2\ta\n2\tb\n1\tc\n");
        assert_eq!(output(&["--top", "2"], text).1, "3\tz\n2\ta\n");
        assert_eq!(output(&["--top=0"], text).1, "");
        assert_eq!(output(&["--min-length", "2"], b"a be see \xc3\xa4").1, "1\tbe\n1\tsee\n");
    }

    #[test]
    fn wrong_arguments() {
        for arguments in [&["--top"][..], &["--top", "-1"], &["--top", "x"], &["--tpo=1"], &["x"]] {
            let (code, output, errors) = output(arguments, b"a");
            assert_eq!((code, output.as_str()), (2, ""), "{arguments:?}");
            assert!(errors.contains("usage:"), "{errors}");
        }
        let (code, output, errors) = output(&["--help"], b"a");
        assert_eq!((code, output.as_str(), errors.as_str()), (0, USAGE, ""));
    }

    #[test]
    fn bytes_that_are_no_text() {
        let (code, output, errors) = output(&[], b"one\xfftwo\xf0\x9f one \xed\xa0\x80");
        assert_eq!((code, output.as_str()), (0, "2\tone\n1\ttwo\n"));
        assert_eq!(errors, "word-frequencies: 5 times bytes that are not UTF-8, skipped\n");
        assert_eq!(self::output(&[], b"").1, "");
    }

    /// The chapters are the whole book, so their counts add up to the book's.
    #[test]
    fn the_shipped_text() {
        let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
        let mut book = String::new();
        let mut sum = BTreeMap::new();
        for chapter in 1..=12 {
            let name = data.join(format!("chapter-{chapter:02}.txt"));
            let text = std::fs::read_to_string(name).unwrap();
            for (word, count) in most_frequent(words(&text), Options::default()) {
                *sum.entry(word).or_insert(0) += count;
            }
            book += &text;
        }
        let whole = most_frequent(words(&book), Options::default());
        assert_eq!(sum, whole.iter().cloned().collect());
        let first: Vec<_> = whole.iter().take(3).map(|(w, n)| (w.as_str(), *n)).collect();
        assert_eq!(first, EXPECTED);
    }
    const EXPECTED: [(&str, usize); 3] = [("the", 1642), ("and", 872), ("to", 729)];
}
