//! `cargo xtask setup`: installs what is missing, and only that. When nothing
//! is, it looks at a few files and ends.

mod clients;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{command, output, quiet};
use crate::ui::{self, Step};

const INSTALL: Duration = Duration::from_secs(20 * 60);
const TARGETS: [&str; 2] = ["wasm32-unknown-unknown", "wasm32-wasip1"];
/// Component and the program it brings.
const COMPONENTS: [(&str, &str); 2] = [("rustfmt", "cargo-fmt"), ("clippy", "cargo-clippy")];
/// The oldest Node.js that the browser tests run on.
const NODE_MAJOR: u32 = 20;

/// Where npm packages are: the tests' browser driver, and binaryen's wasm-opt.
pub(crate) fn npm_folder() -> PathBuf {
    crate::root().join("tests/browser")
}

/// What building every test takes at least, and what is left to do where that
/// was done before.
const BUILD_BYTES: u64 = 8 << 30;
const REBUILD_BYTES: u64 = 1 << 30;

/// Fails at once where a build of every test would fail after ten minutes.
pub(crate) fn disk() -> Result<()> {
    let root = crate::root();
    let disk = rustix::fs::statvfs(root).with_context(|| root.display().to_string())?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let built = root.join("target/debug/grid-relay").exists();
    room(free, if built { REBUILD_BYTES } else { BUILD_BYTES })
}

fn room(free: u64, needed: u64) -> Result<()> {
    let gib = |bytes: u64| bytes as f64 / (1_u64 << 30) as f64;
    if free < needed {
        let (free, needed) = (gib(free), gib(needed));
        bail!(
            "the disk has {free:.1} GiB free, and the tests take {needed:.0} GiB or more: make room, for \
             example by `rm -r target/release target/debug/incremental`"
        );
    }
    Ok(())
}

pub(crate) fn run() -> Result<()> {
    debian_packages()?;
    rust()?;
    npm()?;
    clients::install()?;
    let (from, folder) = ("tests/web-ext", "target/web-ext");
    clients::npm(
        "Install Mozilla's web-ext",
        &crate::root().join(from),
        &crate::root().join(folder),
    )
}

struct Package {
    name: &'static str,
    gives: &'static str,
    present: fn() -> bool,
}

const PACKAGES: [Package; 7] = [
    Package {
        name: "chromium",
        gives: "Chromium (or CHROMIUM=/path/to/it)",
        present: || chromium().is_some(),
    },
    Package {
        name: "firefox-esr",
        gives: "Firefox (or FIREFOX=/path/to/it)",
        present: || firefox().is_some(),
    },
    Package { name: "clang", gives: "clang", present: || on_path("clang").is_some() },
    Package { name: "lld", gives: "wasm-ld", present: || on_path("wasm-ld").is_some() },
    Package {
        name: "wasi-libc",
        gives: "the C library for WASI",
        present: || Path::new("/usr/include/wasm32-wasi/stdio.h").exists(),
    },
    Package {
        name: "libclang-rt-14-dev-wasm32",
        gives: "clang's runtime library for wasm32",
        present: wasm_builtins,
    },
    Package {
        name: "mesa-vulkan-drivers",
        gives: "a Vulkan driver (lavapipe needs no GPU)",
        present: vulkan_driver,
    },
];

/// The browser: what CHROMIUM names, or the one on the path.
pub(crate) fn chromium() -> Option<PathBuf> {
    match std::env::var_os("CHROMIUM") {
        Some(path) => Some(PathBuf::from(path)),
        None => on_path("chromium"),
    }
}

/// The same of Firefox.
pub(crate) fn firefox() -> Option<PathBuf> {
    match std::env::var_os("FIREFOX") {
        Some(path) => Some(PathBuf::from(path)),
        None => on_path("firefox").or_else(|| on_path("firefox-esr")),
    }
}

pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn wasm_builtins() -> bool {
    // LLVM's major version and clang's full version are part of the path.
    let library = Path::new("lib/wasi/libclang_rt.builtins-wasm32.a");
    folders("/usr/lib")
        .filter(|folder| file_name(folder).starts_with("llvm-"))
        .any(|llvm| folders(llvm.join("lib/clang")).any(|version| version.join(library).exists()))
}

/// Whether any driver says that it is there, to the loader that it needs.
fn vulkan_driver() -> bool {
    let drivers = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
    let mut drivers = drivers.into_iter().flat_map(folders);
    drivers.any(|file| file.extension().is_some_and(|extension| extension == "json"))
}

fn folders(path: impl AsRef<Path>) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn file_name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

fn debian_packages() -> Result<()> {
    for variable in ["CHROMIUM", "FIREFOX"] {
        if let Some(path) = std::env::var_os(variable)
            && !Path::new(&path).is_file()
        {
            bail!("{variable} names {}, which is no file", path.display());
        }
    }
    let missing: Vec<&Package> = PACKAGES.iter().filter(|package| !(package.present)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let os = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    if !is_debian_12(&os) {
        let list: Vec<String> =
            missing.iter().map(|package| format!("  - {}", package.gives)).collect();
        bail!(
            "this is not Debian 12, so please install yourself:\n{}\n\
             The variables CHROMIUM and FIREFOX name the browsers to use, where they are not \
             on the path.",
            list.join("\n")
        );
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let install = [&["install", "-y", "--no-install-recommends"], names.as_slice()].concat();
    let mut step = Step::start(format!("Install {}", names.join(", ")));
    for arguments in [&["update"] as &[&str], &install] {
        let mut apt = if rustix::process::geteuid().is_root() {
            command("apt-get")
        } else if on_path("sudo").is_some() {
            let mut sudo = command("sudo");
            sudo.arg("apt-get").stdin(std::process::Stdio::inherit());
            sudo
        } else {
            bail!("needs root or sudo; as root run: apt-get {}", install.join(" "));
        };
        apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        quiet(&mut apt, INSTALL, |line| step.progress(line))?;
    }
    step.done("");
    if let Some(package) = missing.iter().find(|package| !(package.present)()) {
        bail!("{} was installed but {} is still missing", package.name, package.gives);
    }
    Ok(())
}

fn is_debian_12(os_release: &str) -> bool {
    let has = |wanted: &str| os_release.lines().any(|line| line.replace('"', "") == wanted);
    has("ID=debian") && has("VERSION_ID=12")
}

fn rust() -> Result<()> {
    // `rustc --print sysroot` is quick, `rustup target list` is not.
    let sysroot = PathBuf::from(output(command("rustc").args(["--print", "sysroot"]))?.trim());
    let targets: Vec<&str> = TARGETS
        .into_iter()
        .filter(|target| !sysroot.join("lib/rustlib").join(target).join("lib").is_dir())
        .collect();
    let components: Vec<&str> = COMPONENTS
        .into_iter()
        .filter(|(_, program)| !sysroot.join("bin").join(program).is_file())
        .map(|(component, _)| component)
        .collect();
    for (kind, names) in [("target", targets), ("component", components)] {
        if names.is_empty() {
            continue;
        }
        if on_path("rustup").is_none() {
            bail!("needs the Rust {kind}s {}; install rustup or add them", names.join(", "));
        }
        let mut step = Step::start(format!("Install Rust {kind} {}", names.join(", ")));
        let mut rustup = command("rustup");
        rustup.args([kind, "add"]).args(&names);
        quiet(&mut rustup, INSTALL, |line| step.progress(line))?;
        step.done("");
    }
    Ok(())
}

fn npm() -> Result<()> {
    let folder = npm_folder();
    let lock = std::fs::read(folder.join("package-lock.json"))
        .context("can't read tests/browser/package-lock.json")?;
    // npm removes node_modules first, so the stamp goes with what it vouches for.
    let stamp = folder.join("node_modules/.installed-lock");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    node_version()?;
    if on_path("npm").is_none() {
        bail!("needs npm, which comes with Node.js {NODE_MAJOR} or newer");
    }
    let mut step = Step::start("Install npm packages of tests/browser");
    let mut npm = command("npm");
    npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder);
    quiet(&mut npm, INSTALL, |line| step.progress(line))?;
    std::fs::write(&stamp, lock).with_context(|| format!("can't write {}", stamp.display()))?;
    step.done("");
    Ok(())
}

fn node_version() -> Result<()> {
    if on_path("node").is_none() {
        bail!("needs Node.js {NODE_MAJOR} or newer, and its npm");
    }
    let version = output(command("node").arg("--version"))?;
    let major = version.trim().trim_start_matches('v').split('.').next().unwrap_or_default();
    if major.parse::<u32>().map_or(true, |major| major < NODE_MAJOR) {
        bail!("needs Node.js {NODE_MAJOR} or newer, found {}", version.trim());
    }
    Ok(())
}

/// `setup` from its own command says so when there was nothing to do.
pub(crate) fn run_alone() -> Result<()> {
    run()?;
    ui::line("Everything is installed.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{is_debian_12, room};

    #[test]
    fn a_full_disk_is_told_of() {
        assert!(room(8 << 30, 8 << 30).is_ok());
        let words = room(3 << 29, 8 << 30).unwrap_err().to_string();
        assert!(
            words.starts_with("the disk has 1.5 GiB free, and the tests take 8 GiB"),
            "{words}"
        );
    }

    #[test]
    fn only_debian_12_gets_its_packages() {
        assert!(is_debian_12("PRETTY_NAME=\"Debian\"\nVERSION_ID=\"12\"\nID=debian\n"));
        assert!(!is_debian_12("VERSION_ID=\"13\"\nID=debian\n"));
        assert!(!is_debian_12("ID=fedora\nVERSION_ID=12\n"));
        assert!(!is_debian_12(""));
    }
}
