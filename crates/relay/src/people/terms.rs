//! A campaign's file, which the operator writes: TOML, the same for the command
//! and for the page.

use grid_protocol::Runtime;
use grid_protocol::entry::{CampaignTerms, MAX_CAMPAIGN_NAME};
use serde::Deserialize;
use std::ops::Range;
use thiserror::Error;
use toml::Spanned;
use toml::value::Datetime;

/// Bonus of a campaign at most, in millionths of verified work: tenfold.
const MAX_BONUS: u32 = 10_000_000;

/// What the file holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Spanned<String>,
    start: Spanned<Datetime>,
    end: Spanned<Datetime>,
    goal: Spanned<u64>,
    bonus_ppm: Spanned<u32>,
    #[serde(default)]
    runtime: Option<Runtime>,
}

/// What is wrong with a campaign's file, and where.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum TermsError {
    /// In one line of it, counted from 1.
    #[error("line {0}: {1}")]
    Line(usize, String),
    /// In none: something is missing.
    #[error("{0}")]
    Whole(String),
}

/// Reads a campaign that may be opened at `now_ms`, in milliseconds since
/// 1970-01-01 UTC.
pub(crate) fn read(text: &str, now_ms: u64) -> Result<CampaignTerms, TermsError> {
    let at = |span: Range<usize>, why: &str| {
        let before = text.as_bytes().iter().take(span.start);
        TermsError::Line(before.filter(|byte| **byte == b'\n').count() + 1, why.to_owned())
    };
    let File { name, start, end, goal, bonus_ppm, runtime } =
        toml::from_str(text).map_err(|error| match error.span() {
            // What is missing is nowhere.
            Some(span) if span.end > 0 => at(span, error.message()),
            _ => TermsError::Whole(error.message().to_owned()),
        })?;
    let time = |named: &str, time: &Spanned<Datetime>| {
        let why = format!("{named} is a time with its offset, 2026-12-01T00:00:00Z");
        unix(time.get_ref()).ok_or_else(|| at(time.span(), &why))
    };
    let (start_ms, end_ms) = (time("start", &start)?, time("end", &end)?);
    let called = name.get_ref();
    let plain = !called.chars().any(char::is_control) && called.trim() == called;
    for (fine, span, why) in [
        (
            plain && (1..=MAX_CAMPAIGN_NAME).contains(&called.len()),
            name.span(),
            "name has 1 to 64 bytes, no line breaks, no spaces around it",
        ),
        (start_ms < end_ms, end.span(), "end is before start"),
        (now_ms < end_ms, end.span(), "end is over already"),
        (*goal.get_ref() > 0, goal.span(), "goal is fuel, over 0"),
        (*bonus_ppm.get_ref() <= MAX_BONUS, bonus_ppm.span(), "bonus_ppm is at most 10000000"),
    ] {
        if !fine {
            return Err(at(span, why));
        }
    }
    let (goal, bonus_ppm) = (goal.into_inner(), bonus_ppm.into_inner());
    Ok(CampaignTerms { start_ms, end_ms, goal, bonus_ppm, runtime, name: name.into_inner() })
}

/// Milliseconds since 1970-01-01 UTC of a time that says its offset.
fn unix(time: &Datetime) -> Option<u64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "name = 'May'
start = 2026-05-01T00:00:00Z
end = 2026-06-01T02:00:00+02:00
goal = 5
bonus_ppm = 500000
runtime = 'infer'";
    const APRIL: u64 = 1_775_000_000_000;

    #[test]
    fn a_campaigns_file() {
        let may = read(FILE, APRIL).unwrap();
        assert_eq!((may.start_ms, may.end_ms), (1_777_593_600_000, 1_780_272_000_000));
        assert_eq!((may.goal, may.bonus_ppm, may.runtime), (5, 500_000, Some(Runtime::Infer)));
        assert_eq!(read(FILE, may.end_ms - 1), Ok(may.clone()), "late, and not too late");
        assert_eq!(read(FILE, may.end_ms).unwrap_err().to_string(), "line 3: end is over already");
        let leap = read(&FILE.replace("2026-05-01", "2024-02-29"), APRIL).unwrap();
        assert_eq!(leap.start_ms, 1_709_164_800_000);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (from, to, said) in [
            ("2026-06", "2026-04", "line 3: end is before start"),
            ("05-01T00:00:00Z", "05-01T00:00:00", "line 2: start is a time with its offset"),
            ("2026-06-01T02:00:00+02:00", "2026-06-01", "line 3: end is a time with its offset"),
            ("2026-05-01T00:00:00Z", "'May'", "line 2: "),
            ("goal = 5", "goal = 0", "line 4: goal is fuel"),
            ("goal = 5", "goal = -5", "line 4: "),
            ("goal = 5", "goal = ", "line 4: "),
            ("goal = 5\n", "", "missing field `goal`"),
            ("500000", "10000001", "line 5: bonus_ppm"),
            ("'May'", "''", "line 1: name"),
            ("'May'", "\"a\\nb\"", "line 1: name"),
            ("'May'", "' May'", "line 1: name"),
            ("goal", "gaol", "line 4: unknown field `gaol`"),
            ("infer", "gpu", "line 6: unknown variant `gpu`"),
        ] {
            let error = read(&FILE.replace(from, to), APRIL).unwrap_err().to_string();
            assert!(error.starts_with(said), "{from} as {to}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
        let long = FILE.replace("May", &"x".repeat(MAX_CAMPAIGN_NAME + 1));
        assert!(read(&long, APRIL).is_err());
    }
}
