//! Teams: made, joined and left by accounts; one an account.

use super::books::{ask, named, names, team_leaders};
use super::commit;
use super::signed::Signed;
use crate::error::AppError;
use crate::state::{Shared, unix_ms};
use crate::store::PeopleWrite;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use grid_protocol::api::{Named, TeamInfo, TeamLeaders};
use grid_protocol::entry::TeamChange;
use grid_protocol::{Name, TeamId};
use std::sync::Arc;

/// `GET /v1/teams`: those that earned most in all.
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Result<Json<TeamLeaders>, AppError> {
    team_leaders(&shared, None).await.map(Json)
}

/// `GET /v1/teams/{name}`: by its name or its id.
pub(super) async fn info(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Json<TeamInfo>, AppError> {
    let id = name.parse().or_else(|_| name.parse::<Name>().map(|name| name.team()));
    team(&shared, id.map_err(|_| AppError::not_found())?).await.map(Json)
}

async fn team(shared: &Arc<Shared>, id: TeamId) -> Result<TeamInfo, AppError> {
    let now_ms = unix_ms();
    let found = ask(shared, move |ledger, _| ledger.team(id, now_ms)).await?;
    let mut team = found.ok_or_else(AppError::not_found)?;
    team.name = names(shared, vec![id.0.to_vec()]).await?.pop().flatten();
    team.leaders = named(shared, team.leaders).await?;
    Ok(team)
}

/// `POST /v1/teams`
pub(super) async fn make(
    State(shared): State<Arc<Shared>>,
    signed: Signed,
) -> Result<(StatusCode, Json<TeamInfo>), AppError> {
    let Named { name } = signed.json()?;
    let team = change(&shared, TeamChange::Made, name, &signed).await?;
    Ok((StatusCode::CREATED, team))
}

/// `POST /v1/teams/{name}/join`
pub(super) async fn join(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    signed: Signed,
) -> Result<Json<TeamInfo>, AppError> {
    let name = name.parse().map_err(|_| AppError::not_found())?;
    change(&shared, TeamChange::Joined, name, &signed).await
}

/// `POST /v1/teams/{name}/leave`
pub(super) async fn leave(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    signed: Signed,
) -> Result<Json<TeamInfo>, AppError> {
    let name = name.parse().map_err(|_| AppError::not_found())?;
    change(&shared, TeamChange::Left, name, &signed).await
}

async fn change(
    shared: &Arc<Shared>,
    change: TeamChange,
    name: Name,
    signed: &Signed,
) -> Result<Json<TeamInfo>, AppError> {
    let (account, at_ms, id) = (signed.account, unix_ms(), name.team());
    commit(shared, PeopleWrite::Team { change, name, account, at_ms }).await?;
    team(shared, id).await.map(Json)
}
