//! `grid account`: the phrase that is kept here, and the account at a relay.

use crate::common::Home;
use grid_relay::{Config, Relay, RelayHandle};
use serde_json::Value;

const PHRASE: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon \
                      abandon abandon about";

struct Network {
    relay: RelayHandle,
    home: Home,
    runtime: tokio::runtime::Runtime,
    _data: tempfile::TempDir,
}

impl Network {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let relay = runtime.block_on(Relay::start(Config::for_test(data.path()))).unwrap();
        Self { relay, home: Home::new(), runtime, _data: data }
    }

    /// What a command prints as JSON, one object a line.
    fn says(&self, command: &str) -> Value {
        let ran = self.home.grid(&self.line(command));
        assert_eq!(ran.code, 0, "{command}: {}", ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// Exit code and error's code.
    fn fails(&self, command: &str) -> (i32, String) {
        let ran = self.home.grid(&self.line(command));
        let error: Value = serde_json::from_str(&ran.stderr).unwrap();
        (ran.code, error["error"]["code"].as_str().unwrap_or_default().to_owned())
    }

    fn line(&self, command: &str) -> String {
        format!("account {command} --relay {} --json", self.relay.origin())
    }

    fn end(self) {
        self.runtime.block_on(self.relay.shutdown());
    }
}

#[test]
fn from_a_phrase_to_a_team_and_away() {
    let network = Network::start();
    let Network { home, .. } = &network;
    assert_eq!(network.fails("show"), (1, "no_account".into()));
    let ran = home.grid_with(&network.line("restore"), PHRASE.to_uppercase().as_bytes());
    let restored: Value = serde_json::from_str(&ran.ok().stdout).unwrap();
    // The first account of Solana's wallets, by this phrase.
    let key = "f036276246a75b9de3349ed42b15e232f6518fc20f5fcd4f1d64e81f9bd258f7";
    assert_eq!(restored["account"], key);
    assert_eq!(home.grid("account phrase").stdout.trim(), PHRASE);
    assert_eq!(network.fails("new"), (1, "account_exists".into()));
    assert_eq!(network.says("show")["person"]["key"], key);
    assert_eq!(network.says("name Ada")["person"]["name"], "Ada");
    assert_eq!(network.says("team make Pandas")["team"]["members"], 1);
    assert_eq!(network.fails("team make Pandas").0, 4);
    assert_eq!(network.fails("team join Whales").0, 4);
    assert_eq!(network.says("show")["person"]["team"]["name"], "Pandas");
    assert_eq!(network.says("team leave Pandas")["team"]["members"], 0);
    let made = network.says("invite --uses 7")["invitation"].clone();
    assert_eq!((&made["kind"], &made["uses"]), (&"friend".into(), &7.into()));
    let site = network.says("invite --site Blog --origin https://blog.example");
    assert_eq!(site["invitation"]["origins"][0], "https://blog.example");
    assert_eq!(network.fails("invite --site Blog"), (2, "usage".into()));
    let words = home.grid(&format!("account invitations --relay {}", network.relay.origin()));
    assert!(words.stdout.contains(made["code"].as_str().unwrap()), "{words:?}");
    let export = home.grid(&format!("account export --relay {}", network.relay.origin()));
    let export: Value = serde_json::from_str(&export.stdout).unwrap();
    assert_eq!(export["invitations"].as_array().unwrap().len(), 2);
    assert_eq!(network.fails("delete"), (2, "usage".into()), "it asks to be sure");
    let ran = home.grid(&network.line("delete --yes"));
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    assert_eq!(network.says("show")["person"]["closed"], true);
    assert_eq!(network.fails("invite").0, 4);
    network.end();
}

#[test]
fn a_new_account_is_kept_from_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    let made: Value = serde_json::from_str(&home.grid("account new --long --json").stdout).unwrap();
    let phrase = made["phrase"].as_str().unwrap();
    assert_eq!(phrase.split(' ').count(), 24);
    let path = walk(&home.path(""), "account").expect("the phrase is in a file");
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(home.grid("account phrase").stdout.trim(), phrase);
    let other = Home::new();
    let again = other.grid_with("account restore --json", phrase.as_bytes());
    let again: Value = serde_json::from_str(&again.ok().stdout).unwrap();
    assert_eq!(again["account"], made["account"]);
    for wrong in ["", "abandon", &PHRASE.replace("about", "abandon"), &PHRASE.replace("about", "x")]
    {
        let home = Home::new();
        let ran = home.grid_with("account restore --json", wrong.as_bytes());
        assert_eq!(ran.code, 1, "{wrong}");
        assert!(ran.stderr.contains("phrase-"), "{}", ran.stderr);
    }
}

/// The file of this name below a folder.
fn walk(folder: &std::path::Path, name: &str) -> Option<std::path::PathBuf> {
    std::fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, name)
        } else {
            path.file_name().is_some_and(|found| found == name).then_some(path)
        }
    })
}
