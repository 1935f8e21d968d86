//! A relay killed at every stage of a task's life: it goes on where it stood,
//! with the same checkers, and pays each vote once.

use anyhow::Result;
use grid_protocol::LeaseOffer;
use grid_protocol::api::JobState;
use grid_testing::{CHECKED, NO_OP, Owner, RelayProcess, ScriptedNode, small_job};
use grid_tests::{BUDGET, eventually, key, metric, relay_program};

async fn answer(node: &mut ScriptedNode, offer: &LeaseOffer) -> Result<()> {
    let (body, output) = node.receipt(offer, b"answer")?;
    node.send_result(&body, &output).await?;
    node.ack().await?;
    Ok(())
}

async fn roster(origin: &str, nodes: u64) -> Result<()> {
    eventually("the roster is logged", async || Ok(metric(origin, "grid_roster").await? == nodes))
        .await
}

#[tokio::test]
async fn killed_at_every_stage() -> Result<()> {
    let data = tempfile::tempdir()?;
    let config = format!("{CHECKED}roster = '1ms'\n");
    let mut relay = RelayProcess::start_with(&relay_program()?, data.path(), &config)?;
    let origin = relay.origin().to_owned();
    let owner_key = relay.add_owner("owner", BUDGET)?;
    let owner = Owner::new(&origin, &owner_key)?;
    let module = owner.submit_module(NO_OP.as_bytes()).await?;
    let mut job = small_job(module.source, "stages", 1);
    // Two agreeing new nodes are enough.
    job.error_ppb = Some(100_000_000);
    let job = owner.submit_job(&job).await?.id;

    let mut first = ScriptedNode::join(&origin, key(1)).await?;
    let second = ScriptedNode::join(&origin, key(2)).await?;
    roster(&origin, 2).await?;
    let offer = first.lease().await?;
    answer(&mut first, &offer).await?;

    // Voted: the vote is there, and its draw names the same node.
    relay.restart()?;
    let owner = Owner::new(&origin, &owner_key)?;
    let info = owner.job(job).await?;
    assert_eq!((info.done, info.provisional, info.spent), (0, 1, 0));
    drop((first, second));
    let first = ScriptedNode::join(&origin, key(1)).await?;
    let mut second = ScriptedNode::join(&origin, key(2)).await?;
    let check = second.lease().await?;
    assert_eq!(check.spec, offer.spec);

    // The check is leased: that lease is void, and granted anew.
    relay.restart()?;
    drop((first, second));
    let first = ScriptedNode::join(&origin, key(1)).await?;
    let (mut second, standing) = ScriptedNode::rejoin(&origin, key(2), vec![check.lease]).await?;
    assert_eq!(standing, []);
    let again = second.lease().await?;
    assert_eq!(again.spec, offer.spec);
    answer(&mut second, &again).await?;

    // The second vote is acknowledged; its settlement may be there or not.
    relay.restart()?;
    let owner = Owner::new(&origin, &owner_key)?;
    eventually("the job is done", async || Ok(owner.job(job).await?.state == JobState::Done))
        .await?;
    let info = owner.job(job).await?;
    assert_eq!((info.done, info.spent), (1, 2_000), "each vote is paid once");
    drop(first);
    relay.kill()?;
    let report = grid_relay::check_store(data.path())?;
    assert_eq!((report.receipts, report.fuel), (2, 2_000));
    Ok(())
}
