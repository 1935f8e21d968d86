//! A job's results as they come, over as many connections as it takes.

use crate::client::Client;
use crate::error::ClientError;
use crate::lines::{LineTooLong, Lines, MAX_LINE};
use crate::transport::{Body, Transport, delay, printable};
use grid_protocol::JobId;
use grid_protocol::api::{ErrorBody, JobState, TaskResult};
use reqwest::{Method, Response};
use std::time::Duration;

/// Connections in a row that may break without a single new result.
const ATTEMPTS: u32 = 10;
/// A connection without a byte for this long is made anew: it may be dead.
const SILENCE: Duration = Duration::from_secs(60);

/// The stream of a job's results: each one once, in order of arrival.
///
/// A dropped connection is taken up after the last result, up to ten times
/// in a row (about half a minute) without a new one.
#[derive(Debug)]
pub struct Results {
    client: Client,
    transport: Transport,
    job: JobId,
    after: Option<u64>,
    follow: bool,
    /// The job was over before the present connection was made, so that the
    /// end of this connection is the end of the results.
    over: bool,
    open: Option<(Response, Lines)>,
    failures: u32,
    ended: bool,
}

/// What one step on an open connection gave.
enum Step {
    Result(Box<TaskResult>),
    /// The relay ended the stream where a line ends.
    End,
    /// Nothing came for [`SILENCE`].
    Silence,
}

impl Results {
    pub(crate) fn new(
        client: Client,
        transport: Transport,
        job: JobId,
        after: Option<u64>,
        follow: bool,
    ) -> Self {
        let (over, ended) = (!follow, false);
        Self { client, transport, job, after, follow, over, open: None, failures: 0, ended }
    }

    /// The next result; `None` when there are no more. After an error, too,
    /// there are no more. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<TaskResult, ClientError>> {
        while !self.ended {
            match self.step().await {
                Ok(Step::Result(result)) => {
                    self.failures = 0;
                    // A relay that repeats itself must not count twice.
                    if self.after.is_none_or(|after| result.seq > after) {
                        self.after = Some(result.seq);
                        return Some(Ok(*result));
                    }
                }
                Ok(Step::Silence) => self.open = None,
                Ok(Step::End) if self.over => self.ended = true,
                Ok(Step::End) => {
                    self.open = None;
                    if let Err(error) = self.ask_whether_over().await {
                        return Some(Err(self.end(error)));
                    }
                }
                Err(error) => {
                    self.open = None;
                    if let Err(error) = self.failed(error).await {
                        return Some(Err(self.end(error)));
                    }
                }
            }
        }
        None
    }

    /// The `seq` of the last result given: where to go on another time.
    pub fn after(&self) -> Option<u64> {
        self.after
    }

    async fn step(&mut self) -> Result<Step, ClientError> {
        if self.open.is_none() {
            self.open = Some((self.connect().await?, Lines::default()));
        }
        let Some((response, lines)) = &mut self.open else { return Ok(Step::Silence) };
        loop {
            match lines.next() {
                Ok(Some(line)) => return parse(&self.transport, line),
                Ok(None) => {}
                Err(LineTooLong) => {
                    let why = format!("a line is longer than {MAX_LINE} bytes");
                    return Err(self.transport.bad_answer(why));
                }
            }
            match tokio::time::timeout(SILENCE, response.chunk()).await {
                Err(_) => return Ok(Step::Silence),
                Ok(Ok(Some(chunk))) => lines.push(&chunk),
                Ok(Ok(None)) if lines.unfinished() => {
                    return Err(self.broken("the stream ended inside a line"));
                }
                Ok(Ok(None)) => return Ok(Step::End),
                Ok(Err(source)) => return Err(self.transport.unreachable(source)),
            }
        }
    }

    async fn connect(&self) -> Result<Response, ClientError> {
        let mut path = format!("v1/jobs/{}/results?follow={}", self.job, self.follow);
        if let Some(after) = self.after {
            path += &format!("&after={after}");
        }
        let request = self.transport.once(&Method::GET, &path, Body::None, None);
        match tokio::time::timeout(SILENCE, request).await {
            Ok(response) => response,
            Err(_) => Err(self.broken("no answer came in a minute")),
        }
    }

    /// A stream that ended while the job goes on was cut: by a relay that
    /// shuts down, or by a proxy. One that ends after the job was over is
    /// complete only if it began then, too.
    async fn ask_whether_over(&mut self) -> Result<(), ClientError> {
        self.over = match self.client.job(self.job).await {
            Ok(job) => job.state != JobState::Running,
            Err(error) => return self.failed(error).await,
        };
        if self.over { Ok(()) } else { self.failed(self.broken("the stream ended early")).await }
    }

    /// Waits before the next connection, or gives up.
    async fn failed(&mut self, error: ClientError) -> Result<(), ClientError> {
        self.failures += 1;
        if !error.retry() || self.failures >= ATTEMPTS {
            return Err(error);
        }
        tokio::time::sleep(delay(&error, self.failures)).await;
        Ok(())
    }

    fn broken(&self, last: &str) -> ClientError {
        let relay = self.transport.relay().to_owned();
        ClientError::Dropped { relay, attempts: self.failures + 1, last: last.into() }
    }

    fn end(&mut self, error: ClientError) -> ClientError {
        self.ended = true;
        self.open = None;
        error
    }
}

fn parse(transport: &Transport, line: &[u8]) -> Result<Step, ClientError> {
    let error = match serde_json::from_slice::<TaskResult>(line) {
        Ok(result) => return Ok(Step::Result(Box::new(result))),
        Err(error) => error,
    };
    // An answer's status is sent before its stream: an error inside the
    // stream has the shape of every other error.
    if let Ok(ErrorBody { error }) = serde_json::from_slice(line) {
        let (code, message) = (error.code, printable(&error.message));
        return Err(ClientError::Refused { status: 500, code, message, retry_after: None });
    }
    Err(transport.bad_answer(format!("a line that is no result: {error}")))
}
