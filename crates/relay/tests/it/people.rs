//! Accounts, invitations, teams, campaigns and the ledger, over real sockets.

use crate::common::{self, Brings, DOCUMENT, Fixture, Node, Owner, http, start, start_with, until};
use grid_ledger::RewardRules;
use grid_protocol::api::{
    CampaignInfo, InvitationInfo, LedgerInfo, MadeInvitation, PeopleLeaders, PersonInfo,
    PostingsInfo, Suspects, Suspicion, TeamInfo, TeamLeaders,
};
use grid_protocol::entry::InvitationKind;
use grid_protocol::{AccountRequest, BrowserId, Delegation, PublicKey, SigningKey};
use grid_testing::document::Answer;
use reqwest::{Method, header};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Simple numbers: a twentieth for inviters.
pub(crate) const REWARDS: RewardRules = RewardRules {
    availability: 1,
    availability_cap_ppm: 100_000,
    reliability_ppm: 10_000,
    reliability_passes: 1,
    invitation_ppm: 50_000,
    invitation_cap: 1_000,
    inviter_daily_cap: 1_000,
    invitation_days: 30,
    site_ppm: 800_000,
};

pub(crate) async fn rewarding() -> Fixture {
    start_with(|config| config.rewards = REWARDS).await
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Someone with an account.
pub(crate) struct Person {
    pub(crate) key: SigningKey,
    base: String,
    relay: PublicKey,
    origin: String,
}

impl Person {
    pub(crate) fn new(relay: &Fixture, seed: u8) -> Self {
        let key = SigningKey::from_seed([seed; 32]);
        let (base, origin) = (relay.owner.base.clone(), relay.relay.origin().to_owned());
        Self { key, base, relay: relay.relay.key(), origin }
    }

    pub(crate) fn public(&self) -> PublicKey {
        self.key.public()
    }

    fn authorization(&self, method: &Method, target: &str, body: &str, time_ms: u64) -> String {
        let (relay, origin, method) = (&self.relay, &self.origin, method.as_str());
        let body = body.as_bytes();
        let request = AccountRequest { relay, origin, method, target, time_ms, body };
        request.authorization(&self.key)
    }

    /// Sends a request with this header; the answer fits the document.
    async fn send(&self, method: Method, path: &str, body: &str, by: &str) -> (u16, Vec<u8>) {
        let url = format!("{}{path}", self.base);
        let request = http().request(method.clone(), url).header(header::AUTHORIZATION, by);
        let response = request.body(body.to_owned()).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let answered = response.bytes().await.unwrap().to_vec();
        let answer = Answer { status, headers: &headers, body: &answered };
        DOCUMENT.check_answer(&method, path, answer).unwrap();
        if status < 300 {
            DOCUMENT.check_request(&method, path, body.as_bytes()).unwrap();
        }
        (status, answered)
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: &str) -> (u16, Vec<u8>) {
        let by = self.authorization(&method, path, body, now_ms());
        self.send(method, path, body, &by).await
    }

    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> T {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = self.ask(method, path, &body).await;
        assert!(status < 300, "{status}: {}", String::from_utf8_lossy(&answer));
        serde_json::from_slice(&answer).unwrap()
    }

    /// Status and code of a refusal.
    pub(crate) async fn refused(&self, method: Method, path: &str, body: Value) -> (u16, String) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = self.ask(method, path, &body).await;
        (status, code(&answer))
    }

    pub(crate) async fn invite(&self, new: Value) -> MadeInvitation {
        self.json(Method::POST, "/v1/invitations", new).await
    }
}

fn code(answer: &[u8]) -> String {
    let body: Value = serde_json::from_slice(answer).unwrap();
    body["error"]["code"].as_str().unwrap().to_owned()
}

pub(crate) async fn read<T: DeserializeOwned>(relay: &Fixture, path: &str) -> T {
    relay.owner.json(Method::GET, path, "").await
}

pub(crate) async fn person(relay: &Fixture, key: PublicKey) -> PersonInfo {
    read(relay, &format!("/v1/accounts/{key}")).await
}

/// One task of so much fuel, computed by a node.
pub(crate) async fn work(relay: &Fixture, node: &mut Node, fuel: u64) {
    let input = format!("{}", now_ms());
    let job = relay.owner.submit_job(&[input.as_bytes()], Some(200)).await;
    node.ready(1).await;
    let offer = node.lease().await;
    let result = node.result(&offer, b"out", fuel);
    node.deliver(&result).await;
    assert_eq!(relay.owner.results(job.id).await.len(), 1);
}

/// What the relay says of everyone is what its log makes of it.
pub(crate) async fn audited(relay: &Fixture) -> LedgerInfo {
    let ledger: LedgerInfo = read(relay, "/v1/ledger").await;
    let client = grid_client::Client::without_key(&relay.owner.base).unwrap();
    let key = relay.relay.key();
    let keys = grid_audit::Keys::new(key).unwrap();
    let mut auditor = grid_audit::Auditor::new(key);
    let checkpoint = client.checkpoint(&key).await.unwrap();
    let size = checkpoint.checkpoint().size();
    assert!(size >= ledger.seq);
    for index in 0..ledger.seq {
        let leaf = client.leaf(index, size).await.unwrap();
        auditor.apply(keys.read(index + 1, &leaf));
    }
    assert_eq!(auditor.findings(), []);
    let computed = auditor.ledger().info();
    assert_eq!(computed.people, ledger.people);
    assert_eq!(computed.issued, ledger.issued);
    assert_eq!(computed.owners, ledger.owners);
    assert_eq!(computed.jobs, ledger.jobs + ledger.held);
    let people: u64 = ledger.people.iter().map(|person| person.points.total()).sum();
    let all = ledger.owners + ledger.jobs + ledger.held + i128::from(people);
    assert_eq!(all, -ledger.issued, "all accounts together are zero");
    ledger
}

#[tokio::test]
async fn a_friend_is_invited_and_both_earn() {
    let relay = rewarding().await;
    let ada = Person::new(&relay, 100);
    let made = ada.invite(json!({"kind": "friend"})).await;
    assert_eq!((made.uses, made.used, made.origins.len()), (100, 0, 0));
    let info: InvitationInfo = read(&relay, &format!("/v1/invitations/{}", made.code)).await;
    assert_eq!((info.account, info.kind), (ada.public(), InvitationKind::Friend));
    assert_eq!((info.open, info.share_ppm, info.inviter_ppm), (true, 0, 50_000));
    assert_eq!(info.name, None);

    // Who is paid for others lends a browser, too.
    let delegation = Delegation::sign(&ada.key, &SigningKey::from_seed([2; 32]).public());
    let _own = Node::join_as(&relay.relay, 2, &[], Some(delegation)).await;
    let invitation = Some(made.code.to_string().to_uppercase());
    let brings = Brings { invitation, ..Brings::default() };
    let mut node = Node::join_with(&relay.relay, 1, brings).await;
    work(&relay, &mut node, 80).await;
    let friend = person(&relay, node.key.public()).await;
    assert_eq!((friend.points.work, friend.total, friend.today), (80, 80, 80));
    assert_eq!(friend.nodes, [node.key.public()]);
    let inviter = person(&relay, ada.public()).await;
    assert_eq!((inviter.points.invited, inviter.total, inviter.invited), (4, 4, 1));
    let leaders: PeopleLeaders = read(&relay, "/v1/leaders?span=day&of=people").await;
    let earned: Vec<_> = leaders.people.iter().map(|one| (one.key, one.earned)).collect();
    assert_eq!(earned, [(node.key.public(), 80), (ada.public(), 4)]);
    let list: Vec<MadeInvitation> = ada.json(Method::GET, "/v1/invitations", Value::Null).await;
    assert_eq!((list.len(), list[0].used), (1, 1));
    let postings: PostingsInfo = read(&relay, &format!("/v1/ledger/{}", ada.public())).await;
    let last = &postings.postings[0];
    assert_eq!((last.from.as_str(), last.amount, last.reason.as_str()), ("issued", 4, "invited"));
    audited(&relay).await;

    // All of it is there after a restart.
    let before: LedgerInfo = read(&relay, "/v1/ledger").await;
    let relay = relay.restart_with(|config| config.rewards = REWARDS).await;
    let after = audited(&relay).await;
    assert_eq!(before.people, after.people);
    relay.finish().await;
}

#[tokio::test]
async fn what_is_not_settled_is_held() {
    let relay = start_with(|config| {
        config.trust.rules = grid_scheduler::trust::Rules::default();
    })
    .await;
    let mut node = relay.node(1).await;
    relay.owner.submit_job(&[b"x"], Some(200)).await;
    node.ready(1).await;
    let offer = node.lease().await;
    let result = node.result(&offer, b"out", 70);
    node.deliver(&result).await;
    let key = node.key.public();
    let held = async || person(&relay, key).await.held;
    until(|| async { held().await == 70 }).await;
    assert_eq!(person(&relay, key).await.total, 0);
    let ledger = audited(&relay).await;
    assert_eq!((ledger.held, ledger.jobs), (70, 130));
    relay.finish().await;
}

#[tokio::test]
async fn an_account_has_its_nodes_points_wherever_they_run() {
    let relay = start().await;
    let ada = Person::new(&relay, 100);
    for seed in [1, 2] {
        let delegation = Delegation::sign(&ada.key, &SigningKey::from_seed([seed; 32]).public());
        let mut node = Node::join_as(&relay.relay, seed, &[], Some(delegation)).await;
        work(&relay, &mut node, 10).await;
    }
    let path = format!("/v1/accounts/{}", ada.public());
    let named: PersonInfo = ada.json(Method::PUT, &path, json!({"name": "Ada L."})).await;
    assert_eq!(named.name.unwrap().as_str(), "Ada L.");
    let info = person(&relay, ada.public()).await;
    assert_eq!((info.points.work, info.nodes_count, info.week), (20, 2, 20));
    let leaders: PeopleLeaders = read(&relay, "/v1/leaders?span=all&of=people").await;
    assert_eq!((leaders.count, leaders.from_ms), (1, 0));
    assert_eq!(leaders.people[0].name.as_ref().unwrap().as_str(), "Ada L.");
    let nodes: Value = read(&relay, "/v1/leaders?span=all").await;
    assert_eq!(nodes["nodes"].as_array().unwrap().len(), 2, "as before");
    audited(&relay).await;
    relay.finish().await;
}

#[tokio::test]
async fn a_site_gets_its_visitors_points() {
    let relay = rewarding().await;
    let shop = Person::new(&relay, 100);
    let new = json!({"kind": "site", "name": "The Shop", "origins": ["https://shop.example"]});
    let made = shop.invite(new).await;
    let info: InvitationInfo = read(&relay, &format!("/v1/invitations/{}", made.code)).await;
    assert_eq!(info.name.unwrap().as_str(), "The Shop");
    assert_eq!((info.origins, info.share_ppm), (vec!["https://shop.example".into()], 800_000));
    let brings = Brings { invitation: Some(made.code.to_string()), ..Brings::default() };
    let mut node = Node::join_with(&relay.relay, 1, brings).await;
    work(&relay, &mut node, 100).await;
    assert_eq!(person(&relay, shop.public()).await.points.site, 80);
    assert_eq!(person(&relay, node.key.public()).await.points.work, 20);
    // A later code changes nothing.
    drop(node);
    let other = Person::new(&relay, 101);
    let made = other.invite(json!({"kind": "friend"})).await;
    let brings = Brings { invitation: Some(made.code.to_string()), ..Brings::default() };
    let mut node = Node::join_with(&relay.relay, 1, brings).await;
    work(&relay, &mut node, 100).await;
    assert_eq!(person(&relay, shop.public()).await.points.site, 160);
    assert_eq!(person(&relay, other.public()).await.total, 0);
    audited(&relay).await;
    relay.finish().await;
}

#[tokio::test]
async fn codes_are_refused_where_they_make_no_sense() {
    let relay = start().await;
    let ada = Person::new(&relay, 100);
    let refused = async |new: Value| ada.refused(Method::POST, "/v1/invitations", new).await;
    let bad = (400, "bad_request".to_owned());
    let origins: Vec<String> = (0..17).map(|n| format!("https://{n}.example")).collect();
    for new in [
        json!({}),
        json!({"kind": "foe"}),
        json!({"kind": "friend", "uses": 0}),
        json!({"kind": "friend", "uses": 1001}),
        json!({"kind": "friend", "origins": ["https://a.example"]}),
        json!({"kind": "friend", "more": 1}),
        json!({"kind": "friend", "name": "<script>"}),
        json!({"kind": "site", "name": "abc"}),
        json!({"kind": "site", "origins": ["https://a.example"]}),
        json!({"kind": "site", "name": "abc", "origins": ["a.example"]}),
        json!({"kind": "site", "name": "abc", "origins": ["https://a.example/; script-src *"]}),
        json!({"kind": "site", "name": "abc", "origins": origins}),
    ] {
        assert_eq!(refused(new.clone()).await, bad, "{new}");
    }
    for text in ["nothing", "000000000000", "%00", "a%2Fb"] {
        let (status, _) = relay.owner.get(&format!("/v1/invitations/{text}")).await;
        assert_eq!(status, 404, "{text}");
    }
    // What a node brings may be anything short; what is no code says nothing.
    for (seed, invitation) in [(1, ""), (2, "000000000000"), (3, "\u{1f980}\0")] {
        let brings = Brings { invitation: Some(invitation.into()), ..Brings::default() };
        Node::join_with(&relay.relay, seed, brings).await;
    }
    let mut socket = common::connect(&relay.relay).await;
    let key = SigningKey::from_seed([4; 32]);
    let brings = Brings { invitation: Some("0".repeat(33)), ..Brings::default() };
    common::answer_challenge(&mut socket, &relay.relay, &key, brings).await;
    let said = common::receive(&mut socket).await;
    assert!(matches!(said, Some(grid_protocol::ToNode::Refused { .. })), "{said:?}");
    // No account makes codes without end.
    for _ in 0..64 {
        ada.invite(json!({"kind": "friend"})).await;
    }
    assert_eq!(refused(json!({"kind": "friend"})).await, bad);
    relay.finish().await;
}

#[tokio::test]
async fn only_the_account_itself_asks() {
    let relay = start().await;
    let (ada, eve) = (Person::new(&relay, 100), Person::new(&relay, 101));
    let (post, path, body) = (Method::POST, "/v1/invitations", r#"{"kind":"friend"}"#);
    let now = now_ms();
    let good = ada.authorization(&post, path, body, now);
    let unauthorized = async |by: &str, path: &str, body: &str, expect: &str| {
        let (status, answer) = ada.send(Method::POST, path, body, by).await;
        assert_eq!((status, code(&answer).as_str()), (401, expect), "{by} {path} {body}");
    };
    // Another's signature, time, body, address, relay or origin.
    let swapped = good.replace(&ada.public().to_string(), &eve.public().to_string());
    unauthorized(&swapped, path, body, "unauthorized").await;
    unauthorized(&good, path, r#"{"kind":"site"}"#, "unauthorized").await;
    unauthorized(&good, "/v1/teams", body, "unauthorized").await;
    unauthorized(&good, "/v1/invitations?x", body, "unauthorized").await;
    let later = good.replace(&now.to_string(), &(now + 1).to_string());
    unauthorized(&later, path, body, "unauthorized").await;
    for (relay, origin) in
        [(eve.public(), ada.origin.clone()), (ada.relay, "https://other.example".to_owned())]
    {
        let elsewhere = Person { relay, origin, key: ada.key.clone(), base: ada.base.clone() };
        let by = elsewhere.authorization(&post, path, body, now);
        unauthorized(&by, path, body, "unauthorized").await;
    }
    for by in ["", "Account", "Account x", "Account a:b:c", "Bearer grid_x", &good[8..]] {
        unauthorized(by, path, body, "unauthorized").await;
    }
    // A clock that is wrong is told.
    for time in [now - 301_000, now + 330_000, 0, u64::MAX] {
        let by = ada.authorization(&post, path, body, time);
        unauthorized(&by, path, body, "clock").await;
    }
    // What was signed is done once.
    assert_eq!(ada.send(Method::POST, path, body, &good).await.0, 201);
    let (status, answer) = ada.send(Method::POST, path, body, &good).await;
    assert_eq!((status, code(&answer).as_str()), (409, "replayed"));
    // Even by a relay that forgot: it gives the same code.
    let made: Vec<MadeInvitation> = ada.json(Method::GET, path, Value::Null).await;
    let relay = relay.restart_with(|config| {
        config.origin = Some(ada.origin.clone());
    });
    let relay = relay.await;
    let ada = Person { base: relay.owner.base.clone(), ..ada };
    let (status, again) = ada.send(Method::POST, path, body, &good).await;
    assert_eq!(status, 201);
    let again: MadeInvitation = serde_json::from_slice(&again).unwrap();
    assert_eq!(again.code, made[0].code);
    let made: Vec<MadeInvitation> = ada.json(Method::GET, path, Value::Null).await;
    assert_eq!(made.len(), 1);
    // Nor does one account speak for another.
    let eve = Person { base: relay.owner.base.clone(), ..eve };
    let of_ada = format!("/v1/accounts/{}", ada.public());
    let (named, gone) = (json!({"name": "Eve"}), Value::Null);
    assert_eq!(eve.refused(Method::PUT, &of_ada, named).await.0, 401);
    assert_eq!(eve.refused(Method::DELETE, &of_ada, gone).await.0, 401);
    let large = json!({"name": "a".repeat(20_000)});
    assert_eq!(ada.refused(Method::PUT, &of_ada, large).await, (413, "too_large".into()));
    relay.finish().await;
}

#[tokio::test]
async fn self_invitations_are_shown_and_not_paid() {
    let relay = rewarding().await;
    let ada = Person::new(&relay, 100);
    let made = ada.invite(json!({"kind": "friend"})).await;
    let invitation = Some(made.code.to_string());
    let browser = Some(BrowserId([7; 16]));
    let key = |seed: u8| SigningKey::from_seed([seed; 32]).public();
    let delegation = Some(Delegation::sign(&ada.key, &key(1)));
    let brings = Brings { delegation, browser, ..Brings::default() };
    drop(Node::join_with(&relay.relay, 1, brings).await);
    let gone = async || {
        let network: Value = read(&relay, "/v1/network").await;
        network["nodes_online"] == 0
    };
    until(&gone).await;
    // The same browser, without the account.
    let brings = Brings { invitation: invitation.clone(), browser, ..Brings::default() };
    let mut node = Node::join_with(&relay.relay, 2, brings).await;
    work(&relay, &mut node, 100).await;
    drop(node);
    until(&gone).await;
    // The same account.
    let delegation = Some(Delegation::sign(&ada.key, &key(3)));
    let brings = Brings { invitation, delegation, ..Brings::default() };
    let mut node = Node::join_with(&relay.relay, 3, brings).await;
    work(&relay, &mut node, 100).await;
    assert_eq!(person(&relay, ada.public()).await.points.invited, 0);
    let key = grid_relay::add_operator(relay.dir.path(), "root").unwrap();
    let root = Owner { base: relay.owner.base.clone(), key };
    let Suspects { count, suspects } = root.json(Method::GET, "/v1/operator/suspects", "").await;
    let found: Vec<_> = suspects.iter().map(|one| (one.why, one.person, one.paid)).collect();
    let expect = [Suspicion::SameBrowser, Suspicion::SameAccount];
    assert_eq!(found, expect.map(|why| (why, ada.public(), 0)));
    assert_eq!(count, 2);
    assert_eq!(grid_relay::suspects(relay.dir.path()).unwrap(), suspects);
    audited(&relay).await;
    relay.finish().await;
}

#[tokio::test]
async fn teams() {
    let relay = start().await;
    let (ada, bob) = (Person::new(&relay, 100), Person::new(&relay, 101));
    let mut nodes = Vec::new();
    for (seed, person) in [(1, &ada), (2, &bob)] {
        let delegation = Delegation::sign(&person.key, &SigningKey::from_seed([seed; 32]).public());
        nodes.push(Node::join_as(&relay.relay, seed, &[], Some(delegation)).await);
    }
    let made: TeamInfo = ada.json(Method::POST, "/v1/teams", json!({"name": "Red Pandas"})).await;
    assert_eq!((made.members, made.total), (1, 0));
    let bad = (400, "bad_request".to_owned());
    let post = Method::POST;
    for name in ["Red Pandas", "red pandas", "ab", "a/b", "Blue\nWhales"] {
        let refused = bob.refused(post.clone(), "/v1/teams", json!({"name": name})).await;
        assert_eq!(refused, bad, "{name}");
    }
    let second = ada.refused(post.clone(), "/v1/teams", json!({"name": "Blue"})).await;
    assert_eq!(second, bad, "one team an account");
    let path = "/v1/teams/Red%20Pandas";
    let (join, leave) = (format!("{path}/join"), format!("{path}/leave"));
    assert_eq!(bob.refused(post.clone(), "/v1/teams/None/join", Value::Null).await.0, 404);
    assert_eq!(bob.refused(post.clone(), "/v1/teams/a%2Fb/join", Value::Null).await.0, 404);
    work(&relay, &mut nodes[1], 50).await;
    let joined: TeamInfo = bob.json(post.clone(), &join, Value::Null).await;
    assert_eq!((joined.members, joined.total), (2, 0), "what was before is no team's");
    assert_eq!(bob.refused(post.clone(), &join, Value::Null).await, bad);
    drop(nodes.remove(0));
    work(&relay, &mut nodes[0], 30).await;
    let team: TeamInfo = read(&relay, path).await;
    assert_eq!((team.total, team.week, team.leaders[0].key), (30, 30, bob.public()));
    assert_eq!(team.name.unwrap().as_str(), "Red Pandas");
    let by_id: TeamInfo = read(&relay, &format!("/v1/teams/{}", team.id)).await;
    assert_eq!(by_id.total, 30);
    let leaders: TeamLeaders = read(&relay, "/v1/leaders?span=week&of=teams").await;
    assert_eq!((leaders.count, leaders.teams[0].earned), (1, 30));
    let all: TeamLeaders = read(&relay, "/v1/teams").await;
    assert_eq!(all.teams, leaders.teams);
    assert_eq!(person(&relay, bob.public()).await.team.unwrap().id, team.id);
    let left: TeamInfo = bob.json(post.clone(), &leave, Value::Null).await;
    assert_eq!(left.members, 1);
    assert_eq!(bob.refused(post.clone(), &leave, Value::Null).await, bad);
    assert_eq!(relay.owner.get("/v1/teams/Nobody").await.0, 404);
    audited(&relay).await;
    let relay = relay.restart().await;
    let team: TeamInfo = read(&relay, path).await;
    assert_eq!((team.members, team.total), (1, 30));
    relay.finish().await;
}

#[tokio::test]
async fn a_campaign_from_a_file() {
    let relay = start().await;
    let file = relay.dir.path().join("may.toml");
    let text = "name = 'Always'\nstart = 2020-01-01T00:00:00Z\nend = 2200-01-01T00:00:00Z
goal = 150\nbonus_ppm = 500000\n";
    std::fs::write(&file, text).unwrap();
    let (dir, path) = (relay.dir.path().to_owned(), file.clone());
    let id = grid_relay::open_campaign(&dir, &path).unwrap();
    let mut node = relay.node(1).await;
    work(&relay, &mut node, 60).await;
    let campaign: CampaignInfo = read(&relay, &format!("/v1/campaigns/{id}")).await;
    assert_eq!((campaign.work, campaign.goal, campaign.count), (60, 150, 1));
    assert_eq!(campaign.leaders[0].earned, 60);
    assert_eq!(person(&relay, node.key.public()).await.points.campaign, 30);
    grid_relay::close_campaign(&dir, id).unwrap();
    let closed = async || {
        let all: Vec<CampaignInfo> = read(&relay, "/v1/campaigns").await;
        all.len() == 1 && all[0].closed_ms.is_some()
    };
    until(&closed).await;
    work(&relay, &mut node, 60).await;
    assert_eq!(person(&relay, node.key.public()).await.points.campaign, 30);
    assert_eq!(grid_relay::campaigns(&dir).unwrap()[0].work, 60);
    let unknown = grid_protocol::CampaignId([9; 16]);
    assert!(grid_relay::close_campaign(&dir, unknown).is_err());
    assert_eq!(relay.owner.get(&format!("/v1/campaigns/{unknown}")).await.0, 404);
    assert_eq!(relay.owner.get("/v1/campaigns/may").await.0, 404);
    std::fs::write(&file, text.replace("goal", "gaol")).unwrap();
    assert!(grid_relay::open_campaign(&dir, &path).is_err());
    audited(&relay).await;
    relay.finish().await;
}

#[tokio::test]
async fn anyone_asks_and_nothing_breaks() {
    let relay = start().await;
    for (path, status) in [
        ("/v1/accounts/xyz", 404),
        ("/v1/accounts/", 404),
        ("/v1/ledger/xyz", 404),
        ("/v1/leaders?span=day&of=cats", 400),
        ("/v1/leaders?span=hour&of=people", 400),
        ("/v1/leaders?span=month&of=teams", 400),
        ("/v1/teams/%ff%fe", 400),
    ] {
        let url = format!("{}{path}", relay.owner.base);
        let answered = tokio::time::timeout(Duration::from_secs(30), common::get(&url)).await;
        assert_eq!(answered.unwrap().status(), status, "{path}");
    }
    let nobody = person(&relay, PublicKey([9; 32])).await;
    assert_eq!((nobody.total, nobody.nodes.len(), nobody.complete), (0, 0, true));
    // An extension's pages ask from an origin of their own.
    let url = format!("{}/v1/invitations", relay.owner.base);
    let asked = http()
        .request(Method::OPTIONS, url)
        .header("origin", "chrome-extension://abc")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type");
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    relay.finish().await;
}
