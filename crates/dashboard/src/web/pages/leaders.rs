//! Who earned what.

use crate::web::net;
use crate::web::parts::{Cell, choice, notice, table, time, words_of};
use crate::words;
use grid_protocol::live::Leaders;
use leptos::prelude::*;
use leptos::task::spawn_local;

const SPANS: [(&str, &str); 3] = [("day", "Last day"), ("week", "Last week"), ("all", "All time")];
const HEADS: [&str; 5] = ["#Place", "Node", "#Receipts", "#Points", ""];

pub(in crate::web) fn leaderboard() -> AnyView {
    let span = RwSignal::new("all");
    let leaders = RwSignal::new(None::<Leaders>);
    let failed = RwSignal::new(None::<String>);
    Effect::new(move |_| {
        let asked = span.get();
        spawn_local(async move {
            let found = net::json::<Leaders>(&format!("v1/leaders?span={asked}")).await;
            // Another span may have been chosen, or the page left.
            if span.try_get_untracked() == Some(asked) {
                failed.set(found.as_ref().err().cloned());
                leaders.set(found.ok());
            }
        });
    });
    let rows = move || leaders.with(|leaders| leaders.as_ref().map(rows).unwrap_or_default());
    let below = move || leaders.with(|leaders| leaders.as_ref().map(below));
    view! {
        <h1>"Leaderboard"</h1>
        <p class="lead">"Points are verified work: fuel of receipts that agree with canonical \
            results. The relay's own runs earn nothing, and neither does who was caught lying."</p>
        <div class="row">
            {choice("Counted over", SPANS, span)}
            <a class="button" href="#/audit">"Recompute this leaderboard"</a>
        </div>
        {notice(failed.into())}
        {table("Nodes by points", &HEADS, rows)}
        {move || words_of("empty", below())}
    }
    .into_any()
}

fn rows(leaders: &Leaders) -> Vec<Vec<Cell>> {
    let top = leaders.nodes.first().map_or(1, |first| first.fuel).max(1);
    let row = |(at, earned): (usize, &grid_protocol::api::Earned)| {
        vec![
            Cell::count(at as u64 + 1),
            Cell::Key(earned.node),
            Cell::count(earned.tasks),
            Cell::points(earned.fuel),
            Cell::Bar((u128::from(earned.fuel) * 100 / u128::from(top)) as u64),
        ]
    };
    leaders.nodes.iter().enumerate().map(row).collect()
}

/// What is to be said below the table.
fn below(leaders: &Leaders) -> String {
    let nodes = words::counted(leaders.count, "node");
    let mut text = match leaders.from_ms {
        0 => format!("{nodes} earned something."),
        from_ms => format!("{nodes} earned something since {}.", time(from_ms, true)),
    };
    if !leaders.complete {
        text.push_str(" The relay still reads its older entries: the figures grow.");
    }
    text
}
