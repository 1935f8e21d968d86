//! `cargo xtask bench`: figures, printed as a table or as one JSON object.
//! Never a test: nothing here passes or fails by time.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use crate::process::{cargo_step, command, stream};
use crate::ui::{self, Step};
use crate::{build, ext, setup};

const BUILD: Duration = Duration::from_secs(40 * 60);
const RUN: Duration = Duration::from_secs(20 * 60);

#[derive(Args)]
pub(crate) struct Options {
    #[arg(value_enum)]
    name: Bench,
    /// Print one JSON object and nothing else on standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Bench {
    /// Tasks a second, latency and memory of the relay under a swarm of
    /// simulated nodes on loopback.
    Relay,
    /// Size of the wasm node, time to ready and overhead of a task in Chromium.
    Node,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.json {
        ui::lines_to_stderr();
    }
    let figures = match options.name {
        Bench::Relay => relay()?,
        Bench::Node => node()?,
    };
    if options.json {
        println!("{}", Value::Object(figures));
    } else {
        let text = |value: &Value| match value.as_f64() {
            Some(number) if number.fract() != 0.0 => format!("{number:.2}"),
            _ => value.to_string(),
        };
        let rows: Vec<Vec<String>> =
            figures.iter().map(|(key, value)| vec![key.clone(), text(value)]).collect();
        ui::line(ui::table(&rows).trim_end());
    }
    Ok(())
}

fn relay() -> Result<Map<String, Value>> {
    let arguments = ["build", "--release", "--package", "grid-relay", "--package", "grid-testing"];
    cargo_step("Build relay and swarm (release)", &arguments, BUILD)?;
    let mut bench = command(build::program_in("release", "grid-bench-relay")?);
    bench.arg("--relay").arg(build::program_in("release", "grid-relay")?);
    measure("Measure the relay", &mut bench)
}

fn node() -> Result<Map<String, Value>> {
    setup::run()?;
    build::native(BUILD)?;
    let sizes = ext::build(BUILD)?;
    let mut figures = Map::new();
    figures.insert("wasm_bytes".to_owned(), json!(sizes.raw));
    figures.insert("wasm_bytes_gzip".to_owned(), json!(sizes.gzip));
    figures.insert("wasm_bytes_brotli".to_owned(), json!(sizes.brotli));
    let mut bench = command("node");
    bench.arg("tests/browser/bench.mjs").arg("--ext").arg(ext::folder());
    figures.extend(measure("Measure the node in Chromium", &mut bench)?);
    Ok(figures)
}

/// Runs a benchmark; its figures are the last line that is a JSON object.
fn measure(title: &str, bench: &mut Command) -> Result<Map<String, Value>> {
    let mut step = Step::start(title);
    let mut figures = None;
    let mut seen = Vec::new();
    let status =
        stream(bench, RUN, |line| match serde_json::from_str::<Map<String, Value>>(line) {
            Ok(object) => figures = Some(object),
            Err(_) => {
                step.progress(line);
                seen.push(line.to_owned());
            }
        })?;
    if !status.success() {
        bail!("{}\nthe benchmark ended with {status}", seen.join("\n"));
    }
    let figures = figures.with_context(|| format!("no figures in:\n{}", seen.join("\n")))?;
    step.done("");
    Ok(figures)
}
