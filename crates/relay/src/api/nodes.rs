//! How a node stands, and why: anyone may ask, for anyone may read the log.

use super::Id;
use crate::error::{AppError, store_unavailable};
use crate::log::LogError;
use crate::state::Shared;
use crate::store::{DecisionRow, Entry, rows};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use grid_protocol::api::{DEFAULT_ERROR_PPB, NodeDecision, NodeStanding};
use grid_protocol::api::{ReceiptPlace, RuntimeStanding, Trusted};
use grid_protocol::entry::Unanswered;
use grid_protocol::{Digest, PublicKey, RejectCode, Runtime};
use std::sync::Arc;

/// Decisions that one answer holds.
const MAX_DECISIONS: usize = 100;

/// `GET /v1/receipts/{seq}`: who has an acknowledgement finds the proof by it.
pub(crate) async fn receipt(
    State(shared): State<Arc<Shared>>,
    Id(seq): Id<u64>,
) -> Result<Json<ReceiptPlace>, AppError> {
    let settled = shared.reads.run(move |db| rows::settled_by(db, seq)).await?;
    let settled = settled.ok_or_else(AppError::not_found)?;
    Ok(Json(ReceiptPlace { seq, settled }))
}

/// `GET /v1/nodes/{key}`: a node that was never seen stands as a new one.
pub(crate) async fn standing(
    State(shared): State<Arc<Shared>>,
    Id(node): Id<PublicKey>,
) -> Result<Json<NodeStanding>, AppError> {
    let found = shared.reads.run(move |db| {
        Ok((rows::node_totals(db, node)?, rows::decisions(db, node, MAX_DECISIONS)?))
    });
    let ((fuel, tasks), decisions) = found.await?;
    let core = shared.core();
    let runtimes = Runtime::ALL.map(|runtime| {
        let standing = core.votes.quorums.trust().standing(runtime, &node);
        let state = match standing.caught {
            Some(_) => Trusted::Caught,
            None if standing.newcomer => Trusted::New,
            None => Trusted::Trusted,
        };
        RuntimeStanding {
            runtime,
            state,
            passes: standing.passes.into(),
            error_rate: standing.error,
            check_rate: standing.check_rate(DEFAULT_ERROR_PPB),
            why: standing.to_string(),
        }
    });
    let caught = core.votes.quorums.trust().standing(Runtime::Wasm, &node).caught;
    let [modules, ..] = runtimes.clone();
    Ok(Json(NodeStanding {
        node,
        online: core.is_online(&node),
        state: modules.state,
        passes: modules.passes,
        error_rate: modules.error_rate,
        check_rate: modules.check_rate,
        fuel,
        tasks,
        open: core.votes.quorums.open_of(&node),
        why: modules.why,
        runtimes: runtimes.to_vec(),
        decisions: decisions.iter().map(|row| decision(row, node, caught)).collect(),
    }))
}

/// `GET /v1/points`: what every node earned, and up to which entry.
pub(crate) async fn points(State(shared): State<Arc<Shared>>) -> Result<Response, AppError> {
    let make = async |known| {
        let asked = shared.clone();
        let read = move |db: &_| match rows::last_entry(db)? {
            last if known == Some(last) => Ok(None),
            _ => {
                let points = rows::points(db)?;
                // Whoever audits it looks for its last entry in the log.
                asked.log.reach(points.seq)?;
                Ok::<_, LogError>(Some((points.seq, points)))
            }
        };
        shared.reads.ask(read).await.map_err(|error| {
            tracing::error!(%error, "what nodes earned can't be told");
            store_unavailable()
        })
    };
    shared.points.json(make).await
}

fn decision(row: &DecisionRow, node: PublicKey, caught: Option<u64>) -> NodeDecision {
    let (what, why) = words(row, node, caught);
    NodeDecision { seq: row.seq, time_ms: row.entry.at_ms(), what: what.into(), why }
}

/// What an entry decided about a node that was caught in entry `caught`, and
/// why.
pub(crate) fn words(
    row: &DecisionRow,
    node: PublicKey,
    caught: Option<u64>,
) -> (&'static str, String) {
    match &row.entry {
        Entry::Settled { job, index, answer, .. } => {
            let task = format!("task {index} of job {job}");
            let own = row.votes.iter().find(|vote| vote.receipt.body.node == node);
            let agrees = |digest: Digest| digest == *answer;
            let others: Vec<_> = row
                .votes
                .iter()
                .filter(|vote| vote.receipt.body.node != node)
                .filter(|vote| agrees(vote.receipt.body.answer()))
                .map(|vote| match vote.receipt.body.node == vote.receipt.body.relay {
                    true => "the relay's own run".to_owned(),
                    false => format!("node {}", vote.receipt.body.node),
                })
                .collect();
            let Some(own) = own else { return ("settled", task) };
            let seq = own.seq;
            if !agrees(own.receipt.body.answer()) {
                let by = others.join(", ");
                // Whoever was caught is not caught again: its vote was void.
                let what =
                    if caught.is_none_or(|first| first == row.seq) { "caught" } else { "void" };
                return (what, format!("entry {seq}: its answer to {task} lost against {by}"));
            }
            match others.as_slice() {
                [] => (
                    "agreed_alone",
                    format!(
                        "entry {seq}: its draw spared {task} the check, and later checks passed"
                    ),
                ),
                by => (
                    "passed",
                    format!("entry {seq}: its answer to {task} agrees with {}", by.join(", ")),
                ),
            }
        }
        Entry::Unanswered { seq, place, why, .. } => {
            let why = match why {
                Unanswered::Absent => "it was off line",
                Unanswered::Busy => "it had no free slot in time",
                Unanswered::Silent => "it took the lease and did not finish it in time",
                Unanswered::Unable => "its device could not run the task",
                Unanswered::Crowded => "neither it nor who was drawn before had a free slot",
            };
            ("unanswered", format!("drawn at place {place} to check entry {seq}: {why}"))
        }
        Entry::Refused { lease, code, .. } => {
            let name = RejectCode::from_number(*code).map_or("refused", RejectCode::name);
            ("refused", format!("its receipt for lease {lease}: {name}"))
        }
        other => ("other", format!("an entry of kind {}", other.kind() as u8)),
    }
}
