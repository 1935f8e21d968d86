//! Entries about people: accounts, invitations, teams, campaigns, and the
//! rules of rewards. They name keys, digests and ids; what a campaign is called
//! is the only text, and the operator's.

use super::{Kind, MAX_RULES, take};
use crate::{CampaignId, Digest, PublicKey, Runtime, TeamId};

/// Bytes of a campaign's name at most.
pub const MAX_CAMPAIGN_NAME: usize = 64;
/// A campaign's runtime that is every runtime.
const ANY_RUNTIME: u8 = 255;

/// A fact about people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeopleFact {
    /// An account was deleted: its nodes are linked no more, and it is rewarded
    /// no more.
    AccountClosed {
        /// The account.
        account: PublicKey,
    },
    /// An account made an invitation code.
    InvitationMade {
        /// [`crate::InvitationCode::digest`].
        code: Digest,
        /// Who invites.
        account: PublicKey,
        /// What for.
        kind: InvitationKind,
        /// How many nodes may come by it.
        uses: u32,
    },
    /// A node came by a code, its first.
    InvitationUsed {
        /// The code's digest.
        code: Digest,
        /// The node.
        node: PublicKey,
        /// It runs in a browser in which a node of the inviter ran, as far as
        /// the relay knows.
        same_browser: bool,
    },
    /// The operator opened a campaign.
    CampaignOpened {
        /// Its id.
        id: CampaignId,
        /// What it offers.
        terms: CampaignTerms,
    },
    /// The operator closed a campaign before its end.
    CampaignClosed {
        /// Its id.
        id: CampaignId,
    },
    /// From here on rewards follow these rules.
    Rewards {
        /// The ledger's encoding of them; at most [`MAX_RULES`] bytes.
        rules: Vec<u8>,
    },
    /// A team was made, joined or left.
    Team {
        /// How.
        change: TeamChange,
        /// The team.
        team: TeamId,
        /// By whom.
        account: PublicKey,
    },
}

/// What an invitation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum InvitationKind {
    /// For a person: the inviter gets a share on top of their work.
    Friend = 0,
    /// For the visitors of a site: the site's account gets a share of their
    /// nodes' own points.
    Site = 1,
}

impl InvitationKind {
    /// The kind with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Friend, Self::Site].get(usize::from(number)).copied()
    }
}

/// How a team changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TeamChange {
    /// It was made; who made it is its first member.
    Made = 0,
    /// An account joined.
    Joined = 1,
    /// An account left.
    Left = 2,
}

/// What a campaign offers. Times are milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignTerms {
    /// When it begins.
    pub start_ms: u64,
    /// When it ends; not before it begins.
    pub end_ms: u64,
    /// Fuel of verified work that it is to reach.
    pub goal: u64,
    /// What is issued on top of verified work, in millionths of it.
    pub bonus_ppm: u32,
    /// Only work of this runtime counts; `None`: all of it.
    pub runtime: Option<Runtime>,
    /// For people; at most [`MAX_CAMPAIGN_NAME`] bytes.
    pub name: String,
}

impl PeopleFact {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::AccountClosed { .. } => Kind::AccountLink,
            Self::InvitationMade { .. } | Self::InvitationUsed { .. } => Kind::Invitation,
            Self::CampaignOpened { .. } | Self::CampaignClosed { .. } => Kind::Campaign,
            Self::Rewards { .. } => Kind::Rewards,
            Self::Team { .. } => Kind::Team,
        }
    }

    pub(super) fn tag(&self) -> u8 {
        match self {
            Self::InvitationMade { .. } | Self::CampaignOpened { .. } | Self::Rewards { .. } => 0,
            Self::AccountClosed { .. }
            | Self::InvitationUsed { .. }
            | Self::CampaignClosed { .. } => 1,
            Self::Team { change, .. } => *change as u8,
        }
    }

    /// What follows kind, tag and time.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::AccountClosed { account } => out.extend_from_slice(&account.0),
            // code ‖ account ‖ kind ‖ uses
            Self::InvitationMade { code, account, kind, uses } => {
                out.extend_from_slice(&code.0);
                out.extend_from_slice(&account.0);
                out.push(*kind as u8);
                out.extend_from_slice(&uses.to_le_bytes());
            }
            // code ‖ node ‖ same browser (0 or 1)
            Self::InvitationUsed { code, node, same_browser } => {
                out.extend_from_slice(&code.0);
                out.extend_from_slice(&node.0);
                out.push(u8::from(*same_browser));
            }
            // id ‖ start ‖ end ‖ goal ‖ bonus ‖ runtime (255: any) ‖ name (u8 length)
            Self::CampaignOpened { id, terms } => {
                out.extend_from_slice(&id.0);
                for number in [terms.start_ms, terms.end_ms, terms.goal] {
                    out.extend_from_slice(&number.to_le_bytes());
                }
                out.extend_from_slice(&terms.bonus_ppm.to_le_bytes());
                out.push(terms.runtime.map_or(ANY_RUNTIME, Runtime::number));
                out.push(terms.name.len() as u8);
                out.extend_from_slice(terms.name.as_bytes());
            }
            Self::CampaignClosed { id } => out.extend_from_slice(&id.0),
            Self::Rewards { rules } => out.extend_from_slice(rules),
            // team ‖ account
            Self::Team { team, account, .. } => {
                out.extend_from_slice(&team.0);
                out.extend_from_slice(&account.0);
            }
        }
    }

    pub(super) fn take(kind: u8, tag: u8, rest: &mut &[u8]) -> Option<Self> {
        Some(match (kind, tag) {
            (6, 1) => Self::AccountClosed { account: PublicKey(take(rest)?) },
            (7, 0) => Self::InvitationMade {
                code: Digest(take(rest)?),
                account: PublicKey(take(rest)?),
                kind: InvitationKind::from_number(take::<1>(rest)?[0])?,
                uses: u32::from_le_bytes(take(rest)?),
            },
            (7, 1) => Self::InvitationUsed {
                code: Digest(take(rest)?),
                node: PublicKey(take(rest)?),
                same_browser: match take(rest)? {
                    [0] => false,
                    [1] => true,
                    _ => return None,
                },
            },
            (8, 0) => Self::CampaignOpened { id: CampaignId(take(rest)?), terms: terms(rest)? },
            (8, 1) => Self::CampaignClosed { id: CampaignId(take(rest)?) },
            (11, 0) if rest.len() <= MAX_RULES => {
                Self::Rewards { rules: std::mem::take(rest).to_vec() }
            }
            (12, 0..=2) => Self::Team {
                change: [TeamChange::Made, TeamChange::Joined, TeamChange::Left][usize::from(tag)],
                team: TeamId(take(rest)?),
                account: PublicKey(take(rest)?),
            },
            _ => return None,
        })
    }
}

fn terms(rest: &mut &[u8]) -> Option<CampaignTerms> {
    let (start_ms, end_ms) = (u64::from_le_bytes(take(rest)?), u64::from_le_bytes(take(rest)?));
    let goal = u64::from_le_bytes(take(rest)?);
    let bonus_ppm = u32::from_le_bytes(take(rest)?);
    let runtime = match take(rest)? {
        [ANY_RUNTIME] => None,
        [number] => Some(Runtime::from_number(number)?),
    };
    let [length] = take(rest)?;
    let (name, after) = rest.split_at_checked(usize::from(length))?;
    *rest = after;
    if name.len() > MAX_CAMPAIGN_NAME || end_ms < start_ms {
        return None;
    }
    let name = std::str::from_utf8(name).ok()?.to_owned();
    Some(CampaignTerms { start_ms, end_ms, goal, bonus_ppm, runtime, name })
}
