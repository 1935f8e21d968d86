//! OpenAI's official clients, for the tests of the relay's API: in
//! `target/openai`, of the versions in `tests/openai`, installed once.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{INSTALL, on_path};
use crate::process::{command, quiet};
use crate::ui::Step;

/// Where they are: `node` and `python` below it.
fn folder() -> PathBuf {
    crate::root().join("target/openai")
}

pub(super) fn install() -> Result<()> {
    node()?;
    python()
}

fn node() -> Result<()> {
    let (from, folder) = (crate::root().join("tests/openai"), folder().join("node"));
    npm("Install OpenAI's client for Node.js", &from, &folder)
}

/// Installs the npm packages that a lock file pins, beside where that is.
pub(super) fn npm(title: &str, from: &Path, folder: &Path) -> Result<()> {
    let lock = read(&from.join("package-lock.json"))?;
    if is_stamped(folder, &lock) {
        return Ok(());
    }
    let mut step = Step::start(title);
    std::fs::create_dir_all(folder).with_context(|| cant("make", folder))?;
    for name in ["package.json", "package-lock.json"] {
        let to = folder.join(name);
        std::fs::copy(from.join(name), &to).with_context(|| cant("write", &to))?;
    }
    let mut npm = command("npm");
    npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(folder);
    quiet(&mut npm, INSTALL, |line| step.progress(line))?;
    stamp(folder, &lock)?;
    step.done("");
    Ok(())
}

fn python() -> Result<()> {
    let (list, folder) =
        (crate::root().join("tests/openai/requirements.txt"), folder().join("python"));
    let pinned = read(&list)?;
    if is_stamped(&folder, &pinned) {
        return Ok(());
    }
    if on_path("python3").is_none() {
        bail!("needs Python 3 with its modules venv and pip");
    }
    let mut step = Step::start("Install OpenAI's client for Python");
    let mut venv = command("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&folder);
    quiet(&mut venv, INSTALL, |line| step.progress(line))?;
    let mut pip = command(folder.join("bin/pip"));
    pip.args(["install", "--no-deps", "--disable-pip-version-check", "-r"]).arg(&list);
    quiet(&mut pip, INSTALL, |line| step.progress(line))?;
    stamp(&folder, &pinned)?;
    step.done("");
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| cant("read", path))
}

fn is_stamped(folder: &Path, list: &[u8]) -> bool {
    std::fs::read(folder.join(".installed")).is_ok_and(|installed| installed == list)
}

/// Written last: what broke off is installed again.
fn stamp(folder: &Path, list: &[u8]) -> Result<()> {
    let path = folder.join(".installed");
    std::fs::write(&path, list).with_context(|| cant("write", &path))
}

fn cant(what: &str, path: &Path) -> String {
    format!("can't {what} {}", path.display())
}
