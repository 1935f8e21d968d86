//! Takes up what the store holds: standings, the roster and open votes are
//! functions of the entries, and open tasks go on where they stood.

use crate::job::Job;
use crate::state::{Shared, draw_of, unix_ms};
use crate::store::{Entry, JobRow, StoreError, TaskRow, VoteRow, Write, rows};
use crate::votes::{Votes, vote_of};
use crate::writer::{Request, Then};
use grid_ledger::RewardRules;
use grid_log::vrf::{Proof, proof_to_hash};
use grid_protocol::JobId;
use grid_protocol::entry::{Movement, PeopleFact};
use grid_scheduler::trust::{Draw, Rules, Settlement, Vote};
use grid_scheduler::{Skip, Submission, Task};
use rusqlite::Connection;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// An unfinished job: its row, its tasks, the votes on those that are open.
struct Unfinished {
    job: JobRow,
    tasks: Vec<TaskRow>,
    open: Vec<VoteRow>,
}

impl Shared {
    /// Takes up what the store holds unfinished. Blocks.
    pub(crate) fn recover(&self) -> Result<(), StoreError> {
        let rules = self.config.trust.rules;
        let (unfinished, recent, totals, (mut votes, logged, rewards)) =
            self.reads.run_blocking(|db| {
                let unfinished = unfinished(db)?;
                let replayed = replay(db, &unfinished)?;
                Ok((
                    unfinished,
                    rows::recent(db, crate::core::RECENT)?,
                    (rows::totals(db)?, rows::settled(db)?),
                    replayed,
                ))
            })?;
        if logged != Some(rules) {
            let entry = Entry::Rules { at_ms: unix_ms(), rules: rules.encode() };
            // First of all that is written from now on.
            self.follow_up(Request { write: Write::Log(entry), then: Then::Nothing });
            votes.quorums.set_rules(rules);
        }
        self.log_rewards(rewards.unwrap_or(RewardRules::NONE), self.config.rewards);
        let mut core = self.core();
        core.votes = votes;
        core.recent = recent.into();
        ((core.fuel, core.tasks_done), core.tasks_settled) = totals;
        for Unfinished { job: row, tasks, .. } in unfinished {
            let waiting = tasks.iter().filter(|task| task.result.is_none() && !task.voted);
            let waiting: Vec<u32> = waiting.map(|task| task.index).collect();
            let open = core.votes.open_fuel(row.id, tasks.len() as u32);
            self.metrics.recovered("start");
            tracing::info!(job = %row.id, waiting = waiting.len(), open = open.len(),
                "a job is taken up again");
            let job = Arc::new(Job::of_row(&row, &tasks));
            let submission = Submission {
                job: row.id,
                needs: job.needs(),
                tasks: waiting,
                open,
                fuel_limit: job.fuel_limit(),
                budget: row.budget,
                spent: row.spent,
            };
            core.start(job, submission);
        }
        let acts = core.votes.quorums.resume();
        self.resume(&mut core, acts);
        self.log_roster(&mut core);
        self.dispatch(&mut core);
        Ok(())
    }
}

impl Shared {
    /// Rules of rewards that differ from those that hold are logged.
    pub(crate) fn log_rewards(&self, held: RewardRules, rules: RewardRules) {
        *self.people.rewards() = rules;
        if held != rules {
            let fact = PeopleFact::Rewards { rules: rules.encode() };
            let write = Write::Log(Entry::People { at_ms: unix_ms(), fact });
            self.follow_up(Request { write, then: Then::Nothing });
        }
    }
}

fn unfinished(db: &Connection) -> Result<Vec<Unfinished>, StoreError> {
    let jobs = rows::running_jobs(db)?.into_iter().map(|job| {
        let (tasks, open) = (rows::tasks(db, &job)?, rows::open_votes(db, &job)?);
        Ok(Unfinished { job, tasks, open })
    });
    jobs.collect()
}

/// Everything that trust is a function of, in order; and the rules that were
/// logged last. Draws are computed of open votes only: nothing else asks for
/// them.
fn replay(
    db: &Connection,
    unfinished: &[Unfinished],
) -> Result<(Votes, Option<Rules>, Option<RewardRules>), StoreError> {
    let open: HashSet<u64> =
        unfinished.iter().flat_map(|job| &job.open).map(|vote| vote.seq).collect();
    let mut votes = Votes::new(Rules::default());
    let (mut rules, mut rewards) = (None, None);
    let mut task_of: HashMap<u64, Task> = HashMap::new();
    // Votes whose task is not settled yet.
    let mut cast: HashMap<JobId, HashMap<u64, Vote>> = HashMap::new();
    rows::entries(db, 1, |seq, entry| {
        match entry {
            Entry::Rules { rules: bytes, .. } => {
                let logged = Rules::decode(&bytes).map_err(|_| StoreError::Row("trust rules"))?;
                votes.quorums.set_rules(logged);
                rules = Some(logged);
            }
            Entry::People { fact: PeopleFact::Rewards { rules }, .. } => {
                rewards = RewardRules::decode(&rules).ok();
            }
            Entry::Roster { removed, added, .. } => votes.members.replay(&removed, &added),
            Entry::Budget {
                movement: Movement::Reserve { job, runtime, tasks, error_ppb, .. },
                ..
            } => {
                votes.quorums.open_job(job, runtime, error_ppb, tasks);
            }
            Entry::Budget { movement: Movement::Refund(job, _), .. } => {
                votes.end_job(job);
                cast.remove(&job);
            }
            Entry::Receipt { at_ms, job, index, draw, receipt } => {
                let task = Task { job, index };
                let none = Draw([0; 32]);
                if open.contains(&seq) {
                    let output = proof_to_hash(&Proof(draw));
                    let output = output.map_err(|_| StoreError::Row("a draw's proof"))?;
                    let info = rows::receipt_info(seq, at_ms, &receipt);
                    task_of.insert(seq, task);
                    votes.recall(task, info, vote_of(&receipt.body, seq, draw_of(&output)));
                } else {
                    let vote = vote_of(&receipt.body, seq, none);
                    cast.entry(job).or_default().insert(seq, vote);
                }
            }
            Entry::Unanswered { seq, place, node, why, .. } => {
                if let Some(task) = task_of.get(&seq).copied() {
                    votes.excuse(task, &Skip { task, seq, place, node, why });
                }
            }
            Entry::Redrawn { seq, .. } => {
                if let Some(task) = task_of.get(&seq) {
                    votes.redrawn(*task, seq);
                }
            }
            Entry::Settled { job, index, answer, votes: seqs, .. } => {
                let cast = cast.entry(job).or_default();
                let of: Option<Vec<Vote>> = seqs.iter().map(|seq| cast.remove(seq)).collect();
                let of = of.ok_or(StoreError::Row("a settlement without its receipts"))?;
                let settlement = Settlement { task: Task { job, index }, answer, votes: of };
                votes.quorums.settled(seq, &settlement);
            }
            _ => {}
        }
        Ok(true)
    })?;
    Ok((votes, rules, rewards))
}
