//! The extension's wasm files and the JavaScript that loads them. The same
//! sources make the same bytes, wherever they are.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use wasm_bindgen_cli_support::Bindgen;

use crate::process::{command, output, quiet};
use crate::setup::npm_folder;
use crate::{build, cargo};

const TARGET: &str = "wasm32-unknown-unknown";
/// The wasm files. The glue of each is NAME.js, the wasm NAME_bg.wasm: the
/// extension's scripts load both.
pub(super) const PARTS: [Part; 2] = [
    Part { name: "grid", title: "node", package: "grid-browser", simd: false },
    Part { name: "inference", title: "inference", package: "grid-inference", simd: true },
];

pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    package: &'static str,
    /// Whether it is compiled with 128-bit vectors.
    simd: bool,
}

/// How a program is made small to download: compressed size counts, and code
/// that isn't copied into its callers compresses better (measured: 4 to 7%).
pub(crate) const SMALL: &[&str] =
    &["-Os", "--one-caller-inline-max-function-size=0", "--always-inline-max-function-size=0"];

/// What rustc's wasm32 target emits, so what binaryen may use.
pub(crate) const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-sign-ext",
    "--enable-nontrapping-float-to-int",
    "--enable-mutable-globals",
    "--enable-multivalue",
    "--enable-reference-types",
];
const SIMD: &str = "--enable-simd";

/// The size of the wasm files together, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) raw: u64,
    pub(crate) gzip: u64,
    pub(crate) brotli: u64,
}

impl Part {
    pub(super) fn compile(&self, limit: Duration) -> Result<Vec<u8>> {
        let mut cargo = cargo::with_progress();
        // A profile for each set of flags: cargo leaves flags that remap paths out
        // of the names of what it builds, so the two would take turns.
        let profile = if self.simd { "wasm-simd" } else { "wasm-node" };
        cargo.args(["build", "--package", self.package, "--profile", profile, "--target", TARGET]);
        let mut flags = remapped_paths()?;
        if self.simd {
            flags.push("-Ctarget-feature=+simd128".to_owned());
        }
        // Unlike RUSTFLAGS it allows for spaces in paths.
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        cargo::run(&format!("Build the {} for the browser", self.title), &mut cargo, limit)?;
        let file = format!("{profile}/{}.wasm", self.package.replace('-', "_"));
        std::fs::read(build::target().join(TARGET).join(file)).context("cargo built no wasm")
    }

    /// The JavaScript that loads it, into a folder. Classic scripts: neither a
    /// service worker that calls importScripts nor a blob worker can import
    /// modules.
    pub(super) fn glue(&self, module: &[u8], folder: &Path) -> Result<()> {
        Bindgen::new()
            .input_bytes(self.name, module.to_vec())
            .no_modules(true)?
            .omit_default_module_path(true)
            .typescript(false)
            .remove_name_section(true)
            .remove_producers_section(true)
            .generate(folder)
            .context("wasm-bindgen can't make the glue")
    }

    pub(super) fn optimise(&self, module: &Path, limit: Duration) -> Result<()> {
        // Binaryen from npm; Debian's version breaks what wasm-bindgen made.
        let mut wasm_opt = command(npm_folder().join("node_modules/.bin/wasm-opt"));
        // What computes keeps the compiler's own unrolling: smaller is slower.
        wasm_opt.args(if self.simd { &["-O2"] } else { SMALL });
        wasm_opt.args(FEATURES).args(self.simd.then_some(SIMD));
        wasm_opt.arg(module).arg("-o").arg(module);
        quiet(&mut wasm_opt, limit, |_| {})
    }
}

/// Flags that take this machine's folders out of what is compiled: panics name
/// the source's path.
fn remapped_paths() -> Result<Vec<String>> {
    let mut folders = vec![(crate::root().clone(), "/grid".to_owned())];
    // One folder a registry, whose name hangs on its address.
    for registry in entries(&cargo_home().join("registry/src")) {
        folders.push((registry, "/crates".to_owned()));
    }
    let sysroot = output(command("rustc").args(["--print", "sysroot"]))?;
    let version = output(command("rustc").arg("-vV"))?;
    let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: "));
    // Where the component rust-src is, its sources take the place of the names
    // that the standard library was compiled with.
    let library = Path::new(sysroot.trim()).join("lib/rustlib/src/rust");
    folders.push((library, format!("/rustc/{}", commit.unwrap_or("unknown"))));
    let flag =
        |(from, to): &(PathBuf, String)| format!("--remap-path-prefix={}={to}", from.display());
    Ok(folders.iter().map(flag).collect())
}

fn cargo_home() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home).unwrap_or_default()
}

/// What a folder has, in order.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// The module's size as it is and compressed, by Node.js.
pub(super) fn measure(module: &Path) -> Result<Sizes> {
    let script = "const zlib = require('zlib'), wasm = require('fs').readFileSync(process.argv[1]);\
                  console.log(JSON.stringify([wasm.length,\
                  zlib.gzipSync(wasm, { level: 9 }).length, zlib.brotliCompressSync(wasm).length]))";
    let text = output(command("node").args(["--eval", script]).arg(module))?;
    let [raw, gzip, brotli] = serde_json::from_str(&text).context("node measured nothing")?;
    Ok(Sizes { raw, gzip, brotli })
}

impl Sizes {
    pub(super) fn add(&mut self, other: Self) {
        self.raw += other.raw;
        self.gzip += other.gzip;
        self.brotli += other.brotli;
    }

    pub(super) fn read(value: &Value) -> Option<Self> {
        let size = |key: &str| value[key].as_u64();
        Some(Self { raw: size("raw")?, gzip: size("gzip")?, brotli: size("brotli")? })
    }
}
