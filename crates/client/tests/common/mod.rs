//! A relay played by hand: answers each request with the bytes that a test
//! chose, then closes the connection.

#![allow(dead_code, reason = "each test file uses some of it")]

use grid_protocol::api::{JobInfo, JobState, ResultStanding, TaskResult};
use grid_protocol::{
    Ack, Digest, ExitReason, Files, JobId, LeaseId, ReceiptBody, Runtime, Side, SigningKey, Spec,
};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Method and path with query: `GET /v1/jobs`.
    pub(crate) line: String,
    /// Header lines in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct FakeRelay {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for FakeRelay {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeRelay {
    /// `answer` gives the whole answer, head and all.
    pub(crate) async fn start(
        answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (requests.clone(), Arc::new(answer));
        let server = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (log, answer) = (log.clone(), answer.clone());
                tokio::spawn(async move {
                    let Some(request) = read(&mut stream).await else { return };
                    log.lock().unwrap().push(request.clone());
                    let _ = stream.write_all(&answer(&request)).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { url, requests, server }
    }

    /// The request lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.line).collect()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let line = head.lines().next()?.trim_end_matches(" HTTP/1.1").to_owned();
    let lower = head.to_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request { line, head: lower, body })
}

/// A whole answer.
pub(crate) fn answer(status: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// A whole answer in JSON.
pub(crate) fn json(body: &impl serde::Serialize) -> Vec<u8> {
    answer("200 OK", serde_json::to_vec(body).unwrap())
}

/// An error as relays give them.
pub(crate) fn error(status: &str, code: &str) -> Vec<u8> {
    answer(status, format!(r#"{{"error":{{"code":"{code}","message":"because"}}}}"#))
}

/// A chunked answer, each chunk as given; broken off unless `whole`.
pub(crate) fn chunks(chunks: &[String], whole: bool) -> Vec<u8> {
    let mut out =
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n".to_vec();
    for chunk in chunks {
        out.extend(format!("{:x}\r\n{chunk}\r\n", chunk.len()).bytes());
    }
    out.extend(if whole { &b"0\r\n\r\n"[..] } else { b"ff\r\ncut" });
    out
}

pub(crate) fn relay_key() -> SigningKey {
    SigningKey::from_seed([2; 32])
}

pub(crate) fn node_key() -> SigningKey {
    SigningKey::from_seed([1; 32])
}

pub(crate) fn job(state: JobState) -> JobInfo {
    JobInfo {
        id: JobId([7; 16]),
        runtime: Runtime::Wasm,
        name: "job".into(),
        state,
        module: Digest::of(b"source"),
        created_ms: 0,
        tasks: 3,
        done: 0,
        failed: 0,
        leased: 0,
        provisional: 0,
        error_ppb: 100_000,
        budget: 0,
        spent: 0,
        note: None,
    }
}

pub(crate) fn spec() -> Spec {
    Spec {
        runtime: Runtime::Wasm,
        arithmetic: 0,
        source: Digest::of(b"source"),
        module: Digest::of(b"module"),
        admission: 1,
        args: vec!["--top".into()],
        env: vec![],
        seed: [7; 32],
        input: Files::stdin(b"input".to_vec()).digest(),
        fuel: 1_000_000,
        memory_pages: 256,
        output_bytes: 65_536,
    }
}

pub(crate) fn output() -> Files {
    let mut files = Files::new(Side::Output);
    files.insert("stdout", b"hello\n".to_vec()).unwrap();
    files.insert("/out/a", b"file".to_vec()).unwrap();
    files
}

pub(crate) fn body() -> ReceiptBody {
    ReceiptBody {
        relay: relay_key().public(),
        lease: LeaseId([3; 16]),
        spec: spec().digest(),
        input: spec().input,
        reason: ExitReason::Exit,
        exit_code: 0,
        output: output().digest(),
        check: Digest::ZERO,
        fuel: 12_345,
        node: node_key().public(),
    }
}

/// A result whose node signed `body`, and that the relay acknowledged.
pub(crate) fn result(seq: u64, index: u32, spec: Spec, body: ReceiptBody) -> TaskResult {
    let receipt = body.sign(&node_key());
    let digest = Digest::of(&receipt.body.encode());
    let (salt, root) = (Digest::ZERO, Digest::ZERO);
    let ack = Ack { receipt: digest, lease: receipt.body.lease, seq, salt, size: seq, root };
    let ack_signature = relay_key().sign(&ack.encode());
    let (name, output) = (format!("task {index}"), None);
    let standing = ResultStanding::Canonical;
    let quorum = Vec::new();
    TaskResult {
        seq,
        index,
        name,
        spec,
        standing,
        receipt,
        ack,
        ack_signature,
        quorum,
        output,
        hint: None,
    }
}

/// A result line of the stream.
pub(crate) fn line(seq: u64) -> String {
    let result = result(seq, seq as u32, spec(), body());
    serde_json::to_string(&result).unwrap() + "\n"
}
