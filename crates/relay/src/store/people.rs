//! Accounts, invitations, teams, campaigns: what is written of them, and read.

use super::rows::unsigned;
use super::sqlite::Batch;
use super::votes::fact;
use super::{Entry, Outcome, Refusal, StoreError};
use grid_protocol::api::{MadeInvitation, NodeBrowser};
use grid_protocol::entry::{CampaignTerms, InvitationKind, PeopleFact, TeamChange};
use grid_protocol::{BrowserId, CampaignId, Digest, InvitationCode, Name, PublicKey, TeamId};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Codes that an account may make.
pub(crate) const MAX_CODES: u64 = 64;
/// Campaigns that may be open at a time.
const MAX_CAMPAIGNS: u64 = 16;

/// A change about people, to be made durable. Times are milliseconds since
/// 1970-01-01 UTC.
#[derive(Debug, Clone)]
pub enum PeopleWrite {
    /// An account made a code. Made again with the same text, it is the same.
    Invite(Box<NewCode>),
    /// A node joined, by a code or none, in a browser that is known or not.
    Come {
        /// The node.
        node: PublicKey,
        /// Its code's digest; what is not a code that is open is left out.
        code: Option<Digest>,
        /// Its browser.
        browser: Option<BrowserId>,
        /// When.
        at_ms: u64,
    },
    /// A team is made, joined or left. The same at the same time is the same
    /// change, and made once.
    Team {
        /// How.
        change: TeamChange,
        /// Its name.
        name: Name,
        /// By whom.
        account: PublicKey,
        /// When.
        at_ms: u64,
    },
    /// What an account wants to be called.
    Name {
        /// The account.
        account: PublicKey,
        /// Its name.
        name: Name,
    },
    /// An account is deleted: what the log doesn't hold of it is forgotten.
    Close {
        /// The account.
        account: PublicKey,
        /// When.
        at_ms: u64,
    },
    /// The operator opens a campaign.
    OpenCampaign {
        /// Its id.
        id: CampaignId,
        /// What it offers.
        terms: CampaignTerms,
        /// When.
        at_ms: u64,
    },
    /// The operator closes a campaign.
    CloseCampaign {
        /// Its id.
        id: CampaignId,
        /// When.
        at_ms: u64,
    },
}

/// An invitation code on its way into the store.
#[derive(Debug, Clone)]
pub struct NewCode {
    /// Who makes it.
    pub account: PublicKey,
    /// Its text.
    pub code: InvitationCode,
    /// What for.
    pub kind: InvitationKind,
    /// How many nodes may come by it.
    pub uses: u32,
    /// What it is called.
    pub name: Option<Name>,
    /// A site's origins.
    pub origins: Vec<String>,
    /// When.
    pub at_ms: u64,
}

/// A code, and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct CodeRow {
    pub(crate) account: PublicKey,
    pub(crate) made: MadeInvitation,
}

impl Batch<'_> {
    pub(super) fn people(&mut self, write: &PeopleWrite) -> Result<Outcome, StoreError> {
        match write {
            PeopleWrite::Invite(code) => self.invite(code),
            PeopleWrite::Come { node, code, browser, at_ms } => {
                if let Some(code) = code {
                    self.come(*node, *code, *browser, *at_ms)?;
                }
                if let Some(browser) = browser {
                    let put = "INSERT OR REPLACE INTO browsers VALUES (?1, ?2)";
                    self.tx.prepare_cached(put)?.execute(params![node.0, browser.0])?;
                }
                Ok(Outcome::Done)
            }
            PeopleWrite::Team { change, name, account, at_ms } => {
                self.team(*change, name, *account, *at_ms)
            }
            PeopleWrite::Name { account, name } => {
                if is_closed(self.tx, *account)? {
                    return Ok(Outcome::Refused(Refusal::Closed));
                }
                self.name(&account.0, name)?;
                Ok(Outcome::Done)
            }
            PeopleWrite::Close { account, at_ms } => self.close(*account, *at_ms),
            PeopleWrite::OpenCampaign { id, terms, at_ms } => self.open(*id, terms, *at_ms),
            PeopleWrite::CloseCampaign { id, at_ms } => self.end(*id, *at_ms),
        }
    }

    fn say(&mut self, at_ms: u64, fact: PeopleFact) -> Result<(), StoreError> {
        self.append(&Entry::People { at_ms, fact }).map(drop)
    }

    fn invite(&mut self, new: &NewCode) -> Result<Outcome, StoreError> {
        let NewCode { account, code, kind, uses, .. } = new;
        let digest = code.digest();
        if is_closed(self.tx, *account)? {
            return Ok(Outcome::Refused(Refusal::Closed));
        }
        let known = "SELECT 1 FROM invitations WHERE code = ?1";
        if self.tx.prepare_cached(known)?.exists([digest.0])? {
            return Ok(Outcome::Done);
        }
        let count = "SELECT count(*) FROM invitations WHERE account = ?1";
        let count =
            self.tx.prepare_cached(count)?.query_row([account.0], |row| unsigned(row, 0))?;
        if count >= MAX_CODES {
            return Ok(Outcome::Refused(Refusal::TooManyCodes));
        }
        self.tx
            .prepare_cached("INSERT INTO invitations VALUES (?1, ?2, ?3, ?4, 0)")?
            .execute(params![digest.0, account.0, *kind as u8, uses])?;
        let origins = serde_json::to_string(&new.origins).unwrap_or_default();
        let name = new.name.as_ref().map(Name::as_str);
        self.tx
            .prepare_cached("INSERT OR REPLACE INTO codes VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![digest.0, code.to_string(), name, origins, new.at_ms as i64])?;
        let (account, kind, uses) = (*account, *kind, *uses);
        self.say(new.at_ms, PeopleFact::InvitationMade { code: digest, account, kind, uses })?;
        Ok(Outcome::Done)
    }

    /// A node came by a code: its first counts, and only one that is open.
    fn come(
        &mut self,
        node: PublicKey,
        code: Digest,
        browser: Option<BrowserId>,
        at_ms: u64,
    ) -> Result<(), StoreError> {
        if self.tx.prepare_cached("SELECT 1 FROM invited WHERE node = ?1")?.exists([node.0])? {
            return Ok(());
        }
        let Some(account) = open_code(self.tx, code)? else { return Ok(()) };
        let same = "SELECT 1 FROM browsers LEFT JOIN nodes ON nodes.key = browsers.node
             WHERE browser = ?1 AND (nodes.account = ?2 OR browsers.node = ?2)";
        let same_browser = match browser {
            Some(browser) => self.tx.prepare_cached(same)?.exists(params![browser.0, account.0])?,
            None => false,
        };
        self.tx
            .prepare_cached("INSERT INTO invited VALUES (?1, ?2)")?
            .execute(params![node.0, code.0])?;
        self.tx
            .prepare_cached("UPDATE invitations SET used = used + 1 WHERE code = ?1")?
            .execute([code.0])?;
        self.say(at_ms, PeopleFact::InvitationUsed { code, node, same_browser })
    }

    fn team(
        &mut self,
        change: TeamChange,
        name: &Name,
        account: PublicKey,
        at_ms: u64,
    ) -> Result<Outcome, StoreError> {
        let refused = |refusal| Ok(Outcome::Refused(refusal));
        if is_closed(self.tx, account)? {
            return refused(Refusal::Closed);
        }
        let team = name.team();
        let entry = Entry::People { at_ms, fact: PeopleFact::Team { change, team, account } };
        let fact = fact(entry.kind() as u8, &entry.encode()).0;
        if self.tx.prepare_cached("SELECT 1 FROM facts WHERE digest = ?1")?.exists([fact])? {
            return Ok(Outcome::Done);
        }
        let known = "SELECT 1 FROM teams WHERE id = ?1";
        let known = self.tx.prepare_cached(known)?.exists([team.0])?;
        let own = team_of(self.tx, account)?;
        match change {
            TeamChange::Made if known => return refused(Refusal::TeamExists),
            TeamChange::Joined | TeamChange::Left if !known => return refused(Refusal::NoSuchTeam),
            TeamChange::Made | TeamChange::Joined if own.is_some() => {
                return refused(Refusal::InTeam);
            }
            TeamChange::Left if own != Some(team) => return refused(Refusal::NotInTeam),
            TeamChange::Made => {
                self.tx.prepare_cached("INSERT INTO teams VALUES (?1)")?.execute([team.0])?;
                self.name(&team.0, name)?;
            }
            TeamChange::Joined | TeamChange::Left => {}
        }
        if change == TeamChange::Left {
            let leave = "DELETE FROM members WHERE account = ?1";
            self.tx.prepare_cached(leave)?.execute([account.0])?;
        } else {
            let join = "INSERT INTO members VALUES (?1, ?2)";
            self.tx.prepare_cached(join)?.execute(params![account.0, team.0])?;
        }
        let seq = self.append(&entry)?;
        self.tx
            .prepare_cached("INSERT INTO facts VALUES (?1, ?2)")?
            .execute(params![fact, seq as i64])?;
        Ok(Outcome::Done)
    }

    fn name(&self, of: &[u8], name: &Name) -> Result<(), StoreError> {
        let put = "INSERT OR REPLACE INTO names VALUES (?1, ?2)";
        self.tx.prepare_cached(put)?.execute(params![of, name.as_str()])?;
        Ok(())
    }

    fn close(&mut self, account: PublicKey, at_ms: u64) -> Result<Outcome, StoreError> {
        // It may have run as a node since.
        self.tx.prepare_cached("DELETE FROM browsers WHERE node = ?1")?.execute([account.0])?;
        if is_closed(self.tx, account)? {
            return Ok(Outcome::Done);
        }
        for end in [
            "DELETE FROM names WHERE of = ?1",
            "DELETE FROM codes WHERE code IN (SELECT code FROM invitations WHERE account = ?1)",
            "DELETE FROM browsers WHERE node IN (SELECT key FROM nodes WHERE account = ?1)",
            "INSERT INTO closed VALUES (?1)",
            "DELETE FROM members WHERE account = ?1",
            "UPDATE nodes SET account = NULL WHERE account = ?1",
        ] {
            self.tx.prepare_cached(end)?.execute([account.0])?;
        }
        self.say(at_ms, PeopleFact::AccountClosed { account })?;
        Ok(Outcome::Done)
    }

    fn open(
        &mut self,
        id: CampaignId,
        terms: &CampaignTerms,
        at_ms: u64,
    ) -> Result<Outcome, StoreError> {
        let known = "SELECT 1 FROM campaigns WHERE id = ?1";
        if self.tx.prepare_cached(known)?.exists([id.0])? {
            return Ok(Outcome::Done);
        }
        let open = "SELECT count(*) FROM campaigns WHERE closed = 0 AND end_ms > ?1";
        let open =
            self.tx.prepare_cached(open)?.query_row([at_ms as i64], |row| unsigned(row, 0))?;
        if open >= MAX_CAMPAIGNS {
            return Ok(Outcome::Refused(Refusal::TooManyCampaigns));
        }
        self.tx
            .prepare_cached("INSERT INTO campaigns VALUES (?1, ?2, 0)")?
            .execute(params![id.0, terms.end_ms as i64])?;
        self.say(at_ms, PeopleFact::CampaignOpened { id, terms: terms.clone() })?;
        Ok(Outcome::Done)
    }

    fn end(&mut self, id: CampaignId, at_ms: u64) -> Result<Outcome, StoreError> {
        let close = "UPDATE campaigns SET closed = 1 WHERE id = ?1 AND closed = 0";
        if self.tx.prepare_cached(close)?.execute([id.0])? == 1 {
            self.say(at_ms, PeopleFact::CampaignClosed { id })?;
            return Ok(Outcome::Done);
        }
        let known = "SELECT 1 FROM campaigns WHERE id = ?1";
        let known = self.tx.prepare_cached(known)?.exists([id.0])?;
        Ok(if known { Outcome::Done } else { Outcome::Refused(Refusal::NoSuchCampaign) })
    }
}

/// Was this account deleted?
pub(crate) fn is_closed(db: &Connection, account: PublicKey) -> Result<bool, StoreError> {
    Ok(db.prepare_cached("SELECT 1 FROM closed WHERE account = ?1")?.exists([account.0])?)
}

/// The team that an account is in.
pub(crate) fn team_of(db: &Connection, account: PublicKey) -> Result<Option<TeamId>, StoreError> {
    let mut query = db.prepare_cached("SELECT team FROM members WHERE account = ?1")?;
    Ok(query.query_row([account.0], |row| row.get(0)).optional()?.map(TeamId))
}

/// Did a node come by a code, and the browser that it ran in last.
pub(crate) fn came(
    db: &Connection,
    node: PublicKey,
) -> Result<(bool, Option<BrowserId>), StoreError> {
    let came = db.prepare_cached("SELECT 1 FROM invited WHERE node = ?1")?.exists([node.0])?;
    let mut query = db.prepare_cached("SELECT browser FROM browsers WHERE node = ?1")?;
    let browser = query.query_row([node.0], |row| row.get(0)).optional()?;
    Ok((came, browser.map(BrowserId)))
}

/// Whose code this is, if a node can come by it.
pub(crate) fn open_code(db: &Connection, code: Digest) -> Result<Option<PublicKey>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT account FROM invitations WHERE code = ?1 AND used < uses
             AND account NOT IN (SELECT account FROM closed)",
    )?;
    Ok(query.query_row([code.0], |row| row.get(0)).optional()?.map(PublicKey))
}

/// What an account or a team is called.
pub(crate) fn name_of(db: &Connection, of: &[u8]) -> Result<Option<Name>, StoreError> {
    let mut query = db.prepare_cached("SELECT name FROM names WHERE of = ?1")?;
    let name: Option<String> = query.query_row([of], |row| row.get(0)).optional()?;
    Ok(name.and_then(|name| name.parse().ok()))
}

const CODE: &str = "SELECT account, kind, uses, used, text, name, origins, made_ms
    FROM invitations JOIN codes USING (code)";

/// A code, if its account was not deleted.
pub(crate) fn code(db: &Connection, code: Digest) -> Result<Option<CodeRow>, StoreError> {
    let mut query = db.prepare_cached(&format!("{CODE} WHERE code = ?1"))?;
    query.query_row([code.0], |row| Ok(code_row(row))).optional()?.transpose()
}

/// An account's codes, newest first.
pub(crate) fn codes(
    db: &Connection,
    account: PublicKey,
) -> Result<Vec<MadeInvitation>, StoreError> {
    let all = format!("{CODE} WHERE account = ?1 ORDER BY made_ms DESC, text");
    let mut query = db.prepare_cached(&all)?;
    let rows = query.query_map([account.0], |row| Ok(code_row(row)))?;
    rows.map(|row| Ok(row??.made)).collect()
}

fn code_row(row: &Row<'_>) -> Result<CodeRow, StoreError> {
    let wrong = StoreError::Row("an invitation");
    let kind = InvitationKind::from_number(row.get(1)?);
    let (text, name): (String, Option<String>) = (row.get(4)?, row.get(5)?);
    let (Some(kind), Ok(code)) = (kind, text.parse()) else { return Err(wrong) };
    let origins: String = row.get(6)?;
    let made = MadeInvitation {
        code,
        kind,
        name: name.and_then(|name| name.parse().ok()),
        origins: serde_json::from_str(&origins).map_err(|_| wrong)?,
        uses: row.get(2)?,
        used: row.get(3)?,
        made_ms: unsigned(row, 7)?,
    };
    Ok(CodeRow { account: PublicKey(row.get(0)?), made })
}

/// The nodes that are linked to an account.
pub(crate) fn nodes(db: &Connection, account: PublicKey) -> Result<Vec<PublicKey>, StoreError> {
    let mut query = db.prepare_cached("SELECT key FROM nodes WHERE account = ?1 ORDER BY key")?;
    let rows = query.query_map([account.0], |row| row.get(0).map(PublicKey))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The browsers of an account's nodes, and of itself where it is a node.
pub(crate) fn browsers(
    db: &Connection,
    account: PublicKey,
) -> Result<Vec<NodeBrowser>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT node, browser FROM browsers WHERE node = ?1
             OR node IN (SELECT key FROM nodes WHERE account = ?1) ORDER BY node",
    )?;
    let rows = query.query_map([account.0], |row| {
        Ok(NodeBrowser { node: PublicKey(row.get(0)?), browser: BrowserId(row.get(1)?) })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
