//! Task modules.

use super::Id;
use super::auth::Owner;
use super::body::{blob, commit, compute, ensure_writes, put_blob, read};
use crate::error::{AppError, Code};
use crate::state::Shared;
use crate::store::{Write, rows};
use crate::writer::Then;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use grid_protocol::api::ModuleInfo;
use grid_protocol::{Digest, limits};
use std::sync::Arc;

/// `POST /v1/modules`: admits a module and keeps it, source and admitted.
pub(crate) async fn submit(
    State(shared): State<Arc<Shared>>,
    Owner(owner): Owner,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ModuleInfo>, AppError> {
    ensure_writes(&shared)?;
    let received = read(&shared, &headers, body, limits::MAX_MODULE).await?;
    let bytes = received.bytes.clone();
    let source = compute(move || Digest::of(&bytes)).await;
    if let Some(known) = find(&shared, &owner, source).await?
        && known.admission == grid_sandbox::ADMISSION
    {
        return Ok(Json(known));
    }
    let _turn = shared.admissions.acquire().await;
    let bytes = received.bytes.clone();
    let admitted = compute(move || {
        grid_sandbox::admit(&bytes).map(|admitted| (Digest::of(&admitted.bytes), admitted))
    })
    .await
    .map_err(|error| Code::ModuleRefused.because(error.to_string()))?;
    let (digest, admitted) = admitted;
    let info = ModuleInfo {
        source,
        admitted: digest,
        admission: grid_sandbox::ADMISSION,
        source_bytes: received.bytes.len() as u64,
        admitted_bytes: admitted.bytes.len() as u64,
        memory_pages: admitted.memory_pages,
    };
    put_blob(&shared, source, received.bytes.clone()).await?;
    put_blob(&shared, digest, Bytes::from(admitted.bytes)).await?;
    let write = Write::PutModule { owner: owner.id, info: info.clone() };
    commit(&shared, write, Then::Nothing).await?;
    Ok(Json(info))
}

/// `GET /v1/modules/{source}`
pub(crate) async fn info(
    State(shared): State<Arc<Shared>>,
    Owner(owner): Owner,
    Id(source): Id<Digest>,
) -> Result<Json<ModuleInfo>, AppError> {
    let found = find(&shared, &owner, source).await?;
    found.map(Json).ok_or_else(AppError::not_found)
}

/// `GET /v1/modules/{source}/admitted`
pub(crate) async fn admitted(
    State(shared): State<Arc<Shared>>,
    Owner(owner): Owner,
    Id(source): Id<Digest>,
) -> Result<Response, AppError> {
    let module = find(&shared, &owner, source).await?.ok_or_else(AppError::not_found)?;
    blob(&shared, module.admitted).await
}

pub(crate) async fn find(
    shared: &Shared,
    owner: &crate::store::OwnerRow,
    source: Digest,
) -> Result<Option<ModuleInfo>, AppError> {
    let id = owner.id;
    Ok(shared.reads.run(move |db| rows::module(db, id, source)).await?)
}
