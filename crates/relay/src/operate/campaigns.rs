//! Campaigns, opened and closed from the page: entries like the command's.

use super::login::Operator;
use crate::api::body;
use crate::core::random;
use crate::dashboard::Dashboard;
use crate::error::{AppError, Code};
use crate::people;
use crate::state::{Shared, unix_ms};
use crate::store::PeopleWrite;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use grid_protocol::CampaignId;
use grid_protocol::api::CampaignInfo;
use grid_protocol::entry::CampaignTerms;
use std::sync::Arc;

/// Largest file of a campaign.
const MAX_FILE: usize = 16 * 1024;

/// `POST /v1/operator/campaign-file`
pub(super) async fn check(
    State(dashboard): State<Arc<Dashboard>>,
    _: Operator,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<CampaignInfo>, AppError> {
    let terms = terms(&dashboard.shared, &headers, body).await?;
    let CampaignTerms { start_ms, end_ms, goal, bonus_ppm, runtime, name } = terms;
    Ok(Json(CampaignInfo {
        id: CampaignId(random()),
        name,
        start_ms,
        end_ms,
        closed_ms: None,
        goal,
        work: 0,
        bonus_ppm,
        runtime,
        count: 0,
        leaders: Vec::new(),
    }))
}

/// `PUT /v1/operator/campaigns/{campaign}`
pub(super) async fn open(
    State(dashboard): State<Arc<Dashboard>>,
    Operator(by): Operator,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, AppError> {
    let id = parsed(&id)?;
    let terms = terms(&dashboard.shared, &headers, body).await?;
    let write = PeopleWrite::OpenCampaign { id, terms, at_ms: unix_ms() };
    people::commit(&dashboard.shared, write).await?;
    tracing::info!(campaign = %id, operator = by, "a campaign is open");
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/operator/campaigns/{campaign}/close`
pub(super) async fn close(
    State(dashboard): State<Arc<Dashboard>>,
    Operator(by): Operator,
    Path(id): Path<String>,
) -> Result<StatusCode, AppError> {
    let id = parsed(&id)?;
    people::commit(&dashboard.shared, PeopleWrite::CloseCampaign { id, at_ms: unix_ms() }).await?;
    tracing::info!(campaign = %id, operator = by, "a campaign is closed");
    Ok(StatusCode::NO_CONTENT)
}

fn parsed(id: &str) -> Result<CampaignId, AppError> {
    id.parse().map_err(|_| AppError::not_found())
}

/// What the file in a body says.
async fn terms(
    shared: &Shared,
    headers: &HeaderMap,
    body: Body,
) -> Result<CampaignTerms, AppError> {
    let received = body::read(shared, headers, body, MAX_FILE).await?;
    let text = std::str::from_utf8(&received.bytes)
        .map_err(|_| Code::BadRequest.because("a campaign's file is text"))?;
    people::campaign_terms(text, unix_ms()).map_err(|why| Code::BadRequest.because(why.to_string()))
}
