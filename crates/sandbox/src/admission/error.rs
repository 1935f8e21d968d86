//! Why a module is refused, and where in it.

use std::fmt;
use thiserror::Error;
use wasmparser::{KnownCustom, Name, Parser, Payload};

/// What is wrong with a module.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Reason {
    /// Not a WebAssembly module, or it uses a feature that task modules may
    /// not use. The text is the validator's.
    #[error("{0}")]
    Invalid(String),
    /// An import that is not a WASI preview 1 function.
    #[error(
        "import `{module}.{name}` is not available: task modules may import functions of \
         `wasi_snapshot_preview1` only (build for wasm32-wasip1)"
    )]
    Import {
        /// Module it is imported from.
        module: String,
        /// Its name.
        name: String,
    },
    /// A WASI function imported with another signature than it has.
    #[error("import `{0}` does not have the signature that WASI preview 1 gives it")]
    ImportSignature(&'static str),
    /// No exported function `_start` without parameters and results.
    #[error("no exported function `_start` () -> (): a task module is a command, not a library")]
    NoStart,
    /// No exported memory named `memory`.
    #[error("no exported memory named `memory`")]
    NoMemory,
    /// Code that would run before `_start`.
    #[error("a start section is not allowed: what runs first is the export `_start`")]
    StartSection,
    /// Something is larger, or there is more of it, than allowed.
    #[error("{what}: {found} is more than the {limit} allowed")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// How large it is (at least).
        found: u64,
        /// The largest allowed.
        limit: u64,
    },
    /// An active segment that doesn't fit what it initialises.
    #[error("{0} segment {1} lies outside the initial size of what it fills")]
    Segment(&'static str, u32),
}

/// Why a module was refused: the reason, the function by index and name, and
/// the offset in the source's bytes, where there are such.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct AdmissionError {
    /// What is wrong.
    pub reason: Reason,
    /// Index of the function it is in, imports counted.
    pub function: Option<u32>,
    /// That function's name in the name section.
    pub name: Option<String>,
    /// Offset in the source, in bytes.
    pub offset: Option<u64>,
}

impl fmt::Display for AdmissionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)?;
        if let Some(function) = self.function {
            write!(f, ", in function {function}")?;
        }
        if let Some(name) = &self.name {
            write!(f, " ({name})")?;
        }
        if let Some(offset) = self.offset {
            write!(f, ", at offset {offset:#x}")?;
        }
        Ok(())
    }
}

impl From<Reason> for AdmissionError {
    fn from(reason: Reason) -> Self {
        Self { reason, function: None, name: None, offset: None }
    }
}

impl From<wasmparser::Error> for AdmissionError {
    fn from(error: wasmparser::Error) -> Self {
        let reason = Reason::Invalid(error.message().to_owned());
        Self::from(reason).at(error.offset())
    }
}

impl From<wasm_encoder::reencode::Error> for AdmissionError {
    fn from(error: wasm_encoder::reencode::Error) -> Self {
        match error {
            wasm_encoder::reencode::Error::ParseError(error) => error.into(),
            error => Reason::Invalid(error.to_string()).into(),
        }
    }
}

impl AdmissionError {
    /// Adds the offset, unless a closer one is known.
    pub(super) fn at(mut self, offset: u64) -> Self {
        self.offset.get_or_insert(offset);
        self
    }

    /// Adds the function, and its name when `source` tells it.
    pub(super) fn in_function(mut self, function: u32, source: &[u8]) -> Self {
        self.function = Some(function);
        self.name = function_name(source, function);
        self
    }
}

/// Refuses what is over a limit.
pub(super) fn within(what: &'static str, found: u64, limit: u64) -> Result<(), Reason> {
    if found <= limit { Ok(()) } else { Err(Reason::Limit { what, found, limit }) }
}

/// A function's name in the name section: the text is the owner's, so it is
/// shortened and made printable.
fn function_name(source: &[u8], function: u32) -> Option<String> {
    let custom = Parser::new(0).parse_all(source).map_while(Result::ok).find_map(|payload| {
        let Payload::CustomSection(section) = payload else { return None };
        if let KnownCustom::Name(names) = section.as_known() { Some(names) } else { None }
    })?;
    let functions = custom.into_iter().map_while(Result::ok).find_map(|name| {
        if let Name::Function(functions) = name { Some(functions) } else { None }
    })?;
    let naming = functions.into_iter().map_while(Result::ok).find(|n| n.index == function)?;
    Some(naming.name.chars().take(80).flat_map(char::escape_debug).collect())
}
