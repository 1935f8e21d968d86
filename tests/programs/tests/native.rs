//! The native builds print what programs.json says, as the modules must.
#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Of this package, wherever the checkout is now.
fn folder() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo or xtask runs this test"))
}

/// Where cargo puts the programs: above the folder of the tests.
fn built() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned()
}

fn programs(language: &str) -> Vec<Value> {
    let list = std::fs::read(folder().join("programs.json")).unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    let of_language = |program: &&Value| program["language"] == language;
    let programs: Vec<Value> =
        list["programs"].as_array().unwrap().iter().filter(of_language).cloned().collect();
    assert!(!programs.is_empty(), "no programs in {language}");
    programs
}

fn check(program: &Value, executable: &Path) {
    let args = program["tiny"]["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap());
    let done = Command::new(executable).args(args).output().unwrap();
    assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(
        String::from_utf8(done.stdout).unwrap(),
        program["tiny"]["stdout"].as_str().unwrap()
    );
}

#[test]
fn programs_in_rust() {
    for program in programs("rust") {
        check(&program, &built().join(program["name"].as_str().unwrap()));
    }
}

#[test]
fn programs_in_c() {
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    for program in programs("c") {
        let name = program["name"].as_str().unwrap();
        let executable = built().join(name);
        let done = Command::new(&compiler)
            .args(["-std=c11", "-O2", "-ffp-contract=off", "-o"])
            .arg(&executable)
            .arg(folder().join("c").join(name).with_extension("c"))
            .output()
            .unwrap_or_else(|error| panic!("no C compiler {compiler:?}: {error}"));
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        check(&program, &executable);
    }
}

#[test]
fn every_source_is_listed() {
    for (language, sources, extension) in [("rust", "src/bin", "rs"), ("c", "c", "c")] {
        let mut names: Vec<String> = std::fs::read_dir(folder().join(sources))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|found| found == extension))
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        let mut listed: Vec<String> = programs(language)
            .iter()
            .map(|program| program["name"].as_str().unwrap().to_owned())
            .collect();
        listed.sort();
        assert_eq!(listed, names, "{language}");
    }
}
