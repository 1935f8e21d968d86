//! Regular expressions: finds and captures in text with the crate `regex`.

use regex::Regex;
use std::process::ExitCode;
use task_programs::{Checksum, run, text};

const PATTERNS: [&str; 4] = [
    r"[a-e]+[x-z]",
    r"(\w+) (\w+)\n(\w+)",
    r"\b(a|be|c[d-k]*)\w{2,5}\b",
    r"([aeiou][^aeiou\s]){2}",
];

#[inline(never)]
fn search(pattern: &Regex, text: &str, checksum: &mut Checksum) {
    for captures in pattern.captures_iter(text) {
        if let Some(group) = captures.iter().flatten().last() {
            checksum.number(group.start() as u64);
            checksum.number(group.end() as u64);
        }
    }
}

fn main() -> ExitCode {
    let setup = || {
        let compile = |pattern| Regex::new(pattern).expect("the patterns are valid");
        (PATTERNS.map(compile), text(6, 64 * 1024))
    };
    run("regex", setup, |(patterns, text), round, checksum| {
        let start = round as usize * 101 % 4096;
        let part = text.get(start..start + 16 * 1024).unwrap_or_default();
        patterns.iter().for_each(|pattern| search(pattern, part, checksum));
    })
}
