//! The worker that checks: crate `checker`, a program of its own, which is
//! fetched when somebody is about to check something. What is asked of it, and
//! what it tells, is JSON, as its `Ask` and `News` have it.

use leptos::prelude::*;
use serde_json::Value;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::JsCast as _;
use wasm_bindgen::prelude::Closure;
use web_sys::{MessageEvent, Worker, WorkerOptions, WorkerType};

/// The worker, which ends with this.
pub(super) struct Checker {
    worker: Worker,
    /// What was asked before it was ready; `None` once it is.
    waiting: Rc<RefCell<Option<Vec<String>>>>,
    _hear: Closure<dyn FnMut(MessageEvent)>,
    _broken: Closure<dyn FnMut()>,
}

impl Checker {
    /// Starts one. `hear` gets the name of each piece of news and what it
    /// says: `ready`, which needs no network from then on to check a file;
    /// `failed`, also of its start; and what its `News` has.
    pub(super) fn start(hear: impl Fn(&str, &Value) + Copy + 'static) -> Option<Self> {
        let failed = move |why: &str| hear("failed", &Value::String(why.to_owned()));
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let Ok(worker) = Worker::new_with_options("worker.js", &options) else {
            failed("This browser starts no worker here.");
            return None;
        };
        let waiting = Rc::new(RefCell::new(Some(Vec::<String>::new())));
        let (asked, to) = (waiting.clone(), worker.clone());
        let heard = Closure::new(move |event: MessageEvent| {
            let text = event.data().as_string().unwrap_or_default();
            let news: Value = serde_json::from_str(&text).unwrap_or_default();
            if news == "ready" {
                for ask in asked.take().unwrap_or_default() {
                    let _ = to.post_message(&ask.into());
                }
                hear("ready", &news);
            }
            for (name, news) in news.as_object().into_iter().flatten() {
                hear(name, news);
            }
        });
        let broken = Closure::new(move || failed("The checker could not be loaded, or broke off."));
        worker.set_onmessage(Some(heard.as_ref().unchecked_ref()));
        worker.set_onerror(Some(broken.as_ref().unchecked_ref()));
        Some(Self { worker, waiting, _hear: heard, _broken: broken })
    }

    /// Asks, as soon as it can hear.
    pub(super) fn ask(&self, ask: &Value) {
        let json = ask.to_string();
        match self.waiting.borrow_mut().as_mut() {
            Some(waiting) => waiting.push(json),
            // Only what can't be cloned can't be posted.
            None => drop(self.worker.post_message(&json.into())),
        }
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        self.worker.set_onmessage(None);
        self.worker.set_onerror(None);
        self.worker.terminate();
    }
}

/// A checker for as long as the page that calls this is shown.
pub(super) fn kept() -> StoredValue<Option<Checker>, LocalStorage> {
    let kept = StoredValue::new_local(None::<Checker>);
    on_cleanup(move || {
        kept.try_set_value(None);
    });
    kept
}
