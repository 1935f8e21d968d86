//! Which page: the part of the address behind `#`, so that every page is one
//! document, which the relay serves and which works off line.

use grid_protocol::{CampaignId, InvitationCode, JobId, PublicKey, TeamId};
use std::fmt;

/// Entries that a log can hold, as crate `log` has it.
const MAX_ENTRY: u64 = 1 << 53;

/// A page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// What the network does now.
    Overview,
    /// Who earned what.
    Leaders,
    /// A proof, from a file or of the settlement in this entry.
    Check(Option<u64>),
    /// The whole log, recomputed.
    Audit,
    /// How a node stands.
    Node(PublicKey),
    /// An owner's job.
    Job(Option<JobId>),
    /// What an account has.
    Account(PublicKey),
    /// What a team has.
    Team(TeamId),
    /// Every campaign, or one.
    Campaigns(Option<CampaignId>),
    /// What an invitation is, and how to join.
    Invite(InvitationCode),
    /// Something to compute.
    Submit,
    /// What the operator sees.
    Operate,
    /// No page of ours.
    Unknown,
}

impl Route {
    /// The page of an address's fragment, with or without its `#`. A query
    /// from outside, `?task=ENTRY`, is asked through [`Route::of_query`].
    pub fn parse(fragment: &str) -> Self {
        let path = fragment.trim_start_matches('#').trim_matches('/');
        let mut parts = path.splitn(2, '/');
        let (page, rest) = (parts.next().unwrap_or_default(), parts.next());
        let found = match (page, rest) {
            ("", None) => Some(Self::Overview),
            ("leaders", None) => Some(Self::Leaders),
            ("check", None) => Some(Self::Check(None)),
            ("check", Some(seq)) => entry(seq).map(|seq| Self::Check(Some(seq))),
            ("audit", None) => Some(Self::Audit),
            ("node", Some(key)) => key.parse().ok().map(Self::Node),
            ("account", Some(key)) => key.parse().ok().map(Self::Account),
            ("team", Some(id)) => id.parse().ok().map(Self::Team),
            ("campaigns", None) => Some(Self::Campaigns(None)),
            ("campaign", Some(id)) => id.parse().ok().map(|id| Self::Campaigns(Some(id))),
            ("invite", Some(code)) => code.parse().ok().map(Self::Invite),
            ("submit", None) => Some(Self::Submit),
            ("operate", None) => Some(Self::Operate),
            ("job", None) => Some(Self::Job(None)),
            ("job", Some(id)) => id.parse().ok().map(|id| Self::Job(Some(id))),
            _ => None,
        };
        found.unwrap_or(Self::Unknown)
    }

    /// The page that a query asks for: `?task=ENTRY` is the proof of the task
    /// that this entry settles.
    pub fn of_query(query: &str) -> Option<Self> {
        let pairs = query.trim_start_matches('?').split('&');
        let task = pairs.filter_map(|pair| pair.strip_prefix("task=")).next()?;
        Some(entry(task).map_or(Self::Unknown, |seq| Self::Check(Some(seq))))
    }

    /// The page's name.
    pub fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Leaders => "Leaderboard",
            Self::Check(_) => "Check a proof",
            Self::Audit => "Recompute",
            Self::Node(_) => "Node",
            Self::Job(_) => "Job",
            Self::Account(_) => "Account",
            Self::Team(_) => "Team",
            Self::Campaigns(_) => "Campaigns",
            Self::Invite(_) => "Invitation",
            Self::Submit => "Submit",
            Self::Operate => "Operate",
            Self::Unknown => "Not found",
        }
    }
}

/// Entries are numbered from 1.
fn entry(text: &str) -> Option<u64> {
    text.parse().ok().filter(|seq| (1..=MAX_ENTRY).contains(seq))
}

impl fmt::Display for Route {
    /// As an address's fragment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overview | Self::Unknown => write!(f, "#/"),
            Self::Leaders => write!(f, "#/leaders"),
            Self::Check(None) => write!(f, "#/check"),
            Self::Check(Some(seq)) => write!(f, "#/check/{seq}"),
            Self::Audit => write!(f, "#/audit"),
            Self::Node(key) => write!(f, "#/node/{key}"),
            Self::Account(key) => write!(f, "#/account/{key}"),
            Self::Team(id) => write!(f, "#/team/{id}"),
            Self::Campaigns(None) => write!(f, "#/campaigns"),
            Self::Campaigns(Some(id)) => write!(f, "#/campaign/{id}"),
            Self::Invite(code) => write!(f, "#/invite/{code}"),
            Self::Submit => write!(f, "#/submit"),
            Self::Operate => write!(f, "#/operate"),
            Self::Job(None) => write!(f, "#/job"),
            Self::Job(Some(id)) => write!(f, "#/job/{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_an_address() {
        let (key, job) = (PublicKey([7; 32]), JobId([9; 16]));
        for route in [
            Route::Overview,
            Route::Leaders,
            Route::Check(None),
            Route::Check(Some(12)),
            Route::Audit,
            Route::Node(key),
            Route::Account(key),
            Route::Team(TeamId([3; 16])),
            Route::Campaigns(None),
            Route::Campaigns(Some(CampaignId([4; 16]))),
            Route::Invite(InvitationCode::new([5; 12])),
            Route::Submit,
            Route::Operate,
            Route::Job(None),
            Route::Job(Some(job)),
        ] {
            assert_eq!(Route::parse(&route.to_string()), route);
        }
        assert_eq!(Route::parse(""), Route::Overview);
        assert_eq!(Route::parse("#/check/"), Route::Check(None));
    }

    #[test]
    fn addresses_that_nobody_made_lead_nowhere() {
        for address in ["#/x", "#/node", "#/node/zz", "#/check/0", "#/check/-1", "#/check/1/2"] {
            assert_eq!(Route::parse(address), Route::Unknown, "{address}");
        }
        assert_eq!(Route::parse(&format!("#/check/{}", u64::MAX)), Route::Unknown);
    }

    #[test]
    fn a_query_names_a_settlement() {
        assert_eq!(Route::of_query("?task=7"), Some(Route::Check(Some(7))));
        assert_eq!(Route::of_query("?a=b&task=7"), Some(Route::Check(Some(7))));
        assert_eq!(Route::of_query("?task=x"), Some(Route::Unknown));
        assert_eq!(Route::of_query("?a=b"), None);
        assert_eq!(Route::of_query(""), None);
    }
}
