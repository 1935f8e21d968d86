//! Carries the pages, where `cargo xtask dashboard` and `cargo xtask page`
//! built them, into the relay.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    // dist/dashboard at /, dist/node (a node in a page, and the widget) at /node/.
    carry("dashboard", "/", "assets.rs")?;
    carry("node", "/node/", "node.rs")
}

/// A list `FILES` of what a folder below dist holds, each with its path below
/// `root` on the relay.
fn carry(folder: &str, root: &str, list: &str) -> io::Result<()> {
    let variable = |name| env::var_os(name).map(PathBuf::from).ok_or(io::ErrorKind::NotFound);
    let built = variable("CARGO_MANIFEST_DIR")?.join("../../dist").join(folder);
    // Cargo would build a crate anew each time if what it watches weren't there.
    fs::create_dir_all(&built)?;
    println!("cargo::rerun-if-changed={}", built.display());
    let mut names = Vec::new();
    list_files(&built, "", &mut names)?;
    names.sort();
    let mut code =
        String::from("/// The files, in order of their names.\nstatic FILES: &[File] = &[\n");
    for name in names {
        let file = built.join(&name);
        let beside = |extension: &str| {
            let path = built.join(format!("{name}.{extension}"));
            if path.is_file() { format!("Some({})", bytes(&path)) } else { "None".to_owned() }
        };
        let mut hasher = DefaultHasher::new();
        hasher.write(&fs::read(&file)?);
        let etag = format!("\"{:016x}\"", hasher.finish());
        let path = format!("{root}{}", if name == "index.html" { "" } else { &name });
        let _ = writeln!(
            code,
            "    File {{ path: {path:?}, etag: {etag:?}, immutable: {}, bytes: {}, brotli: {}, gzip: {} }},",
            has_hash(&name),
            bytes(&file),
            beside("br"),
            beside("gz"),
        );
    }
    code.push_str("];\n");
    fs::write(variable("OUT_DIR")?.join(list), code)
}

fn list_files(folder: &Path, prefix: &str, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            list_files(&entry.path(), &format!("{name}/"), names)?;
        } else if !name.ends_with(".br") && !name.ends_with(".gz") {
            names.push(name);
        }
    }
    Ok(())
}

fn bytes(path: &Path) -> String {
    format!("include_bytes!({:?})", path.display().to_string())
}

/// Names like `grid-0123456789abcdef.js` change with their content.
fn has_hash(name: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let hash = stem.trim_end_matches("_bg").rsplit_once('-').map_or("", |(_, hash)| hash);
    hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
}
