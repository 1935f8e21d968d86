//! For job owners: submit a module and inputs to a relay, follow the results,
//! and check each one without trusting the relay.
//!
//! Nodes are other people's machines. What they send back can be checked
//! ([`verify`]), but **a node can read the module, arguments and inputs of the
//! tasks it is given**: submit nothing that strangers must not see.
//!
//! ```no_run
//! use grid_client::{Client, OwnerKey, TaskInput, new_job, protocol::Files};
//!
//! # async fn example(wasm: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new("http://127.0.0.1:8090", OwnerKey::new("the key")?)?;
//! let module = client.submit_module(wasm).await?;
//! let input = TaskInput { name: "a".into(), files: Files::stdin(b"text".to_vec()) };
//! let submitted = client.submit_job(new_job(module.source), [Ok(input)]).await?;
//! let mut results = client.results(submitted.job.id, None, true);
//! while let Some(result) = results.next().await {
//!     println!("{}", result?.name);
//! }
//! # Ok(())
//! # }
//! ```

mod client;
mod error;
mod infer;
mod job;
mod lines;
pub mod log;
mod people;
mod receipt_file;
mod results;
mod transport;
pub mod verify;

pub use client::Client;
pub use error::{ClientError, JobError, ReceiptFileError};
pub use grid_protocol as protocol;
pub use infer::{Answer, Model, Streamed};
pub use job::{Submitted, TaskInput, new_job};
pub use people::AccountClient;
pub use receipt_file::ReceiptFile;
pub use results::Results;
pub use transport::{OwnerKey, is_loopback, printable};
