//! `GET /v1/models`

use super::failed::Failed;
use super::params::find_model;
use super::wire::{Model, ModelList};
use crate::api::auth::Owner;
use crate::error::AppError;
use crate::state::Shared;
use crate::store::{ModelRow, models};
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// `GET /v1/models`
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    owner: Result<Owner, AppError>,
) -> Result<Json<ModelList>, Failed> {
    owner?;
    let models = shared.reads.run(models).await?;
    Ok(Json(ModelList { object: "list", data: models.iter().map(info).collect() }))
}

/// `GET /v1/models/{model}`
pub(crate) async fn one(
    State(shared): State<Arc<Shared>>,
    owner: Result<Owner, AppError>,
    Path(id): Path<String>,
) -> Result<Json<Model>, Failed> {
    owner?;
    let name = id.clone();
    let found = shared.reads.run(move |db| find_model(db, &name)).await?;
    found.as_ref().map(info).map(Json).ok_or_else(|| Failed::no_model(&id))
}

fn info(model: &ModelRow) -> Model {
    Model {
        id: model.name.clone(),
        object: "model",
        created: model.added_ms / 1000,
        owned_by: "grid",
        digest: model.digest,
        work: model.work,
        context: model.context,
        bytes: model.bytes,
    }
}
