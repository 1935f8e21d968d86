//! `cargo xtask demo`: one real job on a real relay, three real browsers and a
//! node that lies. Every result is checked against the same program run
//! natively, the liar has to be caught, and an audit of the log has to agree.

mod check;
mod infer;
mod live;
mod log;
mod nodes;
mod relay;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};

use crate::process::{TemporaryFolder, shown, stream};
use crate::{build, cargo, setup, ui};
use check::Checked;
use nodes::Nodes;
use relay::Relay;

#[derive(Args)]
pub(crate) struct Options {
    /// Leave the relay up at the end, with its data in dist/demo.
    #[arg(long)]
    keep: bool,
    /// Give work until Ctrl-C, for a browser of your own to take part; with
    /// --infer, work for AI models too.
    #[arg(long, conflicts_with = "json")]
    live: bool,
    /// Show inference instead: browsers embed a text and answer a question.
    #[arg(long)]
    infer: bool,
    /// Print one JSON object and nothing else on standard output.
    #[arg(long)]
    json: bool,
}

/// Profiles of Chromium, each a node.
const BROWSERS: usize = 3;
const BUILD: Duration = Duration::from_secs(40 * 60);
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
    let native = if options.infer || options.live { None } else { Some(native_program()?) };
    let built = start.elapsed();

    let stays = options.keep || options.live;
    let temporary = if stays { None } else { Some(TemporaryFolder::new("demo")?) };
    let data = match &temporary {
        Some(folder) => folder.path().to_owned(),
        None => crate::root().join("dist/demo"),
    };
    if options.infer {
        infer::install(&data)?;
    }
    let relay = Relay::start(&data, stays)?;
    relay.log_in()?;
    if options.live {
        live::run(&relay, options.infer)?;
    }
    let shown = match &native {
        Some(native) => modules(&relay, native, options)?,
        None => infer::run(&relay)?,
    };
    if options.keep {
        relay.keep()?;
    }
    ui::line("");
    ui::line(format_args!(
        "{} in all, {} of it set-up and build",
        ui::seconds(start.elapsed()),
        ui::seconds(built)
    ));
    if options.json {
        let mut shown = shown;
        shown["seconds"] = start.elapsed().as_secs_f64().into();
        println!("{shown}");
    }
    Ok(true)
}

/// The demo of task modules.
fn modules(relay: &Relay, native: &Path, options: &Options) -> Result<Value> {
    let nodes = Nodes::start(relay, BROWSERS, true)?;
    let out = crate::root().join("dist/results");
    let module = build::example_module(EXAMPLE);
    let inputs = inputs()?;
    let shown = submit(relay, &module, &inputs, &out, options.json)
        .and_then(|()| check::all(relay, &module, native, &inputs, &out))
        .and_then(|results| report(relay, &nodes, results, inputs.len(), &out))
        .inspect_err(|_| {
            let (relay, browsers) = (relay.log(), nodes.printed());
            ui::line(format_args!("\nThe relay's log:\n{relay}\nThe browsers':\n{browsers}"));
        })?;
    ui::line("");
    ui::line(format_args!("Outputs, receipts and the proof: {}", relative(&out).display()));
    Ok(shown)
}

/// What came of it, in words and as JSON. Anything that isn't as it should be
/// is an error.
fn report(
    relay: &Relay,
    nodes: &Nodes,
    results: Vec<Checked>,
    tasks: usize,
    out: &Path,
) -> Result<Value> {
    ui::line("");
    ui::line(check::table(&results));
    if results.len() != tasks || !results.iter().all(Checked::good) {
        bail!("NOT every result is as it should be: see the table");
    }
    ui::line("Every receipt checks, and every output equals what the native program computes.");
    ui::line(
        "Agreed: nodes that computed the same bytes with the same fuel. Nobody knows these nodes",
    );
    ui::line(
        "yet: all their results are checked, and where that is not enough, the relay runs the task.",
    );
    ui::line("");
    let caught = log::caught(relay, &nodes.liar)?;
    caught.show(&nodes.liar);
    let audit = log::audit(relay, nodes, &caught, &results)?;
    log::prove(relay, &caught, &results, out)?;
    let results: Vec<Value> = results.iter().map(Checked::json).collect();
    Ok(json!({
        "ok": true, "nodes": nodes.honest, "tasks": results, "audit": audit,
        "liar": {"node": nodes.liar, "caught": caught.entry},
    }))
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
    run_shown(&mut grid, quiet)
}

/// Runs a command whose output is the user's to see.
fn run_shown(command: &mut Command, quiet: bool) -> Result<()> {
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

/// The first digits of a key or digest: enough to tell a few apart.
fn short(hex: &str) -> &str {
    hex.get(..8).unwrap_or(hex)
}
