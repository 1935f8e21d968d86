//! Bodies of OpenAI's API: answers as types, requests as schemas, since
//! [`super::params`] takes those apart by hand.

use super::chat::{MAX_MESSAGES, MAX_STOP};
use super::embeddings::MAX_INPUTS;
use grid_protocol::Digest;
use grid_protocol::infer::{Finish, MAX_STOPS, MAX_TOKENS, Work};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;

/// Answer to `GET /v1/models`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ModelList {
    #[schemars(extend("const" = "list"))]
    pub(super) object: &'static str,
    pub(super) data: Vec<Model>,
}

/// A model that calls may name.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Model {
    /// Its name.
    pub(super) id: String,
    #[schemars(extend("const" = "model"))]
    pub(super) object: &'static str,
    /// When the operator installed it: seconds since 1970-01-01 UTC.
    pub(super) created: u64,
    pub(super) owned_by: &'static str,
    /// What jobs name.
    pub(super) digest: Digest,
    /// What it does.
    pub(super) work: Work,
    /// Tokens that it takes at most, prompt and answer together.
    pub(super) context: u32,
    /// Size of its file.
    pub(super) bytes: u64,
}

/// Answer to `POST /v1/embeddings`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EmbeddingList {
    #[schemars(extend("const" = "list"))]
    pub(super) object: &'static str,
    /// One for each text, in order.
    pub(super) data: Vec<Embedding>,
    pub(super) model: String,
    pub(super) usage: EmbeddingUsage,
}

/// What a text became.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Embedding {
    #[schemars(extend("const" = "embedding"))]
    pub(super) object: &'static str,
    pub(super) index: usize,
    pub(super) embedding: Numbers,
}

/// A vector of length 1: numbers, or base64 of little-endian f32.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Numbers {
    /// With every digit of the f32: readers of f64 get the same number.
    Floats(Vec<f64>),
    Base64(String),
}

/// Tokens that an embedding call came to.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EmbeddingUsage {
    pub(super) prompt_tokens: u64,
    pub(super) total_tokens: u64,
}

/// An answer of a completion, or a part of one.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Completion_{C}")]
pub(crate) struct Completion<C> {
    /// Names the job.
    pub(super) id: String,
    pub(super) object: &'static str,
    /// Seconds since 1970-01-01 UTC.
    pub(super) created: u64,
    pub(super) model: String,
    /// Version of the arithmetic, and the model's digest.
    pub(super) system_fingerprint: String,
    pub(super) choices: Vec<C>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Usage>,
}

/// Tokens that a completion came to.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Usage {
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
    pub(super) total_tokens: u64,
}

/// The one answer to a conversation.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChatChoice {
    pub(super) index: u32,
    pub(super) message: ChatMessage,
    pub(super) finish_reason: Finish,
    pub(super) logprobs: (),
}

/// What the model says.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChatMessage {
    #[schemars(extend("const" = "assistant"))]
    pub(super) role: &'static str,
    pub(super) content: String,
    pub(super) refusal: (),
}

/// The next part of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChatPiece {
    pub(super) index: u32,
    pub(super) delta: Delta,
    pub(super) finish_reason: Option<Finish>,
    pub(super) logprobs: (),
}

/// What is new; nothing in the last part.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<String>,
}

/// The one answer to a prompt, or the next part of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TextChoice {
    pub(super) index: u32,
    pub(super) text: String,
    pub(super) finish_reason: Option<Finish>,
    pub(super) logprobs: (),
}

/// An event of a stream: a part or, when the call failed, why.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Event_{C}")]
#[allow(dead_code, reason = "only its schema is wanted")]
pub(crate) enum StreamEvent<C> {
    Part(Completion<C>),
    Failed(super::FailureBody),
}

/// Body of `POST /v1/chat/completions`.
pub(crate) enum ChatRequest {}
/// Body of `POST /v1/completions`.
pub(crate) enum TextRequest {}
/// Body of `POST /v1/embeddings`.
pub(crate) enum EmbeddingsRequest {}

impl JsonSchema for ChatRequest {
    fn schema_name() -> Cow<'static, str> {
        "ChatRequest".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let part = json!({
            "type": "object", "required": ["type", "text"],
            "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
        });
        let message = json!({
            "type": "object", "required": ["role", "content"],
            "properties": {
                "role": {"enum": ["system", "developer", "user", "assistant"]},
                "content": {"oneOf": [{"type": "string"}, {"type": "array", "items": part}]},
            },
        });
        generation(
            "messages",
            json!({
                "type": "array", "items": message, "minItems": 1, "maxItems": MAX_MESSAGES,
                "description": "At most 48 KiB of text in all.",
            }),
        )
    }
}

impl JsonSchema for TextRequest {
    fn schema_name() -> Cow<'static, str> {
        "TextRequest".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        generation("prompt", json!({"type": "string", "description": "At most 48 KiB."}))
    }
}

impl JsonSchema for EmbeddingsRequest {
    fn schema_name() -> Cow<'static, str> {
        "EmbeddingsRequest".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let text = json!({"type": "string", "minLength": 1});
        json_schema!({
            "description": "Other parameters are refused by name; null is the same as left out.",
            "type": "object", "additionalProperties": false, "required": ["model", "input"],
            "properties": {
                "model": {"type": "string", "description": "A model's name or digest."},
                "input": {
                    "description": "Texts of at most 32 KiB each.",
                    "oneOf": [
                        text,
                        {"type": "array", "items": text, "minItems": 1, "maxItems": MAX_INPUTS},
                    ],
                },
                "encoding_format": {"enum": ["float", "base64", null], "default": "float"},
                "user": {"description": "Ignored."},
            },
        })
    }
}

/// A request to generate text after what the parameter of this name holds.
fn generation(name: &str, what: Value) -> Schema {
    let count = json!({
        "type": ["integer", "null"], "minimum": 1, "maximum": MAX_TOKENS,
        "description": "Tokens that are generated at most; left out, 512.",
    });
    let only = |usual: Value| {
        let usual = [usual, Value::Null];
        json!({"enum": usual, "description": "May be given with the value that changes nothing."})
    };
    let stop = json!({"type": "string", "minLength": 1, "maxLength": MAX_STOP});
    let ignored = json!({"description": "Ignored."});
    json_schema!({
        "description": "Other parameters are refused by name; null is the same as left out.",
        "type": "object", "additionalProperties": false, "required": ["model", name],
        "properties": {
            "model": {"type": "string", "description": "A model's name or digest."},
            name: what,
            "max_completion_tokens": count,
            "max_tokens": count,
            "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2, "default": 1},
            "seed": {
                "type": ["integer", "null"],
                "description": "The same call with the same seed has the same answer.",
            },
            "stop": {"oneOf": [
                stop, {"type": "array", "items": stop, "maxItems": MAX_STOPS}, {"type": "null"},
            ]},
            "stream": {"type": ["boolean", "null"], "default": false},
            "stream_options": {
                "type": ["object", "null"], "additionalProperties": false,
                "properties": {
                    "include_usage": {"type": "boolean"}, "include_obfuscation": {},
                },
            },
            "n": only(json!(1)),
            "top_p": only(json!(1)),
            "presence_penalty": only(json!(0)),
            "frequency_penalty": only(json!(0)),
            "logprobs": only(json!(false)),
            "response_format": only(json!({"type": "text"})),
            "user": ignored, "metadata": ignored, "store": ignored, "safety_identifier": ignored,
        },
    })
}
