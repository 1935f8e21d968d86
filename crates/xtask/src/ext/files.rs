//! Files of packages, by their paths in them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Files by path, with `/` between folders.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// All files of a folder but documents.
pub(super) fn read(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    read_into(folder, "", &mut files)?;
    Ok(files)
}

fn read_into(folder: &Path, prefix: &str, files: &mut Files) -> Result<()> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("can't read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            read_into(&entry.path(), &format!("{path}/"), files)?;
        } else if !name.ends_with(".md") {
            files.insert(path, std::fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// Writes them into a folder.
pub(super) fn write(files: &Files, folder: &Path) -> Result<()> {
    files.iter().try_for_each(|(path, contents)| write_file(&folder.join(path), contents))
}

pub(super) fn write_file(path: &Path, contents: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, contents).with_context(|| format!("can't write {}", path.display()))
}

/// Two sets of files that have none in common.
pub(super) fn join(mut files: Files, others: Files) -> Result<Files> {
    for (path, contents) in others {
        if files.insert(path.clone(), contents).is_some() {
            bail!("two files want to be {path} in the extension");
        }
    }
    Ok(files)
}

/// What an overlay's manifest is called: it only says what differs.
const PATCH: &str = "manifest.patch.json";
const MANIFEST: &str = "manifest.json";

/// Lays an overlay over the files: other ones take their places, and the
/// manifest is patched.
pub(super) fn overlay(files: &mut Files, mut overlay: Files) -> Result<()> {
    if let Some(patch) = overlay.remove(PATCH) {
        let mut manifest = manifest(files)?;
        let patch = serde_json::from_slice(&patch).context("an overlay's patch is no JSON")?;
        merge(&mut manifest, patch);
        let text = serde_json::to_string_pretty(&manifest)?;
        files.insert(MANIFEST.to_owned(), format!("{text}\n").into_bytes());
    }
    files.extend(overlay);
    Ok(())
}

pub(super) fn manifest(files: &Files) -> Result<Value> {
    let bytes = files.get(MANIFEST).context("a package has no manifest.json")?;
    serde_json::from_slice(bytes).context("manifest.json is no JSON")
}

/// RFC 7396, JSON Merge Patch: objects are merged, null removes, anything else
/// takes the place of what was.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(fields) = target else { return };
    for (name, value) in patch {
        match value {
            Value::Null => drop(fields.remove(&name)),
            value => merge(fields.entry(name).or_insert(Value::Null), value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases of RFC 7396, appendix A.
    #[test]
    fn merge_patch() {
        for (target, patch, expect) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"a":"foo"}"#, "null", "null"),
            (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
            (r#"[1,2]"#, r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            (r#"{}"#, r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            let mut value = serde_json::from_str(target).unwrap();
            merge(&mut value, serde_json::from_str(patch).unwrap());
            assert_eq!(value.to_string(), expect, "{target} {patch}");
        }
    }

    #[test]
    fn an_overlay_replaces_files_and_patches_the_manifest() {
        let files = |list: &[(&str, &str)]| -> Files {
            list.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
        };
        let mut package = files(&[("a.js", "1"), ("b.js", "1"), (MANIFEST, r#"{"x": 1, "y": 2}"#)]);
        overlay(&mut package, files(&[("b.js", "2"), (PATCH, r#"{"y": null}"#)])).unwrap();
        assert_eq!(package["a.js"], b"1");
        assert_eq!(package["b.js"], b"2");
        assert_eq!(manifest(&package).unwrap(), serde_json::json!({"x": 1}));
        assert!(!package.contains_key(PATCH));
    }

    #[test]
    fn no_file_is_lost_to_another_of_its_name() {
        let one = Files::from([("a.js".to_owned(), vec![])]);
        assert!(join(one.clone(), one).is_err());
    }
}
