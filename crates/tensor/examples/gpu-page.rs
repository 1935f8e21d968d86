//! What a page calls to check and measure its browser's GPU.
#![cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "only a browser calls it"))]

mod gpu;

use grid_tensor::gpu::check::{self, Scope};
use grid_tensor::gpu::{Gpu, Options, Tiles};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// Milliseconds since the page began.
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;
}

fn clock() -> f64 {
    now()
}

async fn open(tiles: &str) -> Result<Gpu, JsError> {
    let tiles = match tiles {
        "fitting" => None,
        "subgroups" => Some(Tiles::gpu(true, 32)),
        "plain" => Some(Tiles::gpu(false, 0)),
        "processor" => Some(Tiles::processor(true)),
        other => return Err(JsError::new(&format!("no tiles are called {other}"))),
    };
    Ok(Gpu::open(Options { tiles, ..Options::new(clock) }).await?)
}

/// Holds the kernels (matrix products alone where `tiles` isn't `fitting`) to the reference, cut as `tiles` says: `{about, cases, wrong}` as JSON.
///
/// # Errors
/// Without a GPU, or when it is lost.
#[wasm_bindgen]
pub async fn run_check(tiles: String, seed: u32, rounds: usize) -> Result<String, JsError> {
    let gpu = open(&tiles).await?;
    let scope = if tiles == "fitting" { Scope::All } else { Scope::Products };
    let report = check::run(&gpu, scope, u64::from(seed), rounds).await?;
    let about = format!("{:?}", gpu.about());
    Ok(serde_json::json!({"about": about, "cases": report.cases, "wrong": report.wrong})
        .to_string())
}

/// Whether a device that is gone is reported as lost: what it says.
///
/// # Errors
/// Without a GPU.
#[wasm_bindgen]
pub async fn lose() -> Result<String, JsError> {
    let gpu = open("fitting").await?;
    gpu.lose();
    Ok(match check::run(&gpu, Scope::Products, 1, 1).await {
        Ok(_) => "nothing".to_owned(),
        Err(error) => error.to_string(),
    })
}

/// The figures of `gpu-bench`, with kernels cut as `tiles` says, as JSON.
///
/// # Errors
/// Without a GPU, or when it is lost.
#[wasm_bindgen]
pub async fn figures(tiles: String, rounds: usize) -> Result<String, JsError> {
    let gpu = open(&tiles).await?;
    Ok(gpu::figures(&gpu, clock, rounds).await?.to_string())
}
