//! The part of the check that is about people.

use super::check::{CheckError, Rebuilt};
use grid_protocol::entry::{PeopleFact, TeamChange};

/// The derived tables, empty.
pub(super) const REBUILT: &str = "
    CREATE TEMP TABLE r_invitations (code BLOB PRIMARY KEY, account BLOB, kind INTEGER,
        uses INTEGER, used INTEGER);
    CREATE TEMP TABLE r_invited (node BLOB PRIMARY KEY, code BLOB);
    CREATE TEMP TABLE r_teams (id BLOB PRIMARY KEY);
    CREATE TEMP TABLE r_members (account BLOB PRIMARY KEY, team BLOB);
    CREATE TEMP TABLE r_closed (account BLOB PRIMARY KEY);
    CREATE TEMP TABLE r_campaigns (id BLOB PRIMARY KEY, end_ms INTEGER, closed INTEGER);";

/// For each derived table: as it is, and as rebuilt.
pub(super) const COMPARE: [(&str, &str, &str); 6] = [
    (
        "invitations",
        "SELECT code, account, kind, uses, used FROM invitations",
        "SELECT * FROM r_invitations",
    ),
    ("invited", "SELECT node, code FROM invited", "SELECT * FROM r_invited"),
    ("teams", "SELECT id FROM teams", "SELECT * FROM r_teams"),
    ("members", "SELECT account, team FROM members", "SELECT * FROM r_members"),
    ("closed", "SELECT account FROM closed", "SELECT * FROM r_closed"),
    ("campaigns", "SELECT id, end_ms, closed FROM campaigns", "SELECT * FROM r_campaigns"),
];

const IS_OPEN: &str = "NOT EXISTS (SELECT 1 FROM r_closed WHERE account = ?1)";

impl Rebuilt<'_> {
    /// Applies a fact about people; false when it can't follow those before it.
    pub(super) fn people(&self, fact: &PeopleFact) -> Result<bool, CheckError> {
        match fact {
            PeopleFact::AccountClosed { account } => {
                self.db
                    .prepare_cached("DELETE FROM r_members WHERE account = ?1")?
                    .execute([account.0])?;
                self.db
                    .prepare_cached("UPDATE r_nodes SET account = NULL WHERE account = ?1")?
                    .execute([account.0])?;
                self.run("INSERT INTO r_closed VALUES (?1)", &[&account.0])
            }
            PeopleFact::InvitationMade { code, account, kind, uses } => self.run(
                &format!("INSERT INTO r_invitations SELECT ?2, ?1, ?3, ?4, 0 WHERE {IS_OPEN}"),
                &[&account.0, &code.0, &(*kind as u8), uses],
            ),
            PeopleFact::InvitationUsed { code, node, .. } => Ok(self.run(
                "UPDATE r_invitations SET used = used + 1 WHERE code = ?1 AND used < uses
                     AND account NOT IN (SELECT account FROM r_closed)",
                &[&code.0],
            )? && self
                .run("INSERT INTO r_invited VALUES (?1, ?2)", &[&node.0, &code.0])?),
            PeopleFact::CampaignOpened { id, terms } => self.run(
                "INSERT INTO r_campaigns VALUES (?1, ?2, 0)",
                &[&id.0, &(terms.end_ms as i64)],
            ),
            PeopleFact::CampaignClosed { id } => {
                self.run("UPDATE r_campaigns SET closed = 1 WHERE id = ?1 AND closed = 0", &[&id.0])
            }
            // Logged as it is.
            PeopleFact::Rewards { .. } => Ok(true),
            PeopleFact::Team { change, team, account } => match change {
                TeamChange::Made => Ok(self.run("INSERT INTO r_teams VALUES (?1)", &[&team.0])?
                    && self.joined(&account.0, &team.0)?),
                TeamChange::Joined => self.joined(&account.0, &team.0),
                TeamChange::Left => self.run(
                    "DELETE FROM r_members WHERE account = ?1 AND team = ?2",
                    &[&account.0, &team.0],
                ),
            },
        }
    }

    fn joined(&self, account: &[u8; 32], team: &[u8; 16]) -> Result<bool, CheckError> {
        self.run(
            &format!(
                "INSERT INTO r_members SELECT ?1, ?2
                 WHERE {IS_OPEN} AND EXISTS (SELECT 1 FROM r_teams WHERE id = ?2)"
            ),
            &[account, team],
        )
    }
}
