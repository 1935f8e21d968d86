//! Inference without a model: answers that are made up, but the same wherever
//! they are made, and nodes that give them.

use crate::scripted::ScriptedNode;
use anyhow::Result;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use grid_protocol::infer::{
    ARITHMETIC, EmbedAnswer, EmbedRequest, Finish, GenerateAnswer, GenerateRequest, REFUSED, Role,
    Work,
};
use grid_protocol::{
    Digest, ExitReason, Files, FromNode, Inference, Join, LeaseId, LeaseOffer, Package, Partial,
    ReceiptBody, RunResult, Side, SigningKey, Spec, ToNode,
};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;

/// Numbers in a made-up embedding.
pub const DIMENSIONS: usize = 8;
/// A text with this in it is more than the model can take.
pub const TOO_LONG: &str = "too long for the model";

/// What a task of runtime `infer` comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeUp {
    /// Its exit code.
    pub exit_code: u32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// The receipt's check digest.
    pub check: Digest,
    /// Fuel.
    pub fuel: u64,
    /// The text in pieces, where it was generated.
    pub pieces: Vec<String>,
}

impl MadeUp {
    /// The answer to a task: an embedding is made of its text's digest; what is
    /// generated is what the user said last, word by word, with a number of the
    /// seed's before it where the temperature is not 0.
    pub fn new(spec: &Spec, input: &Files) -> Self {
        let stdin = input.get("stdin").unwrap_or_default();
        let made = match spec.args.first().and_then(|work| Work::of(work)) {
            Some(Work::Embed) => embed(stdin),
            Some(Work::Generate) => generate(stdin, spec),
            None => Err("no work".into()),
        };
        match made {
            Ok((stdout, pieces)) => {
                let check = Digest::of(&[b"check", &stdout[..]].concat());
                let fuel = (1_000 + stdout.len() as u64).min(spec.fuel);
                Self { exit_code: 0, stdout, stderr: Vec::new(), check, fuel, pieces }
            }
            Err(why) => Self {
                exit_code: REFUSED,
                stdout: Vec::new(),
                stderr: why.into_bytes(),
                check: Digest::ZERO,
                fuel: 1,
                pieces: Vec::new(),
            },
        }
    }

    /// As an output list.
    pub fn output(&self) -> Files {
        let mut files = Files::new(Side::Output);
        for (path, bytes) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !bytes.is_empty() {
                files.insert(path, bytes.clone()).expect("the paths are an output's");
            }
        }
        files
    }
}

type Made = Result<(Vec<u8>, Vec<String>), String>;

fn embed(stdin: &[u8]) -> Made {
    let request: EmbedRequest = serde_json::from_slice(stdin).map_err(|error| error.to_string())?;
    if let Some(text) = request.texts.iter().find(|text| text.contains(TOO_LONG)) {
        return Err(format!("a text has {} tokens, the model takes 5", words(text)));
    }
    let vector = |text: &String| {
        let digest = Digest::of(text.as_bytes()).0;
        let numbers = digest[..DIMENSIONS].iter().map(|byte| (f32::from(*byte) - 127.5) / 256.0);
        BASE64_STANDARD.encode(numbers.flat_map(f32::to_le_bytes).collect::<Vec<u8>>())
    };
    let answer = EmbedAnswer {
        embeddings: request.texts.iter().map(vector).collect(),
        tokens: request.texts.iter().map(|text| words(text)).sum(),
    };
    Ok((json(&answer), Vec::new()))
}

fn generate(stdin: &[u8], spec: &Spec) -> Made {
    let request: GenerateRequest =
        serde_json::from_slice(stdin).map_err(|error| error.to_string())?;
    let last = request.messages.iter().rev().find(|message| message.role == Role::User);
    let asked = last.map(|message| message.content.clone()).or(request.prompt.clone());
    let asked = asked.ok_or("nobody asks")?;
    if asked.contains(TOO_LONG) {
        return Err(format!("the prompt has {} tokens, the model takes 5", words(&asked)));
    }
    let mut said: Vec<String> = Vec::new();
    if request.temperature > 0 {
        said.push(spec.seed[0].to_string());
    }
    said.extend(asked.split_whitespace().map(str::to_owned));
    let finish = match said.len() > request.max_tokens as usize {
        true => Finish::Length,
        false => Finish::Stop,
    };
    said.truncate(request.max_tokens as usize);
    let mut text = said.join(" ");
    for stop in &request.stop {
        text.truncate(text.find(stop).unwrap_or(text.len()));
    }
    let contents = request.messages.iter().map(|message| words(&message.content));
    let answer = GenerateAnswer {
        tokens: said.iter().map(|word| word.len() as u32).collect(),
        finish,
        prompt_tokens: contents.sum::<u64>() + request.prompt.as_deref().map_or(0, words),
        text: text.clone(),
    };
    let pieces = text.split_inclusive(' ').map(str::to_owned).collect();
    Ok((json(&answer), pieces))
}

fn words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

fn json<T: serde::Serialize>(answer: &T) -> Vec<u8> {
    serde_json::to_vec(answer).expect("an answer has text keys only")
}

/// What a node of this kind is started with.
#[derive(Debug, Clone)]
pub struct InferNodeSetup {
    /// Its key.
    pub key: SigningKey,
    /// Models that it says it holds.
    pub models: Vec<Digest>,
    /// Send what is generated piece by piece, before the result.
    pub streams: bool,
    /// Change one letter of what is generated, and nothing else.
    pub lies: bool,
}

/// A node that infers, with nothing else to do. Dropping it stops it as a crash
/// would.
#[derive(Debug)]
pub struct InferNode {
    task: JoinHandle<()>,
    drafts: Arc<Mutex<Vec<Option<Vec<u8>>>>>,
}

impl InferNode {
    /// Joins the relay at `origin`, and works from then on.
    pub async fn start(origin: &str, setup: InferNodeSetup) -> Result<Self> {
        let mut node = ScriptedNode::connect(origin, setup.key.clone()).await?;
        let challenge = node.hello().await?;
        let inference =
            Some(Inference { arithmetics: vec![ARITHMETIC], models: setup.models.clone() });
        let package = Package::BuiltinOnly;
        let join = node.join_message(&challenge);
        let join = Join { inference, package, admissions: vec![], ..join };
        node.send(&FromNode::Join(join)).await?;
        let welcome = node.next().await?;
        anyhow::ensure!(matches!(welcome, Some(ToNode::Welcome { .. })), "{welcome:?}");
        let drafts = Arc::default();
        let seen = Arc::clone(&drafts);
        let task = tokio::spawn(async move {
            // It ends with its socket; the test that needs it says so.
            let _ = work(node, setup, seen).await;
        });
        Ok(Self { task, drafts })
    }

    /// The drafts that came with its leases, in order.
    pub fn drafts(&self) -> Vec<Option<Vec<u8>>> {
        self.drafts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for InferNode {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn work(
    mut node: ScriptedNode,
    setup: InferNodeSetup,
    drafts: Arc<Mutex<Vec<Option<Vec<u8>>>>>,
) -> Result<()> {
    node.send(&FromNode::Ready { slots: 1 }).await?;
    loop {
        // Nothing for ten seconds is no news.
        let Ok(message) = node.next().await else { continue };
        match message {
            None => return Ok(()),
            Some(ToNode::Lease(offer)) => {
                drafts.lock().unwrap_or_else(PoisonError::into_inner).push(offer.draft.clone());
                answer(&mut node, &setup, &offer).await?;
                node.send(&FromNode::Ready { slots: 1 }).await?;
            }
            Some(_) => {}
        }
    }
}

async fn answer(node: &mut ScriptedNode, setup: &InferNodeSetup, offer: &LeaseOffer) -> Result<()> {
    let spec = Spec::decode(&offer.spec)?;
    let input = Files::decode(Side::Input, offer.input.as_deref().unwrap_or_default())?;
    let mut made = MadeUp::new(&spec, &input);
    if setup.lies && made.stdout.len() > 9 {
        made.stdout[9] ^= 1;
    }
    if setup.streams {
        for partial in partials(offer.lease, &made.pieces) {
            node.send(&FromNode::Partial(partial)).await?;
        }
    }
    let output = made.output().encode();
    let body = ReceiptBody {
        relay: node.relay,
        lease: offer.lease,
        spec: spec.digest(),
        input: spec.input,
        reason: ExitReason::Exit,
        exit_code: made.exit_code,
        output: Digest::of(&output),
        check: made.check,
        fuel: made.fuel,
        node: node.key.public(),
    };
    let receipt = body.encode();
    let signature = node.key.sign(&receipt);
    let result = RunResult { receipt, signature, output: Some(output), hint: None };
    node.send(&FromNode::Result(result)).await
}

fn partials(lease: LeaseId, pieces: &[String]) -> Vec<Partial> {
    let mut offset = 0;
    let partial = |text: &String| {
        let partial = Partial { lease, offset, text: text.clone() };
        offset += text.len() as u32;
        partial
    };
    pieces.iter().map(partial).collect()
}
