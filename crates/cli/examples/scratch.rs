use grid_relay::{Config, Relay};
use grid_testing::{Executor, Swarm, SwarmConfig, echo};
use std::time::Duration;
#[tokio::main]
async fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let relay = Relay::start(Config::for_test(&dir)).await.unwrap();
    let key = relay.add_owner("anna", 1 << 60).await.unwrap();
    std::fs::write(format!("{dir}/url"), relay.origin()).unwrap();
    std::fs::write(format!("{dir}/key"), &key).unwrap();
    let _swarm = Swarm::start(
        SwarmConfig {
            relay: relay.origin().into(),
            nodes: 3,
            slots: 16,
            executor: Executor::instant(echo),
            seed: 1,
            keep_acks: false,
        },
        Duration::from_secs(20),
    )
    .await
    .unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
}
