//! The HTTP API (docs/api.md).

pub(crate) mod auth;
mod blobs;
pub(crate) mod body;
pub(crate) mod jobs;
mod models;
mod modules;
mod nodes;
mod public;
mod results;

use crate::error::{AppError, Code, finish};
use crate::socket;
use crate::state::Shared;
use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::{HeaderName, Method, header, request::Parts};
use axum::middleware;
use axum::routing::{get, post};
use std::str::FromStr;
use std::sync::Arc;
use tower_http::cors::{Any, CorsLayer};

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    // Nodes fetch from an extension's or a page's origin, with a lease's token
    // in a header; there are no cookies anywhere.
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::PUT])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .max_age(std::time::Duration::from_secs(86_400));
    // `cors` answers OPTIONS; a route for it lets it.
    let blob = get(blobs::get).put(blobs::put).options(|| async {}).layer(cors.clone());
    let header = get(models::header).options(|| async {}).layer(cors.clone());
    let block = get(models::block).options(|| async {}).layer(cors);
    Router::new()
        .route("/v1/modules", post(modules::submit))
        .route("/v1/modules/{source}", get(modules::info))
        .route("/v1/modules/{source}/admitted", get(modules::admitted))
        .route("/v1/blobs/{digest}", blob)
        .route("/v1/models/{digest}/header", header)
        .route("/v1/models/{digest}/blocks/{number}", block)
        .route("/v1/jobs", get(jobs::list).post(jobs::submit))
        .route("/v1/jobs/{id}", get(jobs::info))
        .route("/v1/jobs/{id}/tasks", get(jobs::tasks))
        .route("/v1/jobs/{id}/results", get(results::results))
        .route("/v1/jobs/{id}/cancel", post(jobs::cancel))
        .route("/v1/jobs/{id}/tasks/{index}/output", get(results::output))
        .route("/v1/jobs/{id}/tasks/{index}/result", get(results::result))
        .route("/v1/account", get(public::account))
        .route("/v1/node", get(socket::upgrade))
        .route("/v1/nodes/{key}", get(nodes::standing))
        .route("/v1/points", get(nodes::points))
        .route("/v1/network", get(public::network))
        .route("/v1/network/live", get(public::live))
        .route("/healthz", get(public::health))
        .route("/metrics", get(public::metrics))
        .merge(crate::openai::router())
        .merge(crate::dashboard::router(&shared))
        .merge(crate::people::router())
        .merge(crate::log::router())
        .fallback(|| async { AppError::not_found() })
        .method_not_allowed_fallback(|| async {
            Code::MethodNotAllowed.because("this address doesn't take this method")
        })
        .layer(middleware::from_fn_with_state(shared.clone(), finish))
        .with_state(shared)
}

/// A path parameter that is an id; anything else is not found.
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr> FromRequestParts<Arc<Shared>> for Id<T> {
    type Rejection = AppError;

    async fn from_request_parts(
        parts: &mut Parts,
        _: &Arc<Shared>,
    ) -> Result<Self, Self::Rejection> {
        let text = parts.uri.path().split('/').nth(3).unwrap_or_default();
        text.parse().map(Self).map_err(|_| AppError::not_found())
    }
}

/// The one header an answer of bytes needs.
const OCTETS: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/octet-stream")];
