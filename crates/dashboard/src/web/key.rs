//! Keys that a visitor typed: an owner's, an operator's. They stay in this
//! document's memory and travel in a header.

use leptos::prelude::*;

/// Both, for as long as the document is open.
#[derive(Clone, Copy)]
pub(super) struct Keys {
    pub(super) owner: RwSignal<String>,
    pub(super) operator: RwSignal<String>,
}

impl Keys {
    /// None yet. For the frame around the pages: the next page asks for no key
    /// again.
    pub(super) fn provide() {
        let empty = || RwSignal::new(String::new());
        provide_context(Self { owner: empty(), operator: empty() });
    }

    pub(super) fn get() -> Self {
        expect_context()
    }
}

/// Asks for a key, which is set once it was typed: when its field is left, or
/// the visitor says so. Then `given` runs.
pub(super) fn ask(
    id: &'static str,
    label: &'static str,
    say: &'static str,
    key: RwSignal<String>,
    given: impl Fn() + 'static,
) -> AnyView {
    let typed = RwSignal::new(key.get_untracked());
    let take = move || key.set(typed.get_untracked().trim().to_owned());
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        take();
        given();
    };
    view! {
        <form class="row" on:submit=submit>
            <label for=id>{label}</label>
            <input
                id=id class="wide" type="password" autocomplete="off" spellcheck="false"
                prop:value=move || key.get()
                on:input=move |event| typed.set(event_target_value(&event))
                on:change=move |_| take()
            />
            <button class="main" type="submit">{say}</button>
        </form>
    }
    .into_any()
}
