//! Witnesses cosign what the relay signs, and refuse a rewritten history.

use crate::common::{self, Fixture, get, start_with, until};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use grid_log::checkpoint::{UnverifiedCheckpoint, WitnessKey};
use grid_log::note::VerifierKey;
use grid_log::witness::{Latest, Witness, WitnessError};
use grid_protocol::SigningKey;
use grid_relay::{Config, WitnessAddress};
use std::sync::{Arc, Mutex};

const NAME: &str = "relay.example/log";

/// A small witness, with the codes of its refusals.
#[derive(Clone)]
struct Served {
    witness: Arc<Mutex<Witness>>,
    refused: Arc<Mutex<Vec<&'static str>>>,
    address: WitnessAddress,
}

async fn add(State(served): State<Served>, body: String) -> (StatusCode, String) {
    let mut witness = served.witness.lock().unwrap();
    let pending = witness.add_checkpoint(body.as_bytes(), 1_700_000_000);
    match pending.and_then(|pending| witness.persisted(pending)) {
        Ok(line) => (StatusCode::OK, line),
        Err(error) => {
            served.refused.lock().unwrap().push(error.code());
            let status = StatusCode::from_u16(error.status()).unwrap();
            (status, error.known_size().unwrap_or_default())
        }
    }
}

async fn witness(number: u8) -> Served {
    let key = WitnessKey::new("witness.example", SigningKey::from_seed([number; 32])).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let address = format!("{} {url}", key.verifier()).parse().unwrap();
    let served = Served {
        witness: Arc::new(Mutex::new(Witness::new(key))),
        refused: Arc::default(),
        address,
    };
    let app = axum::Router::new().route("/add-checkpoint", post(add)).with_state(served.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    served
}

impl Served {
    /// Watches this relay's log, from its beginning.
    fn watch(&self, relay: &Fixture) {
        let keys = [relay.relay.key()];
        self.witness.lock().unwrap().watch(NAME, &keys, Latest::default()).unwrap();
    }

    fn size(&self) -> u64 {
        self.witness.lock().unwrap().latest(NAME).unwrap().size
    }

    fn refused_as(&self, code: &str) -> bool {
        self.refused.lock().unwrap().contains(&code)
    }
}

fn with(witnesses: &[&Served]) -> impl FnOnce(&mut Config) {
    let witnesses = witnesses.iter().map(|served| served.address.clone()).collect();
    |config| {
        config.log_origin = Some(NAME.into());
        config.witnesses = witnesses;
    }
}

/// The newest checkpoint is cosigned by this witness.
async fn cosigned(relay: &Fixture, by: &Served) -> bool {
    let log = async |path: &str| get(&format!("{}/log/{path}", relay.owner.base)).await;
    let checkpoint = log("checkpoint").await.bytes().await.unwrap();
    let key = log("key").await.text().await.unwrap();
    let key: VerifierKey = key.trim().parse().unwrap();
    let signed = UnverifiedCheckpoint::parse(&checkpoint).unwrap().verify(&key).unwrap();
    signed.cosigned_by(&by.address.key).is_ok_and(|time| time == 1_700_000_000)
}

#[tokio::test]
async fn checkpoints_are_cosigned_and_acknowledgements_do_not_wait() {
    let (one, two) = (witness(1).await, witness(2).await);
    let relay = start_with(with(&[&one, &two])).await;
    // The second does not know this log: it refuses, and nothing waits for it.
    one.watch(&relay);
    until(|| cosigned(&relay, &one)).await;
    until(|| async { two.refused_as("witness_unknown_log") }).await;
    relay.owner.submit_job(&[b"x"], None).await;
    let mut node = relay.node(1).await;
    node.ready(1).await;
    let offer = node.lease().await;
    node.deliver(&node.result(&offer, b"answer", 10)).await;
    until(|| cosigned(&relay, &one)).await;
    let served = get(&format!("{}/log/cosigned", relay.owner.base)).await.bytes().await.unwrap();
    let served = UnverifiedCheckpoint::parse(&served).unwrap();
    assert_eq!(served.claimed_origin(), NAME);
    // Once it knows the log, it is caught up with.
    two.watch(&relay);
    until(|| cosigned(&relay, &two)).await;
    let before = one.size();
    drop(node);

    // After a restart the relay knows nothing of sizes: the witness tells it.
    let relay = relay.restart_with(with(&[&one])).await;
    relay.relay.add_owner("bob", 1).await.unwrap();
    until(|| cosigned(&relay, &one)).await;
    assert!(one.refused_as("witness_conflict") && one.size() > before);
    relay.finish().await;
}

#[tokio::test]
async fn a_rewritten_history_is_not_cosigned() {
    let one = witness(1).await;
    let relay = start_with(with(&[&one])).await;
    one.watch(&relay);
    until(|| cosigned(&relay, &one)).await;
    let key = std::fs::read(relay.dir.path().join("relay.key")).unwrap();
    let size = one.size();
    relay.finish().await;

    // The same key and name, but other entries.
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("relay.key"), key).unwrap();
    let mut config = Config::for_test(dir.path());
    with(&[&one])(&mut config);
    let relay = grid_relay::Relay::start(config).await.unwrap();
    let owner = common::Owner { base: format!("http://{}", relay.address()), key: String::new() };
    let other = Fixture { dir, relay, owner };
    for number in 0..=size {
        other.relay.add_owner(&format!("owner{number}"), 1).await.unwrap();
    }
    let code = WitnessError::Inconsistent.code();
    until(|| async { one.refused_as(code) }).await;
    assert!(!cosigned(&other, &one).await);
    assert_eq!(get(&format!("{}/log/cosigned", other.owner.base)).await.status(), 404);
    assert_eq!(one.size(), size);
    other.relay.shutdown().await;
}

#[test]
fn addresses() {
    let key = WitnessKey::new("w", SigningKey::from_seed([1; 32])).unwrap();
    let (key, log) = (key.verifier().to_string(), "x+00000000+AQ==");
    let good: WitnessAddress = format!("{key} https://w.example/").parse().unwrap();
    assert_eq!(
        (good.to_string(), good.url.as_str()),
        (format!("{key} https://w.example"), "https://w.example")
    );
    for bad in [key.as_str(), "", "https://w.example", &format!("{key} w.example"), log] {
        assert!(bad.parse::<WitnessAddress>().is_err(), "{bad}");
    }
}
