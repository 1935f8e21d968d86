//! `cargo xtask bench`: figures, printed as a table or as one JSON object.
//! Never a test: nothing here passes or fails by time.

mod gpu;
mod infer;
mod sandbox;
mod trust;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use crate::process::{command, stream};
use crate::ui::{self, Step};
use crate::{build, cargo, ext, setup};

const BUILD: Duration = Duration::from_secs(40 * 60);
const RUN: Duration = Duration::from_secs(20 * 60);

#[derive(Args)]
pub(crate) struct Options {
    #[arg(value_enum)]
    name: Bench,
    /// Print one JSON object and nothing else on standard output.
    #[arg(long)]
    json: bool,
    /// Of `sandbox`: measure in this engine only; of `gpu`: in this browser too
    /// (may be given more than once).
    #[arg(long, value_name = "ENGINE")]
    engine: Vec<String>,
    /// Of `sandbox`: measure this program only; of `infer`: this part only, of
    /// peers, ours, gpu, quality (may be given more than once).
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Of `sandbox`: pairs of runs that a ratio is made from.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=101))]
    pairs: u32,
    /// Of `infer` and `manners`: rounds, in each of which everything runs once.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=101))]
    rounds: u32,
    /// Of `infer`: one thread, two, or two beside a busy process only (may be
    /// given more than once).
    #[arg(long, value_name = "CONDITION", value_parser = ["1", "2", "2-busy"])]
    condition: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Bench {
    /// Tasks a second, latency and memory of the relay under a swarm of
    /// simulated nodes on loopback.
    Relay,
    /// Size of the wasm node, time to ready and overhead of a task in Chromium.
    Node,
    /// What admission costs real programs in Chromium, Firefox and wasmtime.
    Sandbox,
    /// What trust, plain voting and BOINC's rule make of nodes that lie: a
    /// simulation.
    Trust,
    /// Receipts a second that `grid audit` downloads, verifies and replays.
    Audit,
    /// Tokens and sentences a second in Chromium beside wllama, onnxruntime-web
    /// and tfjs, and how close integer arithmetic is to f32.
    Infer,
    /// The GPU kernels: GB/s and GOP/s against the device's own bandwidth and
    /// peak, and whether every bit is the reference's.
    Gpu,
    /// How long typing and scrolling wait in Chromium while the node works,
    /// against the same with it off.
    Manners,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.json {
        ui::lines_to_stderr();
    }
    let figures = match options.name {
        Bench::Relay => relay()?,
        Bench::Node => node()?,
        Bench::Sandbox => sandbox::run(options)?,
        Bench::Trust => trust::run()?,
        Bench::Audit => audit()?,
        Bench::Infer => infer::run(options)?,
        Bench::Gpu => gpu::run(options)?,
        Bench::Manners => manners(options.rounds)?,
    };
    if options.json {
        println!("{}", Value::Object(figures));
    } else if matches!(options.name, Bench::Sandbox) {
        ui::line(sandbox::table(&figures).trim_end());
    } else if matches!(options.name, Bench::Gpu) {
        ui::line(gpu::table(&figures).trim_end());
    } else if matches!(options.name, Bench::Infer) {
        ui::line(infer::table(&figures).trim_end());
    } else if matches!(options.name, Bench::Trust) {
        ui::line(trust::table(&figures).trim_end());
    } else {
        let mut rows = Vec::new();
        flatten("", &figures, &mut rows);
        ui::line(ui::table(&rows).trim_end());
    }
    Ok(())
}

/// A row for each figure; those within another are named `outer.inner`.
fn flatten(prefix: &str, figures: &Map<String, Value>, rows: &mut Vec<Vec<String>>) {
    for (key, value) in figures {
        let name = format!("{prefix}{key}");
        match value {
            Value::Object(inner) => flatten(&format!("{name}."), inner, rows),
            Value::Number(number) if number.is_f64() => {
                rows.push(vec![name, format!("{:.2}", number.as_f64().unwrap_or_default())]);
            }
            other => rows.push(vec![name, other.to_string()]),
        }
    }
}

fn relay() -> Result<Map<String, Value>> {
    let arguments = ["build", "--release", "--package", "grid-relay", "--package", "grid-testing"];
    cargo::step("Build relay and swarm (release)", &arguments, BUILD)?;
    let mut bench = command(build::program_in("release", "grid-bench-relay")?);
    bench.arg("--relay").arg(build::program_in("release", "grid-relay")?);
    measure("Measure the relay", &mut bench, RUN)
}

fn audit() -> Result<Map<String, Value>> {
    let arguments = ["build", "--release", "--package", "grid-cli", "--package", "grid-testing"];
    cargo::step("Build grid and the log's writer (release)", &arguments, BUILD)?;
    let mut bench = command(build::program_in("release", "grid-bench-audit")?);
    bench.arg("--grid").arg(build::program_in("release", "grid")?);
    measure("Measure the audit", &mut bench, RUN)
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
    figures.extend(measure("Measure the node in Chromium", &mut bench, RUN)?);
    Ok(figures)
}

fn manners(rounds: u32) -> Result<Map<String, Value>> {
    setup::run()?;
    build::native(BUILD)?;
    ext::build(BUILD)?;
    let mut bench = command("node");
    bench.arg("tests/browser/bench-manners.mjs").arg("--ext").arg(ext::folder());
    bench.args(["--json", "--rounds", &rounds.to_string()]);
    measure("Measure the node's manners in Chromium", &mut bench, RUN)
}

/// Runs a benchmark; its figures are the last line that is a JSON object.
fn measure(title: &str, bench: &mut Command, limit: Duration) -> Result<Map<String, Value>> {
    let mut step = Step::start(title);
    let mut figures = None;
    let mut seen = Vec::new();
    let status =
        stream(bench, limit, |line| match serde_json::from_str::<Map<String, Value>>(line) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_become_rows() {
        let figures = json!({"p50_ms": 1.23456, "at": {"cores": 2, "rounds": [1, 2]}});
        let mut rows = Vec::new();
        flatten("", figures.as_object().unwrap(), &mut rows);
        assert_eq!(ui::table(&rows), "  at.cores   2\n  at.rounds  [1,2]\n  p50_ms     1.23\n");
    }
}
