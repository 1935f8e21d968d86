//! [`Store`] in one SQLite database: write-ahead log, synced at each commit.

use super::{Entry, Movement, NewBody, NewJobRow, Outcome, OwnerId};
use super::{Refusal, Store, StoreError, Write};
use grid_protocol::api::JobState;
use grid_protocol::entry::{OwnerTag, job_state, job_state_number};
use grid_protocol::{Digest, JobId, PublicKey};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};
use rusqlite::{named_params, params};
use std::collections::{HashMap, hash_map};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `PRAGMA user_version` of the schema.
pub(crate) const VERSION: i64 = 5;

const SCHEMA: &str = include_str!("schema.sql");
const PEOPLE: &str = include_str!("people.sql");
const ACCOUNTS: &str = include_str!("accounts.sql");

/// Most fuel an owner can have: sums stay inside SQLite's integers.
pub(crate) const MAX_BALANCE: u64 = 1 << 62;

/// The writing side. One at a time inside the relay; other processes
/// (`grid-relay owner`) wait for each other by SQLite's lock.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    secret: Digest,
    /// `None` after a failure: what the connection believes may be wrong, so
    /// the next commit opens a new one, which recovers from the log.
    connection: Option<Connection>,
}

impl SqliteStore {
    /// Opens the database, creates it when missing, recovers it after a crash.
    /// `secret` is the log's: it hides owners' names in entries.
    pub fn open(path: &Path, secret: Digest) -> Result<Self, StoreError> {
        let connection = open(path)?;
        Ok(Self { path: path.into(), secret, connection: Some(connection) })
    }
}

impl Store for SqliteStore {
    fn commit(&mut self, writes: &[Write]) -> Result<Vec<Outcome>, StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => open(&self.path)?,
        };
        let outcomes = commit(&mut connection, &self.secret, writes)?;
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
    let version = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // One made by a relay of before gets what is new.
    let lacks: &[&str] = match version {
        0 => &[SCHEMA, PEOPLE, ACCOUNTS],
        3 => &[PEOPLE, ACCOUNTS],
        4 => &[ACCOUNTS],
        VERSION => &[],
        other => return Err(StoreError::Version(other)),
    };
    for sql in lacks {
        tx.execute_batch(sql)?;
    }
    if version != VERSION {
        tx.pragma_update(None, "user_version", VERSION)?;
    }
    tx.commit()?;
    // Syncs the log. What a process that was killed has written of it may be
    // seen now, and only what is durable may be signed.
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    Ok(connection)
}

fn commit(
    connection: &mut Connection,
    secret: &Digest,
    writes: &[Write],
) -> Result<Vec<Outcome>, StoreError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let last: Option<i64> =
        tx.prepare_cached("SELECT max(seq) FROM entries")?.query_row([], |row| row.get(0))?;
    let mut batch = Batch {
        tx: &tx,
        secret,
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
pub(super) struct Batch<'a> {
    pub(super) tx: &'a Transaction<'a>,
    secret: &'a Digest,
    /// Number of the next entry.
    pub(super) next: u64,
    pub(super) jobs: HashMap<JobId, Counts>,
    /// Fuel and tasks credited.
    pub(super) nodes: HashMap<PublicKey, (u64, u64)>,
}

/// A job's row, as far as results change it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) row: i64,
    pub(super) owner: OwnerId,
    pub(super) state: JobState,
    pub(super) first_task: i64,
    pub(super) tasks: u64,
    pub(super) voted: u64,
    pub(super) done: u64,
    pub(super) failed: u64,
    pub(super) budget: u64,
    pub(super) spent: u64,
}

/// What entries call an owner.
pub(crate) fn owner_tag(secret: &Digest, name: &str) -> OwnerTag {
    let digest = Digest::of(&[b"grid-owner-v1", &secret.0[..], name.as_bytes()].concat());
    let mut tag = [0; 16];
    tag.copy_from_slice(&digest.0[..16]);
    OwnerTag(tag)
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
                if super::people::is_closed(self.tx, account)? {
                    return Ok(Outcome::Refused(Refusal::Closed));
                }
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
            Write::PutModel(model) => self.put_model(model),
            Write::RemoveModel { digest } => self.remove_model(digest),
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
            Write::Settle(settle) => self.settle(settle),
            Write::People(write) => self.people(write),
            Write::Log(entry) => self.log(entry),
        }
    }

    /// Appends one entry; gives back its number.
    pub(super) fn append(&mut self, entry: &Entry) -> Result<u64, StoreError> {
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
        let owner = owner_tag(self.secret, name);
        self.tx
            .prepare_cached("INSERT OR IGNORE INTO owners (name, tag, balance) VALUES (?1, ?2, 0)")?
            .execute(params![name, owner.0])?;
        let (id, balance) = self
            .tx
            .prepare_cached("SELECT id, balance FROM owners WHERE name = ?1")?
            .query_row([name], |row| Ok((OwnerId(row.get(0)?), row.get::<_, i64>(1)? as u64)))?;
        self.tx
            .prepare_cached("INSERT INTO keys VALUES (?1, ?2, 1)")?
            .execute(params![hash.0, id.0])?;
        let granted = budget.min(MAX_BALANCE - balance);
        self.set_balance(id, balance + granted)?;
        self.append(&Entry::Key { at_ms, added: true, hash: *hash, owner })?;
        self.move_fuel(at_ms, Movement::Grant, granted, owner)?;
        Ok(Outcome::Done)
    }

    fn revoke_key(&mut self, hash: &Digest, at_ms: u64) -> Result<Outcome, StoreError> {
        let found = self
            .tx
            .prepare_cached("SELECT tag, live FROM keys JOIN owners ON owner = id WHERE hash = ?1")?
            .query_row([hash.0], |row| Ok((OwnerTag(row.get(0)?), row.get::<_, bool>(1)?)))
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
        owner: OwnerTag,
    ) -> Result<(), StoreError> {
        self.append(&Entry::Budget { at_ms, movement, amount, owner }).map(drop)
    }

    fn owner(&self, owner: OwnerId) -> Result<(OwnerTag, u64), StoreError> {
        let row = self
            .tx
            .prepare_cached("SELECT tag, balance FROM owners WHERE id = ?1")?
            .query_row([owner.0], |row| {
                Ok((OwnerTag(row.get(0)?), row.get::<_, i64>(1)? as u64))
            })?;
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
        let (owner, balance) = self.owner(job.owner)?;
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
                     module_bytes, first_task, tasks, voted, done, failed, budget, spent)
                 VALUES (:id, :owner, :created, 0, :template, :admitted, :admission,
                     :module_bytes, :first_task, :tasks, 0, 0, 0, :budget, 0)",
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
        let reserve = Movement::Reserve {
            job: job.id,
            runtime: job.runtime,
            tasks: job.tasks.len() as u32,
            fuel: job.fuel,
            error_ppb: job.error_ppb,
        };
        self.move_fuel(job.created_ms, reserve, job.budget, owner)?;
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
    pub(super) fn refund(
        &mut self,
        id: JobId,
        counts: &Counts,
        at_ms: u64,
    ) -> Result<(), StoreError> {
        let left = counts.budget.saturating_sub(counts.spent);
        let (owner, balance) = self.owner(counts.owner)?;
        self.set_balance(counts.owner, balance + left)?;
        self.move_fuel(at_ms, Movement::Refund(id, counts.state), left, owner)
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
    pub(super) fn refer(&self, digest: &Digest) -> Result<(), StoreError> {
        self.tx.prepare_cached("INSERT OR IGNORE INTO blobs VALUES (?1)")?.execute([digest.0])?;
        Ok(())
    }

    /// A job's row with this transaction's changes.
    pub(super) fn counts(&mut self, id: JobId) -> Result<Option<Counts>, StoreError> {
        let vacant = match self.jobs.entry(id) {
            hash_map::Entry::Occupied(known) => return Ok(Some(*known.get())),
            hash_map::Entry::Vacant(vacant) => vacant,
        };
        let found = self
            .tx
            .prepare_cached(
                "SELECT row, owner, state, first_task, tasks, voted, done, failed, budget, spent
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
                        voted: number(5)?,
                        done: number(6)?,
                        failed: number(7)?,
                        budget: number(8)?,
                        spent: number(9)?,
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
            "UPDATE jobs SET state = ?2, voted = ?3, done = ?4, failed = ?5, spent = ?6
             WHERE row = ?1",
        )?;
        for counts in self.jobs.values() {
            update.execute(params![
                counts.row,
                job_state_number(counts.state),
                counts.voted as i64,
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
