//! Counts over time: a function of the last 30 days of entries, read once and
//! then followed.

use crate::follow::Derived;
use crate::state::unix_ms;
use crate::store::{Entry, StoreError, rows};
use grid_protocol::live::{History as Moments, Moment, SettledInfo};
use grid_protocol::{PublicKey, RejectCode};
use rusqlite::Connection;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, VecDeque};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// How far back the charts go.
const KEPT: u64 = 30 * DAY;
/// Settlements that the feed shows.
const RECENT: usize = 20;
/// Hours of refused receipts that are counted, and receipts that are listed.
const REFUSED_HOURS: usize = 7 * 24;
const LATEST_REFUSED: usize = 50;

/// A stretch of time that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Span {
    Hour,
    Day,
    Week,
    Month,
    All,
}

/// Counts in steps of one length, the newest last.
#[derive(Debug)]
struct Series {
    step_ms: u64,
    length: usize,
    moments: VecDeque<Moment>,
}

impl Series {
    fn new(step_ms: u64, length: usize) -> Self {
        Self { step_ms, length, moments: VecDeque::new() }
    }

    /// The moment of this time, if it is kept.
    fn at(&mut self, at_ms: u64) -> Option<&mut Moment> {
        let from_ms = at_ms / self.step_ms * self.step_ms;
        let newest = self.moments.back().map(|moment| moment.from_ms);
        if newest.is_none_or(|newest| from_ms > newest) {
            self.moments.push_back(Moment { from_ms, ..Moment::default() });
            while self.moments.len() > self.length {
                self.moments.pop_front();
            }
        }
        // The clock may have gone back a little: look from the end.
        self.moments.iter_mut().rev().find(|moment| moment.from_ms <= from_ms)
    }

    /// Without gaps, until now.
    fn filled(&self, now_ms: u64) -> Vec<Moment> {
        let last = now_ms / self.step_ms;
        let first = last.saturating_sub(self.length as u64 - 1);
        let mut known = self.moments.iter().peekable();
        (first..=last)
            .map(|step| {
                let from_ms = step * self.step_ms;
                while known.next_if(|moment| moment.from_ms < from_ms).is_some() {}
                let here = known.next_if(|moment| moment.from_ms == from_ms).copied();
                here.unwrap_or(Moment { from_ms, ..Moment::default() })
            })
            .collect()
    }
}

/// The last 30 days.
#[derive(Debug)]
pub(crate) struct History {
    /// The next entry to read; 0 before the first reading.
    next: u64,
    complete: bool,
    seconds: Series,
    hour: Series,
    day: Series,
    month: Series,
    /// Nodes that were caught, and by which entry.
    caught: HashMap<PublicKey, u64>,
    recent: VecDeque<SettledInfo>,
    refused: VecDeque<RefusedMoment>,
    latest_refused: VecDeque<RefusedReceipt>,
}

/// Receipts that were refused in an hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct RefusedMoment {
    /// Its beginning: milliseconds since 1970-01-01 UTC.
    from_ms: u64,
    /// How many, by reason.
    reasons: BTreeMap<&'static str, u64>,
}

/// A receipt that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct RefusedReceipt {
    /// Number of the entry.
    seq: u64,
    /// When: milliseconds since 1970-01-01 UTC.
    time_ms: u64,
    /// Whose receipt it was.
    node: PublicKey,
    /// Why it was refused.
    reason: &'static str,
}

impl Default for History {
    fn default() -> Self {
        Self {
            next: 0,
            complete: false,
            seconds: Series::new(SECOND, 60),
            hour: Series::new(MINUTE, 60),
            day: Series::new(15 * MINUTE, 96),
            month: Series::new(8 * HOUR, 90),
            caught: HashMap::new(),
            recent: VecDeque::new(),
            refused: VecDeque::new(),
            latest_refused: VecDeque::new(),
        }
    }
}

impl Derived for History {
    const NAME: &'static str = "the charts' history";

    fn read_on(&mut self, db: &Connection, last: u64, most: u64) -> Result<(), StoreError> {
        if self.next == 0 {
            self.next = first_since(db, unix_ms().saturating_sub(KEPT), last)?;
            let mut query = db.prepare_cached("SELECT node, seq FROM caught")?;
            let caught =
                query.query_map([], |row| Ok((PublicKey(row.get(0)?), rows::unsigned(row, 1)?)))?;
            self.caught = caught.collect::<Result<_, _>>()?;
        }
        let end = last.min(self.next.saturating_add(most - 1));
        let mut entries = Vec::new();
        if self.next <= end {
            rows::entries(db, self.next, |seq, entry| {
                if matches!(
                    entry,
                    Entry::Receipt { .. } | Entry::Settled { .. } | Entry::Refused { .. }
                ) {
                    entries.push((seq, entry));
                }
                Ok(seq < end)
            })?;
        }
        for (seq, entry) in entries {
            match entry {
                Entry::Receipt { at_ms, .. } => self.count(at_ms, |moment| moment.receipts += 1),
                Entry::Settled { at_ms, answer, votes, .. } => {
                    self.settled(db, (seq, at_ms), answer, &votes)?;
                }
                Entry::Refused { at_ms, node, code, .. } => {
                    let reason = RejectCode::from_number(code).map_or("other", RejectCode::name);
                    self.count_refused(RefusedReceipt { seq, time_ms: at_ms, node, reason });
                }
                _ => {}
            }
        }
        self.next = end + 1;
        self.complete = end == last;
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.complete
    }
}

impl History {
    fn settled(
        &mut self,
        db: &Connection,
        (seq, at_ms): (u64, u64),
        answer: grid_protocol::Digest,
        votes: &[u64],
    ) -> Result<(), StoreError> {
        let votes = votes.iter().map(|vote| rows::receipt(db, *vote));
        let votes = votes.collect::<Result<Vec<_>, _>>()?;
        let mut paid = 0_u64;
        let mut agree = 0;
        for vote in &votes {
            let body = &vote.receipt.body;
            if body.answer() != answer {
                self.caught.entry(body.node).or_insert(seq);
                continue;
            }
            agree += 1;
            // The relay's own runs earn nothing; nor does who was caught.
            let caught = self.caught.get(&body.node).is_some_and(|by| *by <= seq);
            if body.node != body.relay && !caught {
                paid = paid.saturating_add(body.fuel);
            }
        }
        self.count(at_ms, |moment| {
            moment.settled += 1;
            moment.checked += u64::from(agree > 1);
            moment.fuel = moment.fuel.saturating_add(paid);
        });
        if let Some(canonical) = votes.first() {
            let body = &canonical.receipt.body;
            self.recent.truncate(RECENT - 1);
            self.recent.push_front(SettledInfo {
                seq,
                time_ms: at_ms,
                node: body.node,
                reason: body.reason,
                fuel: body.fuel,
                agree,
                lost: votes.len() as u64 - agree,
            });
        }
        Ok(())
    }

    fn count(&mut self, at_ms: u64, count: impl Fn(&mut Moment)) {
        let all = [&mut self.seconds, &mut self.hour, &mut self.day, &mut self.month];
        all.into_iter().filter_map(|series| series.at(at_ms)).for_each(count);
    }

    fn count_refused(&mut self, refused: RefusedReceipt) {
        let from_ms = refused.time_ms / HOUR * HOUR;
        if self.refused.back().is_none_or(|newest| from_ms > newest.from_ms) {
            self.refused.push_back(RefusedMoment { from_ms, reasons: BTreeMap::new() });
            if self.refused.len() > REFUSED_HOURS {
                self.refused.pop_front();
            }
        }
        // What came a little late counts to the newest hour.
        if let Some(moment) = self.refused.back_mut() {
            *moment.reasons.entry(refused.reason).or_default() += 1;
        }
        self.latest_refused.truncate(LATEST_REFUSED - 1);
        self.latest_refused.push_front(refused);
    }

    /// Is that all, the last week's refusals by the hour, and the last of them.
    pub(crate) fn refused(&self, now_ms: u64) -> (bool, Vec<RefusedMoment>, Vec<RefusedReceipt>) {
        let since = now_ms.saturating_sub(REFUSED_HOURS as u64 * HOUR);
        let hours = self.refused.iter().filter(|moment| moment.from_ms >= since);
        (self.complete, hours.cloned().collect(), self.latest_refused.iter().cloned().collect())
    }

    /// Tasks settled in the last ten whole seconds.
    pub(super) fn lately(&self, now_ms: u64) -> u64 {
        let moments = self.seconds.filled(now_ms);
        moments.iter().rev().skip(1).take(10).map(|moment| moment.settled).sum()
    }

    /// The last settlements, newest first.
    pub(super) fn recent(&self) -> Vec<SettledInfo> {
        self.recent.iter().cloned().collect()
    }

    /// Counts over a span; `None` where that is not kept.
    pub(super) fn moments(&self, span: Span, now_ms: u64) -> Option<Moments> {
        let series = match span {
            Span::Hour => &self.hour,
            Span::Day => &self.day,
            Span::Month => &self.month,
            Span::Week | Span::All => return None,
        };
        let moments = series.filled(now_ms);
        Some(Moments { step_ms: series.step_ms, complete: self.complete, moments })
    }
}

/// The first entry from this time on: entries come in the order of the clock,
/// or nearly so.
fn first_since(db: &Connection, from_ms: u64, last: u64) -> Result<u64, StoreError> {
    let (mut low, mut high) = (1, last + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let entry = rows::entry(db, middle)?.ok_or(StoreError::Row("a gap between entries"))?;
        if entry.at_ms() < from_ms { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_no_gaps_and_end_now() {
        let mut series = Series::new(10, 4);
        for at in [5, 7, 31, 29, 33] {
            series.at(at).unwrap().settled += 1;
        }
        let counts = |now| {
            let filled = series.filled(now);
            filled.iter().map(|moment| (moment.from_ms, moment.settled)).collect::<Vec<_>>()
        };
        // 29 came after 31: it counts to the moment before, which is the first.
        assert_eq!(counts(35), [(0, 3), (10, 0), (20, 0), (30, 2)]);
        assert_eq!(counts(65), [(30, 2), (40, 0), (50, 0), (60, 0)]);
        assert_eq!(counts(900).iter().map(|(_, settled)| settled).sum::<u64>(), 0);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut series = Series::new(1, 4);
        for at in 0..100 {
            series.at(at).unwrap().settled += 1;
        }
        assert_eq!(series.moments.len(), 4);
        assert!(series.at(3).is_none(), "older than what is kept");
    }
}
