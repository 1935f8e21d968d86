//! `cargo xtask`: everything one does with this repository beside editing it.

mod bench;
mod build;
mod cargo;
mod dashboard;
mod demo;
mod ext;
mod fuzz;
mod kernels;
mod models;
mod page;
mod process;
mod programs;
mod setup;
mod soak;
mod test;
mod tidy;
mod ui;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Set up, build, run, test and measure Grid.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what is missing: Debian packages, Rust targets, npm packages.
    Setup,
    /// Build the extension's packages into dist/chrome, dist/firefox,
    /// dist/firefox-full and dist/android.
    Ext(ext::Options),
    /// Build the relay's pages into dist/dashboard.
    Dashboard,
    /// Build the node in a page, and the widget, into dist/node.
    Page,
    /// Build the relay, the grid command, the extension and the examples.
    Build,
    /// Fetch and convert the models that tests and benchmarks use.
    Models,
    /// Run a real job on a real relay and a real browser, and check the result.
    Demo(demo::Options),
    /// Run every test, browsers included.
    Test(test::Options),
    /// Measure the relay, the node or the sandbox.
    Bench(bench::Options),
    /// Compare the engines for hours, on modules that no test has seen.
    Soak(soak::Options),
    /// Give every decoder, admission and the host bytes that nobody meant for
    /// them, for a given time.
    Fuzz(fuzz::Options),
    /// Check what ARCHITECTURE.md promises about the sources.
    Tidy,
}

/// The repository's root.
fn root() -> &'static PathBuf {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        // Cargo says where the checkout is now; it may have moved since the build.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        manifest.ancestors().nth(2).map_or(manifest.clone(), PathBuf::from)
    });
    &ROOT
}

fn run(task: Task) -> Result<bool> {
    process::end_children_on_signals()?;
    match task {
        Task::Setup => setup::run_alone().map(|()| true),
        Task::Ext(options) => ext::run(&options).map(|()| true),
        Task::Dashboard => dashboard::run().map(|()| true),
        Task::Page => page::run().map(|()| true),
        Task::Build => build::run().map(|()| true),
        Task::Models => models::run().map(|()| true),
        Task::Demo(options) => demo::run(&options),
        Task::Test(options) => test::run(&options),
        Task::Bench(options) => bench::run(&options).map(|()| true),
        Task::Soak(options) => soak::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Tidy => tidy::run(),
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(_) if process::stopping() => loop {
            // The thread that got the signal ends us when all children have.
            std::thread::park();
        },
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
