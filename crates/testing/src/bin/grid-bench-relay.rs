//! Measures a relay; prints one JSON object.

use anyhow::{Result, ensure};
use clap::Parser;
use grid_testing::{BenchConfig, bench_relay};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::PathBuf;

/// Measures a relay in a process of its own, with simulated nodes in this one,
/// on loopback. Prints one JSON object.
#[derive(Debug, Parser)]
#[command(name = "grid-bench-relay", version)]
struct Arguments {
    /// The relay's program, built for release.
    #[arg(long)]
    relay: PathBuf,
    /// Nodes of the swarm.
    #[arg(long, default_value_t = 32)]
    nodes: usize,
    /// Slots of each node.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u8).range(1..=64))]
    slots: u8,
    /// Jobs, for the rate.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    /// Tasks of each job.
    #[arg(long, default_value_t = 10_000)]
    tasks: usize,
    /// Times the rate is measured; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds for which latency is measured.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Idle connections.
    #[arg(long, default_value_t = 5_000)]
    connections: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    raise_open_files(arguments.connections as u64 + 200)?;
    let figures = bench_relay(&BenchConfig {
        relay: arguments.relay,
        nodes: arguments.nodes,
        slots: arguments.slots,
        jobs: arguments.jobs,
        tasks: arguments.tasks,
        rounds: arguments.rounds.max(1),
        seconds: arguments.seconds,
        connections: arguments.connections,
    })
    .await?;
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

/// Raises this process's limit of open files; the relay inherits it.
fn raise_open_files(needed: u64) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    ensure!(
        limit.maximum.is_none_or(|maximum| maximum >= needed),
        "{needed} open files are needed, {} are allowed: see `ulimit -Hn`",
        limit.maximum.unwrap_or_default()
    );
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum: limit.maximum })?;
    Ok(())
}
