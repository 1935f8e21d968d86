//! What the network does now, and did of late.

use crate::energy::{self, Assumption};
use crate::json::Read as _;
use crate::picture::{self, Dot};
use crate::web::chart::{Data, chart};
use crate::web::net::Shown;
use crate::web::parts::{
    Cell, choice, every, figures, growing, is_today, notice, table, time, words_of,
};
use crate::web::stream::{self, State};
use crate::words;
use leptos::prelude::*;
use serde_json::Value;

const SPANS: [(&str, &str); 3] = [("hour", "1 h"), ("day", "24 h"), ("month", "30 d")];
/// Charts are asked for again after this.
const CHARTS_MS: u64 = 10_000;
/// What is shown is kept for later after this.
const REMEMBER_MS: u64 = 5_000;
/// Where it is kept.
const REMEMBERED: &str = "grid-live";
const SETTLED: [&str; 6] = ["Settled", "Node", "Ended", "#Agree", "#Points", "Proof"];
const NODES: [&str; 5] = ["Node", "Software", "#Running", "#Receipts", "#Points"];

pub(in crate::web) fn overview() -> AnyView {
    let live = RwSignal::new(Value::Null);
    let state = stream::follow(live);
    let history = Shown::new();
    let status = move || match state.get() {
        State::Live => ("live", "Live"),
        State::Opening => ("opening", "Connecting…"),
        State::Lost => ("lost", "Stream lost, trying again"),
        State::Crowded => ("slow", "Every half minute"),
    };
    let trouble = Signal::derive(move || match state.get() {
        State::Opening | State::Live => None,
        State::Lost => {
            let seen = match live.with(|live| live.number("time_ms")) {
                0 => "It was not seen before.".to_owned(),
                at => format!("What is shown is how it was at {}.", time(at, true)),
            };
            Some(format!("Off line: the relay can't be reached. {seen} This page goes on trying."))
        }
        State::Crowded => Some(
            "Many watch this relay now: its figures come every half minute, until there is room \
                for one more."
                .to_owned(),
        ),
    });
    let grows = move || live.with(growing).or_else(|| history.value.with(growing));
    // What was seen last, until there is something newer.
    Effect::new(move |_| {
        if state.get() == State::Lost && live.with_untracked(Value::is_null) {
            live.set(remembered());
        }
    });
    every(REMEMBER_MS, move || live.with_untracked(remember));
    on_cleanup(move || live.with_untracked(remember));
    let rows = move |list: &'static str, row: fn(&Value) -> Vec<Cell>| {
        move || live.with(|live| live.list(list).iter().map(row).collect())
    };
    view! {
        <div class="row">
            <h1>"The network now"</h1>
            <p class="stream" role="status" data-state=move || status().0>{move || status().1}</p>
        </div>
        {notice(trouble)}
        {figures(move || live.with(large))}
        {move || words_of("empty", grows().map(str::to_owned))}
        {drawn_network(live)}
        {charts(history)}
        <h2>"Receipts as they settle"</h2>
        {table("Receipts as they settle", &SETTLED, rows("settled", settled))}
        <h2>"Nodes on line"</h2>
        {table("Nodes on line", &NODES, rows("nodes", node))}
    }
    .into_any()
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

/// Keeps what is shown for when there is no relay to reach.
fn remember(live: &Value) {
    if let Some(storage) = storage().filter(|_| live.is_object()) {
        // A full or refused storage means that nothing is shown off line.
        let _ = storage.set_item(REMEMBERED, &live.to_string());
    }
}

fn remembered() -> Value {
    let kept = storage().and_then(|storage| storage.get_item(REMEMBERED).ok().flatten());
    serde_json::from_str(&kept.unwrap_or_default()).unwrap_or_default()
}

fn large(live: &Value) -> Vec<(&'static str, String)> {
    // What is not known is no 0.
    let figure =
        |name, of: fn(u64) -> String, member| (name, live[member].as_u64().map_or("–".into(), of));
    let settled = live.number("tasks_settled");
    let verified = match live["tasks_provisional"].as_u64().map(|open| settled + open) {
        None | Some(0) => "–".into(),
        Some(all) => words::percent(settled, all),
    };
    vec![
        figure("Nodes on line", words::count, "nodes_online"),
        figure("Tasks settled a second", words::tenths, "settled_10_s"),
        ("Of results are verified", verified),
        figure("Points of verified work", words::points, "fuel"),
        figure("Tasks running", words::count, "tasks_leased"),
        figure("Tasks waiting", words::count, "tasks_waiting"),
        figure("Results provisional", words::count, "tasks_provisional"),
        figure("Tasks settled", words::count, "tasks_settled"),
    ]
}

/// The network as a picture, which moves only where the visitor likes that.
fn drawn_network(live: RwSignal<Value>) -> AnyView {
    let told = Signal::derive(move || live.with(picture::told));
    let dots = move || live.with(picture::dots);
    let dot = |dot: Dot| {
        let class = format!("dot kind{}{}", dot.kind, if dot.works { " works" } else { "" });
        let (x, y) = dot.at;
        view! {
            <g class=class>
                <path d=dot.way()/>
                <circle cx=x.to_string() cy=y.to_string() r="6"/>
            </g>
        }
        .into_any()
    };
    let (width, height) = picture::SIZE;
    view! {
        <figure class="chart network">
            <figcaption><span>"The network"</span><output>{told}</output></figcaption>
            <svg viewBox=format!("0 0 {width} {height}") role="img" aria-label=told>
                {move || dots().into_iter().map(dot).collect::<Vec<_>>()}
                <circle class="relay" cx=(width / 2).to_string() cy=(height / 2).to_string() r="15"/>
            </svg>
            <p class="hint">"No map: where nodes are, nobody asks. Filled ones run a task now."</p>
        </figure>
    }
    .into_any()
}

fn settled(settled: &Value) -> Vec<Cell> {
    let (agree, lost) = (settled.number("agree"), settled.number("lost"));
    let time_ms = settled.number("time_ms");
    vec![
        Cell::Time(time_ms, !is_today(time_ms)),
        Cell::Key(settled.text("node").to_owned()),
        Cell::ending(settled.text("reason"), None),
        match lost {
            0 => Cell::count(agree),
            _ => Cell::Number(format!("{agree} of {}", agree + lost)),
        },
        Cell::points(settled.number("fuel")),
        Cell::proof(settled.number("seq"), "Check"),
    ]
}

fn node(node: &Value) -> Vec<Cell> {
    let agent = match node.text("agent") {
        "" => "unnamed",
        agent => agent,
    };
    vec![
        Cell::Key(node.text("node").to_owned()),
        Cell::Tone("software", agent.to_owned()),
        Cell::count(node.number("leased")),
        Cell::count(node.number("tasks")),
        Cell::points(node.number("fuel")),
    ]
}

fn charts(shown: Shown) -> AnyView {
    let span = RwSignal::new("hour");
    let load = move |span: &str| shown.load(format!("v1/history?span={span}"), String::new());
    Effect::new(move |_| load(span.get()));
    every(CHARTS_MS, move || {
        if !shown.is_asking() {
            load(span.get_untracked());
        }
    });
    let data = move |lines: &'static [Line]| {
        Signal::derive(move || shown.value.with(|history| drawn(history, lines)))
    };
    let sum = move |member: &str| -> u64 {
        shown.value.with(|history| history.list("moments").iter().map(|m| m.number(member)).sum())
    };
    let tasks = Signal::derive(move || {
        let (settled, checked) = (sum("settled"), sum("checked"));
        format!("{}, {} by several nodes", words::counted(settled, "task"), words::count(checked))
    });
    let work = Signal::derive(move || format!("{} points", words::points(sum("fuel"))));
    view! {
        <div class="row over">
            <h2>"Over time"</h2>
            {choice("Charts over", SPANS, span)}
        </div>
        <div class="charts">
            {chart("Tasks settled a second", &["From", "#Settled", "#By several nodes"], data(&TASKS), tasks)}
            {chart("Points of verified work", &["From", "#Points"], data(&WORK), work)}
        </div>
        {energy(shown.value)}
    }
    .into_any()
}

/// What the work of the charts may have taken.
fn energy(history: RwSignal<Value>) -> AnyView {
    let text = |number: u64| RwSignal::new(number.to_string());
    let (watts, speed) = (text(Assumption::LAPTOP.watts), text(Assumption::LAPTOP.speed));
    let number = |typed: RwSignal<String>| typed.get().trim().parse().unwrap_or_default();
    let told = move || {
        let assumption = Assumption { watts: number(watts), speed: number(speed) };
        let fuel = history.with(|h| h.list("moments").iter().map(|m| m.number("fuel")).sum());
        energy::words(assumption.milliwatt_hours(fuel))
    };
    let field = |id: &'static str, label: &'static str, typed: RwSignal<String>| {
        view! {
            <div class="field">
                <label for=id>{label}</label>
                <input
                    id=id inputmode="numeric" prop:value=move || typed.get()
                    on:input=move |event| typed.set(event_target_value(&event))
                />
            </div>
        }
        .into_any()
    };
    view! {
        <details class="energy">
            <summary>"Electricity for that, estimated: "<output>{told}</output></summary>
            <p class="hint">"No browser tells what it draws. This takes a core for so many watts \
                beside what its machine draws anyway, executing so much fuel a second. Replicas \
                that agree are in it; runs that lost, and the relay's own, are not."</p>
            <div class="fields">
                {field("watts", "Watts of a busy core", watts)}
                {field("speed", "Million fuel a second", speed)}
            </div>
        </details>
    }
    .into_any()
}

/// A line of a chart: its name, the member of a moment, and thousandths of
/// that in a step of so many milliseconds.
type Line = (&'static str, &'static str, fn(u64, u64) -> u64);

const TASKS: [Line; 2] =
    [("Settled", "settled", a_second), ("By several nodes", "checked", a_second)];
const WORK: [Line; 1] = [("Points", "fuel", |fuel, _| fuel / (words::FUEL_PER_POINT / 1000))];

fn a_second(count: u64, step_ms: u64) -> u64 {
    count.saturating_mul(1_000_000) / step_ms.max(1)
}

fn drawn(history: &Value, lines: &[Line]) -> Data {
    // The last moment is not over: beside whole ones it would be a fall.
    let moments = history.list("moments").split_last().map_or(&[][..], |(_, over)| over);
    let step_ms = history.number("step_ms");
    let line = |(name, member, of): &Line| {
        (*name, moments.iter().map(|m| of(m.number(member), step_ms)).collect())
    };
    Data {
        times: moments.iter().map(|m| m.number("from_ms")).collect(),
        lines: lines.iter().map(line).collect(),
    }
}
