//! The pages, and what they show beyond the public API: `/v1/live`,
//! `/v1/history`, `/v1/leaders`. All of it is derived from entries, kept in
//! memory, and read only while someone looks.

mod assets;
mod history;
mod live;

use crate::error::{AppError, Code};
use crate::state::{Shared, unix_ms};
use axum::extract::{Query, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use grid_protocol::live as wire;
use history::{History, Span};
use serde::Deserialize;
use serde::de::value::StrDeserializer;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// Streams of `/v1/live` that may be open at a time.
const STREAMS: usize = 256;
/// Entries read in one go: some tens of milliseconds.
const AT_A_TIME: u64 = 5_000;

/// What the pages' routes share beside the relay's state.
#[derive(Debug)]
struct Dashboard {
    shared: Arc<Shared>,
    history: Arc<Mutex<History>>,
    /// One reads entries at a time; the others use what it read.
    reading: tokio::sync::Mutex<()>,
    snapshot: live::Snapshot,
    streams: Arc<Semaphore>,
}

/// The routes.
pub(crate) fn router(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let dashboard = Arc::new(Dashboard {
        shared: shared.clone(),
        history: Arc::default(),
        reading: tokio::sync::Mutex::default(),
        snapshot: live::Snapshot::default(),
        streams: Arc::new(Semaphore::new(STREAMS)),
    });
    let routes = Router::new()
        .route("/v1/live", get(live::stream))
        .route("/v1/history", get(history_of))
        .route("/v1/leaders", get(leaders))
        .with_state(dashboard);
    assets::routes().merge(routes)
}

impl Dashboard {
    fn history(&self) -> MutexGuard<'_, History> {
        locked(&self.history)
    }

    /// Reads on where the last reading ended, for a bounded time.
    async fn read_on(&self) -> Result<(), AppError> {
        let _one = self.reading.lock().await;
        let history = self.history.clone();
        let read = move |db: &_| locked(&history).read_on(db, unix_ms(), AT_A_TIME);
        Ok(self.shared.reads.run(read).await?)
    }
}

fn locked(history: &Mutex<History>) -> MutexGuard<'_, History> {
    // What panicked while holding it left counts that are still counts.
    history.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    span: Span,
}

/// Whose leaders are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Of {
    #[default]
    Nodes,
    People,
    Teams,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeadersOf {
    span: String,
    #[serde(default)]
    of: Of,
}

fn span(uri: &Uri) -> Result<Span, AppError> {
    let Query(asked) = Query::<Asked>::try_from_uri(uri)
        .map_err(|_| Code::BadRequest.because("span is hour, day, week, month or all"))?;
    Ok(asked.span)
}

/// `GET /v1/history?span=hour|day|month`
async fn history_of(
    State(dashboard): State<Arc<Dashboard>>,
    uri: Uri,
) -> Result<Json<wire::History>, AppError> {
    let span = span(&uri)?;
    dashboard.read_on().await?;
    let found = dashboard.history().moments(span, unix_ms());
    found.map(Json).ok_or_else(|| Code::BadRequest.because("span is hour, day or month"))
}

/// `GET /v1/leaders?span=day|week|all&of=nodes|people|teams`
async fn leaders(State(dashboard): State<Arc<Dashboard>>, uri: Uri) -> Result<Response, AppError> {
    let Query(LeadersOf { of, span: name }) = Query::try_from_uri(&uri)
        .map_err(|_| Code::BadRequest.because("of is nodes, people or teams"))?;
    if of != Of::Nodes {
        let found = crate::people::leaders(&dashboard.shared, &name, of == Of::Teams).await?;
        return found.ok_or_else(|| Code::BadRequest.because("span is day, week or all"));
    }
    let span = Span::deserialize(StrDeserializer::<serde::de::value::Error>::new(&name))
        .map_err(|_| Code::BadRequest.because("span is day, week or all"))?;
    if span == Span::All {
        let all = dashboard.shared.reads.run(crate::store::rows::points).await?;
        return Ok(Json(history::ranked(0, true, all.nodes)).into_response());
    }
    dashboard.read_on().await?;
    let found = dashboard.history().leaders(span, unix_ms());
    found
        .map(|leaders| Json(leaders).into_response())
        .ok_or_else(|| Code::BadRequest.because("span is day, week or all"))
}
