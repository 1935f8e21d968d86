//! `cargo xtask fuzz`: runs the targets of fuzz/ for a while, guided by
//! coverage, with libFuzzer on the stable toolchain.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::process::{command, output, quiet, shown, stream};
use crate::ui::{self, Step};
use crate::{build, cargo, setup};

const BUILD: Duration = Duration::from_secs(60 * 60);
/// What a program may take beyond its time: starting, reading its corpus, and
/// one input that hangs.
const EXTRA: Duration = Duration::from_secs(120);
/// An input that takes longer, in seconds, is a finding.
const SLOW: u32 = 10;
/// So is one that takes more memory, in MiB.
const MEMORY: u32 = 2048;

/// Counters on every edge, and the operands of comparisons: what cargo-fuzz
/// asks for, but for the sanitizers, which only a nightly compiler has.
const COVERAGE: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

#[derive(Args)]
pub(crate) struct Options {
    /// Seconds to fuzz in all, without the build: every target gets its share,
    /// of at least one second.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=30 * 86_400))]
    time: u64,
    /// Fuzz this target only (may be given more than once).
    #[arg(long, value_name = "NAME")]
    target: Vec<String>,
    /// Give one target this file, once: what a finding is reproduced with.
    #[arg(long, value_name = "FILE", requires = "target")]
    input: Option<PathBuf>,
    /// Name the targets, and run none.
    #[arg(long)]
    list: bool,
}

/// Whether nothing was found.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let all = targets()?;
    if options.list {
        all.iter().for_each(ui::line);
        return Ok(true);
    }
    if let Some(unknown) = options.target.iter().find(|name| !all.contains(name)) {
        bail!("there is no target {unknown}; --list names them");
    }
    setup::run()?;
    let targets = if options.target.is_empty() { &all } else { &options.target };
    let programs = programs(targets)?;
    if let Some(input) = &options.input {
        let [target] = &options.target[..] else { bail!("--input goes with one --target") };
        let mut program = command(programs.join(target));
        program.arg(std::path::absolute(input)?);
        return Ok(shown(&mut program, EXTRA)?.success());
    }
    let share = (options.time / targets.len() as u64).max(1);
    let outcomes: Vec<Outcome> =
        targets.iter().map(|target| fuzz(target, &programs, share)).collect::<Result<_>>()?;
    Ok(summary(&outcomes))
}

/// The names of all targets: each has a file.
fn targets() -> Result<Vec<String>> {
    let folder = crate::root().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for file in std::fs::read_dir(&folder).context("can't read fuzz/fuzz_targets")? {
        let name = file?.path();
        names.extend(name.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// Where programs, corpora and findings are.
fn folder() -> PathBuf {
    build::target().join("fuzz")
}

/// Builds the programs of these targets; gives their folder.
fn programs(targets: &[String]) -> Result<PathBuf> {
    let version = output(command("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc doesn't say what it compiles for")?;
    let mut step = Step::start("Build the fuzz targets");
    let mut build = cargo::with_progress();
    build.args(["build", "--release", "--manifest-path", "fuzz/Cargo.toml"]);
    build.args(targets.iter().flat_map(|target| ["--bin", target]));
    // With a target named, what runs while compiling is not instrumented.
    build.args(["--target", host]).arg("--target-dir").arg(folder());
    build.env("RUSTFLAGS", COVERAGE.join(" "));
    quiet(&mut build, BUILD, |line| {
        if let Some(text) = cargo::progress(line) {
            step.progress(&text);
        }
    })?;
    step.done("");
    Ok(folder().join(host).join("release"))
}

/// What became of a target.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    target: String,
    runs: u64,
    runs_per_s: u64,
    /// Edges of the program that were reached.
    coverage: u64,
    finding: Option<Finding>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Finding {
    /// The input, where there is one.
    input: Option<PathBuf>,
    /// What the program said of it.
    words: Vec<String>,
}

impl Outcome {
    /// Takes up a line of libFuzzer's.
    fn read(&mut self, line: &str) {
        let number = |text: &str| text.split_whitespace().next().and_then(|n| n.parse().ok());
        let after = |word: &str| line.split_once(word).and_then(|(_, rest)| number(rest));
        if let Some(runs) = after("stat::number_of_executed_units:") {
            self.runs = runs;
        } else if let Some(rate) = after("stat::average_exec_per_sec:") {
            self.runs_per_s = rate;
        } else if let Some(path) = line.split_once("Test unit written to ") {
            self.finding.get_or_insert_default().input = Some(path.1.trim().into());
        } else if line.contains("panicked at") || line.contains("ERROR: libFuzzer") {
            self.finding.get_or_insert_default().words.push(line.to_owned());
        } else if line.starts_with('#')
            && let Some(coverage) = after(" cov: ")
        {
            self.coverage = coverage;
        } else if let Some(finding) = &mut self.finding
            && finding.words.len() == 1
        {
            // A panic's message is the line after its place.
            finding.words.push(line.to_owned());
        }
    }
}

/// Fuzzes one target for so many seconds, or until it finds something.
fn fuzz(target: &str, programs: &Path, share: u64) -> Result<Outcome> {
    let mut step = Step::start(format!("Fuzz {target}"));
    let [corpus, findings] = ["corpus", "findings"].map(|name| folder().join(name).join(target));
    for folder in [&corpus, &findings] {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("can't make {}", folder.display()))?;
    }
    let mut program = command(programs.join(target));
    program.env("GRID_FUZZ_SEEDS", &corpus).arg(corpus);
    let known = crate::root().join("fuzz/regressions").join(target);
    if known.is_dir() {
        program.arg(known);
    }
    // The slash makes it a folder.
    program.arg(format!("-artifact_prefix={}/", findings.display()));
    program.arg(format!("-max_total_time={share}"));
    program.arg(format!("-timeout={SLOW}")).arg(format!("-rss_limit_mb={MEMORY}"));
    program.arg("-print_final_stats=1");
    let mut outcome = Outcome { target: target.to_owned(), ..Outcome::default() };
    let status = stream(&mut program, Duration::from_secs(share) + EXTRA, |line| {
        outcome.read(line);
        step.progress(line.trim());
    })?;
    if !status.success() {
        let finding = outcome.finding.get_or_insert_default();
        finding.words.push(format!("ended with {status}"));
    }
    match &outcome.finding {
        None => step.done(&format!("{} runs", outcome.runs)),
        Some(_) => drop(step),
    }
    Ok(outcome)
}

/// Prints the table, and what was found and how to see it again.
fn summary(outcomes: &[Outcome]) -> bool {
    let heading = ["target", "runs", "runs/s", "coverage", "findings"].map(str::to_owned).to_vec();
    let mut rows = vec![heading];
    for outcome in outcomes {
        rows.push(vec![
            outcome.target.clone(),
            outcome.runs.to_string(),
            outcome.runs_per_s.to_string(),
            outcome.coverage.to_string(),
            usize::from(outcome.finding.is_some()).to_string(),
        ]);
    }
    ui::line("");
    ui::line(ui::table(&rows));
    let mut found = 0;
    for Outcome { target, finding, .. } in outcomes {
        let Some(finding) = finding else { continue };
        found += 1;
        ui::line(format_args!("{target}: {}", finding.words.join("\n  ")));
        if let Some(input) = &finding.input {
            let input = input.display();
            ui::line(format_args!("  again: cargo xtask fuzz --target {target} --input {input}"));
        }
    }
    let runs: u64 = outcomes.iter().map(|outcome| outcome.runs).sum();
    ui::line(format_args!("{runs} runs of {} targets, {found} findings", outcomes.len()));
    found == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Outcome {
        let mut outcome = Outcome::default();
        text.lines().for_each(|line| outcome.read(line));
        outcome
    }

    #[test]
    fn figures_are_read() {
        let text = "INFO: seed corpus: files: 3\n\
                    #4\tINITED cov: 90 ft: 91 corp: 3/81b exec/s: 0 rss: 40Mb\n\
                    #262144\tpulse  cov: 118 ft: 300 corp: 40/9Kb exec/s: 87381 rss: 60Mb\n\
                    stat::number_of_executed_units: 300123\n\
                    stat::average_exec_per_sec:     60024\n";
        let expected =
            Outcome { runs: 300_123, runs_per_s: 60_024, coverage: 118, ..Outcome::default() };
        assert_eq!(read(text), expected);
    }

    #[test]
    fn a_finding_is_read() {
        let text = "thread '<unnamed>' (7) panicked at src/log.rs:7:5:\n\
                    another text\n\
                    note: run with `RUST_BACKTRACE=1`\n\
                    ==1== ERROR: libFuzzer: deadly signal\n\
                    artifact_prefix='x/'; Test unit written to x/crash-07\n";
        let finding = read(text).finding.unwrap();
        assert_eq!(finding.input, Some("x/crash-07".into()));
        let [place, message, error] = &finding.words[..] else { panic!("{:?}", finding.words) };
        assert!(place.contains("log.rs:7:5") && error.contains("deadly signal"));
        assert_eq!(message, "another text");
    }
}
