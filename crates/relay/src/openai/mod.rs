//! The part of OpenAI's HTTP API that inference needs, so that its clients work
//! unchanged: embeddings, chat completions, completions and models. Each call
//! is a job of the owner whose key it carries (docs/api.md).

mod call;
mod chat;
mod embeddings;
mod failed;
mod models;
mod params;

mod wire;

#[cfg(test)]
pub(crate) use failed::OF_CALLS as FAILURES;
pub(crate) use failed::{Failed, Failure, FailureBody};

use crate::error::Code;
use crate::openapi::{Api, Operation, Who, op};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use failed::{OF_CALLS, OF_MODELS};

pub(crate) fn api() -> Api {
    let chat = || call("A chat completion").takes::<wire::ChatRequest>();
    let text = || call("A completion").takes::<wire::TextRequest>();
    let embeddings = call("Embeddings").takes::<wire::EmbeddingsRequest>();
    Api::new()
        .get("/v1/models", models::list, model("Models").gives::<wire::ModelList>())
        .get("/v1/models/{model}", models::one, model("A model").gives::<wire::Model>())
        .post("/v1/embeddings", embeddings::create, embeddings.gives::<wire::EmbeddingList>())
        .post(
            "/v1/chat/completions",
            chat::chat,
            chat()
                .gives::<wire::Completion<wire::ChatChoice>>()
                .gives_events::<wire::StreamEvent<wire::ChatPiece>>(),
        )
        .post(
            "/v1/completions",
            chat::completion,
            text()
                .gives::<wire::Completion<wire::TextChoice>>()
                .gives_events::<wire::StreamEvent<wire::TextChoice>>(),
        )
}

/// Something about models, in OpenAI's shape.
fn model(summary: &'static str) -> Operation {
    op(summary).by(Who::Owner).fails_as_openai(OF_MODELS)
}

/// A call: a job of the owner's.
fn call(summary: &'static str) -> Operation {
    op(summary)
        .notes(
            "As OpenAI's clients expect it. The call is a job of the owner's, paid from the \
             budget; nodes see the prompt. A stream's last event is `[DONE]`.",
        )
        .by(Who::Owner)
        .fails(&[Code::BudgetTooSmall, Code::BadSpec])
        .fails_as_openai(OF_CALLS)
        .header("Grid-Receipt", "Where the result is, or will be, with its receipt.")
        .header("Grid-Standing", "`canonical` or `provisional`; streams have none.")
        .header("Grid-Notice", "`nodes see the prompt`")
}

/// Where the receipt of an answer is, or will be.
const RECEIPT: HeaderName = HeaderName::from_static("grid-receipt");
/// Whether the answer is final.
const STANDING: HeaderName = HeaderName::from_static("grid-standing");

/// Headers of every answer that nodes made.
fn headers(receipt: &str) -> HeaderMap {
    let notice = HeaderValue::from_static("nodes see the prompt");
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("grid-notice"), notice);
    if let Ok(receipt) = HeaderValue::from_str(receipt) {
        headers.insert(RECEIPT, receipt);
    }
    headers
}
