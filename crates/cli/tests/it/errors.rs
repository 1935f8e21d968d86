//! What goes wrong between the command and a relay: exit codes, messages that
//! say what to do, and where the owner key goes.

use crate::common::fake::{FakeRelay, error};
use crate::common::{ECHO, Home};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

const JOB: &str = "07070707070707070707070707070707";
const KEY: &str = "1111111111111111111111111111111111111111111111111111111111111111";

/// A home whose owner logged in to `relay`.
fn logged_in(relay: &FakeRelay) -> Home {
    let home = Home::new();
    home.grid_with(&format!("login --relay {}", relay.url), b"s3cret\n").ok();
    home
}

#[test]
fn nobody_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let home = Home::new();
    home.file("key", "k");
    for command in ["account", "status", "results 07", "cancel 07", "login"] {
        let line = format!("{command} --relay {url} --key-file key");
        let error = home.grid(&format!("{line} --json")).error(3);
        assert_eq!(error["code"], "unreachable");
        assert_eq!(error["message"], format!("no relay answers at {url}: connection refused"));
        let text = home.grid(&line).stderr;
        assert!(text.contains("Start one with `grid-relay`"), "{text}");
    }
}

#[test]
fn no_key() {
    let home = Home::new();
    let error = home.grid("account --json").error(4);
    assert_eq!(error["code"], "no_key");
    assert!(error["message"].as_str().unwrap().contains("http://127.0.0.1:8090"));
    assert!(error["hint"].as_str().unwrap().contains("grid login"));
    home.file("key", "two words");
    assert_eq!(home.grid("account --json --key-file key").error(2)["code"], "bad_key");
    home.grid("account --json --key-file missing").error(1);
    home.file("key", "k");
    assert_eq!(
        home.grid("account --json --key-file key --relay x").error(2)["code"],
        "bad_address"
    );
}

#[test]
fn what_a_relay_refuses() {
    let cases = [
        (401, 4, Some("grid login")),
        (402, 4, Some("grid account")),
        (403, 4, Some("operator")),
        (404, 4, Some("grid status")),
        (422, 4, None),
        (429, 3, Some("wait")),
        (503, 3, None),
    ];
    for (status, exit, hint) in cases {
        let relay = FakeRelay::start(move |_| error(status, "the_code"));
        let home = Home::new();
        home.file("key", "k");
        let line = format!("account --json --key-file key --relay {}", relay.url);
        let error = home.grid(&line).error(exit);
        assert_eq!(
            (&error["code"], &error["message"]),
            (&"the_code".into(), &"because of that".into())
        );
        if let Some(hint) = hint {
            assert!(error["hint"].as_str().unwrap().contains(hint), "{status}: {error}");
        }
    }
}

#[test]
fn what_is_no_relay() {
    for (status, body) in [(200, "<html>"), (404, "<html>"), (200, ""), (302, "")] {
        let relay = FakeRelay::start(move |_| (status, body.to_owned()));
        let home = Home::new();
        home.file("key", "k");
        let line = format!("account --json --key-file key --relay {}", relay.url);
        assert_eq!(home.grid(&line).error(1)["code"], "bad_answer");
    }
}

#[test]
fn a_refusal_can_not_steer_the_terminal() {
    let body = r#"{"error":{"code":"c","message":"\u001b[2Jgone"}}"#;
    let relay = FakeRelay::start(move |_| (400, body.to_owned()));
    let home = Home::new();
    home.file("key", "k");
    let text = home.grid(&format!("account --key-file key --relay {}", relay.url)).stderr;
    assert_eq!(text, "error: [2Jgone\n");
}

#[test]
fn login_stores_the_key_for_its_owner_only() {
    let relay = FakeRelay::with_key(KEY);
    let home = logged_in(&relay);
    let config = fs::read_to_string(home.config()).unwrap();
    assert!(config.contains("s3cret") && config.contains(KEY) && config.contains(&relay.url));
    assert_eq!(fs::metadata(home.config()).unwrap().permissions().mode() & 0o777, 0o600);
    let text = home.grid("account").ok().stdout;
    assert!(text.contains("me") && text.contains("5.0 M fuel"), "{text}");
    assert_eq!(home.grid("status --json").ok().json()["jobs"], serde_json::json!([]));
    let shown = home.grid("account --json").ok();
    assert!(!shown.stdout.contains("s3cret") && !shown.stderr.contains("s3cret"));
    assert!(relay.heads().last().unwrap().contains("authorization: bearer s3cret"));
}

#[test]
fn login_asks_for_a_key_that_works() {
    let relay = FakeRelay::start(|request| match request {
        "GET /v1/network" => error(404, "none"),
        _ => error(401, "unauthorized"),
    });
    let home = Home::new();
    home.grid_with(&format!("login --json --relay {}", relay.url), b"s3cret").error(4);
    let relay = FakeRelay::with_key(KEY);
    home.grid_with(&format!("login --json --relay {}", relay.url), b" \n").error(2);
    assert!(!home.config().exists());
}

#[test]
fn the_stored_key_goes_to_its_relay_only() {
    let relay = FakeRelay::with_key(KEY);
    let home = logged_in(&relay);
    let other = FakeRelay::with_key(KEY);
    let line = format!("account --json --relay {}", other.url);
    assert_eq!(home.grid(&line).error(4)["code"], "no_key");
    assert!(other.heads().is_empty());
    home.file("key", "another");
    home.grid(&format!("{line} --key-file key")).ok();
    assert!(!other.heads().concat().contains("s3cret"));
    // The same relay by its name with a slash.
    home.grid(&format!("account --relay {}/", relay.url)).ok();
}

#[test]
fn the_environment_comes_between_flags_and_the_file() {
    let relay = FakeRelay::with_key(KEY);
    let home = logged_in(&relay);
    let other = FakeRelay::with_key(KEY);
    let with = |args: &[&str]| {
        let mut command = home.command(args);
        command.env("GRID_RELAY", &other.url).env("GRID_KEY", "from-env");
        assert!(command.output().unwrap().status.success());
    };
    with(&["account"]);
    assert!(other.heads().last().unwrap().contains("bearer from-env"));
    home.file("key", "from-file");
    with(&["account", "--relay", &relay.url, "--key-file", "key"]);
    assert!(relay.heads().last().unwrap().contains("bearer from-file"));
}

#[test]
fn a_relay_that_is_another_one_now() {
    let relay = FakeRelay::with_key(KEY);
    let home = logged_in(&relay);
    let config = fs::read_to_string(home.config()).unwrap();
    fs::write(home.config(), config.replace(KEY, &"22".repeat(32))).unwrap();
    home.module("echo.wasm", ECHO);
    let error = home.grid("submit echo.wasm --input echo.wasm --json").error(6);
    assert_eq!(error["code"], "relay_changed");
    assert!(relay.heads().iter().all(|head| !head.contains("/v1/modules")), "nothing was sent");
}

#[test]
fn a_config_that_is_broken_shows_no_key() {
    let home = Home::new();
    home.file(".config/grid/config.toml", "key = \"s3cret\"\nrelay = 5\n");
    let ran = home.grid("account --json");
    assert_eq!(ran.error(1)["code"], "bad_config");
    assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
}

#[test]
fn submissions_that_are_wrong_are_not_sent() {
    let relay = FakeRelay::with_key(KEY);
    let home = logged_in(&relay);
    let before = relay.heads().len();
    home.module("echo.wasm", ECHO);
    home.file("text", "text");
    fs::create_dir(home.path("empty")).unwrap();
    home.file("full/thesis", "years");
    for (more, exit) in [
        ("echo.wasm", 2),
        ("echo.wasm --input missing", 1),
        ("echo.wasm --input empty", 2),
        ("text --input text", 4),
        ("echo.wasm --input text --budget x", 2),
        ("echo.wasm --input text --out full", 1),
        ("echo.wasm --input text --force", 2),
        ("missing --input text", 1),
    ] {
        home.grid(&format!("submit --json {more}")).error(exit);
    }
    assert_eq!(relay.heads().len(), before);
}

#[test]
fn job_ids() {
    let relay = FakeRelay::with_key(KEY);
    let home = logged_in(&relay);
    home.grid("status --json xyz").error(2);
    home.grid("cancel --json 07").error(4);
    assert_eq!(home.grid(&format!("status --json {JOB}")).error(4)["code"], "not_found");
}
