//! Bodies, in and out: bounded in size, in time, and in memory all together.

use crate::config::Patience;
use crate::error::{AppError, Code, store_unavailable};
use crate::state::Shared;
use crate::store::{BlobError, Outcome, Refusal, Write};
use crate::writer::{Request, Then};
use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt as _;
use grid_protocol::Digest;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tokio_util::io::ReaderStream;

/// Bytes a second that a slow line carries: half a megabit.
const SLOW_LINE: u64 = 64 << 10;
/// How long a request waits for memory that others use.
const WAIT: Duration = Duration::from_secs(10);
/// How long a caller waits for its write.
const COMMIT: Duration = Duration::from_secs(10);

/// A body, and the right to have it in memory.
pub(crate) struct Received<'a> {
    pub(crate) bytes: Bytes,
    _permit: SemaphorePermit<'a>,
}

/// Reads a body of at most `limit` bytes. Only who may send one gets here: the
/// memory for it is set aside before it comes.
pub(crate) async fn read<'a>(
    shared: &'a Shared,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Received<'a>, AppError> {
    read_into(&shared.body_memory, shared.config.patience, headers, body, limit).await
}

/// The same, of a lease's output.
pub(crate) async fn read_output<'a>(
    shared: &'a Shared,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Received<'a>, AppError> {
    read_into(&shared.output_memory, shared.config.patience, headers, body, limit).await
}

async fn read_into<'a>(
    memory: &'a Semaphore,
    patience: Patience,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Received<'a>, AppError> {
    let most = most(headers, limit)?;
    let mebibytes = (3 * most).div_ceil(1 << 20) as u32;
    let permit = timeout(WAIT, memory.acquire_many(mebibytes)).await;
    let Ok(Ok(permit)) = permit else {
        return Err(Code::Busy.because("the relay reads other large bodies now; try again"));
    };
    Ok(Received { bytes: gather(patience, body, most).await?, _permit: permit })
}

/// Reads a body of at most `limit` bytes, and few of them, from anyone.
pub(crate) async fn read_small(
    shared: &Shared,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Bytes, AppError> {
    gather(shared.config.patience, body, most(headers, limit)?).await
}

/// Bytes that the body may have: no more than it says.
fn most(headers: &HeaderMap, limit: usize) -> Result<usize, AppError> {
    let claimed = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    match claimed {
        Some(length) if length > limit as u64 => Err(too_large(limit)),
        Some(length) => Ok(length as usize),
        None => Ok(limit),
    }
}

fn too_large(limit: usize) -> AppError {
    Code::TooLarge.because(format!("the body is over {limit} bytes, the most allowed here"))
}

async fn gather(patience: Patience, body: Body, most: usize) -> Result<Bytes, AppError> {
    let slow = |_| Code::Timeout.because("the body came too slowly");
    let whole = patience.body + Duration::from_secs(most as u64 / SLOW_LINE);
    let mut bytes = Vec::new();
    let mut stream = body.into_data_stream();
    let reading = async {
        while let Some(chunk) = timeout(patience.pause, stream.next()).await.map_err(slow)? {
            let chunk = chunk.map_err(|_| Code::BadRequest.because("the body broke off"))?;
            if bytes.len() + chunk.len() > most {
                return Err(too_large(most));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(())
    };
    timeout(whole, reading).await.map_err(slow)??;
    Ok(bytes.into())
}

/// A blob as an answer, read as it is sent.
pub(crate) async fn blob(shared: &Shared, digest: Digest) -> Result<Response, AppError> {
    let blobs = shared.blobs.clone();
    let found = blocking(move || blobs.open_blob(digest)).await?;
    let (file, size) = found.ok_or_else(|| {
        tracing::error!(%digest, "a blob that is referred to is missing");
        Code::Internal.because("the relay lost this blob")
    })?;
    let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(file), 64 * 1024);
    let length = [(header::CONTENT_LENGTH, size)];
    Ok((super::OCTETS, length, Body::from_stream(stream)).into_response())
}

/// Keeps a blob, durably.
pub(crate) async fn put_blob(
    shared: &Shared,
    digest: Digest,
    bytes: Bytes,
) -> Result<(), AppError> {
    let blobs = shared.blobs.clone();
    blocking(move || blobs.put(digest, &bytes)).await?;
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, AppError> {
    Ok(compute(work).await?)
}

/// Runs something long on a thread that may block.
pub(crate) async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Refuses what would have to be kept while nothing can be.
pub(crate) fn ensure_writes(shared: &Shared) -> Result<(), AppError> {
    if shared.takes_writes() { Ok(()) } else { Err(store_unavailable()) }
}

/// Makes a write durable before it is answered. When the store fails just now,
/// the answer says so after a while; whether the write holds is then not
/// known, and the caller looks.
pub(crate) async fn commit(shared: &Shared, write: Write, then: Then) -> Result<Outcome, AppError> {
    ensure_writes(shared)?;
    match timeout(COMMIT, shared.writer.ask(Request { write, then })).await {
        Ok(answer) => match answer? {
            Outcome::Refused(refusal) => Err(refused(refusal)),
            outcome => Ok(outcome),
        },
        Err(_) => Err(Code::StoreUnavailable
            .because("the relay can't say yet whether this was kept: look before you repeat it")),
    }
}

fn refused(refusal: Refusal) -> AppError {
    match refusal {
        Refusal::BudgetTooSmall { .. } => Code::BudgetTooSmall.because(refusal.to_string()),
        Refusal::NoSuchJob => AppError::not_found(),
        Refusal::NoSuchTeam => AppError::not_found(),
        Refusal::NoSuchCampaign => AppError::not_found(),
        _ => Code::BadRequest.because(refusal.to_string()),
    }
}
