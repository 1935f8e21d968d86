//! Rebuilds the derived tables from the entries and compares.

use super::check_people;
use super::votes::fact;
use super::{Blobs, Entry, Movement, StoreError, owner_tag};
use grid_protocol::api::JobState;
use grid_protocol::entry::{OwnerTag, PeopleFact, job_state_number};
use grid_protocol::{Digest, ExitReason, JobId, PublicKey, limits};
use rusqlite::{Connection, OptionalExtension, params};
use thiserror::Error;

/// What the store holds that it should not.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckError {
    /// It can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entry is missing.
    #[error("entry {0} is missing")]
    Gap(u64),
    /// An entry contradicts those before it.
    #[error("entry {0} contradicts those before it")]
    Contradiction(u64),
    /// A signature does not verify.
    #[error("entry {0} holds a signature that does not verify")]
    Signature(u64),
    /// A derived table isn't what the entries make of it.
    #[error("{rows} rows of table {table} are not what the entries make of it")]
    Differs {
        /// The table.
        table: &'static str,
        /// Rows that are missing or too many.
        rows: u64,
    },
    /// A body that a receipt names isn't there, or has another digest.
    #[error("the output that entry {0} names is missing or damaged")]
    Body(u64),
}

impl From<rusqlite::Error> for CheckError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What was checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Entries in all.
    pub entries: u64,
    /// Of those, committed receipts.
    pub receipts: u64,
    /// Of those, receipts that agree with canonical results and were paid.
    pub credited: u64,
    /// Fuel of those.
    pub fuel: u64,
}

/// The derived tables, empty, in a database of their own. What is checked of
/// an entry against those before it is checked by these tables' rules, and by
/// the conditions of [`replay`].
const REBUILT: &str = "
    CREATE TEMP TABLE r_owners (tag BLOB PRIMARY KEY, balance INTEGER);
    CREATE TEMP TABLE r_keys (hash BLOB PRIMARY KEY, owner BLOB, live INTEGER);
    CREATE TEMP TABLE r_nodes (key BLOB PRIMARY KEY, fuel INTEGER, tasks INTEGER, account BLOB);
    CREATE TEMP TABLE r_caught (node BLOB PRIMARY KEY, seq INTEGER);
    CREATE TEMP TABLE r_leases (lease BLOB PRIMARY KEY, seq INTEGER);
    CREATE TEMP TABLE r_votes (job BLOB, idx INTEGER, seq INTEGER, node BLOB, spec BLOB,
        answer BLOB, fuel INTEGER, failed INTEGER, own INTEGER,
        PRIMARY KEY (job, idx, seq), UNIQUE (job, idx, node));
    CREATE TEMP TABLE r_results (job BLOB, final INTEGER, seq INTEGER,
        PRIMARY KEY (job, final, seq));
    CREATE TEMP TABLE r_tasks (job BLOB, idx INTEGER, result INTEGER, settled INTEGER,
        PRIMARY KEY (job, idx));
    CREATE TEMP TABLE r_decisions (node BLOB, seq INTEGER, PRIMARY KEY (node, seq));
    CREATE TEMP TABLE r_facts (digest BLOB PRIMARY KEY, seq INTEGER);
    CREATE TEMP TABLE r_jobs (id BLOB PRIMARY KEY, owner BLOB, state INTEGER, tasks INTEGER,
        voted INTEGER, done INTEGER, failed INTEGER, budget INTEGER, spent INTEGER);";

/// For each derived table: as it is, and as rebuilt.
const COMPARE: [(&str, &str, &str); 11] = [
    ("owners", "SELECT tag, balance FROM owners", "SELECT * FROM r_owners"),
    (
        "keys",
        "SELECT hash, tag, live FROM keys LEFT JOIN owners ON id = owner",
        "SELECT * FROM r_keys",
    ),
    ("nodes", "SELECT key, fuel, tasks, account FROM nodes", "SELECT * FROM r_nodes"),
    ("caught", "SELECT node, seq FROM caught", "SELECT * FROM r_caught"),
    ("leases", "SELECT lease, seq FROM leases", "SELECT * FROM r_leases"),
    (
        "votes",
        "SELECT jobs.id, task - first_task, seq FROM votes LEFT JOIN jobs
             ON task >= first_task AND task < first_task + tasks",
        "SELECT job, idx, seq FROM r_votes",
    ),
    (
        "results",
        "SELECT id, final, seq FROM results LEFT JOIN jobs ON row = job",
        "SELECT * FROM r_results",
    ),
    (
        "tasks",
        "SELECT jobs.id, tasks.id - first_task, result, settled FROM tasks LEFT JOIN jobs
             ON tasks.id >= first_task AND tasks.id < first_task + jobs.tasks
         WHERE result IS NOT NULL OR settled IS NOT NULL",
        "SELECT * FROM r_tasks",
    ),
    ("decisions", "SELECT node, seq FROM decisions", "SELECT * FROM r_decisions"),
    ("facts", "SELECT digest, seq FROM facts", "SELECT * FROM r_facts"),
    (
        "jobs",
        "SELECT jobs.id, tag, state, tasks, voted, done, failed, budget, spent
         FROM jobs LEFT JOIN owners ON owners.id = owner",
        "SELECT * FROM r_jobs",
    ),
];

/// Checks the database and blob folder of a data directory: entries without
/// gaps, every receipt's signature valid, every derived table equal to what
/// the entries make of it, every output that a receipt names there with its
/// digest. Money with it: what a job reserved is what it spent and got back,
/// and nothing is credited but by a settlement that may. `secret` is the
/// log's: owners go by tags that it makes.
///
/// Reads one snapshot: the relay may run meanwhile.
pub fn check(
    database: &std::path::Path,
    blobs: &Blobs,
    secret: &Digest,
) -> Result<CheckReport, CheckError> {
    let db = Connection::open(database)?;
    db.execute_batch(REBUILT)?;
    db.execute_batch(check_people::REBUILT)?;
    let tx = db.unchecked_transaction()?;
    let mut report = CheckReport::default();
    let mut entries = tx.prepare("SELECT seq, kind, bytes FROM entries ORDER BY seq")?;
    let mut rows = entries.query([])?;
    while let Some(row) = rows.next()? {
        let (seq, kind): (i64, u8) = (row.get(0)?, row.get(1)?);
        report.entries += 1;
        if seq != report.entries as i64 {
            return Err(CheckError::Gap(report.entries));
        }
        let bytes: Vec<u8> = row.get(2)?;
        let entry = Entry::decode(kind, &bytes).map_err(StoreError::from)?;
        if let Entry::Receipt { receipt, .. } = &entry {
            report.receipts += 1;
            receipt.clone().verify().map_err(|_| CheckError::Signature(seq as u64))?;
            check_output(&tx, blobs, seq, receipt.body.output)?;
        }
        if !replay(&Rebuilt { db: &tx, seq }, kind, &bytes, entry)? {
            return Err(CheckError::Contradiction(seq as u64));
        }
    }
    for (table, is, rebuilt) in COMPARE.into_iter().chain(check_people::COMPARE) {
        let missing = format!(
            "SELECT (SELECT count(*) FROM ({is} EXCEPT {rebuilt}))
                  + (SELECT count(*) FROM ({rebuilt} EXCEPT {is}))"
        );
        let rows: i64 = tx.query_row(&missing, [], |row| row.get(0))?;
        if rows != 0 {
            return Err(CheckError::Differs { table, rows: rows as u64 });
        }
    }
    check_tags(&tx, secret)?;
    let totals = "SELECT coalesce(sum(tasks), 0), coalesce(sum(fuel), 0) FROM r_nodes";
    let totals = tx.query_row(totals, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
    let (credited, fuel) = totals?;
    (report.credited, report.fuel) = (credited as u64, fuel as u64);
    Ok(report)
}

/// Each owner's tag is that of its name.
fn check_tags(db: &Connection, secret: &Digest) -> Result<(), CheckError> {
    let mut query = db.prepare("SELECT name, tag FROM owners")?;
    let mut rows = query.query([])?;
    let mut wrong = 0;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        wrong += u64::from(owner_tag(secret, &name) != OwnerTag(row.get(1)?));
    }
    if wrong == 0 { Ok(()) } else { Err(CheckError::Differs { table: "owners", rows: wrong }) }
}

fn check_output(
    db: &Connection,
    blobs: &Blobs,
    seq: i64,
    digest: Digest,
) -> Result<(), CheckError> {
    let inline: Option<Vec<u8>> = db
        .prepare_cached("SELECT bytes FROM outputs WHERE seq = ?1")?
        .query_row([seq], |row| row.get(0))
        .optional()?;
    let whole = match inline {
        Some(bytes) => bytes.len() <= limits::INLINE_BODY && Digest::of(&bytes) == digest,
        None => blobs.open_blob(digest).is_ok_and(|blob| {
            blob.is_some_and(|(mut file, _)| {
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut file, &mut bytes).is_ok()
                    && Digest::of(&bytes) == digest
            })
        }),
    };
    if whole { Ok(()) } else { Err(CheckError::Body(seq as u64)) }
}

/// The rebuilt tables, at an entry.
pub(super) struct Rebuilt<'a> {
    pub(super) db: &'a Connection,
    seq: i64,
}

impl Rebuilt<'_> {
    /// Changes one row; false when it is not there, or may not be.
    pub(super) fn run(
        &self,
        sql: &str,
        parameters: &[&dyn rusqlite::ToSql],
    ) -> Result<bool, CheckError> {
        match self.db.prepare_cached(sql)?.execute(parameters) {
            Ok(changed) => Ok(changed == 1),
            Err(error)
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) =>
            {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn decided(&self, node: &PublicKey) -> Result<bool, CheckError> {
        self.run("INSERT INTO r_decisions VALUES (?1, ?2)", &[&node.0, &self.seq])
    }

    fn moved(&self, movement: Movement, amount: i64, owner: OwnerTag) -> Result<bool, CheckError> {
        let give = "UPDATE r_owners SET balance = balance + ?2 WHERE tag = ?1";
        match movement {
            Movement::Grant => self.run(give, &[&owner.0, &amount]),
            Movement::Reserve { job, tasks, .. } => {
                let take = "UPDATE r_owners SET balance = balance - ?2
                     WHERE tag = ?1 AND balance >= ?2";
                let start = "INSERT INTO r_jobs VALUES (?1, ?2, 0, ?3, 0, 0, 0, ?4, 0)";
                Ok(self.run(take, &[&owner.0, &amount])?
                    && self.run(start, &[&job.0, &owner.0, &tasks, &amount])?)
            }
            Movement::Refund(job, state) => {
                let end = "UPDATE r_jobs SET state = ?2 WHERE id = ?1 AND owner = ?3
                     AND state = 0 AND budget - spent = ?4 AND (?2 = 1) = (done = tasks)";
                Ok(self.run(give, &[&owner.0, &amount])?
                    && self.run(end, &[&job.0, &job_state_number(state), &owner.0, &amount])?)
            }
        }
    }

    fn settled(
        &self,
        job: JobId,
        index: u32,
        answer: Digest,
        votes: &[u64],
    ) -> Result<bool, CheckError> {
        // All votes on the task, and nothing else.
        let mut all = votes.to_vec();
        all.sort_unstable();
        let mut query = self
            .db
            .prepare_cached("SELECT seq FROM r_votes WHERE job = ?1 AND idx = ?2 ORDER BY seq")?;
        let found = query.query_map(params![job.0, index], |row| row.get::<_, i64>(0))?;
        let found = found.map(|seq| seq.map(|seq| seq as u64)).collect::<Result<Vec<_>, _>>()?;
        let Some(&canonical) = votes.first().filter(|_| found == all) else { return Ok(false) };
        let canonical = canonical as i64;
        let named =
            "SELECT 1 FROM r_votes WHERE job = ?1 AND idx = ?2 AND seq = ?3 AND answer = ?4";
        let mut named = self.db.prepare_cached(named)?;
        if !named.exists(params![job.0, index, canonical, answer.0])? {
            return Ok(false);
        }
        let of = "FROM r_votes AS vote JOIN r_votes AS first
             ON first.job = vote.job AND first.idx = vote.idx AND first.seq = ?1
             WHERE vote.job = ?2 AND vote.idx = ?3 AND first.answer = ?4 AND vote.own = 0
             AND vote.answer = first.answer AND vote.spec = first.spec
             AND vote.node NOT IN (SELECT node FROM r_caught)";
        let agreeing = format!("SELECT vote.node, vote.fuel {of}");
        let mut query = self.db.prepare_cached(&agreeing)?;
        let parameters = params![canonical, job.0, index, answer.0];
        let agreeing = query
            .query_map(parameters, |row| Ok((PublicKey(row.get(0)?), row.get::<_, i64>(1)?)))?
            .collect::<Result<Vec<_>, _>>()?;
        let paid: i64 = agreeing.iter().map(|(_, fuel)| fuel).sum();
        let credit = "INSERT INTO r_nodes VALUES (?1, ?2, 1, NULL) ON CONFLICT (key)
             DO UPDATE SET fuel = fuel + ?2, tasks = tasks + 1";
        for (node, fuel) in &agreeing {
            if !self.run(credit, &[&node.0, fuel])? {
                return Ok(false);
            }
        }
        let caught = "INSERT INTO r_caught SELECT vote.node, ?4
             FROM r_votes AS vote JOIN r_votes AS first
             ON first.job = vote.job AND first.idx = vote.idx AND first.seq = ?3
             WHERE vote.job = ?1 AND vote.idx = ?2 AND vote.own = 0
             AND (vote.answer <> first.answer OR vote.spec <> first.spec)
             AND vote.node NOT IN (SELECT node FROM r_caught)";
        self.db.prepare_cached(caught)?.execute(params![job.0, index, canonical, self.seq])?;
        let decided = "INSERT INTO r_decisions SELECT node, ?3 FROM r_votes
             WHERE job = ?1 AND idx = ?2 AND own = 0";
        self.db.prepare_cached(decided)?.execute(params![job.0, index, self.seq])?;
        let pay = "UPDATE r_jobs SET done = done + 1, spent = spent + ?2,
                 failed = failed + (SELECT failed FROM r_votes
                     WHERE job = ?1 AND idx = ?3 AND seq = ?4 AND answer = ?5)
             WHERE id = ?1 AND state = 0 AND spent + ?2 <= budget";
        Ok(self.run(pay, &[&job.0, &paid, &index, &canonical, &answer.0])?
            && self.run(
                "INSERT INTO r_tasks VALUES (?1, ?2, ?3, ?4)",
                &[&job.0, &index, &canonical, &self.seq],
            )?
            && self.run("INSERT INTO r_results VALUES (?1, 1, ?2)", &[&job.0, &self.seq])?)
    }

    fn voted(
        &self,
        job: JobId,
        index: u32,
        body: &grid_protocol::ReceiptBody,
    ) -> Result<bool, CheckError> {
        let failed = body.reason != ExitReason::Exit || body.exit_code != 0;
        let own = body.node == body.relay;
        let count = "UPDATE r_jobs SET voted = voted
                 + NOT EXISTS (SELECT 1 FROM r_votes WHERE job = ?1 AND idx = ?2)
             WHERE id = ?1 AND state = ?3 AND ?2 < tasks
                 AND NOT EXISTS (SELECT 1 FROM r_tasks WHERE job = ?1 AND idx = ?2)";
        Ok(self.run(count, &[&job.0, &index, &job_state_number(JobState::Running)])?
            && self.run("INSERT INTO r_leases VALUES (?1, ?2)", &[&body.lease.0, &self.seq])?
            && self.run("INSERT INTO r_results VALUES (?1, 0, ?2)", &[&job.0, &self.seq])?
            && self.run(
                "INSERT INTO r_votes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                &[
                    &job.0,
                    &index,
                    &self.seq,
                    &body.node.0,
                    &body.spec.0,
                    &body.answer().0,
                    &(body.fuel as i64),
                    &failed,
                    &own,
                ],
            )?)
    }
}

/// Applies one entry to the rebuilt tables; false when it can't follow those
/// before it.
fn replay(to: &Rebuilt<'_>, kind: u8, bytes: &[u8], entry: Entry) -> Result<bool, CheckError> {
    let logged = || to.run("INSERT INTO r_facts VALUES (?1, ?2)", &[&fact(kind, bytes).0, &to.seq]);
    Ok(match entry {
        Entry::Key { added: true, hash, owner, .. } => {
            to.db
                .prepare_cached("INSERT OR IGNORE INTO r_owners VALUES (?1, 0)")?
                .execute([&owner.0])?;
            to.run(
                "INSERT INTO r_keys SELECT ?1, ?2, 1
                 WHERE NOT EXISTS (SELECT 1 FROM r_keys WHERE owner = ?2 AND live = 1)",
                &[&hash.0, &owner.0],
            )?
        }
        Entry::Key { added: false, hash, owner, .. } => to.run(
            "UPDATE r_keys SET live = 0 WHERE hash = ?1 AND owner = ?2 AND live = 1",
            &[&hash.0, &owner.0],
        )?,
        Entry::AccountLink { node, delegation, .. } => to.run(
            "INSERT INTO r_nodes SELECT ?1, 0, 0, ?2
             WHERE NOT EXISTS (SELECT 1 FROM r_closed WHERE account = ?2) ON CONFLICT (key)
             DO UPDATE SET account = ?2 WHERE account IS NOT ?2",
            &[&node.0, &delegation.account.0],
        )?,
        Entry::Budget { movement, amount, owner, .. } => {
            to.moved(movement, amount as i64, owner)?
        }
        Entry::Receipt { job, index, receipt, .. } => to.voted(job, index, &receipt.body)?,
        Entry::Settled { job, index, answer, votes, .. } => {
            to.settled(job, index, answer, &votes)?
        }
        Entry::Refused { node, .. } | Entry::Unanswered { node, .. } => {
            logged()? && to.decided(&node)?
        }
        Entry::People { fact: PeopleFact::Rewards { .. }, .. }
        | Entry::Rules { .. }
        | Entry::Roster { .. }
        | Entry::Redrawn { .. } => logged()?,
        Entry::People { fact: fact @ PeopleFact::Team { .. }, .. } => {
            logged()? && to.people(&fact)?
        }
        Entry::People { fact, .. } => to.people(&fact)?,
    })
}
