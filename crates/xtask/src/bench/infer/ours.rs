//! Grid's inference as wasm: benches/infer/wasm, with vectors.

use std::path::PathBuf;

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

use super::BUILD;
use crate::cargo::{progress, with_progress};
use crate::process::quiet;
use crate::ui::Step;

/// The folder with `infer.js` and `infer_bg.wasm`.
pub(super) fn build() -> Result<PathBuf> {
    let (target, triple) = (super::peers::folder().join("wasm"), "wasm32-unknown-unknown");
    let mut step = Step::start("Build inference for the browser");
    let mut cargo = with_progress();
    cargo.args(["build", "--release", "--locked", "--target", triple]);
    cargo.args(["--manifest-path", "benches/infer/wasm/Cargo.toml", "--target-dir"]).arg(&target);
    cargo.env("RUSTFLAGS", "-Ctarget-feature=+simd128");
    quiet(&mut cargo, BUILD, |line| {
        if let Some(text) = progress(line) {
            step.progress(&text);
        }
    })?;
    let module = target.join(triple).join("release/grid_infer_bench.wasm");
    let wasm = std::fs::read(module).context("cargo built no wasm")?;
    let folder = super::peers::folder().join("ours");
    Bindgen::new()
        .input_bytes("infer", wasm)
        .web(true)?
        .typescript(false)
        .generate(&folder)
        .context("wasm-bindgen can't make the glue")?;
    step.done("");
    Ok(folder)
}
