//! What the operator's page shows, behind a key of its own: how the relay does,
//! what waits, which nodes are slow, which receipts were refused, who was
//! caught. Campaigns are opened and closed from it; nothing else is changed.

mod campaigns;
mod keys;
mod latest;
mod login;
mod report;

pub(crate) use keys::Operators;
pub use keys::{OperatorKey, add_operator, operators, revoke_operator};
pub(crate) use latest::Latest;
pub(crate) use login::Attempts;

use crate::dashboard::Dashboard;
use crate::error::Code;
use crate::openapi::{Api, Who, op};
use axum::http::StatusCode;
use grid_protocol::api::{CampaignInfo, Suspects};
use std::sync::Arc;

/// The routes; the pages' state holds what they show.
pub(crate) fn api() -> Api<Arc<Dashboard>> {
    let op = |summary| op(summary).by(Who::Operator).fails(&[Code::TooManyAttempts]);
    let check = op("Check a campaign's file")
        .notes(
            "TOML, as `grid-relay campaign open` reads it. Opens nothing: the answer is what \
             would be opened, and its id is new.",
        )
        .takes_bytes()
        .gives::<CampaignInfo>();
    let open = op("Open a campaign")
        .notes("By its file, under an id of the operator's choice. Again, it changes nothing.")
        .takes_bytes()
        .says(StatusCode::NO_CONTENT);
    let close = op("Close a campaign")
        .notes("Before its end. What it brought stays; again, it changes nothing.")
        .says(StatusCode::NO_CONTENT);
    Api::new()
        .get(
            "/v1/operator/health",
            report::health,
            op("How the relay does").gives::<report::Health>(),
        )
        .get(
            "/v1/operator/queues",
            report::queues,
            op("What waits, by runtime").gives::<report::Queues>(),
        )
        .get(
            "/v1/operator/nodes",
            report::nodes,
            op("How long nodes take")
                .notes("Of the last leases that ended with a receipt; slowest first.")
                .gives::<report::Nodes>(),
        )
        .get(
            "/v1/operator/refusals",
            report::refusals,
            op("Receipts that were refused, by reason").gives::<report::Refusals>(),
        )
        .get(
            "/v1/operator/bans",
            report::bans,
            op("Nodes that were caught, and why").gives::<report::Bans>(),
        )
        .get(
            "/v1/operator/suspects",
            report::suspects,
            op("Self-invitations, rings, owners who pay one alone").gives::<Suspects>(),
        )
        .post("/v1/operator/campaign-file", campaigns::check, check)
        .put("/v1/operator/campaigns/{campaign}", campaigns::open, open)
        .post("/v1/operator/campaigns/{campaign}/close", campaigns::close, close)
}
