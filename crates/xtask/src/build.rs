//! `cargo xtask build`: the native programs, the extension and the examples.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{command, quiet};
use crate::ui::{self, Step};
use crate::{cargo, dashboard, page, setup};

/// No build takes longer, cold and on one core.
const LIMIT: Duration = Duration::from_secs(40 * 60);

pub(crate) fn run() -> Result<()> {
    setup::run()?;
    all(LIMIT)?;
    ui::line("Built: target/debug/{grid-relay,grid,grid-swarm}, dist/chrome, examples.");
    Ok(())
}

/// Everything that the demo needs.
pub(crate) fn all(limit: Duration) -> Result<()> {
    // Before the relay, which carries them.
    dashboard::build(limit)?;
    page::build(limit)?;
    native(limit)?;
    examples(limit)
}

/// The native programs, in the same profile and with the same features as the
/// tests, so that no dependency is built twice.
pub(crate) fn native(limit: Duration) -> Result<()> {
    let arguments = ["build", "--workspace", "--exclude", "xtask", "--bins"];
    cargo::step("Build relay and commands", &arguments, limit)
}

/// Where a native program of the development build is.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    program_in("debug", name)
}

/// Where a native program of one of cargo's profiles is.
pub(crate) fn program_in(profile: &str, name: &str) -> Result<PathBuf> {
    let path = target().join(profile).join(name);
    if !path.is_file() {
        bail!("{} was not built", path.display());
    }
    Ok(path)
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    crate::root().join(folder)
}
/// The examples' task modules: Rust by cargo, C by clang with wasi-libc.
pub(crate) fn examples(limit: Duration) -> Result<()> {
    let manifest = "examples/Cargo.toml";
    let arguments =
        ["build", "--release", "--target", "wasm32-wasip1", "--manifest-path", manifest];
    cargo::step("Build the examples in Rust", &arguments, limit)?;

    let source = crate::root().join("examples/mandelbrot/mandelbrot.c");
    let module = crate::root().join("examples/target/mandelbrot.wasm");
    let changed = |path: &PathBuf| path.metadata().and_then(|file| file.modified()).ok();
    if changed(&module).is_some() && changed(&module) > changed(&source) {
        return Ok(());
    }
    let step = Step::start("Build the example in C");
    let parent = module.parent().context("a file has a folder")?;
    std::fs::create_dir_all(parent)?;
    let mut clang = command("clang");
    clang
        .args(["--target=wasm32-wasi", "-std=c11", "-O2", "-ffp-contract=off"])
        .args(["-Wall", "-Wextra", "-Werror", "-s", "-o"])
        .args([&module, &source]);
    quiet(&mut clang, limit, |_| {})?;
    step.done("");
    Ok(())
}

/// A task module of an example written in Rust.
pub(crate) fn example_module(name: &str) -> PathBuf {
    examples_target().join("wasm32-wasip1/release").join(format!("{name}.wasm"))
}

/// The target folder of the examples' own workspace.
pub(crate) fn examples_target() -> PathBuf {
    let own = std::env::var_os("CARGO_TARGET_DIR").is_none();
    if own { crate::root().join("examples/target") } else { target() }
}
