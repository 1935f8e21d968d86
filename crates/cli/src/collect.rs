//! Takes a job's results: checks each, writes each, tells of each.

use crate::failure::{Exit, Failure};
use crate::folder::{ResultsFolder, save_error};
use crate::progress::{Progress, Tally};
use crate::{quantity, ui};
use grid_client::Client;
use grid_client::verify::{Expected, Report, Step, verify};
use grid_protocol::api::{JobInfo, JobState, NewJob, TaskResult};
use grid_protocol::{Digest, Files, PublicKey, Side, Spec};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;

/// Up to so many tasks, each gets a line.
const LINES: u64 = 50;
/// How often a watched job's state is asked for.
const STATE_EVERY: Duration = Duration::from_secs(2);

/// What the owner submitted, to hold each result against.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) job: NewJob,
    pub(crate) admitted: Digest,
    pub(crate) admission: u16,
    /// Digest of each task's input.
    pub(crate) inputs: Vec<Digest>,
}

impl Asked {
    fn spec(&self, index: u32) -> Option<Spec> {
        let input = *self.inputs.get(index as usize)?;
        Some(self.job.spec(self.admitted, self.admission, input))
    }
}

/// Takes one job's results.
pub(crate) struct Collector<'a> {
    client: &'a Client,
    job: JobInfo,
    relay: PublicKey,
    asked: Option<Asked>,
    folder: Option<ResultsFolder>,
    as_json: bool,
    follow: bool,
    progress: Progress,
    tally: Tally,
    seen: HashSet<u32>,
    unsaved: u64,
    state: String,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(
        client: &'a Client,
        job: JobInfo,
        relay: PublicKey,
        asked: Option<Asked>,
        folder: Option<ResultsFolder>,
        follow: bool,
        as_json: bool,
    ) -> Self {
        let tally = Tally { total: job.tasks, ..Tally::default() };
        let progress = Progress::new(job.tasks, as_json || !follow);
        let (seen, state) = (HashSet::new(), String::new());
        Self {
            client,
            job,
            relay,
            asked,
            folder,
            as_json,
            follow,
            progress,
            tally,
            seen,
            unsaved: 0,
            state,
        }
    }

    /// Takes results until there are no more. Ctrl-C ends the waiting, never
    /// the job.
    pub(crate) async fn collect(mut self) -> Result<Exit, Failure> {
        let ended = self.take_all().await;
        self.progress.end();
        match ended {
            Ok(Exit::Interrupted) => self.interrupted(),
            Ok(_) => self.finish().await,
            Err(failure) => {
                if failure.exit() == Exit::Unreachable && !self.as_json {
                    self.goes_on();
                }
                Err(failure)
            }
        }
    }

    async fn take_all(&mut self) -> Result<Exit, Failure> {
        let mut results = self.client.results(self.job.id, None, self.follow);
        let mut ticks = tokio::time::interval(STATE_EVERY);
        let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
        loop {
            // One future over all ticks: connecting may take longer than one.
            let mut next = std::pin::pin!(results.next());
            let result = loop {
                tokio::select! {
                    result = &mut next => break result,
                    _ = &mut stop => return Ok(Exit::Interrupted),
                    _ = ticks.tick(), if self.follow && !self.as_json => {
                        self.state = state(self.client, &self.job).await;
                        self.progress.show(&self.tally, &self.state);
                    }
                }
            };
            match result {
                None => return Ok(Exit::Ok),
                Some(result) => tokio::select! {
                    taken = self.take(result?) => taken?,
                    _ = &mut stop => return Ok(Exit::Interrupted),
                },
            }
        }
    }

    async fn take(&mut self, result: TaskResult) -> Result<(), Failure> {
        if u64::from(result.index) >= self.tally.total {
            let why =
                format!("the relay gave a result of task {}, which the job has not", result.index);
            return Err(Failure::new(Exit::NotVerified, "bad_answer", why));
        }
        if !self.seen.insert(result.index) {
            return Ok(());
        }
        let body = &result.receipt.body;
        let output = match (&self.folder, &result.output) {
            // A large output is fetched only where it is wanted.
            (None, None) => None,
            _ => Some(self.client.output(self.job.id, &result).await?),
        };
        let asked = self.asked.as_ref().and_then(|asked| asked.spec(result.index));
        let expected = Expected { relay: Some(self.relay), spec: asked.as_ref() };
        let report = verify(&result, output.as_deref(), expected);
        let succeeded = ui::succeeded(body.reason, body.exit_code);
        self.tally.done += 1;
        self.tally.fuel = self.tally.fuel.saturating_add(body.fuel);
        self.tally.failed += u64::from(!succeeded);
        self.tally.refused += u64::from(!report.passed());
        let output = output.and_then(|bytes| Files::decode(Side::Output, &bytes).ok());
        let saved = match (&self.folder, &output) {
            (Some(folder), Some(output)) if report.passed() => save(folder, &result, output),
            _ => Ok(None),
        };
        self.unsaved += u64::from(saved.is_err());
        self.tell(&result, &report, output.as_ref(), saved)?;
        self.progress.show(&self.tally, &self.state);
        Ok(())
    }

    fn tell(
        &self,
        result: &TaskResult,
        report: &Report,
        output: Option<&Files>,
        saved: Result<Option<String>, String>,
    ) -> Result<(), Failure> {
        if self.as_json {
            return ui::line(as_json(result, report, &saved).to_string());
        }
        let body = &result.receipt.body;
        let succeeded = ui::succeeded(body.reason, body.exit_code);
        let fine = report.passed() && succeeded && saved.is_ok();
        if fine && self.follow && self.tally.total > LINES {
            return Ok(());
        }
        let mark = if fine {
            grid_client::verify::Mark::Passed
        } else {
            grid_client::verify::Mark::Failed
        };
        let mut lines = vec![format!(
            "{} {:<24} {:<12} {:>9} fuel  node {}  output {}",
            ui::mark(mark),
            ui::inline(&result.name),
            ui::ending(body),
            quantity::fuel(body.fuel),
            ui::short(body.node),
            ui::short(body.output),
        )];
        if let Some(step) = report.failure() {
            lines.push(format!("    NOT VERIFIED: {}: {}", step.check.title(), step.why));
        }
        if let Err(why) = &saved {
            lines.push(format!("    not written: {why}"));
        }
        if !succeeded {
            let hint = result.hint.as_deref().map(ui::inline);
            lines.extend(hint.map(|hint| format!("    {hint}")));
            let stderr = output.and_then(|output| output.get("stderr")).unwrap_or_default();
            lines.extend(ui::excerpt(stderr).into_iter().map(|line| format!("    stderr: {line}")));
        }
        self.progress.around(|| lines.iter().try_for_each(ui::line))
    }

    fn interrupted(&self) -> Result<Exit, Failure> {
        if self.as_json {
            ui::line(json!({ "type": "interrupted", "job": self.job.id }).to_string())?;
        } else {
            self.goes_on();
        }
        Ok(Exit::Interrupted)
    }

    /// Nobody watches any more: how to go on.
    fn goes_on(&self) {
        let id = self.job.id;
        ui::aside("Stopped watching. The job goes on.");
        ui::aside(format!("  grid results {id} --follow --out DIR   to take its results"));
        ui::aside(format!("  grid cancel {id}                       to end it"));
    }

    async fn finish(mut self) -> Result<Exit, Failure> {
        self.job = self.client.job(self.job.id).await?;
        let (tally, job) = (&self.tally, &self.job);
        let missing = tally.total.saturating_sub(tally.done);
        let exit = match job.state {
            _ if tally.refused > 0 => Exit::NotVerified,
            _ if self.unsaved > 0 => Exit::Failed,
            JobState::Running if self.follow => Exit::Failed,
            JobState::Done if missing > 0 => Exit::Failed,
            JobState::Cancelled => Exit::Failed,
            JobState::OutOfBudget => Exit::Refused,
            _ if tally.failed > 0 => Exit::TasksFailed,
            _ => Exit::Ok,
        };
        if self.as_json {
            let line = json!({
                "type": "finished", "job": job, "taken": tally.done, "failed": tally.failed,
                "not_verified": tally.refused, "not_written": self.unsaved, "missing": missing,
                "fuel": tally.fuel, "exit": exit as u8,
            });
            ui::line(line.to_string())?;
            return Ok(exit);
        }
        ui::line(self.summary(missing))?;
        Ok(exit)
    }

    fn summary(&self, missing: u64) -> String {
        let (tally, id) = (&self.tally, self.job.id);
        let state = match self.job.state {
            JobState::Running => "is running",
            JobState::Done => "is done",
            JobState::Cancelled => "was cancelled",
            JobState::OutOfBudget => "ran out of budget",
        };
        let verified = match tally.refused {
            0 => "every receipt verified".into(),
            refused => format!("{refused} NOT VERIFIED"),
        };
        let mut out = format!(
            "Job {id} {state}: {} of {} results, {} failed, {} fuel, {verified}.",
            tally.done,
            tally.total,
            tally.failed,
            quantity::fuel(tally.fuel),
        );
        if let Some(folder) = &self.folder {
            out += &format!("\nResults are in {}.", folder.root().display());
        }
        if self.folder.is_none() && tally.done > 0 {
            out += &format!("\nTake them with: grid results {id} --out DIR");
        }
        if self.unsaved > 0 {
            out += &format!("\n{} of them could not be written.", self.unsaved);
        }
        match self.job.state {
            JobState::Running => {
                out += &format!("\n{missing} are still missing; wait for them with --follow.");
            }
            JobState::OutOfBudget => {
                out += "\nThe rest was not run. Submit it again with a larger --budget.";
            }
            _ => {}
        }
        out
    }
}

/// Saves a result that passed its checks; gives back where it is.
fn save(
    folder: &ResultsFolder,
    result: &TaskResult,
    output: &Files,
) -> Result<Option<String>, String> {
    let Some(place) = folder.task(result.index) else {
        return Err(format!("the job has no task {}", result.index));
    };
    let receipt = folder.receipt(result);
    if !folder.holds(&place, output, &receipt) {
        folder.save(&place, output, &receipt).map_err(|error| save_error(&place, &error))?;
    }
    Ok(Some(place.display().to_string()))
}

/// What the tasks without a result do.
async fn state(client: &Client, job: &JobInfo) -> String {
    match client.job(job.id).await {
        Ok(job) if job.leased > 0 => format!("{} running", job.leased),
        Ok(_) => match client.network().await {
            Ok(network) if network.nodes_online == 0 => "waiting: no node is on line".into(),
            Ok(network) => {
                format!("waiting for one of {}", ui::count(network.nodes_online, "node"))
            }
            Err(_) => String::new(),
        },
        Err(_) => "the relay does not answer, trying again".into(),
    }
}

fn as_json(result: &TaskResult, report: &Report, saved: &Result<Option<String>, String>) -> Value {
    let body = &result.receipt.body;
    let steps: &[Step] = &report.steps;
    json!({
        "type": "result",
        "seq": result.seq,
        "index": result.index,
        "name": result.name,
        "reason": body.reason,
        "exit_code": body.exit_code,
        "fuel": body.fuel,
        "node": body.node,
        "receipt": result.ack.receipt,
        "spec": body.spec,
        "input": body.input,
        "output": body.output,
        "hint": result.hint,
        "verified": report.passed(),
        "checks": steps,
        "folder": saved.as_ref().ok().and_then(Option::as_ref),
        "not_written": saved.as_ref().err(),
    })
}
