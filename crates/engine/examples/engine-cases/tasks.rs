//! Whole tasks: a module, its input and its limits, run by the real host.

use crate::pack::{Pack, Range};
use crate::watch::Watch;
use anyhow::{Context, Result, bail, ensure};
use grid_engine::{Engine, Module};
use grid_protocol::{Digest, Files, Runtime, Side, Spec};
use grid_sandbox::{ADMISSION, Outcome, admit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// A task as the manifest has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    name: String,
    /// The source: a file, or text.
    module: Option<PathBuf>,
    wat: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    /// Contents by path in the input list: text, or a file.
    #[serde(default)]
    input: BTreeMap<String, Input>,
    #[serde(default = "default_fuel")]
    fuel: u64,
    #[serde(default = "default_memory")]
    memory_pages: u32,
    #[serde(default = "default_output")]
    output_bytes: u64,
    /// How it must end with these limits, and what it must print.
    reason: String,
    stdout: Option<String>,
    /// Also run it with less fuel, so that it ends early.
    #[serde(default)]
    cut: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Input {
    Text(String),
    File(PathBuf),
}

fn default_fuel() -> u64 {
    20_000_000_000
}

fn default_memory() -> u32 {
    4096
}

fn default_output() -> u64 {
    16 << 20
}

/// A case as the page reads it.
#[derive(Serialize)]
struct Case<'a> {
    name: &'a str,
    spec: Range,
    module: Range,
    input: Range,
    expect: Expect,
}

/// What every engine must say.
#[derive(Serialize)]
struct Expect {
    reason: &'static str,
    exit_code: u32,
    fuel: u64,
    /// SHA-256 of the encoded output list.
    output: String,
}

/// Runs the tasks of a manifest.
pub(crate) fn make(manifest: &Path, watch: &Watch, pack: &mut Pack) -> Result<()> {
    let text = std::fs::read(manifest).with_context(|| format!("{}", manifest.display()))?;
    let tasks: Vec<Task> = serde_json::from_slice(&text)?;
    let engine = Engine::new()?;
    for task in &tasks {
        watch.runs(&task.name);
        add(&engine, task, pack).with_context(|| task.name.clone())?;
    }
    Ok(())
}

fn add(engine: &Engine, task: &Task, pack: &mut Pack) -> Result<()> {
    let source = match (&task.module, &task.wat) {
        (Some(path), None) => std::fs::read(path).with_context(|| path.display().to_string())?,
        (None, Some(text)) => wat::parse_str(text)?,
        _ => bail!("needs a module or a text"),
    };
    let admitted = admit(&source)?.bytes;
    let module = engine.load(&admitted)?;
    let mut input = Files::new(Side::Input);
    for (path, contents) in &task.input {
        let bytes = match contents {
            Input::Text(text) => text.clone().into_bytes(),
            Input::File(file) => std::fs::read(file)?,
        };
        input.insert(path, bytes)?;
    }
    let spec = Spec {
        runtime: Runtime::Wasm,
        arithmetic: 0,
        source: Digest::of(&source),
        module: Digest::of(&admitted),
        admission: ADMISSION,
        args: task.args.clone(),
        env: Vec::new(),
        seed: [7; 32],
        input: input.digest(),
        fuel: task.fuel,
        memory_pages: task.memory_pages,
        output_bytes: task.output_bytes,
    };
    let at = (pack.keep(&admitted), pack.keep(&input.encode()));
    let whole = run(engine, &module, &spec, &input)?;
    let reason = whole.reason.name();
    ensure!(reason == task.reason, "ends with {reason}: {:?}", whole.hint);
    if let Some(wanted) = &task.stdout {
        let printed = String::from_utf8_lossy(whole.output.get("stdout").unwrap_or_default());
        ensure!(printed == *wanted, "prints {printed:?}");
    }
    let fuel = whole.fuel;
    keep(pack, &task.name, at, &spec, whole)?;
    if task.cut && fuel > 1 {
        for limit in [fuel, fuel - 1, fuel / 2 + 1, fuel / 7 + 1, 1] {
            let name = format!("{} with {limit} fuel", task.name);
            let spec = Spec { fuel: limit, ..spec.clone() };
            let cut = run(engine, &module, &spec, &input)?;
            let early = if limit < fuel { "out_of_fuel" } else { reason };
            ensure!(cut.reason.name() == early, "{name}: {}", cut.reason.name());
            keep(pack, &name, at, &spec, cut)?;
        }
    }
    Ok(())
}

fn run(engine: &Engine, module: &Module, spec: &Spec, input: &Files) -> Result<Outcome> {
    Ok(engine.run(module, spec, input.clone(), |_| ControlFlow::Continue(()))?)
}

fn keep(
    pack: &mut Pack,
    name: &str,
    (module, input): (Range, Range),
    spec: &Spec,
    outcome: Outcome,
) -> Result<()> {
    let expect = Expect {
        reason: outcome.reason.name(),
        exit_code: outcome.exit_code,
        fuel: outcome.fuel,
        output: Digest::of(&outcome.output.encode()).to_string(),
    };
    let spec = pack.keep(&spec.encode());
    pack.case(Case { name, spec, module, input, expect })
}
