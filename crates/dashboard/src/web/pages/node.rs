//! How a node stands, and why.

use crate::web::net;
use crate::web::parts::{Cell, facts, figures, notice, table};
use crate::words;
use grid_protocol::PublicKey;
use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::Deserialize;

const HEADS: [&str; 4] = ["When", "What", "Why", "#Entry"];

/// What the page shows of `api::NodeStanding`.
#[derive(Clone, Deserialize)]
struct Standing {
    online: bool,
    state: String,
    passes: u64,
    fuel: u64,
    tasks: u64,
    open: u64,
    why: String,
    decisions: Vec<Decision>,
}

#[derive(Clone, Deserialize)]
struct Decision {
    seq: u64,
    time_ms: u64,
    what: String,
    why: String,
}

pub(in crate::web) fn node(key: PublicKey) -> AnyView {
    let found = RwSignal::new(None::<Standing>);
    let failed = RwSignal::new(None::<String>);
    spawn_local(async move {
        let answer = net::json(&format!("v1/nodes/{key}")).await;
        // The page may be gone by now.
        let _ = failed.try_set(answer.as_ref().err().cloned());
        let _ = found.try_set(answer.ok());
    });
    view! {
        <h1>"Node"</h1>
        <p><code class="whole">{key.to_string()}</code></p>
        {notice(failed.into())}
        {move || found.get().map(standing)}
    }
    .into_any()
}

fn standing(node: Standing) -> AnyView {
    let (state, tone) = match node.state.as_str() {
        "new" => ("New: every result of it is checked", ""),
        "trusted" => ("Trusted: some of its results are checked", "good"),
        _ => ("Caught: it gets no more tasks", "bad"),
    };
    let large = vec![
        ("Points", words::points(node.fuel)),
        ("Receipts", words::count(node.tasks)),
        ("Checks passed", words::count(node.passes)),
        ("Receipts on open tasks", words::count(node.open)),
    ];
    let decisions = node.decisions;
    view! {
        {figures(move || large.clone())}
        {facts(vec![
            ("Standing", Cell::Tone(tone, state.to_owned())),
            ("Why", Cell::Text(node.why)),
            ("On line", if node.online { "yes" } else { "no" }.into()),
        ])}
        <h2>"Decisions about it"</h2>
        {table("Decisions about it", &HEADS, move || decisions.iter().map(decision).collect())}
    }
    .into_any()
}

fn decision(decision: &Decision) -> Vec<Cell> {
    let (words, tone, settles) = match decision.what.as_str() {
        "passed" => ("check passed", "good", true),
        "agreed_alone" => ("accepted alone", "good", true),
        "caught" => ("caught", "bad", true),
        "unanswered" => ("did not answer a draw", "", false),
        "refused" => ("receipt refused", "bad", false),
        _ => ("other", "", false),
    };
    let seq = words::count(decision.seq);
    vec![
        Cell::Time(decision.time_ms, true),
        Cell::Tone(tone, words.to_owned()),
        Cell::Text(decision.why.clone()),
        if settles { Cell::proof(decision.seq, &seq) } else { Cell::Number(seq) },
    ]
}
