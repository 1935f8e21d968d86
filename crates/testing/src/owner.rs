//! An owner over bare HTTP, for measuring: it checks nothing.

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use grid_protocol::api::{JobInfo, ModuleInfo, NewJob, NewTask};
use grid_protocol::{Digest, Files, JobId, Runtime};
use std::time::Duration;

/// A module that ends at once.
pub const NO_OP: &str = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;

/// An owner over bare HTTP.
#[derive(Debug, Clone)]
pub struct Owner {
    origin: String,
    key: String,
    http: reqwest::Client,
}

impl Owner {
    /// An owner of the relay at `origin`.
    pub fn new(origin: &str, key: &str) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { origin: origin.into(), key: key.into(), http })
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.origin)).bearer_auth(&self.key)
    }

    async fn answer(request: reqwest::RequestBuilder) -> Result<reqwest::Response> {
        let response = request.send().await?;
        let status = response.status();
        if !status.is_success() {
            anyhow::bail!("{status}: {}", response.text().await?);
        }
        Ok(response)
    }

    /// Submits a module, as bytes or as text.
    pub async fn submit_module(&self, module: &[u8]) -> Result<ModuleInfo> {
        let module = wat::parse_bytes(module)?.into_owned();
        let request = self.request(reqwest::Method::POST, "/v1/modules").body(module);
        Ok(Self::answer(request).await?.json().await?)
    }

    /// Submits a job.
    pub async fn submit_job(&self, job: &NewJob) -> Result<JobInfo> {
        let request = self.request(reqwest::Method::POST, "/v1/jobs").json(job);
        Ok(Self::answer(request).await?.json().await?)
    }

    /// How a job stands.
    pub async fn job(&self, job: JobId) -> Result<JobInfo> {
        let request = self.request(reqwest::Method::GET, &format!("/v1/jobs/{job}"));
        Ok(Self::answer(request).await?.json().await?)
    }

    /// Follows a job's results to its end; `arrived` is called with the number
    /// of whole lines that came, as they come.
    pub async fn follow(&self, job: JobId, mut arrived: impl FnMut(usize)) -> Result<()> {
        let path = format!("/v1/jobs/{job}/results?after=0&follow=true");
        let request = self.request(reqwest::Method::GET, &path).timeout(Duration::from_secs(120));
        let mut response = Self::answer(request).await?;
        let mut in_line = false;
        while let Some(chunk) = response.chunk().await? {
            let lines = chunk.iter().filter(|byte| **byte == b'\n').count();
            in_line = chunk.last() != Some(&b'\n');
            arrived(lines);
        }
        ensure!(!in_line, "the stream of results ended within a line");
        Ok(())
    }
}

/// A job of tasks with small, different inputs.
pub fn small_job(module: Digest, name: &str, tasks: usize) -> NewJob {
    let task = |index: usize| NewTask {
        name: String::new(),
        input: None,
        inline: Some(
            BASE64_STANDARD.encode(Files::stdin(format!("{name} {index}").into_bytes()).encode()),
        ),
    };
    NewJob {
        runtime: Runtime::Wasm,
        module,
        arithmetic: None,
        name: name.into(),
        args: vec![],
        env: vec![],
        seed: None,
        fuel: Some(1_000_000),
        memory_pages: None,
        output_bytes: Some(4_096),
        budget: None,
        error_ppb: None,
        tasks: (0..tasks).map(task).collect(),
    }
}
