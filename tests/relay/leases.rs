//! Nodes that vanish, return, answer late, or answer for a job that is over.

use anyhow::Result;
use grid_protocol::api::JobState;
use grid_protocol::{FromNode, GiveBackReason, HeldLease, RejectCode, ToNode};
use grid_testing::ScriptedNode;
use grid_tests::{TestRelay, eventually, key};
use std::time::Duration;

const MS: fn(u64) -> Duration = Duration::from_millis;

#[tokio::test]
async fn a_vanished_nodes_task_is_leased_again() -> Result<()> {
    let relay = TestRelay::with(|config| config.grace = MS(100)).await?;
    let job = relay.submit("vanish", 1).await?;
    let mut first = ScriptedNode::join(relay.origin(), key(1)).await?;
    let lost = first.lease().await?;
    drop(first);
    let mut second = ScriptedNode::join(relay.origin(), key(2)).await?;
    let offer = second.lease().await?;
    assert_ne!(offer.lease, lost.lease, "a fresh lease");
    assert_eq!(offer.spec, lost.spec, "of the same task");
    relay.wait_metric("grid_leases_over_total{reason=\"vanished\"}", 1).await?;

    // The first comes back with its answer: too late.
    let (mut first, standing) =
        ScriptedNode::rejoin(relay.origin(), key(1), vec![lost.lease]).await?;
    assert_eq!(standing, []);
    let (body, output) = first.receipt(&lost, b"late")?;
    first.send_result(&body, &output).await?;
    assert_eq!(first.rejection().await?.1, RejectCode::Lease.number());
    relay.wait_metric("grid_receipts_rejected_total{reason=\"no_such_lease\"}", 1).await?;

    let (body, output) = second.receipt(&offer, b"answer")?;
    second.send_result(&body, &output).await?;
    second.ack().await?;
    relay.done(job.id, 1).await?;
    Ok(())
}

/// Within the grace, finished work isn't lost.
#[tokio::test]
async fn a_node_that_returns_keeps_its_lease() -> Result<()> {
    let relay = TestRelay::start().await?;
    let job = relay.submit("return", 1).await?;
    let mut node = ScriptedNode::join(relay.origin(), key(1)).await?;
    let offer = node.lease().await?;
    let (body, output) = node.receipt(&offer, b"answer")?;
    drop(node);
    relay.wait_metric("grid_nodes_online", 0).await?;
    // Nobody else gets it meanwhile.
    let mut other = ScriptedNode::join(relay.origin(), key(2)).await?;
    other.send(&FromNode::Ready { slots: 1 }).await?;
    assert_eq!(other.next_within(MS(1_500)).await?, None, "leased again within the grace");

    let (mut node, standing) =
        ScriptedNode::rejoin(relay.origin(), key(1), vec![offer.lease]).await?;
    assert_eq!(standing, [offer.lease]);
    node.send_result(&body, &output).await?;
    node.ack().await?;
    relay.done(job.id, 1).await?;
    assert_eq!(relay.metric("grid_leases_granted_total").await?, 1);
    Ok(())
}

/// A node that comes back without its lease has forgotten it.
#[tokio::test]
async fn a_forgotten_lease_is_over_at_once() -> Result<()> {
    let relay = TestRelay::start().await?;
    relay.submit("forget", 1).await?;
    let mut node = ScriptedNode::join(relay.origin(), key(1)).await?;
    let offer = node.lease().await?;
    drop(node);
    let mut node = ScriptedNode::join(relay.origin(), key(1)).await?;
    relay.wait_metric("grid_leases_over_total{reason=\"forgotten\"}", 1).await?;
    assert_ne!(node.lease().await?.lease, offer.lease);
    Ok(())
}

#[tokio::test]
async fn without_heartbeats_a_lease_expires() -> Result<()> {
    let relay = TestRelay::with(|config| {
        config.lease_deadline = MS(400);
        config.heartbeat = MS(100);
    })
    .await?;
    relay.submit("expire", 2).await?;
    let mut lazy = ScriptedNode::join(relay.origin(), key(1)).await?;
    let expired = lazy.lease().await?;
    let mut alive = ScriptedNode::join(relay.origin(), key(2)).await?;
    let kept = alive.lease().await?;
    let leases = vec![HeldLease { lease: kept.lease, fuel: 5 }];
    // One lives on heartbeats, the other is told that its lease is over.
    let cancelled = loop {
        alive.send(&FromNode::Heartbeat { leases: leases.clone() }).await?;
        if let Some(message) = lazy.next_within(MS(50)).await? {
            break message;
        }
    };
    assert_eq!(cancelled, ToNode::Cancel { lease: expired.lease });
    relay.wait_metric("grid_leases_over_total{reason=\"expired\"}", 1).await?;
    let (body, output) = lazy.receipt(&expired, b"late")?;
    lazy.send_result(&body, &output).await?;
    assert_eq!(lazy.rejection().await?.1, RejectCode::Lease.number());

    alive.send(&FromNode::Heartbeat { leases }).await?;
    let (body, output) = alive.receipt(&kept, b"answer")?;
    alive.send_result(&body, &output).await?;
    alive.ack().await?;
    Ok(())
}

#[tokio::test]
async fn after_a_cancel_nothing_is_paid() -> Result<()> {
    let relay = TestRelay::start().await?;
    let before = relay.client()?.account().await?.budget;
    let job = relay.submit("cancel", 3).await?;
    assert!(relay.client()?.account().await?.budget < before);
    let mut node = ScriptedNode::join(relay.origin(), key(1)).await?;
    let offer = node.lease().await?;
    let info = relay.client()?.cancel(job.id).await?;
    assert_eq!((info.state, info.done), (JobState::Cancelled, 0));
    assert_eq!(node.next().await?, Some(ToNode::Cancel { lease: offer.lease }));
    let (body, output) = node.receipt(&offer, b"late")?;
    node.send_result(&body, &output).await?;
    assert_eq!(node.rejection().await?.1, RejectCode::JobOver.number());
    relay.wait_metric("grid_receipts_rejected_total{reason=\"job_over\"}", 1).await?;
    let info = relay.owner().job(job.id).await?;
    assert_eq!((info.done, info.spent, info.leased), (0, 0, 0));
    assert_eq!(relay.client()?.account().await?.budget, before, "what was reserved came back");
    Ok(())
}

#[tokio::test]
async fn what_is_given_back_goes_to_another() -> Result<()> {
    let relay = TestRelay::start().await?;
    relay.submit("back", 1).await?;
    let mut first = ScriptedNode::join(relay.origin(), key(1)).await?;
    let offer = first.lease().await?;
    let mut second = ScriptedNode::join(relay.origin(), key(2)).await?;
    second.send(&FromNode::Ready { slots: 1 }).await?;
    let reason = GiveBackReason::Device;
    first
        .send(&FromNode::GiveBack {
            lease: offer.lease,
            reason: reason.number(),
            detail: "no memory".into(),
        })
        .await?;
    let again = second.next().await?;
    assert!(matches!(&again, Some(ToNode::Lease(next)) if next.spec == offer.spec), "{again:?}");
    relay.wait_metric("grid_leases_over_total{reason=\"device\"}", 1).await?;
    // It can't be answered any more.
    let (body, output) = first.receipt(&offer, b"after all")?;
    first.send_result(&body, &output).await?;
    assert_eq!(first.rejection().await?.1, RejectCode::Lease.number());
    Ok(())
}

/// A relay that is ended in order takes its leases up again.
#[tokio::test]
async fn a_restart_keeps_results_and_tasks() -> Result<()> {
    let mut relay = TestRelay::start().await?;
    let job = relay.submit("restart", 2).await?;
    let mut node = ScriptedNode::join(relay.origin(), key(1)).await?;
    let done = node.lease().await?;
    let (body, output) = node.receipt(&done, b"answer")?;
    node.send_result(&body, &output).await?;
    let ack = node.ack().await?;
    let open = node.lease().await?;
    relay.restart().await?;

    let holding = vec![done.lease, open.lease];
    let (mut node, standing) = ScriptedNode::rejoin(relay.origin(), key(1), holding).await?;
    assert!(!standing.contains(&done.lease));
    node.send_result(&body, &output).await?;
    assert_eq!(node.ack().await?.seq, ack.seq, "the same entry, from the store");
    let info = relay.done(job.id, 1).await?;
    assert_eq!((info.done, info.spent), (1, body.fuel));
    let again = node.lease().await?;
    let (body, output) = node.receipt(&again, b"answer")?;
    node.send_result(&body, &output).await?;
    node.ack().await?;
    eventually("the job is done", async || {
        Ok(relay.owner().job(job.id).await?.state == JobState::Done)
    })
    .await?;
    Ok(())
}
