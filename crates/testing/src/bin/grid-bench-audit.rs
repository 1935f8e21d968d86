//! Measures `grid audit`; prints one JSON object.

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use grid_audit::testing::World;
use grid_protocol::SigningKey;
use grid_scheduler::trust::Rules;
use grid_testing::log_server::{LogServer, points};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;

/// Writes a log with many receipts, serves it on loopback from this process,
/// and lets `grid audit` download, verify and replay it: once from nothing,
/// once more with what was kept.
#[derive(Debug, Parser)]
#[command(name = "grid-bench-audit", version)]
struct Arguments {
    /// The command, built for release.
    #[arg(long)]
    grid: PathBuf,
    /// Receipts in the log, at least.
    #[arg(long, default_value_t = 100_000)]
    receipts: u64,
    /// Nodes.
    #[arg(long, default_value_t = 200)]
    nodes: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let started = Instant::now();
    let mut world = World::new(arguments.nodes, Rules::default());
    let mut tasks = 0;
    while (world.leaves().len() as u64) < 2 * arguments.receipts {
        let job = world.job(5_000, 100_000);
        world.compute(job, 0..5_000);
        tasks += 5_000_u64;
    }
    let making = started.elapsed().as_secs_f64();
    let (limit_verify, limit_draw) = limits(&world)?;
    let server =
        LogServer::start(&SigningKey::from_seed([1; 32]), world.leaves(), &points(&world)).await?;
    let state = tempfile::tempdir()?;
    let mut runs = Vec::new();
    for _ in 0..2 {
        let output = tokio::process::Command::new(&arguments.grid)
            .args(["audit", "--json", "--relay-key", &world.relay().to_string(), "--state"])
            .arg(state.path())
            .arg(server.url())
            .output()
            .await
            .context("can't start grid")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout)?;
        ensure!(report["ok"] == true, "the audit found {}", report["problems"]);
        runs.push(report);
    }
    let receipts = runs[0]["counts"]["receipts"].as_u64().unwrap_or_default();
    let figure = |run: usize, key: &str| runs[run][key].as_f64().unwrap_or_default();
    println!(
        "{}",
        json!({
            "receipts_per_s": figure(0, "receipts_per_s").round(),
            "resumed_receipts_per_s": figure(1, "receipts_per_s").round(),
            "seconds_per_million": 1e6 / figure(0, "receipts_per_s"),
            "receipts": receipts,
            "entries": runs[0]["counts"]["entries"],
            "tasks": tasks,
            "seconds": figure(0, "seconds"),
            "leaf_bytes": world.leaves().iter().map(Vec::len).sum::<usize>(),
            "cores": std::thread::available_parallelism()?.get(),
            "limit_signatures_per_s_core": limit_verify.round(),
            "limit_draws_per_s_core": limit_draw.round(),
            "making_seconds": making,
        })
    );
    Ok(())
}

/// What one core can do of the two operations that every receipt costs.
fn limits(world: &World) -> Result<(f64, f64)> {
    use grid_scheduler::Task;
    let task = Task { job: grid_protocol::JobId([1; 16]), index: 1 };
    let receipt = world.receipt(task, Some(0));
    let prover = grid_log::vrf::Prover::from_seed([1; 32]);
    let verifier = grid_log::vrf::Verifier::new(&world.relay())?;
    let (proof, _) = prover.prove(b"input");
    let rate = |each: &dyn Fn() -> bool| -> Result<f64> {
        let (started, times) = (Instant::now(), 4_000);
        for _ in 0..times {
            ensure!(each(), "a limit's operation failed");
        }
        Ok(f64::from(times) / started.elapsed().as_secs_f64())
    };
    let signatures = rate(&|| receipt.clone().verify().is_ok())?;
    let draws = rate(&|| verifier.verify(b"input", &proof).is_ok())?;
    Ok((signatures, draws))
}
