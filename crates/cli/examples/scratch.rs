use grid_relay::{Config, Relay};
use grid_testing::{Executor, Swarm, SwarmConfig};
use std::time::Duration;
#[tokio::main]
async fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let delay: u64 = std::env::args().nth(2).unwrap().parse().unwrap();
    let relay = Relay::start(Config::for_test(&dir)).await.unwrap();
    let key = relay.add_owner("anna", 10_000_000_000_000).await.unwrap();
    std::fs::write(format!("{dir}/url"), relay.origin()).unwrap();
    std::fs::write(format!("{dir}/key"), &key).unwrap();
    tokio::time::sleep(Duration::from_secs(delay)).await;
    let _swarm = Swarm::start(SwarmConfig { relay: relay.origin().into(), nodes: 3, slots: 1, executor: Executor::wasm().unwrap(), seed: 1, keep_acks: false }, Duration::from_secs(20)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
}
