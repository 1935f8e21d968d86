//! "Recompute this leaderboard": the whole log, replayed in this browser.

use crate::replay::{Computed, Verdict};
use crate::web::parts::{Cell, facts, notice, table, verdict, words_of};
use crate::web::worker::News;
use crate::words;
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use wasm_bindgen::prelude::Closure;
use web_sys::{MessageEvent, Worker, WorkerOptions, WorkerType};

/// Nodes that the table shows.
const ROWS: usize = 100;
const HEADS: [&str; 4] = ["Node", "#Receipts", "#Points", "The relay"];

#[derive(Clone)]
enum State {
    Idle,
    Running(u64, u64),
    Done(Verdict),
}

pub(in crate::web) fn audit() -> AnyView {
    let state = RwSignal::new(State::Idle);
    let failed = RwSignal::new(None::<String>);
    let running = StoredValue::new_local(None::<Replaying>);
    let start = move |_| {
        failed.set(None);
        state.set(State::Running(0, 0));
        let hear = move |news| match news {
            News::Progress(done, size) => state.set(State::Running(done, size)),
            News::Verdict(verdict) => state.set(State::Done(verdict)),
            News::Failed(why) => {
                state.set(State::Idle);
                failed.set(Some(why));
            }
        };
        let replaying = Replaying::start(hear);
        if replaying.is_none() {
            hear(News::Failed("This browser starts no worker here.".into()));
        }
        running.set_value(replaying);
    };
    let stop = move |_| {
        running.set_value(None);
        state.set(State::Idle);
    };
    on_cleanup(move || {
        running.try_set_value(None);
    });
    let is_running = move || state.with(|state| matches!(state, State::Running(..)));
    view! {
        <h1>"Recompute this leaderboard"</h1>
        <p class="lead">"This page downloads the relay's whole log and recomputes it: the tree that \
            the relay signed, each receipt's signature and draw, each decision and every point, by \
            the code of "<code>"grid audit"</code>". Nothing is believed but the relay's key."</p>
        <p class="row">
            <button type="button" class="main" on:click=start disabled=is_running>"Recompute"</button>
            <button type="button" on:click=stop hidden=move || !is_running()>"Stop"</button>
        </p>
        {notice(failed.into())}
        {move || match state.get() {
            State::Idle => None,
            State::Running(done, size) => Some(progress(done, size)),
            State::Done(verdict) => Some(told(verdict)),
        }}
    }
    .into_any()
}

fn progress(done: u64, size: u64) -> AnyView {
    let words = format!("{} of {} entries", words::count(done), words::count(size));
    view! {
        <label for="progress">{words}</label>
        <progress id="progress" max=size.max(1).to_string() value=done.to_string()></progress>
    }
    .into_any()
}

fn told(found: Verdict) -> AnyView {
    let Verdict { origin, size, root, receipts, settled, caught, nodes, problems, more } = found;
    let good = problems.is_empty();
    let title = if good { "Everything agrees" } else { "Not as it should be" };
    let more = (more > 0).then(|| format!("and {} more.", words::count(more)));
    let beyond = nodes.len().saturating_sub(ROWS) as u64;
    let beyond = (beyond > 0).then(|| format!("and {} more.", words::count(beyond)));
    let problems = problems.into_iter().map(|problem| view! { <li>{problem}</li> }.into_any());
    let problems: Vec<_> = problems.collect();
    let fact = |name, number| (name, Cell::Text(words::count(number)));
    let told = view! {
        <ul class="problems" aria-label="Differences" hidden=good>{problems}</ul>
        {words_of("empty", more)}
        {facts(vec![
            ("Log", Cell::Text(origin)),
            fact("Entries", size),
            ("Root", Cell::Code(root)),
            fact("Receipts", receipts),
            fact("Tasks settled", settled),
            fact("Nodes caught", caught),
        ])}
        <h3>"The leaderboard as the log makes it"</h3>
        {table("The leaderboard as the log makes it", &HEADS, move || {
            nodes.iter().take(ROWS).map(row).collect()
        })}
        {words_of("empty", beyond)}
    };
    verdict(good, title, told.into_any())
}

fn row(node: &Computed) -> Vec<Cell> {
    let (word, tone) = if node.agrees { ("says the same", "good") } else { ("differs", "bad") };
    vec![
        Cell::Key(node.node),
        Cell::count(node.tasks),
        Cell::points(node.fuel),
        Cell::Tone(tone, word.to_owned()),
    ]
}

/// The worker, which ends with this.
struct Replaying {
    worker: Worker,
    _hear: Closure<dyn FnMut(MessageEvent)>,
    _broken: Closure<dyn FnMut()>,
}

impl Replaying {
    fn start(hear: impl Fn(News) + Copy + 'static) -> Option<Self> {
        let files = ["link[rel=modulepreload]", "link[rel=preload][as=fetch]"].map(|selector| {
            let link = document().query_selector(selector).ok().flatten()?;
            link.get_attribute("href").filter(|path| !path.is_empty())
        });
        let [Some(script), Some(wasm)] = files else { return None };
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        options.set_name(&format!("{script} {wasm}"));
        let worker = Worker::new_with_options("worker.js", &options).ok()?;
        let heard = Closure::new(move |event: MessageEvent| {
            let text = event.data().as_string().unwrap_or_default();
            if let Ok(news) = serde_json::from_slice(text.as_bytes()) {
                hear(news);
            }
        });
        let broken = Closure::new(move || hear(News::Failed("The worker broke off.".into())));
        worker.set_onmessage(Some(heard.as_ref().unchecked_ref()));
        worker.set_onerror(Some(broken.as_ref().unchecked_ref()));
        Some(Self { worker, _hear: heard, _broken: broken })
    }
}

impl Drop for Replaying {
    fn drop(&mut self) {
        self.worker.set_onmessage(None);
        self.worker.set_onerror(None);
        self.worker.terminate();
    }
}
