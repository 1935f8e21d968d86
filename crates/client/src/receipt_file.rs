//! `receipt.json`: what an owner keeps of a result, to show to anyone who
//! wants to check it.

use crate::error::ReceiptFileError;
use grid_protocol::api::TaskResult;
use grid_protocol::{JobId, PublicKey};
use serde::{Deserialize, Serialize};

const FORMAT: &str = "grid-receipt";
const VERSION: u16 = 1;
/// Largest file that is read.
const MAX_FILE: usize = 1 << 20;

/// A result as it is kept in a file (docs/cli.md): everything but the output,
/// which lies beside it as files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptFile {
    /// `grid-receipt`.
    pub format: String,
    /// 1.
    pub version: u16,
    /// The relay's key, as the owner knew it when the file was written.
    pub relay: PublicKey,
    /// The job.
    pub job: JobId,
    /// The task's result; its output left out.
    pub result: TaskResult,
}

impl ReceiptFile {
    /// The file of a result that the relay with the key `relay` gave.
    pub fn new(relay: PublicKey, job: JobId, result: &TaskResult) -> Self {
        let result = TaskResult { output: None, ..result.clone() };
        Self { format: FORMAT.into(), version: VERSION, relay, job, result }
    }

    /// Its bytes: JSON for people to read too.
    pub fn encode(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("every key is text");
        json.push(b'\n');
        json
    }

    /// Reads one. Says nothing of whether what it holds is true.
    pub fn decode(bytes: &[u8]) -> Result<Self, ReceiptFileError> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u16,
        }
        if bytes.len() > MAX_FILE {
            return Err(ReceiptFileError::TooLarge { limit: MAX_FILE });
        }
        // The head first: a newer version may have other fields.
        let Head { format, version } = serde_json::from_slice(bytes)?;
        if format != FORMAT || version != VERSION {
            return Err(ReceiptFileError::Format { format, version });
        }
        Ok(serde_json::from_slice(bytes)?)
    }
}
