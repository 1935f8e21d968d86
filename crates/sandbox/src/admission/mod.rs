//! Admission: validates a task module and rewrites it, so that it counts its
//! fuel and its stack by itself and behaves the same in every engine.
//!
//! docs/task-modules.md has the rules and the costs. The rewritten module
//! keeps the functions, types, tables, memory, globals and segments of the
//! source under their indices, except that three imports come before the
//! functions with a body; it exports `_start`, `memory` and `grid_fuel` only;
//! custom sections are dropped.

mod body;
mod code;
mod error;
mod flow;
mod function;
mod limits;
mod module;
mod nan;

pub use error::{AdmissionError, Reason};

use grid_protocol::limits::{MAX_ADMITTED, MAX_MODULE};
use module::Form;
use wasmparser::WasmFeatures;

/// A module that may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// The rewritten module.
    pub bytes: Vec<u8>,
    /// Pages (64 KiB) of memory it starts with: under a spec that allows
    /// fewer, it traps before it starts.
    pub memory_pages: u32,
}

/// What a task module may use: WebAssembly 2.0, references to functions only.
/// All else is refused, whatever gives different results on different machines
/// (threads, relaxed SIMD) above all.
pub const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::FLOATS);

/// Validates `source` and rewrites it. The same source always gives the same
/// bytes. Takes any bytes; time and memory are linear in their number.
pub fn admit(source: &[u8]) -> Result<Admitted, AdmissionError> {
    error::within("bytes of the module", source.len() as u64, MAX_MODULE as u64)?;
    let admitted = module::rewrite(source, Form::Task)?;
    let size = admitted.bytes.len() as u64;
    error::within("bytes of the module after admission", size, MAX_ADMITTED as u64)?;
    Ok(admitted)
}

/// The same rewriting for tests of it: of any module, not just of a command.
/// All imports and exports stay, under their names and types; `memory.grow`
/// stays the engine's, and a start section stays. Added are the imports and
/// the export `grid_fuel` of every admitted module. Each call from outside has
/// all of the stack for itself.
///
/// What comes out is no task module: nodes refuse it.
pub fn instrument_open(source: &[u8]) -> Result<Vec<u8>, AdmissionError> {
    error::within("bytes of the module", source.len() as u64, MAX_MODULE as u64)?;
    Ok(module::rewrite(source, Form::Open)?.bytes)
}

#[cfg(test)]
mod tests;
