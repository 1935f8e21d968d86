//! Builds the programs of tests/programs: what `bench sandbox` measures and
//! the engines are compared on.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use crate::cargo;
use crate::process::{command, quiet};
use crate::ui::Step;

/// Where the modules are, NAME.wasm each: the `folder` of programs.json.
pub(crate) fn folder() -> PathBuf {
    crate::root().join("target/programs/wasm32-wasip1/release")
}

/// The list of programs: names, arguments, what they print.
pub(crate) fn list() -> PathBuf {
    crate::root().join("tests/programs/programs.json")
}

/// Builds every module that is older than its source: Rust by cargo, C by
/// clang with wasi-libc.
pub(crate) fn build(limit: Duration) -> Result<()> {
    let manifest = "tests/programs/Cargo.toml";
    let mut arguments = vec!["build", "--release", "--bins", "--target", "wasm32-wasip1"];
    arguments.extend(["--target-dir", "target/programs", "--manifest-path", manifest]);
    cargo::step("Build the programs in Rust", &arguments, limit)?;

    let sources = crate::root().join("tests/programs/c");
    let header = sources.join("program.h");
    let mut stale = Vec::new();
    for entry in std::fs::read_dir(&sources).context("can't read tests/programs/c")? {
        let source = entry?.path();
        if source.extension().is_some_and(|extension| extension == "c") {
            let name = source.file_stem().context("a source has a name")?;
            let module = folder().join(name).with_extension("wasm");
            if !newer(&module, &[&source, &header]) {
                stale.push((source, module));
            }
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    let step = Step::start("Build the programs in C");
    for (source, module) in &stale {
        let mut clang = command("clang");
        clang
            .args(["--target=wasm32-wasi", "-std=c11", "-O2", "-ffp-contract=off"])
            .args(["-Wall", "-Wextra", "-Werror", "-s", "-o"])
            .args([module, source]);
        if source.file_stem().is_some_and(|name| name.to_string_lossy().starts_with("simd-")) {
            clang.arg("-msimd128");
        }
        quiet(&mut clang, limit, |_| {})?;
    }
    step.done("");
    Ok(())
}

/// Whether a file is there and newer than what it is made from.
pub(crate) fn newer(made: &Path, from: &[&Path]) -> bool {
    let changed = |path: &Path| -> Option<SystemTime> {
        path.metadata().and_then(|file| file.modified()).ok()
    };
    let made = changed(made);
    made.is_some() && from.iter().all(|path| changed(path) < made)
}
