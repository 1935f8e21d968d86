//! A relay with made-up models, its runtime `infer`, and an owner's HTTP.
#![allow(dead_code, reason = "each test file uses its part")]

use anyhow::{Context as _, Result};
use grid_infer::file::{BLOCK, Family, Format, Header, Number, Parameters, Span, Tensor};
use grid_protocol::infer::Work;
use grid_protocol::{Digest, ExitReason};
use grid_relay::{Config, Inference, InferenceError, InferenceTask, Inferred, Relay, RelayHandle};
use grid_testing::document::{Answer, Document};
use grid_testing::{InferNode, InferNodeSetup, MadeUp};
use grid_tests::{BUDGET, key};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use tokio_tungstenite::tungstenite::http;

/// Computes what [`MadeUp`] says, and reads all of the model for it.
#[derive(Debug, Default)]
pub(crate) struct Runtime {
    /// Runs with a draft.
    pub(crate) drafted: AtomicU64,
}

/// A made-up model file of so many blocks: one tensor that means nothing.
pub(crate) fn model_file(work: Work, blocks: u8) -> Vec<u8> {
    let data: Vec<Vec<u8>> = (0..blocks).map(|number| vec![number; BLOCK as usize]).collect();
    let length = u64::from(blocks) * BLOCK;
    let tensor = Tensor {
        name: "noise".into(),
        format: Format::I32,
        rows: 1,
        cols: (length / 4 - 16) as u32,
        exponent: 0,
        dot_shift: 0,
        sum_shift: 0,
        span: Span { offset: 64, length: length - 64 },
    };
    let header = Header {
        name: "made up".into(),
        licence: String::new(),
        family: if work == Work::Embed { Family::Bert } else { Family::Llama },
        parameters: Parameters([("context".into(), Number::Int(128))].into()),
        tensors: vec![tensor],
        tokenizer: Span { offset: 0, length: 64 },
        length,
        blocks: data.iter().map(|block| Digest::of(block)).collect(),
    };
    let mut file = header.encode();
    file.resize(Header::data_begins(file.len()) as usize, 0);
    file.extend(data.concat());
    file
}

impl Inference for Runtime {
    fn run(&self, task: &InferenceTask<'_>) -> Result<Inferred, InferenceError> {
        if let ControlFlow::Break(()) = (task.go_on)() {
            return Err(InferenceError::Stopped);
        }
        let header = Header::decode(task.header)?;
        for (number, digest) in header.blocks.iter().enumerate() {
            let block = (task.block)(number as u32)?;
            assert_eq!(Digest::of(&block), *digest);
        }
        self.drafted.fetch_add(u64::from(task.draft.is_some()), Ordering::Relaxed);
        let made = MadeUp::new(task.spec, task.input);
        Ok(Inferred {
            reason: ExitReason::Exit,
            exit_code: made.exit_code,
            output: made.output(),
            check: made.check,
            fuel: made.fuel,
        })
    }
}

/// A relay with the models `embedder` and `talker`.
pub(crate) struct Fixture {
    pub(crate) relay: RelayHandle,
    pub(crate) origin: String,
    pub(crate) key: String,
    pub(crate) embedder: Digest,
    pub(crate) talker: Digest,
    pub(crate) runtime: Arc<Runtime>,
    http: reqwest::Client,
    pub(crate) data: tempfile::TempDir,
}

impl Fixture {
    pub(crate) async fn start(change: impl FnOnce(&mut Config)) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let mut config = Config::for_test(data.path());
        change(&mut config);
        let runtime = Arc::new(Runtime::default());
        let relay = Relay::start_inferring(config, runtime.clone()).await?;
        let mut digests = Vec::new();
        for (name, work) in [("embedder", Work::Embed), ("talker", Work::Generate)] {
            let file = data.path().join(name);
            std::fs::write(&file, model_file(work, 3))?;
            digests.push(relay.add_model(&file, name).await?.digest);
        }
        let key = relay.add_owner("owner", BUDGET).await?;
        let origin = relay.origin().to_owned();
        let http = reqwest::Client::builder().no_proxy().build()?;
        let (embedder, talker) = (digests[0], digests[1]);
        Ok(Self { relay, origin, key, embedder, talker, runtime, http, data })
    }

    /// A node that tells the truth, and holds both models.
    pub(crate) async fn node(&self, number: u8) -> Result<InferNode> {
        InferNode::start(&self.origin, self.setup(number)).await
    }

    pub(crate) fn setup(&self, number: u8) -> InferNodeSetup {
        let models = vec![self.embedder, self.talker];
        InferNodeSetup { key: key(number), models, streams: true, lies: false }
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: Value) -> Result<Response> {
        let request = self.http.request(method.clone(), format!("{}{path}", self.origin));
        let request = request.bearer_auth(&self.key).body(body.to_string());
        let response = fitting(&method, path, request.send().await?).await?;
        if response.status().is_success() {
            DOCUMENT.check_request(&method, path, body.to_string().as_bytes())?;
        }
        Ok(response)
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Result<Response> {
        self.ask(Method::POST, path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Response> {
        let request = self.http.get(format!("{}{path}", self.origin)).bearer_auth(&self.key);
        fitting(&Method::GET, path, request.send().await?).await
    }

    /// The error that a request comes to: its status, code and parameter.
    pub(crate) async fn error(&self, path: &str, body: Value) -> Result<(u16, String, Value)> {
        let response = self.post(path, body).await?;
        error_of(response).await
    }
}

/// What the relay says of itself: every answer must fit it.
static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    Document::new(grid_relay::openapi()).expect("the relay's own document can be read")
});

/// The same answer, once it was held against the document. Streams are read
/// first: [`fits_stream`].
async fn fitting(method: &Method, path: &str, response: Response) -> Result<Response> {
    if response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream") {
        return Ok(response);
    }
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.bytes().await?;
    let answer = Answer { status: status.as_u16(), headers: &headers, body: &body };
    DOCUMENT.check_answer(method, path, answer)?;
    let mut same = http::Response::new(body);
    *same.status_mut() = status;
    *same.headers_mut() = headers;
    Ok(same.into())
}

/// Holds the events of a stream against the document.
pub(crate) fn fits_stream(path: &str, text: &str) -> Result<()> {
    let kind = http::HeaderValue::from_static("text/event-stream");
    let headers = [(CONTENT_TYPE, kind)].into_iter().collect();
    let answer = Answer { status: 200, headers: &headers, body: text.as_bytes() };
    DOCUMENT.check_answer(&Method::POST, path, answer)
}

/// An error of the one shape.
pub(crate) async fn error_of(response: Response) -> Result<(u16, String, Value)> {
    let status = response.status();
    anyhow::ensure!(status != StatusCode::OK, "no error");
    let body: Value = response.json().await?;
    let error = &body["error"];
    let message = error["message"].as_str().context("no message")?;
    anyhow::ensure!(!message.is_empty() && error["type"].is_string(), "{error}");
    let code = error["code"].as_str().context("no code")?;
    Ok((status.as_u16(), code.to_owned(), error["param"].clone()))
}
