//! `cargo xtask page`: a node in a page, and the widget, in dist/node,
//! compressed, from which the relay's build takes them: the extension's wasm
//! files, sandbox, controls and words, and www/node and www/embed.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{TemporaryFolder, command, quiet};
use crate::setup;
use crate::ui::{self, Step};
use crate::{ext, root};

const LIMIT: Duration = Duration::from_secs(20 * 60);
/// What only an extension has: the files whose names begin so.
const NOT_SHARED: [&str; 8] = [
    "background.",
    "host.",
    "manifest.",
    "offscreen.",
    "options.",
    "popup.",
    "service-worker.",
    "welcome.",
];
/// Folders of their own files.
const OWN: [&str; 2] = ["www/node", "www/embed"];

/// Files by their paths below dist/node.
type Files = BTreeMap<String, Vec<u8>>;

pub(crate) fn run() -> Result<()> {
    setup::run()?;
    build(LIMIT)?;
    let loader = folder().join("embed.js.br").metadata().context("there is no embed.js")?;
    ui::line(format_args!("dist/node: embed.js {} brotli", ui::bytes(loader.len())));
    Ok(())
}

fn folder() -> PathBuf {
    root().join("dist/node")
}

/// Builds them unless they are as their inputs make them.
pub(crate) fn build(limit: Duration) -> Result<()> {
    let end = Instant::now() + limit;
    ext::build(limit)?;
    let mut files = Files::new();
    read(&ext::folder(), "", &mut files)?;
    files.retain(|path, _| !NOT_SHARED.iter().any(|name| path.starts_with(name)));
    for name in OWN {
        read(&root().join(name), "", &mut files)?;
    }
    let inputs = fingerprint(&files);
    let stamp = root().join("dist/node.stamp");
    let built = std::fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == inputs);
    if built && folder().join("index.html").is_file() {
        return Ok(());
    }
    let step = Step::start("Assemble the node in a page");
    // Built beside and moved in whole: a failure leaves no half of it.
    let beside = TemporaryFolder::within(&root().join("dist"), "node")?;
    for (path, contents) in &files {
        let path = beside.path().join(path);
        std::fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        std::fs::write(path, contents)?;
    }
    compress(beside.path(), end.saturating_duration_since(Instant::now()))?;
    if folder().exists() {
        std::fs::remove_dir_all(folder()).context("can't replace dist/node")?;
    }
    std::fs::rename(beside.path(), folder()).context("can't move dist/node in place")?;
    std::fs::write(&stamp, inputs)?;
    step.done(&format!("{} files", files.len()));
    Ok(())
}

/// Reads a folder's files; no two may want to be the same one.
fn read(folder: &Path, prefix: &str, files: &mut Files) -> Result<()> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("can't read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            read(&entry.path(), &format!("{path}/"), files)?;
        } else if files.insert(path.clone(), std::fs::read(entry.path())?).is_some() {
            bail!("two files want to be {path} in dist/node");
        }
    }
    Ok(())
}

/// Identifies what it is made of. No security hangs on it.
fn fingerprint(files: &Files) -> String {
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    include_str!("page.rs").hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Writes each file a second and a third time, compressed, by Node.js.
fn compress(folder: &Path, limit: Duration) -> Result<()> {
    let script = "const zlib = require('zlib'), fs = require('fs');\
                  for (const name of fs.readdirSync('.', { recursive: true })) {\
                    if (name.endsWith('.png') || !fs.statSync(name).isFile()) continue;\
                    const bytes = fs.readFileSync(name);\
                    fs.writeFileSync(name + '.br', zlib.brotliCompressSync(bytes));\
                    fs.writeFileSync(name + '.gz', zlib.gzipSync(bytes, { level: 9 }));\
                  }";
    let mut node = command("node");
    node.args(["--eval", script]).current_dir(folder);
    quiet(&mut node, limit, |_| {})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_lost_to_another_of_its_name() {
        let folder = TemporaryFolder::new("page").unwrap();
        std::fs::create_dir_all(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a/b.js"), "1").unwrap();
        let mut files = Files::new();
        read(folder.path(), "", &mut files).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["a/b.js"]);
        let before = fingerprint(&files);
        assert!(read(folder.path(), "", &mut files).is_err());
        files.insert("a/b.js".to_owned(), b"2".to_vec());
        assert_ne!(before, fingerprint(&files));
    }
}
