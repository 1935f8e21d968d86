//! Rules about crates: who may depend on whom, and on which library.

use super::Finding;
use super::repository::{Package, Repository};

/// Which of our crates each crate may depend on, as in ARCHITECTURE.md. A
/// crate that is not listed is new: add it here and there.
const EDGES: &[(&str, &[&str])] = &[
    ("grid-protocol", &[]),
    ("grid-sandbox", &["grid-protocol"]),
    ("grid-scheduler", &["grid-protocol"]),
    ("grid-node", &["grid-protocol"]),
    ("grid-engine", &["grid-sandbox", "grid-protocol"]),
    ("grid-browser", &["grid-node", "grid-sandbox", "grid-protocol"]),
    ("grid-relay", &["grid-scheduler", "grid-sandbox", "grid-protocol"]),
    ("grid-client", &["grid-protocol"]),
    ("grid-cli", &["grid-client", "grid-engine", "grid-sandbox", "grid-protocol"]),
    ("grid-testing", &["grid-node", "grid-engine", "grid-sandbox", "grid-protocol"]),
    (
        "grid-tests",
        &[
            "grid-testing",
            "grid-client",
            "grid-relay",
            "grid-engine",
            "grid-node",
            "grid-sandbox",
            "grid-protocol",
        ],
    ),
    ("xtask", &[]),
];

/// What a crate's own tests may use beside that.
const TEST_EDGES: &[(&str, &[&str])] = &[
    ("grid-relay", &["grid-testing", "grid-node", "grid-client"]),
    ("grid-cli", &["grid-relay", "grid-testing", "grid-node"]),
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
        &["grid-browser", "grid-dashboard", "grid-client-js"],
    ),
    (
        &["tokio", "tokio-util", "tokio-tungstenite", "reqwest", "axum", "tower-http"],
        &["grid-relay", "grid-cli", "grid-client", "grid-testing", "grid-tests"],
    ),
    (&["wasmtime"], &["grid-engine"]),
    (&["rusqlite"], &["grid-relay", "grid-tests"]),
    // Libraries have typed errors; anyhow is for mains and for tests.
    (&["anyhow"], &["grid-relay", "grid-cli", "grid-testing", "grid-tests", "xtask"]),
    // Pure crates get randomness from their callers.
    (
        &["getrandom", "rand", "rand_core"],
        &["grid-browser", "grid-relay", "grid-cli", "grid-client", "grid-testing", "grid-tests"],
    ),
];

fn row<'a>(table: &[(&str, &'a [&'a str])], name: &str) -> Option<&'a [&'a str]> {
    table.iter().find(|(crate_name, _)| *crate_name == name).map(|(_, allowed)| *allowed)
}

fn finding(repository: &Repository, package: &Package, word: &str, advice: String) -> Finding {
    let text = repository.files.get(&package.manifest).map_or("", String::as_str);
    let line = text.lines().position(|line| line.trim_start().starts_with(word));
    Finding { path: package.manifest.clone(), line: line.map_or(0, |line| line + 1), advice }
}

pub(super) fn crates_point_down(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &repository.packages {
        let Some(allowed) = row(EDGES, &package.name) else {
            let advice = "a new crate: say what it may depend on, in ARCHITECTURE.md and in \
                          crates/xtask/src/tidy/graph.rs";
            findings.push(finding(repository, package, "name", advice.to_owned()));
            continue;
        };
        let in_tests = row(TEST_EDGES, &package.name).unwrap_or_default();
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let fine = !name.starts_with("grid-")
                || allowed.contains(&name)
                // A crate depends on itself to switch on a feature in its tests.
                || (dependency.dev && (in_tests.contains(&name) || name == package.name));
            if !fine {
                let advice = format!("{} may not depend on {name}", package.name);
                findings.push(finding(repository, package, name, advice));
            }
        }
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

    #[test]
    fn an_edge_upwards_is_found() {
        let good = package("grid-node", &[("grid-protocol", false), ("serde", false)]);
        assert_eq!(crates_point_down(&good), []);
        assert_eq!(crates_point_down(&package("grid-node", &[("grid-relay", false)])).len(), 1);
        assert_eq!(crates_point_down(&package("grid-protocol", &[("grid-node", true)])).len(), 1);
        assert_eq!(crates_point_down(&package("grid-cli", &[("grid-relay", true)])), []);
        assert_eq!(crates_point_down(&package("grid-cli", &[("grid-relay", false)])).len(), 1);
        assert_eq!(crates_point_down(&package("grid-node", &[("grid-node", true)])), []);
    }

    #[test]
    fn a_new_crate_must_be_listed() {
        assert_eq!(crates_point_down(&package("grid-novel", &[])).len(), 1);
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
