//! The HTTP API (docs/api.md): its routes, each with what the OpenAPI document
//! says of it ([`crate::openapi`]).

pub(crate) mod auth;
mod blobs;
pub(crate) mod body;
pub(crate) mod cached;
pub(crate) mod jobs;
mod models;
mod modules;
pub(crate) mod nodes;
mod public;
mod results;

use crate::error::{AppError, Code, finish};
use crate::openapi::{self, Api, Who, op};
use crate::socket;
use crate::state::Shared;
use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::{HeaderName, StatusCode, header, request::Parts};
use axum::middleware;
use axum::response::IntoResponse;
use grid_protocol::api::{
    AccountInfo, JobInfo, ModuleInfo, NetworkInfo, NewJob, NodeStanding, PointsInfo, ReceiptPlace,
    TaskInfo, TaskResult,
};
use std::str::FromStr;
use std::sync::Arc;

/// Every route, in words too.
pub(crate) fn api() -> Api {
    Api::new()
        .merge(owners())
        .merge(nodes())
        .merge(anyone())
        .merge(crate::openai::api())
        .merge(crate::dashboard::api())
        .merge(crate::embed::api())
        .merge(crate::people::api())
        .merge(crate::log::api())
}

/// What owners ask.
fn owners() -> Api {
    let op = |summary| op(summary).by(Who::Owner);
    let submit_module = op("Submit a module")
        .notes("At most 32 MiB of WebAssembly. Again is cheap, and gives the same answer.")
        .takes_bytes()
        .gives::<ModuleInfo>()
        .fails(&[Code::ModuleRefused]);
    let submit_job = op("Submit a job")
        .notes("At most 64 MiB and 10,000 tasks.")
        .takes::<NewJob>()
        .creates::<JobInfo>()
        .fails(&[Code::BudgetTooSmall, Code::BadSpec])
        .fails(&[Code::ModuleUnknown, Code::ModelUnknown, Code::InputUnknown]);
    let results = op("Results of a job")
        .notes("In the order in which they were settled.")
        .query::<results::Asked>()
        .gives_lines::<TaskResult>();
    let result = op("The result of a task")
        .notes("The canonical one or, before there is one, of the first receipt.");
    let cancel = op("End a job").notes("Harmless when it is over.");
    Api::new()
        .post("/v1/modules", modules::submit, submit_module)
        .get("/v1/modules/{source}", modules::info, op("A module").gives::<ModuleInfo>())
        .get(
            "/v1/modules/{source}/admitted",
            modules::admitted,
            op("An admitted module").gives_bytes(),
        )
        .get("/v1/jobs", jobs::list, op("The newest 1000 jobs").gives::<Vec<JobInfo>>())
        .post("/v1/jobs", jobs::submit, submit_job)
        .get("/v1/jobs/{id}", jobs::info, op("A job").gives::<JobInfo>())
        .get("/v1/jobs/{id}/tasks", jobs::tasks, op("A job's tasks").gives::<Vec<TaskInfo>>())
        .get("/v1/jobs/{id}/results", results::results, results)
        .post("/v1/jobs/{id}/cancel", jobs::cancel, cancel.gives::<JobInfo>())
        .get(
            "/v1/jobs/{id}/tasks/{index}/output",
            results::output,
            op("The encoded output list of a task").gives_bytes(),
        )
        .get("/v1/jobs/{id}/tasks/{index}/result", results::result, result.gives::<TaskResult>())
        .get("/v1/account", public::account, op("The owner's account").gives::<AccountInfo>())
}

/// What nodes ask, from an extension's or a page's origin, and owners of their
/// inputs.
fn nodes() -> Api {
    let get = op("A blob")
        .notes("An owner's input list, or a lease's admitted module or input list.")
        .by(Who::OwnerOrLease)
        .gives_bytes();
    let put = op("Put a blob")
        .notes("An owner's input list, or a lease's output list; the same answer if it was there.")
        .by(Who::OwnerOrLease)
        .takes_bytes()
        .says(StatusCode::NO_CONTENT)
        .fails(&[Code::BadBlob, Code::TooManyUploads]);
    let model = |summary| {
        op(summary)
            .notes("Never changes, and may be kept for ever.")
            .reads_header("If-None-Match", "An `ETag` that is known: `304` then.")
            .gives_bytes()
            .says(StatusCode::NOT_MODIFIED)
            .header("ETag", "The digest of the bytes.")
    };
    let node = op("A node's socket")
        .notes("A WebSocket (RFC 6455); docs/protocol.md has its messages.")
        .says(StatusCode::SWITCHING_PROTOCOLS)
        .fails(&[Code::BadRequest, Code::Busy]);
    Api::new()
        .get("/v1/blobs/{digest}", blobs::get, get)
        .put("/v1/blobs/{digest}", blobs::put, put)
        .get("/v1/models/{digest}/header", models::header, model("A model file's header"))
        .get("/v1/models/{digest}/blocks/{number}", models::block, model("A model file's block"))
        .any_origin()
        .get("/v1/node", socket::upgrade, node)
}

/// What anyone may ask.
fn anyone() -> Api {
    let live = op("The relay and its nodes, as it changes")
        .notes("At most one event a second.")
        .gives_events::<NetworkInfo>()
        .fails(&[Code::Busy]);
    let standing = op("How a node stands, and why")
        .notes("A node that was never seen stands as a new one.")
        .gives::<NodeStanding>();
    let receipt = op("What became of a receipt")
        .notes("Says which entry settled its task; nothing of the receipt itself.")
        .gives::<ReceiptPlace>();
    let document = op("This document").gives::<serde_json::Map<String, serde_json::Value>>();
    const METRICS: &str = "application/openmetrics-text";
    Api::new()
        .get("/v1/openapi.json", openapi, document)
        .get("/v1/nodes/{key}", nodes::standing, standing)
        .get("/v1/receipts/{seq}", nodes::receipt, receipt)
        .get("/v1/points", nodes::points, op("What every node earned").gives::<PointsInfo>())
        .get("/v1/network", public::network, op("The relay and its nodes").gives::<NetworkInfo>())
        .get("/v1/network/live", public::live, live)
        .any_origin()
        // What is for the operator's own tools.
        .get("/healthz", public::health, op("Does the relay take work?").gives_text("text/plain"))
        .get("/metrics", public::metrics, op("Metrics").gives_text(METRICS))
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], openapi::DOCUMENT.as_str())
}

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    api()
        .router(&shared)
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
