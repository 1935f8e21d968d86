//! `cargo xtask ext`: the extension for Chrome in dist/chrome and for Firefox in
//! dist/firefox, from two wasm files (the node; what infers), the extension's
//! own files and the worker scripts.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use wasm_bindgen_cli_support::Bindgen;

use crate::process::{TemporaryFolder, command, output, quiet};
use crate::setup::{self, npm_folder};
use crate::ui::{self, Step};
use crate::{build, cargo};

const LIMIT: Duration = Duration::from_secs(20 * 60);
/// The wasm files. The glue of each is NAME.js, the wasm NAME_bg.wasm: the
/// extension's scripts load both.
const PARTS: [Part; 2] = [
    Part { name: "grid", title: "node", package: "grid-browser", simd: false },
    Part { name: "inference", title: "inference", package: "grid-inference", simd: true },
];

struct Part {
    name: &'static str,
    title: &'static str,
    package: &'static str,
    /// Whether it is compiled with 128-bit vectors.
    simd: bool,
}
/// Folders whose files go into the extension under their own paths.
const FOLDERS: [&str; 2] = ["extension", "worker-scripts"];
/// Files that Firefox's package has in place of Chrome's, or besides.
const FIREFOX: &str = "extension-firefox";
/// Files that it doesn't have.
const CHROME_ONLY: [&str; 6] = [
    "service-worker.js",
    "executor-worker.js",
    "offscreen.html",
    "offscreen.js",
    "sandbox.html",
    "sandbox.js",
];
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
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sizes {
    pub(crate) raw: u64,
    pub(crate) gzip: u64,
    pub(crate) brotli: u64,
}

/// The extension's folder, to be loaded unpacked.
pub(crate) fn folder() -> PathBuf {
    crate::root().join("dist/chrome")
}

pub(crate) fn run() -> Result<()> {
    setup::run()?;
    let sizes = build(LIMIT)?;
    ui::line(format_args!(
        "dist/chrome: wasm {} raw, {} gzip, {} brotli",
        ui::bytes(sizes.raw),
        ui::bytes(sizes.gzip),
        ui::bytes(sizes.brotli)
    ));
    Ok(())
}

/// Builds the extension unless it is as its inputs make it.
pub(crate) fn build(limit: Duration) -> Result<Sizes> {
    let end = Instant::now() + limit;
    let mut modules = Vec::new();
    for part in &PARTS {
        modules.push(part.compile(end.saturating_duration_since(Instant::now()))?);
    }
    let files = extension_files()?;
    let mut sources = files.clone();
    read_folder(&crate::root().join(FIREFOX), "firefox/", &mut sources)?;
    let inputs = fingerprint(&modules, &sources)?;
    let stamp = crate::root().join("dist/chrome.json");
    if let Some(sizes) = read_stamp(&stamp, &inputs) {
        return Ok(sizes);
    }

    let mut step = Step::start("Assemble the extension");
    // Built beside and moved in whole: a failure leaves no half an extension.
    let beside = TemporaryFolder::within(&crate::root().join("dist"), "chrome")?;
    for (path, contents) in &files {
        write(&beside.path().join(path), contents)?;
    }
    let mut sizes = Sizes::default();
    for (part, module) in PARTS.iter().zip(&modules) {
        step.progress(&format!("glue of {}", part.title));
        part.glue(module, beside.path())?;
        step.progress(&format!("wasm-opt of {}", part.title));
        let module = beside.path().join(format!("{}_bg.wasm", part.name));
        part.optimise(&module, end.saturating_duration_since(Instant::now()))?;
        let size = measure(&module)?;
        sizes.raw += size.raw;
        sizes.gzip += size.gzip;
        sizes.brotli += size.brotli;
    }
    replace(beside.path(), &folder())?;
    let firefox = TemporaryFolder::within(&crate::root().join("dist"), "firefox")?;
    assemble_firefox(firefox.path())?;
    replace(firefox.path(), &crate::root().join("dist/firefox"))?;
    write_stamp(&stamp, &inputs, sizes)?;
    step.done(&format!("wasm {} brotli", ui::bytes(sizes.brotli)));
    Ok(sizes)
}

/// Moves a folder to where another may be.
fn replace(new: &Path, folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("can't replace {}", folder.display()))?;
    }
    std::fs::rename(new, folder)
        .with_context(|| format!("can't move {} in place", folder.display()))
}

/// Firefox's package, from Chrome's: other files where the browsers differ,
/// and none that need a sandbox.
fn assemble_firefox(folder: &Path) -> Result<()> {
    let (mut files, mut others) = (BTreeMap::new(), BTreeMap::new());
    read_folder(&self::folder(), "", &mut files)?;
    read_folder(&crate::root().join(FIREFOX), "", &mut others)?;
    files.retain(|path, _| !CHROME_ONLY.contains(&path.as_str()));
    files.extend(others);
    files.iter().try_for_each(|(path, contents)| write(&folder.join(path), contents))
}

/// The files that go in as they are, by their path in the extension.
fn extension_files() -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for name in FOLDERS {
        read_folder(&crate::root().join(name), "", &mut files)?;
    }
    if !files.contains_key("manifest.json") {
        bail!("extension/manifest.json is missing");
    }
    Ok(files)
}

fn read_folder(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("can't read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            read_folder(&entry.path(), &format!("{path}/"), files)?;
        } else if !name.ends_with(".md") {
            let contents = std::fs::read(entry.path())?;
            if files.insert(path.clone(), contents).is_some() {
                bail!("two files want to be {path} in the extension");
            }
        }
    }
    Ok(())
}

/// Identifies what the extension is made of. No security hangs on it.
fn fingerprint(modules: &[Vec<u8>], files: &BTreeMap<String, Vec<u8>>) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    modules.hash(&mut hasher);
    files.hash(&mut hasher);
    FEATURES.hash(&mut hasher);
    std::fs::read(npm_folder().join("package-lock.json"))?.hash(&mut hasher);
    // How this file builds is an input, too.
    include_str!("ext.rs").hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

fn read_stamp(stamp: &Path, inputs: &str) -> Option<Sizes> {
    let stamp: Value = serde_json::from_slice(&std::fs::read(stamp).ok()?).ok()?;
    let size = |key: &str| stamp[key].as_u64();
    let sizes = Sizes { raw: size("raw")?, gzip: size("gzip")?, brotli: size("brotli")? };
    (stamp["inputs"] == inputs && folder().join("manifest.json").is_file()).then_some(sizes)
}

fn write_stamp(stamp: &Path, inputs: &str, sizes: Sizes) -> Result<()> {
    let Sizes { raw, gzip, brotli } = sizes;
    let text = json!({"inputs": inputs, "raw": raw, "gzip": gzip, "brotli": brotli});
    write(stamp, text.to_string().as_bytes())
}

fn write(path: &Path, contents: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, contents).with_context(|| format!("can't write {}", path.display()))
}

impl Part {
    fn compile(&self, limit: Duration) -> Result<Vec<u8>> {
        let target = "wasm32-unknown-unknown";
        let mut cargo = cargo::with_progress();
        cargo.args(["build", "--package", self.package, "--profile", "wasm", "--target", target]);
        if self.simd {
            cargo.env("RUSTFLAGS", "-Ctarget-feature=+simd128");
        }
        cargo::run(&format!("Build the {} for the browser", self.title), &mut cargo, limit)?;
        let file = format!("wasm/{}.wasm", self.package.replace('-', "_"));
        std::fs::read(build::target().join(target).join(file)).context("cargo built no wasm")
    }

    /// The JavaScript that loads it. Classic scripts: neither a service worker
    /// that calls importScripts nor a blob worker can import modules.
    fn glue(&self, module: &[u8], folder: &Path) -> Result<()> {
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

    fn optimise(&self, module: &Path, limit: Duration) -> Result<()> {
        // Binaryen from npm; Debian's version breaks what wasm-bindgen made.
        let mut wasm_opt = command(npm_folder().join("node_modules/.bin/wasm-opt"));
        // What computes keeps the compiler's own unrolling: smaller is slower.
        wasm_opt.arg(if self.simd { "-O2" } else { "-Oz" });
        wasm_opt.args(FEATURES).args(self.simd.then_some(SIMD));
        wasm_opt.arg(module).arg("-o").arg(module);
        quiet(&mut wasm_opt, limit, |_| {})
    }
}

/// The module's size as it is and compressed, by Node.js.
fn measure(module: &Path) -> Result<Sizes> {
    let script = "const zlib = require('zlib'), wasm = require('fs').readFileSync(process.argv[1]);\
                  console.log(JSON.stringify([wasm.length,\
                  zlib.gzipSync(wasm, { level: 9 }).length, zlib.brotliCompressSync(wasm).length]))";
    let text = output(command("node").args(["--eval", script]).arg(module))?;
    let [raw, gzip, brotli] = serde_json::from_str(&text).context("node measured nothing")?;
    Ok(Sizes { raw, gzip, brotli })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_counts() {
        let files = |text: &[u8]| BTreeMap::from([("a.js".to_owned(), text.to_vec())]);
        let of = |wasm: &[u8], text| fingerprint(&[wasm.to_vec()], &files(text)).unwrap();
        let first = of(b"wasm", b"1");
        assert_eq!(first, of(b"wasm", b"1"));
        assert_ne!(first, of(b"wasm", b"2"));
        assert_ne!(first, of(b"more", b"1"));
    }
}
