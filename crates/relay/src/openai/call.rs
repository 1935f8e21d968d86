//! A call as a job: submitted, waited for, its answers read.

use super::failed::Failed;
use crate::api::body::put_blob;
use crate::api::jobs::{Inputs, Program, start};
use crate::core::random;
use crate::inference::fuel_for;
use crate::state::{Shared, unix_ms};
use crate::store::{JobRow, ModelRow, NewBody, NewTaskRow, OwnerRow, Write, results, rows};
use crate::writer::{Request, Then};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use grid_protocol::api::{JobState, NewJob, ResultStanding, TaskResult};
use grid_protocol::infer::{REFUSED, Work};
use grid_protocol::{Digest, ExitReason, Files, JobId, Runtime, Side};
use grid_scheduler::Needs;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

/// How long a call waits for a node that infers.
const NODE: Duration = Duration::from_secs(5);
/// How long a call waits for its results: as long as the clients wait for it.
const RESULTS: Duration = Duration::from_secs(600);
/// How long a result may be provisional before it is given as it is.
const SETTLING: Duration = Duration::from_secs(30);
/// Longest answer that is read: 16 embeddings of 8,192 numbers, and their JSON.
const MAX_ANSWER: u64 = 1 << 20;
/// Least time between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// What is asked of a model.
pub(crate) struct Asked {
    pub(crate) model: ModelRow,
    pub(crate) work: Work,
    /// Standard input of each task, as JSON.
    pub(crate) requests: Vec<Vec<u8>>,
    /// Tokens that one task may come to.
    pub(crate) tokens: u64,
    pub(crate) seed: Option<Digest>,
}

/// A call under way. Dropped before every task has a result, it ends its job:
/// nobody waits any more.
pub(crate) struct Call {
    shared: Arc<Shared>,
    job: JobRow,
    /// Where results were read up to.
    after: u64,
    found: BTreeMap<u32, TaskResult>,
    ended: bool,
}

impl Drop for Call {
    fn drop(&mut self) {
        let id = self.job.id;
        self.shared.core().unwatch_text(id);
        if !self.ended {
            let state = JobState::Cancelled;
            let write = Write::EndJob { job: id, state, at_ms: unix_ms() };
            self.shared.follow_up(Request { write, then: Then::End(id) });
        }
    }
}

/// Waits a little for a node that infers, then submits a job. With `text`, what
/// its one task generates can be watched.
pub(crate) async fn submit(
    shared: &Arc<Shared>,
    owner: &OwnerRow,
    asked: Asked,
    text: bool,
) -> Result<(Call, Option<watch::Receiver<String>>), Failed> {
    wait_for_node(shared, asked.model.digest).await?;
    let (mut tasks, mut bodies) = (Vec::new(), Vec::new());
    for request in asked.requests {
        let encoded = Bytes::from(Files::stdin(request).encode());
        let (digest, size) = (Digest::of(&encoded), encoded.len() as u64);
        tasks.push(NewTaskRow { name: String::new(), input: digest, input_bytes: size });
        let inline = rows::is_inline(size);
        if !inline {
            put_blob(shared, digest, encoded.clone()).await?;
        }
        bodies.push(NewBody { digest, size, bytes: inline.then_some(encoded) });
    }
    let job = NewJob {
        runtime: Runtime::Infer,
        module: asked.model.digest,
        arithmetic: None,
        name: asked.model.name.clone(),
        args: vec![asked.work.name().into()],
        env: Vec::new(),
        seed: asked.seed,
        fuel: Some(fuel_for(&asked.model, asked.tokens)),
        memory_pages: None,
        output_bytes: None,
        budget: None,
        error_ppb: None,
        tasks: Vec::new(),
    };
    let (id, program) = (JobId(random()), Program::of_model(&asked.model));
    let text = text.then(|| shared.core().watch_text(id));
    let started = start(shared, owner, id, job, program, Inputs { tasks, bodies }).await;
    let owner = owner.id;
    let row = match started {
        Ok(_) => shared.reads.run(move |db| rows::job(db, owner, id)).await?,
        Err(error) => {
            shared.core().unwatch_text(id);
            return Err(error.into());
        }
    };
    let lost = || Failed::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the job is lost");
    let job = row.ok_or_else(lost)?;
    let shared = shared.clone();
    Ok((Call { shared, job, after: 0, found: BTreeMap::new(), ended: false }, text))
}

async fn wait_for_node(shared: &Shared, model: Digest) -> Result<(), Failed> {
    let until = Instant::now() + NODE;
    while shared.core().scheduler.online_for(Needs::Model(model)) == 0 {
        if Instant::now() >= until {
            let message = "no node that runs models is on line; try again when one is";
            return Err(Failed::new(StatusCode::SERVICE_UNAVAILABLE, "no_node", message));
        }
        sleep(10 * PAUSE).await;
    }
    Ok(())
}

impl Call {
    /// The job, as an answer's id.
    pub(crate) fn id(&self) -> JobId {
        self.job.id
    }

    /// Where the receipt is, or will be.
    pub(crate) fn receipt(&self) -> String {
        let (origin, id) = (&self.shared.origin, self.job.id);
        match self.job.tasks {
            1 => format!("{origin}/v1/jobs/{id}/tasks/0/result"),
            _ => format!("{origin}/v1/jobs/{id}/results?provisional=true"),
        }
    }

    /// Waits until every task has a result, provisional or not.
    pub(crate) async fn first(&mut self) -> Result<(), Failed> {
        let until = Instant::now() + RESULTS;
        while !self.all(|_| true) {
            if !self.look(until).await? {
                let message = "no node answered in time; the job was cancelled";
                return Err(Failed::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", message));
            }
        }
        self.ended = true;
        Ok(())
    }

    /// Waits until every result is canonical, but not for ever. Gives back
    /// whether they are.
    pub(crate) async fn settled(&mut self) -> Result<bool, Failed> {
        self.first().await?;
        let until = Instant::now() + SETTLING;
        let canonical = |result: &TaskResult| result.standing == ResultStanding::Canonical;
        while !self.all(canonical) {
            if !self.look(until).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn all(&self, holds: impl Fn(&TaskResult) -> bool) -> bool {
        self.found.len() as u64 == self.job.tasks && self.found.values().all(holds)
    }

    /// Reads what is new; where nothing is, waits for it. False when the time
    /// is up.
    async fn look(&mut self, until: Instant) -> Result<bool, Failed> {
        // Watched before it is read: what comes in between is seen.
        let watched = self.shared.core().job(self.job.id).map(|job| job.changed.subscribe());
        let (job, after, acking) = (self.job.clone(), self.after, self.shared.clone());
        let read = move |db: &rusqlite::Connection| {
            let state = rows::job_state_of(db, &job)?;
            let page = results::results(db, &job, after, usize::MAX >> 1, true)?;
            let ack = |receipt, lease, seq| acking.log.ack(receipt, lease, seq);
            let found = page.rows.into_iter().map(|row| row.into_result(&job, ack));
            Ok((state, found.collect::<Vec<_>>(), page.last, page.more))
        };
        let (state, found, last, more) = self.shared.reads.run(read).await?;
        self.after = last;
        let news = more || !found.is_empty();
        self.found.extend(found.into_iter().map(|result| (result.index, result)));
        if news {
            return Ok(true);
        }
        let ended = match state {
            JobState::Running => None,
            JobState::OutOfBudget => Some("the call needs more than its budget"),
            JobState::Cancelled => Some("the call's job was cancelled"),
            // Everything was read, or is about to be.
            JobState::Done => return Ok(Instant::now() < until),
        };
        if let Some(why) = ended {
            self.ended = true;
            return Err(Failed::new(StatusCode::INTERNAL_SERVER_ERROR, "job_over", why));
        }
        let mut stop = self.shared.stop.subscribe();
        let changed = async {
            match watched {
                Some(mut watched) => drop(watched.changed().await),
                None => sleep(4 * PAUSE).await,
            }
        };
        let changed = async { tokio::join!(changed, sleep(PAUSE)) };
        tokio::select! {
            waited = timeout_at(until, changed) => Ok(waited.is_ok()),
            _ = stop.wait_for(|stop| *stop) => {
                let message = "the relay is stopping; try again soon";
                Err(Failed::new(StatusCode::SERVICE_UNAVAILABLE, "closing", message))
            }
        }
    }

    /// What the tasks answered, in order.
    pub(crate) async fn answers<T: DeserializeOwned>(&self) -> Result<Vec<T>, Failed> {
        let mut answers = Vec::with_capacity(self.found.len());
        for result in self.found.values() {
            let output = self.output(result).await?;
            answers.push(answer(result, &output)?);
        }
        Ok(answers)
    }

    async fn output(&self, result: &TaskResult) -> Result<Files, Failed> {
        let lost = || {
            let message = "the relay can't read the answer";
            Failed::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
        };
        let bytes = match &result.output {
            Some(inline) => STANDARD.decode(inline).map_err(|_| lost())?,
            None => {
                let (blobs, digest) = (self.shared.blobs.clone(), result.receipt.body.output);
                let read = move || {
                    let (file, _) = blobs.open_blob(digest).ok().flatten()?;
                    let mut bytes = Vec::new();
                    file.take(MAX_ANSWER + 1).read_to_end(&mut bytes).ok().map(|_| bytes)
                };
                crate::api::body::compute(read).await.ok_or_else(lost)?
            }
        };
        if bytes.len() as u64 > MAX_ANSWER {
            let message = format!("a node's answer is over {MAX_ANSWER} bytes");
            return Err(Failed::new(StatusCode::BAD_GATEWAY, "bad_answer", message));
        }
        Files::decode(Side::Output, &bytes).map_err(|_| lost())
    }
}

/// What a task says: its answer, or why the model can't take the request.
fn answer<T: DeserializeOwned>(result: &TaskResult, output: &Files) -> Result<T, Failed> {
    let body = &result.receipt.body;
    let bad = |message: String| {
        Failed::new(StatusCode::BAD_GATEWAY, "bad_answer", format!("a node's answer: {message}"))
    };
    match (body.reason, body.exit_code) {
        (ExitReason::Exit, 0) => {
            let stdout = output.get("stdout").unwrap_or_default();
            serde_json::from_slice(stdout).map_err(|error| bad(error.to_string()))
        }
        (ExitReason::Exit, REFUSED) => {
            let stderr = String::from_utf8_lossy(output.get("stderr").unwrap_or_default());
            let words: String =
                stderr.trim().chars().filter(|c| !c.is_control()).take(500).collect();
            Err(Failed::new(StatusCode::BAD_REQUEST, "refused_by_model", words))
        }
        (reason, code) => Err(bad(format!("it ended with {reason:?} {code}"))),
    }
}
