//! Accounts, teams, campaigns, invitations: what the log says of people.

use crate::json::Read as _;
use crate::web::net::Shown;
use crate::web::parts::{Cell, facts, figures, notice, percents, table, time, words_of};
use crate::words;
use leptos::prelude::*;
use serde_json::Value;

const POSTINGS: [&str; 5] = ["When", "What for", "From", "To", "#Points"];
const LEADERS: [&str; 3] = ["#Place", "Who", "#Points"];
const CAMPAIGNS: [&str; 5] = ["Campaign", "Until", "Goal reached", "#Points", "#People"];
/// Kinds of points, and what they are called.
const KINDS: [(&str, &str); 6] = [
    ("work", "Verified work"),
    ("site", "Site owners' share"),
    ("invited", "Invitations"),
    ("campaign", "Campaigns"),
    ("availability", "Availability"),
    ("reliability", "Reliability"),
];

/// A page of what a path gives.
fn page(title: &'static str, path: String, told: fn(&Value) -> AnyView) -> AnyView {
    let shown = Shown::new();
    shown.load(path, String::new());
    view! {
        <h1>{title}</h1>
        {notice(shown.failed.into())}
        {move || shown.value.with(|value| (!value.is_null()).then(|| told(value)))}
    }
    .into_any()
}

/// A name, or the beginning of the key.
fn named(value: &Value, key: &str) -> String {
    match value.text("name") {
        "" => words::short(value.text(key)),
        name => name.to_owned(),
    }
}

fn account_link(value: &Value) -> Cell {
    let name = named(value, "key");
    Cell::Way(format!("#/account/{}", value.text("key")), name.clone(), format!("Account {name}"))
}

/// Who earned most.
pub(super) fn people(leaders: &[Value]) -> Vec<Vec<Cell>> {
    let row = |(at, person): (usize, &Value)| {
        vec![
            Cell::count(at as u64 + 1),
            account_link(person),
            Cell::points(person.number("earned")),
        ]
    };
    leaders.iter().enumerate().map(row).collect()
}

/// Which teams earned most.
pub(super) fn teams(leaders: &[Value]) -> Vec<Vec<Cell>> {
    let row = |(at, team): (usize, &Value)| {
        let name = named(team, "id");
        vec![
            Cell::count(at as u64 + 1),
            Cell::Way(format!("#/team/{}", team.text("id")), name.clone(), format!("Team {name}")),
            Cell::count(team.number("members")),
            Cell::points(team.number("earned")),
        ]
    };
    leaders.iter().enumerate().map(row).collect()
}

pub(in crate::web) fn account(key: &str) -> AnyView {
    let postings = Shown::new();
    postings.load(format!("v1/ledger/{key}"), String::new());
    let rows =
        move || postings.value.with(|told| told.list("postings").iter().map(posting).collect());
    view! {
        {page("Account", format!("v1/accounts/{key}"), person)}
        <h2>"Postings"</h2>
        <p class="hint">"Each is a line of a ledger whose sum is zero, and follows from the log."</p>
        {table("Postings", &POSTINGS, rows)}
    }
    .into_any()
}

fn person(person: &Value) -> AnyView {
    let large = vec![
        ("Points", words::points(person.number("total"))),
        ("Points today", words::points(person.number("today"))),
        ("Points in 7 days", words::points(person.number("week"))),
        ("Held until checked", words::points(person.number("held"))),
    ];
    let points = &person["points"];
    let kinds = KINDS.iter().filter(|(kind, _)| points.number(kind) > 0);
    let kinds = kinds.map(|(kind, name)| (*name, Cell::Text(words::points(points.number(kind)))));
    let mut told: Vec<_> = kinds.collect();
    let team = &person["team"];
    if team.is_object() {
        let way = format!("#/team/{}", team.text("id"));
        let name = named(team, "id");
        told.push(("Team", Cell::Way(way, name.clone(), format!("Team {name}"))));
    }
    told.push(("People invited", Cell::Text(words::count(person.number("invited")))));
    let nodes = person.list("nodes").iter().filter_map(|node| Some(node.as_str()?.to_owned()));
    told.push(("Nodes", Cell::Keys(nodes.collect())));
    let closed = person.flag("closed").then(|| "This account was closed.".to_owned());
    view! {
        <p><b>{named(person, "key")}</b>" "<code class="whole">{person.text("key").to_owned()}</code></p>
        {words_of("notice", closed)}
        {figures(move || large.clone())}
        {facts(told)}
        <p class="hint">"Each node's page lists its receipts' checks, and each can be proved in this \
            browser."</p>
    }
    .into_any()
}

fn posting(posting: &Value) -> Vec<Cell> {
    vec![
        Cell::Time(posting.number("time_ms"), true),
        Cell::Text(posting.text("reason").replace('_', " ")),
        Cell::Tone("", shortened(posting.text("from"))),
        Cell::Tone("", shortened(posting.text("to"))),
        Cell::points(posting.number("amount")),
    ]
}

/// An account of the ledger: a word, and perhaps a key after it.
fn shortened(account: &str) -> String {
    match account.split_once([':', ' ']) {
        Some((kind, key)) => format!("{kind} {}", words::short(key)),
        None => account.to_owned(),
    }
}

pub(in crate::web) fn team(id: &str) -> AnyView {
    page("Team", format!("v1/teams/{id}"), |team| {
        let large = vec![
            ("Points", words::points(team.number("total"))),
            ("Points in 7 days", words::points(team.number("week"))),
            ("Members", words::count(team.number("members"))),
        ];
        let leaders = team.list("leaders").to_vec();
        view! {
            <p><b>{named(team, "id")}</b></p>
            {figures(move || large.clone())}
            <h2>"Members by points"</h2>
            {table("Members by points", &LEADERS, move || people(&leaders))}
        }
        .into_any()
    })
}

pub(in crate::web) fn campaigns() -> AnyView {
    page("Campaigns", "v1/campaigns".into(), |campaigns| {
        let campaigns = campaigns.as_array().cloned().unwrap_or_default();
        let none = campaigns.is_empty().then(|| "None was opened yet.".to_owned());
        view! {
            <p class="lead">"For a while verified work earns more, towards a goal that everyone \
                shares. The operator opens and closes campaigns; the log holds both."</p>
            {table("Campaigns", &CAMPAIGNS, move || campaigns.iter().map(campaign_row).collect())}
            {words_of("empty", none)}
        }
        .into_any()
    })
}

fn reached(campaign: &Value) -> u64 {
    percents(campaign.number("work"), campaign.number("goal"))
}

/// When it is over, or was.
fn until(campaign: &Value) -> u64 {
    campaign["closed_ms"].as_u64().unwrap_or(campaign.number("end_ms"))
}

pub(super) fn campaign_row(campaign: &Value) -> Vec<Cell> {
    let name = campaign.text("name").to_owned();
    vec![
        Cell::Way(
            format!("#/campaign/{}", campaign.text("id")),
            name.clone(),
            format!("Campaign {name}"),
        ),
        Cell::Time(until(campaign), true),
        Cell::Bar(reached(campaign)),
        Cell::points(campaign.number("work")),
        Cell::count(campaign.number("count")),
    ]
}

/// What a campaign offers.
pub(super) fn terms(campaign: &Value) -> Vec<(&'static str, Cell)> {
    let bonus = words::percent(campaign.number("bonus_ppm"), 1_000_000);
    let counts = match campaign.text("runtime") {
        "" => "all verified work",
        "infer" => "inference only",
        _ => "modules only",
    };
    vec![
        ("From", Cell::Text(time(campaign.number("start_ms"), true))),
        ("Until", Cell::Text(time(until(campaign), true))),
        ("Earns", Cell::Text(format!("{bonus} on top"))),
        ("What counts", counts.into()),
    ]
}

pub(in crate::web) fn campaign(id: &str) -> AnyView {
    page("Campaign", format!("v1/campaigns/{id}"), |campaign| {
        let (work, goal) = (campaign.number("work"), campaign.number("goal"));
        let words = format!("{} of {} points", words::points(work), words::points(goal));
        let mut terms = terms(campaign);
        terms.push(("People", Cell::Text(words::count(campaign.number("count")))));
        let leaders = campaign.list("leaders").to_vec();
        view! {
            <p><b>{campaign.text("name").to_owned()}</b></p>
            <label for="goal">{words}</label>
            <progress id="goal" max="100" value=reached(campaign).to_string()></progress>
            {facts(terms)}
            <h2>"Who did most"</h2>
            {table("Who did most", &LEADERS, move || people(&leaders))}
        }
        .into_any()
    })
}

pub(in crate::web) fn invitation(code: &str) -> AnyView {
    page("You are invited", format!("v1/invitations/{code}"), |invitation| {
        let who = named(invitation, "account");
        let (code, site) = (invitation.text("code").to_owned(), invitation.text("kind") == "site");
        let open = invitation.flag("open");
        let closed = (!open)
            .then(|| "This invitation was used as often as it may be, or has ended.".to_owned());
        let of = if site { "share_ppm" } else { "inviter_ppm" };
        let share = words::percent(invitation.number(of), 1_000_000);
        let what = if site {
            format!(
                "{who} asks you to lend this browser's idle time. The points go to them: {share} of what is verified."
            )
        } else {
            format!(
                "{who} invites you to lend this browser's idle time. Your points are yours; {who} gets {share} of them on top, for a while, from nobody's share."
            )
        };
        view! {
            <p class="lead">{what}</p>
            {words_of("notice", closed)}
            <div hidden=!open>
                <p><a class="button main" href=format!("node/#invite={code}")>"Lend this browser"</a></p>
                <p>"Or enter the code in the extension: "<code>{code.clone()}</code></p>
            </div>
            <p class="hint">"Nothing runs before you start it. It runs where and when you allow it: at \
                first only while the browser is idle, on mains, with a share of the processor. It \
                can't read your pages or files, and stops with one click."</p>
            <p><a href="#/">"What the network does now"</a></p>
        }
        .into_any()
    })
}
