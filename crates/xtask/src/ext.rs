//! `cargo xtask ext`: the extension's packages in dist/NAME, each ready to be
//! loaded unpacked, and as zip files: from two wasm files (the node; what
//! infers), the extension's own files, the worker scripts and overlays.

mod archive;
mod files;
mod packages;
mod wasm;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};

use crate::process::TemporaryFolder;
use crate::setup::{self, npm_folder};
use crate::ui::{self, Step};
use files::Files;
pub(crate) use packages::Package;
pub(crate) use wasm::{FEATURES, SMALL, Sizes};

const LIMIT: Duration = Duration::from_secs(20 * 60);

/// Which packages, and how.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The packages to build; all without a name.
    #[arg(value_enum)]
    packages: Vec<Package>,
    /// Make dist/grid-NAME-VERSION.zip of each, too: for stores, and the same
    /// bytes wherever it is made.
    #[arg(long)]
    zip: bool,
}

/// The extension's folder, to be loaded unpacked.
pub(crate) fn folder() -> PathBuf {
    dist(Package::Chrome.name())
}

fn dist(name: &str) -> PathBuf {
    crate::root().join("dist").join(name)
}

pub(crate) fn run(options: &Options) -> Result<()> {
    setup::run()?;
    let wanted = match options.packages.as_slice() {
        [] => packages::ALL.as_slice(),
        some => some,
    };
    let sizes = build_some(wanted, LIMIT)?;
    for package in wanted {
        let files = files::read(&dist(package.name()))?;
        let bytes: usize = files.values().map(Vec::len).sum();
        let folder = format!("dist/{}", package.name());
        ui::line(format_args!("{folder}: {} files, {}", files.len(), ui::bytes(bytes as u64)));
        if options.zip {
            let (path, bytes) = zip(*package, &files)?;
            ui::line(format_args!("{}: {}", path.display(), ui::bytes(bytes)));
        }
    }
    ui::line(format_args!(
        "wasm in each: {} raw, {} gzip, {} brotli",
        ui::bytes(sizes.raw),
        ui::bytes(sizes.gzip),
        ui::bytes(sizes.brotli)
    ));
    Ok(())
}

/// Makes the zip files of all packages, which are built.
pub(crate) fn zip_all() -> Result<()> {
    let step = Step::start("Pack the extension");
    for package in packages::ALL {
        zip(package, &files::read(&dist(package.name()))?)?;
    }
    step.done("");
    Ok(())
}

/// Makes a zip file; its path below the root, and its size.
fn zip(package: Package, files: &Files) -> Result<(PathBuf, u64)> {
    let name = format!("grid-{}-{}.zip", package.name(), env!("CARGO_PKG_VERSION"));
    let bytes = archive::zip(files)?;
    files::write_file(&dist(&name), &bytes)?;
    Ok((Path::new("dist").join(name), bytes.len() as u64))
}

/// Builds all packages unless they are as their inputs make them.
pub(crate) fn build(limit: Duration) -> Result<Sizes> {
    build_some(&packages::ALL, limit)
}

fn build_some(wanted: &[Package], limit: Duration) -> Result<Sizes> {
    let end = Instant::now() + limit;
    let left = || end.saturating_duration_since(Instant::now());
    let mut modules = Vec::new();
    for part in &wasm::PARTS {
        modules.push(part.compile(left())?);
    }
    let (glued, sizes) = glued(&modules, left)?;
    let mut sources = glued;
    for name in packages::SOURCES {
        sources = files::join(sources, files::read(&crate::root().join(name))?)?;
    }
    for package in wanted {
        let read = |name: &&str| files::read(&crate::root().join(name));
        let overlays = package.overlays().iter().map(read).collect::<Result<_>>()?;
        let files = package.assemble(sources.clone(), overlays)?;
        place(&files, &dist(package.name()))?;
    }
    Ok(sizes)
}

/// Where the wasm files and their glue are kept.
const GLUED: &str = "wasm";

/// The wasm files, ready, and their glue; made unless they are there.
fn glued(modules: &[Vec<u8>], left: impl Fn() -> Duration) -> Result<(Files, Sizes)> {
    let (folder, stamp) = (dist(GLUED), dist("wasm.json"));
    let inputs = fingerprint(modules)?;
    if let Some(sizes) = read_stamp(&stamp, &inputs)
        && let Ok(files) = files::read(&folder)
    {
        return Ok((files, sizes));
    }
    let mut step = Step::start("Make the wasm files ready");
    // Built beside and moved in whole: a failure leaves no half of it.
    let beside = TemporaryFolder::within(&dist(""), GLUED)?;
    let mut sizes = Sizes::default();
    for (part, module) in wasm::PARTS.iter().zip(modules) {
        step.progress(&format!("glue of {}", part.title));
        part.glue(module, beside.path())?;
        step.progress(&format!("wasm-opt of {}", part.title));
        let module = beside.path().join(format!("{}_bg.wasm", part.name));
        part.optimise(&module, left())?;
        sizes.add(wasm::measure(&module)?);
    }
    replace(beside.path(), &folder)?;
    let Sizes { raw, gzip, brotli } = sizes;
    let text = json!({"inputs": inputs, "raw": raw, "gzip": gzip, "brotli": brotli});
    files::write_file(&stamp, text.to_string().as_bytes())?;
    step.done(&format!("{} brotli", ui::bytes(brotli)));
    Ok((files::read(&folder)?, sizes))
}

/// Puts a package into its folder, unless that has it.
fn place(files: &Files, folder: &Path) -> Result<()> {
    if files::read(folder).is_ok_and(|placed| placed == *files) {
        return Ok(());
    }
    let beside = TemporaryFolder::within(&dist(""), "package")?;
    files::write(files, beside.path())?;
    replace(beside.path(), folder)
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

/// Identifies what the wasm files are made of. No security hangs on it.
fn fingerprint(modules: &[Vec<u8>]) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    modules.hash(&mut hasher);
    std::fs::read(npm_folder().join("package-lock.json"))?.hash(&mut hasher);
    // How they are made is an input, too.
    include_str!("ext/wasm.rs").hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

fn read_stamp(stamp: &Path, inputs: &str) -> Option<Sizes> {
    let stamp: Value = serde_json::from_slice(&std::fs::read(stamp).ok()?).ok()?;
    Sizes::read(&stamp).filter(|_| stamp["inputs"] == inputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_module_is_another_fingerprint() {
        let of = |bytes: &[u8]| fingerprint(&[bytes.to_vec()]).unwrap();
        assert_eq!(of(b"wasm"), of(b"wasm"));
        assert_ne!(of(b"wasm"), of(b"more"));
    }
}
