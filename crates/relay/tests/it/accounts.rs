//! What the relay keeps of accounts: exported, forgotten; and what its answers
//! are after.

use crate::common::{Brings, Fixture, Node, start, until};
use crate::people::{Person, REWARDS, audited, person, read, rewarding, work};
use grid_ledger::RewardRules;
use grid_protocol::api::{AccountExport, LedgerInfo, PersonInfo, PointsInfo, TeamInfo};
use grid_protocol::{BrowserId, Delegation, SigningKey};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn an_account_is_exported_and_deleted() {
    let relay = rewarding().await;
    let ada = Person::new(&relay, 100);
    let node_key = SigningKey::from_seed([1; 32]).public();
    let delegation = Some(Delegation::sign(&ada.key, &node_key));
    let browser = Some(BrowserId([7; 16]));
    let brings = Brings { delegation: delegation.clone(), browser, ..Brings::default() };
    let mut node = Node::join_with(&relay.relay, 1, brings).await;
    work(&relay, &mut node, 40).await;
    for seed in 110..=220 {
        let delegation =
            Some(Delegation::sign(&ada.key, &SigningKey::from_seed([seed; 32]).public()));
        drop(Node::join_as(&relay.relay, seed, &[], delegation).await);
    }
    let path = format!("/v1/accounts/{}", ada.public());
    let _: PersonInfo = ada.json(Method::PUT, &path, json!({"name": "Ada"})).await;
    let made = ada.invite(json!({"kind": "friend"})).await;
    let _: TeamInfo = ada.json(Method::POST, "/v1/teams", json!({"name": "Reds"})).await;
    let export: AccountExport = ada.json(Method::GET, "/v1/account-export", Value::Null).await;
    assert_eq!((export.person.total, export.person.nodes.len()), (40, 100));
    assert_eq!(export.nodes.len(), 112, "all of them");
    assert_eq!((export.invitations.len(), export.browsers.len()), (1, 1));
    assert_eq!((export.browsers[0].node, export.invited_by), (node_key, None));
    assert!(!export.postings.is_empty());

    assert_eq!(ada.ask(Method::DELETE, &path, "").await.0, 204);
    assert_eq!(ada.ask(Method::DELETE, &path, "").await.0, 204);
    let info = person(&relay, ada.public()).await;
    assert_eq!((info.name, info.team, info.closed), (None, None, true));
    assert_eq!((info.total, info.nodes.len()), (40, 0), "what the log says stays");
    let export: AccountExport = ada.json(Method::GET, "/v1/account-export", Value::Null).await;
    assert_eq!((export.invitations.len(), export.browsers.len()), (0, 0));
    let gone = relay.owner.get(&format!("/v1/invitations/{}", made.code)).await.0;
    assert_eq!(gone, 404);
    for (method, path, body) in [
        (Method::POST, "/v1/invitations", json!({"kind": "friend"})),
        (Method::POST, "/v1/teams", json!({"name": "Blues"})),
        (Method::POST, "/v1/teams/Reds/join", Value::Null),
        (Method::PUT, path.as_str(), json!({"name": "Ada"})),
    ] {
        assert_eq!(ada.refused(method, path, body).await.0, 400, "{path}");
    }
    // Its node joins on its own, whatever it brings, and its code does nothing.
    drop(node);
    let invitation = Some(made.code.to_string());
    let mut node =
        Node::join_with(&relay.relay, 1, Brings { delegation, invitation, ..Brings::default() })
            .await;
    work(&relay, &mut node, 40).await;
    assert_eq!(person(&relay, ada.public()).await.total, 40);
    assert_eq!(person(&relay, node_key).await.total, 40);
    audited(&relay).await;
    relay.finish().await;
}

#[tokio::test]
async fn rules_of_rewards_are_logged_when_they_change() {
    let relay = rewarding().await;
    let seq = async |relay: &Fixture| read::<LedgerInfo>(relay, "/v1/ledger").await.seq;
    let rules = |relay: &Fixture| grid_relay::rewards(relay.dir.path()).unwrap();
    until(|| async { rules(&relay) == REWARDS }).await;
    let before = seq(&relay).await;
    let relay = relay.restart_with(|config| config.rewards = REWARDS).await;
    assert_eq!(seq(&relay).await, before, "the same rules are not logged again");
    let file = relay.dir.path().join(grid_relay::REWARDS_FILE);
    std::fs::write(&file, "invitation_ppm = 123\n").unwrap();
    assert!(relay.relay.reload_rewards().unwrap());
    until(|| async { rules(&relay).invitation_ppm == 123 }).await;
    assert!(!relay.relay.reload_rewards().unwrap(), "nothing changed");
    std::fs::write(&file, "availability_cap_ppm = 100001\n").unwrap();
    assert!(relay.relay.reload_rewards().is_err());
    assert_eq!(rules(&relay).invitation_ppm, 123, "what can't be read changes nothing");
    std::fs::remove_file(&file).unwrap();
    assert!(relay.relay.reload_rewards().unwrap(), "without the file the defaults hold");
    until(|| async { rules(&relay) == RewardRules::default() }).await;
    audited(&relay).await;
    relay.finish().await;
}

/// Who asks for the log after an answer finds in it what the answer is after,
/// whoever wrote that.
#[tokio::test]
async fn no_answer_is_ahead_of_the_log() {
    let relay = start().await;
    let client = grid_client::Client::without_key(&relay.owner.base).unwrap();
    let key = relay.relay.key();
    let size = async || client.checkpoint(&key).await.unwrap().checkpoint().size();
    let add = async |name: String| {
        let dir = relay.dir.path().to_owned();
        let add = move || grid_relay::add_owner(&dir, &name, 5);
        tokio::task::spawn_blocking(add).await.unwrap().unwrap();
    };
    for n in 0..10 {
        add(format!("bob{n}")).await;
        let ledger: LedgerInfo = read(&relay, "/v1/ledger").await;
        let covered = size().await;
        assert!(ledger.seq <= covered, "ledger: {} > {covered}", ledger.seq);
        add(format!("eve{n}")).await;
        let points: PointsInfo = read(&relay, "/v1/points").await;
        let covered = size().await;
        assert!(points.seq <= covered, "points: {} > {covered}", points.seq);
        assert!(points.seq >= 4 * n + 6, "and the last is told");
    }
    audited(&relay).await;
    relay.finish().await;
}
