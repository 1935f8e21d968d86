//! What an operator does about people beside running the relay. The commands
//! work while the relay runs.

use super::books::Books;
use crate::core::random;
use crate::operator::{OperatorError, commit, existing, relay_key};
use crate::server::{RelayError, io_error};
use crate::state::unix_ms;
use crate::store::{PeopleWrite, Reads, Write};
use grid_ledger::RewardRules;
use grid_protocol::api::{CampaignInfo, Suspect};
use grid_protocol::entry::{CampaignTerms, MAX_CAMPAIGN_NAME};
use grid_protocol::{CampaignId, Runtime};
use serde::Deserialize;
use std::path::Path;

/// Bonus of a campaign at most, in millionths of verified work: tenfold.
const MAX_BONUS: u32 = 10_000_000;

/// A campaign's file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    start: toml::value::Datetime,
    end: toml::value::Datetime,
    goal: u64,
    bonus_ppm: u32,
    #[serde(default)]
    runtime: Option<Runtime>,
}

/// Opens the campaign that a TOML file describes; gives back its id.
pub fn open_campaign(data_dir: &Path, file: &Path) -> Result<CampaignId, RelayError> {
    let text = std::fs::read_to_string(file)
        .map_err(io_error(format!("can't read {}", file.display())))?;
    let terms = terms(&text).map_err(|why| {
        OperatorError::Campaign(format!("{} is not a campaign: {why}", file.display()))
    })?;
    existing(data_dir)?;
    let id = CampaignId(random());
    commit(data_dir, Write::People(PeopleWrite::OpenCampaign { id, terms, at_ms: unix_ms() }))?;
    Ok(id)
}

fn terms(text: &str) -> Result<CampaignTerms, String> {
    let File { name, start, end, goal, bonus_ppm, runtime } =
        toml::from_str(text).map_err(|error| error.to_string())?;
    let start_ms = unix(&start).ok_or("start is a time with its offset, 2026-12-01T00:00:00Z")?;
    let end_ms = unix(&end).ok_or("end is a time with its offset, 2026-12-31T00:00:00Z")?;
    let plain = !name.chars().any(char::is_control) && name.trim() == name;
    for (fine, why) in [
        (plain && (1..=MAX_CAMPAIGN_NAME).contains(&name.len()), "name has 1 to 64 bytes"),
        (start_ms < end_ms, "it ends before it starts"),
        (goal > 0, "goal is fuel, over 0"),
        (bonus_ppm <= MAX_BONUS, "bonus_ppm is at most 10000000"),
    ] {
        if !fine {
            return Err(why.into());
        }
    }
    Ok(CampaignTerms { start_ms, end_ms, goal, bonus_ppm, runtime, name })
}

/// Milliseconds since 1970-01-01 UTC of a time that says its offset.
fn unix(time: &toml::value::Datetime) -> Option<u64> {
    use toml::value::Offset;
    let (date, clock) = (time.date?, time.time?);
    let offset = match time.offset? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    // Days from civil (Howard Hinnant, "chrono-Compatible Low-Level Date
    // Algorithms"): years begin in March.
    let (month, day) = (i64::from(date.month), i64::from(date.day));
    let year = i64::from(date.year) - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let minutes = (days * 24 + i64::from(clock.hour)) * 60 + i64::from(clock.minute) - offset;
    let seconds = minutes * 60 + i64::from(clock.second.unwrap_or(0));
    u64::try_from(seconds).ok()?.checked_mul(1_000)
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
    Reads::new(&paths.database).run_blocking(|db| books.read_on(db, u64::MAX))?;
    Ok(books)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "name = 'May'\nstart = 2026-05-01T00:00:00Z\nend = 2026-06-01T02:00:00+02:00
goal = 5\nbonus_ppm = 500000\nruntime = 'infer'";

    #[test]
    fn a_campaigns_file() {
        let may = terms(FILE).unwrap();
        assert_eq!((may.start_ms, may.end_ms), (1_777_593_600_000, 1_780_272_000_000));
        assert_eq!((may.goal, may.bonus_ppm, may.runtime), (5, 500_000, Some(Runtime::Infer)));
        let leap = terms(&FILE.replace("2026-05-01", "2024-02-29")).unwrap();
        assert_eq!(leap.start_ms, 1_709_164_800_000);
        for (from, to, named) in [
            ("2026-06", "2026-04", "before"),
            ("00:00Z", "00:00", "offset"),
            ("goal = 5", "goal = 0", "goal"),
            ("500000", "10000001", "bonus_ppm"),
            ("'May'", "''", "name"),
            ("'May'", "\"a\\nb\"", "name"),
            ("goal", "gaol", "gaol"),
            ("infer", "gpu", "gpu"),
        ] {
            let error = terms(&FILE.replace(from, to)).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}
