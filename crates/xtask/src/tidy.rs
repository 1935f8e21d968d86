//! `cargo xtask tidy`: what ARCHITECTURE.md promises about the sources, as
//! rules that a machine checks. A finding names the file and the line and says
//! what to do. Where a rule must be broken, a comment beside the place says
//! `tidy-allow(RULE): why`.

mod code;
mod graph;
mod outside;
mod repository;
mod text;

use std::time::Instant;

use anyhow::Result;

use crate::ui;
use repository::Repository;

/// A rule of the repository.
struct Rule {
    name: &'static str,
    promise: &'static str,
    check: fn(&Repository) -> Vec<Finding>,
}

/// A place that breaks a rule, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    path: String,
    /// From 1; 0 when the finding is about the whole file.
    line: usize,
    advice: String,
}

const RULES: [Rule; 14] = [
    Rule {
        name: "graph",
        promise: "crates depend on each other downwards only",
        check: graph::crates_point_down,
    },
    Rule {
        name: "libraries",
        promise: "web-sys, tokio, wasmtime and SQLite stay in the crates that own them",
        check: graph::libraries_stay_home,
    },
    Rule {
        name: "manifests",
        promise: "every crate has a description and the workspace's lints",
        check: graph::manifests,
    },
    Rule {
        name: "outside",
        promise: "crates from outside are published and under a licence in deny.toml",
        check: outside::licences,
    },
    Rule {
        name: "pure",
        promise: "pure crates never read clock, files, network or randomness",
        check: code::pure_crates,
    },
    Rule {
        name: "unsafe",
        promise: "unsafe code only in the modules listed",
        check: code::unsafe_code,
    },
    Rule { name: "length", promise: "no source file over 600 lines", check: text::length },
    Rule { name: "unfinished", promise: "nothing unfinished", check: text::unfinished },
    Rule {
        name: "machine",
        promise: "no paths of a machine, no registry hosts",
        check: text::machine,
    },
    Rule { name: "sleep", promise: "tests wait for conditions", check: code::sleeps },
    Rule { name: "skipped", promise: "no test is switched off", check: code::skipped_tests },
    Rule {
        name: "permissions",
        promise: "the extension asks for exactly the permissions agreed",
        check: text::permissions,
    },
    Rule {
        name: "lock",
        promise: "package-lock.json names no registry",
        check: text::package_lock,
    },
    Rule { name: "links", promise: "links between documents lead somewhere", check: text::links },
];

/// What a run found: rules kept and broken, and the lines to print.
pub(crate) struct Report {
    pub(crate) kept: usize,
    pub(crate) broken: usize,
    pub(crate) lines: Vec<String>,
}

/// Checks every rule.
pub(crate) fn check() -> Result<Report> {
    let repository = Repository::read(crate::root())?;
    let mut report = Report { kept: 0, broken: 0, lines: Vec::new() };
    for rule in &RULES {
        let mut findings = (rule.check)(&repository);
        findings.retain(|finding| !repository.allows(rule.name, &finding.path, finding.line));
        if findings.is_empty() {
            report.kept += 1;
            continue;
        }
        report.broken += 1;
        report.lines.push(format!("{}: {}", rule.name, rule.promise));
        for Finding { path, line, advice } in findings {
            report.lines.push(format!("  {path}:{line}: {advice}"));
        }
    }
    for (path, line, length) in text::long_files(&repository) {
        report.lines.push(format!("note: {path}:{line}: {length} lines, wants to be two files"));
    }
    Ok(report)
}

pub(crate) fn run() -> Result<bool> {
    let start = Instant::now();
    let report = check()?;
    for line in &report.lines {
        ui::line(line);
    }
    ui::line(format_args!(
        "{} rules kept, {} broken ({})",
        report.kept,
        report.broken,
        ui::seconds(start.elapsed())
    ));
    Ok(report.broken == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_names_are_distinct() {
        let mut names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RULES.len());
    }
}
