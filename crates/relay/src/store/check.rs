//! Rebuilds the derived tables from the entries and compares.

use super::entry::job_state_number;
use super::{Blobs, Entry, Movement, StoreError};
use grid_protocol::api::JobState;
use grid_protocol::{Ack, Digest, ExitReason, PublicKey, Signature, limits};
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
    /// Of those, accepted receipts.
    pub receipts: u64,
    /// Fuel of those.
    pub fuel: u64,
}

/// The derived tables, empty, in a database of their own.
const REBUILT: &str = "
    CREATE TEMP TABLE r_owners (name TEXT PRIMARY KEY, balance INTEGER);
    CREATE TEMP TABLE r_keys (hash BLOB PRIMARY KEY, owner TEXT, live INTEGER);
    CREATE TEMP TABLE r_nodes (key BLOB PRIMARY KEY, fuel INTEGER, tasks INTEGER, account BLOB);
    CREATE TEMP TABLE r_leases (lease BLOB PRIMARY KEY, seq INTEGER, job BLOB);
    CREATE TEMP TABLE r_results (job BLOB, seq INTEGER, PRIMARY KEY (job, seq));
    CREATE TEMP TABLE r_tasks (job BLOB, idx INTEGER, result INTEGER, PRIMARY KEY (job, idx));
    CREATE TEMP TABLE r_jobs (id BLOB PRIMARY KEY, owner TEXT, state INTEGER,
        done INTEGER, failed INTEGER, budget INTEGER, spent INTEGER);";

/// For each derived table: as it is, and as rebuilt.
const COMPARE: [(&str, &str, &str); 7] = [
    ("owners", "SELECT name, balance FROM owners", "SELECT * FROM r_owners"),
    (
        "keys",
        "SELECT hash, name, live FROM keys LEFT JOIN owners ON id = owner",
        "SELECT * FROM r_keys",
    ),
    ("nodes", "SELECT key, fuel, tasks, account FROM nodes", "SELECT * FROM r_nodes"),
    (
        "leases",
        "SELECT lease, seq, id FROM leases LEFT JOIN jobs ON row = job",
        "SELECT * FROM r_leases",
    ),
    (
        "results",
        "SELECT id, seq FROM results LEFT JOIN jobs ON row = job",
        "SELECT * FROM r_results",
    ),
    (
        "tasks",
        "SELECT jobs.id, tasks.id - first_task, result FROM tasks LEFT JOIN jobs
             ON tasks.id >= first_task AND tasks.id < first_task + jobs.tasks
         WHERE result IS NOT NULL",
        "SELECT * FROM r_tasks",
    ),
    (
        "jobs",
        "SELECT jobs.id, name, state, done, failed, budget, spent
         FROM jobs LEFT JOIN owners ON owners.id = owner",
        "SELECT * FROM r_jobs",
    ),
];

/// Checks the database and blob folder of a data directory: entries without
/// gaps, every signature valid, every derived table equal to what the entries
/// make of it, every output that a receipt names there with its digest. Acks
/// are checked against `relay`, the relay's key.
///
/// Reads one snapshot: the relay may run meanwhile.
pub fn check(
    database: &std::path::Path,
    blobs: &Blobs,
    relay: PublicKey,
) -> Result<CheckReport, CheckError> {
    let db = Connection::open(database)?;
    db.execute_batch(REBUILT)?;
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
            report.fuel += receipt.body.fuel;
            check_signatures(&tx, seq, &entry, relay)?;
            check_output(&tx, blobs, seq, receipt.body.output)?;
        }
        if !replay(&tx, seq, entry)? {
            return Err(CheckError::Contradiction(seq as u64));
        }
    }
    for (table, is, rebuilt) in COMPARE {
        let missing = format!(
            "SELECT (SELECT count(*) FROM ({is} EXCEPT {rebuilt}))
                  + (SELECT count(*) FROM ({rebuilt} EXCEPT {is}))"
        );
        let rows: i64 = tx.query_row(&missing, [], |row| row.get(0))?;
        if rows != 0 {
            return Err(CheckError::Differs { table, rows: rows as u64 });
        }
    }
    Ok(report)
}

fn check_signatures(
    db: &Connection,
    seq: i64,
    entry: &Entry,
    relay: PublicKey,
) -> Result<(), CheckError> {
    let Entry::Receipt { receipt, .. } = entry else { return Ok(()) };
    let bad = |_| CheckError::Signature(seq as u64);
    let verified = receipt.clone().verify().map_err(|_| CheckError::Signature(seq as u64))?;
    let ack = db
        .prepare_cached(
            "SELECT ack FROM results JOIN leases ON leases.job = results.job
                 AND leases.seq = results.seq WHERE leases.lease = ?1 AND results.seq = ?2",
        )?
        .query_row(params![receipt.body.lease.0, seq], |row| row.get(0).map(Signature))
        .optional()?;
    // A missing row is found by the comparison of tables.
    if let Some(signature) = ack {
        let ack = Ack { receipt: verified.digest(), lease: receipt.body.lease, seq: seq as u64 };
        relay.verify_strict(&ack.encode(), &signature).map_err(bad)?;
    }
    Ok(())
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

/// Applies one entry to the rebuilt tables; false when it can't follow those
/// before it.
fn replay(db: &Connection, seq: i64, entry: Entry) -> Result<bool, CheckError> {
    let run = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| -> Result<bool, CheckError> {
        match db.prepare_cached(sql)?.execute(parameters) {
            Ok(changed) => Ok(changed == 1),
            Err(error)
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) =>
            {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    };
    Ok(match entry {
        Entry::Key { added: true, hash, owner, .. } => {
            db.prepare_cached("INSERT OR IGNORE INTO r_owners VALUES (?1, 0)")?
                .execute([&owner])?;
            run(
                "INSERT INTO r_keys SELECT ?1, ?2, 1
                 WHERE NOT EXISTS (SELECT 1 FROM r_keys WHERE owner = ?2 AND live = 1)",
                &[&hash.0, &owner],
            )?
        }
        Entry::Key { added: false, hash, owner, .. } => run(
            "UPDATE r_keys SET live = 0 WHERE hash = ?1 AND owner = ?2 AND live = 1",
            &[&hash.0, &owner],
        )?,
        Entry::AccountLink { node, delegation, .. } => run(
            "INSERT INTO r_nodes VALUES (?1, 0, 0, ?2) ON CONFLICT (key)
             DO UPDATE SET account = ?2 WHERE account IS NOT ?2",
            &[&node.0, &delegation.account.0],
        )?,
        Entry::Budget { movement, amount, owner, .. } => {
            let amount = amount as i64;
            match movement {
                Movement::Grant => run(
                    "UPDATE r_owners SET balance = balance + ?2 WHERE name = ?1",
                    &[&owner, &amount],
                )?,
                Movement::Reserve(job) => {
                    run(
                        "UPDATE r_owners SET balance = balance - ?2
                         WHERE name = ?1 AND balance >= ?2",
                        &[&owner, &amount],
                    )? && run(
                        "INSERT INTO r_jobs VALUES (?1, ?2, 0, 0, 0, ?3, 0)",
                        &[&job.0, &owner, &amount],
                    )?
                }
                Movement::Refund(job, state) => {
                    run(
                        "UPDATE r_owners SET balance = balance + ?2 WHERE name = ?1",
                        &[&owner, &amount],
                    )? && run(
                        "UPDATE r_jobs SET state = ?2 WHERE id = ?1 AND owner = ?3
                         AND state = 0 AND budget - spent = ?4",
                        &[&job.0, &job_state_number(state), &owner, &amount],
                    )?
                }
            }
        }
        Entry::Receipt { job, index, receipt, .. } => {
            let body = receipt.body;
            let failed = body.reason != ExitReason::Exit || body.exit_code != 0;
            let fuel = body.fuel as i64;
            run(
                "UPDATE r_jobs SET done = done + 1, failed = failed + ?2, spent = spent + ?3
                 WHERE id = ?1 AND state = ?4 AND spent + ?3 <= budget",
                &[&job.0, &failed, &fuel, &job_state_number(JobState::Running)],
            )? && run(
                "INSERT INTO r_nodes VALUES (?1, ?2, 1, NULL) ON CONFLICT (key)
                 DO UPDATE SET fuel = fuel + ?2, tasks = tasks + 1",
                &[&body.node.0, &fuel],
            )? && run("INSERT INTO r_leases VALUES (?1, ?2, ?3)", &[&body.lease.0, &seq, &job.0])?
                && run("INSERT INTO r_results VALUES (?1, ?2)", &[&job.0, &seq])?
                && run("INSERT INTO r_tasks VALUES (?1, ?2, ?3)", &[&job.0, &index, &seq])?
        }
    })
}
