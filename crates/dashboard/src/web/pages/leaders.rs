//! Who earned what.

use crate::json::Read as _;
use crate::web::net::Shown;
use crate::web::parts::{Cell, choice, notice, table, time, words_of};
use crate::words;
use leptos::prelude::*;
use serde_json::Value;

const SPANS: [(&str, &str); 3] = [("day", "Last day"), ("week", "Last week"), ("all", "All time")];
const HEADS: [&str; 5] = ["#Place", "Node", "#Receipts", "#Points", ""];

pub(in crate::web) fn leaderboard() -> AnyView {
    let span = RwSignal::new("all");
    let shown = Shown::new();
    Effect::new(move |_| shown.load(format!("v1/leaders?span={}", span.get()), String::new()));
    let rows = move || shown.value.with(rows);
    let below = move || shown.value.with(below);
    view! {
        <h1>"Leaderboard"</h1>
        <p class="lead">"Points are verified work: fuel of receipts that agree with canonical \
            results. The relay's own runs earn nothing, and neither does who was caught lying."</p>
        <div class="row">
            {choice("Counted over", SPANS, span)}
            <a class="button" href="#/audit">"Recompute this leaderboard"</a>
        </div>
        {notice(shown.failed.into())}
        {table("Nodes by points", &HEADS, rows)}
        {move || words_of("empty", below())}
    }
    .into_any()
}

fn rows(leaders: &Value) -> Vec<Vec<Cell>> {
    let nodes = leaders.list("nodes");
    let top = nodes.first().map_or(1, |first| first.number("fuel")).max(1);
    let row = |(at, earned): (usize, &Value)| {
        let fuel = earned.number("fuel");
        vec![
            Cell::count(at as u64 + 1),
            Cell::Key(earned.text("node").to_owned()),
            Cell::count(earned.number("tasks")),
            Cell::points(fuel),
            Cell::Bar((u128::from(fuel) * 100 / u128::from(top)) as u64),
        ]
    };
    nodes.iter().enumerate().map(row).collect()
}

/// What is to be said below the table.
fn below(leaders: &Value) -> Option<String> {
    if leaders.is_null() {
        return None;
    }
    let nodes = words::counted(leaders.number("count"), "node");
    let mut text = match leaders.number("from_ms") {
        0 => format!("{nodes} earned something."),
        from_ms => format!("{nodes} earned something since {}.", time(from_ms, true)),
    };
    if !leaders.flag("complete") {
        text.push_str(" The relay still reads its older entries: the figures grow.");
    }
    Some(text)
}
