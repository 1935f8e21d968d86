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
mod terms;

pub(crate) use books::{node_leaders, people_leaders, suspects_now, team_leaders};
pub use operator::{campaigns, close_campaign, open_campaign, rewards, suspects};
pub use rules::REWARDS_FILE;
pub(crate) use rules::read_rewards;
pub(crate) use terms::read as campaign_terms;

use crate::api::cached::Cached;
use crate::error::{AppError, Code};
use crate::follow::Follower;
use crate::openapi::{Api, Who, op};
use crate::state::Shared;
use crate::store::{PeopleWrite, Write};
use crate::writer::Then;
use axum::http::StatusCode;
use books::Books;
use grid_ledger::RewardRules;
use grid_protocol::PublicKey;
use grid_protocol::api::{
    AccountExport, CampaignInfo, InvitationInfo, LedgerInfo, MadeInvitation, Named, NewInvitation,
    PersonInfo, PostingsInfo, TeamInfo, TeamLeaders,
};
use signed::Signatures;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What people's routes share.
#[derive(Debug)]
pub(crate) struct People {
    books: Follower<Books>,
    /// The answer to `GET /v1/ledger`.
    ledger: Cached,
    signatures: Mutex<Signatures>,
    /// The rules of rewards that hold.
    rewards: Mutex<RewardRules>,
}

impl People {
    pub(crate) fn new(relay: PublicKey) -> Self {
        Self {
            books: Follower::new(Books::new(relay)),
            ledger: Cached::default(),
            signatures: Mutex::default(),
            rewards: Mutex::new(RewardRules::NONE),
        }
    }

    pub(crate) fn rewards(&self) -> MutexGuard<'_, RewardRules> {
        locked(&self.rewards)
    }
}

/// The routes. An extension's pages ask too, from an origin of their own.
pub(crate) fn api() -> Api {
    anyone().merge(account()).any_origin()
}

/// What anyone may ask.
fn anyone() -> Api {
    let person = op("A person: what they have, by what it was for")
        .notes("An account, or a node that is linked to none; a key that is not known has nothing.")
        .gives::<PersonInfo>();
    let ledger = op("What everyone has")
        .notes("After one entry: an audit says where it differs from the log.")
        .gives::<LedgerInfo>();
    let invitation = op("What an invitation code is for").gives::<InvitationInfo>();
    let campaign = op("A campaign and its leaders").gives::<CampaignInfo>();
    Api::new()
        .get("/v1/accounts/{account}", accounts::person, person)
        .get("/v1/ledger", accounts::ledger, ledger)
        .get(
            "/v1/ledger/{account}",
            accounts::postings,
            op("A person's last movements in the ledger").gives::<PostingsInfo>(),
        )
        .get("/v1/invitations/{code}", invitations::info, invitation)
        .get("/v1/teams", teams::list, op("Teams, most points first").gives::<TeamLeaders>())
        .get("/v1/teams/{name}", teams::info, op("A team and its members").gives::<TeamInfo>())
        .get("/v1/campaigns", campaign::list, op("Campaigns").gives::<Vec<CampaignInfo>>())
        .get("/v1/campaigns/{campaign}", campaign::info, campaign)
}

/// What an account asks, signed.
fn account() -> Api {
    let read = |summary| op(summary).by(Who::Account).fails(&[Code::Clock, Code::RateLimited]);
    let write = |summary| {
        let codes = [Code::BadRequest, Code::Replayed, Code::TooLarge];
        read(summary).fails(&codes)
    };
    let name =
        write("Say what the account wants to be called").takes::<Named>().gives::<PersonInfo>();
    let delete = write("Delete the account")
        .notes(
            "What the log doesn't hold is forgotten; rewards stop. Receipts stay, and name keys.",
        )
        .says(StatusCode::NO_CONTENT);
    let export = read("Everything the relay holds of the account").gives::<AccountExport>();
    let invite = write("Make an invitation code")
        .notes("For friends, or for the visitors of a site; an account makes 64 at most.")
        .takes::<NewInvitation>()
        .creates::<MadeInvitation>();
    let invitations = read("The account's invitation codes").gives::<Vec<MadeInvitation>>();
    let team = write("Make a team")
        .notes("An account is in one team; who makes it is in it.")
        .takes::<Named>()
        .creates::<TeamInfo>();
    Api::new()
        .put("/v1/accounts/{account}", accounts::name, name)
        .delete("/v1/accounts/{account}", accounts::delete, delete)
        .get("/v1/account-export", accounts::export, export)
        .post("/v1/invitations", invitations::make, invite)
        .get("/v1/invitations", invitations::list, invitations)
        .post("/v1/teams", teams::make, team)
        .post("/v1/teams/{name}/join", teams::join, write("Join a team").gives::<TeamInfo>())
        .post("/v1/teams/{name}/leave", teams::leave, write("Leave a team").gives::<TeamInfo>())
}

pub(crate) async fn commit(shared: &Shared, write: PeopleWrite) -> Result<(), AppError> {
    crate::api::body::commit(shared, Write::People(write), Then::Nothing).await.map(drop)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What panicked while holding it left counts that are still counts.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
