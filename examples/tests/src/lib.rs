//! Runs task modules through the `grid` command, for the tests of this package:
//! what a module gives must equal what its native build gives.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a run left.
#[derive(Debug, PartialEq, Eq)]
pub struct Left {
    /// Whether it ended with exit code 0.
    pub ok: bool,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

/// The folder of the examples.
pub fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where cargo puts what it builds from this workspace: this program is in
/// `debug/deps` there.
fn target() -> PathBuf {
    let program = std::env::current_exe().expect("a running test has a path");
    program.ancestors().nth(3).expect("cargo's target folder").into()
}

/// A module written in Rust, by its package's name.
///
/// # Panics
/// If it has not been built.
pub fn rust_module(name: &str) -> PathBuf {
    built(target().join("wasm32-wasip1/release").join(name).with_extension("wasm"))
}

/// The module written in C.
///
/// # Panics
/// If it has not been built.
pub fn c_module() -> PathBuf {
    built(examples().join("target/mandelbrot.wasm"))
}

fn built(path: PathBuf) -> PathBuf {
    assert!(
        path.is_file(),
        "{} was not built: run `cargo xtask build`, or the commands in examples/README.md",
        path.display()
    );
    path
}

/// The `grid` command: `GRID_BIN`, or the development build of this repository.
///
/// # Panics
/// If there is none.
fn grid() -> PathBuf {
    let path = std::env::var_os("GRID_BIN")
        .map_or_else(|| examples().join("../target/debug/grid"), PathBuf::from);
    assert!(
        path.is_file(),
        "{} is not there: run `cargo build -p grid-cli`, or set GRID_BIN to the grid command",
        path.display()
    );
    path
}

/// Runs one task by `grid run`; its outputs are also left in the folder `out`.
///
/// # Panics
/// If `grid` could not run the module, as opposed to a task that failed.
pub fn run(module: &Path, arguments: &[&str], input: &Path, out: &Path) -> Left {
    let mut command = Command::new(grid());
    command.arg("run").arg(module).arg("--input").arg(input).arg("--out").arg(out);
    for argument in arguments {
        command.arg("--arg").arg(argument);
    }
    let done = command.output().expect("the grid command can be started");
    // Exit codes of `grid`: 0 fine, 5 the task failed, others a fault of ours.
    let ok = match done.status.code() {
        Some(0) => true,
        Some(5) => false,
        _ => panic!(
            "{command:?} ended with {}:\n{}",
            done.status,
            String::from_utf8_lossy(&done.stderr)
        ),
    };
    let stream = |name| fs::read(out.join(name)).unwrap_or_default();
    let stderr = String::from_utf8(stream("stderr")).expect("our examples write text");
    Left { ok, stdout: stream("stdout"), stderr }
}

/// The files of a folder, sorted by name.
///
/// # Panics
/// If the folder can't be read, or is empty.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is part of the repository");
    let mut paths: Vec<_> =
        entries.map(|entry| entry.expect("its entries can be read").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths
}
