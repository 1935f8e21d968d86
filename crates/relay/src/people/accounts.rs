//! Accounts and what they have.

use super::books::{ask, names};
use super::commit;
use super::signed::Signed;
use crate::api::Id;
use crate::error::{AppError, Code};
use crate::state::{Shared, unix_ms};
use crate::store::{PeopleWrite, people};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use grid_ledger::{Ledger, Posting};
use grid_protocol::PublicKey;
use grid_protocol::api::{AccountExport, LedgerInfo, Named, PersonInfo, PostingsInfo};
use std::sync::Arc;

/// `GET /v1/accounts/{account}`: an account's, or a node's that is linked to none.
pub(super) async fn person(
    State(shared): State<Arc<Shared>>,
    Id(key): Id<PublicKey>,
) -> Result<Json<PersonInfo>, AppError> {
    person_info(&shared, key).await.map(Json)
}

async fn person_info(shared: &Arc<Shared>, key: PublicKey) -> Result<PersonInfo, AppError> {
    let now_ms = unix_ms();
    let mut info = ask(shared, move |ledger, complete| {
        let info = ledger.person_info(key, now_ms);
        PersonInfo { complete, ..info }
    })
    .await?;
    let team = info.team.as_ref().map(|team| team.id.0.to_vec());
    let of = [key.0.to_vec()].into_iter().chain(team).collect();
    let mut names = names(shared, of).await?.into_iter();
    info.name = names.next().flatten();
    if let Some(team) = &mut info.team {
        team.name = names.next().flatten();
    }
    Ok(info)
}

/// `PUT /v1/accounts/{account}`: what it wants to be called.
pub(super) async fn name(
    State(shared): State<Arc<Shared>>,
    Id(key): Id<PublicKey>,
    signed: Signed,
) -> Result<Json<PersonInfo>, AppError> {
    let account = own(key, &signed)?;
    let Named { name } = signed.json()?;
    commit(&shared, PeopleWrite::Name { account, name }).await?;
    person_info(&shared, account).await.map(Json)
}

/// `DELETE /v1/accounts/{account}`
pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Id(key): Id<PublicKey>,
    signed: Signed,
) -> Result<StatusCode, AppError> {
    let account = own(key, &signed)?;
    commit(&shared, PeopleWrite::Close { account, at_ms: unix_ms() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn own(key: PublicKey, signed: &Signed) -> Result<PublicKey, AppError> {
    let another = || Code::Unauthorized.because("another account signed this request");
    if signed.account == key { Ok(key) } else { Err(another()) }
}

/// `GET /v1/account-export`
pub(super) async fn export(
    State(shared): State<Arc<Shared>>,
    signed: Signed,
) -> Result<Json<AccountExport>, AppError> {
    let account = signed.account;
    let person = person_info(&shared, account).await?;
    let question = move |ledger: &Ledger, _| (ledger.inviter(&account), ledger.postings(&account));
    let (invited_by, postings) = ask(&shared, question).await?;
    let look = move |db: &_| {
        let nodes = people::nodes(db, account)?;
        Ok((people::codes(db, account)?, nodes, people::browsers(db, account)?))
    };
    let (invitations, nodes, browsers) = shared.reads.run(look).await?;
    let postings = postings.iter().map(Posting::info).collect();
    Ok(Json(AccountExport { person, invitations, invited_by, nodes, browsers, postings }))
}

/// `GET /v1/ledger`
pub(super) async fn ledger(State(shared): State<Arc<Shared>>) -> Result<Response, AppError> {
    let make = async |known| {
        let question = move |ledger: &Ledger, complete| {
            let new = known != Some(ledger.seq());
            new.then(|| (ledger.seq(), LedgerInfo { complete, ..ledger.info() }))
        };
        ask(&shared, question).await
    };
    shared.people.ledger.json(make).await
}

/// `GET /v1/ledger/{account}`
pub(super) async fn postings(
    State(shared): State<Arc<Shared>>,
    Id(key): Id<PublicKey>,
) -> Result<Json<PostingsInfo>, AppError> {
    let question = move |ledger: &Ledger, complete| {
        let postings = ledger.postings(&key).iter().map(Posting::info).collect();
        PostingsInfo { key, postings, seq: ledger.seq(), complete }
    };
    ask(&shared, question).await.map(Json)
}
