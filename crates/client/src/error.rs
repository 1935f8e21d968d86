//! What can go wrong, one enum per concern.

use grid_protocol::limits;
use std::time::Duration;
use thiserror::Error;

/// A request to the relay failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The relay's address is not an `http://` or `https://` URL of a host.
    #[error("{0:?} is not a relay address: it must look like http://127.0.0.1:8090")]
    Address(String),
    /// The owner key is empty or holds characters that no header can carry.
    #[error("the owner key is empty or holds characters that no key has")]
    Key,
    /// The operation needs an owner key, and the client has none.
    #[error("this needs an owner key")]
    NoKey,
    /// Nothing answered, or the connection broke before an answer came.
    #[error("no relay answers at {relay}")]
    Unreachable {
        /// Its address.
        relay: String,
        /// What the connection said.
        #[source]
        source: reqwest::Error,
    },
    /// The relay answered with an error.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The relay's stable code, or `http_error` where it gave none.
        code: String,
        /// For people.
        message: String,
        /// How long the relay asked to wait before trying again.
        retry_after: Option<Duration>,
    },
    /// What answers is not a relay, or one that this version doesn't understand.
    #[error("the answer from {relay} is not what a relay says: {why}")]
    Answer {
        /// Its address.
        relay: String,
        /// What is wrong with the answer.
        why: String,
    },
    /// A connection that should carry results broke again and again.
    #[error("the connection to {relay} broke {attempts} times in a row: {last}")]
    Dropped {
        /// Its address.
        relay: String,
        /// Attempts made since the last result.
        attempts: u32,
        /// What the last attempt said.
        last: String,
    },
}

impl ClientError {
    /// Stable code, `snake_case`: the relay's own for what the relay refused.
    pub fn code(&self) -> &str {
        match self {
            Self::Address(_) => "bad_address",
            Self::Key => "bad_key",
            Self::NoKey => "no_key",
            Self::Unreachable { .. } => "unreachable",
            Self::Refused { code, .. } => code,
            Self::Answer { .. } => "bad_answer",
            Self::Dropped { .. } => "dropped",
        }
    }

    /// The HTTP status, where the relay answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the same request may succeed a little later.
    pub fn retry(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Dropped { .. } => true,
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }
}

/// A job could not be submitted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JobError {
    /// A request failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A task's input could not be read.
    #[error("an input could not be read: {0}")]
    Read(#[from] std::io::Error),
    /// A task's encoded input list is larger than the protocol allows.
    #[error(
        "the input of task {name:?} is {bytes} bytes; a task may have {} MiB",
        limits::MAX_INPUT >> 20
    )]
    InputTooLarge {
        /// The task.
        name: String,
        /// Bytes of the encoded list.
        bytes: usize,
    },
    /// More tasks than a job may have, or none.
    #[error("a job has 1 to {} tasks", limits::MAX_TASKS)]
    Tasks,
}

impl JobError {
    /// Stable code, `snake_case`.
    pub fn code(&self) -> &str {
        match self {
            Self::Client(error) => error.code(),
            Self::Read(_) => "input_unreadable",
            Self::InputTooLarge { .. } => "input_too_large",
            Self::Tasks => "bad_task_count",
        }
    }

    /// The HTTP status, where the relay answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Client(error) => error.status(),
            _ => None,
        }
    }

    /// Whether the same submission may succeed a little later.
    pub fn retry(&self) -> bool {
        matches!(self, Self::Client(error) if error.retry())
    }
}

/// A file is not a receipt file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReceiptFileError {
    /// Not the JSON of a receipt file.
    #[error("this is not a receipt file: {0}")]
    Json(#[from] serde_json::Error),
    /// Another format or a newer version.
    #[error("this is not a receipt file of version 1 (it says {format:?}, version {version})")]
    Format {
        /// What it says it is.
        format: String,
        /// The version it says.
        version: u16,
    },
    /// Larger than any receipt file.
    #[error("this is not a receipt file: it is larger than {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: usize,
    },
}

impl ReceiptFileError {
    /// Stable code, `snake_case`.
    pub fn code(&self) -> &'static str {
        "not_a_receipt"
    }

    /// Whether trying again may help: never, the bytes stay the same.
    pub fn retry(&self) -> bool {
        false
    }
}
