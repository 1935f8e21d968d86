//! What anyone may see, and an owner's account.

use super::auth::Owner;
use crate::error::{AppError, store_unavailable};
use crate::network;
use crate::socket::{Peer, address};
use crate::state::Shared;
use crate::streams::events;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
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
pub(crate) async fn live(
    State(shared): State<Arc<Shared>>,
    peer: Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, AppError> {
    let watching = shared.watchers.admit(address(&shared, peer.0, &headers))?;
    Ok(events(async_stream::stream! {
        let _watching = watching;
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
    }))
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
