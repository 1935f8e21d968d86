//! The part of OpenAI's HTTP API that inference needs, so that its clients work
//! unchanged: embeddings, chat completions, completions and models. Each call
//! is a job of the owner whose key it carries (docs/api.md).

mod call;
mod chat;
mod embeddings;
mod failed;
mod models;
mod params;

use crate::state::Shared;
use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::routing::{get, post};
use std::sync::Arc;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/models", get(models::list))
        .route("/v1/models/{id}", get(models::one))
        .route("/v1/embeddings", post(embeddings::create))
        .route("/v1/chat/completions", post(chat::chat))
        .route("/v1/completions", post(chat::completion))
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
