//! What anyone may see, and an owner's account.

use super::auth::Owner;
use crate::error::{AppError, Code, store_unavailable};
use crate::network;
use crate::state::Shared;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use grid_protocol::api::AccountInfo;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// `GET /v1/account`
pub(crate) async fn account(Owner(owner): Owner) -> Json<AccountInfo> {
    Json(AccountInfo { name: owner.name, budget: owner.balance })
}

/// `GET /v1/network`
pub(crate) async fn network(State(shared): State<Arc<Shared>>) -> Response {
    let json = network::json(&shared);
    ([(header::CONTENT_TYPE, "application/json")], json.to_string()).into_response()
}

/// `GET /v1/network/live`: an event when something changed, at most one a
/// second.
pub(crate) async fn live(State(shared): State<Arc<Shared>>) -> Result<Response, AppError> {
    if shared.live_streams.available_permits() == 0 {
        return Err(Code::Busy.because("too many watch already; try again later"));
    }
    let events = async_stream::stream! {
        let Ok(_permit) = shared.live_streams.try_acquire() else { return };
        let mut stop = shared.stop.subscribe();
        let mut last = None;
        loop {
            let json = network::json(&shared);
            if last.as_ref() != Some(&json) {
                yield Ok::<_, Infallible>(Event::default().data(&*json));
                last = Some(json);
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    };
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

/// `GET /healthz`
pub(crate) async fn health(State(shared): State<Arc<Shared>>) -> Result<&'static str, AppError> {
    if shared.takes_writes() { Ok("ok\n") } else { Err(store_unavailable()) }
}

/// `GET /metrics`
pub(crate) async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let format = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, format)], network::metrics(&shared))
}
