//! What the store promises about people: all or nothing, once, and every table
//! a function of the entries, however a commit ends.

use grid_ledger::{Fact, Ledger};
use grid_protocol::entry::{CampaignTerms, InvitationKind, PeopleFact, TeamChange};
use grid_protocol::{
    BrowserId, CampaignId, Delegation, Digest, InvitationCode, Name, PublicKey, SigningKey,
};
use grid_relay::store::{
    Blobs, CheckError, Entry, NewCode, Outcome, PeopleWrite, Refusal, SqliteStore, Store, Write,
    check,
};
use proptest::prelude::*;
use std::path::Path;

const SECRET: Digest = Digest([5; 32]);

fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(&dir.join("grid.sqlite"), SECRET).unwrap()
}

fn checked(dir: &Path) -> Result<(), CheckError> {
    let blobs = Blobs::open(&dir.join("blobs"), 1).unwrap();
    check(&dir.join("grid.sqlite"), &blobs, &SECRET).map(drop)
}

fn entries(dir: &Path) -> Vec<Entry> {
    let db = rusqlite::Connection::open(dir.join("grid.sqlite")).unwrap();
    let mut query = db.prepare("SELECT kind, bytes FROM entries ORDER BY seq").unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?))).unwrap();
    rows.map(|row| row.map(|(kind, bytes)| Entry::decode(kind, &bytes).unwrap()).unwrap()).collect()
}

/// No entry is one that an audit refuses.
fn allowed(entries: &[Entry]) {
    let mut ledger = Ledger::new(PublicKey([255; 32]));
    for (at, entry) in entries.iter().enumerate() {
        assert_eq!(ledger.allows(entry), Ok(()), "entry {}: {entry:?}", at + 1);
        ledger.apply(at as u64 + 1, entry.at_ms(), Fact::Entry(entry));
    }
}

fn account(number: u8) -> SigningKey {
    SigningKey::from_seed([100 + number; 32])
}

fn node(number: u8) -> PublicKey {
    SigningKey::from_seed([number; 32]).public()
}

fn code(number: u8) -> InvitationCode {
    InvitationCode::new([number; 12])
}

fn name(number: u8) -> Name {
    format!("name {number}").parse().unwrap()
}

fn invite(of: u8, number: u8, uses: u32) -> Write {
    let kind = InvitationKind::from_number(number % 2).unwrap();
    let (account, code, name) = (account(of).public(), code(number), Some(name(number)));
    let origins = vec!["https://a.example".into()];
    let code = NewCode { account, code, kind, uses, name, origins, at_ms: 1 };
    Write::People(PeopleWrite::Invite(Box::new(code)))
}

fn come(by: u8, of: u8, browser: Option<u8>) -> Write {
    let browser = browser.map(|number| BrowserId([number; 16]));
    let (node, code) = (node(by), Some(code(of).digest()));
    Write::People(PeopleWrite::Come { node, code, browser, at_ms: 2 })
}

fn team(change: TeamChange, of: u8, number: u8, at_ms: u64) -> Write {
    let (account, name) = (account(of).public(), name(number));
    Write::People(PeopleWrite::Team { change, name, account, at_ms })
}

fn close(of: u8) -> Write {
    Write::People(PeopleWrite::Close { account: account(of).public(), at_ms: 3 })
}

fn link(by: u8, to: u8) -> Write {
    let node = node(by);
    Write::LinkAccount { node, delegation: Delegation::sign(&account(to), &node), at_ms: 4 }
}

fn campaign(number: u8, end_ms: u64) -> Write {
    let (id, name) = (CampaignId([number; 16]), "May".to_owned());
    let (start_ms, goal, bonus_ppm, runtime) = (1, 1, 1, None);
    let terms = CampaignTerms { start_ms, end_ms, goal, bonus_ppm, runtime, name };
    Write::People(PeopleWrite::OpenCampaign { id, terms, at_ms: 5 })
}

fn end_campaign(number: u8) -> Write {
    Write::People(PeopleWrite::CloseCampaign { id: CampaignId([number; 16]), at_ms: 6 })
}

fn write() -> impl Strategy<Value = Write> {
    use TeamChange::{Joined, Left, Made};
    prop_oneof![
        3 => (0u8..3, 0u8..5, 1u32..3).prop_map(|(of, number, uses)| invite(of, number, uses)),
        4 => (1u8..5, 0u8..6, prop::option::of(0u8..2))
            .prop_map(|(by, of, browser)| come(by, of, browser)),
        4 => (0usize..3, 0u8..3, 0u8..3, 0u64..9)
            .prop_map(|(at, of, number, at_ms)| team([Made, Joined, Left][at], of, number, at_ms)),
        1 => (0u8..3).prop_map(close),
        1 => (0u8..3, 0u8..3).prop_map(|(of, number)| Write::People(PeopleWrite::Name {
            account: account(of).public(),
            name: name(number),
        })),
        2 => (0u8..4).prop_map(|number| campaign(number, 100)),
        1 => (0u8..4).prop_map(end_campaign),
        1 => (0u64..3).prop_map(|at_ms| Write::Log(Entry::People {
            at_ms,
            fact: PeopleFact::Rewards { rules: grid_ledger::RewardRules::NONE.encode() },
        })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn what_was_kept_is_recognised(
        batches in prop::collection::vec((prop::collection::vec(write(), 1..8), 0u8..3), 1..12),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        store.commit(&[link(1, 0), link(2, 1)]).unwrap();
        for (batch, fate) in &batches {
            let outcomes = store.commit(batch).unwrap();
            let kept = entries(dir.path());
            match fate {
                0 => continue,
                1 => {}
                // As SIGKILL leaves it: nothing is closed.
                _ => std::mem::forget(std::mem::replace(&mut store, open(dir.path()))),
            }
            let again = store.commit(batch).unwrap();
            let mut refused = 0;
            for (outcome, again) in outcomes.iter().zip(&again) {
                match outcome {
                    Outcome::Refused(_) => refused += 1,
                    // Deleted later in the same commit: what came before is
                    // judged anew.
                    _ if *again == Outcome::Refused(Refusal::Closed) => {}
                    _ => prop_assert_eq!(outcome, again),
                }
            }
            let now = entries(dir.path());
            prop_assert_eq!(&now[..kept.len()], &kept);
            // A code that is made behind its use is there when both come again.
            let late = |entry: &Entry| matches!(entry,
                Entry::People { fact: PeopleFact::InvitationUsed { .. }, .. });
            prop_assert!(refused > 0 || now[kept.len()..].iter().all(late), "kept twice");
        }
        checked(dir.path()).unwrap();
        allowed(&entries(dir.path()));
    }
}

fn refused(store: &mut SqliteStore, write: Write) -> Refusal {
    match store.commit(&[write]).unwrap().pop() {
        Some(Outcome::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn rules_about_people() {
    use TeamChange::{Joined, Left, Made};
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let done = |store: &mut SqliteStore, write| {
        assert_eq!(store.commit(&[write]).unwrap(), [Outcome::Done]);
    };
    assert_eq!(refused(&mut store, team(Joined, 1, 1, 1)), Refusal::NoSuchTeam);
    done(&mut store, team(Made, 1, 1, 2));
    assert_eq!(refused(&mut store, team(Made, 2, 1, 3)), Refusal::TeamExists);
    assert_eq!(refused(&mut store, team(Made, 1, 2, 4)), Refusal::InTeam);
    done(&mut store, team(Made, 2, 2, 5));
    assert_eq!(refused(&mut store, team(Joined, 2, 1, 6)), Refusal::InTeam);
    assert_eq!(refused(&mut store, team(Left, 2, 1, 7)), Refusal::NotInTeam);
    done(&mut store, team(Left, 2, 2, 8));
    done(&mut store, team(Joined, 2, 1, 9));
    for number in 0..16 {
        done(&mut store, campaign(number, 100));
    }
    assert_eq!(refused(&mut store, campaign(20, 100)), Refusal::TooManyCampaigns);
    done(&mut store, end_campaign(3));
    done(&mut store, campaign(20, 100));
    assert_eq!(refused(&mut store, end_campaign(30)), Refusal::NoSuchCampaign);
    done(&mut store, close(1));
    for write in [invite(1, 1, 1), team(Joined, 1, 2, 10), link(1, 1)] {
        assert_eq!(refused(&mut store, write), Refusal::Closed);
    }
    let count = entries(dir.path()).len();
    // A code that is used up, one that nobody made, a node's second.
    store.commit(&[invite(2, 1, 1), invite(2, 2, 5), come(1, 1, None)]).unwrap();
    store.commit(&[come(2, 1, None), come(2, 9, None), come(1, 2, None)]).unwrap();
    assert_eq!(entries(dir.path()).len(), count + 3);
    checked(dir.path()).unwrap();
    allowed(&entries(dir.path()));
}

#[test]
fn a_browser_is_known_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let seen = Write::People(PeopleWrite::Come {
        node: node(1),
        code: None,
        browser: Some(BrowserId([7; 16])),
        at_ms: 1,
    });
    let writes = [invite(0, 0, 9), link(1, 0), seen, come(2, 0, Some(7)), come(3, 0, Some(8))];
    store.commit(&writes).unwrap();
    let same: Vec<bool> = entries(dir.path())
        .iter()
        .filter_map(|entry| match entry {
            Entry::People { fact: PeopleFact::InvitationUsed { same_browser, .. }, .. } => {
                Some(*same_browser)
            }
            _ => None,
        })
        .collect();
    assert_eq!(same, [true, false]);
}

#[test]
fn a_store_of_before_is_taken_up() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).commit(&[link(1, 0)]).unwrap();
    let db = rusqlite::Connection::open(dir.path().join("grid.sqlite")).unwrap();
    let tables = [
        "invitations",
        "invited",
        "teams",
        "members",
        "closed",
        "campaigns",
        "names",
        "codes",
        "browsers",
    ];
    for table in tables {
        db.execute_batch(&format!("DROP TABLE {table}")).unwrap();
    }
    let before = |version: i64| {
        db.execute_batch("DROP INDEX nodes_by_account").unwrap();
        db.pragma_update(None, "user_version", version).unwrap();
    };
    before(3);
    let mut store = open(dir.path());
    store.commit(&[invite(0, 0, 1), team(TeamChange::Made, 0, 0, 1)]).unwrap();
    checked(dir.path()).unwrap();
    assert_eq!(entries(dir.path()).len(), 3);
    drop(store);
    before(4);
    let mut store = open(dir.path());
    store.commit(&[team(TeamChange::Left, 0, 0, 2)]).unwrap();
    checked(dir.path()).unwrap();
    drop(store);
    assert_eq!(entries(dir.path()).len(), 4);
    // Nobody reads every node to find an account's.
    let db = rusqlite::Connection::open(dir.path().join("grid.sqlite")).unwrap();
    for query in [
        "SELECT key FROM nodes WHERE account = ?1",
        "UPDATE nodes SET account = NULL WHERE account = ?1",
        "SELECT node FROM browsers WHERE node = ?1
             OR node IN (SELECT key FROM nodes WHERE account = ?1)",
    ] {
        let plan = format!("EXPLAIN QUERY PLAN {query}");
        let mut plan = db.prepare(&plan).unwrap();
        let steps = plan.query_map([[0; 32]], |row| row.get::<_, String>(3)).unwrap();
        let steps = steps.collect::<Result<Vec<_>, _>>().unwrap().join("; ");
        assert!(steps.contains("nodes_by_account") && !steps.contains("SCAN"), "{query}: {steps}");
    }
}

#[test]
fn what_is_deleted_again_is_forgotten_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let key = account(0).public();
    let seen = |node, at_ms| {
        let browser = Some(BrowserId([7; 16]));
        Write::People(PeopleWrite::Come { node, code: None, browser, at_ms })
    };
    let browsers = || {
        let db = rusqlite::Connection::open(dir.path().join("grid.sqlite")).unwrap();
        db.query_row("SELECT count(*) FROM browsers", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    store.commit(&[link(1, 0), seen(node(1), 1), seen(key, 1), seen(node(2), 1)]).unwrap();
    store.commit(&[close(0)]).unwrap();
    assert_eq!(browsers(), 1);
    store.commit(&[seen(key, 2), close(0)]).unwrap();
    assert_eq!((browsers(), entries(dir.path()).len()), (1, 2));
    checked(dir.path()).unwrap();
}

#[test]
fn the_check_finds_damage() {
    let damaged = |sql: &str, expect: &str| {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        let writes = [
            invite(0, 0, 2),
            come(1, 0, None),
            team(TeamChange::Made, 0, 0, 1),
            campaign(1, 9),
            link(2, 1),
            close(1),
        ];
        store.commit(&writes).unwrap();
        checked(dir.path()).unwrap();
        let db = rusqlite::Connection::open(dir.path().join("grid.sqlite")).unwrap();
        db.execute_batch(sql).unwrap();
        let error = checked(dir.path()).unwrap_err();
        assert!(error.to_string().contains(expect), "{sql}: {error}");
    };
    damaged("UPDATE invitations SET used = 0", "table invitations");
    damaged("UPDATE invitations SET uses = 9", "table invitations");
    damaged("DELETE FROM invited", "table invited");
    damaged("DELETE FROM teams", "table teams");
    damaged("DELETE FROM members", "table members");
    damaged("DELETE FROM closed", "table closed");
    damaged("UPDATE campaigns SET closed = 1", "table campaigns");
    damaged("DELETE FROM facts", "table facts");
    damaged("UPDATE nodes SET account = x'00'", "table nodes");
    // The code that was made goes, and what follows contradicts.
    damaged(
        "DELETE FROM entries WHERE seq = 1; UPDATE entries SET seq = seq - 1",
        "entry 1 contradicts",
    );
}
