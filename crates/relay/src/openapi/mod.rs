//! One list of routes, of which the router and the OpenAPI document (at
//! `/v1/openapi.json`, and `grid-relay openapi`) are both made: what isn't
//! described isn't served, and the other way.
//!
//! A route is a line in the `api()` of the module that answers it, which
//! [`crate::api`] merges:
//!
//! ```text
//! .get("/v1/jobs/{id}", info, op("A job").by(Who::Owner).gives::<JobInfo>())
//! ```
//!
//! - Types in bodies and queries derive `schemars::JsonSchema`; in `protocol`
//!   under its feature `schema`.
//! - A name in braces that is new needs its row in [`parameter`].
//! - `.fails(&[...])` adds the codes that are this route's own. What follows from
//!   the rest is added without saying: 401 where a key is asked for, 404 where
//!   the path names something, 400, 408, 413 and 503 where a body is read.
//! - Another kind of key is a variant of [`Who`].
//! - Files of pages are a [`Api::page`]: the document leaves them out.
//!
//! tests/openapi.rs and grid-testing's `document` hold real answers against the
//! document: every answer of the tests of the API is checked.

mod document;
mod operation;

pub(crate) use document::DOCUMENT;
pub(crate) use operation::{Operation, Who, op};

use crate::state::Shared;
use axum::Router;
use axum::handler::Handler;
use axum::http::{Method, header};
use axum::routing::{MethodFilter, MethodRouter, on, options};
use grid_protocol::{CampaignId, Digest, InvitationCode, JobId, PublicKey};
use operation::{Make, schema};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tower_http::cors::{Any, CorsLayer};

/// Browsers may remember for so long who may ask.
const A_DAY: Duration = Duration::from_secs(86_400);

/// Routes, and what the document says of them.
pub(crate) struct Api<S = Arc<Shared>> {
    router: Router<S>,
    parts: Vec<Part>,
    operations: Vec<Described>,
    pages: Vec<&'static str>,
}

/// Routes that share more than the relay's state.
type Part = Box<dyn FnOnce(&Arc<Shared>) -> Router<Arc<Shared>>>;

/// A route, in words.
struct Described {
    method: Method,
    path: &'static str,
    operation: Operation,
    any_origin: bool,
}

impl<S: Clone + Send + Sync + 'static> Api<S> {
    pub(crate) fn new() -> Self {
        Self { router: Router::new(), parts: vec![], operations: vec![], pages: vec![] }
    }

    pub(crate) fn get<H: Handler<T, S>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.route((Method::GET, MethodFilter::GET), path, handler, operation)
    }

    pub(crate) fn post<H: Handler<T, S>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.route((Method::POST, MethodFilter::POST), path, handler, operation)
    }

    pub(crate) fn put<H: Handler<T, S>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.route((Method::PUT, MethodFilter::PUT), path, handler, operation)
    }

    pub(crate) fn delete<H: Handler<T, S>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.route((Method::DELETE, MethodFilter::DELETE), path, handler, operation)
    }

    fn route<H: Handler<T, S>, T: 'static>(
        mut self,
        (method, filter): (Method, MethodFilter),
        path: &'static str,
        handler: H,
        operation: Operation,
    ) -> Self {
        self.router = self.router.route(path, on(filter, handler));
        self.operations.push(Described { method, path, operation, any_origin: false });
        self
    }

    /// What the pages are made of: no part of the API.
    pub(crate) fn page(mut self, path: &'static str, route: MethodRouter<S>) -> Self {
        self.router = self.router.route(path, route);
        self.pages.push(path);
        self
    }

    /// Lets pages of any origin ask all of these. Whoever must show who asks does
    /// so in a header; no route reads a cookie.
    pub(crate) fn any_origin(mut self) -> Self {
        let mut methods: Vec<_> = self.operations.iter().map(|one| one.method.clone()).collect();
        methods.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        methods.dedup();
        let mut cors = CorsLayer::new().allow_origin(Any).allow_methods(methods).max_age(A_DAY);
        if self.operations.iter().any(|one| one.operation.who != Who::Anyone) {
            cors = cors.allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE]);
        }
        let paths: BTreeSet<_> = self.operations.iter().map(|described| described.path).collect();
        // `cors` answers OPTIONS; a route for it lets it.
        let answer = |router: Router<S>, path| router.route(path, options(|| async {}));
        self.router = paths.into_iter().fold(self.router, answer).layer(cors);
        for described in &mut self.operations {
            described.any_origin = true;
        }
        self
    }

    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.parts.extend(other.parts);
        self.operations.extend(other.operations);
        self.pages.extend(other.pages);
        self
    }

    /// Gives these routes their own state, which is made when the relay starts.
    pub(crate) fn state(self, make: impl FnOnce(&Arc<Shared>) -> S + 'static) -> Api {
        let Self { router, mut parts, operations, pages } = self;
        parts.push(Box::new(move |shared| router.with_state(make(shared))));
        Api { router: Router::new(), parts, operations, pages }
    }
}

impl Api {
    pub(crate) fn router(self, shared: &Arc<Shared>) -> Router<Arc<Shared>> {
        self.parts.into_iter().fold(self.router, |router, part| router.merge(part(shared)))
    }
}

/// What the names in paths stand for.
fn parameter(name: &str) -> Option<(Make, &'static str)> {
    Some(match name {
        "id" => (schema::<JobId>, "The job."),
        "index" => (schema::<u32>, "The task's place in its job, from 0."),
        "source" => (schema::<Digest>, "SHA-256 of the module as it was submitted."),
        "digest" => (schema::<Digest>, "SHA-256 of what is asked for."),
        "number" => (schema::<u32>, "The block's number, from 0."),
        "model" => (schema::<String>, "The model's name or digest."),
        "key" => (schema::<PublicKey>, "The node's key."),
        "seq" => (schema::<u64>, "The number of the receipt's entry."),
        "account" => (schema::<PublicKey>, "The account's key, or a node's that has none."),
        "code" => (schema::<InvitationCode>, "The invitation code."),
        "campaign" => (schema::<CampaignId>, "The campaign."),
        "name" => (schema::<String>, "The team's name; to look at it, its id does too."),
        "rest" => (schema::<String>, "The rest of the path, which may hold slashes."),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
