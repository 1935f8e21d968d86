//! Errors in the shape that OpenAI's clients know.

use crate::error::{AppError, Counted, SOON};
use crate::store::StoreError;
use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// Status and code of an error of OpenAI's API.
pub(crate) type Failure = (u16, &'static str);

/// What a call may come to beside the relay's own errors.
pub(crate) const OF_CALLS: &[Failure] = &[
    (400, "invalid_json"),
    (400, "invalid_value"),
    (400, "missing_required_parameter"),
    (400, "refused_by_model"),
    (400, "unsupported_parameter"),
    (400, "unsupported_value"),
    (404, "model_not_found"),
    (429, "rate_limit_exceeded"),
    (500, "job_over"),
    (502, "bad_answer"),
    (503, "closing"),
    (503, "no_node"),
    (503, "timeout"),
];
pub(super) const OF_MODELS: &[Failure] = &[(404, "model_not_found")];

/// Body of an error answer, and the last event of a stream that failed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OpenAIError")]
pub(crate) struct FailureBody {
    error: FailureDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OpenAIErrorDetail")]
struct FailureDetail {
    /// For people: what happened and what to do.
    message: String,
    /// Kind of error, as OpenAI's clients know it.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The parameter that is wrong.
    param: Option<String>,
    /// Stable code.
    code: &'static str,
}

/// An error answer.
#[derive(Debug)]
pub(crate) struct Failed {
    status: StatusCode,
    code: &'static str,
    param: Option<String>,
    message: String,
}

impl Failed {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, param: None, message: message.into() }
    }

    /// A parameter is not as it should be.
    pub(crate) fn param(param: &str, code: &'static str, message: impl Into<String>) -> Self {
        let param = Some(param.to_owned());
        Self { param, ..Self::new(StatusCode::BAD_REQUEST, code, message) }
    }

    /// There is no such model.
    pub(crate) fn no_model(name: &str) -> Self {
        let message = format!("the model {name:?} does not exist here; GET /v1/models lists them");
        let param = Some("model".to_owned());
        Self { param, ..Self::new(StatusCode::NOT_FOUND, "model_not_found", message) }
    }

    fn kind(&self) -> &'static str {
        match self.status.as_u16() {
            429 => self.code,
            400..=499 => "invalid_request_error",
            _ => "server_error",
        }
    }

    /// As it stands in an answer's body, or in a stream.
    pub(crate) fn body(&self) -> Value {
        json!(FailureBody {
            error: FailureDetail {
                message: self.message.clone(),
                kind: self.kind(),
                param: self.param.clone(),
                code: self.code,
            }
        })
    }

    pub(crate) fn parts(&self) -> Failure {
        (self.status.as_u16(), self.code)
    }
}

impl From<AppError> for Failed {
    fn from(error: AppError) -> Self {
        let (status, code, message) = error.parts();
        match status {
            StatusCode::PAYMENT_REQUIRED => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "insufficient_quota", message)
            }
            StatusCode::UNAUTHORIZED => Self::new(status, "invalid_api_key", message),
            _ => Self::new(status, code, message),
        }
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        AppError::from(error).into()
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::SERVICE_UNAVAILABLE || self.code == "rate_limit_exceeded" {
            headers.insert(header::RETRY_AFTER, SOON.as_secs().into());
        }
        // A budget doesn't grow by asking again, and what waited for a node
        // has waited long enough: the clients would repeat both.
        if matches!(self.code, "insufficient_quota" | "no_node") {
            let again = HeaderName::from_static("x-should-retry");
            headers.insert(again, HeaderValue::from_static("false"));
        }
        response.extensions_mut().insert(Counted(self.code));
        response
    }
}
