//! What a node's join writes down, and how often.

use crate::common::{self, Brings, Fixture, answer_challenge, receive, start_with};
use grid_protocol::{BrowserId, Delegation, PublicKey, RefuseCode, SigningKey, ToNode};
use rusqlite::Connection;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

/// A relay behind a proxy that tells where nodes are.
async fn start(new_joins: u32) -> Fixture {
    start_with(|config| {
        config.trust.diversity = true;
        config.trust.forwarded = true;
        config.trust.new_joins = new_joins;
    })
    .await
}

/// Joins from an address; the code that it was refused with.
async fn join(
    relay: &Fixture,
    seed: u8,
    from: &str,
    brings: Brings<'_>,
) -> Result<common::Socket, u16> {
    let url = format!("ws://{}/v1/node", relay.relay.address());
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("x-forwarded-for", from.parse().unwrap());
    let mut socket = tokio_tungstenite::connect_async(request).await.unwrap().0;
    answer_challenge(&mut socket, &relay.relay, &key(seed), brings).await;
    match receive(&mut socket).await {
        Some(ToNode::Welcome { .. }) => Ok(socket),
        Some(ToNode::Refused { code, .. }) => Err(code),
        other => panic!("neither welcome nor refused: {other:?}"),
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32])
}

/// With a delegation of this account.
fn of(account: u8, seed: u8) -> Brings<'static> {
    let delegation = Some(Delegation::sign(&key(account), &key(seed).public()));
    Brings { delegation, ..Brings::default() }
}

fn database(relay: &Fixture) -> Connection {
    Connection::open(relay.dir.path().join("grid.sqlite")).unwrap()
}

fn links(relay: &Fixture) -> i64 {
    let db = database(relay);
    db.query_row("SELECT count(*) FROM nodes WHERE account NOT NULL", [], |row| row.get(0)).unwrap()
}

const FULL: fn() -> u16 = || RefuseCode::Full.number();

#[tokio::test]
async fn one_network_does_not_bring_new_nodes_for_ever() {
    let relay = start(3).await;
    let here = "192.0.2.1";
    for seed in 1..=3 {
        drop(join(&relay, seed, here, of(100, seed)).await.unwrap());
    }
    assert_eq!(join(&relay, 4, "192.0.2.77", of(100, 4)).await.err(), Some(FULL()));
    assert_eq!(join(&relay, 5, here, Brings::default()).await.err(), Some(FULL()));
    assert_eq!(links(&relay), 3, "who is refused is not on record");
    // Who is known comes again, but not with something new.
    for _ in 0..5 {
        drop(join(&relay, 1, here, of(100, 1)).await.unwrap());
        drop(join(&relay, 1, here, Brings::default()).await.unwrap());
    }
    assert_eq!(join(&relay, 1, here, of(101, 1)).await.err(), Some(FULL()));
    let browser = Some(BrowserId([7; 16]));
    let brings = Brings { browser, ..of(100, 1) };
    assert_eq!(join(&relay, 1, here, brings).await.err(), Some(FULL()));
    // Another network is another one's, the operator's own is not counted.
    drop(join(&relay, 4, "192.0.3.1", of(100, 4)).await.unwrap());
    for seed in 10..20 {
        drop(join(&relay, seed, "10.0.0.1", of(100, seed)).await.unwrap());
    }
    assert_eq!(relay.metric("grid_nodes_refused_total{reason=\"crowd\"}").await, 4.0);
    relay.finish().await;
}

#[tokio::test]
async fn what_comes_to_nothing_is_not_counted() {
    let relay = start(1).await;
    let here = "192.0.2.1";
    drop(join(&relay, 1, here, of(100, 1)).await.unwrap());
    // A code that nobody made.
    let invitation = || Some("000000000000".to_owned());
    for _ in 0..3 {
        let brings = Brings { invitation: invitation(), ..of(100, 1) };
        drop(join(&relay, 1, here, brings).await.unwrap());
    }
    relay.finish().await;
}

#[tokio::test]
async fn who_is_refused_writes_nothing() {
    let relay = start(1_000).await;
    let browser = Some(BrowserId([7; 16]));
    let here = "192.0.2.1";
    let _first = join(&relay, 1, here, Brings { browser, ..Brings::default() }).await.unwrap();
    let before = links(&relay);
    let brings = Brings { browser, ..of(100, 2) };
    let refused = join(&relay, 2, here, brings).await.err();
    assert_eq!(refused, Some(RefuseCode::Browser.number()));
    assert_eq!(links(&relay), before);
    let known = |node: PublicKey| {
        let db = database(&relay);
        let mut query = db.prepare("SELECT 1 FROM browsers WHERE node = ?1").unwrap();
        query.exists([node.0]).unwrap()
    };
    assert!(known(key(1).public()) && !known(key(2).public()));
    relay.finish().await;
}
