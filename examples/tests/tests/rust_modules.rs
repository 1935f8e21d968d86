//! The modules written in Rust against the same code built natively.
#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

use examples_tests::{Left, examples, files, run, rust_module};
use std::fs;
use std::io;
use std::path::Path;

/// Runs an example's library: arguments, input, output and errors.
type Native = fn(std::vec::IntoIter<String>, &[u8], &mut Vec<u8>, &mut Vec<u8>) -> io::Result<u8>;

struct Example {
    module: &'static str,
    native: Native,
}

const WORDS: Example = Example {
    module: "word-frequencies",
    native: |arguments, input, output, errors| {
        word_frequencies::run(arguments, input, output, errors)
    },
};

const CSV: Example = Example {
    module: "csv-stats",
    native: |arguments, input, output, errors| csv_stats::run(arguments, input, output, errors),
};

/// Checks that module and native build give the same, and returns what.
fn check(example: &Example, arguments: &[&str], input: &Path) -> Left {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let bytes = fs::read(input).unwrap();
    let given: Vec<_> = arguments.iter().map(|a| (*a).to_owned()).collect();
    let code = (example.native)(given.into_iter(), &bytes, &mut output, &mut errors).unwrap();
    let native = Left { ok: code == 0, stdout: output, stderr: String::from_utf8(errors).unwrap() };
    let out = tempfile::tempdir().unwrap();
    let left = run(&rust_module(example.module), arguments, input, &out.path().join("task"));
    assert_eq!(left, native, "{} {arguments:?} < {}", example.module, input.display());
    left
}

fn check_bytes(example: &Example, arguments: &[&str], input: &[u8]) -> Left {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), input).unwrap();
    check(example, arguments, file.path())
}

#[test]
fn words_of_the_shipped_text() {
    for chapter in files(&examples().join("word-frequencies/data")) {
        let left = check(&WORDS, &["--top", "25", "--min-length=3"], &chapter);
        assert!(left.ok);
        assert_eq!(left.stdout.iter().filter(|byte| **byte == b'\n').count(), 25);
    }
}

#[test]
fn words_of_other_texts() {
    let left = check_bytes(&WORDS, &[], "ΟΔΥΣΣΕΥΣ Ärger don’t İ 東京 ärger\r\n".as_bytes());
    let expect = "2\tärger\n1\tdon't\n1\ti\u{307}\n1\tοδυσσευς\n1\t東京\n";
    assert_eq!(String::from_utf8(left.stdout).unwrap(), expect);
    assert_eq!(check_bytes(&WORDS, &[], b"").stdout, b"");
    assert!(check_bytes(&WORDS, &[], b"a\xffb").stderr.contains("not UTF-8"));
    assert!(!check_bytes(&WORDS, &["--top", "many"], b"a").ok);
}

/// More words than fit the module's first memory, so that it must grow.
#[test]
fn words_of_a_large_text() {
    let mut text = String::new();
    for number in 0..60_000u32 {
        text += &format!("w{number} w{} ", number % 1000);
    }
    assert!(check_bytes(&WORDS, &[], text.as_bytes()).ok);
}

#[test]
fn statistics_of_the_shipped_tables() {
    for table in files(&examples().join("csv-stats/data")) {
        let left = check(&CSV, &[], &table);
        assert!(left.ok, "{}", left.stderr);
        // A heading and the 17 columns of the tables.
        assert_eq!(left.stdout.iter().filter(|byte| **byte == b'\n').count(), 18);
    }
}

#[test]
fn statistics_of_other_tables() {
    let numbers = b"a\n0.1\n0.2\n0.3\n1e-300\n-7e300\n5e-324\n179769313486231570000e288\n";
    let left = check_bytes(&CSV, &[], numbers);
    assert!(left.ok);
    assert!(String::from_utf8(left.stdout).unwrap().contains("1.7976931348623157e308"));
    assert!(check_bytes(&CSV, &["--delimiter=;"], b"a;b\n1;x\n2;\xc3\xa4\n").ok);
    let table = b"a,b\n1,2\n3\n\xff,4\n5,6\n";
    let left = check_bytes(&CSV, &[], table);
    assert!(!left.ok && left.stdout.is_empty());
    assert!(left.stderr.contains("line 3: 1 cells") && left.stderr.contains("line 4: cell 1"));
    assert!(check_bytes(&CSV, &["--skip-malformed"], table).ok);
    assert!(!check_bytes(&CSV, &[], b"").ok);
    assert!(!check_bytes(&CSV, &["--unknown"], b"a\n1\n").ok);
}
