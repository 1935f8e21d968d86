//! `cargo xtask test`: sets up and runs every layer, and ends with one line
//! that counts.

mod counts;
mod layers;
mod native;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::ui;
use counts::Counts;

#[derive(Args)]
pub(crate) struct Options {
    /// Run this layer only (may be given more than once).
    #[arg(long, value_enum, value_name = "LAYER")]
    only: Vec<Layer>,
    /// List the layers and what each checks, and run none.
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Layer {
    Tidy,
    Lint,
    Unit,
    Relay,
    Examples,
    Engines,
    Kernels,
    Browser,
}

struct LayerInfo {
    layer: Layer,
    name: &'static str,
    checks: &'static str,
    /// Everything the layer starts is ended after this long, builds included.
    limit: Duration,
    run: fn(Deadline) -> Result<Counts>,
}

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

const LAYERS: [LayerInfo; 8] = [
    LayerInfo {
        layer: Layer::Tidy,
        name: "tidy",
        checks: "what ARCHITECTURE.md promises about the sources",
        limit: minutes(2),
        run: layers::tidy,
    },
    LayerInfo {
        layer: Layer::Lint,
        name: "lint",
        checks: "formatting and clippy, natively and for wasm",
        limit: minutes(25),
        run: layers::lint,
    },
    LayerInfo {
        layer: Layer::Unit,
        name: "unit",
        checks: "each crate by itself",
        limit: minutes(35),
        run: layers::unit,
    },
    LayerInfo {
        layer: Layer::Relay,
        name: "relay",
        checks: "the real relay over real sockets: faults, hostile peers, SIGKILL",
        limit: minutes(35),
        run: layers::relay,
    },
    LayerInfo {
        layer: Layer::Examples,
        name: "examples",
        checks: "each example's module against its native build; the programs, natively",
        limit: minutes(15),
        run: layers::examples,
    },
    LayerInfo {
        layer: Layer::Engines,
        name: "engines",
        checks: "Chromium and Firefox against wasmtime: programs, core tests, random modules",
        limit: minutes(15),
        run: layers::engines,
    },
    LayerInfo {
        layer: Layer::Kernels,
        name: "kernels",
        checks: "the GPU kernels against their reference: Vulkan, Chromium and Firefox",
        limit: minutes(20),
        run: layers::kernels,
    },
    LayerInfo {
        layer: Layer::Browser,
        name: "browser",
        checks: "the extension in a real Chromium, the worker that infers in Firefox too",
        limit: minutes(45),
        run: layers::browser,
    },
];

/// Until when a layer may work.
#[derive(Clone, Copy)]
struct Deadline(Instant);

impl Deadline {
    fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

struct Outcome {
    name: &'static str,
    counts: Counts,
    time: Duration,
}

pub(crate) fn run(options: &Options) -> Result<bool> {
    if options.list {
        let rows: Vec<Vec<String>> =
            LAYERS.iter().map(|info| vec![info.name.to_owned(), info.checks.to_owned()]).collect();
        ui::line(ui::table(&rows).trim_end());
        return Ok(true);
    }
    let start = Instant::now();
    crate::setup::disk()?;
    crate::setup::run()?;
    let wanted = |info: &&LayerInfo| options.only.is_empty() || options.only.contains(&info.layer);
    let outcomes: Vec<Outcome> = LAYERS.iter().filter(wanted).map(run_layer).collect();
    Ok(summary(&outcomes, start.elapsed()))
}

fn run_layer(info: &LayerInfo) -> Outcome {
    ui::line(format_args!("{}: {}", info.name, info.checks));
    let start = Instant::now();
    if crate::process::stopping() {
        // The thread that got the signal ends us.
        std::thread::park();
    }
    let result = (info.run)(Deadline(start + info.limit)).and_then(|counts| {
        if counts.passed + counts.failed == 0 {
            bail!("the layer {} ran no test", info.name);
        }
        Ok(counts)
    });
    let counts = result.unwrap_or_else(|error| {
        ui::line(format_args!("error: {error:#}"));
        Counts {
            failed: 1,
            notes: vec![format!("{}: did not finish", info.name)],
            ..Counts::default()
        }
    });
    Outcome { name: info.name, counts, time: start.elapsed() }
}

/// Prints the table and the counting line, which stands alone at the end.
fn summary(outcomes: &[Outcome], time: Duration) -> bool {
    let heading = ["layer", "passed", "failed", "skipped", "time"].map(str::to_owned).to_vec();
    let mut rows = vec![heading];
    let mut all = Counts::default();
    for outcome in outcomes {
        let counts = &outcome.counts;
        rows.push(vec![
            outcome.name.to_owned(),
            counts.passed.to_string(),
            counts.failed.to_string(),
            counts.skipped.to_string(),
            ui::seconds(outcome.time),
        ]);
        all.add(counts);
    }
    rows.push(vec![
        "all".to_owned(),
        all.passed.to_string(),
        all.failed.to_string(),
        all.skipped.to_string(),
        ui::seconds(time),
    ]);
    ui::line("");
    ui::line(ui::table(&rows));
    for note in &all.notes {
        ui::line(note);
    }
    ui::line(format_args!("{} passed, {} failed, {} skipped", all.passed, all.failed, all.skipped));
    all.failed == 0
}
