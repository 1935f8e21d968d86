//! The relay's stream of figures: open while its page is seen. Where the relay
//! refuses it, because too many watch, its figures are asked for slowly.

use super::net::{self, Running, run};
use super::parts::every;
use leptos::prelude::*;
use serde_json::{Map, Value};
use wasm_bindgen::JsCast as _;
use wasm_bindgen::prelude::Closure;
use web_sys::{EventSource, MessageEvent};

/// The stream is looked after so often.
const LOOK_MS: u64 = 5_000;
/// A stream that says nothing for so long is dead: the relay says something
/// every 20 s.
const SILENT_MS: f64 = 45_000.0;
/// A relay that refused the stream is asked again after this.
const SLOWLY_MS: f64 = 30_000.0;

/// How the figures come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing is known yet.
    Opening,
    /// By the stream.
    Live,
    /// Not at all: the relay can't be reached.
    Lost,
    /// Slowly: it has enough streams.
    Crowded,
}

#[derive(Clone, Copy)]
struct Feed {
    live: RwSignal<Value>,
    state: RwSignal<State>,
    stream: StoredValue<Option<Stream>, LocalStorage>,
    /// When the stream was asked for, or last said something.
    at: StoredValue<f64>,
    asking: RwSignal<Option<Running>>,
}

/// Keeps `live` as it is at the relay until the page is left.
pub(super) fn follow(live: RwSignal<Value>) -> RwSignal<State> {
    let feed = Feed {
        live,
        state: RwSignal::new(State::Opening),
        stream: StoredValue::new_local(None),
        at: StoredValue::new(0.0),
        asking: RwSignal::new(None),
    };
    feed.look();
    every(LOOK_MS, move || feed.look());
    let handle = window_event_listener_untyped("visibilitychange", move |_| feed.look());
    on_cleanup(move || {
        handle.remove();
        feed.stream.try_set_value(None);
    });
    feed.state
}

impl Feed {
    /// Closes the stream that nobody sees, and opens one that is missing. An
    /// `EventSource` comes back by itself, unless the relay refused it.
    fn look(self) {
        if document().hidden() {
            self.stream.set_value(None);
            return;
        }
        if self.asking.with_untracked(Option::is_some) {
            return;
        }
        // Either way: a clock that is set back says nothing of a stream.
        let silent_ms = (js_sys::Date::now() - self.at.get_value()).abs();
        let patience = self.stream.with_value(|stream| match stream {
            Some(stream) if !stream.is_closed() => SILENT_MS,
            Some(_) if self.state.get_untracked() == State::Crowded => SLOWLY_MS,
            _ => 0.0,
        });
        if silent_ms >= patience {
            self.at.set_value(js_sys::Date::now());
            // One at a time: the relay counts them.
            self.stream.set_value(None);
            self.stream.set_value(Stream::open(self));
        }
    }

    fn told(self, now: Value) {
        self.at.set_value(js_sys::Date::now());
        self.state.set(State::Live);
        self.live.set(now);
    }

    /// The stream was refused: by a relay that still answers what is small?
    fn refused(self) {
        let asking = run(async move {
            let state = match net::json("v1/network", "").await {
                Ok(Value::Object(network)) => {
                    self.live.update(|live| *live = in_short(network, live));
                    State::Crowded
                }
                Err(failed) if failed.status > 0 => State::Crowded,
                _ => State::Lost,
            };
            self.asking.set(None);
            self.state.set(state);
        });
        self.asking.set(Some(asking));
    }
}

/// What `/v1/network` says, as the stream says it; what only the stream says is
/// missing, but for what was known of the past.
fn in_short(mut network: Map<String, Value>, before: &Value) -> Value {
    let settled = network.remove("tasks_done").unwrap_or_default();
    network.insert("tasks_settled".into(), settled);
    network.insert("settled".into(), before["settled"].clone());
    network.insert("time_ms".into(), (js_sys::Date::now() as u64).into());
    network.into()
}

/// The relay's stream, which ends with this.
struct Stream {
    source: EventSource,
    _told: Closure<dyn FnMut(MessageEvent)>,
    _broke: Closure<dyn FnMut()>,
}

impl Stream {
    fn open(feed: Feed) -> Option<Self> {
        let source = EventSource::new("v1/live").ok()?;
        let told = Closure::new(move |event: MessageEvent| {
            let text = event.data().as_string().unwrap_or_default();
            if let Ok(now) = serde_json::from_str(&text) {
                feed.told(now);
            }
        });
        let broken = source.clone();
        let broke = Closure::new(move || match broken.ready_state() {
            EventSource::CLOSED => feed.refused(),
            _ => feed.state.set(State::Lost),
        });
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
