//! Campaigns, as anyone sees them.

use super::books::{ask, named};
use crate::api::Id;
use crate::error::AppError;
use crate::state::Shared;
use axum::Json;
use axum::extract::State;
use grid_protocol::CampaignId;
use grid_protocol::api::CampaignInfo;
use std::sync::Arc;

/// `GET /v1/campaigns`: the last one opened first.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
) -> Result<Json<Vec<CampaignInfo>>, AppError> {
    ask(&shared, |ledger, _| ledger.campaigns_info()).await.map(Json)
}

/// `GET /v1/campaigns/{campaign}`, with its leaders.
pub(super) async fn info(
    State(shared): State<Arc<Shared>>,
    Id(id): Id<CampaignId>,
) -> Result<Json<CampaignInfo>, AppError> {
    let found = ask(&shared, move |ledger, _| ledger.campaign(id)).await?;
    let mut campaign = found.ok_or_else(AppError::not_found)?;
    campaign.leaders = named(&shared, campaign.leaders).await?;
    Ok(Json(campaign))
}
