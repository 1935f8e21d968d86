//! An owner's jobs: progress and results. The key stays in this page's memory
//! and travels in a header.

use crate::json::Read as _;
use crate::route::Route;
use crate::web::files::save;
use crate::web::key::{self, Keys};
use crate::web::net::{self, Failed, Running, Shown};
use crate::web::parts::{Cell, every, figures, notice, table, verdict, words_of};
use crate::words;
use crate::zip::Zip;
use grid_protocol::{Files, JobId, Side};
use leptos::prelude::*;
use leptos::task::spawn_local;
use serde_json::{Value, json};

/// A running job is asked for again after this.
const AGAIN_MS: u64 = 2_000;
/// Results that the page lists: the first.
const ROWS: usize = 200;
const JOBS: [&str; 5] = ["Job", "State", "#Settled", "#Points", "Submitted"];
const RESULTS: [&str; 6] = ["Task", "Ended", "Node", "#Points", "Proof", "Output"];

pub(in crate::web) fn job(id: Option<JobId>) -> AnyView {
    let key = Keys::get().owner;
    // An object with the jobs, and the results of the one.
    let shown = Shown::new();
    let load = move || {
        if let Some(key) = key.try_get_untracked().filter(|key| !key.is_empty()) {
            shown.show(fetch(id, key, shown.value));
        }
    };
    load();
    // Only while the key is let in.
    every(AGAIN_MS, move || {
        if shown.value.with_untracked(goes_on) && !shown.is_asking() {
            load();
        }
    });
    // Drawn anew only when they changed: there are buttons.
    let part = move |name| Memo::new(move |_| shown.value.with(|shown| shown[name].clone()));
    let (jobs, results) = (part("jobs"), part("results"));
    let told = move || match jobs.get() {
        Value::Array(jobs) => match (id, jobs.first()) {
            (Some(_), Some(job)) => Some(progress(job)),
            (None, Some(_)) => Some(table("Jobs", &JOBS, move || jobs.iter().map(row).collect())),
            _ => words_of("empty", Some("No jobs yet.".to_owned())),
        },
        _ => None,
    };
    let runs = Memo::new(move |_| jobs.with(|jobs| jobs[0].text("state") == "running"));
    let listed = Memo::new(move |_| results.with(|results| results[0].is_object()));
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
        {move || id.filter(|_| runs.get()).map(|id| end(id, shown, key))}
        {move || id.filter(|_| listed.get()).map(|id| list(id, jobs, results, shown.failed, key))}
    }
    .into_any()
}

/// May there be more to come?
fn goes_on(shown: &Value) -> bool {
    let jobs = shown.list("jobs");
    let is_short = |results: &Vec<Value>| (results.len() as u64) < to_list(&jobs[0]);
    shown.is_object()
        && (jobs.is_empty()
            || jobs.iter().any(|job| job.text("state") == "running")
            || shown["results"].as_array().is_some_and(is_short))
}

/// Results of a job that are there, and are listed.
fn to_list(job: &Value) -> u64 {
    job.number("done").min(ROWS as u64)
}

/// The job, or all of them, and the job's results. Those that are `shown` are
/// not fetched again: they are canonical, and nothing comes before them. What
/// comes is shown as it comes.
async fn fetch(id: Option<JobId>, key: String, shown: RwSignal<Value>) -> Result<Value, Failed> {
    let Some(id) = id else {
        return Ok(json!({"jobs": net::json("v1/jobs", &key).await?}));
    };
    let job = net::json(&format!("v1/jobs/{id}"), &key).await?;
    let wanted = to_list(&job) as usize;
    let mut results = shown.with_untracked(|shown| shown.list("results").to_vec());
    let now = move |results: &[Value]| json!({"jobs": [job], "results": results});
    shown.set(now(&results));
    if results.len() < wanted {
        let after = results.last().map_or(0, |result| result.number("seq"));
        let path = format!("v1/jobs/{id}/results?after={after}");
        let answer = net::send("GET", &path, &key, None).await?;
        let hear = &mut |line: &[u8]| {
            let result = net::read(&path, line)?;
            // Without its output, which may be large.
            let part = |name: &str| result[name].clone();
            results.push(json!({
                "seq": part("seq"), "index": part("index"), "name": part("name"),
                "body": result["receipt"]["body"],
            }));
            shown.set(now(&results));
            Ok(results.len() < wanted)
        };
        answer.lines(hear).await?;
    }
    Ok(now(&results))
}

/// The way to end a job, behind a second click.
fn end(id: JobId, shown: Shown, key: RwSignal<String>) -> AnyView {
    let asked = RwSignal::new(false);
    let confirm = move |_| {
        let key = key.get_untracked();
        asked.set(false);
        shown.show(async move {
            net::send("POST", &format!("v1/jobs/{id}/cancel"), &key, None).await?;
            fetch(Some(id), key, shown.value).await
        });
    };
    let sure = move || {
        let told = view! {
            <p>"Results that are settled stay, with their proofs. Tasks that are not are dropped, \
                and what is left of the budget comes back."</p>
            <button type="button" class="main" on:click=confirm>"End it"</button>
            " "
            <button type="button" on:click=move |_| asked.set(false)>"Let it run"</button>
        };
        verdict(false, "End this job?", told.into_any())
    };
    let ask = move || {
        view! { <p><button type="button" on:click=move |_| asked.set(true)>"End this job"</button></p> }
            .into_any()
    };
    (move || if asked.get() { sure() } else { ask() }).into_any()
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

fn list(
    id: JobId,
    jobs: Memo<Value>,
    results: Memo<Value>,
    failed: RwSignal<Option<String>>,
    key: RwSignal<String>,
) -> AnyView {
    let download = move |index: u64| {
        let asked = key.get_untracked();
        spawn_local(async move {
            let path = format!("v1/jobs/{id}/tasks/{index}/output");
            let bytes = net::bytes(&path, &asked).await.map_err(String::from);
            match bytes.and_then(|bytes| stdout(&bytes)) {
                Ok((name, bytes)) => save(&format!("task-{index}-{name}"), &bytes),
                Err(why) => {
                    let _ = failed.try_set(Some(why));
                }
            }
        });
    };
    let (packing, told) = (RwSignal::new(None::<Running>), RwSignal::new(String::new()));
    let download_all = move |_| {
        let asked = key.get_untracked();
        let running = net::run(async move {
            match pack(id, &asked, told).await {
                Ok(bytes) => save(&format!("job-{}.zip", words::short(&id.to_string())), &bytes),
                Err(why) => failed.set(Some(why.into())),
            }
            told.set(String::new());
            packing.set(None);
        });
        packing.set(Some(running));
    };
    let row = move |result: &Value| {
        let (index, name) = (result.number("index"), result.text("name").to_owned());
        let body = &result["body"];
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
    let rows =
        move || results.with(|results| results.as_array().into_iter().flatten().map(row).collect());
    let more = move || {
        let more = jobs.with(|jobs| jobs[0].number("done")).saturating_sub(ROWS as u64);
        (more > 0)
            .then(|| format!("and {} more: `grid results` gets them all.", words::count(more)))
    };
    view! {
        <div class="row over">
            <h2 id="results">"Results"</h2>
            <button
                type="button" id="all" on:click=download_all
                disabled=move || packing.with(Option::is_some)
            >"Download all (.zip)"</button>
        </div>
        <p role="status">{told}</p>
        {table("Results", &RESULTS, rows)}
        {move || words_of("empty", more())}
    }
    .into_any()
}

/// All outputs that there are as one file: a folder for each task, named after
/// it.
async fn pack(id: JobId, key: &str, told: RwSignal<String>) -> Result<Vec<u8>, Failed> {
    let tasks = net::json(&format!("v1/jobs/{id}/tasks"), key).await?;
    let settled =
        tasks.as_array().into_iter().flatten().filter(|task| task.text("state") == "done");
    let mut zip = Zip::default();
    for (done, task) in settled.enumerate() {
        told.set(format!("Fetching: {} done", words::counted(done as u64, "output")));
        let (index, name) = (task.number("index"), task.text("name"));
        let list = net::bytes(&format!("v1/jobs/{id}/tasks/{index}/output"), key).await?;
        // No task's name leads out of the archive's folder.
        let safe = |c: char| if c.is_alphanumeric() || "-_ ".contains(c) { c } else { '-' };
        let folder: String = name.chars().map(safe).take(80).collect();
        for (path, bytes) in files(&list)?.iter() {
            let path = path.trim_start_matches('/');
            if !zip.add(&format!("{index:05} {folder}/{path}"), bytes) {
                let why = "All outputs are too much for one file: `grid results` gets them.";
                return Err(why.to_owned().into());
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
