//! Rules about what code does: purity, unsafe code, sleeping and skipped tests.

use super::repository::{Repository, is_comment};
use super::{Finding, graph};

/// What a pure crate gets from its callers instead.
const IMPURE: [&str; 11] = [
    "std::fs",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "std::env",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant::",
    "getrandom::",
    "rand::",
];

/// Modules that may hold unsafe code, each for the reason written in it.
const UNSAFE_MODULES: [&str; 0] = [];

/// The lines of a file that are code, numbered from 1, without comments.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().filter(|(_, line)| !is_comment(line)).map(|(number, line)| {
        let code = line.split_once(" // ").map_or(line, |(code, _)| code);
        (number + 1, code)
    })
}

/// Where the unit tests at the end of a file begin.
fn tests_begin(text: &str) -> usize {
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let module = lines.peek().is_some_and(|(_, next)| next.trim_start().contains("mod "));
        if line == "#[cfg(test)]" && module {
            return number + 1;
        }
    }
    usize::MAX
}

fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/")
        || path.contains("/tests/")
        || path.ends_with("tests.rs")
        || path.ends_with(".test.mjs")
}

fn found(path: &str, line: usize, advice: &str) -> Finding {
    Finding { path: path.to_owned(), line, advice: advice.to_owned() }
}

pub(super) fn pure_crates(repository: &Repository) -> Vec<Finding> {
    let table = graph::crates(repository);
    let pure = |path: &str| {
        let folder = path.strip_prefix("crates/").and_then(|path| path.split('/').next());
        folder.and_then(|folder| table.get(folder)).is_some_and(|row| row.pure)
    };
    let mut findings = Vec::new();
    for (path, text) in repository.with_extension(&["rs"]) {
        if !pure(path) || is_test_file(path) {
            continue;
        }
        let tests = tests_begin(text);
        for (line, code) in code_lines(text).take_while(|(line, _)| *line < tests) {
            if let Some(word) = IMPURE.iter().find(|word| code.contains(*word)) {
                findings.push(Finding {
                    path: path.to_owned(),
                    line,
                    advice: format!("{word} in a pure crate: let the caller pass the value"),
                });
            }
        }
    }
    findings
}

pub(super) fn unsafe_code(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in repository.with_extension(&["rs"]) {
        if UNSAFE_MODULES.contains(&path) {
            continue;
        }
        for (line, code) in code_lines(text) {
            let uses = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "allow(unsafe"];
            // The words in this file are strings.
            if uses.iter().any(|word| code.contains(word) && !code.contains(&format!("\"{word}"))) {
                let advice = "write it safely, or add the module to UNSAFE_MODULES in \
                              crates/xtask/src/tidy/code.rs with its reason";
                findings.push(found(path, line, advice));
            }
        }
    }
    findings
}

pub(super) fn sleeps(repository: &Repository) -> Vec<Finding> {
    let advice = "wait for a condition with a bound; if time itself is what is tested, say so: \
                  `tidy-allow(sleep): why`";
    let mut findings = Vec::new();
    for (path, text) in repository.with_extension(&["rs", "js", "mjs"]) {
        let script = !path.ends_with(".rs");
        let tests = if is_test_file(path) { 0 } else { tests_begin(text) };
        for (line, code) in code_lines(text) {
            let rust_anywhere = !script && code.contains(concat!("thread::", "sleep("));
            let rust_test = !script && line > tests && code.contains(concat!("time::", "sleep("));
            let script_anywhere = script && code.contains(concat!("waitFor", "Timeout("));
            let script_test = script
                && line > tests
                && code.contains(concat!("set", "Timeout("))
                && (code.contains("Promise") || code.contains("await"));
            if rust_anywhere || rust_test || script_anywhere || script_test {
                findings.push(found(path, line, advice));
            }
        }
    }
    findings
}

pub(super) fn skipped_tests(repository: &Repository) -> Vec<Finding> {
    let words = [
        concat!("#[", "ignore"),
        concat!("test.", "skip("),
        concat!("it.", "skip("),
        concat!("describe.", "skip("),
        concat!("test.", "only("),
        concat!("it.", "only("),
        concat!("describe.", "only("),
        concat!("test.", "todo("),
    ];
    let mut findings = Vec::new();
    for (path, text) in repository.with_extension(&["rs", "js", "mjs"]) {
        for (line, code) in code_lines(text) {
            if words.iter().any(|word| code.contains(word)) {
                findings.push(found(path, line, "run the test, mend it or delete it"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::repository::sample::files;
    use super::*;

    fn lines(check: fn(&Repository) -> Vec<Finding>, path: &str, text: &str) -> Vec<usize> {
        check(&files(&[(path, text)])).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_clock_in_a_pure_crate_is_found() {
        let text = "use std::time::SystemTime;\n//! std::fs in words\nfn f() { \
                    std::fs::read(p); }\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        let table = "## Crates\n| `node` *pure* | x | protocol |\n| `relay` | y | protocol |\n";
        let found = |path: &str| {
            let found = pure_crates(&files(&[("ARCHITECTURE.md", table), (path, text)]));
            found.into_iter().map(|finding| finding.line).collect::<Vec<_>>()
        };
        assert_eq!(found("crates/node/src/a.rs"), [1, 3]);
        assert_eq!(found("crates/relay/src/a.rs"), [0_usize; 0]);
        assert_eq!(found("crates/node/tests/a.rs"), [0_usize; 0]);
    }

    #[test]
    fn unsafe_code_is_found() {
        // In two parts: the rule reads this file as well.
        let text = format!("fn f() {{ {} {{ g() }} }}\n// {0} {{\n", "unsafe");
        assert_eq!(lines(unsafe_code, "crates/relay/src/a.rs", &text), [1]);
    }

    #[test]
    fn sleeping_tests_are_found() {
        let thread = concat!("std::thread::", "sleep(d);\n");
        let tokio = concat!("tokio::time::", "sleep(d).await;\n");
        let script = concat!("await new Promise((done) => set", "Timeout(done, 5));\n");
        assert_eq!(lines(sleeps, "crates/relay/src/a.rs", thread), [1]);
        assert_eq!(lines(sleeps, "crates/relay/src/a.rs", tokio), [0_usize; 0]);
        assert_eq!(lines(sleeps, "tests/relay/a.rs", tokio), [1]);
        let unit = format!("#[cfg(test)]\nmod tests {{\n{tokio}}}\n");
        assert_eq!(lines(sleeps, "crates/relay/src/a.rs", &unit), [3]);
        assert_eq!(lines(sleeps, "tests/browser/a.mjs", script), [1]);
        assert_eq!(lines(sleeps, "extension/a.js", script), [0_usize; 0]);
        let page = concat!("await page.waitFor", "Timeout(5);\n");
        assert_eq!(lines(sleeps, "extension/a.js", page), [1]);
    }

    #[test]
    fn skipped_tests_are_found() {
        assert_eq!(lines(skipped_tests, "a.rs", concat!("#[", "ignore]\n")), [1]);
        assert_eq!(lines(skipped_tests, "a.mjs", concat!("test.", "skip('x');\n")), [1]);
        assert_eq!(lines(skipped_tests, "a.mjs", "list.skip(1);\n"), [0_usize; 0]);
    }
}
