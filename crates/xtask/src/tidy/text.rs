//! Rules about files as text: their length, words that have no place in them,
//! the extension's manifest and links between documents.

use super::Finding;
use super::repository::Repository;

const LONG: usize = 500;
const TOO_LONG: usize = 600;
const SOURCES: [&str; 5] = ["rs", "js", "mjs", "css", "c"];

/// What the extension may ask for: none of these shows a warning.
const PERMISSIONS: [&str; 4] = ["alarms", "idle", "offscreen", "storage"];

fn found(path: &str, line: usize, advice: String) -> Finding {
    Finding { path: path.to_owned(), line, advice }
}

pub(super) fn length(repository: &Repository) -> Vec<Finding> {
    lengths(repository)
        .filter(|(_, length)| *length > TOO_LONG)
        .map(|(path, length)| found(path, length, format!("{length} lines: make it two files")))
        .collect()
}

/// Files that are allowed and should be shorter: path, last line, length.
pub(super) fn long_files(repository: &Repository) -> Vec<(&str, usize, usize)> {
    lengths(repository)
        .filter(|(_, length)| (LONG + 1..=TOO_LONG).contains(length))
        .map(|(path, length)| (path, length, length))
        .collect()
}

fn lengths(repository: &Repository) -> impl Iterator<Item = (&str, usize)> {
    repository.with_extension(&SOURCES).map(|(path, text)| (path, text.lines().count()))
}

pub(super) fn unfinished(repository: &Repository) -> Vec<Finding> {
    // In two parts, so that this file keeps its own rule.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("not implemented", " yet"),
    ];
    let whole = |line: &str, word: &str| {
        line.match_indices(word).any(|(at, _)| {
            let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            let (before, after) = (line.get(..at), line.get(at + word.len()..));
            !letter(before.and_then(|text| text.chars().next_back()))
                && (word.ends_with('(') || !letter(after.and_then(|text| text.chars().next())))
        })
    };
    let mut findings = Vec::new();
    for (path, text) in repository.with_extension(&["rs", "js", "mjs", "css", "html", "toml", "c"])
    {
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| whole(line, word)) {
                findings.push(found(path, number + 1, format!("{word}: finish it or drop it")));
            }
        }
    }
    findings
}

pub(super) fn machine(repository: &Repository) -> Vec<Finding> {
    let paths = [
        concat!("/wo", "rk/"),
        concat!("/fa", "rm/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
    ];
    let hosts = [
        concat!("registry.", "npmjs"),
        concat!("registry.", "yarnpkg"),
        concat!("index.", "crates.io"),
        concat!("static.", "crates.io"),
        concat!("deb.", "debian.org"),
        concat!("pypi.", "org"),
    ];
    let starts_path = |line: &str, path: &str| {
        line.match_indices(path).any(|(at, _)| {
            let before = line.get(..at).and_then(|text| text.chars().next_back());
            !before.is_some_and(|c| c.is_alphanumeric() || "_.-/".contains(c))
        })
    };
    let mut findings = Vec::new();
    for (path, text) in &repository.files {
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = paths.iter().find(|word| starts_path(line, word)) {
                let advice = format!("{word} is a path of some machine: take it out");
                findings.push(found(path, number + 1, advice));
            }
            if let Some(host) = hosts.iter().find(|host| line.contains(**host)) {
                let advice = format!("{host} is a registry's host: leave that to the client");
                findings.push(found(path, number + 1, advice));
            }
        }
    }
    findings
}

pub(super) fn permissions(repository: &Repository) -> Vec<Finding> {
    let path = "extension/manifest.json";
    let mut findings = match repository.files.get(path) {
        Some(text) => asked(path, text, |asked| asked == PERMISSIONS),
        None => vec![found(path, 0, "the extension's manifest is missing".to_owned())],
    };
    for (path, text) in repository.with_extension(&["json"]) {
        // What an overlay doesn't say stays as it is.
        if path.ends_with("/manifest.patch.json") {
            let fewer = |asked: &[&str]| asked.iter().all(|name| PERMISSIONS.contains(name));
            findings.extend(asked(path, text, fewer));
        }
    }
    findings
}

/// What is wrong with what a manifest asks for.
fn asked(path: &str, text: &str, right: impl Fn(&[&str]) -> bool) -> Vec<Finding> {
    let Ok(manifest) = serde_json::from_str::<serde_json::Value>(text) else {
        return vec![found(path, 0, "is no JSON".to_owned())];
    };
    let line = |word: &str| {
        let quoted = format!("\"{word}\"");
        text.lines().position(|line| line.contains(&quoted)).map_or(0, |line| line + 1)
    };
    let mut asked: Vec<&str> = manifest["permissions"]
        .as_array()
        .map(|list| list.iter().filter_map(serde_json::Value::as_str).collect())
        .unwrap_or_default();
    asked.sort_unstable();
    let mut findings = Vec::new();
    if !right(&asked) {
        let advice = format!("must ask for exactly {}", PERMISSIONS.join(", "));
        findings.push(found(path, line("permissions"), advice));
    }
    let others = [
        "host_permissions",
        "optional_permissions",
        "optional_host_permissions",
        "content_scripts",
        "externally_connectable",
    ];
    for key in others.into_iter().filter(|key| manifest.get(key).is_some()) {
        let advice = format!("{key} widens what the extension may do: leave it out");
        findings.push(found(path, line(key), advice));
    }
    findings
}

pub(super) fn package_lock(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in repository.with_extension(&["json"]) {
        if !path.ends_with("package-lock.json") {
            continue;
        }
        if let Some(line) = text.lines().position(|line| line.contains("\"resolved\"")) {
            let advice = "names a registry: npm install with --omit-lockfile-registry-resolved";
            findings.push(found(path, line + 1, advice.to_owned()));
        }
    }
    findings
}

pub(super) fn links(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in repository.with_extension(&["md"]) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (number, line) in text.lines().enumerate() {
            for target in link_targets(line) {
                let target = target.split('#').next().unwrap_or_default();
                if target.is_empty() || target.contains(':') {
                    continue;
                }
                if !leads_somewhere(repository, folder, target) {
                    let advice = format!("{target} does not exist");
                    findings.push(found(path, number + 1, advice));
                }
            }
        }
    }
    findings
}

/// The targets of `[text](target)` in a line.
fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
}

fn leads_somewhere(repository: &Repository, folder: &str, target: &str) -> bool {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return false;
                }
            }
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    // Pictures aren't among the files read as text.
    repository.files.contains_key(&path)
        || repository.files.keys().any(|file| file.starts_with(&format!("{path}/")))
        || crate::root().join(&path).exists()
}

#[cfg(test)]
mod tests {
    use super::super::repository::sample::files;
    use super::*;

    fn count(check: fn(&Repository) -> Vec<Finding>, path: &str, text: &str) -> usize {
        check(&files(&[(path, text)])).len()
    }

    #[test]
    fn long_files_are_found() {
        assert_eq!(count(length, "a.rs", &"x\n".repeat(601)), 1);
        assert_eq!(count(length, "a.rs", &"x\n".repeat(600)), 0);
        assert_eq!(count(length, "a.txt", &"x\n".repeat(900)), 0);
        let note = files(&[("a.js", &"x\n".repeat(501)), ("b.js", &"x\n".repeat(500))]);
        assert_eq!(long_files(&note), [("a.js", 501, 501)]);
    }

    #[test]
    fn unfinished_code_is_found() {
        assert_eq!(count(unfinished, "a.rs", concat!("// TO", "DO: later\n")), 1);
        assert_eq!(count(unfinished, "a.rs", concat!("    to", "do!()\n")), 1);
        assert_eq!(count(unfinished, "a.rs", concat!("// FIX", "ME\n")), 1);
        assert_eq!(count(unfinished, "a.rs", concat!("let MASTO", "DON = 1;\n")), 0);
    }

    #[test]
    fn traces_of_a_machine_are_found() {
        assert_eq!(count(machine, "a.md", concat!("see /ho", "me/me/x\n")), 1);
        assert_eq!(count(machine, "a.md", concat!("https://x.example/ho", "me/\n")), 0);
        assert_eq!(count(machine, "a.json", concat!("https://registry.", "npmjs.org/x\n")), 1);
    }

    #[test]
    fn another_permission_is_found() {
        let path = "extension/manifest.json";
        let good = r#"{"permissions": ["storage", "idle", "alarms", "offscreen"]}"#;
        assert_eq!(count(permissions, path, good), 0);
        assert_eq!(count(permissions, path, r#"{"permissions": ["storage", "tabs"]}"#), 1);
        assert_eq!(count(permissions, path, r#"{"permissions": ["storage"]}"#), 1);
        let hosts = good.replace('}', r#", "host_permissions": ["<all_urls>"]}"#);
        assert_eq!(count(permissions, path, &hosts), 1);
        assert_eq!(count(permissions, path, "not json"), 1);
        assert_eq!(count(permissions, "other.json", good), 1, "no manifest at all");
        // Beside the manifest, which is missing here.
        let patch = "extension-x/manifest.patch.json";
        assert_eq!(count(permissions, patch, r#"{"permissions": ["storage"]}"#), 1);
        assert_eq!(count(permissions, patch, r#"{"permissions": ["tabs"]}"#), 2);
        assert_eq!(count(permissions, patch, r#"{"host_permissions": ["<all_urls>"]}"#), 2);
    }

    #[test]
    fn a_lock_that_names_a_registry_is_found() {
        let text = "{\n\"resolved\": \"x\"}";
        assert_eq!(count(package_lock, "tests/browser/package-lock.json", text), 1);
        assert_eq!(count(package_lock, "other.json", text), 0);
    }

    #[test]
    fn dead_links_are_found() {
        let text = "[a](b.md) [up](../c.md#part) [out](https://x.example) [here](#part)\n";
        let all = [("docs/a.md", text), ("docs/b.md", ""), ("c.md", "")];
        assert_eq!(links(&files(&all)), []);
        let found = links(&files(&[("docs/a.md", text), ("no-such.md", "")]));
        assert_eq!(found.len(), 2);
    }
}
