//! What an operator sees, and who doesn't.

use crate::common::{Fixture, Owner, get, http, job, start, start_with, until};
use grid_protocol::CampaignId;
use grid_protocol::api::{CampaignInfo, ErrorBody};
use grid_relay::{TrustConfig, add_operator, revoke_operator};
use grid_scheduler::trust::Rules;
use reqwest::Method;
use serde_json::Value;
use std::time::Duration;

const PATHS: [&str; 6] = ["health", "queues", "nodes", "refusals", "bans", "suspects"];

/// Two that agree settle a task.
const RULES: Rules = Rules {
    faulty_ppm: 1_000,
    colluding_ppm: 1_000,
    floor_ppm: 0,
    newcomer: 2,
    hold: 1,
    window: 15_000,
    max_votes: 12,
    verdict_ppb: 50_000_000,
};

/// An operator, who asks as an owner does, with another key.
fn operator(relay: &Fixture) -> Owner {
    let key = add_operator(relay.dir.path(), "root").unwrap();
    Owner { base: relay.owner.base.clone(), key }
}

async fn told(operator: &Owner, path: &str) -> Value {
    operator.json(Method::GET, &format!("/v1/operator/{path}"), "").await
}

async fn status(asker: &Owner, path: &str) -> u16 {
    asker.get(&format!("/v1/operator/{path}")).await.0.as_u16()
}

#[tokio::test]
async fn only_an_operator_is_let_in() {
    let relay = start().await;
    let root = operator(&relay);
    for path in PATHS {
        assert_eq!(status(&root, path).await, 200, "{path}");
        let url = format!("{}/v1/operator/{path}", relay.owner.base);
        assert_eq!(get(&url).await.status(), 401, "{path}");
        assert_eq!(get(&format!("{url}?key={}", root.key)).await.status(), 401, "{path}");
    }
    assert_eq!(status(&relay.owner, "health").await, 401, "an owner is no operator");
    let (refused, _) = root.get("/v1/jobs").await;
    assert_eq!(refused, 401, "an operator is no owner");
    revoke_operator(relay.dir.path(), "root").unwrap();
    assert_eq!(status(&root, "health").await, 401, "revoked while the relay runs");
    relay.finish().await;
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let relay = start().await;
    let root = operator(&relay);
    let guess = |n: u32| Owner { base: root.base.clone(), key: format!("gridop_{n}") };
    for n in 0..10 {
        assert_eq!(status(&guess(n), "health").await, 401);
    }
    let (limited, body) = guess(10).get("/v1/operator/health").await;
    assert_eq!(limited, 429);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["error"]["code"], "too_many_attempts");
    let url = format!("{}/v1/operator/health", root.base);
    let refused = http().get(url).bearer_auth(&root.key).send().await.unwrap();
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((3..=60).contains(&wait), "what is left of a minute: {wait}");
    assert_eq!(status(&root, "health").await, 429, "else a guess that is right would be told");
    // Nothing else is closed to that address.
    assert_eq!(relay.owner.get("/v1/account").await.0, 200);
    relay.finish().await;
}

#[tokio::test]
async fn health_says_how_the_relay_does() {
    let relay = start().await;
    let root = operator(&relay);
    let _node = relay.node(1).await;
    let health = told(&root, "health").await;
    assert_eq!(health["store_works"], true);
    assert_eq!((health["sockets"].as_u64(), health["nodes_online"].as_u64()), (Some(1), Some(1)));
    assert!(health["commits_us"]["count"].as_u64().unwrap() >= 1);
    assert!(health["commits_us"]["p95"].as_u64() >= health["commits_us"]["p50"].as_u64());
    for member in ["entries", "database_bytes", "disk_free_bytes", "disk_bytes", "max_sockets"] {
        assert!(health[member].as_u64().unwrap() > 0, "{member}");
    }
    relay.finish().await;
}

#[tokio::test]
async fn queues_and_paces_follow_the_work() {
    let relay = start().await;
    let root = operator(&relay);
    let wasm = |queues: &Value| queues["runtimes"][0].clone();
    assert_eq!(wasm(&told(&root, "queues").await)["oldest_ms"], Value::Null);
    let info = relay.owner.submit_job(&[b"1", b"2", b"3", b"4"], None).await;
    let mut node = relay.node(1).await;
    node.ready(1).await;
    let offer = node.lease().await;
    let queues = told(&root, "queues").await;
    let queue = wasm(&queues);
    assert_eq!(queue["runtime"], "wasm");
    assert_eq!(
        (&queue["jobs"], &queue["waiting"], &queue["leased"]),
        (&1.into(), &3.into(), &1.into())
    );
    assert_eq!(queue["oldest_ms"], info.created_ms);
    assert_eq!(queues["jobs"][0]["job"], info.id.to_string());
    assert_eq!(queues["jobs"][0]["nodes_able"], 1);
    assert_eq!(told(&root, "nodes").await["all"]["count"], 0);
    let mut offer = Some(offer);
    for _ in 0..3 {
        let taken = match offer.take() {
            Some(offer) => offer,
            None => {
                node.ready(1).await;
                node.lease().await
            }
        };
        let result = node.result(&taken, b"", 7);
        node.deliver(&result).await;
    }
    let nodes = told(&root, "nodes").await;
    assert_eq!(nodes["all"]["count"], 3);
    assert_eq!(nodes["nodes"][0]["node"], node.key.public().to_string());
    assert!(nodes["nodes"][0]["usual"].is_u64(), "three of one job are enough: {nodes}");
    assert_eq!(nodes["slow"], 0);
    relay.finish().await;
}

#[tokio::test]
async fn refusals_and_bans_are_told_with_their_reasons() {
    let relay = start_with(|config| {
        let trust = TrustConfig { rules: RULES, referee: true, ..config.trust.clone() };
        config.trust = TrustConfig { answer: Duration::from_millis(200), ..trust };
    })
    .await;
    let root = operator(&relay);
    let module = relay.owner.submit_module().await;
    let mut wanted = job(&module, &[b"1"], None);
    wanted["error_ppb"] = 50_000_000.into();
    let _: Value = relay.owner.json(Method::POST, "/v1/jobs", wanted.to_string()).await;

    // A receipt over another output than the one that came with it.
    let mut careless = relay.node(1).await;
    careless.ready(1).await;
    let offer = careless.lease().await;
    let mut wrong = careless.result(&offer, b"x", 10);
    wrong.output = careless.result(&offer, b"y", 10).output;
    careless.send_result(&wrong).await;
    careless.rejected().await;
    until(|| async { told(&root, "refusals").await["latest"][0].is_object() }).await;
    let refusals = told(&root, "refusals").await;
    assert_eq!(refusals["since_start"][0]["reason"], "wrong_output");
    assert_eq!(refusals["latest"][0]["reason"], "wrong_output");
    assert_eq!(refusals["latest"][0]["node"], careless.key.public().to_string());
    assert_eq!(refusals["hours"][0]["reasons"]["wrong_output"], 1);
    assert_eq!(refusals["complete"], true);
    assert_eq!(told(&root, "bans").await["count"], 0);

    // Then one lies, and two others agree on something else.
    drop(careless);
    let (mut liar, mut one, mut two) =
        (relay.node(2).await, relay.node(3).await, relay.node(4).await);
    until(|| async { relay.metric("grid_roster").await == 3.0 }).await;
    liar.ready(1).await;
    let offer = liar.lease().await;
    let lie = liar.result(&offer, b"a lie", 10);
    liar.deliver(&lie).await;
    for node in [&mut one, &mut two] {
        node.ready(1).await;
        let offer = node.lease().await;
        let right = node.result(&offer, b"right", 10);
        node.deliver(&right).await;
    }
    until(|| async { told(&root, "bans").await["count"] == 1 }).await;
    let bans = told(&root, "bans").await;
    let ban = &bans["nodes"][0];
    assert_eq!(ban["node"], liar.key.public().to_string());
    assert!(ban["why"].as_str().unwrap().contains("lost against"), "{ban}");
    assert!(ban["seq"].as_u64().unwrap() > 0 && ban["time_ms"].as_u64().unwrap() > 0);
    relay.finish().await;
}

const CAMPAIGN: &str = "name = 'Always'
start = 2020-01-01T00:00:00Z
end = 2200-01-01T00:00:00Z
goal = 150
bonus_ppm = 500000
";

#[tokio::test]
async fn a_campaign_is_checked_opened_and_closed() {
    let relay = start().await;
    let root = operator(&relay);
    let check = "/v1/operator/campaign-file";
    let listed =
        async || -> Vec<CampaignInfo> { relay.owner.json(Method::GET, "/v1/campaigns", "").await };
    // What is wrong is said with its place.
    let refused = async |file: &str, said: &str| {
        let (status, body) = root.ask(Method::POST, check, file.to_owned()).await;
        let ErrorBody { error } = serde_json::from_slice(&body).unwrap();
        assert_eq!((status.as_u16(), error.code.as_str()), (400, "bad_request"), "{file}");
        assert!(error.message.starts_with(said), "{}", error.message);
    };
    refused(&CAMPAIGN.replace("goal", "gaol"), "line 4: unknown field `gaol`").await;
    refused(&CAMPAIGN.replace("2200", "2021"), "line 3: end is over already").await;
    let long = format!("{CAMPAIGN}# {}", "x".repeat(16 * 1024));
    assert_eq!(root.error(Method::POST, check, long).await, (413, "too_large".into()));

    let found: CampaignInfo = root.json(Method::POST, check, CAMPAIGN).await;
    assert_eq!((found.name.as_str(), found.goal, found.bonus_ppm), ("Always", 150, 500_000));
    assert_eq!(listed().await, [], "a look opens nothing");
    let path = format!("/v1/operator/campaigns/{}", found.id);
    assert_eq!(root.ask(Method::PUT, &path, CAMPAIGN).await.0, 204);
    assert_eq!(root.ask(Method::PUT, &path, CAMPAIGN).await.0, 204, "the same once more");
    assert_eq!(listed().await, std::slice::from_ref(&found));
    // It is in the entries, where the command and auditors find it.
    assert_eq!(grid_relay::campaigns(relay.dir.path()).unwrap(), [found]);

    let close = format!("{path}/close");
    for _ in 0..2 {
        assert_eq!(root.ask(Method::POST, &close, "").await.0, 204);
        assert!(listed().await[0].closed_ms.is_some());
    }
    let nobody = format!("/v1/operator/campaigns/{}", CampaignId([9; 16]));
    assert_eq!(root.ask(Method::POST, &format!("{nobody}/close"), "").await.0, 404);
    assert_eq!(root.ask(Method::PUT, "/v1/operator/campaigns/may", CAMPAIGN).await.0, 404);
    for (method, path) in [(Method::POST, check), (Method::PUT, &nobody), (Method::POST, &close)] {
        let refused = relay.owner.ask(method, path, CAMPAIGN).await.0;
        assert_eq!(refused, 401, "an owner is no operator: {path}");
    }
    // At most 16 at a time.
    for n in 10..27_u8 {
        let path = format!("/v1/operator/campaigns/{}", CampaignId([n; 16]));
        let (status, _) = root.ask(Method::PUT, &path, CAMPAIGN).await;
        assert_eq!(status, if n < 26 { 204 } else { 400 }, "{n}");
    }
    relay.finish().await;
}
