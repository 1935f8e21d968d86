//! What the operator's page shows, behind a key of its own: how the relay does,
//! what waits, which nodes are slow, which receipts were refused, who was
//! caught. Nothing here changes anything.

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
use grid_protocol::api::Suspect;
use std::sync::Arc;

/// The routes; the pages' state holds what they show.
pub(crate) fn api() -> Api<Arc<Dashboard>> {
    let op = |summary| op(summary).by(Who::Operator).fails(&[Code::TooManyAttempts]);
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
            op("Self-invitations, rings, owners who pay one alone").gives::<Vec<Suspect>>(),
        )
}
