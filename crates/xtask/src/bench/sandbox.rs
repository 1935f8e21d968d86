//! `cargo xtask bench sandbox`: what admission costs the programs of
//! tests/programs, in browsers and in wasmtime. The measuring is done by
//! crates/engine/examples/bench-sandbox and tests/programs/bench; here modules
//! are made ready, and times become figures.

mod figures;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::{BUILD, Options, measure};
use crate::process::{command, quiet};
use crate::ui::Step;
use crate::{build, cargo, programs, setup};

/// Measuring, in wasmtime and in browsers.
const RUN: Duration = Duration::from_secs(60 * 60);
const WASMTIME: &str = "wasmtime";
const BROWSERS: [&str; 2] = ["chromium", "firefox"];

pub(super) use figures::table;

pub(super) fn run(options: &Options) -> Result<Map<String, Value>> {
    let wanted = |engine: &str| {
        options.engine.is_empty() || options.engine.iter().any(|wanted| wanted == engine)
    };
    let engines: Vec<&str> =
        std::iter::once(WASMTIME).chain(BROWSERS).filter(|engine| wanted(engine)).collect();
    if engines.len() < options.engine.len() || engines.is_empty() {
        bail!("the engines are {WASMTIME}, {}", BROWSERS.join(", "));
    }
    setup::run()?;
    programs::build(BUILD)?;
    lower()?;
    let arguments =
        ["build", "--release", "--package", "grid-engine", "--example", "bench-sandbox"];
    cargo::step("Build the measuring program", &arguments, BUILD)?;

    // It admits the programs for the browsers too: with no pairs that is all.
    let pairs = options.pairs.to_string();
    let mut bench = command(build::program_in("release", "examples/bench-sandbox")?);
    bench.arg(programs::list()).arg(programs::folder());
    bench.arg(if wanted(WASMTIME) { &pairs } else { "0" }).args(&options.only);
    let native = measure("Admit, and measure in wasmtime", &mut bench, RUN)?;

    let browsers: Vec<&str> = BROWSERS.into_iter().filter(|engine| wanted(engine)).collect();
    let in_browsers = if browsers.is_empty() {
        Map::new()
    } else {
        let mut bench = command("node");
        bench.arg("tests/programs/bench/run.mjs").arg(programs::folder());
        bench.arg(&pairs).arg(browsers.join(",")).args(&options.only);
        measure("Measure in browsers", &mut bench, RUN)?
    };
    figures::figures(&native, &in_browsers)
}

/// Lowers the modules to what wasm-instrument reads, where they changed: it
/// knows WebAssembly 1.0 only.
fn lower() -> Result<()> {
    let folder = programs::folder();
    let lowered = folder.join("lowered");
    std::fs::create_dir_all(&lowered)
        .with_context(|| format!("can't make {}", lowered.display()))?;
    let wasm_opt = setup::npm_folder().join("node_modules/.bin/wasm-opt");
    let mut step = Step::start("Lower the programs for wasm-instrument");
    for entry in std::fs::read_dir(&folder)? {
        let module = entry?.path();
        let Some(name) = module.file_name().filter(|_| is_module(&module)) else { continue };
        let made = lowered.join(name);
        if programs::newer(&made, &[&module]) {
            continue;
        }
        step.progress(&name.to_string_lossy());
        let mut opt = command(&wasm_opt);
        for feature in ["bulk-memory", "multivalue", "mutable-globals", "reference-types"] {
            opt.arg(format!("--enable-{feature}"));
        }
        for feature in ["nontrapping-float-to-int", "sign-ext", "simd"] {
            opt.arg(format!("--enable-{feature}"));
        }
        for lowering in ["memory-copy-fill", "nontrapping-fptoint"] {
            opt.arg(format!("--llvm-{lowering}-lowering"));
        }
        opt.arg("--signext-lowering").arg("-o").args([&made, &module]);
        quiet(&mut opt, BUILD, |_| {})?;
    }
    step.done("");
    Ok(())
}

fn is_module(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "wasm")
}
