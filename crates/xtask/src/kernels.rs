//! The kernels of `crates/tensor` for a page: what tests and benchmarks have both
//! browsers run.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

use crate::{build, cargo};

const TARGET: &str = "wasm32-unknown-unknown";
const EXAMPLE: &str = "gpu-page";

/// Where the page's wasm and its glue are.
pub(crate) fn folder() -> PathBuf {
    build::target().join("kernels")
}

/// Builds them.
pub(crate) fn page(limit: Duration) -> Result<()> {
    let mut arguments = vec!["build", "--package", "grid-tensor", "--features", "gpu"];
    arguments.extend(["--example", EXAMPLE, "--profile", "wasm", "--target", TARGET]);
    cargo::step("Build the kernels for a page", &arguments, limit)?;
    let name = EXAMPLE.replace('-', "_");
    let module = build::target().join(TARGET).join(format!("wasm/examples/{name}.wasm"));
    Bindgen::new()
        .input_path(module)
        .out_name(&name)
        .web(true)?
        .typescript(false)
        .generate(folder())
        .context("wasm-bindgen can't make the glue of the kernels")
}
