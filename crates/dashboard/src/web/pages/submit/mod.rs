//! Submitting from the page: a module with inputs, a prompt, texts to embed.

mod module;
mod texts;

use crate::json::Read as _;
use crate::web::key::{self, Keys};
use crate::web::net::Shown;
use crate::web::parts::{choice, notice};
use leptos::prelude::*;

const KINDS: [(&str, &str); 3] =
    [("module", "A module"), ("prompt", "A prompt"), ("embed", "Embeddings")];

pub(in crate::web) fn submit() -> AnyView {
    let key = Keys::get().owner;
    let kind = RwSignal::new("module");
    // The owner's account and the models, once a key was given.
    let (account, models) = (Shown::new(), Shown::new());
    let look = move || {
        if !key.with_untracked(|key| key.trim().is_empty()) {
            account.load("v1/account".into(), key.get_untracked());
            models.load("v1/models".into(), key.get_untracked());
        }
    };
    look();
    let whose = move || {
        account.value.with(|account| {
            let budget = crate::words::points(account.number("budget"));
            account
                .is_object()
                .then(|| format!("{} has {budget} points of budget left.", account.text("name")))
        })
    };
    view! {
        <h1>"Submit"</h1>
        <p class="lead">"Give the network something to compute, and get results that several nodes \
            agree on, each with a proof."</p>
        <p class="notice">"The relay's operator and every node that gets a task can read what you \
            submit: modules, inputs, prompts and texts. Don't submit what they must not see."</p>
        {key::ask("owner", "Owner's key", "Use it", key, look)}
        <p class="hint">"It is sent to this relay only, in a header, and forgotten with this page. \
            The relay's operator gives out keys."</p>
        {notice(account.failed.into())}
        <p role="status">{whose}</p>
        <div class="row">{choice("What to submit", KINDS, kind)}</div>
        {move || match kind.get() {
            "module" => module::form(key),
            "prompt" => texts::prompt(key, models),
            _ => texts::embed(key, models),
        }}
    }
    .into_any()
}

/// A field with its label above it.
fn field(id: &'static str, label: &'static str, value: RwSignal<String>) -> AnyView {
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <input
                id=id autocomplete="off" spellcheck="false"
                prop:value=move || value.get()
                on:input=move |event| value.set(event_target_value(&event))
            />
        </div>
    }
    .into_any()
}

/// The same of several lines.
fn area(
    id: &'static str,
    label: &'static str,
    rows: &'static str,
    value: RwSignal<String>,
) -> AnyView {
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <textarea
                id=id rows=rows spellcheck="false"
                prop:value=move || value.get()
                on:input=move |event| value.set(event_target_value(&event))
            ></textarea>
        </div>
    }
    .into_any()
}

/// A whole number that was typed; nothing where the field is empty.
fn number(name: &str, text: &str) -> Result<Option<u64>, String> {
    let digits: String = text.chars().filter(|c| !matches!(c, ' ' | ',' | '_')).collect();
    if digits.is_empty() {
        return Ok(None);
    }
    digits.parse().map(Some).map_err(|_| format!("{name} is a whole number."))
}
