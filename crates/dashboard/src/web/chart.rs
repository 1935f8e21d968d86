//! Charts: the element `grid-chart` (chart.js, over uPlot), its summary in
//! words, and its figures as a table, for those who can't see it.

use super::parts::{Cell, table, time};
use leptos::prelude::*;
use serde_json::json;

/// What a chart shows.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Data {
    /// Milliseconds since 1970-01-01 UTC.
    pub(super) times: Vec<u64>,
    /// Names, and thousandths for each time.
    pub(super) lines: Vec<(&'static str, Vec<u64>)>,
}

/// A chart with its title, its summary, and its figures.
pub(super) fn chart(
    title: &'static str,
    heads: &'static [&'static str],
    data: Signal<Data>,
    summary: Signal<String>,
) -> AnyView {
    let json =
        move || data.with(|data| json!({"times": data.times, "lines": data.lines}).to_string());
    let label = move || format!("{title}: {}", summary.get());
    let rows = move || {
        let Data { times, lines } = data.get();
        let moment = |(at, ms): (usize, &u64)| {
            let figures = lines.iter().map(|(_, values)| Cell::Number(thousandths(values[at])));
            std::iter::once(Cell::Text(time(*ms, true))).chain(figures).collect()
        };
        times.iter().enumerate().rev().map(moment).collect()
    };
    view! {
        <figure class="chart">
            <figcaption><span>{title}</span><output>{summary}</output></figcaption>
            <grid-chart data=json label=label></grid-chart>
            <details>
                <summary>{title}": the figures as a table"</summary>
                {table(title, heads, rows)}
            </details>
        </figure>
    }
    .into_any()
}

fn thousandths(number: u64) -> String {
    format!("{}.{:03}", number / 1000, number % 1000)
}
