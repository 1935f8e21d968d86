//! The program: its commands, where its configuration comes from, its end.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn program(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_grid-relay"));
    command.env_clear().env("GRID_DATA_DIR", dir).current_dir(dir);
    command
}

fn run(dir: &Path, arguments: &[&str]) -> Output {
    program(dir).args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&out(output)).unwrap()
}

/// Stops the program when the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a relay on a free port; gives back what it said when it was ready.
fn serve(command: &mut Command) -> (Running, Value) {
    let child = command.args(["serve", "--listen", "127.0.0.1:0"]);
    let mut child = Running(child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, serde_json::from_str(&line).unwrap())
}

fn get(ready: &Value, path: &str, key: &str) -> String {
    let address = ready["listening"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn stop(mut child: Running, signal: &str) {
    let id = child.0.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    let until = Instant::now() + Duration::from_secs(20);
    let status = loop {
        match child.0.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > until => panic!("it doesn't stop"),
            // tidy-allow(sleep): between two looks, with a bound.
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    assert!(status.success(), "{status}");
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let config = |environment: Option<&str>, flag: Option<&str>| {
        let mut command = program(dir.path());
        if let Some(value) = environment {
            command.env("GRID_HEARTBEAT", value);
        }
        command.arg("config");
        if let Some(value) = flag {
            command.args(["--heartbeat", value]);
        }
        let printed: toml::Table = out(&command.output().unwrap()).parse().unwrap();
        printed["heartbeat"].as_str().unwrap().to_owned()
    };
    assert_eq!(config(None, None), "10s");
    std::fs::write(dir.path().join("grid-relay.toml"), "heartbeat = '9s'\n").unwrap();
    assert_eq!(config(None, None), "9s");
    assert_eq!(config(Some("8s"), None), "8s");
    assert_eq!(config(Some("8s"), Some("7s")), "7s");

    // A named file takes the place of the usual one.
    let other = dir.path().join("other.toml");
    std::fs::write(&other, "grace = '5s'\n").unwrap();
    let named = run(dir.path(), &["config", "--config", other.to_str().unwrap()]);
    let printed: toml::Table = out(&named).parse().unwrap();
    assert_eq!(
        (printed["grace"].as_str(), printed["heartbeat"].as_str()),
        (Some("5s"), Some("10s"))
    );
    // What is printed is a file that means the same.
    std::fs::write(&other, out(&named)).unwrap();
    assert_eq!(
        out(&run(dir.path(), &["config", "--config", other.to_str().unwrap()])),
        out(&named)
    );

    std::fs::write(&other, "hartbeat = '5s'\n").unwrap();
    let bad = run(dir.path(), &["serve", "--config", other.to_str().unwrap()]);
    let error = String::from_utf8_lossy(&bad.stderr);
    assert!(!bad.status.success() && error.contains("hartbeat"), "{error}");
}

#[test]
fn help_explains_each_option() {
    let dir = tempfile::tempdir().unwrap();
    let help = out(&run(dir.path(), &["serve", "--help"]));
    for option in [
        "data-dir",
        "config",
        "listen",
        "origin",
        "log-origin",
        "heartbeat",
        "lease-deadline",
        "grace",
        "join-timeout",
        "ping",
        "silence",
        "max-sockets",
        "max-blob-bytes",
        "ready-file",
        "log",
        "log-format",
    ] {
        let at = help.find(&format!("--{option} ")).unwrap_or_else(|| panic!("no {option}"));
        let end = help[at..].find("\n      --").map_or(help.len(), |end| at + end);
        let text = &help[at..end];
        let environment = format!("GRID_{}", option.replace('-', "_").to_uppercase());
        assert!(text.contains(&format!("[env: {environment}=")), "{text}");
        assert!(text.contains("[default: "), "{text}");
    }
}

#[test]
fn owners_come_and_go_while_the_relay_runs() {
    let dir = tempfile::tempdir().unwrap();
    let ready_file = dir.path().join("ready.json");
    let (relay, ready) = serve(program(dir.path()).env("GRID_READY_FILE", &ready_file));
    assert_eq!(
        serde_json::from_slice::<Value>(&std::fs::read(&ready_file).unwrap()).unwrap(),
        ready
    );

    let added = json(&run(dir.path(), &["owner", "add", "ada", "--budget", "500", "--json"]));
    let key = added["key"].as_str().unwrap();
    assert!(key.starts_with("grid_") && key.len() == 48, "{key}");
    let account = get(&ready, "/v1/account", key);
    assert!(account.ends_with(r#"{"name":"ada","budget":500}"#), "{account}");
    let twice = run(dir.path(), &["owner", "add", "ada"]);
    assert!(String::from_utf8_lossy(&twice.stderr).contains("revoke it first"));
    assert!(!run(dir.path(), &["owner", "add", "a b"]).status.success());
    assert!(!run(dir.path(), &["owner", "revoke", "bob"]).status.success());

    out(&run(dir.path(), &["owner", "revoke", "ada"]));
    assert!(get(&ready, "/v1/account", key).starts_with("HTTP/1.1 401"));
    // A new key, the same owner.
    let key = out(&run(dir.path(), &["owner", "add", "ada", "--budget", "70"]));
    assert!(get(&ready, "/v1/account", key.trim()).ends_with(r#"{"name":"ada","budget":570}"#));
    let list = json(&run(dir.path(), &["owner", "list", "--json"]));
    assert_eq!(list, serde_json::json!([{"name": "ada", "key": true, "budget": 570}]));
    // Keys and grants are five entries, the rules of trust and of rewards two.
    assert_eq!(json(&run(dir.path(), &["check", "--json"]))["entries"], 7);

    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let secret = key.trim().as_bytes();
            let found = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "the key is in {}", path.display());
        }
    }
    stop(relay, "-TERM");
}

#[test]
fn it_stops_on_interrupt_and_keeps_its_key_to_itself() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let (relay, first) = serve(&mut program(dir.path()));
    stop(relay, "-INT");
    for secret in ["relay.key", "log.secret"] {
        let mode = std::fs::metadata(dir.path().join(secret)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    let (relay, second) = serve(&mut program(dir.path()));
    let beside = run(dir.path(), &["serve", "--listen", "127.0.0.1:0"]);
    assert!(String::from_utf8_lossy(&beside.stderr).contains("another relay"));
    assert_eq!(first["relay"], second["relay"]);
    stop(relay, "-TERM");

    // The log keeps its name, whatever port the relay got.
    let renamed = run(dir.path(), &["serve", "--listen", "127.0.0.1:0", "--log-origin", "x/y"]);
    assert!(String::from_utf8_lossy(&renamed.stderr).contains("can't be changed to x/y"));

    std::fs::write(dir.path().join("relay.key"), "not a key").unwrap();
    let broken = run(dir.path(), &["serve", "--listen", "127.0.0.1:0"]);
    assert!(String::from_utf8_lossy(&broken.stderr).contains("relay.key"));
}

#[test]
fn commands_on_nothing_say_so() {
    let dir = tempfile::tempdir().unwrap();
    for command in [["owner", "list"].as_slice(), &["check"], &["owner", "revoke", "x"]] {
        let output = run(dir.path(), command);
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("no relay's database"));
    }
}

#[test]
fn rewards_are_read_again_on_hangup() {
    let dir = tempfile::tempdir().unwrap();
    let (relay, _) = serve(&mut program(dir.path()));
    let rules = || out(&run(dir.path(), &["rewards"]));
    let holds = |line: &str| {
        let end = Instant::now() + Duration::from_secs(60);
        while !rules().lines().any(|found| found == line) {
            assert!(Instant::now() < end, "{line} is not in {}", rules());
            // tidy-allow(sleep): between two looks, with a bound.
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    holds("invitation_ppm = 50000");
    // What is printed is a file that may be edited.
    let text = rules().replace("invitation_ppm = 50000", "invitation_ppm = 70000");
    std::fs::write(dir.path().join("rewards.toml"), text).unwrap();
    let id = relay.0.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    holds("invitation_ppm = 70000");
    // What can't be read changes nothing, while it runs.
    std::fs::write(dir.path().join("rewards.toml"), "invitation_ppm = 'all'").unwrap();
    assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    stop(relay, "-TERM");
    holds("invitation_ppm = 70000");
    let broken = run(dir.path(), &["serve", "--listen", "127.0.0.1:0"]);
    assert!(String::from_utf8_lossy(&broken.stderr).contains("rewards.toml"));
}

#[test]
fn campaigns_and_suspects() {
    let dir = tempfile::tempdir().unwrap();
    let (relay, ready) = serve(&mut program(dir.path()));
    let file = dir.path().join("may.toml");
    let text = "name = 'May'\nstart = 2026-05-01T00:00:00Z\nend = 2199-06-01T00:00:00Z
goal = 5\nbonus_ppm = 500000";
    std::fs::write(&file, text.replace("2199", "2025")).unwrap();
    let late = run(dir.path(), &["campaign", "open", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&late.stderr);
    assert!(said.contains("line 3: end is before start"), "{said}");
    std::fs::write(&file, text).unwrap();
    let id = out(&run(dir.path(), &["campaign", "open", file.to_str().unwrap()]));
    let list = json(&run(dir.path(), &["campaign", "list", "--json"]));
    assert_eq!((&list[0]["name"], &list[0]["goal"]), (&"May".into(), &5.into()));
    assert!(get(&ready, &format!("/v1/campaigns/{}", id.trim()), "").contains("\"May\""));
    out(&run(dir.path(), &["campaign", "close", id.trim()]));
    out(&run(dir.path(), &["campaign", "close", id.trim()]));
    let unknown = run(dir.path(), &["campaign", "close", &"0".repeat(32)]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("no campaign"));
    let missing = run(dir.path(), &["campaign", "open", "none.toml"]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("none.toml"));
    assert_eq!(json(&run(dir.path(), &["suspects", "--json"])), serde_json::json!([]));
    stop(relay, "-TERM");
    out(&run(dir.path(), &["check"]));
}
