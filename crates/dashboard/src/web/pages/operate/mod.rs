//! The operator's page, behind a key.

mod campaigns;

use crate::json::Read as _;
use crate::route::Route;
use crate::web::key::{self, Keys};
use crate::web::net::{self, Failed, Shown};
use crate::web::parts::{Cell, every, facts, figures, notice, table, words_of};
use crate::words;
use leptos::prelude::*;
use serde_json::{Map, Value};

/// The page asks again after this.
const AGAIN_MS: u64 = 5_000;
/// What it shows, below `v1`; by the last names.
const PARTS: [&str; 7] = [
    "operator/health",
    "operator/queues",
    "operator/nodes",
    "operator/refusals",
    "operator/bans",
    "operator/suspects",
    "campaigns",
];
const QUEUES: [&str; 6] =
    ["Runtime", "#Jobs", "#Waiting", "#Leased", "#Provisional", "Oldest submitted"];
const JOBS: [&str; 6] = ["Job", "Runtime", "#Settled", "#Leased", "#Nodes able", "What keeps it"];
const NODES: [&str; 6] = ["Node", "#Leases", "#Median ms", "#95th ms", "#Against usual", "Pace"];
const REFUSED: [&str; 4] = ["When", "Node", "Why", "#Entry"];
const REASONS: [&str; 4] = ["Reason", "#Last 24 h", "#Last 7 days", "#Since the start, all"];
const SUSPECTS: [&str; 3] = ["Person", "Why", "#Points paid"];
const BANS: [&str; 4] = ["When", "Node", "Why", "#Entry"];

pub(in crate::web) fn operate() -> AnyView {
    let key = Keys::get().operator;
    // An object with each part.
    let shown = Shown::new();
    let load = move || {
        if let Some(key) = key.try_get_untracked().filter(|key| !key.is_empty()) {
            shown.show(fetch(key));
        }
    };
    // Only while it is let in: each wrong key counts.
    every(AGAIN_MS, move || {
        if shown.value.with_untracked(Value::is_object) && !shown.is_asking() {
            load();
        }
    });
    load();
    let is_in = Memo::new(move |_| shown.value.with(Value::is_object));
    let leave = move |_| {
        key.set(String::new());
        shown.clear();
    };
    view! {
        <div class="row">
            <h1>"Operate"</h1>
            <button type="button" hidden=move || !is_in.get() on:click=leave>"Log out"</button>
        </div>
        {notice(shown.failed.into())}
        {move || if is_in.get() { inside(shown.value, load) } else { door(key, shown, load) }}
    }
    .into_any()
}

fn door(key: RwSignal<String>, shown: Shown, load: impl Fn() + Copy + 'static) -> AnyView {
    view! {
        <p class="lead">"For who runs this relay: how it does, what waits, which nodes are slow, \
            what was refused, who was caught."</p>
        {key::ask("operator", "Operator's key", "Log in", key, move || {
            shown.clear();
            load();
        })}
        <p class="hint">"Made by "<code>"grid-relay operator key new NAME"</code>". It is sent to \
            this relay only, in a header, and forgotten with this page."</p>
    }
    .into_any()
}

async fn fetch(key: String) -> Result<Value, Failed> {
    let mut all = Map::new();
    for part in PARTS {
        let name = part.trim_start_matches("operator/");
        all.insert(name.to_owned(), net::json(&format!("v1/{part}"), &key).await?);
    }
    Ok(Value::Object(all))
}

fn inside(shown: RwSignal<Value>, again: impl Fn() + Copy + Send + 'static) -> AnyView {
    let rows = move |part: &'static str, list: &'static str, row: fn(&Value) -> Vec<Cell>| {
        move || shown.with(|shown| shown[part].list(list).iter().map(row).collect())
    };
    let trouble = Signal::derive(move || {
        let works = shown.with(|shown| shown["health"].flag("store_works"));
        (!works).then(|| "The store takes no writes: nothing is acknowledged until it does.".into())
    });
    let slow = move || {
        shown.with(|shown| {
            let slow = shown["nodes"].number("slow");
            format!(
                "{} twice as long as usual, or longer.",
                match slow {
                    1 => "1 node takes".to_owned(),
                    slow => format!("{} nodes take", words::count(slow)),
                }
            )
        })
    };
    let banned = move || shown.with(|shown| words::counted(shown["bans"].number("count"), "node"));
    let suspected = move || {
        shown.with(|shown| match shown["suspects"].number("count") {
            0 => "none".to_owned(),
            count => format!("{} in all", words::count(count)),
        })
    };
    // Drawn anew only when it changed: there are buttons.
    let all = Memo::new(move |_| shown.with(|shown| shown["campaigns"].clone()));
    view! {
        {notice(trouble)}
        {figures(move || shown.with(|shown| large(&shown["health"])))}
        {move || shown.with(|shown| more(&shown["health"]))}
        <h2>"Queues"</h2>
        {table("Queues by runtime", &QUEUES, rows("queues", "runtimes", queue))}
        <h3>"Running jobs"</h3>
        {table("Running jobs", &JOBS, rows("queues", "jobs", job))}
        <h2>"How long nodes take"</h2>
        <p class="hint">{slow}" Usual is the median of the same job's leases."</p>
        {table("How long nodes take", &NODES, rows("nodes", "nodes", node))}
        <h2>"Refused receipts"</h2>
        {table("Refused receipts by reason", &REASONS, move || shown.with(|shown| reasons(&shown["refusals"])))}
        {move || words_of("empty", shown.with(|shown| {
            reasons(&shown["refusals"]).is_empty().then(|| "None in the last 7 days.".to_owned())
        }))}
        <h3>"The last of them"</h3>
        {table("The last refused receipts", &REFUSED, rows("refusals", "latest", refused))}
        <h2>"Bans"</h2>
        <p class="hint">{banned}" whose answer lost against others; they get no more tasks."</p>
        {table("Bans", &BANS, rows("bans", "nodes", ban))}
        <h2>"Suspects"</h2>
        <p class="hint">"Self-invitations, rings, owners who pay one person alone: "{suspected}"."</p>
        {table("Suspects", &SUSPECTS, rows("suspects", "suspects", suspect))}
        {campaigns::campaigns(all, again)}
    }
    .into_any()
}

fn large(health: &Value) -> Vec<(&'static str, String)> {
    let commits = &health["commits_us"];
    vec![
        ("Store", if health.flag("store_works") { "works" } else { "fails" }.to_owned()),
        ("Running for", words::duration(health.number("uptime_ms"))),
        ("Nodes on line", words::count(health.number("nodes_online"))),
        ("Commit, 95th of 100", format!("{} ms", words::thousandths(commits.number("p95")))),
        ("Room on the disk", words::bytes(health.number("disk_free_bytes"))),
        ("Entries", words::count(health.number("entries"))),
    ]
}

fn more(health: &Value) -> AnyView {
    let of = |part: &str, whole: &str, words: fn(u64) -> String| {
        Cell::Text(format!("{} of {}", words(health.number(part)), words(health.number(whole))))
    };
    let commits = &health["commits_us"];
    let commits = format!(
        "median {} ms, longest {} ms, of the last {}",
        words::thousandths(commits.number("p50")),
        words::thousandths(commits.number("most")),
        words::count(commits.number("count")),
    );
    facts(vec![
        ("Version", Cell::Text(health.text("version").to_owned())),
        ("Origin", Cell::Text(health.text("origin").to_owned())),
        ("Sockets", of("sockets", "max_sockets", words::count)),
        ("Commits", Cell::Text(commits)),
        ("Blobs", of("blob_bytes", "max_blob_bytes", words::bytes)),
        ("Database", Cell::Text(words::bytes(health.number("database_bytes")))),
        ("Disk", of("disk_free_bytes", "disk_bytes", words::bytes)),
    ])
}

fn queue(queue: &Value) -> Vec<Cell> {
    vec![
        Cell::Text(queue.text("runtime").to_owned()),
        Cell::count(queue.number("jobs")),
        Cell::count(queue.number("waiting")),
        Cell::count(queue.number("leased")),
        Cell::count(queue.number("provisional")),
        match queue.number("oldest_ms") {
            0 => "–".into(),
            ms => Cell::Time(ms, true),
        },
    ]
}

fn job(job: &Value) -> Vec<Cell> {
    let able = job.number("nodes_able");
    vec![
        Cell::Code(words::short(job.text("job"))),
        Cell::Text(job.text("runtime").to_owned()),
        Cell::Number(format!(
            "{} of {}",
            words::count(job.number("done")),
            words::count(job.number("tasks"))
        )),
        Cell::count(job.number("leased")),
        Cell::count(able),
        Cell::Text(match job.text("note") {
            "" if able == 0 => "no node that can run it is on line".to_owned(),
            note => note.to_owned(),
        }),
    ]
}

fn node(node: &Value) -> Vec<Cell> {
    let took = &node["took"];
    let (tone, word) = if node.flag("slow") { ("bad", "slow") } else { ("", "as usual") };
    let usual = node["usual"].as_u64();
    vec![
        Cell::Key(node.text("node").to_owned()),
        Cell::count(took.number("count")),
        Cell::count(took.number("p50")),
        Cell::count(took.number("p95")),
        Cell::Number(
            usual.map_or("–".to_owned(), |usual| format!("{} times", words::tenths(usual / 10))),
        ),
        Cell::Tone(tone, usual.map_or("too little to say", |_| word).to_owned()),
    ]
}

/// Each reason with its counts: those since the start, and those that only the
/// hours before it know.
fn reasons(refusals: &Value) -> Vec<Vec<Cell>> {
    let (hours, started) = (refusals.list("hours"), refusals.list("since_start"));
    let since = |from_ms: u64, reason: &str| -> u64 {
        let within = hours.iter().filter(|hour| hour.number("from_ms") > from_ms);
        within.map(|hour| hour["reasons"].number(reason)).sum()
    };
    let mut names: Vec<&str> = started.iter().map(|reason| reason.text("reason")).collect();
    for name in hours.iter().filter_map(|hour| hour["reasons"].as_object()).flat_map(Map::keys) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let yesterday = (js_sys::Date::now() as u64).saturating_sub(24 * 3_600_000);
    let row = |name: &str| {
        let same = started.iter().filter(|reason| reason.text("reason") == name);
        vec![
            Cell::Text(name.replace('_', " ")),
            Cell::count(since(yesterday, name)),
            Cell::count(since(0, name)),
            Cell::count(same.map(|reason| reason.number("count")).sum()),
        ]
    };
    names.into_iter().map(row).collect()
}

fn refused(refused: &Value) -> Vec<Cell> {
    vec![
        Cell::Time(refused.number("time_ms"), true),
        Cell::Key(refused.text("node").to_owned()),
        Cell::Text(refused.text("reason").replace('_', " ")),
        Cell::count(refused.number("seq")),
    ]
}

fn suspect(suspect: &Value) -> Vec<Cell> {
    let key = suspect.text("person");
    let name = words::short(key);
    vec![
        Cell::Way(format!("#/account/{key}"), name.clone(), format!("Account {name}")),
        Cell::Text(suspect.text("words").to_owned()),
        Cell::points(suspect.number("paid")),
    ]
}

fn ban(ban: &Value) -> Vec<Cell> {
    let seq = ban.number("seq");
    vec![
        Cell::Time(ban.number("time_ms"), true),
        Cell::Key(ban.text("node").to_owned()),
        Cell::Text(ban.text("why").to_owned()),
        Cell::Link(Route::Check(Some(seq)), words::count(seq), format!("Check entry {seq}")),
    ]
}
