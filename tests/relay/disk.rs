//! A disk that takes no more: nothing is acknowledged that isn't durable, the
//! relay says so, and goes on by itself once there is room.

use anyhow::Result;
use grid_protocol::{RefuseCode, ToNode};
use grid_testing::{NO_OP, Owner, RelayProcess, ScriptedNode, small_job};
use grid_tests::{BUDGET, eventually, key, metric, relay_program};
use std::time::Duration;

#[tokio::test]
async fn nothing_is_acknowledged_on_a_full_disk() -> Result<()> {
    let data = tempfile::tempdir()?;
    let mut relay = RelayProcess::start(&relay_program()?, data.path())?;
    let owner_key = relay.add_owner("owner", BUDGET)?;
    let owner = Owner::new(relay.origin(), &owner_key)?;
    let module = owner.submit_module(NO_OP.as_bytes()).await?;
    let job = owner.submit_job(&small_job(module.source, "before", 300)).await?;

    // Room for the tables there are and a few receipts more.
    let largest = |folder: &std::path::Path| -> Result<u64> {
        let mut most = 0;
        for file in std::fs::read_dir(folder)? {
            most = most.max(file?.metadata()?.len());
        }
        Ok(most)
    };
    relay.kill()?;
    relay.restart_limited(Some(largest(data.path())?.div_ceil(1024) + 256))?;
    let mut node = ScriptedNode::join(relay.origin(), key(1)).await?;
    let mut acks = Vec::new();
    let unanswered = loop {
        node.send(&grid_protocol::FromNode::Ready { slots: 1 }).await?;
        let Some(ToNode::Lease(offer)) = node.next_within(Duration::from_secs(5)).await? else {
            panic!("no lease though tasks wait");
        };
        let (body, output) = node.receipt(&offer, &vec![acks.len() as u8; 4_000])?;
        node.send_result(&body, &output).await?;
        match node.next_within(Duration::from_secs(1)).await? {
            Some(ToNode::Ack { seq, receipt, .. }) => acks.push((seq, receipt)),
            None => break (offer, body, output),
            other => panic!("not expected: {other:?}"),
        }
        assert!(acks.len() < 300, "the disk never filled");
    };
    assert!(!acks.is_empty(), "the disk was full at once");

    // It is said where operators look, and to who asks for something.
    let health_url = format!("{}/healthz", relay.origin());
    let health = async || -> Result<u16> {
        // A connection of its own: those from before are dead.
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(http.get(&health_url).send().await?.status().as_u16())
    };
    assert_eq!(health().await?, 503);
    assert_eq!(metric(relay.origin(), "grid_store_works").await?, 0);
    let refused = owner.submit_job(&small_job(module.source, "during", 1)).await;
    let refused = refused.expect_err("a job can't be kept").to_string();
    assert!(refused.starts_with("503"), "{refused}");
    let mut late = ScriptedNode::connect(relay.origin(), key(2)).await?;
    let hello = late.hello().await;
    assert!(hello.is_err_and(|error| {
        error.to_string().contains(&format!("code: {}", RefuseCode::Closing.number()))
    }));
    // What is there can still be read.
    let info = owner.job(job.id).await?;
    assert_eq!(info.done + info.provisional, acks.len() as u64, "{info:?}");

    // With room again: what was acknowledged is there, the rest can be done.
    relay.restart()?;
    assert_eq!(health().await?, 200);
    let owner = Owner::new(relay.origin(), &owner_key)?;
    let (offer, body, output) = unanswered;
    let (mut node, standing) =
        ScriptedNode::rejoin(relay.origin(), key(1), vec![offer.lease]).await?;
    node.send_result(&body, &output).await?;
    let answer = node.next().await?;
    let known = matches!(answer, Some(ToNode::Ack { .. }));
    assert!(known || matches!(answer, Some(ToNode::Rejected { code: 5, .. })), "{answer:?}");
    assert_eq!(standing, [], "a relay that was killed grants anew");
    let done = acks.len() as u64 + u64::from(known);
    eventually("results are there", async || Ok(owner.job(job.id).await?.done == done)).await?;
    drop(node);
    relay.kill()?;
    assert_eq!(grid_relay::check_store(data.path())?.receipts, done);
    Ok(())
}
