//! `grid audit` against relays that keep to the rules, and against relays that
//! cheat in every way that a log can show.

use crate::common::{Home, Ran};
use grid_audit::testing::World;
use grid_protocol::{Ack, Digest, SigningKey};
use grid_scheduler::Task;
use grid_scheduler::trust::Rules;
use grid_testing::log_server::{LogServer, points};
use serde_json::{Value, json};

/// A relay whose log has a few hundred entries, served on loopback.
struct Served {
    world: World,
    server: LogServer,
    home: Home,
    runtime: tokio::runtime::Runtime,
}

impl Served {
    fn new() -> Self {
        let mut world = World::new(5, Rules::default());
        let job = world.job(400, 100_000);
        world.compute(job, 0..150);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let claimed = points(&world);
        let start = LogServer::start(world.signer(), world.leaves(), &claimed);
        let server = runtime.block_on(start).unwrap();
        Self { world, server, home: Home::new(), runtime }
    }

    /// Serves what the world's log is now.
    fn serve(&self) {
        self.server.set(self.world.signer(), self.world.leaves(), &points(&self.world));
    }

    fn audit(&self, more: &[&str]) -> (i32, Value) {
        let url = self.server.url();
        let key = self.world.relay().to_string();
        let args = [&["audit", &url, "--relay-key", &key, "--json"], more].concat();
        let Ran { code, stdout, stderr } = self.home.grid(&args.join(" "));
        let report = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stderr}"));
        (code, report)
    }

    /// An audit finds these, by code.
    fn finds(&self, codes: &[&str]) {
        let (code, report) = self.audit(&[]);
        let found: Vec<&str> = (report["problems"].as_array().unwrap().iter())
            .map(|problem| problem["code"].as_str().unwrap())
            .collect();
        for expected in codes {
            assert!(found.contains(expected), "{expected} is not in {report:#}");
        }
        assert_eq!(code, if codes.is_empty() { 0 } else { 6 }, "{report:#}");
        assert_eq!(report["ok"], codes.is_empty());
    }

    /// What the relay signs for the receipt of entry `seq`.
    fn ack(&self, seq: u64, receipt: Digest, salt: Digest) -> Value {
        let tree = self.world.tree();
        let lease = grid_protocol::LeaseId([1; 16]);
        let ack = Ack { receipt, lease, seq, salt, size: tree.size(), root: tree.root() };
        let signature = self.world.signer().sign(&ack.encode());
        json!({ "ack": ack, "signature": signature })
    }
}

#[test]
fn an_honest_relay() {
    let served = Served::new();
    let (code, report) = served.audit(&[]);
    assert_eq!((code, &report["ok"]), (0, &json!(true)), "{report:#}");
    assert_eq!(report["size"], served.world.leaves().len());
    assert_eq!(report["counts"]["settled"], 150);
    assert_eq!(report["points"].as_array().unwrap().len(), 5);
    // The words of it.
    let (url, key) = (served.server.url(), served.world.relay().to_string());
    let ran = served.home.grid(&format!("audit {url} --relay-key {key}"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("Everything agrees"), "{}", ran.stdout);
}

#[test]
fn it_goes_on_where_it_was() {
    let mut served = Served::new();
    served.finds(&[]);
    let before = served.world.leaves().len() as u64;
    let job = served.world.job(100, 100_000);
    served.world.compute(job, 0..100);
    served.serve();
    let (code, report) = served.audit(&[]);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["verified_before"], before / 256 * 256);
    assert_eq!(report["counts"]["settled"], 250);
    let (_, fresh) = served.audit(&["--fresh"]);
    assert_eq!((&fresh["verified_before"], &fresh["points"]), (&json!(0), &report["points"]));
}

#[test]
fn a_relay_that_rewrites_history() {
    let mut served = Served::new();
    served.finds(&[]);
    // Two entries change places: another log, signed all the same.
    served.world.swap_leaves(8, 9);
    served.serve();
    served.finds(&["history"]);
}

#[test]
fn a_relay_that_forgets_what_it_wrote() {
    let served = Served::new();
    served.finds(&[]);
    let fewer = &served.world.leaves()[..200];
    served.server.set(served.world.signer(), fewer, &points(&served.world));
    served.finds(&["history"]);
}

#[test]
fn a_relay_that_serves_other_leaves_than_it_signed() {
    let served = Served::new();
    served.server.change("/log/tile/entries/000", |bundle| bundle[200] ^= 1);
    let (code, report) = served.audit(&[]);
    assert_eq!(code, 6, "{report:#}");
    assert!(report.to_string().contains("root"), "{report:#}");
}

#[test]
fn a_checkpoint_of_another_key() {
    let served = Served::new();
    let other = SigningKey::from_seed([99; 32]);
    let claimed = points(&served.world);
    served.server.set(&other, served.world.leaves(), &claimed);
    let (url, key) = (served.server.url(), served.world.relay().to_string());
    let ran = served.home.grid(&format!("audit {url} --relay-key {key}"));
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("checkpoint"), "{}", ran.stderr);
}

#[test]
fn a_relay_that_credits_without_a_receipt() {
    let served = Served::new();
    let mut claimed = points(&served.world);
    claimed.nodes[0].fuel += 1;
    served.server.set(served.world.signer(), served.world.leaves(), &claimed);
    served.finds(&["points"]);
    // A node that the log never saw.
    let mut claimed = points(&served.world);
    claimed.nodes[0].node = SigningKey::from_seed([98; 32]).public();
    served.server.set(served.world.signer(), served.world.leaves(), &claimed);
    served.finds(&["points"]);
}

#[test]
fn a_relay_that_settles_by_a_checker_of_its_choice() {
    let mut served = Served::new();
    let job = served.world.job(40, 100_000);
    for index in 0..20 {
        let task = Task { job, index };
        let votes: Vec<u64> =
            [Some(0), Some(1), None].map(|node| served.world.vote(task, node)).into();
        let answer = served.world.receipt(task, None).body.answer();
        served.world.settle(task, answer, votes);
    }
    served.serve();
    served.finds(&["not_drawn"]);
}

#[test]
fn a_receipt_that_was_acknowledged_and_dropped() {
    let served = Served::new();
    let kept = served.ack(20, Digest::of(b"a receipt"), Digest::of(b"its salt"));
    let file = served.home.file("ack.json", kept.to_string());
    let (code, report) = served.audit(&["--ack", file.to_str().unwrap()]);
    assert_eq!(code, 6, "{report:#}");
    assert_eq!(report["problems"][0]["code"], "dropped_receipt");
    // Past the end of the log.
    let kept = served.ack(1_000_000, Digest::of(b"a receipt"), Digest::of(b"its salt"));
    let file = served.home.file("ack.json", kept.to_string());
    let (_, report) = served.audit(&["--ack", file.to_str().unwrap()]);
    assert_eq!(report["problems"][0]["code"], "dropped_receipt");
    // What the relay never signed proves nothing.
    let mut forged = served.ack(20, Digest::of(b"a receipt"), Digest::of(b"its salt"));
    forged["ack"]["seq"] = json!(21);
    let file = served.home.file("ack.json", forged.to_string());
    let (url, key) = (served.server.url(), served.world.relay().to_string());
    let path = file.to_str().unwrap();
    let ran = served.home.grid(&format!("audit {url} --relay-key {key} --ack {path}"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("not signed"), "{}", ran.stderr);
}

#[test]
fn an_acknowledgement_that_the_log_keeps() {
    use grid_protocol::entry::{Entry, Leaf};
    let served = Served::new();
    // The salt of a hidden receipt is in the settlement that opened it.
    let opened = served.world.leaves().iter().find_map(|leaf| match Leaf::decode(leaf) {
        Ok(Leaf::Settled { votes, .. }) => votes.into_iter().next(),
        _ => None,
    });
    let opened = opened.unwrap();
    let Entry::Receipt { receipt, .. } = served.world.entry(opened.seq) else { panic!() };
    let kept = served.ack(opened.seq, Digest::of(&receipt.body.encode()), opened.salt);
    let file = served.home.file("ack.json", kept.to_string());
    let (code, report) = served.audit(&["--ack", file.to_str().unwrap()]);
    assert_eq!((code, &report["acks"]), (0, &json!(1)), "{report:#}");
}

#[test]
fn a_witness_signs_one_history_only() {
    let mut served = Served::new();
    let folder = served.home.path("witness");
    let witness = ["--witness", folder.to_str().unwrap()];
    let (code, report) = served.audit(&witness);
    assert_eq!(code, 0, "{report:#}");
    let key = report["witness"]["key"].as_str().unwrap().to_owned();
    let job = served.world.job(10, 100_000);
    served.world.compute(job, 0..10);
    served.serve();
    let (code, report) = served.audit(&witness);
    assert_eq!((code, report["witness"]["key"].as_str()), (0, Some(&key[..])), "{report:#}");
    // The auditor forgot everything; the witness did not.
    served.world.swap_leaves(8, 9);
    served.serve();
    let (url, relay) = (served.server.url(), served.world.relay().to_string());
    let args = ["audit", &url, "--relay-key", &relay, "--fresh"];
    let ran = served.home.grid(&[&args[..], &witness].concat().join(" "));
    assert_eq!(ran.code, 6, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn nobody_there_is_said_plainly() {
    let served = Served::new();
    let url = served.server.url();
    let Served { home, server, runtime, .. } = served;
    drop(server);
    drop(runtime);
    let ran = home.grid(&format!("audit {url}"));
    assert_eq!(ran.code, 3, "{}", ran.stderr);
}

#[test]
fn a_relay_that_rewards_as_it_likes() {
    let served = Served::new();
    served.finds(&[]);
    let change = |change: fn(&mut Value)| {
        served.server.change("/v1/ledger", |page| {
            let mut ledger: Value = serde_json::from_slice(page).unwrap();
            change(&mut ledger);
            *page = ledger.to_string().into_bytes();
        });
    };
    // A reward that no rule gives, with the books made to balance.
    change(|ledger| {
        ledger["people"][0]["points"]["availability"] = 500.into();
        let issued: i128 = ledger["issued"].as_str().unwrap().parse().unwrap();
        ledger["issued"] = (issued - 500).to_string().into();
    });
    served.finds(&["ledger"]);
    let (_, report) = served.audit(&[]);
    assert_eq!(report["problems"].as_array().unwrap().len(), 2, "{report:#}");
    served.serve();
    served.finds(&[]);
    change(|ledger| ledger["seq"] = 1_000_000.into());
    served.finds(&["ledger"]);
}
