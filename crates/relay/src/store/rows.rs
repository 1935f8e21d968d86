//! Rows as readers see them, and the queries that find them.

use super::{AcceptedRow, Entry, OwnerId, StoreError};
use grid_protocol::api::{DEFAULT_ERROR_PPB, Earned, JobInfo, JobState, ModuleInfo, NewJob};
use grid_protocol::api::{PointsInfo, ReceiptInfo};
use grid_protocol::entry::{DRAW_PROOF, job_state};
use grid_protocol::{Digest, JobId, LeaseId, PublicKey, Spec, UnverifiedReceipt, limits};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// An owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerRow {
    /// Its number.
    pub id: OwnerId,
    /// Its name.
    pub name: String,
    /// SHA-256 of its key; none when that was revoked.
    pub key: Option<Digest>,
    /// Fuel not reserved by a job.
    pub balance: u64,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Its number in the tables.
    pub row: i64,
    /// Its id.
    pub id: JobId,
    /// When it was submitted, milliseconds since 1970-01-01 UTC.
    pub created_ms: u64,
    /// Its owner's name.
    pub owner: String,
    /// Where it stands.
    pub state: JobState,
    /// What it is, without its tasks.
    pub template: NewJob,
    /// Digest of the admitted module.
    pub admitted: Digest,
    /// Version of admission that made it.
    pub admission: u16,
    /// Size of the admitted module.
    pub module_bytes: u32,
    /// Number of its task 0.
    pub first_task: i64,
    /// Tasks in all.
    pub tasks: u64,
    /// Tasks that have a receipt at least.
    pub voted: u64,
    /// Tasks that are settled.
    pub done: u64,
    /// Of those, the ones that did not end with exit code 0.
    pub failed: u64,
    /// Fuel it may use.
    pub budget: u64,
    /// Fuel of its results that was paid.
    pub spent: u64,
}

impl JobRow {
    /// As its owner sees it, while `leased` of its tasks are leased.
    pub fn info(&self, leased: u64) -> JobInfo {
        JobInfo {
            id: self.id,
            runtime: self.template.runtime,
            name: self.template.name.clone(),
            state: self.state,
            module: self.template.module,
            created_ms: self.created_ms,
            tasks: self.tasks,
            done: self.done,
            failed: self.failed,
            provisional: match self.state {
                JobState::Running => self.voted.saturating_sub(self.done),
                // What is not settled by now never will be.
                _ => 0,
            },
            leased,
            error_ppb: self.template.error_ppb.unwrap_or(DEFAULT_ERROR_PPB),
            budget: self.budget,
            spent: self.spent,
            note: None,
        }
    }

    /// The spec of its task with this input.
    pub fn spec(&self, input: Digest) -> Spec {
        self.template.spec(self.admitted, self.admission, input)
    }
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRow {
    /// Its place in the job.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Digest of its input list.
    pub input: Digest,
    /// Size of its input list.
    pub input_bytes: u64,
    /// Has it a receipt at least?
    pub voted: bool,
    /// Entry of its canonical result's receipt.
    pub result: Option<u64>,
}

/// A receipt that was committed for a task: a vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoteRow {
    /// Its entry.
    pub seq: u64,
    /// When it came.
    pub at_ms: u64,
    /// The task's job.
    pub job: JobId,
    /// The task's place in it.
    pub index: u32,
    /// Proof of its draw.
    pub draw: [u8; DRAW_PROOF],
    /// The receipt; its signature was verified.
    pub receipt: UnverifiedReceipt,
}

/// An entry that decided something about a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionRow {
    /// Its number.
    pub seq: u64,
    /// The entry.
    pub entry: Entry,
    /// Where it settled a task: the votes that it opened, in its order.
    pub votes: Vec<VoteRow>,
}

type Found<T> = Result<Option<T>, StoreError>;

const OWNER: &str = "SELECT id, name, balance, hash FROM owners
    LEFT JOIN keys ON keys.owner = owners.id AND keys.live = 1";

/// The owner whose live key has this hash.
pub(crate) fn owner_by_key(db: &Connection, hash: Digest) -> Found<OwnerRow> {
    let mut query = db.prepare_cached(
        "SELECT id, name, balance, hash FROM keys JOIN owners ON owners.id = keys.owner
         WHERE keys.hash = ?1 AND keys.live = 1",
    )?;
    Ok(query.query_row([hash.0], owner).optional()?)
}

/// The owner of this name.
pub(crate) fn owner_by_name(db: &Connection, name: &str) -> Found<OwnerRow> {
    let mut query = db.prepare_cached(&format!("{OWNER} WHERE name = ?1"))?;
    Ok(query.query_row([name], owner).optional()?)
}

/// Every owner, by name.
pub(crate) fn owners(db: &Connection) -> Result<Vec<OwnerRow>, StoreError> {
    let mut query = db.prepare_cached(&format!("{OWNER} ORDER BY name"))?;
    Ok(query.query_map([], owner)?.collect::<Result<_, _>>()?)
}

fn owner(row: &Row<'_>) -> rusqlite::Result<OwnerRow> {
    Ok(OwnerRow {
        id: OwnerId(row.get(0)?),
        name: row.get(1)?,
        balance: unsigned(row, 2)?,
        key: row.get::<_, Option<[u8; 32]>>(3)?.map(Digest),
    })
}

/// An owner's module.
pub(crate) fn module(db: &Connection, owner: OwnerId, source: Digest) -> Found<ModuleInfo> {
    let mut query = db.prepare_cached(
        "SELECT admitted, admission, source_bytes, admitted_bytes, memory_pages
         FROM modules WHERE owner = ?1 AND source = ?2",
    )?;
    let found = query.query_row(params![owner.0, source.0], |row| {
        Ok(ModuleInfo {
            source,
            admitted: Digest(row.get(0)?),
            admission: row.get(1)?,
            source_bytes: unsigned(row, 2)?,
            admitted_bytes: unsigned(row, 3)?,
            memory_pages: row.get(4)?,
        })
    });
    Ok(found.optional()?)
}

/// Size of an input list that an owner put.
pub(crate) fn input(db: &Connection, owner: OwnerId, digest: Digest) -> Found<u64> {
    let mut query =
        db.prepare_cached("SELECT bytes FROM inputs WHERE owner = ?1 AND digest = ?2")?;
    Ok(query.query_row(params![owner.0, digest.0], |row| unsigned(row, 0)).optional()?)
}

/// An input list of at most 64 KiB.
pub(crate) fn body(db: &Connection, digest: Digest) -> Found<Vec<u8>> {
    let mut query = db.prepare_cached("SELECT bytes FROM bodies WHERE digest = ?1")?;
    Ok(query.query_row([digest.0], |row| row.get(0)).optional()?)
}

const JOB: &str = "SELECT row, id, created_ms, state, template, admitted, admission, module_bytes,
    first_task, tasks, voted, done, failed, budget, spent,
    (SELECT name FROM owners WHERE owners.id = owner) FROM jobs";

/// An owner's job.
pub(crate) fn job(db: &Connection, owner: OwnerId, id: JobId) -> Found<JobRow> {
    let mut query = db.prepare_cached(&format!("{JOB} WHERE owner = ?1 AND id = ?2"))?;
    let found = query.query_row(params![owner.0, id.0], |row| Ok(job_row(row))).optional()?;
    found.transpose()
}

/// Where a job stands.
pub(crate) fn job_state_of(db: &Connection, job: &JobRow) -> Result<JobState, StoreError> {
    let mut query = db.prepare_cached("SELECT state FROM jobs WHERE row = ?1")?;
    let state = query.query_row([job.row], |row| row.get(0))?;
    job_state(state).ok_or(StoreError::Row("a job's state"))
}

/// An owner's jobs, newest first.
pub(crate) fn jobs(
    db: &Connection,
    owner: OwnerId,
    limit: usize,
) -> Result<Vec<JobRow>, StoreError> {
    let mut query =
        db.prepare_cached(&format!("{JOB} WHERE owner = ?1 ORDER BY row DESC LIMIT ?2"))?;
    query
        .query_map(params![owner.0, limit as i64], |row| Ok(job_row(row)))?
        .collect::<Result<Result<Vec<_>, _>, _>>()?
}

/// Jobs that are not over, oldest first.
pub(crate) fn running_jobs(db: &Connection) -> Result<Vec<JobRow>, StoreError> {
    let mut query = db.prepare_cached(&format!("{JOB} WHERE state = 0 ORDER BY row"))?;
    query.query_map([], |row| Ok(job_row(row)))?.collect::<Result<Result<Vec<_>, _>, _>>()?
}

fn job_row(row: &Row<'_>) -> Result<JobRow, StoreError> {
    let template: String = row.get(4)?;
    Ok(JobRow {
        row: row.get(0)?,
        id: JobId(row.get(1)?),
        created_ms: unsigned(row, 2)?,
        state: job_state(row.get(3)?).ok_or(StoreError::Row("a job's state"))?,
        template: serde_json::from_str(&template)
            .map_err(|_| StoreError::Row("a job's template"))?,
        admitted: Digest(row.get(5)?),
        admission: row.get(6)?,
        module_bytes: row.get(7)?,
        first_task: row.get(8)?,
        tasks: unsigned(row, 9)?,
        voted: unsigned(row, 10)?,
        done: unsigned(row, 11)?,
        failed: unsigned(row, 12)?,
        budget: unsigned(row, 13)?,
        spent: unsigned(row, 14)?,
        owner: row.get(15)?,
    })
}

/// A job's tasks, in order.
pub(crate) fn tasks(db: &Connection, job: &JobRow) -> Result<Vec<TaskRow>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT id, name, input, input_bytes, result,
             EXISTS (SELECT 1 FROM votes WHERE task = id) FROM tasks
         WHERE id >= ?1 AND id < ?2 ORDER BY id",
    )?;
    let rows = query.query_map([job.first_task, job.first_task + job.tasks as i64], |row| {
        Ok(TaskRow {
            index: (row.get::<_, i64>(0)? - job.first_task) as u32,
            name: row.get(1)?,
            input: Digest(row.get(2)?),
            input_bytes: unsigned(row, 3)?,
            result: row.get::<_, Option<i64>>(4)?.map(|seq| seq as u64),
            voted: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Digest and, where it is at most 64 KiB, bytes of a task's output list: of
/// the canonical result, or else of the first receipt.
pub(crate) fn output(
    db: &Connection,
    job: &JobRow,
    index: u32,
) -> Found<(Digest, Option<Vec<u8>>)> {
    if u64::from(index) >= job.tasks {
        return Ok(None);
    }
    let mut query = db.prepare_cached(
        "SELECT coalesce(result, (SELECT min(seq) FROM votes WHERE task = id))
         FROM tasks WHERE id = ?1",
    )?;
    let task = job.first_task + i64::from(index);
    let seq = query.query_row([task], |row| row.get::<_, Option<i64>>(0)).optional()?.flatten();
    let Some(seq) = seq else { return Ok(None) };
    let vote = receipt(db, seq as u64)?;
    Ok(Some((vote.receipt.body.output, inline_output(db, vote.seq)?)))
}

/// The output list that came with a receipt, where it is at most 64 KiB.
pub(crate) fn inline_output(db: &Connection, receipt: u64) -> Found<Vec<u8>> {
    let mut query = db.prepare_cached("SELECT bytes FROM outputs WHERE seq = ?1")?;
    Ok(query.query_row([receipt as i64], |row| row.get(0)).optional()?)
}

/// The receipt that ended a lease.
pub(crate) fn accepted_by_lease(db: &Connection, lease: LeaseId) -> Found<AcceptedRow> {
    let mut query = db.prepare_cached("SELECT seq FROM leases WHERE lease = ?1")?;
    let Some(seq) = query.query_row([lease.0], |row| unsigned(row, 0)).optional()? else {
        return Ok(None);
    };
    let body = receipt(db, seq)?.receipt.body;
    let receipt = Digest::of(&body.encode());
    Ok(Some(AcceptedRow { lease, node: body.node, receipt, seq }))
}

/// The votes on tasks of a job that are not settled, in order of the log.
pub(crate) fn open_votes(db: &Connection, job: &JobRow) -> Result<Vec<VoteRow>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT votes.seq FROM votes JOIN tasks ON tasks.id = votes.task
         WHERE task >= ?1 AND task < ?2 AND settled IS NULL ORDER BY votes.seq",
    )?;
    let tasks = [job.first_task, job.first_task + job.tasks as i64];
    let seqs = query.query_map(tasks, |row| unsigned(row, 0))?;
    seqs.map(|seq| receipt(db, seq?)).collect()
}

/// The entry with this number.
pub(crate) fn entry(db: &Connection, seq: u64) -> Found<Entry> {
    let mut query = db.prepare_cached("SELECT kind, bytes FROM entries WHERE seq = ?1")?;
    let found = query
        .query_row([seq as i64], |row| Ok((row.get::<_, u8>(0)?, row.get::<_, Vec<u8>>(1)?)))
        .optional()?;
    found.map(|(kind, bytes)| Ok(Entry::decode(kind, &bytes)?)).transpose()
}

/// The entry that settled the task of the receipt in entry `seq`; `None` where
/// that is no receipt, `Some(None)` while nothing did.
pub(crate) fn settled_by(db: &Connection, seq: u64) -> Result<Option<Option<u64>>, StoreError> {
    let Some(Entry::Receipt { job, index, .. }) = entry(db, seq)? else { return Ok(None) };
    let mut query = db.prepare_cached(
        "SELECT settled FROM tasks WHERE id = (SELECT first_task FROM jobs WHERE id = ?1) + ?2",
    )?;
    let settled = query.query_row((job.0, index), |row| row.get::<_, Option<i64>>(0)).optional()?;
    Ok(Some(settled.flatten().map(|seq| seq as u64)))
}

/// Entries from `first` on, in order, until `each` says that it has enough.
/// Fails where one is missing.
pub(crate) fn entries(
    db: &Connection,
    first: u64,
    mut each: impl FnMut(u64, Entry) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let mut query =
        db.prepare_cached("SELECT seq, kind, bytes FROM entries WHERE seq >= ?1 ORDER BY seq")?;
    let mut rows = query.query([first as i64])?;
    let mut next = first;
    while let Some(row) = rows.next()? {
        let seq = unsigned(row, 0)?;
        if seq != next {
            return Err(StoreError::Row("a gap between entries"));
        }
        next += 1;
        let kind: u8 = row.get(1)?;
        let entry = Entry::decode(kind, row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?)?;
        if !each(seq, entry)? {
            break;
        }
    }
    Ok(())
}

/// How many entries there are.
pub(crate) fn last_entry(db: &Connection) -> Result<u64, StoreError> {
    let mut query = db.prepare_cached("SELECT coalesce(max(seq), 0) FROM entries")?;
    Ok(query.query_row([], |row| unsigned(row, 0))?)
}

/// The last entries that decided something about a node, newest first.
pub(crate) fn decisions(
    db: &Connection,
    node: PublicKey,
    limit: usize,
) -> Result<Vec<DecisionRow>, StoreError> {
    let mut query =
        db.prepare_cached("SELECT seq FROM decisions WHERE node = ?1 ORDER BY seq DESC LIMIT ?2")?;
    let seqs = query.query_map(params![node.0, limit as i64], |row| unsigned(row, 0))?;
    seqs.map(|seq| decision(db, seq?)).collect()
}

fn decision(db: &Connection, seq: u64) -> Result<DecisionRow, StoreError> {
    let entry = entry(db, seq)?.ok_or(StoreError::Row("a decision without its entry"))?;
    let votes = match &entry {
        Entry::Settled { votes, .. } => {
            votes.iter().map(|seq| receipt(db, *seq)).collect::<Result<_, _>>()?
        }
        _ => Vec::new(),
    };
    Ok(DecisionRow { seq, entry, votes })
}

/// How many nodes were caught, and the last of them with what caught them.
pub(crate) fn caught(
    db: &Connection,
    limit: usize,
) -> Result<(u64, Vec<(PublicKey, DecisionRow)>), StoreError> {
    let count = db.query_row("SELECT count(*) FROM caught", [], |row| unsigned(row, 0))?;
    let mut query =
        db.prepare_cached("SELECT node, seq FROM caught ORDER BY seq DESC, node LIMIT ?1")?;
    let found = query
        .query_map(params![limit as i64], |row| Ok((PublicKey(row.get(0)?), unsigned(row, 1)?)))?;
    let found = found.map(|found| {
        let (node, seq) = found?;
        Ok((node, decision(db, seq)?))
    });
    Ok((count, found.collect::<Result<_, StoreError>>()?))
}

/// The receipt that this entry committed.
pub(crate) fn receipt(db: &Connection, seq: u64) -> Result<VoteRow, StoreError> {
    match entry(db, seq)? {
        Some(Entry::Receipt { at_ms, job, index, draw, receipt }) => {
            Ok(VoteRow { seq, at_ms, job, index, draw, receipt })
        }
        _ => Err(StoreError::Row("a receipt's entry")),
    }
}

/// What every node earned, and the last entry that counts: one snapshot.
pub(crate) fn points(db: &Connection) -> Result<PointsInfo, StoreError> {
    let tx = db.unchecked_transaction()?;
    let last: Option<i64> = tx.query_row("SELECT max(seq) FROM entries", [], |row| row.get(0))?;
    let mut query =
        tx.prepare_cached("SELECT key, fuel, tasks FROM nodes WHERE tasks > 0 ORDER BY key")?;
    let nodes = query.query_map([], |row| {
        let (node, fuel, tasks) = (PublicKey(row.get(0)?), unsigned(row, 1)?, unsigned(row, 2)?);
        Ok(Earned { node, fuel, tasks })
    })?;
    Ok(PointsInfo { seq: last.unwrap_or(0) as u64, nodes: nodes.collect::<Result<_, _>>()? })
}

/// Fuel and number of a node's receipts that agree with canonical results.
pub(crate) fn node_totals(db: &Connection, node: PublicKey) -> Result<(u64, u64), StoreError> {
    let mut query = db.prepare_cached("SELECT fuel, tasks FROM nodes WHERE key = ?1")?;
    let found = query.query_row([node.0], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)));
    Ok(found.optional()?.unwrap_or_default())
}

/// The account that a node is linked to; `None` where it is linked to none and
/// earned nothing.
pub(crate) fn node_account(db: &Connection, node: PublicKey) -> Found<Option<PublicKey>> {
    let mut query = db.prepare_cached("SELECT account FROM nodes WHERE key = ?1")?;
    let found = query.query_row([node.0], |row| row.get::<_, Option<[u8; 32]>>(0)).optional()?;
    Ok(found.map(|account| account.map(PublicKey)))
}

/// Fuel and number of all receipts that agree with canonical results.
pub(crate) fn totals(db: &Connection) -> Result<(u64, u64), StoreError> {
    let mut query =
        db.prepare_cached("SELECT coalesce(sum(fuel), 0), coalesce(sum(tasks), 0) FROM nodes")?;
    Ok(query.query_row([], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)))?)
}

/// Tasks that have their canonical result.
pub(crate) fn settled(db: &Connection) -> Result<u64, StoreError> {
    Ok(db.query_row("SELECT coalesce(sum(done), 0) FROM jobs", [], |row| unsigned(row, 0))?)
}

/// The last receipts that were opened, newest first.
pub(crate) fn recent(db: &Connection, limit: usize) -> Result<Vec<ReceiptInfo>, StoreError> {
    let mut query =
        db.prepare_cached("SELECT bytes FROM entries WHERE kind = 2 ORDER BY seq DESC")?;
    let mut rows = query.query([])?;
    let mut recent = Vec::new();
    while recent.len() < limit
        && let Some(row) = rows.next()?
    {
        let bytes: Vec<u8> = row.get(0)?;
        if let Entry::Settled { votes, .. } = Entry::decode(2, &bytes)? {
            for seq in votes {
                let vote = receipt(db, seq)?;
                recent.push(receipt_info(vote.seq, vote.at_ms, &vote.receipt));
            }
        }
    }
    recent.truncate(limit);
    Ok(recent)
}

/// A receipt as anyone may see it.
pub(crate) fn receipt_info(seq: u64, time_ms: u64, receipt: &UnverifiedReceipt) -> ReceiptInfo {
    let body = &receipt.body;
    ReceiptInfo {
        receipt: Digest::of(&body.encode()),
        node: body.node,
        reason: body.reason,
        fuel: body.fuel,
        seq,
        time_ms,
    }
}

/// Does anything refer to this blob file?
pub(crate) fn is_referred(db: &Connection, digest: Digest) -> Result<bool, StoreError> {
    let mut query = db.prepare_cached("SELECT 1 FROM blobs WHERE digest = ?1")?;
    Ok(query.exists([digest.0])?)
}

/// Counts and fuel are stored as SQLite's signed integers.
pub(crate) fn unsigned(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(at)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(at, number))
}

/// Is a body of this size kept in the database?
pub(crate) fn is_inline(size: u64) -> bool {
    size <= limits::INLINE_BODY as u64
}
