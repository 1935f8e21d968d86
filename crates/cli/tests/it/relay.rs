//! The command against a real relay with real nodes, from login to verified
//! outputs.

use crate::common::{ECHO, ENDLESS, Home, Ran, SORRY, list};
use grid_node::RunReport;
use grid_relay::{Config, Relay, RelayHandle, TrustConfig};
use grid_testing::{Executor, Swarm, SwarmConfig, echo};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

const BUDGET: u64 = 10_000_000_000_000;

/// A relay, and an owner who logged in to it.
struct Network {
    relay: RelayHandle,
    home: Home,
    _data: tempfile::TempDir,
}

impl Network {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut config = Config::for_test(data.path());
        change(&mut config);
        let relay = Relay::start(config).await.unwrap();
        let key = relay.add_owner("me", BUDGET).await.unwrap();
        let network = Self { relay, home: Home::new(), _data: data };
        let line = format!("login --relay {}", network.relay.origin());
        let ran = tokio::task::block_in_place(|| network.home.grid_with(&line, key.as_bytes()));
        assert!(ran.ok().stdout.contains("10.0 T fuel"));
        network
    }

    /// Nodes that run modules in wasmtime.
    async fn nodes(&self) -> Swarm {
        self.nodes_with(Executor::wasm().unwrap()).await
    }

    async fn nodes_with(&self, executor: Executor) -> Swarm {
        let config = SwarmConfig {
            relay: self.relay.origin().to_owned(),
            nodes: 2,
            slots: 2,
            executor,
            seed: 7,
            keep_acks: false,
            from: None,
        };
        Swarm::start(config, Duration::from_secs(20)).await.unwrap()
    }

    fn grid(&self, line: &str) -> Ran {
        tokio::task::block_in_place(|| self.home.grid(line))
    }

    fn texts(&self) -> PathBuf {
        for (name, text) in [("a.txt", "first"), ("b.txt", "second"), ("empty.txt", "")] {
            self.home.file(&format!("texts/{name}"), text);
        }
        // Over what travels inside a lease: input and output are blobs.
        self.home.file("texts/large.txt", "0123456789".repeat(20_000));
        self.home.module("echo.wasm", ECHO)
    }
}

fn id(ran: &Ran) -> String {
    ran.lines()[0]["job"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn from_a_folder_to_verified_outputs() {
    let network = Network::start().await;
    let _nodes = network.nodes().await;
    network.texts();
    let line = "submit echo.wasm --input texts --out results --name first";
    let ran = network.grid(line).ok();
    assert!(ran.stderr.contains("can read the module, arguments and inputs"), "{}", ran.stderr);
    assert!(ran.stdout.contains("4 of 4 results, 0 failed"), "{}", ran.stdout);
    let home = &network.home;
    let names = ["a.txt", "b.txt", "empty.txt", "large.txt"];
    assert_eq!(list(&home.path("results"))[1..], names);
    for name in names {
        let input = fs::read(home.path(&format!("texts/{name}"))).unwrap();
        assert_eq!(fs::read(home.path(&format!("results/{name}/stdout"))).unwrap(), input);
        let verify = format!("verify results/{name}/receipt.json --json");
        let more = format!("{verify} --module echo.wasm --input texts/{name}");
        let json = network.grid(&more).ok().json();
        let checks = json["checks"].as_array().unwrap();
        assert!(checks.iter().all(|check| check["ok"] == true), "{json}");
        // What a node computed is what this machine computes.
        let here = network.grid(&format!("run echo.wasm --input texts/{name} --json")).ok().json();
        let receipt = fs::read(home.path(&format!("results/{name}/receipt.json"))).unwrap();
        let receipt: Value = serde_json::from_slice(&receipt).unwrap();
        let body = &receipt["result"]["receipt"]["body"];
        for field in ["fuel", "spec", "input", "output", "reason", "exit_code"] {
            assert_eq!(body[field], here[field], "{name}: {field}");
        }
    }
    // The folder is that job's; the same job may go on in it, another may not.
    assert_eq!(network.grid(&format!("{line} --json")).error(1)["code"], "folder_in_use");
    let jobs = network.grid("status --json").ok().json();
    let job = &jobs["jobs"][0];
    assert_eq!((&job["name"], &job["state"]), (&"first".into(), &"done".into()));
    let job = job["id"].as_str().unwrap();
    let again = network.grid(&format!("results {} --out results --json", &job[..6])).ok();
    assert_eq!(again.lines().len(), 5);
    network.grid(&format!("results {job} --out copy")).ok();
    assert_eq!(list(&home.path("copy")), list(&home.path("results")));
    assert!(network.grid("status").ok().stdout.contains(job));
    assert!(network.grid(&format!("status {job}")).ok().stdout.contains("4 (4 done)"));
    let cancelled = network.grid(&format!("cancel {job}")).ok().stdout;
    assert!(cancelled.contains("was over already: done"), "{cancelled}");
    let left = network.grid("account --json").ok().json()["account"]["budget"].as_u64().unwrap();
    assert!(left < BUDGET && left > BUDGET - 100_000_000, "{left}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn shared_files_arguments_and_a_seed_reach_the_task() {
    let network = Network::start().await;
    let _nodes = network.nodes().await;
    network.texts();
    let more = "--file rules=texts/b.txt --arg --top --env A=b --fuel 5M --memory 2";
    let line = format!("submit echo.wasm --input texts/a.txt {more} --out out --json");
    let lines = network.grid(&line).ok().lines();
    let here =
        network.grid(&format!("run echo.wasm --input texts/a.txt {more} --json")).ok().json();
    assert_eq!(lines[1]["spec"], here["spec"]);
    let verify = "verify out/a.txt/receipt.json --module echo.wasm --input texts/a.txt";
    assert_eq!(network.grid(verify).code, 6, "the shared file is missing");
    network.grid(&format!("{verify} --file rules=texts/b.txt")).ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_that_fail() {
    let network = Network::start().await;
    let _nodes = network.nodes().await;
    network.texts();
    network.home.module("sorry.wasm", SORRY);
    let ran = network.grid("submit sorry.wasm --input texts/a.txt --watch");
    assert_eq!(ran.code, 5);
    assert!(
        ran.stdout.contains("exit 3") && ran.stdout.contains("stderr: sorry"),
        "{}",
        ran.stdout
    );
    network.home.module("endless.wasm", ENDLESS);
    let line = "submit endless.wasm --input texts/a.txt --fuel 3M --out out --json";
    let ran = network.grid(line);
    let lines = ran.lines();
    assert_eq!((ran.code, lines.len()), (5, 3));
    assert_eq!(
        (&lines[1]["reason"], &lines[1]["fuel"]),
        (&"out_of_fuel".into(), &3_000_000.into())
    );
    assert_eq!((&lines[2]["failed"], &lines[2]["exit"]), (&1.into(), &5.into()));
    assert_eq!(list(&network.home.path("out/a.txt")), ["receipt.json", "stderr", "stdout"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_budget_too_small() {
    let network = Network::start().await;
    network.texts();
    let error = network.grid("submit echo.wasm --input texts --fuel 100T --json").error(4);
    assert_eq!(error["code"], "budget_too_small");
    assert!(error["hint"].as_str().unwrap().contains("grid account"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn results_that_are_not_there_yet() {
    let network = Network::start().await;
    network.texts();
    let job = id(&network.grid("submit echo.wasm --input texts --json").ok());
    let status = network.grid(&format!("status {job}")).ok().stdout;
    assert!(status.contains("4 waiting") && status.contains("No node is on line"), "{status}");
    let ran = network.grid(&format!("results {job} --out out")).ok();
    assert!(ran.stdout.contains("4 are still missing"), "{}", ran.stdout);
    // Following takes them as they come.
    let waiting = network.home.command(["results", &job, "--out", "out", "--follow"]);
    let waiting = spawn(waiting);
    let _nodes = network.nodes().await;
    let ran = tokio::task::block_in_place(|| Ran::from(waiting.wait_with_output().unwrap()));
    assert!(ran.ok().stdout.contains("4 of 4 results"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_job_that_is_cancelled() {
    let network = Network::start().await;
    network.texts();
    let job = id(&network.grid("submit echo.wasm --input texts --json").ok());
    let watching = spawn(network.home.command(["results", &job, "--follow", "--json"]));
    let cancelled = network.grid(&format!("cancel {job} --json")).ok().json();
    assert_eq!(cancelled["job"]["state"], "cancelled");
    let ran = tokio::task::block_in_place(|| Ran::from(watching.wait_with_output().unwrap()));
    assert_eq!(ran.code, 1);
    assert_eq!(ran.json()["missing"], 4);
    let account = network.grid("account --json").ok().json();
    assert_eq!(account["account"]["budget"], BUDGET, "what was reserved came back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_interrupted_watch_leaves_the_job_alone() {
    let network = Network::start().await;
    network.texts();
    let line = ["submit", "echo.wasm", "--input", "texts/a.txt", "--watch"];
    let mut watching = spawn(network.home.command(line));
    let stderr = BufReader::new(watching.stderr.take().unwrap());
    // The first plain line of progress: it waits for results now.
    let mut lines = stderr.lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("0/1 tasks")));
    interrupt(&watching);
    let rest: Vec<String> = lines.collect();
    let code = watching.wait().unwrap().code();
    assert_eq!(code, Some(130));
    assert!(rest.iter().any(|line| line.contains("The job goes on")), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("grid cancel")), "{rest:?}");
    let jobs = network.grid("status --json").ok().json();
    assert_eq!(jobs["jobs"][0]["state"], "running");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_relay_that_restarts_under_a_watch() {
    let data = tempfile::tempdir().unwrap();
    let relay = Relay::start(Config::for_test(data.path())).await.unwrap();
    let address = relay.address();
    let key = relay.add_owner("me", BUDGET).await.unwrap();
    let network = Network { relay, home: Home::new(), _data: data };
    let login = format!("login --relay {}", network.relay.origin());
    tokio::task::block_in_place(|| network.home.grid_with(&login, key.as_bytes())).ok();
    network.texts();
    let line = ["submit", "echo.wasm", "--input", "texts", "--out", "out"];
    let mut watching = spawn(network.home.command(line));
    let stderr = BufReader::new(watching.stderr.take().unwrap());
    assert!(stderr.lines().map(Result::unwrap).any(|line| line.starts_with("0/4 tasks")));
    let Network { relay, home, _data: data } = network;
    relay.shutdown().await;
    let config = Config { listen: address, ..Config::for_test(data.path()) };
    // Its port is free a moment after the relay said that it stopped.
    let mut again = Relay::start(config.clone()).await;
    for _ in 0..100 {
        if again.is_ok() {
            break;
        }
        // tidy-allow(sleep): between two tries of a bounded number.
        tokio::time::sleep(Duration::from_millis(20)).await;
        again = Relay::start(config.clone()).await;
    }
    let network = Network { relay: again.unwrap(), home, _data: data };
    let _nodes = network.nodes().await;
    let output = tokio::task::block_in_place(|| watching.wait_with_output().unwrap());
    assert!(output.status.success(), "{output:?}");
    assert_eq!(list(&network.home.path("out")).len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lie_that_only_running_again_shows() {
    let network = Network::start().await;
    let lie = |task: &grid_testing::Task| {
        let report = echo(task)?;
        Some(RunReport { fuel: report.fuel + 1, ..report })
    };
    let _nodes = network.nodes_with(Executor::instant(lie)).await;
    network.texts();
    network.grid("submit echo.wasm --input texts/a.txt --out out").ok();
    let verify = "verify out/a.txt/receipt.json";
    network.grid(verify).ok();
    let ran = network.grid(&format!("{verify} --module echo.wasm --input texts/a.txt"));
    assert_eq!(ran.code, 6);
    assert!(ran.stdout.contains("NOT VERIFIED: run again"), "{}", ran.stdout);
}

fn spawn(mut command: Command) -> Child {
    command.spawn().unwrap()
}

/// Ctrl-C.
fn interrupt(child: &Child) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_checked_job_is_proved_and_its_log_audited() {
    // The rules as they ship; all nodes are in one network here.
    let network = Network::start_with(|config| {
        config.trust = TrustConfig { diversity: false, ..TrustConfig::default() };
    })
    .await;
    let _nodes = network.nodes().await;
    network.texts();
    network.grid("submit echo.wasm --input texts --out results --error-rate 1e-3").ok();
    let job = network.grid("status --json").ok().json()["jobs"][0].clone();
    assert_eq!((&job["state"], &job["error_ppb"]), (&"done".into(), &1_000_000.into()));
    let job = job["id"].as_str().unwrap();
    // By name and by place: the same settlement.
    network.grid(&format!("prove {job} b.txt --out b.proof.json")).ok();
    let by_place = network.grid(&format!("prove {job} 1")).ok().stdout;
    let proof: Value =
        serde_json::from_slice(&fs::read(network.home.path("b.proof.json")).unwrap()).unwrap();
    let other: Value = serde_json::from_str(&by_place).unwrap();
    assert_eq!(proof["settled"]["leaf"], other["settled"]["leaf"]);
    assert!(proof["votes"].as_array().unwrap().len() > 1, "a newcomer stands alone: {proof:#}");
    network.grid(&format!("prove {job} nothing --json")).error(4);
    // Off line, with the key noted at login; then with another, and damaged.
    let proven = network.grid("verify b.proof.json --json").ok().json();
    let receipt = fs::read(network.home.path("results/b.txt/receipt.json")).unwrap();
    let receipt: Value = serde_json::from_slice(&receipt).unwrap();
    assert_eq!(proven["proof"]["proven"]["output"], receipt["result"]["receipt"]["body"]["output"]);
    let key = "ab".repeat(32);
    assert_eq!(network.grid(&format!("verify b.proof.json --relay-key {key}")).code, 6);
    let text = proof.to_string();
    let leaf = proof["votes"][0]["leaf"].as_str().unwrap();
    let last = if leaf.ends_with('0') { '1' } else { '0' };
    let harmed = text.replace(leaf, &format!("{}{last}", &leaf[..leaf.len() - 1]));
    network.home.file("harmed.json", harmed);
    assert_eq!(network.grid("verify harmed.json").code, 6);
    // The whole log, and what the owner was told of it.
    let report = network.grid("audit --ack results/b.txt/receipt.json --json").ok().json();
    assert_eq!((&report["ok"], &report["counts"]["settled"]), (&true.into(), &4.into()));
    assert_eq!((&report["acks"], &report["counts"]["caught"]), (&1.into(), &0.into()));
    let node = report["points"][0]["node"].as_str().unwrap();
    let node = network.grid(&format!("node explain {node} --json")).ok().json();
    assert_eq!(node["node"]["fuel"], report["points"][0]["fuel"]);
    assert_eq!(node["node"]["state"], "new");
    assert!(!node["node"]["decisions"].as_array().unwrap().is_empty());
}
