//! `cargo xtask dashboard`: the relay's pages in dist/dashboard, compressed,
//! from which the relay's build takes them. Does what `trunk build` does with
//! the same www/index.html, with what this repository has anyway: installing
//! Trunk would cost CI more than everything it builds.

use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

use crate::process::{TemporaryFolder, command, quiet};
use crate::setup::{self, npm_folder};
use crate::ui::{self, Step};
use crate::{build, cargo, ext};

const LIMIT: Duration = Duration::from_secs(20 * 60);
const TARGET: &str = "wasm32-unknown-unknown";
const NAME: &str = "grid";
/// The programs and what their files are called: the pages, whose names change
/// with their content, and the worker that www/worker.js starts.
const PROGRAMS: [(&str, &str); 2] = [("grid-dashboard", NAME), ("grid-checker", "grid_checker")];

pub(crate) fn run() -> Result<()> {
    setup::run()?;
    build(LIMIT)?;
    ui::line(format_args!("dist/dashboard: {} as brotli", ui::bytes(brotli()?)));
    Ok(())
}

fn folder() -> PathBuf {
    crate::root().join("dist/dashboard")
}

/// Builds the pages unless they are as their inputs make them.
pub(crate) fn build(limit: Duration) -> Result<()> {
    let end = Instant::now() + limit;
    let config = flags();
    let packages = PROGRAMS.iter().flat_map(|(package, _)| ["--package", package]);
    let mut arguments = vec!["build", "--profile", "pages", "--target", TARGET];
    arguments.extend(packages.chain(["--config", &config]));
    cargo::step("Build the pages", &arguments, limit)?;
    let programs = PROGRAMS.map(|(package, _)| {
        let module = format!("pages/{}.wasm", package.replace('-', "_"));
        std::fs::read(build::target().join(TARGET).join(module)).context("cargo built no pages")
    });
    let programs = programs.into_iter().collect::<Result<Vec<_>>>()?;
    let page = Page::read(&crate::root().join("www/index.html"))?;
    let inputs = page.fingerprint(&programs)?;
    let stamp = crate::root().join("dist/dashboard.stamp");
    let built = std::fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == inputs);
    if built && folder().join("index.html").is_file() {
        return Ok(());
    }
    let mut step = Step::start("Assemble the pages");
    let beside = TemporaryFolder::within(&crate::root().join("dist"), "dashboard")?;
    for ((_, name), program) in PROGRAMS.iter().zip(programs) {
        step.progress(name);
        bind(name, program, beside.path(), end)?;
    }
    page.assemble(beside.path())?;
    step.progress("compress");
    compress(beside.path())?;
    if folder().exists() {
        std::fs::remove_dir_all(folder()).context("can't replace dist/dashboard")?;
    }
    std::fs::rename(beside.path(), folder()).context("can't move dist/dashboard in place")?;
    std::fs::write(&stamp, inputs)?;
    step.done(&format!("{} brotli", ui::bytes(brotli()?)));
    Ok(())
}

/// Makes a program's glue beside it, and the program small.
fn bind(name: &str, program: Vec<u8>, folder: &Path, end: Instant) -> Result<()> {
    Bindgen::new()
        .input_bytes(name, program)
        .web(true)?
        .omit_default_module_path(true)
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(folder)
        .context("wasm-bindgen can't make the glue")?;
    let module = folder.join(format!("{name}_bg.wasm"));
    let mut wasm_opt = command(npm_folder().join("node_modules/.bin/wasm-opt"));
    wasm_opt.args(ext::SMALL).args(ext::FEATURES);
    wasm_opt.arg(&module).arg("-o").arg(&module);
    quiet(&mut wasm_opt, end.saturating_duration_since(Instant::now()), |_| {})
}

/// Flags for the compiler: Leptos keeps one type for all views instead of one
/// for each, and messages name no folder of this machine.
fn flags() -> String {
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = || std::env::home_dir().unwrap_or_default().join(".cargo");
    let sources = cargo.unwrap_or_else(home).join("registry/src");
    let remap = format!("--remap-path-prefix={}=", sources.display());
    let flags = ["--cfg=erase_components".to_owned(), remap];
    format!("target.{TARGET}.rustflags={flags:?}")
}

/// What all files come to as a browser gets them.
fn brotli() -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "br") {
            sum += path.metadata()?.len();
        }
    }
    Ok(sum)
}

/// Trunk's source of a page: html with lines `<link data-trunk rel=".." href="..">`.
struct Page {
    folder: PathBuf,
    html: String,
}

impl Page {
    fn read(path: &Path) -> Result<Self> {
        let html = std::fs::read_to_string(path)
            .with_context(|| format!("can't read {}", path.display()))?;
        let folder = path.parent().context("a file has a folder")?.to_owned();
        Ok(Self { folder, html })
    }

    /// Kind and path of each of Trunk's lines.
    fn assets(&self) -> impl Iterator<Item = (&str, &str)> {
        self.html.lines().filter_map(asset)
    }

    fn fingerprint(&self, programs: &[Vec<u8>]) -> Result<String> {
        let mut hasher = DefaultHasher::new();
        programs.iter().for_each(|program| hasher.write(program));
        hasher.write(self.html.as_bytes());
        for (kind, path) in self.assets() {
            if kind != "rust" {
                hasher.write(&self.asset_bytes(path)?);
            }
        }
        hasher.write(&std::fs::read(npm_folder().join("package-lock.json"))?);
        hasher.write(include_bytes!("dashboard.rs"));
        Ok(format!("{:016x}", hasher.finish()))
    }

    fn asset_bytes(&self, path: &str) -> Result<Vec<u8>> {
        let path = self.folder.join(path);
        std::fs::read(&path).with_context(|| format!("can't read {}", path.display()))
    }

    /// Puts page and assets beside the glue and the program, which get names
    /// that change with their content.
    fn assemble(&self, folder: &Path) -> Result<()> {
        let wasm = hashed(folder, &format!("{NAME}_bg.wasm"))?;
        let glue = hashed(folder, &format!("{NAME}.js"))?;
        // In a file: the content policy allows no script in the page itself.
        let start = format!(
            "import init from './{glue}';\nawait init({{ module_or_path: new URL('./{wasm}', import.meta.url) }});\n"
        );
        std::fs::write(folder.join("start.js"), start)?;
        let start = hashed(folder, "start.js")?;
        let mut html = String::new();
        for line in self.html.lines() {
            match asset(line) {
                None => html.push_str(line),
                // The worker's program keeps its name, as Trunk leaves it.
                Some(("rust", _)) if line.contains("data-type=\"worker\"") => continue,
                Some(("rust", _)) => {
                    html.push_str(&format!(
                        "<link rel=\"modulepreload\" href=\"{glue}\">\n\
                         <link rel=\"preload\" as=\"fetch\" type=\"application/wasm\" crossorigin href=\"{wasm}\">\n\
                         <script type=\"module\" src=\"{start}\"></script>"
                    ));
                }
                Some((kind @ ("css" | "copy-file"), path)) => {
                    let name = path.rsplit('/').next().unwrap_or(path);
                    std::fs::write(folder.join(name), self.asset_bytes(path)?)?;
                    if kind == "copy-file" {
                        continue;
                    }
                    let name = hashed(folder, name)?;
                    html.push_str(&format!("<link rel=\"stylesheet\" href=\"{name}\">"));
                }
                Some((kind, _)) => bail!("www/index.html: {kind} is not known to this build"),
            }
            html.push('\n');
        }
        std::fs::write(folder.join("index.html"), html)?;
        Ok(())
    }
}

/// `("css", "style.css")` of `<link data-trunk rel="css" href="style.css">`.
fn asset(line: &str) -> Option<(&str, &str)> {
    let line = line.trim().strip_prefix("<link data-trunk ")?;
    let value = |name: &str| line.split_once(name)?.1.split('"').next();
    Some((value("rel=\"")?, value("href=\"")?))
}

/// Renames a file so that its name changes with its content.
fn hashed(folder: &Path, name: &str) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    hasher.write(&std::fs::read(folder.join(name))?);
    let (stem, extension) = name.rsplit_once('.').context("a file has an extension")?;
    let new = format!("{stem}-{:016x}.{extension}", hasher.finish());
    std::fs::rename(folder.join(name), folder.join(&new))?;
    Ok(new)
}

/// Writes each file a second and a third time, compressed, by Node.js.
fn compress(folder: &Path) -> Result<()> {
    let script = "const zlib = require('zlib'), fs = require('fs');\
                  for (const name of fs.readdirSync('.')) {\
                    const bytes = fs.readFileSync(name);\
                    fs.writeFileSync(name + '.br', zlib.brotliCompressSync(bytes));\
                    fs.writeFileSync(name + '.gz', zlib.gzipSync(bytes, { level: 9 }));\
                  }";
    let mut node = command("node");
    node.args(["--eval", script]).current_dir(folder);
    quiet(&mut node, Duration::from_secs(120), |_| {})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trunks_lines_are_read() {
        let line = "  <link data-trunk rel=\"css\" href=\"a/style.css\" data-x=\"1\">";
        assert_eq!(asset(line), Some(("css", "a/style.css")));
        assert_eq!(asset("<link rel=\"icon\" href=\"x\">"), None);
        assert_eq!(asset("<link data-trunk rel=\"css\">"), None);
    }

    #[test]
    fn a_page_is_put_together() {
        let folder = TemporaryFolder::new("page").unwrap();
        let (www, out) = (folder.path().join("www"), folder.path().join("out"));
        std::fs::create_dir_all(&www).unwrap();
        std::fs::create_dir_all(&out).unwrap();
        let html = "<head>\n<link data-trunk rel=\"css\" href=\"a.css\">\n\
                    <link data-trunk rel=\"copy-file\" href=\"w.js\">\n\
                    <link data-trunk rel=\"rust\" href=\"Cargo.toml\">\n</head>\n";
        for (path, text) in [("index.html", html), ("a.css", "x"), ("w.js", "y")] {
            std::fs::write(www.join(path), text).unwrap();
        }
        for name in ["grid.js", "grid_bg.wasm"] {
            std::fs::write(out.join(name), name).unwrap();
        }
        let page = Page::read(&www.join("index.html")).unwrap();
        page.assemble(&out).unwrap();
        let html = std::fs::read_to_string(out.join("index.html")).unwrap();
        assert!(!html.contains("data-trunk"), "{html}");
        let links = html.split('"').filter(|part| part.contains('-') && part.contains('.'));
        let links: Vec<_> = links.collect();
        assert_eq!(links.len(), 4, "{html}");
        for link in links {
            assert!(out.join(link).is_file(), "{link} is missing");
        }
        assert!(out.join("w.js").is_file());
        std::fs::write(www.join("index.html"), "<link data-trunk rel=\"sass\" href=\"b\">")
            .unwrap();
        assert!(Page::read(&www.join("index.html")).unwrap().assemble(&out).is_err());
    }
}
