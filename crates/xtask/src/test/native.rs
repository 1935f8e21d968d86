//! Native tests. All of them, and the programs they start, are built by one
//! cargo call, so that nothing (wasmtime above all) is built twice with other
//! features, and then run one by one.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Deadline;
use super::counts::Counts;
use crate::process::{command, stream};
use crate::ui::{self, Step};
use crate::{cargo, dashboard, page};

/// A test program that cargo built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    package: String,
    /// The target's name, e.g. `grid_relay` or an integration test's.
    target: String,
    executable: PathBuf,
    folder: PathBuf,
}

/// Has cargo say on standard output where the programs are.
pub(super) const MESSAGES: &str = "--message-format=json-render-diagnostics";

/// Builds every native test of the workspace, and the programs, once.
pub(super) fn programs(deadline: Deadline) -> Result<&'static [Program]> {
    static BUILT: OnceLock<Vec<Program>> = OnceLock::new();
    if let Some(programs) = BUILT.get() {
        return Ok(programs);
    }
    // First, for the relay carries them.
    dashboard::build(deadline.left())?;
    page::build(deadline.left())?;
    let all =
        ["build", "--workspace", "--exclude", "xtask", "--bins", "--tests", "--examples", MESSAGES];
    let mut programs = build("Build programs and tests", None, &all, deadline)?;
    // What this command is made of brings features that the rest doesn't need.
    let own = ["build", "--package", "xtask", "--tests", MESSAGES];
    programs.extend(build("Build xtask's tests", None, &own, deadline)?);
    Ok(BUILT.get_or_init(|| programs))
}

/// Runs a cargo build and returns the test programs it made.
pub(super) fn build(
    title: &str,
    folder: Option<&Path>,
    arguments: &[&str],
    deadline: Deadline,
) -> Result<Vec<Program>> {
    let mut step = Step::start(title);
    let mut command = cargo::with_progress();
    command.args(arguments);
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    let mut programs = Vec::new();
    let mut messages = Vec::new();
    let status = stream(&mut command, deadline.left(), |line| {
        if let Some(text) = cargo::progress(line) {
            step.progress(&text);
        } else if line.starts_with('{') {
            programs.extend(program(line));
        } else if !cargo::progress_only(line) {
            messages.push(line.to_owned());
        }
    })
    .with_context(|| messages.join("\n"))?;
    if !status.success() {
        bail!("{}\ncargo {}: {status}", messages.join("\n"), arguments.join(" "));
    }
    step.done("");
    programs.sort_by(|a, b| (&a.package, &a.target).cmp(&(&b.package, &b.target)));
    Ok(programs)
}

/// The test program that one of cargo's messages announces.
fn program(message: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let folder = Path::new(message["manifest_path"].as_str()?).parent()?;
    Some(Program {
        package: package_name(message["package_id"].as_str()?)?,
        target: message["target"]["name"].as_str()?.to_owned(),
        executable: message["executable"].as_str()?.into(),
        folder: folder.to_owned(),
    })
}

/// `path+file:///x/crates/node#grid-node@0.1.0`, or `...crates/xtask#0.1.0`
/// where the folder has the package's name.
fn package_name(id: &str) -> Option<String> {
    let (path, fragment) = id.rsplit_once('#')?;
    let name = match fragment.split_once('@') {
        Some((name, _)) => name,
        None => path.rsplit('/').next()?,
    };
    Some(name.to_owned())
}

/// Runs the programs whose package is wanted, one after the other: tests
/// measure time limits, so they get the machine to themselves.
pub(super) fn run(
    programs: &[Program],
    wanted: impl Fn(&str) -> bool,
    deadline: Deadline,
) -> Result<Counts> {
    let mut all = Counts::default();
    for program in programs.iter().filter(|program| wanted(&program.package)) {
        all.add(&run_one(program, deadline)?);
    }
    Ok(all)
}

fn run_one(program: &Program, deadline: Deadline) -> Result<Counts> {
    let name = format!("{} {}", program.package, program.target);
    let mut step = Step::start(&name);
    let mut counts = Counts::default();
    let mut lines = Vec::new();
    let mut tests = 0;
    let mut child = command(&program.executable);
    child.current_dir(&program.folder).env("CARGO_MANIFEST_DIR", &program.folder);
    // The examples' tests run modules with it, and know no target folder but ours.
    if let Ok(grid) = crate::build::program("grid") {
        child.env("GRID_BIN", grid);
    }
    let status = stream(&mut child, deadline.left(), |line| {
        if line.starts_with("test ") && line.contains(" ... ") {
            tests += 1;
            step.progress(&format!("{tests} done"));
        }
        counts.read(&program.package, line);
        lines.push(line.to_owned());
    });
    let finished = status.as_ref().is_ok_and(std::process::ExitStatus::success);
    if !finished && counts.failed == 0 {
        let how = status.map_or_else(|error| format!("{error:#}"), |status| status.to_string());
        counts.check(&format!("{name}: {how}"), false);
    }
    if counts.failed > 0 {
        drop(step);
        lines.iter().for_each(ui::line);
    } else if counts == Counts::default() {
        step.vanish();
    } else {
        step.done(&format!("{} passed", counts.passed));
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_named_by_their_id() {
        let name = |id: &str| package_name(id).unwrap();
        assert_eq!(name("path+file:///x/crates/node#grid-node@0.1.0"), "grid-node");
        assert_eq!(name("path+file:///x/crates/xtask#0.1.0"), "xtask");
        assert_eq!(package_name("nonsense"), None);
    }

    #[test]
    fn only_test_programs_are_run() {
        let artifact = |test: bool| {
            serde_json::json!({
                "reason": "compiler-artifact", "package_id": "path+file:///x/crates/node#grid-node@1",
                "manifest_path": "/x/crates/node/Cargo.toml", "target": {"name": "grid_node"},
                "profile": {"test": test}, "executable": "/x/target/debug/deps/grid_node-1",
            })
            .to_string()
        };
        assert_eq!(program(&artifact(false)), None);
        let found = program(&artifact(true)).unwrap();
        assert_eq!((found.package.as_str(), found.folder), ("grid-node", "/x/crates/node".into()));
        assert_eq!(program("{}"), None);
    }
}
