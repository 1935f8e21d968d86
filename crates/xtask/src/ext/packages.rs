//! What is in each package: the extension's files, and overlays of what is
//! another file in that browser.

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use super::files::{self, Files};

/// A package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Package {
    /// Chrome and Edge: models, and modules in a sandbox.
    Chrome,
    /// Firefox, as Mozilla's policy allows it: models only.
    Firefox,
    /// Firefox, for whoever installs it himself: modules, too.
    FirefoxFull,
    /// Chromium on Android, without offscreen documents: models only.
    Android,
}

pub(super) const ALL: [Package; 4] =
    [Package::Chrome, Package::Firefox, Package::FirefoxFull, Package::Android];

/// Folders whose files every package starts with.
pub(super) const SOURCES: [&str; 2] = ["extension", "worker-scripts"];

/// The script that loads what infers.
const INFERENCE: &str = "inference.js";

impl Package {
    /// Its folder in dist/, and its part of the zip file's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Chrome => "chrome",
            Self::Firefox => "firefox",
            Self::FirefoxFull => "firefox-full",
            Self::Android => "android",
        }
    }

    /// Folders that are laid over it, in order.
    pub(super) fn overlays(self) -> &'static [&'static str] {
        match self {
            Self::Chrome => &[],
            Self::Firefox => &["extension-firefox"],
            Self::FirefoxFull => &["extension-firefox", "extension-firefox-full"],
            Self::Android => &["extension-android"],
        }
    }

    /// Files that it doesn't have.
    fn without(self) -> &'static [&'static str] {
        match self {
            Self::Chrome => &[],
            Self::Firefox => &[
                "service-worker.js",
                "offscreen.html",
                "offscreen.js",
                "executor-worker.js",
                "frame.js",
                "sandbox.html",
                "sandbox.js",
            ],
            Self::FirefoxFull => &["service-worker.js", "offscreen.html", "offscreen.js"],
            Self::Android => &[
                "offscreen.html",
                "offscreen.js",
                "executor-worker.js",
                "inference-worker.js",
                "frame.js",
                "sandbox.html",
                "sandbox.js",
            ],
        }
    }

    /// Its files, from what all start with and its overlays.
    pub(super) fn assemble(self, mut files: Files, overlays: Vec<Files>) -> Result<Files> {
        for path in self.without() {
            files.remove(*path).with_context(|| format!("there is no {path} to leave out"))?;
        }
        if self == Self::Android {
            let glue =
                files.remove(INFERENCE).with_context(|| format!("there is no {INFERENCE}"))?;
            files.insert(INFERENCE.to_owned(), instances(&glue));
        }
        for overlay in overlays {
            files::overlay(&mut files, overlay)?;
        }
        let version = files::manifest(&files)?["version"].clone();
        if version != env!("CARGO_PKG_VERSION") {
            bail!("the package {} has version {version}, not that of the workspace", self.name());
        }
        Ok(files)
    }
}

/// The glue as a function that makes a new instance with each call. Where there
/// are no workers, an instance that is let go is how its memory becomes free.
fn instances(glue: &[u8]) -> Vec<u8> {
    [b"function inferenceInstance() {\n", glue, b"\nreturn wasm_bindgen;\n}\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Files {
        let manifest = format!(r#"{{"version": "{}"}}"#, env!("CARGO_PKG_VERSION"));
        let every = ALL.iter().flat_map(|package| package.without().iter().copied());
        let mut files: Files =
            every.chain([INFERENCE]).map(|path| (path.to_owned(), b"x".to_vec())).collect();
        files.insert("manifest.json".to_owned(), manifest.into_bytes());
        files
    }

    #[test]
    fn a_package_has_its_own_files_only() {
        for package in ALL {
            let files = package.assemble(base(), Vec::new()).unwrap();
            for path in package.without() {
                assert!(!files.contains_key(*path), "{package:?} {path}");
            }
        }
        let android = Package::Android.assemble(base(), Vec::new()).unwrap();
        assert!(android[INFERENCE].starts_with(b"function inferenceInstance() {\nx\n"));
    }

    #[test]
    fn what_is_left_out_must_be_there() {
        let mut files = base();
        files.remove("offscreen.js");
        assert!(Package::Chrome.assemble(files.clone(), Vec::new()).is_ok());
        assert!(Package::Firefox.assemble(files, Vec::new()).is_err());
    }

    #[test]
    fn every_package_has_the_workspace_version() {
        let overlay =
            Files::from([("manifest.patch.json".to_owned(), br#"{"version": "99.0.0"}"#.to_vec())]);
        assert!(Package::Firefox.assemble(base(), vec![overlay]).is_err());
    }
}
