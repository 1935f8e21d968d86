//! `grid run`: one task, here.

use crate::common::{ECHO, ENDLESS, Home, SORRY, TRAP, list};
use std::fs;

#[test]
fn streams_are_the_modules_own() {
    let home = Home::new();
    home.module("echo.wasm", ECHO);
    home.file("input", "line\nno line break");
    let ran = home.grid("run echo.wasm --input input").ok();
    assert_eq!(ran.stdout, "line\nno line break");
    assert!(ran.stderr.contains("exit 0"), "{}", ran.stderr);
    assert_eq!(home.grid("run echo.wasm").ok().stdout, "");
    assert_eq!(home.grid_with("run echo.wasm --input -", b"piped").ok().stdout, "piped");
}

#[test]
fn the_result_is_a_function_of_what_is_given() {
    let home = Home::new();
    home.module("echo.wasm", ECHO);
    home.file("a", vec![b'x'; 200_000]);
    let line = "run echo.wasm --input a --json";
    let one = home.grid(line).ok().json();
    assert_eq!(home.grid(line).ok().json(), one);
    assert_eq!(one["reason"], "exit");
    assert_eq!(one["files"][0]["bytes"], 200_000);
    for more in ["--arg x", "--env A=b", "--fuel 1G", "--memory 1", "--file f=a"] {
        let other = home.grid(&format!("{line} {more}")).ok().json();
        assert_ne!(other["spec"], one["spec"], "{more}");
        assert_eq!(other["output"], one["output"], "{more}");
    }
    let seed = "00".repeat(32);
    assert_ne!(home.grid(&format!("{line} --seed {seed}")).ok().json()["spec"], one["spec"]);
}

#[test]
fn a_task_that_fails_is_exit_code_5() {
    let home = Home::new();
    let check = |module: &str, more: &str, reason: &str, code: u32| {
        home.module("m.wasm", module);
        let ran = home.grid(&format!("run m.wasm --json {more}"));
        assert_eq!((ran.code, ran.stderr.as_str()), (5, ""));
        assert_eq!(
            (&ran.json()["reason"], &ran.json()["exit_code"]),
            (&reason.into(), &code.into())
        );
    };
    check(SORRY, "", "exit", 3);
    check(TRAP, "", "trap", 0);
    check(ENDLESS, "--fuel 2M", "out_of_fuel", 0);
    home.file("input", vec![b'x'; 3000]);
    check(ECHO, "--input input --output-limit 2K", "output_limit", 0);
    home.module("m.wasm", SORRY);
    let ran = home.grid("run m.wasm");
    assert!(ran.stderr.starts_with("sorry\n"), "{}", ran.stderr);
}

#[test]
fn an_output_folder() {
    let home = Home::new();
    home.module("echo.wasm", ECHO);
    home.file("input", "hello");
    let line = "run echo.wasm --input input --out out";
    assert_eq!(home.grid(line).ok().stdout, "");
    assert_eq!(list(&home.path("out")), ["stderr", "stdout"]);
    assert_eq!(fs::read(home.path("out/stdout")).unwrap(), b"hello");
    assert_eq!(home.grid(line).code, 1);
    home.file("input", "other");
    home.grid(&format!("{line} --force")).ok();
    assert_eq!(fs::read(home.path("out/stdout")).unwrap(), b"other");
    // A folder with somebody's files in it is no folder of results.
    home.file("mine/thesis", "years");
    let error = home.grid("run echo.wasm --out mine --force --json").error(1);
    assert!(error["hint"].as_str().unwrap().contains("folder"));
    assert_eq!(list(&home.path("mine")), ["thesis"]);
}

#[test]
fn modules_that_are_refused() {
    let home = Home::new();
    home.file("text.wasm", "hello");
    let error = home.grid("run text.wasm --json").error(4);
    assert_eq!(error["code"], "module_refused");
    let foreign = r#"(module (import "env" "open_socket" (func)) (memory (export "memory") 1)
        (func (export "_start")))"#;
    home.module("foreign.wasm", foreign);
    let error = home.grid("run foreign.wasm --json").error(4);
    assert!(error["message"].as_str().unwrap().contains("open_socket"), "{error}");
    home.module("cut.wasm", ECHO);
    let bytes = fs::read(home.path("cut.wasm")).unwrap();
    home.file("cut.wasm", &bytes[..bytes.len() / 2]);
    home.grid("run cut.wasm --json").error(4);
}

#[test]
fn wrong_use() {
    let home = Home::new();
    home.module("echo.wasm", ECHO);
    for more in [
        "--fuel x",
        "--fuel 0",
        "--fuel 2000T",
        "--memory 2000",
        "--memory 0",
        "--output-limit 1G",
        "--seed 00",
        "--file nothing",
        "--file ../x=echo.wasm",
        "--env =x",
        "--env A=1 --env A=2",
        "--force",
        "--bogus",
    ] {
        let error = home.grid(&format!("run echo.wasm --json {more}")).error(2);
        assert!(!error["message"].as_str().unwrap().is_empty(), "{more}");
    }
    let error = home.grid("run echo.wasm --json --input missing").error(1);
    assert_eq!(error["message"], "can't read missing: no such file or directory");
    home.module("big.wasm", r#"(module (memory (export "memory") 320) (func (export "_start")))"#);
    let error = home.grid("run big.wasm --json --memory 1").error(2);
    assert_eq!(error["hint"], "allow more with --memory 20");
    home.grid("run big.wasm --memory 20").ok();
}

#[test]
fn nobody_reads_the_output() {
    let home = Home::new();
    home.module("echo.wasm", ECHO);
    home.file("input", vec![b'x'; 2_000_000]);
    let mut child = home.command(["run", "echo.wasm", "--input", "input"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "a closed pipe is no news");
}
