//! What admission costs in wasmtime: `cargo xtask bench sandbox` runs it.
//!
//! `bench-sandbox PROGRAMS.json FOLDER PAIRS [NAME...]` admits the programs of
//! a list (tests/programs/programs.json), writes what it admitted to
//! `FOLDER/admitted`, and runs each in every variant, `PAIRS` times in turns.
//! FOLDER holds the modules, and in `FOLDER/lowered` what binaryen made of
//! them for wasm-instrument. The last line printed is a JSON object; times in
//! it are milliseconds.

mod host;
mod variants;

use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;
use variants::{Engines, Variant};
use wasmtime::error::Context;
use wasmtime::{Result, bail};

/// Passes over all programs that admission's speed is the median of.
const PASSES: usize = 11;

/// A program of the list, to be measured.
struct Program {
    name: String,
    args: Vec<String>,
    stdout: String,
    source: Vec<u8>,
    /// For wasm-instrument; none where binaryen could not make it.
    lowered: Option<Vec<u8>>,
    admitted: Vec<u8>,
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut next = |what: &'static str| args.next().context(what);
    let list = PathBuf::from(next("first argument: the list of programs")?);
    let folder = PathBuf::from(next("second argument: the folder of modules")?);
    let pairs: usize = next("third argument: how many pairs of runs")?.parse()?;
    let only: Vec<String> = args.collect();

    let programs = read(&list, &folder, &only)?;
    for program in &programs {
        let path = folder.join("admitted").join(format!("{}.wasm", program.name));
        fs::create_dir_all(folder.join("admitted"))?;
        fs::write(&path, &program.admitted)
            .with_context(|| format!("can't write {}", path.display()))?;
    }
    let (speed, speed_of_largest) = admission_speed(&programs)?;
    let engines = Engines::new()?;
    let mut rows = Vec::new();
    for program in &programs {
        println!("wasmtime: {}", program.name);
        let row = measure(&engines, program, pairs)
            .with_context(|| format!("the program {}", program.name))?;
        rows.push(row);
    }
    let figures = json!({
        "admit_mb_per_s": speed,
        "admit_mb_per_s_largest": speed_of_largest,
        "programs": rows,
    });
    println!("{figures}");
    Ok(())
}

fn read(list: &Path, folder: &Path, only: &[String]) -> Result<Vec<Program>> {
    let text = fs::read(list).with_context(|| format!("can't read {}", list.display()))?;
    let list: Value = serde_json::from_slice(&text).context("the list is no JSON")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut programs = Vec::new();
    for entry in list["programs"].as_array().into_iter().flatten() {
        let name = text(&entry["name"]);
        if !only.is_empty() && !only.contains(&name) {
            continue;
        }
        let file = format!("{name}.wasm");
        let path = folder.join(&file);
        let source = fs::read(&path).with_context(|| format!("can't read {}", path.display()))?;
        let admitted = grid_sandbox::admit(&source).with_context(|| name.clone())?.bytes;
        programs.push(Program {
            args: entry["bench"]["args"].as_array().into_iter().flatten().map(text).collect(),
            stdout: text(&entry["bench"]["stdout"]),
            lowered: fs::read(folder.join("lowered").join(&file)).ok(),
            source,
            admitted,
            name,
        });
    }
    if programs.is_empty() {
        bail!("no such program in the list: {}", only.join(", "));
    }
    Ok(programs)
}

/// Megabytes of source that admission takes a second, as the median of passes:
/// over all programs, and over the largest alone.
fn admission_speed(programs: &[Program]) -> Result<(f64, f64)> {
    let largest = programs.iter().max_by_key(|program| program.source.len());
    let largest = largest.map(std::slice::from_ref).unwrap_or_default();
    let (mut all, mut alone) = (Vec::new(), Vec::new());
    for _ in 0..PASSES {
        all.push(admit_all(programs)?);
        alone.push(admit_all(largest)?);
    }
    Ok((median(all), median(alone)))
}

fn admit_all(programs: &[Program]) -> Result<f64> {
    let bytes: usize = programs.iter().map(|program| program.source.len()).sum();
    let start = Instant::now();
    for program in programs {
        let admitted = grid_sandbox::admit(std::hint::black_box(&program.source))?;
        std::hint::black_box(admitted);
    }
    Ok(bytes as f64 / 1e6 / start.elapsed().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Runs a program in every variant, in turns.
fn measure(engines: &Engines, program: &Program, pairs: usize) -> Result<Value> {
    let mut ready = Vec::new();
    let mut notes = Map::new();
    for variant in Variant::ALL {
        let lowered = program.lowered.as_deref();
        match engines.prepare(variant, &program.source, &program.admitted, lowered) {
            Ok(module) => ready.push((variant, module, Vec::new())),
            Err(error) if variant.may_refuse() => {
                notes.insert(variant.name().to_owned(), json!(format!("{error:#}")));
            }
            Err(error) => return Err(error),
        }
    }
    // The first turn warms up caches and is not counted.
    let turns = if pairs == 0 { 0 } else { pairs + 1 };
    for turn in 0..turns {
        for (variant, module, times) in &mut ready {
            let (time, stdout) =
                module.run(&program.name, &program.args).with_context(|| variant.name())?;
            if stdout != program.stdout.as_bytes() {
                let stdout = String::from_utf8_lossy(&stdout);
                bail!("{} gave {stdout:?} instead of {:?}", variant.name(), program.stdout);
            }
            if turn > 0 {
                times.push(time.as_secs_f64() * 1e3);
            }
        }
    }
    let times: Map<String, Value> = ready
        .into_iter()
        .map(|(variant, _, times)| (variant.name().to_owned(), json!(times)))
        .collect();
    Ok(json!({
        "name": program.name,
        "bytes_raw": program.source.len(),
        "bytes_admitted": program.admitted.len(),
        "times": times,
        "notes": notes,
    }))
}
