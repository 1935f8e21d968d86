//! What each layer runs.

use anyhow::Result;

use super::counts::Counts;
use super::{Deadline, native};
use crate::process::{command, stream};
use crate::ui;
use crate::{build, cargo, ext, kernels, models, programs, tidy as rules};

pub(super) fn tidy(_: Deadline) -> Result<Counts> {
    let report = rules::check()?;
    report.lines.iter().for_each(ui::line);
    let notes = if report.broken == 0 { Vec::new() } else { vec!["failed: tidy".to_owned()] };
    Ok(Counts { passed: report.kept, failed: report.broken, skipped: 0, notes })
}

pub(super) fn lint(deadline: Deadline) -> Result<Counts> {
    let examples = "examples/Cargo.toml";
    let programs = "tests/programs/Cargo.toml";
    let fuzz = "fuzz/Cargo.toml";
    let checks: [(&str, &[&str]); 10] = [
        ("formatting", &["fmt", "--all", "--check"]),
        ("formatting of examples", &["fmt", "--all", "--check", "--manifest-path", examples]),
        ("formatting of programs", &["fmt", "--all", "--check", "--manifest-path", programs]),
        ("formatting of fuzz", &["fmt", "--check", "--manifest-path", fuzz]),
        ("clippy", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        (
            "clippy for wasm",
            &[
                "clippy",
                "--package",
                "grid-browser",
                "--package",
                "grid-inference",
                "--package",
                "grid-dashboard",
                "--target",
                "wasm32-unknown-unknown",
                "--",
                "-D",
                "warnings",
            ],
        ),
        (
            "clippy of kernels",
            &[
                "clippy",
                "--package",
                "grid-tensor",
                "--features",
                "gpu",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ],
        ),
        (
            "clippy of examples",
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--manifest-path",
                examples,
                "--",
                "-D",
                "warnings",
            ],
        ),
        (
            "clippy of programs",
            &[
                "clippy",
                "--all-targets",
                "--manifest-path",
                programs,
                "--target-dir",
                "target/programs",
                "--",
                "-D",
                "warnings",
            ],
        ),
        (
            "clippy of fuzz",
            &[
                "clippy",
                "--all-targets",
                "--no-default-features",
                "--manifest-path",
                fuzz,
                "--target-dir",
                "target",
                "--",
                "-D",
                "warnings",
            ],
        ),
    ];
    let mut counts = Counts::default();
    for (name, arguments) in checks {
        let result = cargo::step(name, arguments, deadline.left());
        counts.check(name, result.is_ok());
        if let Err(error) = result {
            ui::line(format_args!("{error:#}"));
        }
    }
    Ok(counts)
}

/// The package of the tests across crates.
const ACROSS: &str = "grid-tests";

pub(super) fn unit(deadline: Deadline) -> Result<Counts> {
    // Tokenizers and plain models are held to the real files.
    models::fetch()?;
    let mut counts =
        native::run(native::programs(deadline)?, |package| package != ACROSS, deadline)?;
    // Beside the workspace's, so that the libraries are built once.
    let mut arguments = vec!["build", "--tests", "--no-default-features", "--target-dir", "target"];
    arguments.extend(["--manifest-path", "fuzz/Cargo.toml", native::MESSAGES]);
    let fuzz = native::build("Build the fuzz targets' tests", None, &arguments, deadline)?;
    counts.add(&native::run(&fuzz, |_| true, deadline)?);
    Ok(counts)
}

pub(super) fn relay(deadline: Deadline) -> Result<Counts> {
    native::run(native::programs(deadline)?, |package| package == ACROSS, deadline)
}

pub(super) fn examples(deadline: Deadline) -> Result<Counts> {
    // The modules are run by the `grid` command.
    native::programs(deadline)?;
    build::examples(deadline.left())?;
    let folder = crate::root().join("examples");
    let arguments = ["build", "--workspace", "--bins", "--tests", native::MESSAGES];
    let mut tests =
        native::build("Build the examples' tests", Some(&folder), &arguments, deadline)?;

    let mut arguments = vec!["build", "--bins", "--tests", "--target-dir", "target/programs"];
    arguments.extend(["--manifest-path", "tests/programs/Cargo.toml", native::MESSAGES]);
    tests.extend(native::build("Build the programs' tests", None, &arguments, deadline)?);
    native::run(&tests, |_| true, deadline)
}

pub(super) fn browser(deadline: Deadline) -> Result<Counts> {
    native::programs(deadline)?;
    ext::build(deadline.left())?;
    ext::zip_all()?;
    let tiny = ["build", "--package", "grid-infer", "--features", "convert", "--example", "tiny"];
    cargo::step("Build what makes tiny models", &tiny, deadline.left())?;
    let mut counts = node_runner("inference", &["tests/inference/run.mjs"], deadline)?;
    counts.add(&node_runner("browser", &["tests/browser/run.mjs"], deadline)?);
    Ok(counts)
}

pub(super) fn engines(deadline: Deadline) -> Result<Counts> {
    // Among them the program that makes the cases.
    native::programs(deadline)?;
    ext::build(deadline.left())?;
    build::examples(deadline.left())?;
    programs::build(deadline.left())?;
    node_runner("engines", &["tests/engines/run.mjs"], deadline)
}

pub(super) fn kernels(deadline: Deadline) -> Result<Counts> {
    let mut arguments = vec!["build", "--package", "grid-tensor", "--features", "gpu", "--tests"];
    arguments.push(native::MESSAGES);
    let tests = native::build("Build the kernels' tests", None, &arguments, deadline)?;
    let mut counts = native::run(&tests, |_| true, deadline)?;
    kernels::page(deadline.left())?;
    counts.add(&node_runner("kernels", &["tests/kernels/run.mjs"], deadline)?);
    Ok(counts)
}

/// Runs a script of our own that counts its tests in its last line.
fn node_runner(name: &str, arguments: &[&str], deadline: Deadline) -> Result<Counts> {
    let mut counts = Counts::default();
    let mut node = command("node");
    node.args(arguments);
    let status = stream(&mut node, deadline.left(), |line| {
        ui::line(format_args!("  {line}"));
        counts.read(name, line);
    })?;
    if !status.success() && counts.failed == 0 {
        counts.check(&format!("{name}: the runner ended with {status}"), false);
    }
    Ok(counts)
}
