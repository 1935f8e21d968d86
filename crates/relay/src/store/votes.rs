//! Receipts and what follows from them: votes, settlements, facts.

use super::rows::{accepted_by_lease, receipt};
use super::sqlite::Batch;
use super::{Accept, Entry, Outcome, Refusal, Settle, StoreError};
use grid_protocol::api::JobState;
use grid_protocol::entry::{MAX_VOTES, Movement, PeopleFact};
use grid_protocol::{Digest, ExitReason, JobId, PublicKey, UnverifiedReceipt};
use rusqlite::{OptionalExtension, params};

impl Batch<'_> {
    pub(super) fn accept(&mut self, accept: &Accept) -> Result<Outcome, StoreError> {
        let body = accept.receipt.body();
        let counts = self.counts(accept.job)?;
        let Some(counts) = counts.filter(|counts| u64::from(accept.index) < counts.tasks) else {
            return Ok(Outcome::Refused(Refusal::NoSuchJob));
        };
        if let Some(row) = accepted_by_lease(self.tx, body.lease)? {
            let same = row.receipt == accept.receipt.digest();
            return Ok(match same {
                true => Outcome::Accepted { seq: row.seq, again: true },
                false => Outcome::Refused(Refusal::TaskDone),
            });
        }
        if counts.state != JobState::Running {
            return Ok(Outcome::Refused(Refusal::JobOver));
        }
        let task = counts.first_task + i64::from(accept.index);
        let votes = self.votes(task)?;
        if self.settled(task)?.is_some() || !self.may_vote(&votes, body.node)? {
            return Ok(Outcome::Refused(Refusal::TaskDone));
        }
        self.store_vote(accept, task, counts.row)?;
        if votes.is_empty() {
            let counts = super::sqlite::Counts { voted: counts.voted + 1, ..counts };
            self.jobs.insert(accept.job, counts);
        }
        Ok(Outcome::Accepted { seq: self.next - 1, again: false })
    }

    fn store_vote(&mut self, accept: &Accept, task: i64, job: i64) -> Result<(), StoreError> {
        let receipt = &accept.receipt;
        let body = receipt.body();
        let seq = self.append(&Entry::Receipt {
            at_ms: accept.at_ms,
            job: accept.job,
            index: accept.index,
            draw: accept.draw,
            receipt: UnverifiedReceipt { body: body.clone(), signature: *receipt.signature() },
        })? as i64;
        self.tx
            .prepare_cached("INSERT INTO leases VALUES (?1, ?2)")?
            .execute(params![body.lease.0, seq])?;
        self.tx.prepare_cached("INSERT INTO votes VALUES (?1, ?2, ?3)")?.execute(params![
            task,
            seq,
            accept.hint
        ])?;
        self.tx
            .prepare_cached("INSERT INTO results VALUES (?1, 0, ?2)")?
            .execute(params![job, seq])?;
        match &accept.output {
            Some(bytes) => {
                self.tx
                    .prepare_cached("INSERT INTO outputs VALUES (?1, ?2)")?
                    .execute(params![seq, &bytes[..]])?;
            }
            None => self.refer(&body.output)?,
        }
        Ok(())
    }

    /// Entries of the votes on a task, in order.
    fn votes(&self, task: i64) -> Result<Vec<u64>, StoreError> {
        // Sorted here: with ORDER BY, SQLite compiles the statement anew for
        // each task, which takes longer than all the rest of this.
        let mut query = self.tx.prepare_cached("SELECT seq FROM votes WHERE task = ?1")?;
        let rows = query.query_map([task], |row| row.get::<_, i64>(0).map(|seq| seq as u64))?;
        let mut votes = rows.collect::<Result<Vec<_>, _>>()?;
        votes.sort_unstable();
        Ok(votes)
    }

    /// A node has one vote on a task.
    fn may_vote(&self, votes: &[u64], node: PublicKey) -> Result<bool, StoreError> {
        for seq in votes {
            if receipt(self.tx, *seq)?.receipt.body.node == node {
                return Ok(false);
            }
        }
        Ok(votes.len() < MAX_VOTES)
    }

    /// The entry that settled a task.
    fn settled(&self, task: i64) -> Result<Option<u64>, StoreError> {
        let mut query = self.tx.prepare_cached("SELECT settled FROM tasks WHERE id = ?1")?;
        let settled = query.query_row([task], |row| row.get::<_, Option<i64>>(0)).optional()?;
        Ok(settled.flatten().map(|seq| seq as u64))
    }

    pub(super) fn settle(&mut self, settle: &Settle) -> Result<Outcome, StoreError> {
        let counts = self.counts(settle.job)?;
        let Some(mut counts) = counts.filter(|counts| u64::from(settle.index) < counts.tasks)
        else {
            return Ok(Outcome::Refused(Refusal::NoSuchJob));
        };
        let task = counts.first_task + i64::from(settle.index);
        if let Some(seq) = self.settled(task)? {
            return self.settled_before(seq, settle);
        }
        if counts.state != JobState::Running {
            return Ok(Outcome::Refused(Refusal::JobOver));
        }
        let mut named = settle.votes.clone();
        named.sort_unstable();
        if named.is_empty() || named != self.votes(task)? {
            return Ok(Outcome::Refused(Refusal::OtherVotes));
        }
        let votes = settle.votes.iter().map(|seq| Ok(receipt(self.tx, *seq)?.receipt.body));
        let votes = votes.collect::<Result<Vec<_>, StoreError>>()?;
        let canonical = &votes[0];
        if canonical.answer() != settle.answer {
            return Ok(Outcome::Refused(Refusal::OtherVotes));
        }
        // Neither the relay's own run is paid, nor who was caught before.
        let (mut agreeing, mut dissenting) = (Vec::new(), Vec::new());
        for body in votes.iter().filter(|body| body.node != body.relay) {
            if !self.is_caught(body.node)? {
                let agrees = (body.spec, body.answer()) == (canonical.spec, settle.answer);
                if agrees { &mut agreeing } else { &mut dissenting }.push(body);
            }
        }
        let paid: u64 = agreeing.iter().map(|body| body.fuel).sum();
        if paid > counts.budget - counts.spent {
            return Ok(Outcome::Refused(Refusal::OverBudget));
        }
        let seq = self.append(&Entry::Settled {
            at_ms: settle.at_ms,
            job: settle.job,
            index: settle.index,
            answer: settle.answer,
            votes: settle.votes.clone(),
        })?;
        self.tx
            .prepare_cached("UPDATE tasks SET result = ?2, settled = ?3 WHERE id = ?1")?
            .execute(params![task, settle.votes[0] as i64, seq as i64])?;
        self.tx
            .prepare_cached("INSERT INTO results VALUES (?1, 1, ?2)")?
            .execute(params![counts.row, seq as i64])?;
        for body in votes.iter().filter(|body| body.node != body.relay) {
            self.decided(body.node, seq)?;
        }
        for body in dissenting {
            self.tx
                .prepare_cached("INSERT INTO caught VALUES (?1, ?2)")?
                .execute(params![body.node.0, seq as i64])?;
        }
        for body in agreeing {
            let node = self.nodes.entry(body.node).or_default();
            node.0 += body.fuel;
            node.1 += 1;
        }
        counts.done += 1;
        counts.failed +=
            u64::from(canonical.reason != ExitReason::Exit || canonical.exit_code != 0);
        counts.spent += paid;
        let job_done = counts.done == counts.tasks;
        if job_done {
            counts.state = JobState::Done;
            self.refund(settle.job, &counts, settle.at_ms)?;
        }
        self.jobs.insert(settle.job, counts);
        Ok(Outcome::Settled { seq, job_done })
    }

    fn is_caught(&self, node: PublicKey) -> Result<bool, StoreError> {
        let mut query = self.tx.prepare_cached("SELECT 1 FROM caught WHERE node = ?1")?;
        Ok(query.exists([node.0])?)
    }

    /// The task is settled: by the same decision?
    fn settled_before(&self, seq: u64, settle: &Settle) -> Result<Outcome, StoreError> {
        let same = matches!(self.entry(seq)?, Some(Entry::Settled { answer, votes, .. })
            if (answer, &votes) == (settle.answer, &settle.votes));
        if !same {
            return Ok(Outcome::Refused(Refusal::TaskDone));
        }
        Ok(Outcome::Settled { seq, job_done: self.refunds(seq + 1, settle.job)? })
    }

    /// Is this entry the refund of a job that is done? It follows at once what
    /// settled the last task.
    fn refunds(&self, seq: u64, job: JobId) -> Result<bool, StoreError> {
        Ok(matches!(self.entry(seq)?,
            Some(Entry::Budget { movement: Movement::Refund(of, JobState::Done), .. }) if of == job))
    }

    fn entry(&self, seq: u64) -> Result<Option<Entry>, StoreError> {
        super::rows::entry(self.tx, seq)
    }

    /// An entry decided something about a node.
    fn decided(&self, node: PublicKey, seq: u64) -> Result<(), StoreError> {
        self.tx
            .prepare_cached("INSERT INTO decisions VALUES (?1, ?2)")?
            .execute(params![node.0, seq as i64])?;
        Ok(())
    }

    pub(super) fn log(&mut self, entry: &Entry) -> Result<Outcome, StoreError> {
        let node = match entry {
            Entry::Roster { .. } | Entry::Rules { .. } | Entry::Redrawn { .. } => None,
            Entry::Unanswered { node, .. } | Entry::Refused { node, .. } => Some(*node),
            Entry::People { fact: PeopleFact::Rewards { .. }, .. } => None,
            _ => return Ok(Outcome::Refused(Refusal::NotAFact)),
        };
        let (kind, bytes) = (entry.kind() as u8, entry.encode());
        if Entry::decode(kind, &bytes).as_ref() != Ok(entry) {
            return Ok(Outcome::Refused(Refusal::NotAFact));
        }
        let fresh = self
            .tx
            .prepare_cached("INSERT OR IGNORE INTO facts VALUES (?1, ?2)")?
            .execute(params![fact(kind, &bytes).0, self.next as i64])?;
        if fresh == 1 {
            let seq = self.append(entry)?;
            if let Some(node) = node {
                self.decided(node, seq)?;
            }
        }
        Ok(Outcome::Done)
    }
}

/// What tells a logged fact from others.
pub(super) fn fact(kind: u8, bytes: &[u8]) -> Digest {
    Digest::of(&[&[kind], bytes].concat())
}
