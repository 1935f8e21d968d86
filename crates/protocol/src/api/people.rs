//! People, and what they earned: accounts, invitations, teams, campaigns, the
//! ledger. Amounts are fuel; times are milliseconds since 1970-01-01 UTC.
//!
//! A *person* is an account, or a node that is linked to none: both are a key.

use crate::entry::InvitationKind;
use crate::{BrowserId, CampaignId, InvitationCode, Name, PublicKey, Runtime, TeamId};
use serde::{Deserialize, Serialize};

/// What a person has, by what it was for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Points {
    /// Verified work of its own nodes.
    pub work: u64,
    /// Verified work of nodes on its sites.
    pub site: u64,
    /// Shares of the work of those it invited.
    pub invited: u64,
    /// Campaigns.
    pub campaign: u64,
    /// Challenges that its nodes answered.
    pub availability: u64,
    /// Days on which its nodes passed every check.
    pub reliability: u64,
}

impl Points {
    /// All of it.
    pub fn total(&self) -> u64 {
        let Self { work, site, invited, campaign, availability, reliability } = *self;
        [work, site, invited, campaign, availability, reliability]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        for (own, more) in [
            (&mut self.work, other.work),
            (&mut self.site, other.site),
            (&mut self.invited, other.invited),
            (&mut self.campaign, other.campaign),
            (&mut self.availability, other.availability),
            (&mut self.reliability, other.reliability),
        ] {
            *own = own.saturating_add(more);
        }
    }
}

/// Answer to `GET /v1/accounts/{account}`: what anyone may see of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PersonInfo {
    /// Its key.
    pub key: PublicKey,
    /// What it wants to be called.
    pub name: Option<Name>,
    /// Its nodes, at most 100; a node that is linked to no account is its own.
    pub nodes: Vec<PublicKey>,
    /// Its nodes in all.
    pub nodes_count: u64,
    /// What it has.
    pub points: Points,
    /// All of that.
    pub total: u64,
    /// Of its nodes' results that are not settled yet.
    pub held: u64,
    /// Earned since 00:00 UTC.
    pub today: u64,
    /// Earned today and in the six days before.
    pub week: u64,
    /// Its team.
    pub team: Option<TeamRef>,
    /// Who came by its codes for friends.
    pub invited: u64,
    /// Was the account deleted? Then it is rewarded no more.
    pub closed: bool,
    /// The last entry that counts.
    pub seq: u64,
    /// False while the relay still reads its older entries.
    pub complete: bool,
}

/// A team, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TeamRef {
    /// Its id.
    pub id: TeamId,
    /// Its name, unless the relay forgot it.
    pub name: Option<Name>,
}

/// Answer to `GET /v1/leaders?of=people`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PeopleLeaders {
    /// From when on is counted; 0: from the log's beginning. Days are those of
    /// UTC.
    pub from_ms: u64,
    /// False while the relay still reads its older entries.
    pub complete: bool,
    /// Most first, at most 100.
    pub people: Vec<PersonEarned>,
    /// People that earned something in all.
    pub count: u64,
    /// The last entry that counts.
    pub seq: u64,
}

/// What a person earned in a span.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PersonEarned {
    /// Its key.
    pub key: PublicKey,
    /// What it wants to be called.
    pub name: Option<Name>,
    /// How much.
    pub earned: u64,
}

/// Answer to `GET /v1/leaders?of=teams`, and to `GET /v1/teams`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TeamLeaders {
    /// From when on is counted; 0: from the log's beginning. Days are those of
    /// UTC.
    pub from_ms: u64,
    /// False while the relay still reads its older entries.
    pub complete: bool,
    /// Most first, at most 100.
    pub teams: Vec<TeamEarned>,
    /// Teams that have members in all.
    pub count: u64,
    /// The last entry that counts.
    pub seq: u64,
}

/// What a team's members earned in a span, while they were its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TeamEarned {
    /// Its id.
    pub id: TeamId,
    /// Its name, unless the relay forgot it.
    pub name: Option<Name>,
    /// Members now.
    pub members: u64,
    /// How much.
    pub earned: u64,
}

/// Answer to `GET /v1/teams/{name}`, to making a team, and to joining and
/// leaving it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TeamInfo {
    /// Its id.
    pub id: TeamId,
    /// Its name.
    pub name: Option<Name>,
    /// Members now.
    pub members: u64,
    /// What members earned in all while they were.
    pub total: u64,
    /// The same, today and in the six days before.
    pub week: u64,
    /// Members, most first, at most 100: what each earned for this team.
    pub leaders: Vec<PersonEarned>,
}

/// Body of `POST /v1/teams`, and of `PUT /v1/accounts/{account}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The name.
    pub name: Name,
}

/// Answer to `GET /v1/campaigns/{campaign}`; `GET /v1/campaigns` lists them without
/// leaders, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CampaignInfo {
    /// Its id.
    pub id: CampaignId,
    /// Its name.
    pub name: String,
    /// When it begins.
    pub start_ms: u64,
    /// When it ends.
    pub end_ms: u64,
    /// When the operator closed it, if before its end.
    pub closed_ms: Option<u64>,
    /// Verified work that it is to reach.
    pub goal: u64,
    /// Verified work so far.
    pub work: u64,
    /// What is issued on top of verified work, in millionths of it.
    pub bonus_ppm: u32,
    /// Only work of this runtime counts.
    pub runtime: Option<Runtime>,
    /// People whose work counted.
    pub count: u64,
    /// Most work first, at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaders: Vec<PersonEarned>,
}

/// Body of `POST /v1/invitations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    /// What for.
    pub kind: InvitationKind,
    /// What it is called: for a site, what its visitors are shown.
    #[serde(default)]
    pub name: Option<Name>,
    /// A site's origins, `https://host` each, at most 16.
    #[serde(default)]
    pub origins: Vec<String>,
    /// How many nodes may come by it; left out, as many as the kind allows.
    #[serde(default)]
    pub uses: Option<u32>,
}

/// Answer to `POST /v1/invitations`; `GET /v1/invitations` lists an account's
/// own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MadeInvitation {
    /// The code.
    pub code: InvitationCode,
    /// What for.
    pub kind: InvitationKind,
    /// What it is called.
    pub name: Option<Name>,
    /// A site's origins.
    pub origins: Vec<String>,
    /// How many nodes may come by it.
    pub uses: u32,
    /// How many came.
    pub used: u32,
    /// When it was made.
    pub made_ms: u64,
}

/// Answer to `GET /v1/invitations/{code}`: what whoever has a code may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InvitationInfo {
    /// The code, as it is written.
    pub code: InvitationCode,
    /// What for.
    pub kind: InvitationKind,
    /// Who gets points by it.
    pub account: PublicKey,
    /// What that account wants to be called; for a site, its name.
    pub name: Option<Name>,
    /// A site's origins: its widget works there only.
    pub origins: Vec<String>,
    /// May a node still come by it?
    pub open: bool,
    /// Share of a visitor's own points that the site gets, in millionths; 0
    /// for a friend's code, which takes nothing from who comes by it.
    pub share_ppm: u32,
    /// What the inviter is issued on top for a friend's verified work, in
    /// millionths of it; 0 for a site's code.
    pub inviter_ppm: u32,
}

/// A movement in the ledger: a line of `GET /v1/ledger/{account}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PostingInfo {
    /// The entry that it follows from.
    pub seq: u64,
    /// When.
    pub time_ms: u64,
    /// From which account of the ledger: `issued`, `owner:TAG`, `job:ID`,
    /// `held:NODE`, `person:KEY`.
    pub from: String,
    /// To which.
    pub to: String,
    /// How much.
    pub amount: u64,
    /// What for: `grant`, `reserve`, `refund`, `hold`, `taken_back`, `work`,
    /// `site`, `invited`, `campaign`, `availability`, `reliability`, `linked`.
    pub reason: String,
}

/// Answer to `GET /v1/ledger/{account}`: a person's last movements, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PostingsInfo {
    /// The person.
    pub key: PublicKey,
    /// At most 64.
    pub postings: Vec<PostingInfo>,
    /// The last entry that counts.
    pub seq: u64,
    /// False while the relay still reads its older entries.
    pub complete: bool,
}

/// Answer to `GET /v1/ledger`: every account's balance after an entry, so that
/// an auditor can say where the relay differs from the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LedgerInfo {
    /// The last entry that counts.
    pub seq: u64,
    /// False while the relay still reads its older entries.
    pub complete: bool,
    /// What was issued beside owners' budgets and to them, as a negative
    /// number: all accounts together are zero. These four are decimal digits in
    /// a text, since they may be longer than numbers in JSON.
    #[serde(with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub issued: i128,
    /// Owners' budgets.
    #[serde(with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub owners: i128,
    /// Reserved by jobs that run.
    #[serde(with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub jobs: i128,
    /// Held for results that are not settled.
    #[serde(with = "text")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub held: i128,
    /// Everyone who has something, by key.
    pub people: Vec<PersonPoints>,
}

/// What a person has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PersonPoints {
    /// Its key.
    pub key: PublicKey,
    /// What it has.
    pub points: Points,
}

/// Answer to `GET /v1/account-export`: everything that the relay holds of an
/// account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccountExport {
    /// What anyone may see.
    pub person: PersonInfo,
    /// Its codes.
    pub invitations: Vec<MadeInvitation>,
    /// By whose code it came.
    pub invited_by: Option<PublicKey>,
    /// Every node that is linked to it.
    pub nodes: Vec<PublicKey>,
    /// Its nodes, and the browsers that they ran in.
    pub browsers: Vec<NodeBrowser>,
    /// Its last movements in the ledger.
    pub postings: Vec<PostingInfo>,
}

/// The browser in which a node ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NodeBrowser {
    /// The node.
    pub node: PublicKey,
    /// The browser.
    pub browser: BrowserId,
}

/// Why the operator should look at someone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Suspicion {
    /// It came by a code of its own.
    SameAccount,
    /// It came from a browser in which the inviter's node ran.
    SameBrowser,
    /// It is in one network with the inviter.
    SameNetwork,
    /// It invited, over others or at once, who invited it.
    Ring,
    /// An owner's budget pays it nearly alone, though others work too.
    OnePayee,
}

/// Answer to `GET /v1/operator/suspects`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Suspects {
    /// How many there are.
    pub count: u64,
    /// Those to whom most was paid first, at most 1000.
    pub suspects: Vec<Suspect>,
}

/// Whom the operator should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Suspect {
    /// Why.
    pub why: Suspicion,
    /// Who gets points by it.
    pub person: PublicKey,
    /// By whom: who was invited; nobody for [`Suspicion::OnePayee`].
    pub other: Option<PublicKey>,
    /// Paid to `person` by it so far: shares of self-invitations are not.
    pub paid: u64,
    /// In words.
    pub words: String,
}

/// Numbers that may be too long for JSON's, as text.
mod text {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &i128, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<i128, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
