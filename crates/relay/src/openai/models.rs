//! `GET /v1/models`

use super::failed::Failed;
use super::params::find_model;
use crate::api::auth::Owner;
use crate::error::AppError;
use crate::state::Shared;
use crate::store::{ModelRow, models};
use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};
use std::sync::Arc;

/// `GET /v1/models`
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    owner: Result<Owner, AppError>,
) -> Result<Json<Value>, Failed> {
    owner?;
    let models = shared.reads.run(models).await?;
    let data: Vec<_> = models.iter().map(info).collect();
    Ok(Json(json!({"object": "list", "data": data})))
}

/// `GET /v1/models/{id}`
pub(crate) async fn one(
    State(shared): State<Arc<Shared>>,
    owner: Result<Owner, AppError>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failed> {
    owner?;
    let name = id.clone();
    let found = shared.reads.run(move |db| find_model(db, &name)).await?;
    found.as_ref().map(info).map(Json).ok_or_else(|| Failed::no_model(&id))
}

fn info(model: &ModelRow) -> Value {
    json!({
        "id": model.name, "object": "model", "created": model.added_ms / 1000, "owned_by": "grid",
        "digest": model.digest, "work": model.work, "context": model.context,
        "bytes": model.bytes,
    })
}
