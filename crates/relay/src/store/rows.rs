//! Rows as readers see them, and the queries that find them.

use super::entry::job_state;
use super::{AcceptedRow, Entry, OwnerId, StoreError};
use grid_protocol::api::{JobInfo, JobState, ModuleInfo, NewJob, ReceiptInfo, TaskResult};
use grid_protocol::{
    Ack, Digest, JobId, LeaseId, PublicKey, Signature, Spec, UnverifiedReceipt, limits,
};
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
    /// Tasks that have a result.
    pub done: u64,
    /// Of those, the ones that did not end with exit code 0.
    pub failed: u64,
    /// Fuel it may use.
    pub budget: u64,
    /// Fuel its results used.
    pub spent: u64,
}

impl JobRow {
    /// As its owner sees it, while `leased` of its tasks are leased.
    pub fn info(&self, leased: u64) -> JobInfo {
        JobInfo {
            id: self.id,
            name: self.template.name.clone(),
            state: self.state,
            module: self.template.module,
            created_ms: self.created_ms,
            tasks: self.tasks,
            done: self.done,
            failed: self.failed,
            leased,
            budget: self.budget,
            spent: self.spent,
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
    /// Entry of its receipt.
    pub result: Option<u64>,
}

/// A task's result, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultRow {
    seq: u64,
    index: u32,
    name: String,
    receipt: UnverifiedReceipt,
    ack: Signature,
    output: Option<Vec<u8>>,
    hint: Option<String>,
}

impl ResultRow {
    /// As its owner gets it. The output travels as base64.
    pub fn into_result(self, job: &JobRow) -> TaskResult {
        use base64::Engine as _;
        let receipt_digest = Digest::of(&self.receipt.body.encode());
        TaskResult {
            seq: self.seq,
            index: self.index,
            name: self.name,
            spec: job.spec(self.receipt.body.input),
            ack: Ack { receipt: receipt_digest, lease: self.receipt.body.lease, seq: self.seq },
            ack_signature: self.ack,
            receipt: self.receipt,
            output: self
                .output
                .map(|bytes| base64::engine::general_purpose::STANDARD.encode(bytes)),
            hint: self.hint,
        }
    }
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
    first_task, tasks, done, failed, budget, spent FROM jobs";

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
        done: unsigned(row, 10)?,
        failed: unsigned(row, 11)?,
        budget: unsigned(row, 12)?,
        spent: unsigned(row, 13)?,
    })
}

/// A job's tasks, in order.
pub(crate) fn tasks(db: &Connection, job: &JobRow) -> Result<Vec<TaskRow>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT id, name, input, input_bytes, result FROM tasks
         WHERE id >= ?1 AND id < ?2 ORDER BY id",
    )?;
    let rows = query.query_map([job.first_task, job.first_task + job.tasks as i64], |row| {
        Ok(TaskRow {
            index: (row.get::<_, i64>(0)? - job.first_task) as u32,
            name: row.get(1)?,
            input: Digest(row.get(2)?),
            input_bytes: unsigned(row, 3)?,
            result: row.get::<_, Option<i64>>(4)?.map(|seq| seq as u64),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Digest and, where it is at most 64 KiB, bytes of a task's output list.
pub(crate) fn output(
    db: &Connection,
    job: &JobRow,
    index: u32,
) -> Found<(Digest, Option<Vec<u8>>)> {
    if u64::from(index) >= job.tasks {
        return Ok(None);
    }
    let mut query = db.prepare_cached(
        "SELECT entries.kind, entries.bytes, outputs.bytes FROM tasks
         JOIN entries ON entries.seq = tasks.result
         LEFT JOIN outputs ON outputs.seq = tasks.result WHERE tasks.id = ?1",
    )?;
    let found = query
        .query_row([job.first_task + i64::from(index)], |row| {
            Ok((row.get::<_, u8>(0)?, row.get::<_, Vec<u8>>(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((kind, entry, bytes)) = found else { return Ok(None) };
    let (_, _, receipt) = as_receipt(kind, &entry)?;
    Ok(Some((receipt.body.output, bytes)))
}

/// A job's results after entry `after`, in order of arrival: at most `limit`,
/// and no more once their outputs are a mebibyte together. Says whether it
/// stopped there.
pub(crate) fn results(
    db: &Connection,
    job: &JobRow,
    after: u64,
    limit: usize,
) -> Result<(Vec<ResultRow>, bool), StoreError> {
    let mut query = db.prepare_cached(
        "SELECT results.seq, results.ack, entries.kind, entries.bytes, outputs.bytes
         FROM results JOIN entries ON entries.seq = results.seq
         LEFT JOIN outputs ON outputs.seq = results.seq
         WHERE results.job = ?1 AND results.seq > ?2 ORDER BY results.seq LIMIT ?3",
    )?;
    let mut task = db.prepare_cached("SELECT name, hint FROM tasks WHERE id = ?1")?;
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut rows = query.query(params![job.row, after, limit as i64])?;
    let (mut results, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let entry: Vec<u8> = row.get(3)?;
        let (_, index, receipt) = as_receipt(row.get(2)?, &entry)?;
        let output: Option<Vec<u8>> = row.get(4)?;
        let (name, hint) = task
            .query_row([job.first_task + i64::from(index)], |row| Ok((row.get(0)?, row.get(1)?)))?;
        bytes += output.as_ref().map_or(0, Vec::len);
        let ack = Signature(row.get(1)?);
        results.push(ResultRow { seq: unsigned(row, 0)?, index, name, receipt, ack, output, hint });
        if bytes > 1 << 20 || results.len() == limit {
            return Ok((results, true));
        }
    }
    Ok((results, false))
}

/// The receipt that ended a lease.
pub(crate) fn accepted_by_lease(db: &Connection, lease: LeaseId) -> Found<AcceptedRow> {
    let mut query = db.prepare_cached(
        "SELECT entries.seq, entries.kind, entries.bytes, results.ack FROM leases
         JOIN entries ON entries.seq = leases.seq
         JOIN results ON results.job = leases.job AND results.seq = leases.seq
         WHERE leases.lease = ?1",
    )?;
    let found = query
        .query_row([lease.0], |row| {
            Ok((unsigned(row, 0)?, row.get::<_, u8>(1)?, row.get::<_, Vec<u8>>(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((seq, kind, entry, ack)) = found else { return Ok(None) };
    let (_, _, receipt) = as_receipt(kind, &entry)?;
    let digest = Digest::of(&receipt.body.encode());
    let ack = Signature(ack);
    Ok(Some(AcceptedRow { lease, node: receipt.body.node, receipt: digest, seq, ack }))
}

/// Fuel and number of a node's accepted receipts.
pub(crate) fn node_totals(db: &Connection, node: PublicKey) -> Result<(u64, u64), StoreError> {
    let mut query = db.prepare_cached("SELECT fuel, tasks FROM nodes WHERE key = ?1")?;
    let found = query.query_row([node.0], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)));
    Ok(found.optional()?.unwrap_or_default())
}

/// The account that a node is linked to.
pub(crate) fn node_account(db: &Connection, node: PublicKey) -> Found<PublicKey> {
    let mut query = db.prepare_cached("SELECT account FROM nodes WHERE key = ?1")?;
    let found = query.query_row([node.0], |row| row.get::<_, Option<[u8; 32]>>(0)).optional()?;
    Ok(found.flatten().map(PublicKey))
}

/// Fuel and number of all accepted receipts.
pub(crate) fn totals(db: &Connection) -> Result<(u64, u64), StoreError> {
    let mut query =
        db.prepare_cached("SELECT coalesce(sum(fuel), 0), coalesce(sum(tasks), 0) FROM nodes")?;
    Ok(query.query_row([], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)))?)
}

/// The last accepted receipts, newest first.
pub(crate) fn recent(db: &Connection, limit: usize) -> Result<Vec<ReceiptInfo>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT seq, kind, bytes FROM entries WHERE kind = 1 ORDER BY seq DESC LIMIT ?1",
    )?;
    let mut rows = query.query([limit as i64])?;
    let mut recent = Vec::new();
    while let Some(row) = rows.next()? {
        let entry: Vec<u8> = row.get(2)?;
        let (at_ms, _, receipt) = as_receipt(row.get(1)?, &entry)?;
        recent.push(receipt_info(unsigned(row, 0)?, at_ms, &receipt));
    }
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

pub(crate) fn as_receipt(
    kind: u8,
    bytes: &[u8],
) -> Result<(u64, u32, UnverifiedReceipt), StoreError> {
    match Entry::decode(kind, bytes)? {
        Entry::Receipt { at_ms, index, receipt, .. } => Ok((at_ms, index, receipt)),
        _ => Err(StoreError::Row("a receipt's entry")),
    }
}

/// Counts and fuel are stored as SQLite's signed integers.
fn unsigned(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(at)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(at, number))
}

/// Is a body of this size kept in the database?
pub(crate) fn is_inline(size: u64) -> bool {
    size <= limits::INLINE_BODY as u64
}
