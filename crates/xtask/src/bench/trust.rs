//! `cargo xtask bench trust`: the simulator of crates/scheduler, every
//! scenario under every policy.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Map, Value};

use super::{BUILD, measure};
use crate::process::command;
use crate::{build, cargo, ui};

const RUN: Duration = Duration::from_secs(30 * 60);

/// Columns of the table: title, key, whether it is a share of very few.
const COLUMNS: [(&str, &str, bool); 7] = [
    ("wrong", "wrong_rate", true),
    ("replicas", "mean_replicas", false),
    ("wasted", "wasted_share", false),
    ("out after", "tasks_until_out", false),
    ("earned", "liar_earned_share", false),
    ("per work", "liar_earned_per_work", false),
    ("referee", "referee_share", true),
];

pub(super) fn run() -> Result<Map<String, Value>> {
    let program = "grid-bench-trust";
    let package = ["build", "--release", "--package", "grid-scheduler", "--features", "simulate"];
    let arguments = [&package[..], &["--bin", program]].concat();
    cargo::step("Build the simulator (release)", &arguments, BUILD)?;
    let mut bench = command(build::program_in("release", program)?);
    measure("Simulate", &mut bench, RUN)
}

/// The rows as a table, then the other figures.
pub(super) fn table(figures: &Map<String, Value>) -> String {
    let titles = ["scenario", "policy"].into_iter().chain(COLUMNS.map(|(title, ..)| title));
    let mut rows = vec![titles.map(str::to_owned).collect::<Vec<_>>()];
    for row in figures.get("rows").and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let mut cells = vec![text("scenario"), text("policy")];
        cells.extend(COLUMNS.map(|(_, key, rare)| match (&row[key], row[key].as_f64()) {
            (Value::Number(number), _) if number.is_u64() => number.to_string(),
            (_, Some(0.0)) => "0".to_owned(),
            (_, Some(number)) if rare => format!("{number:.1e}"),
            (_, Some(number)) => format!("{number:.3}"),
            (_, None) => "-".to_owned(),
        }));
        rows.push(cells);
    }
    let mut others = Vec::new();
    for (key, value) in figures.iter().filter(|(key, _)| *key != "rows") {
        others.push(vec![key.clone(), value.to_string()]);
    }
    format!("{}\n{}", ui::table(&rows), ui::table(&others))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_become_a_table() {
        let figures = json!({
            "worst_wrong_rate": 0.00005,
            "rows": [{
                "scenario": "liars", "policy": "grid", "wrong_rate": 0.000047, "mean_replicas": 1.0625,
                "wasted_share": 0.0, "tasks_until_out": 93, "liar_earned_share": null,
                "liar_earned_per_work": 0.5, "referee_share": 0.0,
            }],
        });
        let table = table(figures.as_object().unwrap());
        let lines: Vec<Vec<&str>> =
            table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["liars", "grid", "4.7e-5", "1.062", "0", "93", "-", "0.500", "0"]);
        assert_eq!(lines[3], ["worst_wrong_rate", "0.00005"]);
    }
}
