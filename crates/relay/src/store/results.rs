//! What owners are told of a job: canonical results in order, and provisional
//! ones where they ask for them.

use super::rows::{entry, inline_output, receipt, unsigned};
use super::{Entry, JobRow, StoreError, VoteRow};
use grid_protocol::api::{ResultStanding, TaskResult};
use grid_protocol::{Ack, Digest, LeaseId, Signature};
use rusqlite::{Connection, OptionalExtension, params};

/// A task's result, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultRow {
    seq: u64,
    standing: ResultStanding,
    name: String,
    vote: VoteRow,
    quorum: Vec<VoteRow>,
    output: Option<Vec<u8>>,
    hint: Option<String>,
}

impl ResultRow {
    /// As its owner gets it. The output travels as base64. `ack` acknowledges
    /// a receipt: its digest, its lease, its entry.
    pub fn into_result(
        self,
        job: &JobRow,
        ack: impl FnOnce(Digest, LeaseId, u64) -> (Ack, Signature),
    ) -> TaskResult {
        use base64::Engine as _;
        let body = &self.vote.receipt.body;
        let (ack, ack_signature) = ack(Digest::of(&body.encode()), body.lease, self.vote.seq);
        TaskResult {
            seq: self.seq,
            standing: self.standing,
            index: self.vote.index,
            name: self.name,
            spec: job.spec(body.input),
            ack,
            ack_signature,
            receipt: self.vote.receipt,
            quorum: self.quorum.into_iter().map(|vote| vote.receipt).collect(),
            output: self
                .output
                .map(|bytes| base64::engine::general_purpose::STANDARD.encode(bytes)),
            hint: self.hint,
        }
    }
}

/// Some of a job's results.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// In order.
    pub(crate) rows: Vec<ResultRow>,
    /// Where to go on: nothing up to this entry follows.
    pub(crate) last: u64,
    /// There may be more already.
    pub(crate) more: bool,
}

/// A job's results after entry `after`, in the order in which they came to be:
/// canonical ones and, if asked for, the first receipt of each task that is
/// not settled. At most `limit` are looked at, and no more once their outputs
/// are a mebibyte together.
pub(crate) fn results(
    db: &Connection,
    job: &JobRow,
    after: u64,
    limit: usize,
    provisional: bool,
) -> Result<Page, StoreError> {
    let from = if provisional { 0 } else { 1 };
    let mut query = db.prepare_cached(
        "SELECT seq, final FROM (
             SELECT seq, final FROM results WHERE job = ?1 AND final = 1 AND seq > ?2
             UNION ALL
             SELECT seq, final FROM results WHERE ?4 = 0 AND job = ?1 AND final = 0 AND seq > ?2
         ) ORDER BY seq LIMIT ?3",
    )?;
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut rows = query.query(params![job.row, after, limit as i64, from])?;
    let mut page = Page { last: after as u64, ..Page::default() };
    let (mut looked_at, mut bytes) = (0, 0);
    while let Some(row) = rows.next()? {
        page.last = unsigned(row, 0)?;
        looked_at += 1;
        let found = match row.get(1)? {
            true => Some(canonical(db, job, page.last)?),
            false => first(db, job, page.last)?,
        };
        if let Some(found) = found {
            bytes += found.output.as_ref().map_or(0, Vec::len);
            page.rows.push(found);
        }
        page.more = bytes > 1 << 20 || looked_at == limit;
        if page.more {
            break;
        }
    }
    Ok(page)
}

/// A task's canonical result or, where it is not settled, the one of its first
/// receipt.
pub(crate) fn result(
    db: &Connection,
    job: &JobRow,
    index: u32,
) -> Result<Option<ResultRow>, StoreError> {
    if u64::from(index) >= job.tasks {
        return Ok(None);
    }
    let mut query = db.prepare_cached(
        "SELECT settled, (SELECT min(seq) FROM votes WHERE task = id) FROM tasks WHERE id = ?1",
    )?;
    let task = job.first_task + i64::from(index);
    let (settled, voted): (Option<i64>, Option<i64>) =
        query.query_row([task], |row| Ok((row.get(0)?, row.get(1)?)))?;
    match (settled, voted) {
        (Some(seq), _) => canonical(db, job, seq as u64).map(Some),
        (None, Some(seq)) => first(db, job, seq as u64),
        (None, None) => Ok(None),
    }
}

/// The result of the task that this entry settled.
fn canonical(db: &Connection, job: &JobRow, seq: u64) -> Result<ResultRow, StoreError> {
    let Some(Entry::Settled { votes, answer, .. }) = entry(db, seq)? else {
        return Err(StoreError::Row("a settlement's entry"));
    };
    let mut votes = votes.into_iter().map(|seq| receipt(db, seq));
    let vote = votes.next().ok_or(StoreError::Row("a settlement without votes"))??;
    let mut quorum = votes.collect::<Result<Vec<_>, _>>()?;
    let spec = vote.receipt.body.spec;
    quorum.retain(|other| {
        let body = &other.receipt.body;
        (body.spec, body.answer()) == (spec, answer)
    });
    row(db, job, seq, ResultStanding::Canonical, vote, quorum)
}

/// The provisional result that is this receipt; `None` when its task is
/// settled, or has an earlier one.
fn first(db: &Connection, job: &JobRow, seq: u64) -> Result<Option<ResultRow>, StoreError> {
    let vote = receipt(db, seq)?;
    let mut query = db.prepare_cached(
        "SELECT settled IS NULL AND ?2 = (SELECT min(seq) FROM votes WHERE task = id)
         FROM tasks WHERE id = ?1",
    )?;
    let task = job.first_task + i64::from(vote.index);
    if !query.query_row(params![task, seq as i64], |row| row.get(0))? {
        return Ok(None);
    }
    row(db, job, seq, ResultStanding::Provisional, vote, Vec::new()).map(Some)
}

fn row(
    db: &Connection,
    job: &JobRow,
    seq: u64,
    standing: ResultStanding,
    vote: VoteRow,
    quorum: Vec<VoteRow>,
) -> Result<ResultRow, StoreError> {
    let task = job.first_task + i64::from(vote.index);
    let mut query = db.prepare_cached("SELECT name FROM tasks WHERE id = ?1")?;
    let name = query.query_row([task], |row| row.get(0))?;
    let mut query = db.prepare_cached("SELECT hint FROM votes WHERE task = ?1 AND seq = ?2")?;
    let found = query.query_row(params![task, vote.seq as i64], |row| row.get(0));
    let hint = found.optional()?.flatten();
    let output = inline_output(db, vote.seq)?;
    Ok(ResultRow { seq, standing, name, vote, quorum, output, hint })
}
