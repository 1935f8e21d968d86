//! Who earned what.

use super::people;
use crate::json::Read as _;
use crate::web::net::Shown;
use crate::web::parts::{Cell, choice, every, growing, notice, percents, table, time, words_of};
use crate::words;
use leptos::prelude::*;
use serde_json::Value;

/// Leaders that are not complete are asked for again after this.
const AGAIN_MS: u64 = 3_000;
/// Days of UTC.
const SPANS: [(&str, &str); 3] = [("day", "Today"), ("week", "Seven days"), ("all", "All time")];
const OF: [(&str, &str); 3] = [("nodes", "Nodes"), ("people", "People"), ("teams", "Teams")];
const NODES: [&str; 5] = ["#Place", "Node", "#Receipts", "#Points", ""];
const PEOPLE: [&str; 3] = ["#Place", "Who", "#Points"];
const TEAMS: [&str; 4] = ["#Place", "Team", "#Members", "#Points"];

pub(in crate::web) fn leaderboard() -> AnyView {
    let span = RwSignal::new("all");
    let of = RwSignal::new("nodes");
    let shown = Shown::new();
    let path = Memo::new(move |_| format!("v1/leaders?span={}&of={}", span.get(), of.get()));
    Effect::new(move |_| {
        shown.clear();
        shown.load(path.get(), String::new());
    });
    every(AGAIN_MS, move || {
        if shown.value.with_untracked(|leaders| growing(leaders).is_some()) && !shown.is_asking() {
            shown.load(path.get_untracked(), String::new());
        }
    });
    let list = move || match of.get() {
        "nodes" => table("Nodes by points", &NODES, move || shown.value.with(rows)),
        "people" => table("People by points", &PEOPLE, move || {
            shown.value.with(|leaders| people::people(leaders.list("people")))
        }),
        _ => table("Teams by points", &TEAMS, move || {
            shown.value.with(|leaders| people::teams(leaders.list("teams")))
        }),
    };
    let below = move || shown.value.with(|leaders| below(leaders, of.get_untracked()));
    let sought = RwSignal::new(String::new());
    let find = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let key = sought.get_untracked();
        let _ = window().location().set_hash(&format!("/node/{}", key.trim()));
    };
    view! {
        <h1>"Leaderboard"</h1>
        <p class="lead">"Points are verified work: fuel of receipts that agree with canonical \
            results. The relay's own runs earn nothing, and neither does who was caught lying."</p>
        <div class="row">
            {choice("Counted over", SPANS, span)}
            {choice("Whose points", OF, of)}
        </div>
        <p class="row">
            <a class="button" href="#/audit">"Recompute this leaderboard"</a>
            <a href="#/campaigns">"Campaigns"</a>
        </p>
        {notice(shown.failed.into())}
        {list}
        {move || words_of("empty", below())}
        <h2>"Find yours"</h2>
        <form class="row" on:submit=find>
            <label for="sought">"Your node's key"</label>
            <input
                id="sought" class="wide" autocomplete="off" spellcheck="false"
                on:input=move |event| sought.set(event_target_value(&event))
            />
            <button type="submit">"Show"</button>
        </form>
        <p class="hint">"The extension shows it. Its page lists its receipts, each of which can be \
            checked in this browser."</p>
    }
    .into_any()
}

fn rows(leaders: &Value) -> Vec<Vec<Cell>> {
    let nodes = leaders.list("nodes");
    let top = nodes.first().map_or(0, |first| first.number("fuel"));
    let row = |(at, earned): (usize, &Value)| {
        let fuel = earned.number("fuel");
        vec![
            Cell::count(at as u64 + 1),
            Cell::Key(earned.text("node").to_owned()),
            Cell::count(earned.number("tasks")),
            Cell::points(fuel),
            Cell::Bar(percents(fuel, top)),
        ]
    };
    nodes.iter().enumerate().map(row).collect()
}

/// What is to be said below the table.
fn below(leaders: &Value, of: &str) -> Option<String> {
    if leaders.is_null() {
        return None;
    }
    let count = leaders.number("count");
    let nodes = match of {
        "nodes" => words::counted(count, "node"),
        "people" if count == 1 => "1 person".to_owned(),
        "people" => format!("{} people", words::count(count)),
        _ => words::counted(count, "team"),
    };
    let mut text = match leaders.number("from_ms") {
        0 => format!("{nodes} earned something."),
        from_ms => format!("{nodes} earned something since {}.", time(from_ms, true)),
    };
    if let Some(growing) = growing(leaders) {
        text.push(' ');
        text.push_str(growing);
    }
    Some(text)
}
