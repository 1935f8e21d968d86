//! What peers need: their packages, and the models in their formats. All of it
//! is made once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{command, quiet};
use crate::ui::Step;
use crate::{build, models, setup};

const LIMIT: Duration = Duration::from_secs(20 * 60);
const PACKAGE: &str = "benches/infer";
const Q8: &str = "SmolLM2-135M-Instruct.Q8_0.gguf";
const F32: &str = "minilm.f32.onnx";
const INT8: &str = "minilm.int8.onnx";

/// Where peers' files are.
pub(super) fn folder() -> PathBuf {
    build::target().join("infer-bench")
}

/// The npm packages of benches/infer.
pub(super) fn install_packages() -> Result<()> {
    let folder = crate::root().join(PACKAGE);
    let lock = std::fs::read(folder.join("package-lock.json")).context("can't read its lock")?;
    // npm removes node_modules first, so the stamp goes with what it vouches for.
    let stamp = folder.join("node_modules/.installed-lock");
    if is_stamped(&stamp, &lock) {
        return Ok(());
    }
    let mut step = Step::start("Install npm packages of benches/infer");
    let mut npm = command("npm");
    // No package of these needs its own scripts.
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
    quiet(&mut npm, LIMIT, |line| step.progress(line))?;
    std::fs::write(&stamp, lock).with_context(|| format!("can't write {}", stamp.display()))?;
    step.done("");
    Ok(())
}

/// The models in peers' formats, by benches/infer/models.py.
pub(super) fn make_files() -> Result<()> {
    let script = crate::root().join(PACKAGE).join("models.py");
    // Files are made again when the script or its packages change.
    let mut made_by = read(&script)?;
    made_by.extend(read(&requirements())?);
    let stamp = folder().join(".made");
    let files = [Q8, F32, INT8, "matmul.onnx"];
    if is_stamped(&stamp, &made_by) && files.iter().all(|file| folder().join(file).is_file()) {
        return Ok(());
    }
    let python = python()?;
    let mut step = Step::start("Make the models of peers");
    let of = |name: &str| folder().join(name);
    let (gguf, bert) = (super::SMOLLM2_GGUF, super::MINILM_FOLDER);
    let safetensors = models::folder().join(bert).join("model.safetensors");
    for (what, from, to) in [
        ("q8", Some(models::folder().join(gguf)), Q8),
        ("onnx", Some(safetensors), F32),
        ("int8", Some(of(F32)), INT8),
        ("matmul", None, "matmul.onnx"),
    ] {
        step.progress(to);
        let mut make = command(&python);
        make.arg(&script).arg(what).args(from).arg(of(to));
        quiet(&mut make, LIMIT, |line| step.progress(line))?;
    }
    write(&stamp, &made_by)?;
    step.done("");
    Ok(())
}

fn requirements() -> PathBuf {
    crate::root().join(PACKAGE).join("requirements.txt")
}

/// A Python of our own with the packages that write these formats.
fn python() -> Result<PathBuf> {
    let (folder, wanted) = (folder().join("python"), read(&requirements())?);
    let (program, stamp) = (folder.join("bin/python"), folder.join(".installed"));
    if is_stamped(&stamp, &wanted) {
        return Ok(program);
    }
    if setup::on_path("python3").is_none() {
        bail!("needs Python 3 with its modules venv and pip");
    }
    let mut step = Step::start("Install Python packages of benches/infer");
    let mut venv = command("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&folder);
    quiet(&mut venv, LIMIT, |line| step.progress(line))?;
    let mut pip = command(&program);
    pip.args(["-m", "pip", "install", "--no-deps", "--disable-pip-version-check", "-r"]);
    quiet(pip.arg(requirements()), LIMIT, |line| step.progress(line))?;
    write(&stamp, &wanted)?;
    step.done("");
    Ok(program)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("can't read {}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("can't write {}", path.display()))
}

/// Whether a stamp, which is written last, says that this was done.
fn is_stamped(stamp: &Path, what: &[u8]) -> bool {
    std::fs::read(stamp).is_ok_and(|done| done == what)
}
