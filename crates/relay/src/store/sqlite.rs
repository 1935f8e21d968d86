//! [`Store`] in one SQLite database: write-ahead log, synced at each commit.

use super::entry::{job_state, job_state_number};
use super::rows::accepted_by_lease;
use super::{Accept, Entry, Movement, NewBody, NewJobRow, Outcome, OwnerId};
use super::{Refusal, Store, StoreError, Write};
use grid_protocol::api::JobState;
use grid_protocol::{Ack, Digest, ExitReason, JobId, PublicKey, SigningKey, UnverifiedReceipt};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};
use rusqlite::{named_params, params};
use std::collections::{HashMap, hash_map};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `PRAGMA user_version` of the schema.
pub(crate) const VERSION: i64 = 1;

/// Most fuel an owner can have: sums stay inside SQLite's integers.
pub(crate) const MAX_BALANCE: u64 = 1 << 62;

/// The writing side. One at a time inside the relay; other processes
/// (`grid-relay owner`) wait for each other by SQLite's lock.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    key: SigningKey,
    /// `None` after a failure: what the connection believes may be wrong, so
    /// the next commit opens a new one, which recovers from the log.
    connection: Option<Connection>,
}

impl SqliteStore {
    /// Opens the database, creates it when missing, recovers it after a crash.
    /// Acks are signed with `key`.
    pub fn open(path: &Path, key: SigningKey) -> Result<Self, StoreError> {
        let connection = open(path)?;
        Ok(Self { path: path.into(), key, connection: Some(connection) })
    }
}

impl Store for SqliteStore {
    fn commit(&mut self, writes: &[Write]) -> Result<Vec<Outcome>, StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => open(&self.path)?,
        };
        let outcomes = commit(&mut connection, &self.key, writes)?;
        self.connection = Some(connection);
        Ok(outcomes)
    }
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    connection.set_prepared_statement_cache_capacity(64);
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match tx.pragma_query_value(None, "user_version", |row| row.get(0))? {
        VERSION => {}
        0 => {
            tx.execute_batch(include_str!("schema.sql"))?;
            tx.pragma_update(None, "user_version", VERSION)?;
        }
        other => return Err(StoreError::Version(other)),
    }
    tx.commit()?;
    Ok(connection)
}

fn commit(
    connection: &mut Connection,
    key: &SigningKey,
    writes: &[Write],
) -> Result<Vec<Outcome>, StoreError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let last: Option<i64> =
        tx.prepare_cached("SELECT max(seq) FROM entries")?.query_row([], |row| row.get(0))?;
    let mut batch = Batch {
        tx: &tx,
        key,
        next: last.unwrap_or(0) as u64 + 1,
        jobs: HashMap::new(),
        nodes: HashMap::new(),
    };
    let outcomes = writes.iter().map(|write| batch.apply(write)).collect::<Result<_, _>>()?;
    batch.flush()?;
    tx.commit()?;
    Ok(outcomes)
}

/// What one transaction adds up before it writes it.
struct Batch<'a> {
    tx: &'a Transaction<'a>,
    key: &'a SigningKey,
    next: u64,
    jobs: HashMap<JobId, Counts>,
    nodes: HashMap<PublicKey, (u64, u64)>,
}

/// A job's row, as far as results change it.
#[derive(Debug, Clone, Copy)]
struct Counts {
    row: i64,
    owner: OwnerId,
    state: JobState,
    first_task: i64,
    tasks: u64,
    done: u64,
    failed: u64,
    budget: u64,
    spent: u64,
}

impl Batch<'_> {
    fn apply(&mut self, write: &Write) -> Result<Outcome, StoreError> {
        match write {
            Write::AddOwner { name, hash, budget, at_ms } => {
                self.add_owner(name, hash, *budget, *at_ms)
            }
            Write::RevokeKey { hash, at_ms } => self.revoke_key(hash, *at_ms),
            Write::LinkAccount { node, delegation, at_ms } => {
                let account = delegation.account;
                let changed = self
                    .tx
                    .prepare_cached(
                        "INSERT INTO nodes (key, fuel, tasks, account) VALUES (?1, 0, 0, ?2)
                         ON CONFLICT (key) DO UPDATE SET account = ?2 WHERE account IS NOT ?2",
                    )?
                    .execute(params![node.0, account.0])?;
                if changed > 0 {
                    let delegation = delegation.clone();
                    self.append(&Entry::AccountLink { at_ms: *at_ms, node: *node, delegation })?;
                }
                Ok(Outcome::Done)
            }
            Write::PutModule { owner, info } => {
                self.refer(&info.source)?;
                self.refer(&info.admitted)?;
                self.tx
                    .prepare_cached(
                        "INSERT OR REPLACE INTO modules VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    )?
                    .execute(params![
                        owner.0,
                        info.source.0,
                        info.admitted.0,
                        info.admission,
                        info.source_bytes as i64,
                        info.admitted_bytes as i64,
                        info.memory_pages
                    ])?;
                Ok(Outcome::Done)
            }
            Write::PutInput { owner, input } => {
                self.put_body(input)?;
                self.tx
                    .prepare_cached("INSERT OR IGNORE INTO inputs VALUES (?1, ?2, ?3)")?
                    .execute(params![owner.0, input.digest.0, input.size as i64])?;
                Ok(Outcome::Done)
            }
            Write::SubmitJob(job) => self.submit(job),
            Write::EndJob { job, state, at_ms } => self.end_job(*job, *state, *at_ms),
            Write::Accept(accept) => self.accept(accept),
        }
    }

    /// Appends one entry; gives back its number.
    fn append(&mut self, entry: &Entry) -> Result<u64, StoreError> {
        let seq = self.next;
        self.tx.prepare_cached("INSERT INTO entries VALUES (?1, ?2, ?3)")?.execute(params![
            seq as i64,
            entry.kind() as u8,
            entry.encode()
        ])?;
        self.next += 1;
        Ok(seq)
    }

    fn add_owner(
        &mut self,
        name: &str,
        hash: &Digest,
        budget: u64,
        at_ms: u64,
    ) -> Result<Outcome, StoreError> {
        let known =
            self.tx.prepare_cached("SELECT 1 FROM keys WHERE hash = ?1")?.exists([hash.0])?;
        if known {
            return Ok(Outcome::Done);
        }
        let lives = self
            .tx
            .prepare_cached(
                "SELECT 1 FROM keys JOIN owners ON owner = id WHERE name = ?1 AND live = 1",
            )?
            .exists([name])?;
        if lives {
            return Ok(Outcome::Refused(Refusal::OwnerExists));
        }
        self.tx
            .prepare_cached("INSERT OR IGNORE INTO owners (name, balance) VALUES (?1, 0)")?
            .execute([name])?;
        let (id, balance) = self
            .tx
            .prepare_cached("SELECT id, balance FROM owners WHERE name = ?1")?
            .query_row([name], |row| Ok((OwnerId(row.get(0)?), row.get::<_, i64>(1)? as u64)))?;
        self.tx
            .prepare_cached("INSERT INTO keys VALUES (?1, ?2, 1)")?
            .execute(params![hash.0, id.0])?;
        let granted = budget.min(MAX_BALANCE - balance);
        self.set_balance(id, balance + granted)?;
        let owner = name.to_owned();
        self.append(&Entry::Key { at_ms, added: true, hash: *hash, owner })?;
        self.move_fuel(at_ms, Movement::Grant, granted, name.to_owned())?;
        Ok(Outcome::Done)
    }

    fn revoke_key(&mut self, hash: &Digest, at_ms: u64) -> Result<Outcome, StoreError> {
        let found: Option<(String, bool)> = self
            .tx
            .prepare_cached(
                "SELECT name, live FROM keys JOIN owners ON owner = id WHERE hash = ?1",
            )?
            .query_row([hash.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((owner, live)) = found else {
            return Ok(Outcome::Refused(Refusal::NoSuchOwner));
        };
        if live {
            self.tx
                .prepare_cached("UPDATE keys SET live = 0 WHERE hash = ?1")?
                .execute([hash.0])?;
            self.append(&Entry::Key { at_ms, added: false, hash: *hash, owner })?;
        }
        Ok(Outcome::Done)
    }

    fn move_fuel(
        &mut self,
        at_ms: u64,
        movement: Movement,
        amount: u64,
        owner: String,
    ) -> Result<(), StoreError> {
        self.append(&Entry::Budget { at_ms, movement, amount, owner }).map(drop)
    }

    fn owner(&self, owner: OwnerId) -> Result<(String, u64), StoreError> {
        let row = self
            .tx
            .prepare_cached("SELECT name, balance FROM owners WHERE id = ?1")?
            .query_row([owner.0], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))?;
        Ok(row)
    }

    fn set_balance(&self, owner: OwnerId, balance: u64) -> Result<(), StoreError> {
        self.tx
            .prepare_cached("UPDATE owners SET balance = ?2 WHERE id = ?1")?
            .execute(params![owner.0, balance as i64])?;
        Ok(())
    }

    fn submit(&mut self, job: &NewJobRow) -> Result<Outcome, StoreError> {
        if self.counts(job.id)?.is_some() {
            return Ok(Outcome::Submitted);
        }
        let (name, balance) = self.owner(job.owner)?;
        let Some(left) = balance.checked_sub(job.budget) else {
            return Ok(Outcome::Refused(Refusal::BudgetTooSmall { balance }));
        };
        for body in &job.bodies {
            self.put_body(body)?;
        }
        let last: Option<i64> =
            self.tx.prepare_cached("SELECT max(id) FROM tasks")?.query_row([], |r| r.get(0))?;
        let first_task = last.unwrap_or(0) + 1;
        let mut insert = self.tx.prepare_cached(
            "INSERT INTO tasks (id, name, input, input_bytes) VALUES (?1, ?2, ?3, ?4)",
        )?;
        for (index, task) in job.tasks.iter().enumerate() {
            let id = first_task + index as i64;
            insert.execute(params![id, task.name, task.input.0, task.input_bytes as i64])?;
        }
        drop(insert);
        self.tx
            .prepare_cached(
                "INSERT INTO jobs (id, owner, created_ms, state, template, admitted, admission,
                     module_bytes, first_task, tasks, done, failed, budget, spent)
                 VALUES (:id, :owner, :created, 0, :template, :admitted, :admission,
                     :module_bytes, :first_task, :tasks, 0, 0, :budget, 0)",
            )?
            .execute(named_params! {
                ":id": job.id.0,
                ":owner": job.owner.0,
                ":created": job.created_ms as i64,
                ":template": job.template,
                ":admitted": job.admitted.0,
                ":admission": job.admission,
                ":module_bytes": job.module_bytes,
                ":first_task": first_task,
                ":tasks": job.tasks.len() as i64,
                ":budget": job.budget as i64,
            })?;
        self.set_balance(job.owner, left)?;
        self.move_fuel(job.created_ms, Movement::Reserve(job.id), job.budget, name)?;
        Ok(Outcome::Submitted)
    }

    fn end_job(&mut self, id: JobId, state: JobState, at_ms: u64) -> Result<Outcome, StoreError> {
        let Some(mut counts) = self.counts(id)? else {
            return Ok(Outcome::Refused(Refusal::NoSuchJob));
        };
        if counts.state == JobState::Running {
            counts.state = state;
            self.refund(id, &counts, at_ms)?;
            self.jobs.insert(id, counts);
        }
        Ok(Outcome::Ended(counts.state))
    }

    /// What a job that is over left goes back to its owner.
    fn refund(&mut self, id: JobId, counts: &Counts, at_ms: u64) -> Result<(), StoreError> {
        let left = counts.budget.saturating_sub(counts.spent);
        let (name, balance) = self.owner(counts.owner)?;
        self.set_balance(counts.owner, balance + left)?;
        self.move_fuel(at_ms, Movement::Refund(id, counts.state), left, name)
    }

    fn accept(&mut self, accept: &Accept) -> Result<Outcome, StoreError> {
        let body = accept.receipt.body();
        let seq = self.next as i64;
        let counts = self.counts(accept.job)?;
        let Some(counts) = counts.filter(|counts| u64::from(accept.index) < counts.tasks) else {
            return Ok(Outcome::Refused(Refusal::NoSuchJob));
        };
        let fresh = self
            .tx
            .prepare_cached("INSERT OR IGNORE INTO leases VALUES (?1, ?2, ?3)")?
            .execute(params![body.lease.0, seq, counts.row])?;
        if fresh == 0 {
            return Ok(match accepted_by_lease(self.tx, body.lease)? {
                Some(row) if row.receipt == accept.receipt.digest() => Outcome::Accepted {
                    seq: row.seq,
                    ack: row.ack,
                    again: true,
                    job_done: counts.state != JobState::Running,
                },
                _ => Outcome::Refused(Refusal::TaskDone),
            });
        }
        let refusal = if counts.state != JobState::Running {
            Refusal::JobOver
        } else {
            let task = counts.first_task + i64::from(accept.index);
            let finished = self
                .tx
                .prepare_cached(
                    "UPDATE tasks SET result = ?2, hint = ?3 WHERE id = ?1 AND result IS NULL",
                )?
                .execute(params![task, seq, accept.hint])?;
            if finished == 1 {
                return self.store_accepted(accept, counts);
            }
            Refusal::TaskDone
        };
        self.tx.prepare_cached("DELETE FROM leases WHERE lease = ?1")?.execute([body.lease.0])?;
        Ok(Outcome::Refused(refusal))
    }

    /// The rest of an acceptance, after its lease and task were claimed.
    fn store_accepted(
        &mut self,
        accept: &Accept,
        mut counts: Counts,
    ) -> Result<Outcome, StoreError> {
        let receipt = &accept.receipt;
        let body = receipt.body();
        let seq = self.append(&Entry::Receipt {
            at_ms: accept.at_ms,
            job: accept.job,
            index: accept.index,
            receipt: UnverifiedReceipt { body: body.clone(), signature: *receipt.signature() },
        })?;
        let ack = Ack { receipt: receipt.digest(), lease: body.lease, seq };
        let ack = self.key.sign(&ack.encode());
        self.tx
            .prepare_cached("INSERT INTO results VALUES (?1, ?2, ?3)")?
            .execute(params![counts.row, seq as i64, ack.0])?;
        match &accept.output {
            Some(bytes) => {
                self.tx
                    .prepare_cached("INSERT INTO outputs VALUES (?1, ?2)")?
                    .execute(params![seq as i64, &bytes[..]])?;
            }
            None => self.refer(&body.output)?,
        }
        let node = self.nodes.entry(body.node).or_default();
        node.0 += body.fuel;
        node.1 += 1;
        counts.done += 1;
        counts.failed += u64::from(body.reason != ExitReason::Exit || body.exit_code != 0);
        counts.spent += body.fuel;
        let job_done = counts.done == counts.tasks;
        if job_done {
            counts.state = JobState::Done;
            self.refund(accept.job, &counts, accept.at_ms)?;
        }
        self.jobs.insert(accept.job, counts);
        Ok(Outcome::Accepted { seq, ack, again: false, job_done })
    }

    fn put_body(&self, body: &NewBody) -> Result<(), StoreError> {
        match &body.bytes {
            Some(bytes) => {
                self.tx
                    .prepare_cached("INSERT OR IGNORE INTO bodies VALUES (?1, ?2)")?
                    .execute(params![body.digest.0, &bytes[..]])?;
                Ok(())
            }
            None => self.refer(&body.digest),
        }
    }

    /// Keeps a blob file from the sweep.
    fn refer(&self, digest: &Digest) -> Result<(), StoreError> {
        self.tx.prepare_cached("INSERT OR IGNORE INTO blobs VALUES (?1)")?.execute([digest.0])?;
        Ok(())
    }

    /// A job's row with this transaction's changes.
    fn counts(&mut self, id: JobId) -> Result<Option<Counts>, StoreError> {
        let vacant = match self.jobs.entry(id) {
            hash_map::Entry::Occupied(known) => return Ok(Some(*known.get())),
            hash_map::Entry::Vacant(vacant) => vacant,
        };
        let found = self
            .tx
            .prepare_cached(
                "SELECT row, owner, state, first_task, tasks, done, failed, budget, spent
                 FROM jobs WHERE id = ?1",
            )?
            .query_row([id.0], |row| {
                let number = |at| row.get::<_, i64>(at).map(|number| number as u64);
                Ok((
                    row.get::<_, u8>(2)?,
                    Counts {
                        row: row.get(0)?,
                        owner: OwnerId(row.get(1)?),
                        state: JobState::Running,
                        first_task: row.get(3)?,
                        tasks: number(4)?,
                        done: number(5)?,
                        failed: number(6)?,
                        budget: number(7)?,
                        spent: number(8)?,
                    },
                ))
            })
            .optional()?;
        let Some((state, counts)) = found else { return Ok(None) };
        let state = job_state(state).ok_or(StoreError::Row("a job's state"))?;
        Ok(Some(*vacant.insert(Counts { state, ..counts })))
    }

    fn flush(self) -> Result<(), StoreError> {
        let mut update = self.tx.prepare_cached(
            "UPDATE jobs SET state = ?2, done = ?3, failed = ?4, spent = ?5 WHERE row = ?1",
        )?;
        for counts in self.jobs.values() {
            update.execute(params![
                counts.row,
                job_state_number(counts.state),
                counts.done as i64,
                counts.failed as i64,
                counts.spent as i64
            ])?;
        }
        let mut upsert = self.tx.prepare_cached(
            "INSERT INTO nodes (key, fuel, tasks) VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET fuel = fuel + ?2, tasks = tasks + ?3",
        )?;
        for (node, (fuel, tasks)) in &self.nodes {
            upsert.execute(params![node.0, *fuel as i64, *tasks as i64])?;
        }
        Ok(())
    }
}
