//! Carries the pages, where `cargo xtask dashboard` built them, into the relay.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let variable = |name| env::var_os(name).map(PathBuf::from).ok_or(io::ErrorKind::NotFound);
    let built = variable("CARGO_MANIFEST_DIR")?.join("../../dist/dashboard");
    // Cargo would build a crate anew each time if what it watches weren't there.
    fs::create_dir_all(&built)?;
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", built.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(&built)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.ends_with(".br") && !name.ends_with(".gz") {
            names.push(name);
        }
    }
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
        let path = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
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
    fs::write(variable("OUT_DIR")?.join("assets.rs"), code)
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
