//! An owner submits a real module; simulated nodes run it in wasmtime; the
//! owner gets outputs that are right, with receipts that verify.

use anyhow::Result;
use grid_client::{TaskInput, new_job};
use grid_node::{Event, IdleState, Settings, State, Why};
use grid_protocol::api::JobState;
use grid_protocol::{ExitReason, Files};
use grid_testing::{Executor, NodeSetup, Swarm, SwarmConfig, start_node};
use grid_tests::{TestRelay, eventually, key};
use std::collections::HashMap;
use std::time::Duration;

/// Writes standard input to standard output, each byte plus one; exits with
/// the number of bytes modulo 100. An empty input traps.
const PLUS_ONE: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_read"
    (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 4)
  (func (export "_start") (local $n i32) (local $total i32) (local $i i32)
    (loop $more
      (i32.store (i32.const 0) (i32.const 64))
      (i32.store (i32.const 4) (i32.const 65536))
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (local.set $n (i32.load (i32.const 8)))
      (if (local.get $n) (then
        (local.set $i (i32.const 0))
        (loop $each
          (i32.store8 (i32.add (i32.const 64) (local.get $i))
            (i32.add (i32.load8_u (i32.add (i32.const 64) (local.get $i))) (i32.const 1)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $each (i32.lt_u (local.get $i) (local.get $n))))
        (i32.store (i32.const 4) (local.get $n))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
        (local.set $total (i32.add (local.get $total) (local.get $n)))
        (br $more))))
    (if (i32.eqz (local.get $total)) (then unreachable))
    (call $exit (i32.rem_u (local.get $total) (i32.const 100)))))"#;

/// Counts to a hundred million: some time to pause in.
const SLOW: &str = r#"(module (memory (export "memory") 1)
  (func (export "_start") (local $i i32)
    (loop $l
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $i) (i32.const 100000000))))))"#;

fn bytes(number: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + number) as u8).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_are_what_the_module_computes() -> Result<()> {
    let relay = TestRelay::start().await?;
    let client = relay.client()?;
    let module = client.submit_module(wat::parse_str(PLUS_ONE)?).await?;
    // Small ones travel within messages, large ones as blobs, both ways.
    let lengths = [1usize, 42, 1_000, 65_000, 65_536, 200_000, 1_000_000, 0];
    let inputs = lengths.iter().enumerate().map(|(number, length)| {
        let files = Files::stdin(bytes(number, *length));
        Ok(TaskInput { name: format!("task {number}"), files })
    });
    let submitted = client.submit_job(new_job(module.source), inputs).await?;
    let config = SwarmConfig {
        relay: relay.origin().into(),
        nodes: 2,
        slots: 2,
        executor: Executor::wasm()?,
        seed: 1,
        keep_acks: true,
        from: None,
    };
    let swarm = Swarm::start(config, Duration::from_secs(20)).await?;

    let mut seen = HashMap::new();
    let mut results = client.results(submitted.job.id, None, true);
    while let Some(result) = results.next().await {
        let result = result?;
        let receipt = result.receipt.clone().verify()?;
        assert_eq!(result.spec.digest(), receipt.body().spec);
        assert_eq!(result.spec.input, submitted.inputs[result.index as usize]);
        let output = client.output(submitted.job.id, &result).await?;
        assert_eq!(grid_protocol::Digest::of(&output), receipt.body().output);
        let output = Files::decode(grid_protocol::Side::Output, &output)?;
        let (number, length) = (result.index as usize, lengths[result.index as usize]);
        if length == 0 {
            assert_eq!(receipt.body().reason, ExitReason::Trap);
        } else {
            let right: Vec<u8> = bytes(number, length).iter().map(|b| b.wrapping_add(1)).collect();
            assert_eq!(output.get("stdout"), Some(&right[..]), "task {number}");
            assert_eq!(receipt.body().reason, ExitReason::Exit);
            assert_eq!(receipt.body().exit_code as usize, length % 100);
        }
        assert!(receipt.body().fuel > length as u64);
        assert!(seen.insert(result.index, receipt.digest()).is_none(), "a result came twice");
    }
    assert_eq!(seen.len(), lengths.len());
    let job = client.job(submitted.job.id).await?;
    assert_eq!((job.state, job.done, job.failed), (JobState::Done, 8, 4));
    // Nodes hold an acknowledgement of each.
    eventually("all are acknowledged", async || Ok(swarm.acks().len() == 8)).await?;
    assert!(swarm.acks().iter().all(|ack| seen.values().any(|digest| *digest == ack.receipt)));
    Ok(())
}

/// The whole node, natively: it pauses when somebody comes, goes on later, and
/// keeps its work when the network goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_pauses_and_survives_its_network() -> Result<()> {
    let relay = TestRelay::start().await?;
    let client = relay.client()?;
    let module = client.submit_module(wat::parse_str(SLOW)?).await?;
    let input = TaskInput { name: "slow".into(), files: Files::stdin(b"x".to_vec()) };
    let submitted = client.submit_job(new_job(module.source), [Ok(input)]).await?;
    let settings = Settings { on: true, relay: relay.origin().into(), ..Settings::default() };
    let node = start_node(NodeSetup {
        config: grid_node::Config {
            admissions: vec![grid_sandbox::ADMISSION],
            ..grid_node::Config::default()
        },
        key: key(1),
        settings: settings.clone(),
        saved: vec![],
        executor: Executor::wasm()?,
        http: reqwest::Client::builder().no_proxy().build()?,
        keep_acks: true,
        from: None,
    });
    let state = async || -> Result<(State, Why, u64)> {
        let status = node.status().await.expect("the node runs");
        let fuel = status.running.first().map_or(0, |running| running.fuel);
        Ok((status.state, status.why, fuel))
    };
    eventually("it works", async || Ok(state().await?.0 == State::Working)).await?;
    eventually("it uses fuel", async || Ok(state().await?.2 > 0)).await?;
    node.tell(Event::Idle(IdleState::Active));
    eventually("it pauses", async || {
        Ok(matches!(state().await?, (State::Paused, Why::DeviceInUse, _)))
    })
    .await?;
    // A slice that was under way may end; then nothing goes on.
    let mut last = state().await?.2;
    eventually("it stands still", async || {
        let fuel = state().await?.2;
        Ok(std::mem::replace(&mut last, fuel) == fuel)
    })
    .await?;
    assert_eq!(client.job(submitted.job.id).await?.done, 0);
    node.cut_socket();
    node.tell(Event::Idle(IdleState::Idle));
    eventually("it is done", async || Ok(client.job(submitted.job.id).await?.done == 1)).await?;
    eventually("it is acknowledged", async || Ok(node.acks().len() == 1)).await?;
    let status = node.status().await.expect("the node runs");
    assert_eq!(status.tasks, 1);
    assert!(status.fuel > 100_000_000);
    assert_eq!(relay.metric("grid_leases_granted_total").await?, 1, "one lease was enough");

    node.tell(Event::Settings(Settings { on: false, ..settings }));
    relay.wait_metric("grid_nodes_online", 0).await?;
    Ok(())
}
