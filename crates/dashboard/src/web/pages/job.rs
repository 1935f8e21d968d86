//! An owner's jobs: progress and results. The key stays in this page's memory
//! and travels in a header.

use crate::route::Route;
use crate::web::app::save;
use crate::web::net;
use crate::web::parts::{Cell, every, figures, notice, table, words_of};
use crate::words;
use grid_protocol::{ExitReason, JobId, PublicKey};
use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::Deserialize;

/// A running job is asked for again after this.
const AGAIN_MS: u64 = 2_000;
/// Results that the page lists.
const ROWS: usize = 200;
const JOBS: [&str; 5] = ["Job", "State", "#Settled", "#Points", "Submitted"];
const RESULTS: [&str; 6] = ["Task", "Ended", "Node", "#Points", "Proof", "Output"];

/// The owner's key, for as long as the document is open.
#[derive(Clone, Copy)]
pub(in crate::web) struct Key(RwSignal<String>);

impl Key {
    /// None yet. For the frame around the pages: the next page asks for no key
    /// again.
    pub(in crate::web) fn provide() {
        provide_context(Self(RwSignal::new(String::new())));
    }
}

/// What the page shows of `api::JobInfo`.
#[derive(Clone, Deserialize)]
struct Info {
    id: JobId,
    name: String,
    state: String,
    created_ms: u64,
    tasks: u64,
    done: u64,
    failed: u64,
    provisional: u64,
    leased: u64,
    budget: u64,
    spent: u64,
}

/// What the page shows of `api::TaskResult`.
#[derive(Clone, Deserialize)]
struct Outcome {
    seq: u64,
    index: u32,
    name: String,
    receipt: Receipt,
}

#[derive(Clone, Deserialize)]
struct Receipt {
    body: Body,
}

#[derive(Clone, Deserialize)]
struct Body {
    reason: ExitReason,
    exit_code: u32,
    node: PublicKey,
    fuel: u64,
}

pub(in crate::web) fn job(id: Option<JobId>) -> AnyView {
    let Key(key) = expect_context();
    let jobs = RwSignal::new(Vec::<Info>::new());
    let results = RwSignal::new(Vec::<Outcome>::new());
    let failed = RwSignal::new(None::<String>);
    let load = move || {
        let Some(asked) = key.try_get_untracked().filter(|key| !key.trim().is_empty()) else {
            return;
        };
        spawn_local(async move {
            let found = fetch(id, &asked).await;
            // Another key may have been given, or the page left.
            if key.try_get_untracked() != Some(asked) || failed.try_get_untracked().is_none() {
                return;
            }
            failed.set(found.as_ref().err().cloned());
            if let Ok((found, list)) = found {
                jobs.set(found);
                results.set(list);
            }
        });
    };
    every(AGAIN_MS, move || {
        let over =
            |jobs: &Vec<Info>| !jobs.is_empty() && jobs.iter().all(|job| job.state != "running");
        if !jobs.with_untracked(over) {
            load();
        }
    });
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        jobs.set(Vec::new());
        load();
    };
    let told = move || {
        let jobs = jobs.get();
        match (id, jobs.first()) {
            (Some(_), Some(job)) => Some(progress(job)),
            (None, Some(_)) => Some(table("Jobs", &JOBS, move || jobs.iter().map(row).collect())),
            _ => None,
        }
    };
    let listed = Memo::new(move |_| results.with(|results| !results.is_empty()));
    view! {
        <h1>{if id.is_some() { "Job" } else { "Your jobs" }}</h1>
        <p class="whole">{id.map(|id| id.to_string())}</p>
        <form class="row" on:submit=submit>
            <label for="owner">"Owner's key"</label>
            <input
                id="owner" class="wide" type="password" autocomplete="off" spellcheck="false"
                prop:value=move || key.get()
                on:input=move |event| key.set(event_target_value(&event))
            />
            <button class="main" type="submit">"Show"</button>
        </form>
        <p class="hint">"It is sent to this relay only, in a header, and forgotten with this page. \
            The relay and every node that gets a task can read its input."</p>
        {notice(failed.into())}
        {told}
        {move || id.filter(|_| listed.get()).map(|id| list(id, results, key, failed))}
    }
    .into_any()
}

/// The job, or all of them, and the job's results.
async fn fetch(id: Option<JobId>, key: &str) -> Result<(Vec<Info>, Vec<Outcome>), String> {
    let Some(id) = id else {
        return Ok((net::json_of("v1/jobs", key).await?, Vec::new()));
    };
    let job = net::json_of(&format!("v1/jobs/{id}"), key).await?;
    let path = format!("v1/jobs/{id}/results?after=0");
    let lines = net::bytes_of(&path, key).await?;
    let mut results = Vec::new();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        results.push(net::read(&path, line)?);
    }
    Ok((vec![job], results))
}

fn state(job: &Info) -> (&'static str, String) {
    let tone = match job.state.as_str() {
        "running" => "",
        "done" => "good",
        _ => "bad",
    };
    (tone, job.state.replace('_', " "))
}

fn progress(job: &Info) -> AnyView {
    let (tone, word) = state(job);
    let settled =
        format!("{} of {} tasks settled", words::count(job.done), words::count(job.tasks));
    let large = vec![
        ("Running", words::count(job.leased)),
        ("Provisional", words::count(job.provisional)),
        ("Failed", words::count(job.failed)),
        ("Points spent", words::points(job.spent)),
        ("Points of budget", words::points(job.budget)),
    ];
    view! {
        <h2>{job.name.clone()}" "<span class=format!("tag {tone}")>{word}</span></h2>
        <label for="done">{settled}</label>
        <progress id="done" max=job.tasks.max(1).to_string() value=job.done.to_string()></progress>
        {figures(move || large.clone())}
    }
    .into_any()
}

fn row(job: &Info) -> Vec<Cell> {
    let (tone, word) = state(job);
    let name = if job.name.is_empty() { "unnamed" } else { &job.name };
    vec![
        Cell::Link(Route::Job(Some(job.id)), name.to_owned(), format!("Job {name}")),
        Cell::Tone(tone, word),
        Cell::Number(format!("{} of {}", words::count(job.done), words::count(job.tasks))),
        Cell::points(job.spent),
        Cell::Time(job.created_ms, true),
    ]
}

fn list(
    id: JobId,
    results: RwSignal<Vec<Outcome>>,
    key: RwSignal<String>,
    failed: RwSignal<Option<String>>,
) -> AnyView {
    let download = move |index: u32| {
        let asked = key.get_untracked();
        spawn_local(async move {
            let path = format!("v1/jobs/{id}/tasks/{index}/output");
            match net::bytes_of(&path, &asked).await.and_then(|bytes| stdout(&bytes)) {
                Ok((name, bytes)) => save(&format!("task-{index}-{name}"), &bytes),
                Err(why) => {
                    let _ = failed.try_set(Some(why));
                }
            }
        });
    };
    let row = move |result: &Outcome| {
        let Outcome { seq, index, name, receipt: Receipt { body } } = result.clone();
        let label = format!("Download {name}");
        vec![
            Cell::Tone("", name),
            Cell::ending(body.reason, Some(body.exit_code)),
            Cell::Key(body.node),
            Cell::points(body.fuel),
            Cell::proof(seq, "Check"),
            Cell::Button("Download", label, Box::new(move || download(index))),
        ]
    };
    let more = move || {
        let more = results.with(|results| results.len().saturating_sub(ROWS) as u64);
        (more > 0)
            .then(|| format!("and {} more: `grid results` gets them all.", words::count(more)))
    };
    view! {
        <h2 id="results">"Results"</h2>
        {table("Results", &RESULTS, move || {
            results.with(|results| results.iter().take(ROWS).map(row).collect())
        })}
        {move || words_of("empty", more())}
    }
    .into_any()
}

/// Standard output, where that is all there is; else the encoded list.
fn stdout(list: &[u8]) -> Result<(&'static str, Vec<u8>), String> {
    let files = grid_protocol::Files::decode(grid_protocol::Side::Output, list)
        .map_err(|why| format!("the output can't be read: {why}"))?;
    let only = files.iter().all(|(path, bytes)| path == "stdout" || bytes.is_empty());
    match files.get("stdout") {
        Some(bytes) if only => Ok(("stdout", bytes.to_vec())),
        _ => Ok(("output.list", list.to_vec())),
    }
}
