//! What the rules look at: the files as text, and cargo's view of the crates.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cargo::cargo;
use crate::process::output;

/// Folders that hold no sources of ours: what .gitignore names.
const SKIPPED: [&str; 7] =
    [".git", "target", "node_modules", "dist", "grid-data", "corpus", "artifacts"];
/// Bigger files are data, not sources.
const FILE_LIMIT: u64 = 2 * 1024 * 1024;

pub(super) struct Repository {
    pub(super) files: BTreeMap<String, String>,
    pub(super) packages: Vec<Package>,
    pub(super) outside: Vec<Outside>,
}

/// A crate from outside that some crate of ours uses.
pub(super) struct Outside {
    pub(super) name: String,
    /// An SPDX expression.
    pub(super) licence: String,
    /// The registry, or another place.
    pub(super) source: String,
}

/// A crate of the workspace.
pub(super) struct Package {
    pub(super) name: String,
    /// Its manifest, relative to the root.
    pub(super) manifest: String,
    pub(super) described: bool,
    pub(super) dependencies: Vec<Dependency>,
}

pub(super) struct Dependency {
    pub(super) name: String,
    /// A dev-dependency: its tests' business only.
    pub(super) dev: bool,
}

impl Repository {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        read_folder(root, root, &mut files)?;
        // Without --offline: on a fresh checkout this fetches what any build needs.
        let mut cargo = cargo();
        cargo.args(["metadata", "--format-version", "1"]);
        for platform in ["x86_64-unknown-linux-gnu", "wasm32-unknown-unknown"] {
            cargo.args(["--filter-platform", platform]);
        }
        let metadata =
            serde_json::from_str(&output(&mut cargo)?).context("cargo metadata is no JSON")?;
        Ok(Self { files, packages: packages(&metadata, root), outside: outside(&metadata) })
    }

    /// Whether the line, or the comment above it, allows breaking a rule and
    /// says why.
    pub(super) fn allows(&self, rule: &str, path: &str, line: usize) -> bool {
        let Some(text) = self.files.get(path) else { return false };
        let marker = format!("tidy-allow({rule}):");
        let reason = |text: &str| {
            text.split_once(&marker).is_some_and(|(_, why)| why.trim().chars().count() >= 10)
        };
        let before = text.lines().take(line.saturating_sub(1)).collect::<Vec<_>>();
        // A comment of some lines right above counts as well.
        let above = before.iter().rev().take_while(|line| is_comment(line));
        text.lines().nth(line.saturating_sub(1)).is_some_and(reason)
            || above.into_iter().any(|line| reason(line))
    }

    /// Files with one of these extensions.
    pub(super) fn with_extension<'a>(
        &'a self,
        extensions: &'a [&str],
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files.iter().filter_map(move |(path, text)| {
            let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
            extensions.contains(&extension).then_some((path.as_str(), text.as_str()))
        })
    }
}

pub(super) fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("//") || line.starts_with('*') || line.starts_with("/*")
}

fn read_folder(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) -> Result<()> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("can't read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if !SKIPPED.iter().any(|name| entry.file_name() == *name) {
                read_folder(root, &path, files)?;
            }
        } else if kind.is_file() && entry.metadata()?.len() <= FILE_LIMIT {
            // What isn't UTF-8 is a picture or a vector, not text.
            if let Ok(text) = std::fs::read_to_string(&path) {
                let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
                files.insert(name.into_owned(), text);
            }
        }
    }
    Ok(())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn packages(metadata: &Value, root: &Path) -> Vec<Package> {
    list(&metadata["packages"])
        .filter(|package| package["source"].is_null())
        .map(|package| Package {
            name: text(&package["name"]),
            manifest: Path::new(&text(&package["manifest_path"]))
                .strip_prefix(root)
                .map(|path| path.to_string_lossy().into_owned())
                .unwrap_or_default(),
            described: !text(&package["description"]).trim().is_empty(),
            dependencies: list(&package["dependencies"])
                .map(|dependency| Dependency {
                    name: text(&dependency["name"]),
                    dev: dependency["kind"] == "dev",
                })
                .collect(),
        })
        .collect()
}

fn outside(metadata: &Value) -> Vec<Outside> {
    list(&metadata["packages"])
        .filter(|package| !package["source"].is_null())
        .map(|package| Outside {
            name: text(&package["name"]),
            licence: text(&package["license"]),
            source: text(&package["source"]),
        })
        .collect()
}

#[cfg(test)]
pub(super) mod sample {
    use super::*;

    /// A repository of these files and no crates.
    pub(in crate::tidy) fn files(files: &[(&str, &str)]) -> Repository {
        let own = |&(path, text): &(&str, &str)| (path.to_owned(), text.to_owned());
        Repository {
            files: files.iter().map(own).collect(),
            packages: Vec::new(),
            outside: Vec::new(),
        }
    }

    /// A repository of one crate with these dependencies (name, dev).
    pub(in crate::tidy) fn package(name: &str, dependencies: &[(&str, bool)]) -> Repository {
        let own = |&(name, dev): &(&str, bool)| Dependency { name: name.to_owned(), dev };
        let manifest = format!("crates/{name}/Cargo.toml");
        Repository {
            files: [(manifest.clone(), "[lints]\nworkspace = true\n".to_owned())].into(),
            packages: vec![Package {
                name: name.to_owned(),
                manifest,
                described: true,
                dependencies: dependencies.iter().map(own).collect(),
            }],
            outside: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_broken_only_with_a_reason() {
        let text = "// tidy-allow(sleep): the peer must miss its deadline\nsleep();\n\
                    sleep(); // tidy-allow(sleep): \nsleep();\n";
        let repository = sample::files(&[("a.rs", text)]);
        assert!(repository.allows("sleep", "a.rs", 2));
        assert!(!repository.allows("unsafe", "a.rs", 2));
        assert!(!repository.allows("sleep", "a.rs", 3), "no reason given");
        assert!(!repository.allows("sleep", "a.rs", 4));
    }

    #[test]
    fn cargo_metadata_is_read() {
        let metadata = serde_json::json!({"packages": [{
            "name": "grid-node", "manifest_path": "/r/crates/node/Cargo.toml",
            "description": "x",
            "dependencies": [{"name": "serde", "kind": null}, {"name": "wat", "kind": "dev"}],
        }, {"name": "serde", "license": "MIT", "source": "registry"}]});
        let found = outside(&metadata);
        assert_eq!(found.len(), 1);
        assert_eq!(found.first().unwrap().licence, "MIT");
        let packages = packages(&metadata, Path::new("/r"));
        let package = packages.first().unwrap();
        assert_eq!(package.manifest, "crates/node/Cargo.toml");
        assert!(package.described);
        let dev: Vec<bool> = package.dependencies.iter().map(|d| d.dev).collect();
        assert_eq!(dev, [false, true]);
    }
}
