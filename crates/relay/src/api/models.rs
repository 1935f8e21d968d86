//! Models, as nodes fetch them: the header, which names the blocks, and each
//! block. The operator installed them for everyone, so no key is asked for; the
//! digest in the address never names other bytes.

use super::Id;
use super::body::blob;
use crate::error::AppError;
use crate::state::Shared;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use grid_protocol::Digest;
use std::sync::Arc;

/// What is named by its digest may be kept for ever.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// `GET /v1/models/{digest}/header`
pub(crate) async fn header(
    State(shared): State<Arc<Shared>>,
    Id(digest): Id<Digest>,
    headers: HeaderMap,
) -> Result<Response, AppError> {
    let found = shared.reads.run(move |db| crate::store::model(db, digest)).await?;
    let model = found.ok_or_else(AppError::not_found)?;
    kept(&shared, model.digest, &headers).await
}

/// `GET /v1/models/{digest}/blocks/{number}`
pub(crate) async fn block(
    State(shared): State<Arc<Shared>>,
    Id(digest): Id<Digest>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, AppError> {
    let number = uri.path().split('/').nth(5).and_then(|text| text.parse().ok());
    let number: u32 = number.ok_or_else(AppError::not_found)?;
    let found = shared.reads.run(move |db| crate::store::model_block(db, digest, number)).await?;
    kept(&shared, found.ok_or_else(AppError::not_found)?, &headers).await
}

async fn kept(shared: &Shared, digest: Digest, headers: &HeaderMap) -> Result<Response, AppError> {
    let tag = format!("\"{digest}\"");
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag.as_str());
    let mut response =
        if known { StatusCode::NOT_MODIFIED.into_response() } else { blob(shared, digest).await? };
    response.headers_mut().insert(header::CACHE_CONTROL, FOREVER);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}
