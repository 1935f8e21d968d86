//! The one place where an error becomes an HTTP status.

use crate::state::Shared;
use crate::store::{BlobError, StoreError};
use crate::writer::NotWritten;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use grid_protocol::api::{ErrorBody, ErrorDetail};
use std::sync::Arc;
use std::time::Duration;

/// The table of codes: status, name, and what it means to who asked.
macro_rules! codes {
    ($($code:ident $status:ident $name:literal $meaning:literal)*) => {
        /// Every error code of the HTTP API, its name and its status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Code {
            $(#[doc = $meaning] $code,)*
        }

        impl Code {
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$code),*];

            pub(crate) fn status(self) -> StatusCode {
                match self {
                    $(Self::$code => StatusCode::$status,)*
                }
            }

            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)*
                }
            }

            /// For the OpenAPI document; docs/api.md says the same.
            pub(crate) fn meaning(self) -> &'static str {
                match self {
                    $(Self::$code => $meaning,)*
                }
            }
        }
    };
}

codes! {
    BadRequest BAD_REQUEST "bad_request"
        "the message says which field or parameter; correct it"
    Unauthorized UNAUTHORIZED "unauthorized"
        "no valid key, or the lease is over"
    Clock UNAUTHORIZED "clock"
        "the request's time is over 5 minutes from the relay's; the message has the relay's"
    Replayed CONFLICT "replayed"
        "this signed request was made before; sign it anew"
    RateLimited TOO_MANY_REQUESTS "rate_limited"
        "accounts of your network asked for too many changes within an hour"
    BudgetTooSmall PAYMENT_REQUIRED "budget_too_small"
        "the budget covers not one task, or is more than the owner has"
    NotFound NOT_FOUND "not_found"
        "no such thing, or another's"
    MethodNotAllowed METHOD_NOT_ALLOWED "method_not_allowed"
        "this address doesn't take this method"
    Timeout REQUEST_TIMEOUT "timeout"
        "the body came too slowly"
    TooLarge PAYLOAD_TOO_LARGE "too_large"
        "the message has the limit"
    ModuleRefused UNPROCESSABLE_ENTITY "module_refused"
        "admission refused the module; the message names what to change"
    ModuleUnknown UNPROCESSABLE_ENTITY "module_unknown"
        "submit the module first"
    ModelUnknown UNPROCESSABLE_ENTITY "model_unknown"
        "the relay has no such model"
    InputUnknown UNPROCESSABLE_ENTITY "input_unknown"
        "put the input first"
    BadBlob UNPROCESSABLE_ENTITY "bad_blob"
        "not the digest in the address, not an encoded list, or over the spec's limit"
    BadSpec UNPROCESSABLE_ENTITY "bad_spec"
        "arguments, environment or limits are out of range"
    TooManyUploads TOO_MANY_REQUESTS "too_many_uploads"
        "a lease may upload four times"
    TooManyAttempts TOO_MANY_REQUESTS "too_many_attempts"
        "ten wrong operator's keys came from this address within a minute; wait one"
    Internal INTERNAL_SERVER_ERROR "internal"
        "a fault of the relay; its log has more"
    StoreUnavailable SERVICE_UNAVAILABLE "store_unavailable"
        "nothing was acknowledged, since nothing can be kept now; try again"
    Busy SERVICE_UNAVAILABLE "busy"
        "too many large bodies, streams or sockets at a time; try again"
}

/// When to try again what many ask for at a time.
pub(crate) const SOON: Duration = Duration::from_secs(2);

impl Code {
    pub(crate) fn because(self, message: impl Into<String>) -> AppError {
        AppError { code: self, message: message.into(), wait: SOON }
    }
}

/// An error answer.
#[derive(Debug)]
pub(crate) struct AppError {
    pub(crate) code: Code,
    message: String,
    /// When it may go better, where it may at all.
    wait: Duration,
}

impl AppError {
    /// Its status, its code's name, and its words.
    pub(crate) fn parts(self) -> (StatusCode, &'static str, String) {
        (self.code.status(), self.code.name(), self.message)
    }

    /// The same; before so long it goes no better.
    pub(crate) fn after(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    pub(crate) fn not_found() -> Self {
        Code::NotFound.because("there is no such thing, or it isn't yours")
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store can't be read");
        store_unavailable()
    }
}

impl From<NotWritten> for AppError {
    fn from(_: NotWritten) -> Self {
        store_unavailable()
    }
}

impl From<BlobError> for AppError {
    fn from(error: BlobError) -> Self {
        tracing::error!(%error, "a blob can't be kept or read");
        store_unavailable()
    }
}

/// Nothing is acknowledged while the store can't keep it.
pub(crate) fn store_unavailable() -> AppError {
    Code::StoreUnavailable
        .because("the relay can't keep anything now; nothing was acknowledged; try again later")
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let (status, code) = (self.code.status(), self.code.name());
        let detail = ErrorDetail { code: code.into(), message: self.message };
        let mut response = (status, Json(ErrorBody { error: detail })).into_response();
        let retry = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS];
        if retry.contains(&status) {
            // Rounded up: earlier is refused again.
            let seconds = self.wait.as_millis().div_ceil(1_000) as u64;
            response.headers_mut().insert(header::RETRY_AFTER, seconds.max(1).into());
        }
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response.extensions_mut().insert(Counted(code));
        response
    }
}

/// An error answer's code, for the metrics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted(pub(crate) &'static str);

/// Counts error answers, and sets the headers that every answer has.
pub(crate) async fn finish(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if let Some(Counted(code)) = response.extensions().get() {
        shared.metrics.http_error(code);
    }
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
