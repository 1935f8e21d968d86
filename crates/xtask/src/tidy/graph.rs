//! Rules about crates: who may depend on whom, and on which library. The edges
//! allowed are those of the table in ARCHITECTURE.md.

use std::collections::BTreeMap;

use super::Finding;
use super::repository::{Package, Repository};

const TABLE: &str = "ARCHITECTURE.md";

/// A row of the table of crates.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Reads no clock, randomness, files or network.
    pub(super) pure: bool,
    /// `None`: on all others.
    may_depend_on: Option<Vec<String>>,
}

/// The table of crates in ARCHITECTURE.md, by the crate's folder:
/// | `name` *pure* | what it holds | name, name |
pub(super) fn crates(repository: &Repository) -> BTreeMap<String, Row> {
    let text = repository.files.get(TABLE).map_or("", String::as_str);
    let section = text.lines().skip_while(|line| *line != "## Crates").skip(1);
    let rows = section.take_while(|line| !line.starts_with("## ")).filter_map(|line| {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [name, _, edges] = cells.as_slice() else { return None };
        let (name, mark) = name.strip_prefix('`')?.split_once('`')?;
        let names = edges.split(',').map(|name| name.trim().to_owned());
        let row = Row {
            pure: mark.contains("*pure*"),
            may_depend_on: (*edges != "all").then(|| names.collect()),
        };
        Some((name.to_owned(), row))
    });
    rows.collect()
}

/// The name in the table of one of our packages.
fn short(package: &str) -> &str {
    package.strip_prefix("grid-").unwrap_or(package)
}

/// What a crate's own tests may use beside that.
const TEST_EDGES: &[(&str, &[&str])] = &[
    ("grid-relay", &["grid-testing", "grid-node", "grid-client", "grid-audit"]),
    ("grid-checker", &["grid-scheduler"]),
    ("grid-cli", &["grid-relay", "grid-scheduler", "grid-testing", "grid-node"]),
];

/// Libraries that only some crates know.
const HOMES: &[(&[&str], &[&str])] = &[
    (
        &[
            "web-sys",
            "js-sys",
            "wasm-bindgen",
            "wasm-bindgen-futures",
            "gloo",
            "serde-wasm-bindgen",
        ],
        &[
            "grid-browser",
            "grid-contexts",
            "grid-inference",
            "grid-checker",
            "grid-dashboard",
            "grid-client-js",
        ],
    ),
    (
        &["tokio", "tokio-util", "tokio-tungstenite", "reqwest", "axum", "tower-http"],
        &["grid-relay", "grid-cli", "grid-client", "grid-testing", "grid-tests"],
    ),
    (&["wasmtime"], &["grid-engine"]),
    (&["wgpu"], &["grid-tensor"]),
    (&["rusqlite"], &["grid-relay", "grid-tests"]),
    // Libraries have typed errors; anyhow is for mains and for tests.
    (&["anyhow"], &["grid-relay", "grid-cli", "grid-testing", "grid-tests", "xtask"]),
    // Pure crates get randomness from their callers.
    (
        &["getrandom", "rand", "rand_core"],
        &["grid-browser", "grid-relay", "grid-cli", "grid-client", "grid-testing", "grid-tests"],
    ),
];

fn finding(repository: &Repository, package: &Package, word: &str, advice: String) -> Finding {
    let text = repository.files.get(&package.manifest).map_or("", String::as_str);
    let line = text.lines().position(|line| line.trim_start().starts_with(word));
    Finding { path: package.manifest.clone(), line: line.map_or(0, |line| line + 1), advice }
}

pub(super) fn crates_point_down(repository: &Repository) -> Vec<Finding> {
    let table = crates(repository);
    let mut findings = Vec::new();
    for package in &repository.packages {
        let Some(row) = table.get(short(&package.name)) else {
            let advice = format!("a new crate: give it a row in the table of {TABLE}");
            findings.push(finding(repository, package, "name", advice));
            continue;
        };
        let in_tests = TEST_EDGES.iter().find(|(name, _)| *name == package.name);
        let in_tests = in_tests.map(|(_, allowed)| *allowed).unwrap_or_default();
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let listed = |list: &Vec<String>| list.iter().any(|edge| edge == short(name));
            let fine = !name.starts_with("grid-")
                || row.may_depend_on.as_ref().is_none_or(listed)
                // A crate depends on itself to switch on a feature in its tests.
                || (dependency.dev && (in_tests.contains(&name) || name == package.name));
            if !fine {
                let advice = format!("{} may not depend on {name}, says {TABLE}", package.name);
                findings.push(finding(repository, package, name, advice));
            }
        }
    }
    let there = |name: &str| repository.packages.iter().any(|package| short(&package.name) == name);
    for name in table.keys().filter(|name| !there(name)) {
        let advice = format!("the table lists {name}, which is no crate");
        findings.push(Finding { path: TABLE.to_owned(), line: 0, advice });
    }
    findings
}

pub(super) fn libraries_stay_home(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &repository.packages {
        for dependency in package.dependencies.iter().filter(|dependency| !dependency.dev) {
            let name = dependency.name.as_str();
            for (libraries, homes) in HOMES {
                if libraries.contains(&name) && !homes.contains(&package.name.as_str()) {
                    let homes = homes.join(", ");
                    let advice = format!("{name} belongs in {homes}, not in {}", package.name);
                    findings.push(finding(repository, package, name, advice));
                }
            }
        }
    }
    findings
}

pub(super) fn manifests(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &repository.packages {
        if !package.described {
            let advice = "say in `description` what the crate is for";
            findings.push(finding(repository, package, "name", advice.to_owned()));
        }
        let text = repository.files.get(&package.manifest).map_or("", String::as_str);
        let inherits = text
            .parse::<toml::Table>()
            .ok()
            .and_then(|manifest| manifest.get("lints")?.get("workspace")?.as_bool());
        if inherits != Some(true) {
            let advice = "add `[lints] workspace = true`";
            findings.push(finding(repository, package, "name", advice.to_owned()));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::repository::sample::package;
    use super::*;

    const ROWS: &str = "## Crates\n| crate | holds | may depend on |\n|---|---|---|\n\
                        | `NAME` *pure* | this | protocol, sandbox |\n## More\n| `x` | y | z |\n";

    fn with_row(name: &str, dependencies: &[(&str, bool)]) -> Repository {
        let mut repository = package(name, dependencies);
        repository.files.insert(TABLE.to_owned(), ROWS.replace("NAME", short(name)));
        repository
    }

    #[test]
    fn the_table_is_read() {
        let table = crates(&with_row("grid-node", &[]));
        let edges = Some(vec!["protocol".to_owned(), "sandbox".to_owned()]);
        assert_eq!(table.get("node"), Some(&Row { pure: true, may_depend_on: edges }));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn an_edge_upwards_is_found() {
        let count = |name, edges: &[(&str, bool)]| crates_point_down(&with_row(name, edges)).len();
        assert_eq!(count("grid-node", &[("grid-protocol", false), ("serde", false)]), 0);
        assert_eq!(count("grid-node", &[("grid-relay", false)]), 1);
        assert_eq!(count("grid-node", &[("grid-relay", true)]), 1);
        assert_eq!(count("grid-node", &[("grid-node", true)]), 0);
        assert_eq!(count("grid-cli", &[("grid-relay", true)]), 0);
        assert_eq!(count("grid-cli", &[("grid-relay", false)]), 1);
    }

    #[test]
    fn table_and_workspace_list_the_same_crates() {
        assert_eq!(crates_point_down(&package("grid-node", &[])).len(), 1, "no table");
        let mut other = with_row("grid-node", &[]);
        other.files.insert(TABLE.to_owned(), ROWS.replace("NAME", "other"));
        assert_eq!(crates_point_down(&other).len(), 2, "one without a row, one row too many");
    }

    #[test]
    fn a_library_outside_its_home_is_found() {
        assert_eq!(libraries_stay_home(&package("grid-node", &[("web-sys", false)])).len(), 1);
        assert_eq!(libraries_stay_home(&package("grid-scheduler", &[("tokio", false)])).len(), 1);
        assert_eq!(libraries_stay_home(&package("grid-relay", &[("wasmtime", false)])).len(), 1);
        assert_eq!(libraries_stay_home(&package("grid-sandbox", &[("getrandom", false)])).len(), 1);
        assert_eq!(libraries_stay_home(&package("grid-client", &[("anyhow", false)])).len(), 1);
        assert_eq!(libraries_stay_home(&package("grid-browser", &[("web-sys", false)])), []);
    }

    #[test]
    fn a_bare_manifest_is_found() {
        let mut bare = package("grid-node", &[]);
        assert_eq!(manifests(&bare), []);
        bare.files.insert("crates/grid-node/Cargo.toml".to_owned(), "[package]\n".to_owned());
        assert_eq!(manifests(&bare).len(), 1, "no lints");
        bare.packages.iter_mut().for_each(|package| package.described = false);
        assert_eq!(manifests(&bare).len(), 2, "no lints, no description");
    }
}
