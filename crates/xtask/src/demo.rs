//! `cargo xtask demo`: one real job on a real relay and a real browser, and
//! every result checked against the same program run natively.

mod check;
mod relay;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};

use crate::process::{Process, TemporaryFolder, command, shown, stream};
use crate::ui::{self, Step};
use crate::{build, cargo, ext, setup};
use check::Checked;
use relay::Relay;

#[derive(Args)]
pub(crate) struct Options {
    /// Leave the relay up at the end, with its data in dist/demo.
    #[arg(long)]
    keep: bool,
    /// Print one JSON object and nothing else on standard output.
    #[arg(long)]
    json: bool,
}

const BUILD: Duration = Duration::from_secs(40 * 60);
/// A browser that is not a node by then won't become one.
const JOIN: Duration = Duration::from_secs(60);
/// The job takes seconds; this ends one that hangs.
const JOB: Duration = Duration::from_secs(5 * 60);

const EXAMPLE: &str = "word-frequencies";
const ARGUMENTS: [&str; 2] = ["--min-length", "3"];

pub(crate) fn run(options: &Options) -> Result<bool> {
    if options.json {
        ui::lines_to_stderr();
    }
    let start = Instant::now();
    setup::run()?;
    build::all(BUILD)?;
    let native = native_program()?;
    let built = start.elapsed();

    let temporary = if options.keep { None } else { Some(TemporaryFolder::new("demo")?) };
    let data = match &temporary {
        Some(folder) => folder.path().to_owned(),
        None => crate::root().join("dist/demo"),
    };
    let relay = Relay::start(&data, options.keep)?;
    relay.log_in()?;
    let (browser, node) = start_browser(&relay)?;

    let out = crate::root().join("dist/results");
    let module = build::example_module(EXAMPLE);
    let inputs = inputs()?;
    let results = submit(&relay, &module, &inputs, &out, options.json)
        .and_then(|()| check::all(&relay, &module, &native, &inputs, &out))
        .with_context(|| {
            let browser = browser.printed().join("\n");
            format!("the relay's log:\n{}\nthe browser's:\n{browser}\n", relay.log())
        })?;
    drop(browser);

    let good = results.len() == inputs.len() && results.iter().all(Checked::good);
    ui::line("");
    ui::line(check::table(&results));
    let verdict = if good {
        "Every receipt checks, and every output equals what the native program computes."
    } else {
        "NOT every result is as it should be: see the table."
    };
    ui::line(verdict);
    ui::line(format_args!("Outputs and receipts: {}", relative(&out).display()));
    if options.keep {
        relay.keep()?;
    }
    ui::line(format_args!(
        "{} in all, {} of it set-up and build",
        ui::seconds(start.elapsed()),
        ui::seconds(built)
    ));
    if options.json {
        let results: Vec<Value> = results.iter().map(Checked::json).collect();
        let seconds = start.elapsed().as_secs_f64();
        println!("{}", json!({"ok": good, "node": node, "tasks": results, "seconds": seconds}));
    }
    Ok(good)
}

/// The example as a program of this machine.
fn native_program() -> Result<PathBuf> {
    let arguments = ["build", "--manifest-path", "examples/Cargo.toml", "--package", EXAMPLE];
    cargo::step("Build the example natively", &arguments, BUILD)?;
    Ok(build::examples_target().join("debug").join(EXAMPLE))
}

/// The shipped text, a file for each task.
fn inputs() -> Result<Vec<PathBuf>> {
    let folder = crate::root().join("examples").join(EXAMPLE).join("data");
    let mut inputs = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            inputs.push(path);
        }
    }
    inputs.sort();
    if inputs.is_empty() {
        bail!("{} holds no text", folder.display());
    }
    Ok(inputs)
}

/// A headless Chromium with the extension, joined to the relay; and its node's
/// key. It ends when its standard input closes.
fn start_browser(relay: &Relay) -> Result<(Process, String)> {
    let step = Step::start("Start Chromium as a node");
    let mut node = command("node");
    node.arg("tests/browser/demo.mjs").arg("--ext").arg(ext::folder());
    node.arg("--relay").arg(&relay.url).stdin(Stdio::piped());
    let mut browser = Process::start(&mut node)?;
    let key = browser.wait_for(JOIN, |line| {
        let ready: Value = serde_json::from_str(line).ok()?;
        (ready["ready"] == true).then(|| ready["node"].as_str().unwrap_or_default().to_owned())
    })?;
    step.done(&format!("node {}", check::short(&key)));
    Ok((browser, key))
}

/// Submits through the real command, whose progress bar the user sees.
fn submit(relay: &Relay, module: &Path, inputs: &[PathBuf], out: &Path, quiet: bool) -> Result<()> {
    let mut grid = relay.grid()?;
    grid.arg("submit").arg(module);
    for input in inputs {
        grid.arg("--input").arg(input);
    }
    for argument in ARGUMENTS {
        grid.arg("--arg").arg(argument);
    }
    grid.args(["--watch", "--force", "--out"]).arg(out);
    ui::line("");
    show(&mut grid, quiet)
}

/// Runs a command whose output is the user's to see.
fn show(command: &mut Command, quiet: bool) -> Result<()> {
    let status = if quiet {
        // Standard output is for the JSON object alone.
        stream(command, JOB, |line| ui::line(line))?
    } else {
        shown(command, JOB)?
    };
    if !status.success() {
        bail!("the job did not end well: {status}");
    }
    Ok(())
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix(crate::root()).unwrap_or(path)
}
