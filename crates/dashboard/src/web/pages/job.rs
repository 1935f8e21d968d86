//! An owner's jobs: progress and results. The key stays in this page's memory
//! and travels in a header.

use crate::json::{self, Read as _};
use crate::route::Route;
use crate::web::files::save;
use crate::web::key::{self, Keys};
use crate::web::net::{self, Shown};
use crate::web::parts::{Cell, every, figures, notice, table, words_of};
use crate::words;
use crate::zip::Zip;
use grid_protocol::{Files, JobId, Side};
use leptos::prelude::*;
use leptos::task::spawn_local;
use serde_json::{Value, json};

/// A running job is asked for again after this.
const AGAIN_MS: u64 = 2_000;
/// Results that the page lists.
const ROWS: usize = 200;
const JOBS: [&str; 5] = ["Job", "State", "#Settled", "#Points", "Submitted"];
const RESULTS: [&str; 6] = ["Task", "Ended", "Node", "#Points", "Proof", "Output"];

pub(in crate::web) fn job(id: Option<JobId>) -> AnyView {
    let key = Keys::get().owner;
    // An object with the jobs, and the results of the one.
    let shown = Shown::new();
    let load = move || {
        if let Some(key) = key.try_get_untracked().filter(|key| !key.trim().is_empty()) {
            shown.show(fetch(id, key));
        }
    };
    every(AGAIN_MS, move || {
        let over = |shown: &Value| {
            let jobs = shown.list("jobs");
            !jobs.is_empty() && jobs.iter().all(|job| job.text("state") != "running")
        };
        if !shown.value.with_untracked(over) {
            load();
        }
    });
    let told = move || {
        let jobs = shown.value.with(|shown| shown.list("jobs").to_vec());
        match (id, jobs.first()) {
            (Some(_), Some(job)) => Some(progress(job)),
            (None, Some(_)) => Some(table("Jobs", &JOBS, move || jobs.iter().map(row).collect())),
            _ => None,
        }
    };
    let listed = Memo::new(move |_| shown.value.with(|shown| !shown.list("results").is_empty()));
    view! {
        <h1>{if id.is_some() { "Job" } else { "Your jobs" }}</h1>
        <p class="whole">{id.map(|id| id.to_string())}</p>
        {key::ask("owner", "Owner's key", "Show", key, move || {
            shown.clear();
            load();
        })}
        <p class="hint">"It is sent to this relay only, in a header, and forgotten with this page. \
            The relay and every node that gets a task can read its input."</p>
        {notice(shown.failed.into())}
        {told}
        {move || id.filter(|_| listed.get()).map(|id| list(id, shown, key))}
    }
    .into_any()
}

/// The job, or all of them, and the job's results.
async fn fetch(id: Option<JobId>, key: String) -> Result<Value, String> {
    let Some(id) = id else {
        return Ok(json!({"jobs": net::json("v1/jobs", &key).await?}));
    };
    let job = net::json(&format!("v1/jobs/{id}"), &key).await?;
    let path = format!("v1/jobs/{id}/results?after=0");
    let results = json::lines(&net::bytes(&path, &key).await?);
    let results = results.map_err(|why| format!("{path}: an answer not understood: {why}"))?;
    Ok(json!({"jobs": [job], "results": results}))
}

fn state(job: &Value) -> (&'static str, String) {
    let state = job.text("state");
    let tone = match state {
        "running" => "",
        "done" => "good",
        _ => "bad",
    };
    (tone, state.replace('_', " "))
}

fn settled(job: &Value) -> String {
    format!("{} of {}", words::count(job.number("done")), words::count(job.number("tasks")))
}

fn progress(job: &Value) -> AnyView {
    let (tone, word) = state(job);
    let figure = |name, of: fn(u64) -> String, member| (name, of(job.number(member)));
    let large = vec![
        figure("Running", words::count, "leased"),
        figure("Provisional", words::count, "provisional"),
        figure("Failed", words::count, "failed"),
        figure("Points spent", words::points, "spent"),
        figure("Points of budget", words::points, "budget"),
    ];
    let (done, tasks) = (job.number("done"), job.number("tasks").max(1));
    view! {
        <h2>{job.text("name").to_owned()}" "<span class=format!("tag {tone}")>{word}</span></h2>
        <label for="done">{settled(job)}" tasks settled"</label>
        <progress id="done" max=tasks.to_string() value=done.to_string()></progress>
        {figures(move || large.clone())}
    }
    .into_any()
}

fn row(job: &Value) -> Vec<Cell> {
    let (tone, word) = state(job);
    let name = match job.text("name") {
        "" => "unnamed",
        name => name,
    };
    let page = Route::Job(job.text("id").parse().ok());
    vec![
        Cell::Link(page, name.to_owned(), format!("Job {name}")),
        Cell::Tone(tone, word),
        Cell::Number(settled(job)),
        Cell::points(job.number("spent")),
        Cell::Time(job.number("created_ms"), true),
    ]
}

fn list(id: JobId, shown: Shown, key: RwSignal<String>) -> AnyView {
    let download = move |index: u64| {
        let asked = key.get_untracked();
        spawn_local(async move {
            let path = format!("v1/jobs/{id}/tasks/{index}/output");
            match net::bytes(&path, &asked).await.and_then(|bytes| stdout(&bytes)) {
                Ok((name, bytes)) => save(&format!("task-{index}-{name}"), &bytes),
                Err(why) => {
                    let _ = shown.failed.try_set(Some(why));
                }
            }
        });
    };
    let packing = RwSignal::new(None::<String>);
    let download_all = move |_| {
        let asked = key.get_untracked();
        let tasks = shown.value.with_untracked(|shown| {
            let task = |result: &Value| (result.number("index"), result.text("name").to_owned());
            shown.list("results").iter().map(task).collect::<Vec<_>>()
        });
        packing.set(Some(String::new()));
        spawn_local(async move {
            let packed = pack(id, tasks, &asked, packing).await;
            if packing.try_set(None).is_none() {
                match packed {
                    Ok(bytes) => {
                        save(&format!("job-{}.zip", words::short(&id.to_string())), &bytes)
                    }
                    Err(why) => shown.failed.set(Some(why)),
                }
            }
        });
    };
    let row = move |result: &Value| {
        let (index, name) = (result.number("index"), result.text("name").to_owned());
        let body = &result["receipt"]["body"];
        let label = format!("Download {name}");
        vec![
            Cell::Tone("", name),
            Cell::ending(body.text("reason"), body["exit_code"].as_u64()),
            Cell::Key(body.text("node").to_owned()),
            Cell::points(body.number("fuel")),
            Cell::proof(result.number("seq"), "Check"),
            Cell::Button("Download", label, Box::new(move || download(index))),
        ]
    };
    let rows = move || {
        shown.value.with(|shown| shown.list("results").iter().take(ROWS).map(row).collect())
    };
    let more = move || {
        let count = shown.value.with(|shown| shown.list("results").len());
        let more = count.saturating_sub(ROWS) as u64;
        (more > 0)
            .then(|| format!("and {} more: `grid results` gets them all.", words::count(more)))
    };
    view! {
        <div class="row over">
            <h2 id="results">"Results"</h2>
            <button
                type="button" id="all" on:click=download_all
                disabled=move || packing.get().is_some()
            >"Download all (.zip)"</button>
        </div>
        <p role="status">{move || packing.get()}</p>
        {table("Results", &RESULTS, rows)}
        {move || words_of("empty", more())}
    }
    .into_any()
}

/// All outputs as one file: a folder for each task, named after it.
async fn pack(
    id: JobId,
    tasks: Vec<(u64, String)>,
    key: &str,
    packing: RwSignal<Option<String>>,
) -> Result<Vec<u8>, String> {
    let mut zip = Zip::default();
    for (done, (index, name)) in tasks.into_iter().enumerate() {
        let told = format!("Fetching: {} done", words::counted(done as u64, "output"));
        if packing.try_set(Some(told)).is_some() {
            return Err("The page was left.".into());
        }
        let list = net::bytes(&format!("v1/jobs/{id}/tasks/{index}/output"), key).await?;
        // No task's name leads out of the archive's folder.
        let safe = |c: char| if c.is_alphanumeric() || "-_ ".contains(c) { c } else { '-' };
        let folder: String = name.chars().map(safe).take(80).collect();
        for (path, bytes) in files(&list)?.iter() {
            let path = path.trim_start_matches('/');
            if !zip.add(&format!("{index:05} {folder}/{path}"), bytes) {
                return Err(
                    "All outputs are too much for one file: `grid results` gets them.".into()
                );
            }
        }
    }
    Ok(zip.finish())
}

fn files(list: &[u8]) -> Result<Files, String> {
    Files::decode(Side::Output, list).map_err(|why| format!("the output can't be read: {why}"))
}

/// Standard output, where that is all there is; else the encoded list.
fn stdout(list: &[u8]) -> Result<(&'static str, Vec<u8>), String> {
    let files = files(list)?;
    let only = files.iter().all(|(path, bytes)| path == "stdout" || bytes.is_empty());
    match files.get("stdout") {
        Some(bytes) if only => Ok(("stdout", bytes.to_vec())),
        _ => Ok(("output.list", list.to_vec())),
    }
}
