//! How a node stands, and why.

use crate::json::Read as _;
use crate::web::net::Shown;
use crate::web::parts::{Cell, facts, figures, notice, table};
use crate::words;
use grid_protocol::PublicKey;
use leptos::prelude::*;
use serde_json::Value;

const HEADS: [&str; 4] = ["When", "What", "Why", "#Entry"];

pub(in crate::web) fn node(key: &PublicKey) -> AnyView {
    let shown = Shown::new();
    shown.load(format!("v1/nodes/{key}"), String::new());
    view! {
        <h1>"Node"</h1>
        <p><code class="whole">{key.to_string()}</code></p>
        {notice(shown.failed.into())}
        {move || shown.value.with(|node| node.is_object().then(|| standing(node)))}
    }
    .into_any()
}

fn standing(node: &Value) -> AnyView {
    let (state, tone) = match node.text("state") {
        "new" => ("New: every result of it is checked", ""),
        "trusted" => ("Trusted: some of its results are checked", "good"),
        _ => ("Caught: it gets no more tasks", "bad"),
    };
    let large = vec![
        ("Points", words::points(node.number("fuel"))),
        ("Receipts", words::count(node.number("tasks"))),
        ("Checks passed", words::count(node.number("passes"))),
        ("Receipts on open tasks", words::count(node.number("open"))),
    ];
    let decisions = node.list("decisions").to_vec();
    view! {
        {figures(move || large.clone())}
        {facts(vec![
            ("Standing", Cell::Tone(tone, state.to_owned())),
            ("Why", Cell::Text(node.text("why").to_owned())),
            ("On line", if node.flag("online") { "yes" } else { "no" }.into()),
        ])}
        <h2>"Decisions about it"</h2>
        {table("Decisions about it", &HEADS, move || decisions.iter().map(decision).collect())}
    }
    .into_any()
}

fn decision(decision: &Value) -> Vec<Cell> {
    let (words, tone, settles) = match decision.text("what") {
        "passed" => ("check passed", "good", true),
        "agreed_alone" => ("accepted alone", "good", true),
        "caught" => ("caught", "bad", true),
        "unanswered" => ("did not answer a draw", "", false),
        "refused" => ("receipt refused", "bad", false),
        _ => ("other", "", false),
    };
    let seq = decision.number("seq");
    let shown = words::count(seq);
    vec![
        Cell::Time(decision.number("time_ms"), true),
        Cell::Tone(tone, words.to_owned()),
        Cell::Text(decision.text("why").to_owned()),
        if settles { Cell::proof(seq, &shown) } else { Cell::Number(shown) },
    ]
}
