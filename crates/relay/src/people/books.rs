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
use std::time::{Duration, Instant};

/// Suspects in one answer: who has many keys can make as many as they like.
const SUSPECTS: usize = 1_000;
/// More than so many are ranked once a second at most.
const MANY: u64 = 1_000;
const KEPT: Duration = Duration::from_secs(1);
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
    node_ranks: Ranks<Leaders>,
    ranks: Ranks<PeopleLeaders>,
    team_ranks: Ranks<TeamLeaders>,
}

impl Books {
    pub(crate) fn new(relay: PublicKey) -> Self {
        Self {
            ledger: Ledger::keeping(relay),
            next: 1,
            complete: false,
            open: HashMap::new(),
            node_ranks: Ranks::default(),
            ranks: Ranks::default(),
            team_ranks: Ranks::default(),
        }
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

    fn read_on(&mut self, db: &Connection, last: u64, most: u64) -> Result<(), StoreError> {
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
pub(super) async fn ask<A: Send + 'static>(
    shared: &Arc<Shared>,
    question: impl FnOnce(&Ledger, bool) -> A + Send + 'static,
) -> Result<A, AppError> {
    let question = |books: &mut Books| question(&books.ledger, books.complete);
    Ok(shared.people.books.ask(shared, question).await?)
}

/// Leaders of a span of days, which are not ranked anew within a second where
/// that takes long.
#[derive(Debug)]
struct Ranks<T>(HashMap<Option<u64>, (Instant, T)>);

impl<T> Default for Ranks<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Clone> Ranks<T> {
    /// `rank` says how many it ranked, too.
    fn get(&mut self, days: Option<u64>, now: Instant, rank: impl FnOnce() -> (T, u64)) -> T {
        self.0.retain(|_, (at, _)| now.saturating_duration_since(*at) < KEPT);
        if let Some((_, ranked)) = self.0.get(&days) {
            return ranked.clone();
        }
        let (ranked, count) = rank();
        if count > MANY {
            self.0.insert(days, (now, ranked.clone()));
        }
        ranked
    }
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
    let question = move |books: &mut Books| {
        let Books { ledger, complete, node_ranks, .. } = books;
        node_ranks.get(days, Instant::now(), || {
            let (nodes, count) = ledger.node_leaders(days, now_ms);
            let (from_ms, complete, seq) = (from_ms(days, now_ms), *complete, ledger.seq());
            (Leaders { from_ms, complete, nodes, count, seq }, count)
        })
    };
    Ok(shared.people.books.ask(shared, question).await?)
}

/// The same of people.
pub(crate) async fn people_leaders(
    shared: &Arc<Shared>,
    days: Option<u64>,
) -> Result<PeopleLeaders, AppError> {
    let now_ms = unix_ms();
    let question = move |books: &mut Books| {
        let Books { ledger, complete, ranks, .. } = books;
        ranks.get(days, Instant::now(), || {
            let (people, count) = ledger.leaders(days, now_ms);
            let (from_ms, complete, seq) = (from_ms(days, now_ms), *complete, ledger.seq());
            (PeopleLeaders { from_ms, complete, people, count, seq }, count)
        })
    };
    let leaders = shared.people.books.ask(shared, question).await?;
    Ok(PeopleLeaders { people: named(shared, leaders.people).await?, ..leaders })
}

/// The same of teams.
pub(crate) async fn team_leaders(
    shared: &Arc<Shared>,
    days: Option<u64>,
) -> Result<TeamLeaders, AppError> {
    let now_ms = unix_ms();
    let question = move |books: &mut Books| {
        let Books { ledger, complete, team_ranks, .. } = books;
        team_ranks.get(days, Instant::now(), || {
            let (teams, count) = ledger.team_leaders(days, now_ms);
            let (from_ms, complete, seq) = (from_ms(days, now_ms), *complete, ledger.seq());
            (TeamLeaders { from_ms, complete, teams, count, seq }, count)
        })
    };
    let mut leaders = shared.people.books.ask(shared, question).await?;
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
    fn many_are_ranked_once_a_second() {
        let mut ranks = Ranks::default();
        let now = Instant::now();
        let mut get = |days, now, ranked: u32, count| ranks.get(days, now, || (ranked, count));
        assert_eq!((get(None, now, 1, MANY), get(None, now, 2, MANY + 1)), (1, 2));
        assert_eq!((get(None, now, 3, MANY + 1), get(Some(7), now, 4, 1)), (2, 4));
        assert_eq!(get(None, now + KEPT, 5, 1), 5);
    }

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
        whole.read_on(&db, 15, u64::MAX).unwrap();
        assert!(whole.complete);
        let mut readings = 1;
        pieces.read_on(&db, 15, 2).unwrap();
        while !pieces.complete {
            pieces.read_on(&db, 15, 2).unwrap();
            readings += 1;
        }
        // Three entries each: a key, a grant, a team.
        assert_eq!((readings, pieces.ledger().seq()), (8, 15));
        assert_eq!(pieces.ledger().info(), whole.ledger().info());
        assert_eq!(pieces.ledger().team_leaders(None, 1), whole.ledger().team_leaders(None, 1));
        // And goes on from there.
        write(9);
        pieces.read_on(&db, 18, 100).unwrap();
        assert_eq!(pieces.ledger().seq(), 18);
        pieces.read_on(&db, 18, 100).unwrap();
        assert!(pieces.complete && pieces.ledger().sum() == 0);
    }
}
