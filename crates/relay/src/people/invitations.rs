//! Invitation codes: for friends, and for the visitors of a site.

use super::books::{ask, names};
use super::commit;
use super::signed::Signed;
use crate::api::Id;
use crate::embed::origin;
use crate::error::{AppError, Code};
use crate::state::{Shared, unix_ms};
use crate::store::{NewCode, PeopleWrite, people};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use grid_protocol::api::{InvitationInfo, MadeInvitation, NewInvitation};
use grid_protocol::entry::InvitationKind;
use grid_protocol::{Digest, InvitationCode};
use std::sync::Arc;

/// Origins that a site may have.
const MAX_ORIGINS: usize = 16;
/// Longest origin, in bytes.
const MAX_ORIGIN: usize = 260;

/// How many nodes may come by a code: left out, and at most.
fn uses(kind: InvitationKind) -> (u32, u32) {
    match kind {
        InvitationKind::Friend => (100, 1_000),
        InvitationKind::Site => (10_000_000, 10_000_000),
    }
}

/// `POST /v1/invitations`. The code is a function of the request's signature:
/// the same request, made again after a crash, makes no second code.
pub(super) async fn make(
    State(shared): State<Arc<Shared>>,
    signed: Signed,
) -> Result<(StatusCode, Json<MadeInvitation>), AppError> {
    let NewInvitation { kind, name, origins, uses: asked } = signed.json()?;
    let (usual, most) = uses(kind);
    let uses = asked.unwrap_or(usual);
    let bad = |why: String| Code::BadRequest.because(why);
    if !(1..=most).contains(&uses) {
        return Err(bad(format!("uses is 1 to {most}")));
    }
    let fits = match kind {
        InvitationKind::Friend => origins.is_empty(),
        InvitationKind::Site => name.is_some() && (1..=MAX_ORIGINS).contains(&origins.len()),
    };
    if !fits {
        return Err(bad(format!(
            "a site has a name and 1 to {MAX_ORIGINS} origins, a friend none"
        )));
    }
    if let Some(wrong) = origins.iter().find(|origin| !is_origin(origin)) {
        let wrong = wrong.chars().take(MAX_ORIGIN).collect::<String>();
        return Err(bad(format!(
            "{wrong:?} is not an origin: https://host, or http://localhost, without a path"
        )));
    }
    let secret = shared.key.sign(&[b"grid-code-v1", &signed.signature.0[..]].concat());
    let mut random = [0; 12];
    random.copy_from_slice(&Digest::of(&secret.0).0[..12]);
    let (account, code, at_ms) = (signed.account, InvitationCode::new(random), unix_ms());
    let new = NewCode { account, code, kind, uses, name, origins, at_ms };
    commit(&shared, PeopleWrite::Invite(Box::new(new))).await?;
    let found = shared.reads.run(move |db| people::code(db, code.digest())).await?;
    let made = found.ok_or_else(AppError::not_found)?.made;
    Ok((StatusCode::CREATED, Json(made)))
}

/// An origin as browsers write it, and safe from who listens in.
fn is_origin(text: &str) -> bool {
    let local = ["http://localhost", "http://127.0.0.1", "http://[::1]"];
    let on = |host: &&str| {
        let rest = text.strip_prefix(*host);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    };
    let safe = text.starts_with("https://") || local.iter().any(on);
    safe && text.len() <= MAX_ORIGIN && origin(text).as_deref() == Some(text)
}

/// `GET /v1/invitations`: the account's own.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    signed: Signed,
) -> Result<Json<Vec<MadeInvitation>>, AppError> {
    let account = signed.account;
    Ok(Json(shared.reads.run(move |db| people::codes(db, account)).await?))
}

/// `GET /v1/invitations/{code}`: whoever has a code sees what it is for.
pub(super) async fn info(
    State(shared): State<Arc<Shared>>,
    Id(code): Id<InvitationCode>,
) -> Result<Json<InvitationInfo>, AppError> {
    let found = shared.reads.run(move |db| people::code(db, code.digest())).await?;
    let people::CodeRow { account, made } = found.ok_or_else(AppError::not_found)?;
    let MadeInvitation { kind, name, origins, uses, used, .. } = made;
    let called = names(&shared, vec![account.0.to_vec()]).await?.pop().flatten();
    let rules = ask(&shared, |ledger, _| ledger.rules()).await?;
    let (name, share_ppm, inviter_ppm) = match kind {
        InvitationKind::Friend => (called, 0, rules.invitation_ppm),
        InvitationKind::Site => (name, rules.site_ppm, 0),
    };
    let open = used < uses;
    let info = InvitationInfo { code, kind, account, name, origins, open, share_ppm, inviter_ppm };
    Ok(Json(info))
}

#[cfg(test)]
mod tests {
    use super::is_origin;

    #[test]
    fn origins() {
        for fine in [
            "https://example.org",
            "https://example.org:8443",
            "http://localhost:8000",
            "http://127.0.0.1",
            "http://[::1]:8080",
        ] {
            assert!(is_origin(fine), "{fine}");
        }
        let long = format!("https://{}.org", "a".repeat(260));
        for wrong in [
            "",
            "example.org",
            "http://example.org",
            "https://",
            "https://example.org/",
            "https://example.org/x",
            "https://Example.org",
            "https://a@example.org",
            "https://example.org?x",
            "ftp://example.org",
            "https://*.example.org",
            "https://example.org;x",
            "http://localhost.example.org",
            "https://example.org:443",
            &long,
        ] {
            assert!(!is_origin(wrong), "{wrong}");
        }
    }
}
