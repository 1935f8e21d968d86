//! Who asks. Keys and tokens travel in the `Authorization` header only.

use crate::error::{AppError, Code};
use crate::job::Job;
use crate::state::Shared;
use crate::store::{OwnerRow, rows};
use axum::extract::FromRequestParts;
use axum::http::{header, request::Parts};
use grid_protocol::{Digest, LeaseId, LeaseToken};
use std::sync::Arc;

/// An owner, by its key: `Bearer grid_...`.
pub(crate) struct Owner(pub(crate) OwnerRow);

/// A lease that stands, by its id and token: `Lease ID:TOKEN`.
pub(crate) struct LeaseHolder {
    pub(crate) lease: LeaseId,
    pub(crate) job: Arc<Job>,
    pub(crate) index: u32,
}

/// Either.
pub(crate) enum Caller {
    Owner(Owner),
    Lease(LeaseHolder),
}

fn unauthorized() -> AppError {
    Code::Unauthorized.because("the Authorization header names no key or lease that is valid here")
}

impl FromRequestParts<Arc<Shared>> for Caller {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, AppError> {
        let header = parts.headers.get(header::AUTHORIZATION);
        let (scheme, secret) = header
            .and_then(|value| value.to_str().ok()?.split_once(' '))
            .ok_or_else(unauthorized)?;
        if scheme.eq_ignore_ascii_case("bearer") {
            // Looked up by its hash: how long that takes says nothing of the key.
            let hash = Digest::of(secret.trim().as_bytes());
            let found = shared.reads.run(move |db| rows::owner_by_key(db, hash)).await?;
            found.map(|row| Self::Owner(Owner(row))).ok_or_else(unauthorized)
        } else if scheme.eq_ignore_ascii_case("lease") {
            lease(secret.trim(), shared).map(Self::Lease).ok_or_else(unauthorized)
        } else {
            Err(unauthorized())
        }
    }
}

fn lease(secret: &str, shared: &Shared) -> Option<LeaseHolder> {
    let (lease, token) = secret.split_once(':')?;
    let (lease, token): (LeaseId, LeaseToken) = (lease.parse().ok()?, token.parse().ok()?);
    let expected = shared.token(lease).0;
    // In constant time: every byte is looked at.
    let differ = expected.iter().zip(token.0).fold(0, |differ, (a, b)| differ | (a ^ b));
    if differ != 0 {
        return None;
    }
    let core = shared.core();
    let (_, task) = core.scheduler.holder(lease)?;
    let job = core.job(task.job)?;
    Some(LeaseHolder { lease, job, index: task.index })
}

impl FromRequestParts<Arc<Shared>> for Owner {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, AppError> {
        match Caller::from_request_parts(parts, shared).await? {
            Caller::Owner(owner) => Ok(owner),
            Caller::Lease(_) => Err(unauthorized()),
        }
    }
}
