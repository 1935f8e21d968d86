//! The file that the pages read: the length of an index (u32, little-endian),
//! the index as JSON, and the bytes that it points into.

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::path::Path;

/// A range of the bytes: where, and how many.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Range(usize, usize);

/// Cases, what they point to, and notes for the reader.
#[derive(Debug, Default)]
pub(crate) struct Pack {
    bytes: Vec<u8>,
    cases: Vec<Value>,
    summary: Map<String, Value>,
}

impl Pack {
    /// Keeps bytes for a case.
    pub(crate) fn keep(&mut self, bytes: &[u8]) -> Range {
        let range = Range(self.bytes.len(), bytes.len());
        self.bytes.extend_from_slice(bytes);
        range
    }

    /// Adds a case.
    pub(crate) fn case(&mut self, case: impl Serialize) -> Result<()> {
        self.cases.push(serde_json::to_value(case)?);
        Ok(())
    }

    /// Says something of all cases together.
    pub(crate) fn summary(&mut self, name: &str, value: impl Into<Value>) {
        self.summary.insert(name.to_owned(), value.into());
    }

    /// Writes the file, and the summary on standard output.
    pub(crate) fn write(mut self, path: Option<&Path>) -> Result<()> {
        self.summary.insert("cases".to_owned(), self.cases.len().into());
        println!("{}", json!(self.summary));
        let Some(path) = path else { return Ok(()) };
        let index = serde_json::to_vec(&self.cases)?;
        let length = u32::try_from(index.len()).context("the index is too long")?;
        let parts = [&length.to_le_bytes()[..], &index, &self.bytes];
        std::fs::write(path, parts.concat()).with_context(|| format!("{}", path.display()))
    }
}
