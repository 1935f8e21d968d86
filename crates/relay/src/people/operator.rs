//! What an operator does about people beside running the relay. The commands
//! work while the relay runs.

use super::books::Books;
use super::terms;
use crate::core::random;
use crate::follow::Derived as _;
use crate::operator::{OperatorError, commit, existing, relay_key};
use crate::server::{RelayError, io_error};
use crate::state::unix_ms;
use crate::store::{PeopleWrite, Reads, Write, rows};
use grid_ledger::RewardRules;
use grid_protocol::CampaignId;
use grid_protocol::api::{CampaignInfo, Suspect};
use std::path::Path;

/// Opens the campaign that a TOML file describes; gives back its id.
pub fn open_campaign(data_dir: &Path, file: &Path) -> Result<CampaignId, RelayError> {
    let text = std::fs::read_to_string(file)
        .map_err(io_error(format!("can't read {}", file.display())))?;
    let at_ms = unix_ms();
    let terms = terms::read(&text, at_ms).map_err(|why| {
        OperatorError::Campaign(format!("{} is not a campaign: {why}", file.display()))
    })?;
    existing(data_dir)?;
    let id = CampaignId(random());
    commit(data_dir, Write::People(PeopleWrite::OpenCampaign { id, terms, at_ms }))?;
    Ok(id)
}

/// Closes a campaign before its end.
pub fn close_campaign(data_dir: &Path, id: CampaignId) -> Result<(), RelayError> {
    existing(data_dir)?;
    commit(data_dir, Write::People(PeopleWrite::CloseCampaign { id, at_ms: unix_ms() }))
}

/// Every campaign, the last one opened first.
pub fn campaigns(data_dir: &Path) -> Result<Vec<CampaignInfo>, RelayError> {
    Ok(books(data_dir)?.ledger().campaigns_info())
}

/// Whom the operator should look at: self-invitations, rings, and owners who
/// pay one alone.
pub fn suspects(data_dir: &Path) -> Result<Vec<Suspect>, RelayError> {
    Ok(books(data_dir)?.ledger().suspects())
}

/// The rules of rewards that were logged last.
pub fn rewards(data_dir: &Path) -> Result<RewardRules, RelayError> {
    Ok(books(data_dir)?.ledger().rules())
}

fn books(data_dir: &Path) -> Result<Books, RelayError> {
    let paths = existing(data_dir)?;
    let mut books = Books::new(relay_key(&paths)?.public());
    let read = |db: &_| books.read_on(db, rows::last_entry(db)?, u64::MAX);
    Reads::new(&paths.database).run_blocking(read)?;
    Ok(books)
}
