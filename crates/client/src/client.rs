//! One method for each thing an owner asks of a relay.

use crate::error::ClientError;
use crate::results::Results;
use crate::transport::{Body, OwnerKey, Transport};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use grid_protocol::api::{
    AccountInfo, JobInfo, ModuleInfo, NetworkInfo, NewJob, TaskInfo, TaskResult,
};
use grid_protocol::{Digest, Files, JobId, limits};
use reqwest::Method;
use serde::de::DeserializeOwned;

/// An owner's connection to one relay. Cheap to clone.
///
/// Requests that can be repeated without harm are, a few times, when the relay
/// can't be reached or is overloaded.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Transport,
}

impl Client {
    /// A client of the relay at `relay` (`http://host:port` or `https://host`,
    /// with a path where the relay is below one). Nothing is sent yet.
    pub fn new(relay: &str, key: OwnerKey) -> Result<Self, ClientError> {
        Ok(Self { transport: Transport::new(relay, Some(key))? })
    }

    /// A client without a key: for [`Client::network`] only.
    pub fn without_key(relay: &str) -> Result<Self, ClientError> {
        Ok(Self { transport: Transport::new(relay, None)? })
    }

    /// The relay's address.
    pub fn relay(&self) -> &str {
        self.transport.relay()
    }

    /// Submits a task module; the relay admits it (once: submitting it again
    /// is cheap). A module that admission refuses is an error with the code
    /// `module_refused` that says what to change.
    pub async fn submit_module(&self, wasm: Vec<u8>) -> Result<ModuleInfo, ClientError> {
        let digest = Digest::of(&wasm);
        let body = Body::Bytes(wasm.into());
        let response = self.transport.repeat(Method::POST, "v1/modules", body).await?;
        let info: ModuleInfo = self.transport.json(response).await?;
        if info.source != digest {
            return Err(self.transport.bad_answer("it names another module".into()));
        }
        Ok(info)
    }

    /// What the relay knows of a module submitted before.
    pub async fn module(&self, source: Digest) -> Result<ModuleInfo, ClientError> {
        self.get(&format!("v1/modules/{source}")).await
    }

    /// The admitted module: what nodes run. Its digest is not checked here.
    pub async fn admitted(&self, source: Digest) -> Result<Vec<u8>, ClientError> {
        self.body(&format!("v1/modules/{source}/admitted"), limits::MAX_ADMITTED).await
    }

    /// Puts an input list, for tasks that name it by digest.
    pub async fn put_input(&self, input: &Files) -> Result<Digest, ClientError> {
        let encoded = Bytes::from(input.encode());
        let digest = Digest::of(&encoded);
        self.put_encoded(digest, encoded).await?;
        Ok(digest)
    }

    pub(crate) async fn put_encoded(
        &self,
        digest: Digest,
        encoded: Bytes,
    ) -> Result<(), ClientError> {
        let path = format!("v1/blobs/{digest}");
        self.transport.repeat(Method::PUT, &path, Body::Bytes(encoded)).await.map(drop)
    }

    /// Sent once only: a relay that vanished before it answered may have the
    /// job or not, see [`Client::jobs`].
    pub(crate) async fn post_job(&self, job: &NewJob) -> Result<JobInfo, ClientError> {
        let json = serde_json::to_vec(job).expect("a job has no map with keys that are no text");
        let body = Body::Json(json.into());
        let response = self.transport.single(Method::POST, "v1/jobs", body).await?;
        self.transport.json(response).await
    }

    /// A job.
    pub async fn job(&self, job: JobId) -> Result<JobInfo, ClientError> {
        self.get(&format!("v1/jobs/{job}")).await
    }

    /// The owner's jobs.
    pub async fn jobs(&self) -> Result<Vec<JobInfo>, ClientError> {
        self.get("v1/jobs").await
    }

    /// A job's tasks, in order.
    pub async fn tasks(&self, job: JobId) -> Result<Vec<TaskInfo>, ClientError> {
        self.get(&format!("v1/jobs/{job}/tasks")).await
    }

    /// Cancels a job. Results that are there stay.
    pub async fn cancel(&self, job: JobId) -> Result<JobInfo, ClientError> {
        let path = format!("v1/jobs/{job}/cancel");
        let response = self.transport.repeat(Method::POST, &path, Body::None).await?;
        self.transport.json(response).await
    }

    /// The owner's account.
    pub async fn account(&self) -> Result<AccountInfo, ClientError> {
        self.get("v1/account").await
    }

    /// What anyone may see of the relay: its key and its nodes.
    pub async fn network(&self) -> Result<NetworkInfo, ClientError> {
        self.get("v1/network").await
    }

    /// A job's results in order of arrival, those after `after` (a
    /// [`TaskResult::seq`]); with `follow`, until the job is over. A dropped
    /// connection is taken up where it broke.
    pub fn results(&self, job: JobId, after: Option<u64>, follow: bool) -> Results {
        Results::new(self.clone(), self.transport.clone(), job, after, follow)
    }

    /// A result's encoded output list: what came with it, else fetched.
    /// Bounded by the spec's limit; not checked, see [`crate::verify`].
    pub async fn output(&self, job: JobId, result: &TaskResult) -> Result<Vec<u8>, ClientError> {
        if let Some(inline) = &result.output {
            let limit = limits::INLINE_BODY.div_ceil(3) * 4;
            let decoded = (inline.len() <= limit).then(|| STANDARD.decode(inline).ok()).flatten();
            let bad = || self.transport.bad_answer("an output that is not base64".into());
            return decoded.ok_or_else(bad);
        }
        let files = result.spec.output_bytes.min(limits::MAX_OUTPUT) as usize;
        // Each file's two lengths, the header and the count.
        let limit = files + 8 * limits::MAX_FILES + 64;
        self.body(&format!("v1/jobs/{job}/tasks/{}/output", result.index), limit).await
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let response = self.transport.repeat(Method::GET, path, Body::None).await?;
        self.transport.json(response).await
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(crate) fn bad_answer(&self, why: String) -> ClientError {
        self.transport.bad_answer(why)
    }

    pub(crate) async fn body(&self, path: &str, limit: usize) -> Result<Vec<u8>, ClientError> {
        let response = self.transport.repeat(Method::GET, path, Body::None).await?;
        self.transport.bytes(response, limit).await
    }
}
