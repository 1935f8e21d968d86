//! A relay in this process, an owner, and nodes that do what a test says.

use base64::Engine as _;
use futures_util::{SinkExt as _, StreamExt as _};
use grid_protocol::api::{JobInfo, ModuleInfo, NewJob, TaskResult};
use grid_protocol::{
    BrowserId, Delegation, Digest, ExitReason, Files, FromNode, JobId, Join, LeaseId, LeaseOffer,
    Package, PublicKey, ReceiptBody, RunResult, Side, SigningKey, Spec, ToNode, decode, encode,
    join_bytes,
};
use grid_relay::{Config, Relay, RelayHandle};
use grid_testing::document::{Answer, Document};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::LazyLock;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const BUDGET: u64 = 1_000_000;

/// What the relay says of itself: every answer to [`Owner::ask`] must fit it.
pub(crate) static DOCUMENT: LazyLock<Document> =
    LazyLock::new(|| Document::new(grid_relay::openapi()).unwrap());

pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) relay: RelayHandle,
    pub(crate) owner: Owner,
}

pub(crate) async fn start() -> Fixture {
    start_with(|_| {}).await
}

pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::for_test(dir.path());
    change(&mut config);
    let relay = Relay::start(config).await.unwrap();
    let key = relay.add_owner("ada", BUDGET).await.unwrap();
    let owner = Owner { base: format!("http://{}", relay.address()), key };
    Fixture { dir, relay, owner }
}

impl Fixture {
    pub(crate) async fn node(&self, seed: u8) -> Node {
        Node::join(&self.relay, seed, &[]).await
    }

    /// Stops the relay, and checks that what it left is consistent.
    pub(crate) async fn finish(self) -> TempDir {
        self.relay.shutdown().await;
        let path = self.dir.path().to_owned();
        tokio::task::spawn_blocking(move || grid_relay::check_store(&path)).await.unwrap().unwrap();
        self.dir
    }

    /// Stops the relay, checks, and starts it again with the same owner.
    pub(crate) async fn restart(self) -> Fixture {
        self.restart_with(|_| {}).await
    }

    pub(crate) async fn restart_with(self, change: impl FnOnce(&mut Config)) -> Fixture {
        let mut owner = Owner { base: String::new(), key: self.owner.key.clone() };
        let dir = self.finish().await;
        let mut config = Config::for_test(dir.path());
        change(&mut config);
        let relay = Relay::start(config).await.unwrap();
        owner.base = format!("http://{}", relay.address());
        Fixture { dir, relay, owner }
    }

    /// A counter or gauge, as `/metrics` tells it.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = get(&format!("{}/metrics", self.owner.base)).await.text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }
}

/// Keeps no connection: each test has a runtime of its own.
pub(crate) fn http() -> reqwest::Client {
    static CLIENT: LazyLock<reqwest::Client> =
        LazyLock::new(|| reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap());
    CLIENT.clone()
}

pub(crate) async fn get(url: &str) -> reqwest::Response {
    http().get(url).send().await.unwrap()
}

/// Waits for a condition.
pub(crate) async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    let wait = async {
        while !condition().await {
            // tidy-allow(sleep): between two looks, with a bound.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("the condition never held");
}

#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) base: String,
    pub(crate) key: String,
}

impl Owner {
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> (StatusCode, Vec<u8>) {
        let body = body.into();
        let sent = body.as_bytes().map(<[u8]>::to_vec);
        let request = http()
            .request(method.clone(), format!("{}{path}", self.base))
            .bearer_auth(&self.key)
            .body(body);
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.unwrap().to_vec();
        let answer = Answer { status: status.as_u16(), headers: &headers, body: &body };
        DOCUMENT.check_answer(&method, path, answer).unwrap();
        if status.is_success() {
            DOCUMENT.check_request(&method, path, &sent.unwrap_or_default()).unwrap();
        }
        (status, body)
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Vec<u8>) {
        self.ask(Method::GET, path, "").await
    }

    /// The answer, which is not an error.
    pub(crate) async fn json<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> T {
        let (status, body) = self.ask(method, path, body).await;
        assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    /// Status and code of the answer, which is an error of the one shape.
    pub(crate) async fn error(
        &self,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> (u16, String) {
        let (status, body) = self.ask(method, path, body).await;
        let body: grid_protocol::api::ErrorBody = serde_json::from_slice(&body)
            .unwrap_or_else(|_| panic!("{status}: {}", String::from_utf8_lossy(&body)));
        assert!(!body.error.message.is_empty());
        (status.as_u16(), body.error.code)
    }

    pub(crate) async fn submit_module(&self) -> ModuleInfo {
        self.json(Method::POST, "/v1/modules", wasm()).await
    }

    /// A job with these inputs on standard input, each with a fuel limit of 100.
    pub(crate) async fn submit_job(&self, inputs: &[&[u8]], budget: Option<u64>) -> JobInfo {
        let module = self.submit_module().await;
        let job = job(&module, inputs, budget);
        self.json(Method::POST, "/v1/jobs", job.to_string()).await
    }

    pub(crate) async fn job(&self, id: JobId) -> JobInfo {
        self.json(Method::GET, &format!("/v1/jobs/{id}"), "").await
    }

    pub(crate) async fn account(&self) -> u64 {
        let account: Value = self.json(Method::GET, "/v1/account", "").await;
        account["budget"].as_u64().unwrap()
    }

    /// Every result of a job that ends.
    pub(crate) async fn results(&self, id: JobId) -> Vec<TaskResult> {
        let path = format!("/v1/jobs/{id}/results?follow=true");
        let (status, body) = timeout(PATIENCE, self.get(&path)).await.expect("the job never ended");
        assert_eq!(status, 200);
        lines(&body)
    }
}

pub(crate) fn lines(body: &[u8]) -> Vec<TaskResult> {
    body.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

pub(crate) fn wasm() -> Vec<u8> {
    wat::parse_str("(module (memory (export \"memory\") 1) (func (export \"_start\")))").unwrap()
}

pub(crate) fn job(module: &ModuleInfo, inputs: &[&[u8]], budget: Option<u64>) -> Value {
    let tasks: Vec<_> = inputs
        .iter()
        .map(|input| {
            let encoded = Files::stdin(input.to_vec()).encode();
            let inline = base64::engine::general_purpose::STANDARD.encode(encoded);
            json!({ "name": String::from_utf8_lossy(input), "inline": inline })
        })
        .collect();
    let job = json!({
        "module": module.source, "name": "a job", "fuel": 100, "output_bytes": 1_000_000,
        "budget": budget, "tasks": tasks,
    });
    let _: NewJob = serde_json::from_value(job.clone()).unwrap();
    job
}

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A node's socket, joined.
pub(crate) struct Node {
    pub(crate) key: SigningKey,
    pub(crate) relay: PublicKey,
    pub(crate) standing: Vec<LeaseId>,
    pub(crate) tasks: u64,
    pub(crate) socket: Socket,
}

pub(crate) async fn connect(relay: &RelayHandle) -> Socket {
    connect_to(&format!("http://{}", relay.address())).await.unwrap()
}

/// `None` when nobody listens there.
pub(crate) async fn connect_to(base: &str) -> Option<Socket> {
    let url = format!("{}/v1/node", base.replace("http:", "ws:"));
    Some(tokio_tungstenite::connect_async(url).await.ok()?.0)
}

pub(crate) async fn send(socket: &mut Socket, message: &FromNode) {
    socket.send(Message::Binary(encode(message).into())).await.unwrap();
}

/// The next message that isn't a ping; `None` when the socket closed.
pub(crate) async fn receive(socket: &mut Socket) -> Option<ToNode> {
    let next = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Binary(bytes))) => match decode(&bytes).unwrap() {
                    ToNode::Ping => {}
                    message => return Some(message),
                },
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    };
    timeout(PATIENCE, next).await.expect("the relay says nothing")
}

/// What a node brings when it joins.
#[derive(Default)]
pub(crate) struct Brings<'a> {
    pub(crate) holding: &'a [LeaseId],
    pub(crate) delegation: Option<Delegation>,
    pub(crate) invitation: Option<String>,
    pub(crate) browser: Option<BrowserId>,
}

pub(crate) async fn answer_challenge(
    socket: &mut Socket,
    relay: &RelayHandle,
    key: &SigningKey,
    brings: Brings<'_>,
) -> PublicKey {
    let hello = FromNode::Hello { versions: vec![1], agent: format!("test {}", key.seed()[0]) };
    send(socket, &hello).await;
    let Some(ToNode::Challenge { version: 1, relay: named, origin, nonce }) = receive(socket).await
    else {
        panic!("no challenge");
    };
    assert_eq!((named, origin.as_str()), (relay.key(), relay.origin()));
    let node = key.public();
    let join = Join {
        node,
        signature: key.sign(&join_bytes(&named, &origin, &nonce, &node)),
        delegation: brings.delegation,
        package: Package::Full,
        admissions: vec![grid_sandbox::ADMISSION],
        holding: brings.holding.to_vec(),
        inference: None,
        invitation: brings.invitation,
        browser: brings.browser,
    };
    send(socket, &FromNode::Join(join)).await;
    named
}

impl Node {
    pub(crate) async fn join(relay: &RelayHandle, seed: u8, holding: &[LeaseId]) -> Self {
        Self::join_as(relay, seed, holding, None).await
    }

    pub(crate) async fn join_as(
        relay: &RelayHandle,
        seed: u8,
        holding: &[LeaseId],
        delegation: Option<Delegation>,
    ) -> Self {
        Self::join_with(relay, seed, Brings { holding, delegation, ..Brings::default() }).await
    }

    pub(crate) async fn join_with(relay: &RelayHandle, seed: u8, brings: Brings<'_>) -> Self {
        let mut socket = connect(relay).await;
        let key = SigningKey::from_seed([seed; 32]);
        let named = answer_challenge(&mut socket, relay, &key, brings).await;
        match receive(&mut socket).await {
            Some(ToNode::Welcome { standing, tasks, .. }) => {
                Self { key, relay: named, standing, tasks, socket }
            }
            other => panic!("not welcome: {other:?}"),
        }
    }

    pub(crate) async fn ready(&mut self, slots: u8) {
        send(&mut self.socket, &FromNode::Ready { slots }).await;
    }

    pub(crate) async fn receive(&mut self) -> ToNode {
        receive(&mut self.socket).await.expect("the socket closed")
    }

    pub(crate) async fn lease(&mut self) -> LeaseOffer {
        match self.receive().await {
            ToNode::Lease(offer) => offer,
            other => panic!("not a lease: {other:?}"),
        }
    }

    pub(crate) fn result(&self, offer: &LeaseOffer, stdout: &[u8], fuel: u64) -> RunResult {
        let spec = Spec::decode(&offer.spec).unwrap();
        let mut output = Files::new(Side::Output);
        output.insert("stdout", stdout.to_vec()).unwrap();
        let output = output.encode();
        let body = ReceiptBody {
            relay: self.relay,
            lease: offer.lease,
            spec: spec.digest(),
            input: spec.input,
            reason: ExitReason::Exit,
            exit_code: 0,
            output: Digest::of(&output),
            check: Digest::ZERO,
            fuel,
            node: self.key.public(),
        };
        let receipt = body.encode();
        let signature = self.key.sign(&receipt);
        RunResult { receipt, signature, output: Some(output), hint: None }
    }

    pub(crate) async fn send_result(&mut self, result: &RunResult) {
        send(&mut self.socket, &FromNode::Result(result.clone())).await;
    }

    /// Sends a result; gives back the number of its entry.
    pub(crate) async fn deliver(&mut self, result: &RunResult) -> u64 {
        self.send_result(result).await;
        self.acked(result).await
    }

    pub(crate) async fn acked(&mut self, result: &RunResult) -> u64 {
        let message = self.receive().await;
        let Some((ack, signature)) = message.ack() else { panic!("not an ack: {message:?}") };
        assert_eq!(ack.receipt, Digest::of(&result.receipt));
        self.relay.verify_strict(&ack.encode(), &signature).unwrap();
        ack.seq
    }

    pub(crate) async fn rejected(&mut self) -> u16 {
        match self.receive().await {
            ToNode::Rejected { code, .. } => code,
            other => panic!("not rejected: {other:?}"),
        }
    }
}
