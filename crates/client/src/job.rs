//! Submitting a job: inputs first, then the job that names them.

use crate::client::Client;
use crate::error::{ClientError, JobError};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use grid_protocol::api::{JobInfo, NewJob, NewTask};
use grid_protocol::{Digest, Files, Runtime, limits};
use std::{future::Future, io};

/// Inputs that travel inside the job's own request, together.
const INLINE_TOTAL: usize = 16 << 20;
/// Inputs on their way to the relay at a time.
const UPLOADS: usize = 4;

/// One task to be: its name and input list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskInput {
    /// A name for people; at most 200 characters.
    pub name: String,
    /// Standard input and files under `/in`.
    pub files: Files,
}

/// A job that the relay took.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// The job, as the relay answered.
    pub job: JobInfo,
    /// Digest of each task's input list, in order: with [`NewJob::spec`], what
    /// each result's spec must be.
    pub inputs: Vec<Digest>,
}

/// A job of the module with that source digest: no arguments, the default
/// limits. Change its fields, then [`Client::submit_job`] it.
pub fn new_job(module: Digest) -> NewJob {
    NewJob {
        runtime: Runtime::Wasm,
        module,
        arithmetic: None,
        name: String::new(),
        args: Vec::new(),
        env: Vec::new(),
        seed: None,
        fuel: None,
        memory_pages: None,
        output_bytes: None,
        budget: None,
        error_ppb: None,
        tasks: Vec::new(),
    }
}

/// An input on its way: what the job will say of it.
enum Upload {
    Inline(NewTask),
    Put(NewTask, Digest, Bytes),
}

impl Client {
    /// Submits a job with a task for each of `inputs`, in their order; the
    /// `tasks` of `job` are replaced. Inputs are read as they are sent, a few
    /// at a time, so that they need not fit into memory together.
    ///
    /// **Nodes can read the module, arguments and inputs.**
    pub async fn submit_job<I>(&self, mut job: NewJob, inputs: I) -> Result<Submitted, JobError>
    where
        I: IntoIterator<Item = io::Result<TaskInput>>,
    {
        let mut digests = Vec::new();
        let mut left = INLINE_TOTAL;
        let uploads = inputs.into_iter().map(|input| {
            let TaskInput { name, files } = input?;
            let encoded = files.encode();
            drop(files);
            if encoded.len() > limits::MAX_INPUT {
                return Err(JobError::InputTooLarge { name, bytes: encoded.len() });
            }
            if digests.len() == limits::MAX_TASKS {
                return Err(JobError::Tasks);
            }
            let digest = Digest::of(&encoded);
            digests.push(digest);
            if encoded.len() <= limits::INLINE_BODY.min(left) {
                left -= encoded.len();
                let inline = Some(STANDARD.encode(encoded));
                return Ok(Upload::Inline(NewTask { name, input: None, inline }));
            }
            let task = NewTask { name, input: Some(digest), inline: None };
            Ok(Upload::Put(task, digest, encoded.into()))
        });
        job.tasks = self.upload(uploads).await?;
        if job.tasks.is_empty() {
            return Err(JobError::Tasks);
        }
        let info = self.post_job(&job).await?;
        if info.module != job.module || info.tasks != digests.len() as u64 {
            return Err(bad_job(self).into());
        }
        Ok(Submitted { job: info, inputs: digests })
    }

    fn upload(
        &self,
        uploads: impl Iterator<Item = Result<Upload, JobError>>,
    ) -> impl Future<Output = Result<Vec<NewTask>, JobError>> {
        stream::iter(uploads)
            .map(move |upload| async move {
                match upload? {
                    Upload::Inline(task) => Ok(task),
                    Upload::Put(task, digest, encoded) => {
                        self.put_encoded(digest, encoded).await?;
                        Ok(task)
                    }
                }
            })
            .buffered(UPLOADS)
            .try_collect()
    }
}

fn bad_job(client: &Client) -> ClientError {
    let why = "it took another job than the one submitted".into();
    ClientError::Answer { relay: client.relay().to_owned(), why }
}
