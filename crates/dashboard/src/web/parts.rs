//! Pieces that the pages are made of. Each is drawn in one place, for all
//! pages, which keeps them alike and the program small.

use crate::route::Route;
use crate::words;
use leptos::prelude::*;
use serde_json::Value;
use wasm_bindgen::JsValue;

/// What a cell of a table, or a fact, shows.
pub(super) enum Cell {
    /// Words.
    Text(String),
    /// Words that are good or bad news: class and words.
    Tone(&'static str, String),
    /// A figure, to the right.
    Number(String),
    /// A digest or id.
    Code(String),
    /// A node.
    Key(String),
    /// Several.
    Keys(Vec<String>),
    /// A moment, in the visitor's own time; with its day.
    Time(u64, bool),
    /// A way to another page: where, words, and what a screen reader says.
    Link(Route, String, String),
    /// The same by its address: pages that are named by what the log names.
    Way(String, String, String),
    /// A bar of this many percent, beside the figure that says so too.
    Bar(u64),
    /// Something to do: words, what a screen reader says, and how.
    Button(&'static str, String, Box<dyn Fn() + Send>),
}

impl Cell {
    /// A figure.
    pub(super) fn count(number: u64) -> Self {
        Self::Number(words::count(number))
    }

    /// Fuel, as points.
    pub(super) fn points(fuel: u64) -> Self {
        Self::Number(words::points(fuel))
    }

    /// How a run ended, as `ExitReason` is written.
    pub(super) fn ending(reason: &str, code: Option<u64>) -> Self {
        let (tone, word) = match reason {
            "exit" => ("good", "exit"),
            "stack" => ("bad", "stack limit"),
            other => ("bad", other),
        };
        let word = word.replace('_', " ");
        Self::Tone(tone, code.map_or(word.clone(), |code| format!("{word} {code}")))
    }

    /// The proof of a settlement.
    pub(super) fn proof(seq: u64, words: &str) -> Self {
        Self::Link(Route::Check(Some(seq)), words.to_owned(), format!("Check entry {seq}"))
    }

    fn class(&self) -> &'static str {
        match self {
            Self::Tone(class, _) => class,
            Self::Number(_) => "number",
            Self::Text(_) => "words",
            Self::Keys(_) => "keys",
            Self::Bar(_) => "bar",
            _ => "",
        }
    }

    fn show(self) -> AnyView {
        match self {
            Self::Text(text) | Self::Tone(_, text) | Self::Number(text) => text.into_any(),
            Self::Code(text) => view! { <code>{text}</code> }.into_any(),
            Self::Key(key) => node(key),
            Self::Keys(keys) => keys.into_iter().map(node).collect::<Vec<_>>().into_any(),
            Self::Time(ms, day) => time(ms, day).into_any(),
            Self::Link(route, text, label) => Self::Way(route.to_string(), text, label).show(),
            Self::Way(href, text, label) => {
                view! { <a href=href aria-label=label>{text}</a> }.into_any()
            }
            Self::Bar(percent) => view! {
                <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
                    <rect width=percent.to_string() height="8" rx="1"/>
                </svg>
            }
            .into_any(),
            Self::Button(text, label, act) => view! {
                <button type="button" aria-label=label on:click=move |_| act()>{text}</button>
            }
            .into_any(),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// A key's first digits beside a colour that is the same wherever it appears,
/// leading to the node's page. Several nodes may begin alike: the title has
/// the whole key.
fn node(key: String) -> AnyView {
    // One of 12 classes: a style attribute would need a weaker content policy.
    let digits = key.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let colour = format!("swatch hue{}", digits.unwrap_or_default() % 12);
    let short = words::short(&key);
    view! {
        <a class="key" href=format!("#/node/{key}") title=key>
            <span class=colour aria-hidden="true"></span>
            <code>{short}</code>
        </a>
    }
    .into_any()
}

/// A moment, in the visitor's own time.
pub(super) fn time(ms: u64, day: bool) -> String {
    let date = js_sys::Date::new(&JsValue::from_f64(ms as f64));
    let clock = String::from(date.to_locale_time_string("en-GB"));
    if !day {
        return clock;
    }
    format!("{} {clock}", String::from(date.to_locale_date_string("en-GB", &JsValue::UNDEFINED)))
}

/// Is it of this day, where the visitor is?
pub(super) fn is_today(ms: u64) -> bool {
    let day = |ms| String::from(js_sys::Date::new(&JsValue::from_f64(ms)).to_date_string());
    day(ms as f64) == day(js_sys::Date::now())
}

/// What is to be said of figures that the relay doesn't know all of yet.
pub(super) fn growing(figures: &Value) -> Option<&'static str> {
    // What doesn't say so is complete.
    (figures["complete"] == Value::Bool(false))
        .then_some("The relay still reads its older entries: the figures grow.")
}

/// A table that scrolls sideways where it must. Heads that begin with `#` are
/// of figures; an empty one is of a picture.
pub(super) fn table(
    label: &str,
    heads: &[&'static str],
    rows: impl Fn() -> Vec<Vec<Cell>> + Send + 'static,
) -> AnyView {
    let heads = heads.iter().map(|head| match head.strip_prefix('#') {
        Some(name) => view! { <th scope="col" class="number">{name}</th> }.into_any(),
        None if head.is_empty() => view! { <td></td> }.into_any(),
        None => view! { <th scope="col">{*head}</th> }.into_any(),
    });
    let heads: Vec<_> = heads.collect();
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label=label.to_owned()>
            <table>
                <thead><tr>{heads}</tr></thead>
                <tbody>{move || rows().into_iter().map(row).collect::<Vec<_>>()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn row(cells: Vec<Cell>) -> AnyView {
    let cells = cells.into_iter().map(|cell| {
        let class = cell.class();
        view! { <td class=class>{cell.show()}</td> }.into_any()
    });
    let cells: Vec<_> = cells.collect();
    view! { <tr>{cells}</tr> }.into_any()
}

/// Names and what they are.
pub(super) fn facts(facts: Vec<(&'static str, Cell)>) -> AnyView {
    let rows = facts.into_iter().map(|(name, cell)| {
        let class = cell.class();
        view! { <dt>{name}</dt><dd class=class>{cell.show()}</dd> }.into_any()
    });
    let rows: Vec<_> = rows.collect();
    view! { <dl class="facts">{rows}</dl> }.into_any()
}

/// Figures, large.
pub(super) fn figures(
    figures: impl Fn() -> Vec<(&'static str, String)> + Send + 'static,
) -> AnyView {
    let figure = |(name, value)| view! { <div><dt>{name}</dt><dd>{value}</dd></div> }.into_any();
    view! { <dl class="figures">{move || figures().into_iter().map(figure).collect::<Vec<_>>()}</dl> }
        .into_any()
}

/// One of a few: the value that is sent, and its name.
pub(super) fn choice(
    legend: &'static str,
    options: [(&'static str, &'static str); 3],
    chosen: RwSignal<&'static str>,
) -> AnyView {
    let options = options.map(|(value, name)| {
        view! {
            <label>
                <input
                    type="radio" name=legend value=value
                    prop:checked=move || chosen.get() == value
                    on:change=move |_| chosen.set(value)
                />
                <span>{name}</span>
            </label>
        }
        .into_any()
    });
    let options = Vec::from(options);
    view! { <fieldset class="choice"><legend class="unseen">{legend}</legend>{options}</fieldset> }
        .into_any()
}

/// Whole percents, at most 100.
pub(super) fn percents(part: u64, whole: u64) -> u64 {
    (u128::from(part) * 100 / u128::from(whole.max(1))).min(100) as u64
}

/// Words, if there are any.
pub(super) fn words_of(class: &'static str, text: Option<String>) -> Option<AnyView> {
    text.map(|text| view! { <p class=class>{text}</p> }.into_any())
}

/// Something that is wrong or missing, said at once to who listens.
pub(super) fn notice(text: Signal<Option<String>>) -> AnyView {
    view! { <div role="alert">{move || words_of("notice", text.get())}</div> }.into_any()
}

/// A verdict, which takes the focus, so that it is read out: its class says
/// whether all is well.
pub(super) fn verdict(good: bool, title: &'static str, told: AnyView) -> AnyView {
    let heading = NodeRef::<leptos::html::H2>::new();
    Effect::new(move |_| {
        if let Some(heading) = heading.get() {
            let _ = heading.focus();
        }
    });
    let class = if good { "verdict good" } else { "verdict bad" };
    view! {
        <section class=class data-ok=good.to_string()>
            <h2 tabindex="-1" node_ref=heading>{title}</h2>
            {told}
        </section>
    }
    .into_any()
}

/// Runs every so many milliseconds until the page is left.
pub(super) fn every(ms: u64, what: impl Fn() + 'static) {
    let handle = set_interval_with_handle(what, std::time::Duration::from_millis(ms));
    on_cleanup(move || {
        if let Ok(handle) = handle {
            handle.clear();
        }
    });
}
