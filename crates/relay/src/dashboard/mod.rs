//! The pages, and what they show beyond the public API: `/v1/live`,
//! `/v1/history`, `/v1/leaders`. All of it is derived from entries, kept in
//! memory, and read once someone looks.

pub(crate) mod assets;
mod history;
mod live;

use crate::error::{AppError, Code};
use crate::follow::Follower;
use crate::openapi::{Api, op};
use crate::operate::{Attempts, Operators};
use crate::people;
use crate::state::{Shared, unix_ms};
use axum::Json;
use axum::extract::{Query, State};
use axum::http::Uri;
use grid_protocol::api::{PeopleLeaders, TeamLeaders};
use grid_protocol::live as wire;
use history::{History, Span};
pub(crate) use history::{RefusedMoment, RefusedReceipt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the pages' routes share beside the relay's state.
#[derive(Debug)]
pub(crate) struct Dashboard {
    pub(crate) shared: Arc<Shared>,
    /// Operators' keys, and who tried wrong ones.
    pub(crate) operators: Operators,
    pub(crate) attempts: Attempts,
    history: Follower<History>,
    snapshot: live::Snapshot,
}

/// The routes.
pub(crate) fn api() -> Api {
    let live = op("The network now")
        .notes("At once, then every second in which something changed, and after 20 s in any case.")
        .gives_events::<wire::Live>()
        .fails(&[Code::Busy]);
    let history = op("Counts over time").notes("Span is `hour`, `day` or `month`.");
    let leaders = op("Who earned most").notes("Span is `day`, `week` or `all`.");
    Api::new()
        .get("/v1/live", live::stream, live)
        .get("/v1/history", history_of, history.query::<Asked>().gives::<wire::History>())
        .get("/v1/leaders", self::leaders, leaders.query::<LeadersAsked>().gives::<Leading>())
        .any_origin()
        .merge(crate::operate::api())
        .state(|shared| {
            Arc::new(Dashboard {
                shared: shared.clone(),
                operators: Operators::of(&shared.config.data_dir),
                attempts: Attempts::default(),
                history: Follower::new(History::default()),
                snapshot: live::Snapshot::default(),
            })
        })
        .merge(assets::api())
}

impl Dashboard {
    /// Reads on where the last reading ended, for a bounded time, and asks.
    pub(crate) async fn ask<A: Send + 'static>(
        &self,
        question: impl FnOnce(&History) -> A + Send + 'static,
    ) -> Result<A, AppError> {
        Ok(self.history.ask(&self.shared, |history| question(history)).await?)
    }
}

/// Whose leaders are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Of {
    #[default]
    Nodes,
    People,
    Teams,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LeadersAsked {
    /// What time is counted; of people and teams, days are those of UTC.
    span: Span,
    /// Of whom.
    #[serde(default)]
    of: Of,
}

/// The answer's shape follows `of`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Leading {
    Nodes(wire::Leaders),
    People(PeopleLeaders),
    Teams(TeamLeaders),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// What time is counted.
    span: Span,
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
    let found = dashboard.ask(move |history| history.moments(span, unix_ms())).await?;
    found.map(Json).ok_or_else(|| Code::BadRequest.because("span is hour, day or month"))
}

/// `GET /v1/leaders?span=day|week|all&of=nodes|people|teams`
async fn leaders(
    State(dashboard): State<Arc<Dashboard>>,
    uri: Uri,
) -> Result<Json<Leading>, AppError> {
    let bad = || Code::BadRequest.because("span is day, week or all; of is nodes, people or teams");
    let Query(LeadersAsked { span, of }) = Query::try_from_uri(&uri).map_err(|_| bad())?;
    let days = match span {
        Span::Day => Some(1),
        Span::Week => Some(7),
        Span::All => None,
        Span::Hour | Span::Month => return Err(bad()),
    };
    let shared = &dashboard.shared;
    Ok(Json(match of {
        Of::Nodes => Leading::Nodes(people::node_leaders(shared, days).await?),
        Of::People => Leading::People(people::people_leaders(shared, days).await?),
        Of::Teams => Leading::Teams(people::team_leaders(shared, days).await?),
    }))
}
