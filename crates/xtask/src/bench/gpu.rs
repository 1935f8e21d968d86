//! `cargo xtask bench gpu`: the kernels of `crates/tensor` on this machine's GPU,
//! natively, and with `--engine chromium` or `firefox` in that browser too. The
//! program it builds, `gpu-bench`, needs nothing but a Vulkan driver, so it can be
//! copied to another machine.

use anyhow::{Result, bail};
use serde_json::{Map, Value};

use super::{BUILD, Options, RUN, measure};
use crate::process::command;
use crate::{build, cargo, kernels, setup, ui};

const BROWSERS: [&str; 2] = ["chromium", "firefox"];

pub(super) fn run(options: &Options) -> Result<Map<String, Value>> {
    if let Some(unknown) = options.engine.iter().find(|one| !BROWSERS.contains(&one.as_str())) {
        bail!(
            "bench gpu knows no engine {unknown}; beside native there are {}",
            BROWSERS.join(", ")
        );
    }
    setup::run()?;
    let mut arguments = vec!["build", "--release", "--package", "grid-tensor"];
    arguments.extend(["--features", "gpu", "--example", "gpu-bench"]);
    cargo::step("Build gpu-bench (release)", &arguments, BUILD)?;
    let mut bench = command(build::program_in("release/examples", "gpu-bench")?);
    let native = measure("Measure natively", &mut bench, RUN)?;
    let mut figures = Map::from_iter([("native".to_owned(), Value::Object(native))]);
    if !options.engine.is_empty() {
        kernels::page(BUILD)?;
        let mut bench = command("node");
        bench.args(["tests/kernels/run.mjs", "--bench", &options.engine.join(",")]);
        figures.extend(measure("Measure in browsers", &mut bench, RUN)?);
    }
    Ok(figures)
}

/// A line for each device, and a table of its kernels.
pub(super) fn table(figures: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (engine, device) in figures {
        let number = |value: &Value| match value.as_f64() {
            Some(number) => format!("{number:.3}"),
            None => "-".to_owned(),
        };
        let wrong = device["wrong"].as_array().map_or(0, Vec::len);
        text += &format!(
            "{engine}: {}; {wrong} of {} cases wrong; copies {} GB/s, dot products {} GOP/s\n",
            device["device"].as_str().unwrap_or_default(),
            device["cases"],
            number(&device["copy_gb_per_s"]),
            number(&device["dot_gop_per_s"]),
        );
        let keys = ["ms", "gb_per_s", "gop_per_s", "share_of_copy", "share_of_dot_peak"];
        let mut rows =
            vec![["kernel"].into_iter().chain(keys).chain(["equal"]).map(str::to_owned).collect()];
        for row in device["rows"].as_array().into_iter().flatten() {
            let mut cells = vec![row["kernel"].as_str().unwrap_or_default().to_owned()];
            cells.extend(keys.iter().map(|key| number(&row[*key])));
            cells.push(row["equal"].to_string());
            rows.push(cells);
        }
        text += &ui::table(&rows);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_device_is_a_line_and_a_table() {
        let row = json!({"kernel": "N4", "ms": 0.5, "gb_per_s": 1.0, "share_of_dot_peak": null, "equal": true});
        let device =
            json!({"device": "D", "cases": 9, "wrong": [], "copy_gb_per_s": 2.0, "rows": [row]});
        let text = table(&Map::from_iter([("native".to_owned(), device)]));
        assert!(text.starts_with("native: D; 0 of 9 cases wrong; copies 2.000 GB/s"), "{text}");
        let cells: Vec<_> = text.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(cells, ["N4", "0.500", "1.000", "-", "-", "-", "true"]);
    }
}
