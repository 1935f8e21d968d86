//! Which facts about people a relay that follows the rules does not write.

use crate::{Ledger, RewardRules};
use grid_protocol::entry::{Entry, PeopleFact, TeamChange};
use thiserror::Error;

/// Why a fact about people is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Objection {
    /// The rules of rewards can't be decoded.
    #[error("the rules of rewards can't be decoded")]
    Rewards,
    /// A code is made once, used as often as it may be, and one is a node's
    /// first.
    #[error("the invitation is not known, used up, made twice, or not the node's first")]
    Invitation,
    /// A team is made once, joined by who is in none, and left by its members.
    #[error("the team is not known, made twice, or not its member's")]
    Team,
    /// A campaign is opened once, and closed once.
    #[error("the campaign is not known, opened twice, or closed already")]
    Campaign,
    /// A deleted account does nothing more.
    #[error("the account was deleted before")]
    Closed,
}

impl Ledger {
    /// Is this what the relay may write next?
    pub fn allows(&self, entry: &Entry) -> Result<(), Objection> {
        let ensure = |fine: bool, objection| if fine { Ok(()) } else { Err(objection) };
        let open = |account| ensure(!self.is_closed(account), Objection::Closed);
        let fact = match entry {
            Entry::AccountLink { delegation, .. } => return open(&delegation.account),
            Entry::People { fact, .. } => fact,
            _ => return Ok(()),
        };
        match fact {
            PeopleFact::AccountClosed { account } => open(account),
            PeopleFact::InvitationMade { code, account, .. } => {
                open(account)?;
                ensure(!self.codes.contains_key(code), Objection::Invitation)
            }
            PeopleFact::InvitationUsed { code, node, .. } => {
                let fits = self.codes.get(code).is_some_and(|code| code.used < code.uses);
                let first = !self.nodes.get(node).is_some_and(|node| node.came);
                ensure(fits && first, Objection::Invitation)
            }
            PeopleFact::CampaignOpened { id, .. } => {
                ensure(!self.campaigns.contains_key(id), Objection::Campaign)
            }
            PeopleFact::CampaignClosed { id } => {
                let campaign = self.campaigns.get(id);
                let runs = campaign.is_some_and(|campaign| campaign.closed_ms.is_none());
                ensure(runs, Objection::Campaign)
            }
            PeopleFact::Rewards { rules } => {
                ensure(RewardRules::decode(rules).is_ok(), Objection::Rewards)
            }
            PeopleFact::Team { change, team, account } => {
                open(account)?;
                let own = self.people.get(account).and_then(|person| person.team);
                let fine = match change {
                    TeamChange::Made => own.is_none() && !self.teams.contains_key(team),
                    TeamChange::Joined => own.is_none() && self.teams.contains_key(team),
                    TeamChange::Left => own == Some(*team),
                };
                ensure(fine, Objection::Team)
            }
        }
    }
}
