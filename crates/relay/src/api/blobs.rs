//! Blobs. A digest is no permission: an owner reads and writes its own input
//! lists; a lease reads its module and input, and writes its output.

use super::auth::{Caller, LeaseHolder, Owner};
use super::body::{blob, commit, compute, ensure_writes, put_blob, read, read_output};
use super::{Id, OCTETS};
use crate::error::{AppError, Code};
use crate::receipt::{check_output, words};
use crate::state::Shared;
use crate::store::{NewBody, OwnerRow, Write, rows};
use crate::writer::Then;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use grid_protocol::{Digest, Files, Side, limits};
use std::sync::Arc;

/// What encoding may add to the bytes that an output limit counts.
const ENCODING: usize = 64 + 8 * limits::MAX_FILES;

/// `GET /v1/blobs/{digest}`
pub(crate) async fn get(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Id(digest): Id<Digest>,
) -> Result<Response, AppError> {
    match caller {
        Caller::Owner(Owner(owner)) => {
            let found = shared.reads.run(move |db| rows::input(db, owner.id, digest)).await?;
            let size = found.ok_or_else(AppError::not_found)?;
            input(&shared, digest, size).await
        }
        Caller::Lease(LeaseHolder { job, index, .. }) => {
            if digest == job.admitted {
                return blob(&shared, digest).await;
            }
            match job.input(index).filter(|input| input.digest == digest) {
                Some(found) => input(&shared, digest, found.size).await,
                None => Err(AppError::not_found()),
            }
        }
    }
}

async fn input(shared: &Shared, digest: Digest, size: u64) -> Result<Response, AppError> {
    if !rows::is_inline(size) {
        return blob(shared, digest).await;
    }
    let body = shared.reads.run(move |db| rows::body(db, digest)).await?;
    let body = body.ok_or_else(|| Code::Internal.because("the relay lost this blob"))?;
    Ok((OCTETS, body).into_response())
}

/// `PUT /v1/blobs/{digest}`: the same answer whether the blob was there.
pub(crate) async fn put(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Id(digest): Id<Digest>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, AppError> {
    ensure_writes(&shared)?;
    match caller {
        Caller::Owner(Owner(owner)) => put_input(&shared, owner, digest, &headers, body).await?,
        Caller::Lease(holder) => put_output(&shared, holder, digest, &headers, body).await?,
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn put_input(
    shared: &Shared,
    owner: OwnerRow,
    digest: Digest,
    headers: &HeaderMap,
    body: Body,
) -> Result<(), AppError> {
    let received = read(shared, headers, body, limits::MAX_INPUT).await?;
    let bytes = received.bytes.clone();
    compute(move || check_input(&bytes, digest)).await?;
    let size = received.bytes.len() as u64;
    let inline = rows::is_inline(size);
    if !inline {
        put_blob(shared, digest, received.bytes.clone()).await?;
    }
    let bytes = inline.then(|| received.bytes.clone());
    let input = NewBody { digest, size, bytes };
    commit(shared, Write::PutInput { owner: owner.id, input }, Then::Nothing).await?;
    Ok(())
}

fn check_input(bytes: &[u8], digest: Digest) -> Result<(), AppError> {
    if Digest::of(bytes) != digest {
        return Err(Code::BadBlob.because("the body doesn't have the digest in the address"));
    }
    Files::decode(Side::Input, bytes)
        .map(drop)
        .map_err(|error| Code::BadBlob.because(format!("not an encoded input list: {error}")))
}

async fn put_output(
    shared: &Shared,
    holder: LeaseHolder,
    digest: Digest,
    headers: &HeaderMap,
    body: Body,
) -> Result<(), AppError> {
    let LeaseHolder { lease, job, index } = holder;
    let spec = job.spec(index).ok_or_else(AppError::not_found)?;
    let Some(over) = shared.core().begin_upload(lease) else {
        // The task comes back once the lease is over.
        let refused = Code::TooManyUploads.because("this lease's output was uploaded often enough");
        return Err(refused.after(shared.config.lease_deadline));
    };
    let limit = spec.output_bytes as usize + ENCODING;
    let received = tokio::select! {
        received = read_output(shared, headers, body, limit) => received?,
        _ = over => {
            let why = "the lease is over, or its output is uploaded anew";
            return Err(Code::Unauthorized.because(why));
        }
    };
    let bytes: Bytes = received.bytes.clone();
    compute(move || check_output(&bytes, digest, &spec))
        .await
        .map_err(|code| Code::BadBlob.because(words(code)))?;
    put_blob(shared, digest, received.bytes.clone()).await?;
    shared.core().end_upload(lease, digest);
    Ok(())
}
