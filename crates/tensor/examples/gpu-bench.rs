//! Figures of this machine's GPU as one JSON object: `gpu-bench`. Needs a Vulkan driver and no files.

mod gpu;

use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Instant;

use grid_tensor::gpu::{Error, Gpu, Options};
use serde_json::Value;

fn clock() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_secs_f64() * 1000.0
}

async fn run() -> Result<Value, Error> {
    let gpu = Gpu::open(Options::new(clock)).await?;
    gpu::figures(&gpu, clock, 20).await
}

fn main() -> ExitCode {
    match pollster::block_on(run()) {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
