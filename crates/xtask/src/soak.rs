//! `cargo xtask soak`: what a test does with thousands of cases, with a
//! million. Notes how far it is, so that it may be stopped and started again.

use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::process::{command, shown};
use crate::{build, cargo, setup};

const BUILD: Duration = Duration::from_secs(40 * 60);
/// A million modules take hours, on a busy machine a day.
const RUN: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[derive(Args)]
pub(crate) struct Options {
    #[arg(value_enum)]
    name: Soak,
    /// How many random modules, counted from the first number.
    #[arg(long, default_value_t = 1_000_000)]
    modules: u64,
    /// Number of the first module. Without it the run goes on where the last
    /// one stopped.
    #[arg(long)]
    from: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Soak {
    /// Random modules in wasmtime, Chromium and Firefox, until one differs.
    Sandbox,
}

/// Whether nothing differed.
pub(crate) fn run(options: &Options) -> Result<bool> {
    match options.name {
        Soak::Sandbox => sandbox(options.modules, options.from),
    }
}

fn sandbox(modules: u64, from: Option<u64>) -> Result<bool> {
    setup::run()?;
    let arguments = ["build", "--release", "--package", "grid-engine", "--example", "engine-cases"];
    cargo::step("Build the maker of cases (release)", &arguments, BUILD)?;
    // Whoever uses the machine meanwhile goes first.
    let mut soak = command("nice");
    soak.args(["-n", "19", "node", "tests/engines/soak.mjs", "--cases"]);
    soak.arg(build::program_in("release", "examples/engine-cases")?);
    soak.args(["--modules", &modules.to_string()]);
    if let Some(from) = from {
        soak.args(["--from", &from.to_string()]);
    }
    Ok(shown(&mut soak, RUN)?.success())
}
