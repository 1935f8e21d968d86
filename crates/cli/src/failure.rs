//! How a command ends: exit codes, and errors that say what to do next.

use crate::ui;
use grid_client::{ClientError, JobError, ReceiptFileError};
use serde_json::json;
use std::{error::Error, io, path::Path};

/// Exit codes of every command (docs/cli.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done, and nothing failed.
    Ok = 0,
    /// The operation failed.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// No relay answers.
    Unreachable = 3,
    /// Refused: owner key, budget, admission, or something that isn't there.
    Refused = 4,
    /// The tasks ran, and some of them failed.
    TasksFailed = 5,
    /// A signature, digest or repeated run is not what it should be.
    NotVerified = 6,
    /// Ctrl-C.
    Interrupted = 130,
}

/// An error as a person and a machine get to see it.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    code: String,
    message: String,
    hint: Option<String>,
    /// Whoever would read it has hung up.
    quiet: bool,
}

impl Failure {
    pub(crate) fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Self { exit, code: code.into(), message: message.into(), hint: None, quiet: false }
    }

    /// Wrong use of the command line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// What `path` was needed for could not be done.
    pub(crate) fn file(what: &str, path: &Path, error: &io::Error) -> Self {
        let message = format!("can't {what} {}: {}", path.display(), plain(error));
        Self::new(Exit::Failed, "file", message)
    }

    /// Says what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Writes the error to standard error.
    pub(crate) fn report(&self, as_json: bool) {
        if self.quiet {
            return;
        }
        if as_json {
            let error = json!({
                "code": self.code,
                "message": self.message,
                "hint": self.hint,
                "exit": self.exit as u8,
            });
            ui::aside(json!({ "error": error }).to_string());
            return;
        }
        ui::aside(format!(
            "{} {}",
            console::style("error:").for_stderr().red().bold(),
            self.message
        ));
        for line in self.hint.iter().flat_map(|hint| hint.lines()) {
            ui::aside(format!("  {line}"));
        }
    }
}

/// Standard output could not be written.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let message = format!("can't write the output: {}", plain(&error));
        let quiet = error.kind() == io::ErrorKind::BrokenPipe;
        Self { quiet, ..Self::new(Exit::Failed, "output", message) }
    }
}

impl From<ReceiptFileError> for Failure {
    fn from(error: ReceiptFileError) -> Self {
        Self::new(Exit::Failed, error.code(), error.to_string())
            .hint("give the receipt.json that `grid submit --out` or `grid results --out` wrote")
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Client(error) => error.into(),
            error => Self::new(Exit::Failed, error.code(), error.to_string()),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match &error {
            ClientError::Address(_) | ClientError::Key => Exit::Usage,
            ClientError::Answer { .. } => Exit::Failed,
            error if error.retry() => Exit::Unreachable,
            _ => Exit::Refused,
        };
        let message = match &error {
            ClientError::Unreachable { source, .. } => format!("{error}: {}", root(source)),
            _ => error.to_string(),
        };
        let failure = Self::new(exit, error.code(), message);
        match next_step(&error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

fn next_step(error: &ClientError) -> Option<&'static str> {
    let hint = match (error.code(), error.status()) {
        ("unreachable", _) => {
            "is it running? Start one with `grid-relay`, or name another with --relay URL"
        }
        ("dropped", _) => "the job goes on; run the command again later to follow it",
        ("bad_answer", _) => "is this the address of a Grid relay, and of this version?",
        ("module_refused", _) => "docs/task-modules.md says what a task module may be",
        ("no_key" | "bad_key", _) | (_, Some(401)) => KEY_HINT,
        (_, Some(403)) => "the operator says what an owner key may do",
        (_, Some(402)) => {
            "`grid account` shows what is left; ask for less with --fuel or --budget, \
             or ask the operator for more"
        }
        (_, Some(404)) => "`grid status` lists your jobs",
        (_, Some(429)) => "wait a little, then try again",
        _ => return None,
    };
    Some(hint)
}

/// What to do without a key, or with a wrong one.
pub(crate) const KEY_HINT: &str = "ask the relay's operator for an owner key (`grid-relay owner add NAME`),\n\
     then store it with `grid login`, or set GRID_KEY or --key-file";

/// The deepest cause: what the system said.
fn root(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    match cause.downcast_ref::<io::Error>() {
        Some(error) => plain(error),
        None => cause.to_string(),
    }
}

/// An I/O error's text without "(os error 2)".
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    let mut chars = text[..end].chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}
