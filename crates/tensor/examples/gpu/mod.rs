//! What the bench and the page say of a device, as JSON.

use grid_tensor::gpu::measure::{self, Plan};
use grid_tensor::gpu::{Error, Gpu, check};
use serde_json::{Value, json};

/// Checks and measures a device.
///
/// # Errors
/// When the device is lost or fails.
pub(crate) async fn figures(gpu: &Gpu, clock: fn() -> f64, rounds: usize) -> Result<Value, Error> {
    let about = gpu.about();
    let report = check::run(gpu, check::Scope::All, 7, rounds).await?;
    let _ = gpu.slices();
    let plan = if about.processor { Plan::small() } else { Plan::full() };
    let figures = measure::run(gpu, clock, &plan).await?;
    let slices = gpu.slices();
    let products: Vec<Value> = figures
        .products
        .iter()
        .map(|f| {
            json!({
                "kernel": format!("{:?} {}x{}, {} tokens", f.kind, f.shape.0, f.shape.1, f.tokens),
                "ms": f.milliseconds,
                "gb_per_s": f.gigabytes,
                "gop_per_s": f.gigaops,
                "share_of_copy": f.bandwidth_share,
                "share_of_dot_peak": f.dot_share,
                "equal": f.equal,
            })
        })
        .collect();
    Ok(json!({
        "device": about.name,
        "processor": about.processor,
        "timestamps": about.timestamps,
        "subgroups": [about.subgroups.0, about.subgroups.1],
        "tiles": format!("{:?}", about.tiles),
        "cases": report.cases,
        "wrong": report.wrong,
        "copy_gb_per_s": figures.copy,
        "dot_gop_per_s": figures.dot,
        "slices": slices.count,
        "longest_slice_ms": slices.longest,
        "rows": products,
    }))
}
