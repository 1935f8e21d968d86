//! `POST /v1/chat/completions` and `POST /v1/completions`, streamed or not.

use super::call::{Asked, Call, submit};
use super::embeddings::standing;
use super::failed::Failed;
use super::params::{MAX_BODY, Params, check_work, find_model, invalid};
use super::wire::{ChatChoice, ChatMessage, ChatPiece, Completion, Delta, TextChoice, Usage};
use super::{STANDING, headers};
use crate::api::auth::Owner;
use crate::api::body::read;
use crate::core::random;
use crate::error::AppError;
use crate::state::{Shared, unix_ms};
use crate::streams;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use grid_protocol::Digest;
use grid_protocol::infer::{
    ARITHMETIC, Finish, GenerateAnswer, GenerateRequest, MAX_STOPS, MAX_TOKENS, Message, Role, Work,
};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Tokens that are generated when the caller doesn't say.
const DEFAULT_TOKENS: u64 = 512;
/// Most text of a prompt, in bytes.
const MAX_PROMPT: usize = 48 << 10;
/// Longest stop string, in bytes.
pub(super) const MAX_STOP: usize = 256;
/// Messages in one conversation.
pub(super) const MAX_MESSAGES: usize = 1_024;
/// Tokens that a template may add to one message.
const TEMPLATE: u64 = 32;

/// `POST /v1/chat/completions`
pub(crate) async fn chat(
    State(shared): State<Arc<Shared>>,
    owner: Result<Owner, AppError>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    create(shared, owner, headers, body, Shape::Chat).await
}

/// `POST /v1/completions`
pub(crate) async fn completion(
    State(shared): State<Arc<Shared>>,
    owner: Result<Owner, AppError>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    create(shared, owner, headers, body, Shape::Text).await
}

/// The right to make a call while others are under way.
pub(crate) fn permit(shared: &Shared) -> Result<OwnedSemaphorePermit, Failed> {
    shared.calls.clone().try_acquire_owned().map_err(|_| {
        let message = "the relay answers as many calls as it can now; try again";
        Failed::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", message)
    })
}

/// The two shapes of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Chat,
    Text,
}

async fn create(
    shared: Arc<Shared>,
    owner: Result<Owner, AppError>,
    request: HeaderMap,
    body: Body,
    shape: Shape,
) -> Result<Response, Failed> {
    let Owner(owner) = owner?;
    let permit = permit(&shared)?;
    let received = read(&shared, &request, body, MAX_BODY).await?;
    let wanted = parse(&received.bytes, shape)?;
    drop(received);
    let name = wanted.model.clone();
    let found = shared.reads.run(move |db| find_model(db, &name)).await?;
    let model = found.ok_or_else(|| Failed::no_model(&wanted.model))?;
    check_work(&model, Work::Generate)?;
    let answer = Answering {
        shape,
        id: String::new(),
        created: unix_ms() / 1000,
        model: model.name.clone(),
        fingerprint: format!("grid-{ARITHMETIC}-{}", &model.digest.to_string()[..16]),
    };
    let asked = Asked {
        model,
        work: Work::Generate,
        tokens: wanted.tokens(),
        requests: vec![json!(wanted.request).to_string().into_bytes()],
        seed: wanted.seed,
    };
    let (call, text) = submit(&shared, &owner, asked, wanted.stream).await?;
    let answer = Answering { id: format!("{}-{}", shape.prefix(), call.id()), ..answer };
    match text {
        Some(text) => Ok(stream(call, text, answer, wanted.usage, permit)),
        None => whole(call, &answer).await,
    }
}

async fn whole(mut call: Call, answering: &Answering) -> Result<Response, Failed> {
    let settled = call.settled().await?;
    let answer = one(&call).await?;
    let mut headers = headers(&call.receipt());
    headers.insert(STANDING, standing(settled));
    Ok((headers, Json(answering.whole(&answer))).into_response())
}

async fn one(call: &Call) -> Result<GenerateAnswer, Failed> {
    let lost = || Failed::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "there is no answer");
    call.answers().await?.pop().ok_or_else(lost)
}

/// Server-sent events: text as the node sends it, provisional; then what its
/// receipt adds; then the end.
fn stream(
    mut call: Call,
    mut text: watch::Receiver<String>,
    answering: Answering,
    usage: bool,
    permit: OwnedSemaphorePermit,
) -> Response {
    let headers = headers(&call.receipt());
    let events = async_stream::stream! {
        let _permit = permit;
        yield event(&answering.piece("", None));
        let mut sent = String::new();
        let ended = loop {
            let more = async {
                // The job is over: its result says the rest.
                if text.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                ended = call.first() => break ended,
                () = more => {
                    let now = text.borrow_and_update().clone();
                    let fresh = now[sent.len()..].to_owned();
                    sent = now;
                    yield event(&answering.piece(&fresh, None));
                }
            }
        };
        let answer = match ended {
            Ok(()) => one(&call).await,
            Err(failed) => Err(failed),
        };
        let rest = answer.and_then(|answer| match answer.text.strip_prefix(&sent) {
            Some(rest) => Ok((rest.to_owned(), answer)),
            None => {
                let message = "the provisional text was not what the node signed: ask again";
                Err(Failed::new(StatusCode::BAD_GATEWAY, "text_replaced", message))
            }
        });
        match rest {
            Ok((rest, answer)) => {
                if !rest.is_empty() {
                    yield event(&answering.piece(&rest, None));
                }
                yield event(&answering.piece("", Some(answer.finish)));
                if usage {
                    yield event(&answering.usage(&answer));
                }
            }
            Err(failed) => yield event(&failed.body()),
        }
        yield Ok(Event::default().data("[DONE]"));
    };
    (headers, [(header::CACHE_CONTROL, "no-store")], streams::events(events)).into_response()
}

fn event(value: &Value) -> Result<Event, Infallible> {
    Ok(Event::default().data(value.to_string()))
}

impl Shape {
    fn prefix(self) -> &'static str {
        match self {
            Self::Chat => "chatcmpl",
            Self::Text => "cmpl",
        }
    }
}

/// What every part of an answer repeats.
struct Answering {
    shape: Shape,
    id: String,
    created: u64,
    model: String,
    fingerprint: String,
}

impl Answering {
    fn object<C>(&self, object: &'static str, choices: Vec<C>) -> Completion<C> {
        Completion {
            id: self.id.clone(),
            object,
            created: self.created,
            model: self.model.clone(),
            system_fingerprint: self.fingerprint.clone(),
            choices,
            usage: None,
        }
    }

    fn whole(&self, answer: &GenerateAnswer) -> Value {
        let (content, finish) = (answer.text.clone(), answer.finish);
        let usage = Some(usage(answer));
        match self.shape {
            Shape::Chat => {
                let message = ChatMessage { role: "assistant", content, refusal: () };
                let choice = ChatChoice { index: 0, message, finish_reason: finish, logprobs: () };
                json!(Completion { usage, ..self.object("chat.completion", vec![choice]) })
            }
            Shape::Text => {
                let choice = text_choice(content, Some(finish));
                json!(Completion { usage, ..self.object(self.chunk(), vec![choice]) })
            }
        }
    }

    fn piece(&self, text: &str, finish: Option<Finish>) -> Value {
        match self.shape {
            Shape::Chat => {
                let delta = match finish {
                    Some(_) => Delta::default(),
                    None => Delta { role: Some("assistant"), content: Some(text.into()) },
                };
                let piece = ChatPiece { index: 0, delta, finish_reason: finish, logprobs: () };
                json!(self.object(self.chunk(), vec![piece]))
            }
            Shape::Text => json!(self.object(self.chunk(), vec![text_choice(text.into(), finish)])),
        }
    }

    fn usage(&self, answer: &GenerateAnswer) -> Value {
        let last = self.object::<TextChoice>(self.chunk(), Vec::new());
        json!(Completion { usage: Some(usage(answer)), ..last })
    }

    fn chunk(&self) -> &'static str {
        match self.shape {
            Shape::Chat => "chat.completion.chunk",
            Shape::Text => "text_completion",
        }
    }
}

fn text_choice(text: String, finish_reason: Option<Finish>) -> TextChoice {
    TextChoice { index: 0, text, finish_reason, logprobs: () }
}

fn usage(answer: &GenerateAnswer) -> Usage {
    let (prompt_tokens, completion_tokens) = (answer.prompt_tokens, answer.tokens.len() as u64);
    let total_tokens = prompt_tokens.saturating_add(completion_tokens);
    Usage { prompt_tokens, completion_tokens, total_tokens }
}

struct Wanted {
    model: String,
    request: GenerateRequest,
    seed: Option<Digest>,
    stream: bool,
    usage: bool,
}

impl Wanted {
    /// The most tokens that the call may come to: none is shorter than a byte.
    fn tokens(&self) -> u64 {
        let messages = &self.request.messages;
        let bytes: usize = messages.iter().map(|message| message.content.len()).sum();
        let bytes = bytes + self.request.prompt.as_ref().map_or(0, String::len);
        bytes as u64 + u64::from(self.request.max_tokens) + TEMPLATE * (messages.len() as u64 + 2)
    }
}

fn parse(body: &Bytes, shape: Shape) -> Result<Wanted, Failed> {
    let mut params = Params::parse(body)?;
    let model = params.text("model")?;
    let (messages, prompt) = match shape {
        Shape::Chat => (conversation(params.required("messages")?)?, None),
        Shape::Text => (Vec::new(), Some(params.text("prompt")?)),
    };
    let text = |message: &Message| message.content.len();
    let bytes = messages.iter().map(text).sum::<usize>() + prompt.as_ref().map_or(0, String::len);
    if bytes > MAX_PROMPT {
        let name = if shape == Shape::Chat { "messages" } else { "prompt" };
        return Err(invalid(name, &format!("at most {MAX_PROMPT} bytes of text")));
    }
    let range = 1..=u64::from(MAX_TOKENS);
    let newer = params.integer("max_completion_tokens", range.clone())?;
    let older = params.integer("max_tokens", range)?;
    let max_tokens = newer.or(older).unwrap_or(DEFAULT_TOKENS) as u32;
    let temperature = params.thousandths("temperature")?.unwrap_or(1_000);
    let stop = stops(params.take("stop"))?;
    let seed = match params.take("seed") {
        Some(seed) => {
            let seed = seed.as_i64().ok_or_else(|| invalid("seed", "a whole number"))?;
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&seed.to_le_bytes());
            Some(Digest(bytes))
        }
        // Without chance the seed has no say, and the same call is the same
        // task.
        None if temperature == 0 => None,
        None => Some(Digest(random())),
    };
    let stream = params.flag("stream")?;
    let usage = match params.take("stream_options") {
        None => false,
        Some(Value::Object(mut options)) => {
            let usage = options.remove("include_usage") == Some(Value::Bool(true));
            options.remove("include_obfuscation");
            if let Some((name, _)) = options.into_iter().next() {
                let name = format!("stream_options.{name}");
                return Err(invalid(&name, "left out: this relay doesn't support it"));
            }
            usage
        }
        Some(_) => return Err(invalid("stream_options", "an object")),
    };
    params.only("n", &json!(1), "a call gives one answer; make several calls for more")?;
    params.only("top_p", &json!(1), "sampling knows temperature only")?;
    for name in ["presence_penalty", "frequency_penalty"] {
        params.only(name, &json!(0), "sampling knows temperature only")?;
    }
    params.only("logprobs", &json!(false), "there are no log probabilities")?;
    params.only("response_format", &json!({"type": "text"}), "answers are text")?;
    // Who asks is the key's owner, and nothing is stored but the job.
    for name in ["user", "metadata", "store", "safety_identifier"] {
        params.take(name);
    }
    params.finish()?;
    let request = GenerateRequest { messages, prompt, max_tokens, temperature, stop };
    Ok(Wanted { model, request, seed, stream, usage })
}

fn conversation(messages: Value) -> Result<Vec<Message>, Failed> {
    let Value::Array(messages) = messages else { return Err(invalid("messages", "a list")) };
    if messages.is_empty() || messages.len() > MAX_MESSAGES {
        return Err(invalid("messages", &format!("1 to {MAX_MESSAGES} messages")));
    }
    let message = |(index, message): (usize, Value)| {
        let name = |field: &str| format!("messages[{index}].{field}");
        let role: Role = serde_json::from_value(message["role"].clone())
            .map_err(|_| invalid(&name("role"), "`system`, `developer`, `user` or `assistant`"))?;
        let form = "a text, or a list of parts of type `text`";
        let content = match &message["content"] {
            Value::String(text) => text.clone(),
            Value::Array(parts) => parts
                .iter()
                .map(|part| match (part["type"].as_str(), part["text"].as_str()) {
                    (Some("text"), Some(text)) => Ok(text),
                    _ => Err(invalid(&name("content"), form)),
                })
                .collect::<Result<String, _>>()?,
            _ => return Err(invalid(&name("content"), form)),
        };
        Ok(Message { role, content })
    };
    messages.into_iter().enumerate().map(message).collect()
}

fn stops(stop: Option<Value>) -> Result<Vec<String>, Failed> {
    let form = format!("up to {MAX_STOPS} texts of 1 to {MAX_STOP} bytes");
    let stops = match stop {
        None => Vec::new(),
        Some(Value::String(stop)) => vec![stop],
        Some(Value::Array(stops)) => stops
            .into_iter()
            .map(|stop| stop.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| invalid("stop", &form))?,
        Some(_) => return Err(invalid("stop", &form)),
    };
    let fits = |stop: &String| (1..=MAX_STOP).contains(&stop.len());
    if stops.len() > MAX_STOPS || !stops.iter().all(fits) {
        return Err(invalid("stop", &form));
    }
    Ok(stops)
}
