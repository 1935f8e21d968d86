//! Simulated nodes for a relay on this machine.

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use grid_node::{Event, Membership};
use grid_protocol::{Delegation, Digest, SigningKey};
use grid_testing::{Executor, Swarm, SwarmConfig, echo, is_loopback};
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Joins simulated nodes to a relay on this machine, for a limited time.
#[derive(Debug, Parser)]
#[command(name = "grid-swarm", version)]
struct Arguments {
    /// The relay's origin; only loopback addresses are taken.
    #[arg(long, default_value = "http://127.0.0.1:8090")]
    relay: String,
    /// Number of nodes.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    nodes: u32,
    /// Slots of each node.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    slots: u8,
    /// What runs tasks: `echo` copies standard input at once (right receipts of
    /// wrong answers), `wasm` runs the module in wasmtime, `liar` does so and
    /// then changes a digit of the output.
    #[arg(long, value_enum, default_value = "wasm")]
    executor: Runs,
    /// Seconds to run; at most an hour.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Where the nodes' keys come from: same number, same keys.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print each node's key once all have joined.
    #[arg(long)]
    keys: bool,
    /// The account that the nodes belong to: the 64 digits of its private key.
    #[arg(long)]
    account: Option<Digest>,
    /// The code of the invitation by which they come.
    #[arg(long)]
    invitation: Option<String>,
    /// The address that their sockets come from: a relay takes 127.0.1.1 and
    /// 127.0.2.1 for nodes of two networks.
    #[arg(long, value_name = "127.X.Y.Z")]
    from: Option<Ipv4Addr>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Runs {
    Echo,
    Wasm,
    Liar,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(is_loopback(&arguments.relay), "{} is not a loopback address", arguments.relay);
    ensure!(arguments.from.is_none_or(|from| from.is_loopback()), "--from is a loopback address");
    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    let executor = match arguments.executor {
        Runs::Echo => Executor::instant(echo),
        Runs::Wasm => Executor::wasm()?,
        Runs::Liar => Executor::liar()?,
    };
    let config = SwarmConfig {
        relay: arguments.relay,
        nodes: arguments.nodes as usize,
        slots: arguments.slots,
        executor,
        seed: arguments.seed,
        keep_acks: false,
        from: arguments.from,
    };
    let swarm = Swarm::start(config, Duration::from_secs(arguments.seconds)).await?;
    if arguments.keys {
        swarm.nodes().iter().for_each(|node| println!("node {} joined", node.key()));
    }
    let account = arguments.account.map(|seed| SigningKey::from_seed(seed.0));
    if account.is_some() || arguments.invitation.is_some() {
        for node in swarm.nodes() {
            let delegation = account.as_ref().map(|key| Delegation::sign(key, &node.key()));
            let invitation = arguments.invitation.clone();
            node.tell(Event::Membership(Membership { delegation, invitation, browser: None }));
        }
    }
    let mut before = 0;
    while Instant::now() < end {
        sleep(Duration::from_secs(1).min(end - Instant::now())).await;
        let acked = swarm.acked();
        println!("{} nodes joined, {acked} receipts, {} new", swarm.joined(), acked - before);
        before = acked;
    }
    Ok(())
}
