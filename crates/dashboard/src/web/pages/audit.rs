//! "Recompute this leaderboard": the whole log, replayed in this browser.

use crate::json::Read as _;
use crate::web::checker::{self, Checker};
use crate::web::parts::{Cell, facts, notice, table, verdict, words_of};
use crate::words;
use leptos::prelude::*;
use serde_json::{Value, json};

/// Nodes that the table shows.
const ROWS: usize = 100;
const HEADS: [&str; 4] = ["Node", "#Receipts", "#Points", "The relay"];

pub(in crate::web) fn audit() -> AnyView {
    // Null, two numbers while it runs, or the verdict.
    let state = RwSignal::new(Value::Null);
    let failed = RwSignal::new(None::<String>);
    let running = checker::kept();
    let hear = move |news: &str, told: &Value| match news {
        "progress" | "verdict" => state.set(told.clone()),
        "failed" => {
            state.set(Value::Null);
            failed.set(told.as_str().map(str::to_owned));
        }
        _ => {}
    };
    let start = move |_| {
        failed.set(None);
        state.set(json!([0, 0]));
        let checker = Checker::start(hear);
        if let Some(checker) = &checker {
            checker.ask(&json!("audit"));
        }
        running.set_value(checker);
    };
    let stop = move |_| {
        running.set_value(None);
        state.set(Value::Null);
    };
    let is_running = move || state.with(Value::is_array);
    view! {
        <h1>"Recompute this leaderboard"</h1>
        <p class="lead">"This page downloads the relay's whole log and recomputes it: the tree that \
            the relay signed, each receipt's signature and draw, each decision and every point, by \
            the code of "<code>"grid audit"</code>". What the relay says is then held against it. \
            Nothing is believed but the relay's key."</p>
        <p class="row">
            <button type="button" class="main" on:click=start disabled=is_running>"Recompute"</button>
            <button type="button" on:click=stop hidden=move || !is_running()>"Stop"</button>
        </p>
        {notice(failed.into())}
        {move || match state.get() {
            Value::Null => None,
            Value::Array(progressed) => Some(progress(&progressed)),
            verdict => Some(told(verdict)),
        }}
    }
    .into_any()
}

fn progress(progress: &[Value]) -> AnyView {
    let number = |at: usize| progress.get(at).and_then(Value::as_u64).unwrap_or_default();
    let (done, size) = (number(0), number(1));
    let words = format!("{} of {} entries", words::count(done), words::count(size));
    view! {
        <label for="progress">{words}</label>
        <progress id="progress" max=size.max(1).to_string() value=done.to_string()></progress>
    }
    .into_any()
}

fn told(found: Value) -> AnyView {
    let problems = found.list("problems");
    let good = problems.is_empty();
    let title = if good { "Everything agrees" } else { "Not as it should be" };
    let more = |more: u64| (more > 0).then(|| format!("and {} more.", words::count(more)));
    let problem = |problem: &Value| {
        let problem = problem.as_str().unwrap_or_default().to_owned();
        view! { <li>{problem}</li> }.into_any()
    };
    let problems: Vec<_> = problems.iter().map(problem).collect();
    let fact = |name, member| (name, Cell::Text(words::count(found.number(member))));
    let compared: Vec<_> = found.list("compared").iter().filter_map(Value::as_str).collect();
    let nodes = found.list("nodes").to_vec();
    let beyond = more(nodes.len().saturating_sub(ROWS) as u64);
    let told = view! {
        <ul class="problems" aria-label="Differences" hidden=good>{problems}</ul>
        {words_of("empty", more(found.number("more")))}
        {facts(vec![
            ("Log", Cell::Text(found.text("origin").to_owned())),
            fact("Entries", "size"),
            ("Root", Cell::Code(found.text("root").to_owned())),
            fact("Receipts", "receipts"),
            fact("Tasks settled", "settled"),
            fact("Nodes caught", "caught"),
            ("Held against it", Cell::Text(compared.join(", "))),
        ])}
        <h3>"The leaderboard as the log makes it"</h3>
        {table("The leaderboard as the log makes it", &HEADS, move || {
            nodes.iter().take(ROWS).map(row).collect()
        })}
        {words_of("empty", beyond)}
    };
    verdict(good, title, told.into_any())
}

fn row(node: &Value) -> Vec<Cell> {
    let (word, tone) =
        if node.flag("agrees") { ("says the same", "good") } else { ("differs", "bad") };
    vec![
        Cell::Key(node.text("node").to_owned()),
        Cell::count(node.number("tasks")),
        Cell::points(node.number("fuel")),
        Cell::Tone(tone, word.to_owned()),
    ]
}
