//! Results, streamed as they come.

use super::auth::Owner;
use super::body::blob;
use super::jobs::job;
use super::{Id, OCTETS};
use crate::error::{AppError, Code};
use crate::state::Shared;
use crate::store::{JobRow, StoreError, results, rows};
use crate::streams::UNBUFFERED;
use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use grid_protocol::JobId;
use grid_protocol::api::{JobState, TaskResult};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// Results in one read.
const PAGE: usize = 256;
/// Least time between two reads of one stream.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Results after this entry only; 0: all.
    #[serde(default)]
    after: u64,
    /// The stream stays open, and ends when the job is over.
    #[serde(default)]
    follow: bool,
    /// The first receipt of each task that is not settled comes too.
    #[serde(default)]
    provisional: bool,
}

/// `GET /v1/jobs/{id}/results?after=SEQ&follow=true&provisional=true`
pub(crate) async fn results(
    State(shared): State<Arc<Shared>>,
    Owner(owner): Owner,
    Id(id): Id<JobId>,
    uri: Uri,
) -> Result<Response, AppError> {
    let Query(asked) = Query::<Asked>::try_from_uri(&uri).map_err(|_| {
        Code::BadRequest.because("the query may hold `after`, `follow` and `provisional`")
    })?;
    let job = Arc::new(job(&shared, owner.id, id).await?);
    let lines = async_stream::stream! {
        let mut after = asked.after;
        loop {
            // Watched before it is read: what comes in between is seen.
            let watched = shared.core().job(id).map(|job| job.changed.subscribe());
            let page = match page(&shared, &job, after, asked.provisional).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(%error, job = %id, "results can't be read");
                    yield Err(error);
                    return;
                }
            };
            after = page.last;
            if !page.lines.is_empty() {
                yield Ok(page.lines);
            }
            if page.more {
                continue;
            }
            if page.over || !asked.follow {
                return;
            }
            // Results that come together are read together.
            let rest = tokio::time::sleep(PAUSE);
            let mut stop = shared.stop.subscribe();
            let changed = async {
                match watched {
                    // The job's end drops the sender.
                    Some(mut watched) => drop(watched.changed().await),
                    // It is durable, and about to be in memory.
                    None => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            };
            tokio::select! {
                _ = async { tokio::join!(changed, rest) } => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    };
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson"), UNBUFFERED];
    Ok((headers, Body::from_stream(lines)).into_response())
}

struct Page {
    lines: Bytes,
    last: u64,
    more: bool,
    over: bool,
}

async fn page(
    shared: &Arc<Shared>,
    job: &Arc<JobRow>,
    after: u64,
    provisional: bool,
) -> Result<Page, StoreError> {
    let (job, acking) = (job.clone(), shared.clone());
    let read = move |db: &rusqlite::Connection| {
        // The state first: when the job is over, no result follows what is read
        // after this.
        let over = rows::job_state_of(db, &job)? != JobState::Running;
        let found = results::results(db, &job, after, PAGE, provisional)?;
        let mut lines = Vec::new();
        for result in found.rows {
            let ack = |receipt, lease, seq| acking.log.ack(receipt, lease, seq);
            let result = result.into_result(&job, ack);
            serde_json::to_writer(&mut lines, &result).map_err(|_| StoreError::Row("a result"))?;
            lines.push(b'\n');
        }
        Ok(Page { lines: lines.into(), last: found.last, more: found.more, over })
    };
    shared.reads.run(read).await
}

/// `GET /v1/jobs/{id}/tasks/{index}/result`: the canonical result or, before
/// there is one, the first receipt's.
pub(crate) async fn result(
    State(shared): State<Arc<Shared>>,
    Owner(owner): Owner,
    Id(id): Id<JobId>,
    uri: Uri,
) -> Result<Json<TaskResult>, AppError> {
    let index = uri.path().split('/').nth(5).and_then(|text| text.parse::<u32>().ok());
    let index = index.ok_or_else(AppError::not_found)?;
    let job = job(&shared, owner.id, id).await?;
    let acking = shared.clone();
    let found = shared.reads.run(move |db| {
        let found = results::result(db, &job, index)?;
        let ack = |receipt, lease, seq| acking.log.ack(receipt, lease, seq);
        Ok(found.map(|result| result.into_result(&job, ack)))
    });
    found.await?.map(Json).ok_or_else(AppError::not_found)
}

/// `GET /v1/jobs/{id}/tasks/{index}/output`
pub(crate) async fn output(
    State(shared): State<Arc<Shared>>,
    Owner(owner): Owner,
    Id(id): Id<JobId>,
    uri: Uri,
) -> Result<Response, AppError> {
    let index = uri.path().split('/').nth(5).and_then(|text| text.parse::<u32>().ok());
    let index = index.ok_or_else(AppError::not_found)?;
    let job = job(&shared, owner.id, id).await?;
    let found = shared.reads.run(move |db| rows::output(db, &job, index)).await?;
    match found.ok_or_else(AppError::not_found)? {
        (_, Some(bytes)) => Ok((OCTETS, bytes).into_response()),
        (digest, None) => blob(&shared, digest).await,
    }
}
