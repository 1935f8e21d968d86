//! A relay killed at any moment, over and over, and started again: nothing
//! that was acknowledged is lost, nothing is credited twice, all gets done.

use anyhow::{Context, Result, ensure};
use grid_log::{Tree, merkle};
use grid_protocol::api::{JobInfo, JobState};
use grid_protocol::entry::Leaf;
use grid_protocol::{Ack, Digest, JobId, PublicKey};
use grid_relay::store::Entry;
use grid_testing::{
    Executor, NO_OP, Owner, PRIVATE, RelayProcess, Swarm, SwarmConfig, echo, small_job,
};
use grid_tests::{BUDGET, eventually, relay_program};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;

/// Nodes check each other, until each is trusted soon, and a fifth of its
/// results after that.
const RULES: &str = "[trust]\ndiversity = false\nreferee = false\nfaulty_ppm = 1000\n\
    colluding_ppm = 1000\nfloor_ppm = 200000\nnewcomer = 2\nhold = 2\n";
const JOBS: usize = 4;
const TASKS: usize = 1_500;
const KILLS: u64 = 5;

/// Random numbers of a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment() -> Result<()> {
    kill_over_and_over(PRIVATE).await
}

/// The same where nodes check each other: votes, checks and settlements are
/// cut off anywhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_nodes_check_each_other() -> Result<()> {
    kill_over_and_over(RULES).await
}

async fn kill_over_and_over(trust: &str) -> Result<()> {
    let seed = match std::env::var("GRID_TEST_SEED") {
        Ok(seed) => seed.parse()?,
        Err(_) => 1,
    };
    let mut random = Random(seed);
    let data = tempfile::tempdir()?;
    let mut relay = RelayProcess::start_with(&relay_program()?, data.path(), trust)?;
    let owner_key = relay.add_owner("owner", BUDGET)?;
    let owner = Owner::new(relay.origin(), &owner_key)?;
    let module = owner.submit_module(NO_OP.as_bytes()).await?;
    let mut jobs = Vec::new();
    for number in 0..JOBS {
        let job = small_job(module.source, &format!("crash {number}"), TASKS);
        jobs.push(owner.submit_job(&job).await?.id);
    }
    let config = SwarmConfig {
        relay: relay.origin().into(),
        nodes: 12,
        slots: 8,
        executor: Executor::instant(echo),
        seed,
        keep_acks: true,
        from: None,
    };
    let swarm = Swarm::start(config, Duration::from_secs(20)).await?;

    let all = (JOBS * TASKS) as u64;
    for kill in 0..KILLS {
        // Somewhere in this kill's part of the work, then a little later.
        let part = all / (KILLS + 1);
        let from = kill * part + random.below(part);
        eventually("more is done", async || Ok(swarm.acks().len() as u64 >= from)).await?;
        sleep(Duration::from_micros(random.below(20_000))).await;
        relay.restart()?;
        if random.below(2) == 0 {
            // While it takes up its work and nodes come back.
            sleep(Duration::from_micros(random.below(1_500_000))).await;
            relay.restart()?;
        }
    }
    let owner = Owner::new(relay.origin(), &owner_key)?;
    for job in &jobs {
        eventually("the job is done", async || Ok(owner.job(*job).await?.state == JobState::Done))
            .await?;
    }
    let mut infos = Vec::new();
    for job in &jobs {
        infos.push(owner.job(*job).await?);
    }
    let acks = swarm.acks();
    ensure!(acks.len() as u64 >= all / 2, "few acknowledgements: {}", acks.len());
    drop(swarm);
    relay.kill()?;

    // The relay's own check: signatures, outputs, every derived table.
    let report = grid_relay::check_store(data.path())?;
    assert!(report.receipts >= all);
    // And one that shares no code with it but the entries' layout.
    audit(data.path(), &infos, &acks)?;
    in_the_log(data.path(), &acks)
}

/// The log of the entries had, at each size that an acknowledgement names, the
/// root that it names: no kill made it sign another history.
fn in_the_log(data: &Path, acks: &[Ack]) -> Result<()> {
    let secret: Digest = std::fs::read_to_string(data.join("log.secret"))?.trim().parse()?;
    let db = rusqlite::Connection::open(data.join("grid.sqlite"))?;
    let mut entries = db.prepare("SELECT kind, bytes FROM entries ORDER BY seq")?;
    let entries = entries.query_map([], |row| Ok((row.get::<_, u8>(0)?, row.get(1)?)))?;
    let entries = entries.map(|row| {
        let (kind, bytes): (u8, Vec<u8>) = row?;
        Ok(Entry::decode(kind, &bytes)?)
    });
    let entries = entries.collect::<Result<Vec<_>>>()?;
    let entry = |seq: u64| entries.get(usize::try_from(seq).ok()?.checked_sub(1)?).cloned();
    let mut roots = HashMap::new();
    let mut tree = Tree::new();
    for each in &entries {
        let leaf = Leaf::of(each, &secret, entry).context("an entry without a leaf")?;
        tree.append(&[merkle::leaf_hash(&leaf.encode())]);
        roots.insert(tree.size(), tree.root());
    }
    for ack in acks {
        ensure!(ack.size >= ack.seq, "an acknowledgement of what the log didn't have");
        assert_eq!(roots.get(&ack.size), Some(&ack.root), "the root at {}", ack.size);
        assert_eq!(ack.salt, grid_protocol::entry::salt(&secret, &ack.receipt));
    }
    Ok(())
}

/// Entries are gapless; each task is settled once, by receipts that are there
/// once; acknowledged receipts are among them; points and spent fuel are the
/// sums of the settled receipts' fuel (nobody lies here).
fn audit(data: &Path, jobs: &[JobInfo], acks: &[Ack]) -> Result<()> {
    let db = rusqlite::Connection::open(data.join("grid.sqlite"))?;
    let mut entries = db.prepare("SELECT seq, kind, bytes FROM entries ORDER BY seq")?;
    let mut rows = entries.query([])?;
    let mut last = 0;
    let mut receipts = HashMap::new();
    let mut tasks = HashSet::new();
    let (mut leases, mut paid) = (HashSet::new(), HashSet::new());
    let (mut by_node, mut by_job) = (HashMap::<_, (u64, u64)>::new(), HashMap::<_, u64>::new());
    while let Some(row) = rows.next()? {
        let (seq, kind, bytes): (i64, u8, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let seq = seq as u64;
        assert_eq!(seq, last + 1, "entries have no gaps");
        last = seq;
        match Entry::decode(kind, &bytes)? {
            Entry::Receipt { job, index, receipt, .. } => {
                let receipt = receipt.verify()?;
                assert!(leases.insert(receipt.body().lease), "a lease ended twice");
                receipts.insert(seq, ((job, index), receipt));
            }
            Entry::Settled { job, index, votes, .. } => {
                assert!(tasks.insert((job, index)), "task {index} is settled twice");
                for vote in votes {
                    let (task, receipt) = receipts.get(&vote).context("a vote is missing")?;
                    assert_eq!(*task, (job, index), "a vote on another task");
                    assert!(paid.insert(vote), "a receipt is credited twice");
                    let body = receipt.body();
                    let points = by_node.entry(body.node).or_default();
                    *points = (points.0 + body.fuel, points.1 + 1);
                    *by_job.entry(job).or_default() += body.fuel;
                }
            }
            _ => {}
        }
    }
    for ack in acks {
        let (_, receipt) = receipts.get(&ack.seq).context("an acknowledged receipt is lost")?;
        let entry = (receipt.digest(), receipt.body().lease);
        assert_eq!(entry, (ack.receipt, ack.lease), "entry {} is another", ack.seq);
    }
    for job in jobs {
        let count = tasks.iter().filter(|(id, _)| *id == job.id).count() as u64;
        assert_eq!((count, job.done, job.failed), (job.tasks, job.tasks, 0));
        assert_eq!(by_job.get(&job.id), Some(&job.spent), "what the owner paid");
    }
    let mut nodes = db.prepare("SELECT key, fuel, tasks FROM nodes")?;
    let mut rows = nodes.query([])?;
    while let Some(row) = rows.next()? {
        let points = by_node.remove(&PublicKey(row.get(0)?));
        let (fuel, tasks): (i64, i64) = (row.get(1)?, row.get(2)?);
        assert_eq!(points, Some((fuel as u64, tasks as u64)), "a node's points");
    }
    assert!(by_node.is_empty(), "a node has no points");
    Ok(())
}

/// A job that was answered 201 is there after a kill, once.
#[tokio::test]
async fn submitted_jobs_outlive_a_kill() -> Result<()> {
    let data = tempfile::tempdir()?;
    let mut relay = RelayProcess::start(&relay_program()?, data.path())?;
    let key = relay.add_owner("owner", BUDGET)?;
    let owner = Owner::new(relay.origin(), &key)?;
    let module = owner.submit_module(NO_OP.as_bytes()).await?;
    let mut ids: Vec<JobId> = Vec::new();
    for number in 0..3 {
        let job = small_job(module.source, &format!("job {number}"), 2);
        // A connection of its own: those from before are dead.
        let owner = Owner::new(relay.origin(), &key)?;
        ids.push(owner.submit_job(&job).await?.id);
        relay.restart()?;
    }
    let owner = Owner::new(relay.origin(), &key)?;
    for id in ids {
        let info = owner.job(id).await?;
        assert_eq!((info.tasks, info.done, info.state), (2, 0, JobState::Running));
    }
    let count = grid_relay::check_store(data.path())?;
    assert_eq!(count.receipts, 0);
    assert_ne!(module.source, Digest::ZERO);
    Ok(())
}
