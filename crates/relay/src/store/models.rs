//! Models that the operator installed.

use super::rows::unsigned;
use super::sqlite::Batch;
use super::{Outcome, Refusal, StoreError};
use grid_protocol::Digest;
use grid_protocol::infer::Work;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// An installed model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRow {
    /// Its digest: SHA-256 of its header.
    pub digest: Digest,
    /// What people call it.
    pub name: String,
    /// What it does.
    pub work: Work,
    /// Tokens that it can take at a time.
    pub context: u32,
    /// Size of its header.
    pub header_bytes: u32,
    /// Size of its blocks together.
    pub bytes: u64,
    /// When it was installed, milliseconds since 1970-01-01 UTC.
    pub added_ms: u64,
}

/// A model on its way into the store.
#[derive(Debug, Clone)]
pub struct NewModelRow {
    /// What is kept of it.
    pub row: ModelRow,
    /// Digests of its blocks, in order.
    pub blocks: Vec<Digest>,
}

impl Batch<'_> {
    pub(super) fn put_model(&mut self, model: &NewModelRow) -> Result<Outcome, StoreError> {
        let NewModelRow { row, blocks } = model;
        let named = self
            .tx
            .prepare_cached("SELECT digest FROM models WHERE name = ?1 OR digest = ?2")?
            .query_map(params![row.name, row.digest.0], |row| Ok(Digest(row.get(0)?)))?
            .collect::<Result<Vec<_>, _>>()?;
        if named.iter().any(|digest| *digest != row.digest) {
            return Ok(Outcome::Refused(Refusal::ModelExists));
        }
        self.refer(&row.digest)?;
        self.tx
            .prepare_cached("INSERT OR REPLACE INTO models VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![
                row.digest.0,
                row.name,
                row.work.name(),
                row.context,
                row.header_bytes,
                row.bytes as i64,
                row.added_ms as i64
            ])?;
        let mut insert =
            self.tx.prepare_cached("INSERT OR REPLACE INTO model_blocks VALUES (?1, ?2, ?3)")?;
        for (number, digest) in blocks.iter().enumerate() {
            self.refer(digest)?;
            insert.execute(params![row.digest.0, number as i64, digest.0])?;
        }
        Ok(Outcome::Done)
    }

    pub(super) fn remove_model(&mut self, digest: &Digest) -> Result<Outcome, StoreError> {
        let needed = self
            .tx
            .prepare_cached("SELECT 1 FROM jobs WHERE state = 0 AND admitted = ?1")?
            .exists([digest.0])?;
        if needed {
            return Ok(Outcome::Refused(Refusal::ModelInUse));
        }
        // Blocks that other models have, too, stay.
        self.tx
            .prepare_cached(
                "DELETE FROM blobs WHERE digest = ?1 OR digest IN (
                     SELECT digest FROM model_blocks WHERE model = ?1
                     EXCEPT SELECT digest FROM model_blocks WHERE model <> ?1)",
            )?
            .execute([digest.0])?;
        self.tx.prepare_cached("DELETE FROM model_blocks WHERE model = ?1")?.execute([digest.0])?;
        self.tx.prepare_cached("DELETE FROM models WHERE digest = ?1")?.execute([digest.0])?;
        Ok(Outcome::Done)
    }
}

const MODEL: &str = "SELECT digest, name, work, context, header_bytes, bytes, added_ms FROM models";

/// The model with this digest.
pub(crate) fn model(db: &Connection, digest: Digest) -> Result<Option<ModelRow>, StoreError> {
    let mut query = db.prepare_cached(&format!("{MODEL} WHERE digest = ?1"))?;
    query.query_row([digest.0], |row| Ok(model_row(row))).optional()?.transpose()
}

/// The model of this name.
pub(crate) fn model_named(db: &Connection, name: &str) -> Result<Option<ModelRow>, StoreError> {
    let mut query = db.prepare_cached(&format!("{MODEL} WHERE name = ?1"))?;
    query.query_row([name], |row| Ok(model_row(row))).optional()?.transpose()
}

/// Every model, by name.
pub(crate) fn models(db: &Connection) -> Result<Vec<ModelRow>, StoreError> {
    let mut query = db.prepare_cached(&format!("{MODEL} ORDER BY name"))?;
    query.query_map([], |row| Ok(model_row(row)))?.collect::<Result<Result<Vec<_>, _>, _>>()?
}

/// Digest of a model's block.
pub(crate) fn model_block(
    db: &Connection,
    model: Digest,
    number: u32,
) -> Result<Option<Digest>, StoreError> {
    let mut query =
        db.prepare_cached("SELECT digest FROM model_blocks WHERE model = ?1 AND number = ?2")?;
    Ok(query.query_row(params![model.0, number], |row| Ok(Digest(row.get(0)?))).optional()?)
}

fn model_row(row: &Row<'_>) -> Result<ModelRow, StoreError> {
    let work: String = row.get(2)?;
    Ok(ModelRow {
        digest: Digest(row.get(0)?),
        name: row.get(1)?,
        work: Work::of(&work).ok_or(StoreError::Row("a model's work"))?,
        context: row.get(3)?,
        header_bytes: row.get(4)?,
        bytes: unsigned(row, 5)?,
        added_ms: unsigned(row, 6)?,
    })
}
