//! Who checks whom, and what becomes of those who lie: with the relay in this
//! process, and nodes that do what a test says.

use crate::common::{
    self, Brings, Fixture, Node, Owner, PATIENCE, get, job, lines, receive, start_with, until,
};
use grid_engine::Engine;
use grid_protocol::api::{
    JobInfo, JobState, NodeStanding, ResultStanding, TaskInfo, TaskResult, TaskState, Trusted,
};
use grid_protocol::live::Live;
use grid_protocol::{
    Delegation, Digest, Files, FromNode, GiveBackReason, JobId, LeaseOffer, RefuseCode, RejectCode,
    Side, Spec, ToNode,
};
use grid_relay::{Config, TrustConfig, add_operator};
use grid_scheduler::trust::Rules;
use reqwest::Method;
use serde_json::Value;
use std::ops::ControlFlow;
use std::time::Duration;
use tokio::time::timeout;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Two agreeing newcomers settle a task; two passed checks make a node trusted.
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

async fn start(change: impl FnOnce(&mut Config)) -> Fixture {
    start_with(|config| {
        config.trust = TrustConfig { rules: RULES, referee: true, ..config.trust.clone() };
        change(config);
    })
    .await
}

impl Fixture {
    /// A job whose results may be wrong with this probability, in 10^-9.
    async fn submit(&self, inputs: &[&[u8]], error_ppb: u32) -> JobInfo {
        let module = self.owner.submit_module().await;
        let mut job = job(&module, inputs, None);
        job["error_ppb"] = error_ppb.into();
        self.owner.json(Method::POST, "/v1/jobs", job.to_string()).await
    }

    /// Nodes of these seeds, that can be drawn.
    async fn nodes<const N: usize>(&self, seeds: [u8; N]) -> [Node; N] {
        let mut nodes = Vec::new();
        for seed in seeds {
            nodes.push(self.node(seed).await);
        }
        self.roster(N).await;
        nodes.try_into().unwrap_or_else(|_| panic!("as many as seeds"))
    }

    async fn roster(&self, nodes: usize) {
        until(|| async { self.metric("grid_roster").await == nodes as f64 }).await;
    }

    async fn settled(&self, job: JobId, done: u64) -> JobInfo {
        until(|| async { self.owner.job(job).await.done == done }).await;
        self.owner.job(job).await
    }

    async fn standing(&self, node: &Node) -> NodeStanding {
        let url = format!("{}/v1/nodes/{}", self.owner.base, node.key.public());
        get(&url).await.json().await.unwrap()
    }

    async fn provisional(&self, job: JobId) -> Vec<TaskResult> {
        let path = format!("/v1/jobs/{job}/results?provisional=true");
        lines(&self.owner.get(&path).await.1)
    }
}

impl Node {
    /// Takes one lease and answers it.
    async fn work(&mut self, stdout: &[u8]) -> LeaseOffer {
        self.ready(1).await;
        let offer = self.lease().await;
        self.answer(&offer, stdout).await;
        offer
    }

    /// Answers so many leases, as they come.
    async fn work_on(&mut self, leases: usize) {
        self.ready(leases as u8).await;
        let mut acks = 0;
        while acks < leases {
            match self.receive().await {
                ToNode::Lease(offer) => {
                    let result = self.result(&offer, b"answer", 10);
                    self.send_result(&result).await;
                }
                ToNode::Ack { .. } => acks += 1,
                other => panic!("neither lease nor acknowledgement: {other:?}"),
            }
        }
    }

    async fn answer(&mut self, offer: &LeaseOffer, stdout: &[u8]) {
        let result = self.result(offer, stdout, 10);
        self.deliver(&result).await;
    }

    /// What the module really computes.
    async fn compute(&mut self, offer: &LeaseOffer) {
        let spec = Spec::decode(&offer.spec).unwrap();
        let admitted = grid_sandbox::admission::admit(&common::wasm()).unwrap();
        let engine = Engine::new().unwrap();
        let module = engine.load(&admitted.bytes).unwrap();
        let input = Files::decode(Side::Input, offer.input.as_ref().unwrap()).unwrap();
        let outcome = engine.run(&module, &spec, input, |_| ControlFlow::Continue(())).unwrap();
        let mut result = self.result(offer, b"", outcome.fuel);
        let output = outcome.output.encode();
        let mut body = result.unverified().unwrap().body;
        body.output = Digest::of(&output);
        result.receipt = body.encode();
        result.signature = self.key.sign(&result.receipt);
        result.output = Some(output);
        self.deliver(&result).await;
    }
}

#[tokio::test]
async fn replicas_that_agree_settle_a_task() {
    let relay = start(|_| {}).await;
    let info = relay.submit(&[b"x"], 100_000).await;
    let [mut first, mut second] = relay.nodes([1, 2]).await;
    let offer = first.work(b"answer").await;

    // One result is provisional: the owner sees it when asked for.
    until(|| async { relay.owner.job(info.id).await.provisional == 1 }).await;
    let now = relay.owner.job(info.id).await;
    assert_eq!((now.done, now.spent, now.error_ppb), (0, 0, 100_000));
    let path = format!("/v1/jobs/{}/results", info.id);
    assert_eq!(lines(&relay.owner.get(&path).await.1), []);
    let provisional = relay.provisional(info.id).await;
    assert_eq!(provisional[0].standing, ResultStanding::Provisional);
    let tasks: Vec<TaskInfo> =
        relay.owner.json(Method::GET, &format!("/v1/jobs/{}/tasks", info.id), "").await;
    assert_eq!(tasks[0].state, TaskState::Provisional);
    let standing = relay.standing(&first).await;
    assert_eq!((standing.state, standing.open, standing.fuel), (Trusted::New, 1, 0));

    // The check looks like any lease.
    let check = second.work(b"answer").await;
    assert_eq!(check.spec, offer.spec);
    assert_ne!(check.lease, offer.lease);
    let results = relay.owner.results(info.id).await;
    assert_eq!((results.len(), results[0].quorum.len()), (1, 1));
    assert_eq!(results[0].standing, ResultStanding::Canonical);
    let info = relay.settled(info.id, 1).await;
    assert_eq!((info.state, info.spent, info.provisional), (JobState::Done, 20, 0));
    for node in [&first, &second] {
        let standing = relay.standing(node).await;
        assert_eq!((standing.passes, standing.fuel, standing.tasks), (1, 10, 1));
        assert_eq!(standing.decisions[0].what, "passed");
    }
    assert_eq!(relay.metric("grid_referee_runs_total").await, 0.0);
    relay.finish().await;
}

#[tokio::test]
async fn a_liar_is_caught_and_its_results_are_issued_again() {
    let relay = start(|config| config.trust.answer = MS(200)).await;
    let inputs: Vec<Vec<u8>> = (0..10).map(|number| vec![number]).collect();
    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    let info = relay.submit(&inputs, 50_000_000).await;
    let [mut liar, mut helper] = relay.nodes([1, 2]).await;
    // It earns trust first.
    for done in 1..=2 {
        liar.work(b"right").await;
        helper.work(b"right").await;
        relay.settled(info.id, done).await;
    }
    assert_eq!(relay.standing(&liar).await.state, Trusted::Trusted);
    drop(helper);
    relay.roster(1).await;
    let mut one = relay.node(3).await;
    relay.roster(2).await;
    // Then nobody checks this.
    let held = liar.work(b"a lie").await;
    until(|| async { relay.owner.job(info.id).await.provisional == 1 }).await;

    let disputed = one.work(b"right").await;
    liar.ready(1).await;
    let check = liar.lease().await;
    assert_eq!(check.spec, disputed.spec);
    let mut two = relay.node(4).await;
    relay.roster(3).await;
    liar.answer(&check, b"another lie").await;
    let third = two.work(b"right").await;
    assert_eq!(third.spec, disputed.spec);
    relay.settled(info.id, 3).await;

    let refused = receive(&mut liar.socket).await;
    let Some(ToNode::Refused { code, message, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(code, RefuseCode::Caught.number());
    assert!(message.contains("wrong"), "{message}");
    let standing = relay.standing(&liar).await;
    assert_eq!((standing.state, standing.online), (Trusted::Caught, false));
    assert_eq!((standing.decisions[0].what.as_str(), standing.fuel), ("caught", 20));
    assert!(standing.why.contains(&standing.decisions[0].seq.to_string()), "{}", standing.why);
    assert_eq!(relay.metric("grid_nodes_caught_total").await, 1.0);

    // What was provisional goes to others, before anything else.
    for node in [&mut one, &mut two] {
        assert_eq!(node.work(b"right").await.spec, held.spec);
    }
    until(|| async {
        relay.provisional(info.id).await.iter().any(|result| {
            result.standing == ResultStanding::Canonical && result.spec.encode() == held.spec
        })
    })
    .await;
    let standing = relay.standing(&liar).await;
    assert_eq!((standing.fuel, standing.tasks), (20, 2), "nothing for a lie");

    // It can't come back, not even after a restart.
    let relay = relay.restart_with(|config| config.trust.rules = RULES).await;
    let mut socket = common::connect(&relay.relay).await;
    let delegation = Some(Delegation::sign(&two.key, &liar.key.public()));
    let brings = Brings { delegation, ..Brings::default() };
    common::answer_challenge(&mut socket, &relay.relay, &liar.key, brings).await;
    let refused = receive(&mut socket).await;
    assert!(matches!(refused, Some(ToNode::Refused { code: 8, .. })), "{refused:?}");
    // And what it brings is not written down.
    let db = rusqlite::Connection::open(relay.dir.path().join("grid.sqlite")).unwrap();
    let linked = "SELECT count(*) FROM nodes WHERE account NOT NULL";
    assert_eq!(db.query_row(linked, [], |row| row.get(0)), Ok(0));
    relay.finish().await;
}

#[tokio::test]
async fn with_one_node_the_relay_checks() {
    let relay = start(|_| {}).await;
    let info = relay.submit(&[b"x", b"y"], 100_000).await;
    let [mut node] = relay.nodes([1]).await;
    node.ready(1).await;
    let offer = node.lease().await;
    node.compute(&offer).await;
    let info = relay.settled(info.id, 1).await;
    let standing = relay.standing(&node).await;
    assert_eq!((standing.passes, standing.tasks, info.spent), (1, 1, standing.fuel));
    assert!(standing.decisions[0].why.contains("the relay's own run"));
    // It isn't believed more than the relay.
    node.work(b"a lie").await;
    let refused = receive(&mut node.socket).await;
    assert!(matches!(refused, Some(ToNode::Refused { code: 8, .. })), "{refused:?}");
    let info = relay.settled(info.id, 2).await;
    assert_eq!((info.state, info.spent), (JobState::Done, standing.fuel));
    assert_eq!(relay.metric("grid_referee_runs_total").await, 2.0);
    relay.finish().await;
}

#[tokio::test]
async fn nodes_of_one_network_do_not_check_each_other() {
    let relay = start(|config| config.trust.diversity = true).await;
    let info = relay.submit(&[b"x"], 100_000).await;
    let [mut node, mut other] = relay.nodes([1, 2]).await;
    other.ready(1).await;
    let offer = other.lease().await;
    node.ready(1).await;
    other.compute(&offer).await;
    relay.settled(info.id, 1).await;
    assert_eq!(relay.metric("grid_referee_runs_total").await, 1.0);
    assert_eq!(relay.metric("grid_leases_granted_total").await, 1.0);
    relay.finish().await;
}

/// So many tasks that of two who may check each is surely drawn first once: else
/// with a chance of 2^-16.
const MANY: usize = 16;

/// Tasks were answered by one node; of two that may check, `after` lets one go
/// wrong, and the other one has to check all.
async fn checks_pass_on(relay: Fixture, why: &str, after: impl AsyncFnOnce(Node)) {
    let inputs: Vec<[u8; 1]> = (0..MANY as u8).map(|number| [number]).collect();
    let inputs: Vec<&[u8]> = inputs.iter().map(|input| &input[..]).collect();
    let info = relay.submit(&inputs, 100_000).await;
    let [mut first, lazy, mut good] = relay.nodes([1, 2, 3]).await;
    first.work_on(MANY).await;
    let key = relay.standing(&lazy).await.node;
    after(lazy).await;
    good.work_on(MANY).await;
    let info = relay.settled(info.id, MANY as u64).await;
    assert_eq!((info.state, info.spent), (JobState::Done, 20 * MANY as u64));
    let url = format!("{}/v1/nodes/{key}", relay.owner.base);
    let standing: NodeStanding = get(&url).await.json().await.unwrap();
    let unanswered: Vec<_> =
        standing.decisions.iter().filter(|decision| decision.what == "unanswered").collect();
    assert!(
        !unanswered.is_empty() && unanswered.iter().all(|d| d.why.contains(why)),
        "{standing:?}"
    );
    let count = relay.metric("grid_checks_unanswered_total").await;
    assert_eq!(count as usize, unanswered.len());
    assert_eq!(relay.metric("grid_referee_runs_total").await, 0.0);
    relay.finish().await;
}

#[tokio::test]
async fn a_candidate_that_left_is_passed_over() {
    let relay = start(|_| {}).await;
    checks_pass_on(relay, "off line", async |node| drop(node)).await;
}

#[tokio::test]
async fn a_candidate_without_a_free_slot_is_passed_over() {
    let relay = start(|config| config.trust.answer = MS(200)).await;
    let mut kept = None;
    checks_pass_on(relay, "no free slot", async |node| kept = Some(node)).await;
}

#[tokio::test]
async fn a_candidate_that_never_answers_is_passed_over() {
    let relay = start(|config| {
        config.lease_deadline = MS(2_000);
        config.heartbeat = MS(200);
    })
    .await;
    let mut kept = None;
    checks_pass_on(relay, "did not finish", async |mut node: Node| {
        node.ready(MANY as u8).await;
        kept = Some(node);
    })
    .await;
}

#[tokio::test]
async fn a_lower_error_rate_takes_more_replicas() {
    for (error_ppb, votes) in [(1_000_000_000, 2), (1, 3)] {
        let relay = start(|_| {}).await;
        let info = relay.submit(&[b"x"], error_ppb).await;
        let mut nodes = relay.nodes([1, 2, 3, 4]).await;
        for node in &mut nodes {
            node.ready(1).await;
        }
        for _ in 0..votes {
            let (at, offer) = next_offer(&mut nodes).await;
            nodes[at].answer(&offer, b"answer").await;
        }
        let info = relay.settled(info.id, 1).await;
        assert_eq!(info.spent, 10 * votes, "error rate {error_ppb}");
        relay.finish().await;
    }
}

/// The next lease that any of the nodes gets.
async fn next_offer(nodes: &mut [Node]) -> (usize, LeaseOffer) {
    let offers = nodes
        .iter_mut()
        .enumerate()
        .map(|(at, node)| Box::pin(async move { (at, node.lease().await) }));
    futures_util::future::select_all(offers).await.0
}

#[tokio::test]
async fn what_no_device_can_run_the_relay_runs() {
    let relay = start(|config| config.trust.rules = Rules { newcomer: 0, ..RULES }).await;
    let info = relay.submit(&[b"x"], 100_000).await;
    let mut nodes = relay.nodes([1, 2, 3, 4]).await;
    for node in &mut nodes {
        node.ready(1).await;
        let offer = node.lease().await;
        let reason = GiveBackReason::Device.number();
        let back = FromNode::GiveBack { lease: offer.lease, reason, detail: "no".into() };
        common::send(&mut node.socket, &back).await;
    }
    let info = relay.settled(info.id, 1).await;
    assert_eq!((info.state, info.spent), (JobState::Done, 0));
    assert_eq!(relay.owner.results(info.id).await[0].receipt.body.node, relay.relay.key());
    relay.finish().await;
}

#[tokio::test]
async fn refusals_of_leases_that_were_held_are_logged() {
    let relay = start(|_| {}).await;
    relay.submit(&[b"x"], 100_000).await;
    let [mut node] = relay.nodes([1]).await;
    node.ready(1).await;
    let offer = node.lease().await;
    let mut result = node.result(&offer, b"answer", 10);
    result.output = Some(b"other".to_vec());
    node.send_result(&result).await;
    assert_eq!(node.rejected().await, RejectCode::Output.number());
    until(|| async { !relay.standing(&node).await.decisions.is_empty() }).await;
    let standing = relay.standing(&node).await;
    assert_eq!(standing.decisions[0].what, "refused");
    assert!(standing.decisions[0].why.contains("wrong_output"));
    relay.finish().await;
}

#[tokio::test]
async fn error_rates_out_of_range_are_refused() {
    let relay = start(|_| {}).await;
    let module = relay.owner.submit_module().await;
    for wrong in [0, 1_000_000_001u64] {
        let mut job = job(&module, &[b"x"], None);
        job["error_ppb"] = wrong.into();
        let answer = relay.owner.error(Method::POST, "/v1/jobs", job.to_string()).await;
        assert_eq!(answer, (400, "bad_request".into()));
    }
    relay.finish().await;
}

#[tokio::test]
async fn what_is_provisional_is_counted_while_its_job_runs() {
    let relay = start(|_| {}).await;
    let key = add_operator(relay.dir.path(), "root").unwrap();
    let root = Owner { base: relay.owner.base.clone(), key };
    let mut stream = get(&format!("{}/v1/live", relay.owner.base)).await;
    let mut shows = async |provisional: u64| {
        let shown = async {
            loop {
                let event = stream.chunk().await.unwrap().expect("the stream ended");
                let Some(event) = event.strip_prefix(b"data: ") else { continue };
                let live: Live = serde_json::from_slice(event.trim_ascii()).unwrap();
                if live.tasks_provisional == provisional {
                    return;
                }
            }
        };
        timeout(PATIENCE, shown).await.expect("another number is shown");
    };
    let job = relay.submit(&[b"1", b"2", b"3"], 50_000_000).await.id;
    let [mut one, mut two] = relay.nodes([1, 2]).await;
    let first = one.work(b"answer").await;
    shows(1).await;
    assert_eq!(relay.owner.job(job).await.provisional, 1);
    // A check of it is no task that waits.
    two.ready(1).await;
    assert_eq!(two.lease().await.spec, first.spec);
    let queues: Value = root.json(Method::GET, "/v1/operator/queues", "").await;
    let count = |what: &str| queues["runtimes"][0][what].as_u64().unwrap();
    assert_eq!((count("waiting"), count("leased"), count("provisional")), (2, 1, 1), "{queues}");

    let cancel = format!("/v1/jobs/{job}/cancel");
    let ended: JobInfo = relay.owner.json(Method::POST, &cancel, "").await;
    assert_eq!((ended.state, ended.provisional), (JobState::Cancelled, 0));
    assert_eq!(relay.owner.job(job).await.provisional, 0);
    shows(0).await;
    drop(stream);
    relay.finish().await;
}
