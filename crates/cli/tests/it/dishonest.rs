//! A relay that lies: what it gives is not taken, and the exit code is 6.

use crate::common::fake::{FakeRelay, error};
use crate::common::signed::{relay, result, stdout};
use crate::common::{ECHO, Home, Ran, list};
use grid_client::new_job;
use grid_protocol::api::{ModuleInfo, TaskResult};
use grid_protocol::{Digest, Files, Spec};
use serde_json::json;
use std::fs;

const JOB: &str = "07070707070707070707070707070707";
const FUEL: u64 = 5000;

/// What is true: `echo.wasm` on "hello".
fn module() -> (Vec<u8>, Vec<u8>) {
    let source = wat::parse_str(ECHO).unwrap();
    let admitted = grid_sandbox::admit(&source).unwrap().bytes;
    (source, admitted)
}

fn spec() -> Spec {
    let (source, admitted) = module();
    let input = Files::stdin(b"hello".to_vec()).digest();
    new_job(Digest::of(&source)).spec(Digest::of(&admitted), grid_sandbox::ADMISSION, input)
}

/// A relay that says this of module and results, and a home logged in to it.
fn lying(admitted: Digest, results: Vec<TaskResult>) -> (FakeRelay, Home) {
    let source = spec().source;
    let job = json!({
        "id": JOB, "name": "job", "state": "done", "module": source, "created_ms": 0, "tasks": 1,
        "done": 1, "failed": 0, "provisional": 0, "leased": 0, "error_ppb": 100_000, "budget": 1, "spent": 1,
    });
    let name = results.first().map_or("input", |result| &result.name);
    let tasks = json!([{ "index": 0, "name": name, "input": spec().input, "state": "done" }]);
    let info = ModuleInfo {
        source,
        admitted,
        admission: grid_sandbox::ADMISSION,
        source_bytes: 1,
        admitted_bytes: 1,
        memory_pages: 2,
    };
    let lines = results.iter().map(|result| serde_json::to_string(result).unwrap() + "\n");
    let lines: String = lines.collect();
    let network = json!({
        "relay": relay().public(), "version": "0", "protocol": [1], "nodes": [],
        "nodes_online": 0, "tasks_waiting": 0, "tasks_leased": 0, "tasks_done": 0, "fuel": 0,
        "receipts": [],
    });
    let relay = FakeRelay::start(move |request| {
        let path = request.split(' ').nth(1).unwrap();
        match path.split('?').next().unwrap().trim_start_matches("/v1/") {
            "network" => (200, network.to_string()),
            "account" => (200, json!({ "name": "me", "budget": 1 }).to_string()),
            "modules" => (200, serde_json::to_string(&info).unwrap()),
            path if path.ends_with("/results") => (200, lines.clone()),
            path if path.ends_with("/tasks") => (200, tasks.to_string()),
            path if path.starts_with("jobs") => (200, job.to_string()),
            _ => error(404, "not_found"),
        }
    });
    let home = Home::new();
    home.file("echo.wasm", module().0);
    home.file("input", "hello");
    home.grid_with(&format!("login --relay {}", relay.url), b"key").ok();
    (relay, home)
}

/// Runs `line` against a relay with these results; a result that fails a
/// check is not written.
#[track_caller]
fn check(line: &str, results: Vec<TaskResult>, failed: Option<&str>) -> Ran {
    let (_relay, home) = lying(spec().module, results);
    let ran = home.grid(&format!("{line} --out out --json"));
    let lines = ran.lines();
    let given = lines.iter().find(|line| line["type"] == "result").unwrap();
    let checks = given["checks"].as_array().unwrap().iter();
    let first = checks.clone().find(|check| check["ok"] == false);
    assert_eq!(first.map(|check| check["check"].as_str().unwrap()), failed);
    assert_eq!(given["verified"], failed.is_none());
    assert_eq!(ran.code, if failed.is_some() { 6 } else { 0 }, "{ran:?}");
    let written = list(&home.path("out")).contains(&"input".to_owned());
    assert_eq!(written, failed.is_none());
    ran
}

const SUBMIT: &str = "submit echo.wasm --input input";

fn results() -> String {
    format!("results {JOB}")
}

#[test]
fn the_truth_is_taken() {
    let good = result("input", &spec(), &stdout("hello"), FUEL);
    check(SUBMIT, vec![good.clone()], None);
    check(&results(), vec![good], None);
}

#[test]
fn another_output_than_the_one_signed() {
    let mut bad = result("input", &spec(), &stdout("hello"), FUEL);
    bad.output = result("input", &spec(), &stdout("hallo"), FUEL).output;
    check(SUBMIT, vec![bad.clone()], Some("output"));
    check(&results(), vec![bad], Some("output"));
}

#[test]
fn a_receipt_that_nobody_signed() {
    let mut bad = result("input", &spec(), &stdout("hello"), FUEL);
    bad.receipt.body.fuel += 1;
    check(SUBMIT, vec![bad.clone()], Some("signature"));
    check(&results(), vec![bad], Some("signature"));
}

#[test]
fn another_task_than_the_one_submitted() {
    for change in [
        |spec: &mut Spec| spec.args.push("--cheaper".into()),
        |spec: &mut Spec| spec.module = Digest::of(b"another"),
        |spec: &mut Spec| spec.input = Digest::of(b"another"),
        |spec: &mut Spec| spec.fuel = 1_000_000,
    ] {
        let mut other = spec();
        change(&mut other);
        let bad = result("input", &other, &stdout("hello"), FUEL);
        check(SUBMIT, vec![bad], Some("request"));
    }
}

#[test]
fn a_result_of_no_task() {
    let mut bad = result("input", &spec(), &stdout("hello"), FUEL);
    bad.index = 1;
    let (_relay, home) = lying(spec().module, vec![bad]);
    let ran = home.grid(&format!("{} --json", results()));
    assert_eq!((ran.code, ran.stdout.as_str()), (6, ""));
}

#[test]
fn results_that_are_missing() {
    let (_relay, home) = lying(spec().module, vec![]);
    let ran = home.grid(&format!("{} --json", results()));
    assert_eq!((ran.code, &ran.json()["missing"]), (1, &1.into()));
}

#[test]
fn another_module_than_the_one_submitted() {
    let (relay, home) = lying(Digest::of(b"another"), vec![]);
    assert_eq!(home.grid(&format!("{SUBMIT} --json")).error(6)["code"], "wrong_module");
    let jobs = relay.heads().iter().filter(|head| head.starts_with("post /v1/jobs")).count();
    assert_eq!(jobs, 0, "no job was submitted");
}

#[test]
fn a_name_that_leads_out_of_the_folder() {
    let bad = result("../../input", &spec(), &stdout("hello"), FUEL);
    let (_relay, home) = lying(spec().module, vec![bad]);
    home.grid(&format!("{} --out out", results())).ok();
    assert_eq!(list(&home.path("out")), [".grid-results.json", "_._.._input"]);
    assert_eq!(fs::read(home.path("input")).unwrap(), b"hello");
}
