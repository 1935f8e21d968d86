//! Samples become medians, medians become ratios, and both a table.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::ui;

const OURS: &str = "grid";
const DECODER: &str = "SmolLM2-135M";
const ENCODER: &str = "MiniLM-L6";
/// What is measured of the encoder: texts x tokens.
const SENTENCES: [&str; 4] = ["1x32", "1x128", "32x32", "32x128"];

/// One engine in one condition at one shape.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    model: String,
    shape: String,
    threads: u64,
    busy: bool,
    engine: String,
    weights: String,
    unit: String,
    median: f64,
    low: f64,
    high: f64,
    samples: usize,
}

impl Row {
    /// Whether two were measured on the same, so that they can be compared.
    fn beside(&self, other: &Self) -> bool {
        let of = |row: &Self| (row.model.clone(), row.shape.clone(), row.threads, row.busy);
        of(self) == of(other)
    }

    fn json(&self, ratio: Option<f64>) -> Value {
        json!({
            "model": self.model, "shape": self.shape, "threads": self.threads, "busy": self.busy,
            "engine": self.engine, "weights": self.weights, "unit": self.unit,
            "median": round(self.median), "low": round(self.low), "high": round(self.high),
            "samples": self.samples, "ratio": ratio.map(round),
        })
    }
}

/// To four digits or so: the rest is noise.
fn round(value: f64) -> f64 {
    let scale = 10_f64.powf(3.0 - value.abs().max(1e-9).log10().floor());
    (value * scale).round() / scale
}

/// Of an even number the mean of the two in the middle.
fn median(sorted: &[f64]) -> f64 {
    let middle = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    (middle(sorted.len().saturating_sub(1) / 2) + middle(sorted.len() / 2)) / 2.0
}

/// One row for each engine, condition and shape, in the order measured.
fn rows(samples: &[Value]) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    let mut values: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for sample in samples {
        let text = |key: &str| {
            sample[key]
                .as_str()
                .map(str::to_owned)
                .with_context(|| format!("a sample without {key}"))
        };
        let row = Row {
            model: text("model")?,
            shape: text("shape")?,
            threads: sample["threads"].as_u64().context("a sample without threads")?,
            busy: sample["busy"].as_bool().context("a sample without busy")?,
            engine: text("engine")?,
            weights: text("weights")?,
            unit: text("unit")?,
            median: 0.0,
            low: 0.0,
            high: 0.0,
            samples: 0,
        };
        let index = rows.iter().position(|known| *known == row).unwrap_or(rows.len());
        if index == rows.len() {
            rows.push(row);
        }
        let value = sample["value"].as_f64().context("a sample without a value")?;
        values.entry(index).or_default().push(value);
    }
    for (index, mut values) in values {
        values.sort_by(f64::total_cmp);
        let (low, high) = (values[0], values[values.len() - 1]);
        rows[index] = Row {
            median: median(&values),
            low,
            high,
            samples: values.len(),
            ..rows[index].clone()
        };
    }
    Ok(rows)
}

/// What a row of ours is over the best of its peers.
fn ratio(rows: &[Row], row: &Row) -> Option<f64> {
    let peers = rows.iter().filter(|peer| peer.engine != OURS && peer.beside(row));
    let best = peers.map(|peer| peer.median).reduce(f64::max)?;
    (row.engine == OURS).then_some(row.median / best)
}

/// Ours over the best peer on one quiet thread; none where either is missing.
fn headline(rows: &[Row], model: &str, shape: &str) -> Option<f64> {
    let quiet = |row: &&Row| row.threads == 1 && !row.busy;
    let ours = rows.iter().filter(quiet).filter(|row| row.model == model && row.shape == shape);
    ours.filter_map(|row| ratio(rows, row)).reduce(f64::max)
}

/// Figures from what run.mjs printed.
pub(super) fn figures(measured: &Map<String, Value>) -> Result<Map<String, Value>> {
    let samples = measured.get("samples").and_then(Value::as_array).context("no samples")?;
    let rows = rows(samples)?;
    let ratios: Option<Vec<f64>> =
        SENTENCES.iter().map(|shape| headline(&rows, ENCODER, shape)).collect();
    let worst = ratios.and_then(|ratios| ratios.into_iter().reduce(f64::min));
    let time = |shape: &str| rows.iter().find(|row| row.shape == shape).map(|row| row.median);
    let check = time("check 128").zip(time("make 128")).map(|(check, make)| check / make);
    let figures = [
        ("decode_ratio_wllama", json!(headline(&rows, DECODER, "decode").map(round))),
        ("prompt_ratio_wllama", json!(headline(&rows, DECODER, "prompt").map(round))),
        ("minilm_ratio_ort", json!(worst.map(round))),
        ("check_cost_ratio", json!(check.map(round))),
        ("browser", measured.get("browser").cloned().unwrap_or_default()),
        ("load", measured.get("load").cloned().unwrap_or_default()),
        ("rounds", measured.get("rounds").cloned().unwrap_or_default()),
        ("rows", rows.iter().map(|row| row.json(ratio(&rows, row))).collect()),
    ];
    Ok(figures.map(|(key, value)| (key.to_owned(), value)).into_iter().collect())
}

/// The rows as a table, then the other figures.
pub(crate) fn table(figures: &Map<String, Value>) -> String {
    let heading = ["model", "shape", "threads", "engine", "median", "range", "", "to best peer"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for row in figures.get("rows").and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let busy = if row["busy"] == true { " busy" } else { "" };
        let ratio = row["ratio"].as_f64().map(|ratio| format!("{ratio:.2}x"));
        rows.push(vec![
            text("model"),
            text("shape"),
            format!("{}{busy}", row["threads"]),
            format!("{} {}", text("engine"), text("weights")),
            row["median"].to_string(),
            format!("{} to {}", row["low"], row["high"]),
            text("unit"),
            ratio.unwrap_or_default(),
        ]);
    }
    let mut others = Vec::new();
    super::super::flatten("", figures, &mut others);
    others.retain(|row| row[0] != "rows");
    for row in &mut others {
        // As exact as it is: a divergence has no two digits after the point.
        if let Some(number) = figures.get(&row[0]).filter(|value| value.is_f64()) {
            row[1] = number.to_string();
        }
    }
    format!("{}\n{}", ui::table(&rows), ui::table(&others))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(engine: &str, weights: &str, shape: &str, threads: u64, value: f64) -> Value {
        let model = if SENTENCES.contains(&shape) { ENCODER } else { DECODER };
        json!({"engine": engine, "weights": weights, "threads": threads, "busy": false,
               "model": model, "shape": shape, "unit": "tokens/s", "value": value})
    }

    fn of(samples: Vec<Value>) -> Map<String, Value> {
        let measured =
            json!({"browser": "Chromium 1", "rounds": 2, "load": [0.1, 2.0], "samples": samples});
        figures(measured.as_object().unwrap()).unwrap()
    }

    #[test]
    fn ours_is_held_to_the_better_peer_on_one_thread() {
        let mut samples = vec![
            sample("wllama", "Q8_0", "decode", 1, 10.0),
            sample("grid", "Q4_1", "decode", 1, 20.0),
            sample("wllama", "Q8_0", "decode", 1, 12.0),
            sample("wllama", "Q4_1", "decode", 1, 9.0),
            sample("grid", "Q4_1", "decode", 1, 24.0),
            sample("grid", "Q4_1", "decode", 2, 1000.0),
        ];
        for (shape, ours) in SENTENCES.iter().zip([30.0, 12.0, 30.0, 30.0]) {
            samples.push(sample("onnxruntime-web", "f32", shape, 1, 8.0));
            samples.push(sample("onnxruntime-web", "int8", shape, 1, 10.0));
            samples.push(sample("grid", "R16", shape, 1, ours));
        }
        samples.push(sample("grid", "Q4_1", "make 128", 1, 100.0));
        samples.push(sample("grid", "Q4_1", "check 128", 1, 40.0));
        let figures = of(samples);
        assert_eq!(figures["decode_ratio_wllama"], json!(2.0));
        assert_eq!(figures["prompt_ratio_wllama"], Value::Null);
        assert_eq!(figures["minilm_ratio_ort"], json!(1.2));
        assert_eq!(figures["check_cost_ratio"], json!(0.4));
        let first = &figures["rows"][0];
        assert_eq!(
            (&first["median"], &first["low"], &first["high"]),
            (&json!(11.0), &json!(10.0), &json!(12.0))
        );
        assert_eq!(first["ratio"], Value::Null);
        let table = table(&figures);
        assert!(table.contains("grid Q4_1") && table.contains("2.00x"), "{table}");
        assert!(table.contains("decode_ratio_wllama  2.0"), "{table}");
    }

    #[test]
    fn a_shape_that_is_missing_leaves_no_ratio() {
        let shapes = SENTENCES.iter().take(3);
        let samples = shapes.flat_map(|shape| {
            [sample("onnxruntime-web", "f32", shape, 1, 8.0), sample("grid", "R16", shape, 1, 80.0)]
        });
        assert_eq!(of(samples.collect())["minilm_ratio_ort"], Value::Null);
    }
}
