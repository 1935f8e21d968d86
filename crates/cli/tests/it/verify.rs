//! `grid verify`: a receipt, the output beside it, and running it again.

use crate::common::signed::relay;
use crate::common::{self, ECHO, Home, Ran, signed};
use grid_client::{ReceiptFile, new_job};
use grid_protocol::{Digest, Files, JobId, SigningKey, Spec};
use serde_json::Value;
use std::fs;

/// A result that was computed, signed and acknowledged as it should be, with
/// what a dishonest node would change.
struct Kept {
    home: Home,
    spec: Spec,
    output: Files,
    fuel: u64,
}

impl Kept {
    /// `echo.wasm` with "hello" as its input; written to `task/`.
    fn new() -> Self {
        let home = Home::new();
        let source = fs::read(home.module("echo.wasm", ECHO)).unwrap();
        home.file("input", "hello");
        let admitted = grid_sandbox::admit(&source).unwrap().bytes;
        let input = Files::stdin(b"hello".to_vec());
        let spec = new_job(Digest::of(&source)).spec(
            Digest::of(&admitted),
            grid_sandbox::ADMISSION,
            input.digest(),
        );
        let ran = home.grid("run echo.wasm --input input --json").ok().json();
        assert_eq!(ran["spec"], spec.digest().to_string());
        let output = signed::stdout("hello");
        assert_eq!(ran["output"], output.digest().to_string());
        let kept = Self { home, spec, output, fuel: ran["fuel"].as_u64().unwrap() };
        kept.write();
        kept
    }

    /// Signs what is here and writes it.
    fn write(&self) {
        let result = signed::result("input", &self.spec, &self.output, self.fuel);
        let file = ReceiptFile::new(relay().public(), JobId([7; 16]), &result);
        self.home.file("task/receipt.json", file.encode());
        for (path, bytes) in self.output.iter() {
            self.home.file(&format!("task/{}", path.trim_start_matches('/')), bytes);
        }
    }

    fn verify(&self, more: &str) -> Ran {
        self.home.grid(&format!("verify task/receipt.json {more}"))
    }

    /// Changes the receipt file's JSON.
    fn change(&self, change: impl FnOnce(&mut Value)) {
        let path = self.home.path("task/receipt.json");
        let mut json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut json);
        fs::write(path, json.to_string()).unwrap();
    }

    /// The checks that fail.
    #[track_caller]
    fn failed(&self, more: &str) -> Vec<String> {
        let ran = self.verify(&format!("--json {more}"));
        let json = ran.json();
        let checks = json["checks"].as_array().unwrap().iter();
        let failed: Vec<_> = checks.filter(|check| check["ok"] == false).collect();
        assert_eq!(json["verified"], failed.is_empty());
        assert_eq!(ran.code, if failed.is_empty() { 0 } else { 6 });
        failed.iter().map(|check| check["check"].as_str().unwrap().to_owned()).collect()
    }
}

/// Everything there is to give.
fn all() -> String {
    format!("--module echo.wasm --input input --relay-key {}", relay().public())
}

#[test]
fn everything_right() {
    let kept = Kept::new();
    assert_eq!(kept.failed(&all()), [""; 0]);
    let json = kept.verify(&format!("--json {}", all())).ok().json();
    let marks: Vec<_> = json["checks"].as_array().unwrap().iter().map(|c| &c["ok"]).collect();
    assert!(marks.iter().all(|ok| **ok == true), "nothing is skipped: {json}");
    let text = kept.verify(&all()).ok().stdout;
    assert!(text.ends_with("Verified: this machine computes the same result.\n"), "{text}");
    // Without the rest, the signatures are checked and the rest says why not.
    let text = kept.verify("").ok().stdout;
    assert!(text.contains("– module") && text.contains("--module"), "{text}");
    assert_eq!(kept.failed("--input input"), [""; 0]);
    assert_eq!(kept.failed("--module echo.wasm"), [""; 0]);
}

#[test]
fn a_receipt_that_was_changed() {
    let other = "11".repeat(32);
    let check = |change: &dyn Fn(&mut Value), expect: &[&str]| {
        let kept = Kept::new();
        kept.change(|json| change(json));
        assert_eq!(kept.failed(&all()), expect);
        let text = kept.verify(&all());
        assert!(text.stdout.contains("NOT VERIFIED"), "{}", text.stdout);
    };
    let signed = ["signature", "acknowledgement", "rerun"];
    check(&|json| json["result"]["receipt"]["body"]["fuel"] = 1.into(), &signed);
    check(&|json| json["result"]["receipt"]["body"]["exit_code"] = 1.into(), &signed);
    check(
        &|json| json["result"]["receipt"]["body"]["output"] = other.clone().into(),
        &["signature", "output", "acknowledgement", "rerun"],
    );
    check(&|json| json["result"]["spec"]["memory_pages"] = 7.into(), &["spec"]);
    check(&|json| json["result"]["spec"]["module"] = other.clone().into(), &["spec", "module"]);
    check(&|json| json["result"]["ack"]["seq"] = 1.into(), &["acknowledgement"]);
    check(&|json| json["relay"] = other.clone().into(), &["relay"]);
}

#[test]
fn an_output_that_was_changed() {
    let kept = Kept::new();
    kept.home.file("task/stdout", "hallo");
    assert_eq!(kept.failed(""), ["output"]);
    kept.home.file("task/stdout", "hello");
    assert_eq!(kept.failed(""), [""; 0]);
    kept.home.file("task/out/more", "");
    assert_eq!(kept.failed(""), ["output"]);
    fs::remove_dir_all(kept.home.path("task/out")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", kept.home.path("task/stderr")).unwrap();
    assert_eq!(kept.failed(""), ["output"]);
    // A receipt alone can be checked, and says what was not.
    for name in ["stdout", "stderr"] {
        fs::remove_file(kept.home.path("task").join(name)).unwrap();
    }
    let text = kept.verify("").ok().stdout;
    assert!(text.contains("there is no stdout"), "{text}");
}

#[test]
fn a_node_that_lied_is_caught_by_running_it_again() {
    let mut kept = Kept::new();
    kept.fuel += 1;
    kept.write();
    assert_eq!(kept.failed(""), [""; 0], "node and relay signed it");
    assert_eq!(kept.failed(&all()), ["rerun"]);
    kept.fuel -= 1;
    kept.output.insert("stdout", b"hallo".to_vec()).unwrap();
    kept.write();
    assert_eq!(kept.failed(""), [""; 0]);
    assert_eq!(kept.failed(&all()), ["rerun"]);
}

#[test]
fn a_relay_that_ran_another_module_is_caught_by_admitting_it_again() {
    let mut kept = Kept::new();
    kept.spec.module = Digest::of(b"another");
    kept.write();
    assert_eq!(kept.failed(""), [""; 0]);
    assert_eq!(kept.failed("--module echo.wasm"), ["module"]);
}

#[test]
fn other_files_than_those_of_the_task() {
    let kept = Kept::new();
    kept.home.module("trap.wasm", common::TRAP);
    assert_eq!(kept.failed("--module trap.wasm --input input"), ["module"]);
    kept.home.file("wrong", "hallo");
    assert_eq!(kept.failed("--module echo.wasm --input wrong"), ["input"]);
    assert_eq!(kept.failed("--input input --file a=input"), ["input"]);
    let text = kept.verify("--module echo.wasm --input wrong").stdout;
    assert!(text.contains("not run"), "{text}");
    kept.home.file("text.wasm", "text");
    assert_eq!(kept.failed("--module text.wasm"), ["module"]);
}

#[test]
fn another_relay() {
    let kept = Kept::new();
    let other = SigningKey::from_seed([9; 32]).public();
    assert_eq!(kept.failed(&format!("--relay-key {other}")), ["relay", "acknowledgement"]);
    // The key noted at login counts where none is given.
    kept.home.file(".config/grid/config.toml", format!("relay_key = \"{other}\""));
    assert_eq!(kept.failed(""), ["relay", "acknowledgement"]);
    assert_eq!(kept.failed(&all()), [""; 0]);
    let key = relay().public();
    kept.home.file(".config/grid/config.toml", format!("relay_key = \"{key}\""));
    assert!(kept.verify("").ok().stdout.contains("✓ relay"));
}

#[test]
fn what_is_no_receipt() {
    let home = Home::new();
    home.file("text", "hello");
    home.file("json", "{}");
    home.file("old", r#"{"format":"grid-receipt","version":9}"#);
    for name in ["text", "json", "old"] {
        let error = home.grid(&format!("verify {name} --json")).error(1);
        assert_eq!(error["code"], "not_a_receipt");
    }
    assert_eq!(home.grid("verify missing --json").error(1)["code"], "file");
    home.grid("verify text --relay-key 00 --json").error(2);
}
