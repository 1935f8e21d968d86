//! Makes the cases of the three-engine tests (tests/engines): admits modules,
//! runs them in wasmtime, and writes a pack of admitted bytes and how each run
//! ended, for the pages that run them in Chromium and Firefox.

mod machine;
mod pack;
mod script;
mod smith;
mod spec;
mod tasks;
mod watch;
mod wrapper;

use anyhow::Result;
use clap::{Parser, Subcommand};
use pack::Pack;
use std::path::PathBuf;
use watch::Watch;

/// Make cases for the three-engine tests.
#[derive(Parser)]
#[command(name = "engine-cases")]
struct Arguments {
    /// Where to write the pack; nothing is written without it.
    #[arg(long, global = true)]
    out: Option<PathBuf>,
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand)]
enum Kind {
    /// Whole tasks through the real host, from a manifest.
    Tasks {
        /// A JSON list of tasks; see `tasks.rs`.
        manifest: PathBuf,
    },
    /// Random modules by their numbers.
    Smith {
        /// Number of the first.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// How many numbers.
        #[arg(long, default_value_t = 1)]
        count: u64,
        /// Print the first module, as the generator made it and as admitted.
        #[arg(long)]
        show: bool,
    },
    /// The WebAssembly core tests, from these files.
    Spec {
        /// Files in the `.wast` format.
        files: Vec<PathBuf>,
    },
}

fn main() -> Result<()> {
    let Arguments { out, kind } = Arguments::parse();
    let watch = Watch::start();
    let mut pack = Pack::default();
    pack.summary("admission", grid_sandbox::ADMISSION);
    match kind {
        Kind::Tasks { manifest } => tasks::make(&manifest, &watch, &mut pack)?,
        Kind::Smith { from, show: true, .. } => return smith::show(from),
        Kind::Smith { from, count, show: false } => {
            smith::make(from..from + count, &watch, &mut pack)?
        }
        Kind::Spec { files } => spec::make(&files, &watch, &mut pack)?,
    }
    pack.write(out.as_deref())
}
