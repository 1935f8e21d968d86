//! People's part of the API: accounts, invitations, teams, campaigns, and the
//! ledger that says what everyone has. What is public is read from the ledger
//! in memory ([`books`]); what an account asks for, it signs ([`signed`]).

mod accounts;
mod books;
mod campaign;
mod invitations;
mod operator;
mod rules;
mod signed;
mod teams;

pub(crate) use books::leaders;
pub use operator::{campaigns, close_campaign, open_campaign, rewards, suspects};
pub(crate) use rules::read_rewards;
pub use rules::{REWARDS_FILE, Rewards};

use crate::error::AppError;
use crate::state::Shared;
use crate::store::{PeopleWrite, Write};
use crate::writer::Then;
use axum::Router;
use axum::http::{Method, header};
use axum::routing::{get, post};
use books::Books;
use grid_ledger::RewardRules;
use grid_protocol::PublicKey;
use signed::Signatures;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tower_http::cors::{Any, CorsLayer};

/// What people's routes share.
#[derive(Debug)]
pub(crate) struct People {
    books: Arc<Mutex<Books>>,
    /// One reads entries at a time; the others use what it read.
    reading: tokio::sync::Mutex<()>,
    signatures: Mutex<Signatures>,
    /// The rules of rewards that hold.
    rewards: Mutex<RewardRules>,
}

impl People {
    pub(crate) fn new(relay: PublicKey) -> Self {
        Self {
            books: Arc::new(Mutex::new(Books::new(relay))),
            reading: tokio::sync::Mutex::default(),
            signatures: Mutex::default(),
            rewards: Mutex::new(RewardRules::NONE),
        }
    }

    pub(crate) fn rewards(&self) -> MutexGuard<'_, RewardRules> {
        locked(&self.rewards)
    }
}

/// The routes. An extension's pages ask too, from an origin of their own; there
/// are no cookies anywhere.
pub(crate) fn router() -> Router<Arc<Shared>> {
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .max_age(std::time::Duration::from_secs(86_400));
    let account = get(accounts::person).put(accounts::name).delete(accounts::delete);
    Router::new()
        .route("/v1/accounts/{key}", account)
        .route("/v1/account-export", get(accounts::export))
        .route("/v1/invitations", get(invitations::list).post(invitations::make))
        .route("/v1/invitations/{code}", get(invitations::info))
        .route("/v1/teams", get(teams::list).post(teams::make))
        .route("/v1/teams/{name}", get(teams::info))
        .route("/v1/teams/{name}/join", post(teams::join))
        .route("/v1/teams/{name}/leave", post(teams::leave))
        .route("/v1/campaigns", get(campaign::list))
        .route("/v1/campaigns/{id}", get(campaign::info))
        .route("/v1/ledger", get(accounts::ledger))
        .route("/v1/ledger/{key}", get(accounts::postings))
        .layer(cors)
}

async fn commit(shared: &Shared, write: PeopleWrite) -> Result<(), AppError> {
    crate::api::body::commit(shared, Write::People(write), Then::Nothing).await.map(drop)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What panicked while holding it left counts that are still counts.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
