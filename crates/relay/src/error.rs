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

/// Every error code of the HTTP API, its name and its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    BadRequest,
    Unauthorized,
    Clock,
    Replayed,
    RateLimited,
    BudgetTooSmall,
    NotFound,
    MethodNotAllowed,
    Timeout,
    TooLarge,
    ModuleRefused,
    ModuleUnknown,
    ModelUnknown,
    InputUnknown,
    BadBlob,
    BadSpec,
    TooManyUploads,
    Internal,
    StoreUnavailable,
    Busy,
}

impl Code {
    fn parts(self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Clock => (StatusCode::UNAUTHORIZED, "clock"),
            Self::Replayed => (StatusCode::CONFLICT, "replayed"),
            Self::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
            Self::BudgetTooSmall => (StatusCode::PAYMENT_REQUIRED, "budget_too_small"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Timeout => (StatusCode::REQUEST_TIMEOUT, "timeout"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::ModuleRefused => (StatusCode::UNPROCESSABLE_ENTITY, "module_refused"),
            Self::ModuleUnknown => (StatusCode::UNPROCESSABLE_ENTITY, "module_unknown"),
            Self::ModelUnknown => (StatusCode::UNPROCESSABLE_ENTITY, "model_unknown"),
            Self::InputUnknown => (StatusCode::UNPROCESSABLE_ENTITY, "input_unknown"),
            Self::BadBlob => (StatusCode::UNPROCESSABLE_ENTITY, "bad_blob"),
            Self::BadSpec => (StatusCode::UNPROCESSABLE_ENTITY, "bad_spec"),
            Self::TooManyUploads => (StatusCode::TOO_MANY_REQUESTS, "too_many_uploads"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            Self::StoreUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        }
    }

    pub(crate) fn because(self, message: impl Into<String>) -> AppError {
        AppError { code: self, message: message.into() }
    }
}

/// An error answer.
#[derive(Debug)]
pub(crate) struct AppError {
    pub(crate) code: Code,
    message: String,
}

impl AppError {
    /// Its status, its code's name, and its words.
    pub(crate) fn parts(self) -> (StatusCode, &'static str, String) {
        let (status, name) = self.code.parts();
        (status, name, self.message)
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
        let (status, code) = self.code.parts();
        let detail = ErrorDetail { code: code.into(), message: self.message };
        let mut response = (status, Json(ErrorBody { error: detail })).into_response();
        let retry = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS];
        if retry.contains(&status) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
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
