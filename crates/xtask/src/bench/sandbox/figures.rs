//! Times become ratios, ratios become figures, figures become a table.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::WASMTIME;
use crate::ui;

/// Times of two variants, measured in turns.
struct Comparison {
    raw_ms: f64,
    other_ms: f64,
    /// Median / median.
    ratio: f64,
    /// Median of the ratios of the pairs: close to `ratio`, unless something
    /// else kept the machine busy meanwhile.
    pairs: f64,
    /// Quartiles of the ratios of the pairs.
    spread: [f64; 2],
}

impl Comparison {
    /// None when one of them was not measured.
    fn of(raw: &Value, other: &Value) -> Option<Self> {
        let (raw, other) = (numbers(raw), numbers(other));
        if raw.is_empty() || raw.len() != other.len() {
            return None;
        }
        let pairs: Vec<f64> = raw.iter().zip(&other).map(|(raw, other)| other / raw).collect();
        let (raw_ms, other_ms) = (quantile(&raw, 0.5), quantile(&other, 0.5));
        let spread = [quantile(&pairs, 0.25), quantile(&pairs, 0.75)];
        let ratio = other_ms / raw_ms;
        Some(Self { raw_ms, other_ms, ratio, pairs: quantile(&pairs, 0.5), spread })
    }
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

/// A value such that the given part of all is below it; of an even number the
/// mean of the two in question.
fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = part * sorted.len().saturating_sub(1) as f64;
    let value = |index: f64| sorted.get(index as usize).copied().unwrap_or(f64::NAN);
    value(at.floor()) + (value(at.ceil()) - value(at.floor())) * at.fract()
}

fn geomean(ratios: &[f64]) -> Value {
    if ratios.is_empty() {
        return Value::Null;
    }
    let logarithms: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    json!(round((logarithms / ratios.len() as f64).exp()))
}

/// To a tenth of a percent: the rest is noise.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// What is summed up over all programs.
#[derive(Default)]
struct Totals {
    /// Admitted / raw by engine, in the order measured.
    by_engine: Vec<(String, Vec<f64>)>,
    worst: Option<(f64, String)>,
    fuel: Vec<f64>,
    instrument: Vec<f64>,
    bytes: [u64; 2],
    worst_size: Option<(f64, String)>,
}

impl Totals {
    fn ratio(&mut self, engine: &str, program: &str, ratio: f64) {
        let index = self.by_engine.iter().position(|(name, _)| name == engine);
        let index = index.unwrap_or_else(|| {
            self.by_engine.push((engine.to_owned(), Vec::new()));
            self.by_engine.len() - 1
        });
        self.by_engine[index].1.push(ratio);
        if self.worst.as_ref().is_none_or(|(worst, _)| ratio > *worst) {
            self.worst = Some((ratio, format!("{program} in {engine}")));
        }
    }

    fn size(&mut self, program: &str, raw: u64, admitted: u64) {
        self.bytes = [self.bytes[0] + raw, self.bytes[1] + admitted];
        let ratio = admitted as f64 / raw as f64;
        if self.worst_size.as_ref().is_none_or(|(worst, _)| ratio > *worst) {
            self.worst_size = Some((ratio, program.to_owned()));
        }
    }
}

/// Figures from the last lines of the measuring programs.
pub(super) fn figures(
    native: &Map<String, Value>,
    browsers: &Map<String, Value>,
) -> Result<Map<String, Value>> {
    let mut totals = Totals::default();
    let mut rows = Vec::new();
    let programs = native.get("programs").and_then(Value::as_array).context("no programs")?;
    for program in programs {
        rows.push(row(program, browsers, &mut totals)?);
    }
    let all: Vec<f64> = totals.by_engine.iter().flat_map(|(_, ratios)| ratios.clone()).collect();
    let by_engine: Map<String, Value> =
        totals.by_engine.iter().map(|(engine, ratios)| (engine.clone(), geomean(ratios))).collect();
    let versions: Map<String, Value> = browsers
        .iter()
        .map(|(engine, measured)| (engine.clone(), measured["version"].clone()))
        .collect();
    let (worst, worst_where) = totals.worst.context("nothing was measured")?;
    let (worst_size, largest) = totals.worst_size.context("no programs")?;
    let speed = |key: &str| json!(native.get(key).and_then(Value::as_f64).map(round));
    let figures = json!({
        "geomean_ratio": geomean(&all),
        "worst_ratio": round(worst),
        "worst_ratio_of": worst_where,
        "size_ratio": round(totals.bytes[1] as f64 / totals.bytes[0] as f64),
        "size_ratio_worst": round(worst_size),
        "size_ratio_worst_of": largest,
        "admit_mb_per_s": speed("admit_mb_per_s"),
        "admit_mb_per_s_largest": speed("admit_mb_per_s_largest"),
        "geomean_by_engine": by_engine,
        "geomean_wasmtime_fuel": geomean(&totals.fuel),
        "geomean_wasm_instrument": geomean(&totals.instrument),
        "browsers": versions,
        "programs": rows,
    });
    match figures {
        Value::Object(figures) => Ok(figures),
        _ => Ok(Map::new()),
    }
}

fn row(
    program: &Value,
    browsers: &Map<String, Value>,
    totals: &mut Totals,
) -> Result<Map<String, Value>> {
    let name = program["name"].as_str().context("a program without a name")?;
    let bytes = |key: &str| program[key].as_u64().with_context(|| format!("{name}: no {key}"));
    let (raw, admitted) = (bytes("bytes_raw")?, bytes("bytes_admitted")?);
    totals.size(name, raw, admitted);

    let native = (WASMTIME, &program["times"]);
    let others = browsers.iter().map(|(engine, all)| (engine.as_str(), &all["times"][name]));
    let mut engines = Map::new();
    for (engine, times) in std::iter::once(native).chain(others) {
        let Some(cost) = Comparison::of(&times["raw"], &times["admitted"]) else { continue };
        totals.ratio(engine, name, cost.ratio);
        let figures = json!({
            "raw_ms": round(cost.raw_ms),
            "admitted_ms": round(cost.other_ms),
            "ratio": round(cost.ratio),
            "ratio_of_pairs": round(cost.pairs),
            "spread": cost.spread.map(round),
        });
        engines.insert(engine.to_owned(), figures);
    }
    let times = &program["times"];
    let fuel = Comparison::of(&times["raw"], &times["wasmtime_fuel"]).map(|cost| cost.ratio);
    totals.fuel.extend(fuel);
    let instrument = Comparison::of(&times["lowered"], &times["wasm_instrument"]);
    let instrument = instrument.map(|cost| cost.ratio);
    totals.instrument.extend(instrument);
    let row = [
        ("name", json!(name)),
        ("bytes_raw", json!(raw)),
        ("bytes_admitted", json!(admitted)),
        ("size_ratio", json!(round(admitted as f64 / raw as f64))),
        ("engines", Value::Object(engines)),
        ("wasmtime_fuel_ratio", json!(fuel.map(round))),
        ("wasm_instrument_ratio", json!(instrument.map(round))),
        ("wasm_instrument_note", program["notes"]["wasm_instrument"].clone()),
    ];
    Ok(row.map(|(key, value)| (key.to_owned(), value)).into_iter().collect())
}

/// The figures for people.
pub(crate) fn table(figures: &Map<String, Value>) -> String {
    let number =
        |value: &Value| value.as_f64().map_or("-".to_owned(), |value| format!("{value:.3}"));
    let engines: Vec<&String> = figures["geomean_by_engine"]
        .as_object()
        .map(|engines| engines.keys().collect())
        .unwrap_or_default();
    let mut heading = vec!["admitted / raw".to_owned(), "size".to_owned()];
    heading.extend(engines.iter().map(|engine| format!("{engine} (quartiles)")));
    heading.extend(["wasmtime fuel".to_owned(), "wasm-instrument".to_owned()]);
    let mut rows = vec![heading];
    for program in figures["programs"].as_array().into_iter().flatten() {
        let name = program["name"].as_str().unwrap_or_default();
        let mut row = vec![name.to_owned(), number(&program["size_ratio"])];
        row.extend(engines.iter().map(|&engine| {
            let cost = &program["engines"][engine];
            let [low, high] = [&cost["spread"][0], &cost["spread"][1]].map(number);
            format!("{} ({low} - {high})", number(&cost["ratio"]))
        }));
        row.push(number(&program["wasmtime_fuel_ratio"]));
        row.push(number(&program["wasm_instrument_ratio"]));
        rows.push(row);
    }
    let mut row = vec!["geometric mean, size of all".to_owned(), number(&figures["size_ratio"])];
    row.extend(engines.iter().map(|&engine| number(&figures["geomean_by_engine"][engine])));
    row.push(number(&figures["geomean_wasmtime_fuel"]));
    row.push(number(&figures["geomean_wasm_instrument"]));
    rows.push(row);
    let text = |key: &str| figures[key].as_str().unwrap_or_default();
    format!(
        "{}\n  geometric mean of all: {}; worst: {} ({}); worst size: {} ({})\n  \
         admission: {} MB/s over all programs, {} MB/s over the largest\n",
        ui::table(&rows),
        number(&figures["geomean_ratio"]),
        number(&figures["worst_ratio"]),
        text("worst_ratio_of"),
        number(&figures["size_ratio_worst"]),
        text("size_ratio_worst_of"),
        number(&figures["admit_mb_per_s"]),
        number(&figures["admit_mb_per_s_largest"]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert!((quantile(&[3.0, 1.0, 2.0], 0.5) - 2.0).abs() < 1e-9);
        assert!((quantile(&[1.0, 2.0], 0.5) - 1.5).abs() < 1e-9);
        assert!((quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.25) - 2.0).abs() < 1e-9);
        assert!(quantile(&[], 0.5).is_nan());
    }

    fn sample() -> Map<String, Value> {
        let program = |name: &str, admitted: f64, notes: Value| {
            let mut times = json!({
                "raw": [100.0, 101.0, 99.0],
                "admitted": [admitted, admitted, admitted],
                "wasmtime_fuel": [150.0, 150.0, 150.0],
            });
            if notes.is_null() {
                times["lowered"] = json!([200.0, 200.0, 200.0]);
                times["wasm_instrument"] = json!([500.0, 500.0, 500.0]);
            }
            json!({"name": name, "bytes_raw": 100, "bytes_admitted": admitted as u64,
                   "times": times, "notes": {"wasm_instrument": notes}})
        };
        let native = json!({
            "admit_mb_per_s": 30.0, "admit_mb_per_s_largest": 40.0,
            "programs": [program("a", 100.0, Value::Null), program("b", 121.0, json!("SIMD"))],
        });
        let times = json!({"a": {"raw": [10.0], "admitted": [10.0]}});
        let browsers = json!({"firefox": {"version": "Firefox/1", "times": times}});
        figures(native.as_object().unwrap(), browsers.as_object().unwrap()).unwrap()
    }

    #[test]
    fn times_become_figures() {
        let figures = sample();
        assert_eq!(figures["geomean_by_engine"], json!({"wasmtime": 1.1, "firefox": 1.0}));
        assert_eq!(figures["geomean_ratio"], json!(1.066));
        assert_eq!(figures["worst_ratio"], json!(1.21));
        assert_eq!(figures["worst_ratio_of"], json!("b in wasmtime"));
        assert_eq!(figures["size_ratio"], json!(1.105));
        assert_eq!(figures["size_ratio_worst"], json!(1.21));
        assert_eq!(figures["geomean_wasmtime_fuel"], json!(1.5));
        assert_eq!(figures["geomean_wasm_instrument"], json!(2.5));
        let second = &figures["programs"][1];
        assert_eq!(second["wasm_instrument_ratio"], Value::Null);
        assert_eq!(second["wasm_instrument_note"], json!("SIMD"));
        assert_eq!(second["engines"]["wasmtime"]["ratio"], json!(1.21));
    }

    #[test]
    fn the_table_has_a_row_for_each_program() {
        let table = table(&sample());
        let row = |name: &str| table.lines().find(|line| line.trim_start().starts_with(name));
        assert!(row("a ").unwrap().contains("1.000 (1.000 - 1.000)"), "{table}");
        assert!(row("b ").unwrap().trim_end().ends_with('-'), "{table}");
        assert!(table.contains("worst: 1.210 (b in wasmtime)"), "{table}");
    }
}
