//! What the network does now, and did of late.

use crate::web::chart::{Data, chart};
use crate::web::net;
use crate::web::parts::{Cell, choice, every, figures, notice, table};
use crate::words;
use grid_protocol::api::NodeInfo;
use grid_protocol::live::{History, Live, Moment, SettledInfo};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast as _;
use wasm_bindgen::prelude::Closure;
use web_sys::{EventSource, MessageEvent};

const SPANS: [(&str, &str); 3] = [("hour", "1 h"), ("day", "24 h"), ("month", "30 d")];
/// Charts are asked for again after this.
const CHARTS_MS: u64 = 10_000;
/// A stream that the relay ended is asked for again after this.
const AGAIN_MS: u64 = 5_000;
const SETTLED: [&str; 6] = ["Settled", "Node", "Ended", "#Agree", "#Points", "Proof"];
const NODES: [&str; 5] = ["Node", "Software", "#Running", "#Receipts", "#Points"];

pub(in crate::web) fn overview() -> AnyView {
    let live = RwSignal::new(None::<Live>);
    let lost = RwSignal::new(false);
    let stream = StoredValue::new_local(None::<Stream>);
    // An EventSource comes back by itself, unless the relay refused it.
    every(AGAIN_MS, move || {
        if stream.with_value(|stream| stream.as_ref().is_none_or(Stream::is_closed)) {
            stream.set_value(Stream::open(live, lost));
        }
    });
    on_cleanup(move || {
        stream.try_set_value(None);
    });
    let status = move || match (lost.get(), live.with(Option::is_some)) {
        (true, _) => ("lost", "Stream lost, trying again"),
        (false, true) => ("live", "Live"),
        (false, false) => ("opening", "Connecting…"),
    };
    let unreachable = Signal::derive(move || {
        lost.get().then(|| "The relay can't be reached. This page goes on trying.".to_owned())
    });
    let of = move |cells: fn(&Live) -> Vec<Vec<Cell>>| {
        move || live.with(|live| live.as_ref().map(cells).unwrap_or_default())
    };
    let kinds = move || live.with(|live| live.as_ref().map(kinds).unwrap_or_default());
    view! {
        <div class="row">
            <h1>"The network now"</h1>
            <p class="stream" role="status" data-state=move || status().0>{move || status().1}</p>
        </div>
        {notice(unreachable)}
        {figures(move || live.with(|live| large(live.as_ref())))}
        <p class="kinds">{kinds}</p>
        {charts()}
        <h2>"Latest settled results"</h2>
        {table("Latest settled results", &SETTLED, of(|live| live.settled.iter().map(settled).collect()))}
        <h2>"Nodes on line"</h2>
        {table("Nodes on line", &NODES, of(|live| live.nodes.iter().map(node).collect()))}
    }
    .into_any()
}

fn large(live: Option<&Live>) -> Vec<(&'static str, String)> {
    let figure = |name, of: fn(&Live) -> String| (name, live.map_or_else(|| "–".into(), of));
    vec![
        figure("Nodes on line", |live| words::count(live.nodes_online)),
        figure("Tasks settled a second", |live| words::tenths(live.settled_10_s)),
        figure("Of results are verified", |live| {
            let all = live.tasks_settled + live.tasks_provisional;
            if all == 0 { "–".into() } else { words::percent(live.tasks_settled, all) }
        }),
        figure("Points of verified work", |live| words::points(live.fuel)),
        figure("Tasks running", |live| words::count(live.tasks_leased)),
        figure("Tasks waiting", |live| words::count(live.tasks_waiting)),
        figure("Results provisional", |live| words::count(live.tasks_provisional)),
        figure("Tasks settled", |live| words::count(live.tasks_settled)),
    ]
}

/// "On line by kind: 3 grid-chrome, 2 grid-swarm".
fn kinds(live: &Live) -> String {
    let mut text = String::from("On line by kind: ");
    for (at, kind) in live.kinds.iter().enumerate() {
        text.push_str(if at > 0 { ", " } else { "" });
        text.push_str(&words::count(kind.nodes));
        text.push(' ');
        text.push_str(&kind.name);
    }
    if live.kinds.is_empty() {
        text.push_str("none");
    }
    text
}

fn settled(settled: &SettledInfo) -> Vec<Cell> {
    let agree = match settled.lost {
        0 => settled.agree.to_string(),
        lost => format!("{} of {}", settled.agree, settled.agree + lost),
    };
    vec![
        Cell::Time(settled.time_ms, false),
        Cell::Key(settled.node),
        Cell::ending(settled.reason, None),
        Cell::Number(agree),
        Cell::points(settled.fuel),
        Cell::proof(settled.seq, "Check"),
    ]
}

fn node(node: &NodeInfo) -> Vec<Cell> {
    let agent = if node.agent.is_empty() { "unnamed" } else { &node.agent };
    vec![
        Cell::Key(node.node),
        Cell::Tone("software", agent.to_owned()),
        Cell::count(node.leased),
        Cell::count(node.tasks),
        Cell::points(node.fuel),
    ]
}

fn charts() -> AnyView {
    let span = RwSignal::new("hour");
    let history = RwSignal::new(None::<History>);
    let load = move || {
        let Some(asked) = span.try_get_untracked() else { return };
        spawn_local(async move {
            let found = net::json::<History>(&format!("v1/history?span={asked}")).await;
            if span.try_get_untracked() == Some(asked)
                && let Ok(found) = found
            {
                history.set(Some(found));
            }
        });
    };
    Effect::new(move |_| {
        span.track();
        load();
    });
    every(CHARTS_MS, load);
    let data = move |lines: fn(&Moment, u64) -> [(&'static str, u64); 2], wanted: usize| {
        Signal::derive(move || {
            history.with(|history| {
                history.as_ref().map(|h| drawn(h, lines, wanted)).unwrap_or_default()
            })
        })
    };
    let sum = move |pick: fn(&Moment) -> u64| {
        let of = |history: &History| history.moments.iter().map(pick).sum();
        history.with(|history| history.as_ref().map_or(0, of))
    };
    let tasks = Signal::derive(move || {
        let (settled, checked) = (sum(|m| m.settled), sum(|m| m.checked));
        format!("{}, {} by several nodes", words::counted(settled, "task"), words::count(checked))
    });
    let work = Signal::derive(move || format!("{} points", words::points(sum(|m| m.fuel))));
    view! {
        <div class="row over">
            <h2>"Over time"</h2>
            {choice("Charts over", SPANS, span)}
        </div>
        <div class="charts">
            {chart("Tasks settled a second", &["From", "#Settled", "#By several nodes"], data(|m, step_ms| {
                let a_second = |count: u64| count.saturating_mul(1_000_000) / step_ms;
                [("Settled", a_second(m.settled)), ("By several nodes", a_second(m.checked))]
            }, 2), tasks)}
            {chart("Points of verified work", &["From", "#Points"], data(|m, _| {
                [("Points", m.fuel / (words::FUEL_PER_POINT / 1000)), ("", 0)]
            }, 1), work)}
        </div>
    }
    .into_any()
}

/// A chart's lines, the first `wanted` of them.
fn drawn(
    history: &History,
    lines: fn(&Moment, u64) -> [(&'static str, u64); 2],
    wanted: usize,
) -> Data {
    let mut data = Data::default();
    for moment in &history.moments {
        data.times.push(moment.from_ms);
        for (at, (name, value)) in
            lines(moment, history.step_ms).into_iter().take(wanted).enumerate()
        {
            if data.lines.len() <= at {
                data.lines.push((name, Vec::new()));
            }
            data.lines[at].1.push(value);
        }
    }
    data
}

/// The relay's stream, which ends with this.
struct Stream {
    source: EventSource,
    _told: Closure<dyn FnMut(MessageEvent)>,
    _broke: Closure<dyn FnMut()>,
}

impl Stream {
    fn open(live: RwSignal<Option<Live>>, lost: RwSignal<bool>) -> Option<Self> {
        let source = EventSource::new("v1/live").ok()?;
        let told = Closure::new(move |event: MessageEvent| {
            let text = event.data().as_string().unwrap_or_default();
            if let Ok(now) = serde_json::from_slice(text.as_bytes()) {
                lost.set(false);
                live.set(Some(now));
            }
        });
        let broke = Closure::new(move || lost.set(true));
        source.set_onmessage(Some(told.as_ref().unchecked_ref()));
        source.set_onerror(Some(broke.as_ref().unchecked_ref()));
        Some(Self { source, _told: told, _broke: broke })
    }

    fn is_closed(&self) -> bool {
        self.source.ready_state() == EventSource::CLOSED
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.source.set_onmessage(None);
        self.source.set_onerror(None);
        self.source.close();
    }
}
