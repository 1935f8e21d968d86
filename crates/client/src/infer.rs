//! Inference by the relay's OpenAI API (docs/api.md).
//!
//! **Nodes see the prompt.**

use crate::client::Client;
use crate::error::ClientError;
use crate::lines::Lines;
use crate::transport::{Body, printable};
use grid_protocol::Digest;
use grid_protocol::api::ErrorBody;
use grid_protocol::infer::Work;
use reqwest::{Method, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// A stream without a byte for this long is given up; relays send something
/// every fifteen seconds.
const SILENCE: Duration = Duration::from_secs(60);

/// A model that the relay has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Its name: what calls name.
    pub id: String,
    /// Its digest: what specs name.
    pub digest: Digest,
    /// What it does.
    pub work: Work,
    /// Tokens that it can take at a time.
    pub context: u32,
    /// Size of its blocks together.
    pub bytes: u64,
}

#[derive(Deserialize)]
struct Models {
    data: Vec<Model>,
}

/// An answer, and where its receipt is.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The answer's JSON, in the shape of OpenAI's.
    pub body: Value,
    /// Address of the receipt, for the owner.
    pub receipt: Option<String>,
}

impl Client {
    /// The relay's models.
    pub async fn models(&self) -> Result<Vec<Model>, ClientError> {
        Ok(self.get::<Models>("v1/models").await?.data)
    }

    /// One call (`v1/embeddings`, `v1/chat/completions`, `v1/completions`), sent
    /// once: it is paid for.
    pub async fn call(&self, path: &str, body: &Value) -> Result<Answer, ClientError> {
        let json = Body::Json(body.to_string().into());
        let response = self.transport().single(Method::POST, path, json).await?;
        let receipt = receipt(&response);
        Ok(Answer { body: self.transport().json(response).await?, receipt })
    }

    /// One call whose answer is streamed; `body` says so. The text is
    /// provisional until its receipt is settled.
    pub async fn stream(&self, path: &str, body: &Value) -> Result<Streamed, ClientError> {
        let json = Body::Json(body.to_string().into());
        let response = self.transport().once(&Method::POST, path, json, None).await?;
        let receipt = receipt(&response);
        Ok(Streamed { client: self.clone(), response, lines: Lines::default(), receipt })
    }
}

fn receipt(response: &Response) -> Option<String> {
    let value = response.headers().get("grid-receipt")?.to_str().ok()?;
    Some(printable(value))
}

/// The events of a streamed answer.
#[derive(Debug)]
pub struct Streamed {
    client: Client,
    response: Response,
    lines: Lines,
    /// Address of the receipt, for the owner: there once a node answered.
    pub receipt: Option<String>,
}

impl Streamed {
    /// The next event's JSON; `None` at the end. A stream that breaks off, or
    /// says that it failed, is an error.
    pub async fn next(&mut self) -> Result<Option<Value>, ClientError> {
        let transport = self.client.transport();
        loop {
            let long = |_| transport.bad_answer("an event is too long".into());
            while let Some(line) = self.lines.next().map_err(long)? {
                let Some(data) = line.strip_prefix(b"data: ") else { continue };
                if data == b"[DONE]" {
                    return Ok(None);
                }
                let bad = |error: serde_json::Error| transport.bad_answer(error.to_string());
                let event: Value = serde_json::from_slice(data).map_err(bad)?;
                if event["error"].is_null() {
                    return Ok(Some(event));
                }
                let ErrorBody { error } = serde_json::from_value(event).map_err(bad)?;
                let (code, message) = (error.code, printable(&error.message));
                let (status, retry_after) = (500, None);
                return Err(ClientError::Refused { status, code, message, retry_after });
            }
            match tokio::time::timeout(SILENCE, self.response.chunk()).await {
                Ok(Ok(Some(chunk))) => self.lines.push(&chunk),
                Ok(Ok(None)) => return Err(transport.bad_answer("the stream broke off".into())),
                Ok(Err(source)) => return Err(transport.unreachable(source)),
                Err(_) => return Err(transport.bad_answer("the stream is silent".into())),
            }
        }
    }
}
