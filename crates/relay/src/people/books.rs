//! The ledger as the relay has it: read from entries when someone asks, and
//! followed from there; never on the way of a result.

use crate::error::AppError;
use crate::follow::Derived;
use crate::state::{Shared, unix_ms};
use crate::store::{Entry, Movement, StoreError, people, rows};
use grid_ledger::{Fact, Ledger, Receipt, Vote};
use grid_protocol::api::{PeopleLeaders, PersonEarned, Suspect, Suspects, TeamEarned, TeamLeaders};
use grid_protocol::live::Leaders;
use grid_protocol::{JobId, Name, PublicKey};
use rusqlite::Connection;
use std::collections::HashMap;
use std::sync::Arc;

/// Suspects in one answer: who has many keys can make as many as they like.
const SUSPECTS: usize = 1_000;
const DAY_MS: u64 = 86_400_000;

/// The ledger, and how far it was read.
#[derive(Debug)]
pub(crate) struct Books {
    ledger: Ledger,
    /// The next entry to read.
    next: u64,
    /// Was everything read that there was?
    complete: bool,
    /// Receipts whose tasks are not settled, by job.
    open: HashMap<JobId, HashMap<u64, Vote>>,
}

impl Books {
    pub(crate) fn new(relay: PublicKey) -> Self {
        let ledger = Ledger::keeping(relay);
        Self { ledger, next: 1, complete: false, open: HashMap::new() }
    }

    fn apply(&mut self, seq: u64, entry: &Entry) {
        let at_ms = entry.at_ms();
        match entry {
            Entry::Receipt { job, receipt, .. } => {
                let (job, body) = (*job, &receipt.body);
                let (node, fuel, answer) = (body.node, body.fuel, body.answer());
                self.open.entry(job).or_default().insert(seq, Vote { seq, node, answer, fuel });
                let receipt = Receipt { job, node, fuel };
                self.ledger.apply(seq, at_ms, Fact::Receipt(Some(receipt)));
            }
            Entry::Settled { job, answer, votes, .. } => {
                let (job, answer) = (*job, *answer);
                let open = self.open.entry(job).or_default();
                let votes: Vec<Vote> = votes.iter().filter_map(|seq| open.remove(seq)).collect();
                self.ledger.apply(seq, at_ms, Fact::Settled { job, answer, votes: &votes });
            }
            entry => {
                if let Entry::Budget { movement: Movement::Refund(job, _), .. } = entry {
                    self.open.remove(job);
                }
                self.ledger.apply(seq, at_ms, Fact::Entry(entry));
            }
        }
        self.next = seq + 1;
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

impl Derived for Books {
    const NAME: &'static str = "the ledger";

    fn read_on(&mut self, db: &Connection, most: u64) -> Result<(), StoreError> {
        let last = rows::last_entry(db)?;
        let end = last.min(self.next.saturating_add(most - 1));
        if self.next <= end {
            rows::entries(db, self.next, |seq, entry| {
                self.apply(seq, &entry);
                Ok(seq < end)
            })?;
        }
        self.complete = self.next > last;
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.complete
    }
}

/// Reads on for a bounded time, and asks the ledger; says whether it holds all
/// entries there were. Where it doesn't, the rest is read behind.
pub(super) async fn ask<T>(
    shared: &Arc<Shared>,
    question: impl FnOnce(&Ledger, bool) -> T,
) -> Result<T, AppError> {
    shared.people.books.read_on(shared).await?;
    let books = shared.people.books.get();
    Ok(question(&books.ledger, books.complete))
}

fn from_ms(days: Option<u64>, now_ms: u64) -> u64 {
    let first = |days: u64| (now_ms / DAY_MS + 1).saturating_sub(days) * DAY_MS;
    days.map_or(0, first)
}

/// The nodes that earned most in so many days; `None`: ever.
pub(crate) async fn node_leaders(
    shared: &Arc<Shared>,
    days: Option<u64>,
) -> Result<Leaders, AppError> {
    let now_ms = unix_ms();
    let ask = ask(shared, |ledger, complete| {
        let (nodes, count) = ledger.node_leaders(days, now_ms);
        let from_ms = from_ms(days, now_ms);
        Leaders { from_ms, complete, nodes, count, seq: ledger.seq() }
    });
    ask.await
}

/// The same of people.
pub(crate) async fn people_leaders(
    shared: &Arc<Shared>,
    days: Option<u64>,
) -> Result<PeopleLeaders, AppError> {
    let now_ms = unix_ms();
    let ask = ask(shared, |ledger, complete| {
        let (people, count) = ledger.leaders(days, now_ms);
        let from_ms = from_ms(days, now_ms);
        PeopleLeaders { from_ms, complete, people, count, seq: ledger.seq() }
    });
    let leaders = ask.await?;
    Ok(PeopleLeaders { people: named(shared, leaders.people).await?, ..leaders })
}

/// The same of teams.
pub(crate) async fn team_leaders(
    shared: &Arc<Shared>,
    days: Option<u64>,
) -> Result<TeamLeaders, AppError> {
    let now_ms = unix_ms();
    let ask = ask(shared, |ledger, complete| {
        let (teams, count) = ledger.team_leaders(days, now_ms);
        let from_ms = from_ms(days, now_ms);
        TeamLeaders { from_ms, complete, teams, count, seq: ledger.seq() }
    });
    let mut leaders = ask.await?;
    let ids = leaders.teams.iter().map(|TeamEarned { id, .. }| id.0.to_vec()).collect();
    for (team, name) in leaders.teams.iter_mut().zip(names(shared, ids).await?) {
        team.name = name;
    }
    Ok(leaders)
}

/// With what people want to be called.
pub(super) async fn named(
    shared: &Shared,
    mut people: Vec<PersonEarned>,
) -> Result<Vec<PersonEarned>, AppError> {
    let keys = people.iter().map(|person| person.key.0.to_vec()).collect();
    for (person, name) in people.iter_mut().zip(names(shared, keys).await?) {
        person.name = name;
    }
    Ok(people)
}

/// Names of accounts and teams, in order.
pub(super) async fn names(
    shared: &Shared,
    of: Vec<Vec<u8>>,
) -> Result<Vec<Option<Name>>, AppError> {
    let look = move |db: &Connection| of.iter().map(|of| people::name_of(db, of)).collect();
    Ok(shared.reads.run(look).await?)
}

/// Whom the operator should look at.
pub(crate) async fn suspects_now(shared: &Arc<Shared>) -> Result<Suspects, AppError> {
    ask(shared, |ledger, _| most_paid(ledger.suspects())).await
}

fn most_paid(mut suspects: Vec<Suspect>) -> Suspects {
    let count = suspects.len() as u64;
    suspects.sort_by_key(|one| std::cmp::Reverse(one.paid));
    suspects.truncate(SUSPECTS);
    Suspects { count, suspects }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::new_owner;
    use crate::store::{PeopleWrite, SqliteStore, Store, Write};
    use grid_protocol::Digest;
    use grid_protocol::api::Suspicion;
    use grid_protocol::entry::TeamChange;

    #[test]
    fn many_suspects_do_not_hide_who_is_paid() {
        let all = (0..5_000).map(|n: u64| Suspect {
            why: Suspicion::SameAccount,
            person: PublicKey([(n / 256) as u8; 32]),
            other: None,
            paid: n % 2_500,
            words: String::new(),
        });
        let Suspects { count, suspects } = most_paid(all.collect());
        assert_eq!((count, suspects.len()), (5_000, 1_000));
        assert!(suspects.iter().all(|one| one.paid >= 2_000));
    }

    #[test]
    fn read_in_pieces_it_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("grid.sqlite");
        let mut store = SqliteStore::open(&path, Digest([5; 32])).unwrap();
        let mut write = |seed: u8| {
            let (_, owner) = new_owner(&format!("owner{seed}"), 1_000).unwrap();
            let (change, account) = (TeamChange::Made, PublicKey([seed; 32]));
            let name = format!("team {seed}").parse().unwrap();
            let team = PeopleWrite::Team { change, name, account, at_ms: 1 };
            store.commit(&[owner, Write::People(team)]).unwrap();
        };
        (0..5).for_each(&mut write);
        let db = Connection::open(&path).unwrap();
        let relay = PublicKey([255; 32]);
        let (mut whole, mut pieces) = (Books::new(relay), Books::new(relay));
        whole.read_on(&db, u64::MAX).unwrap();
        assert!(whole.complete);
        let mut readings = 1;
        pieces.read_on(&db, 2).unwrap();
        while !pieces.complete {
            pieces.read_on(&db, 2).unwrap();
            readings += 1;
        }
        // Three entries each: a key, a grant, a team.
        assert_eq!((readings, pieces.ledger().seq()), (8, 15));
        assert_eq!(pieces.ledger().info(), whole.ledger().info());
        assert_eq!(pieces.ledger().team_leaders(None, 1), whole.ledger().team_leaders(None, 1));
        // And goes on from there.
        write(9);
        pieces.read_on(&db, 100).unwrap();
        assert_eq!(pieces.ledger().seq(), 18);
        pieces.read_on(&db, 100).unwrap();
        assert!(pieces.complete && pieces.ledger().sum() == 0);
    }
}
