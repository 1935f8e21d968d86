//! Accounts and what moves between them.

use grid_protocol::api::{Points, PostingInfo};
use grid_protocol::entry::OwnerTag;
use grid_protocol::{JobId, PublicKey};
use std::collections::{HashMap, VecDeque};
use std::fmt;

/// Movements of one person that are kept, where any are.
pub const KEPT: usize = 64;

/// Whose a balance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Account {
    /// Where everything comes from: granted by the operator, or issued by the
    /// rules of rewards. Its balance is what was issued, below zero.
    Issued,
    /// An owner's budget.
    Owner(OwnerTag),
    /// What a job reserved and hasn't paid.
    Job(JobId),
    /// What a node's results hold until they are settled.
    Held(PublicKey),
    /// What a person has, confirmed: an account, or a node linked to none.
    Person(PublicKey),
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issued => f.write_str("issued"),
            Self::Owner(tag) => {
                f.write_str("owner:")?;
                tag.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Job(job) => write!(f, "job:{job}"),
            Self::Held(node) => write!(f, "held:{node}"),
            Self::Person(person) => write!(f, "person:{person}"),
        }
    }
}

/// Why something moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The operator grants an owner fuel.
    Grant,
    /// A job starts.
    Reserve,
    /// A job ends, and gives back what it left.
    Refund,
    /// A receipt was committed, and is not settled.
    Hold,
    /// A held receipt lost, or its job ended.
    TakenBack,
    /// A node's receipt agrees with a canonical result.
    Work,
    /// The same, of a node on a person's site.
    Site,
    /// A share of the work of whom a person invited.
    Invited,
    /// A campaign.
    Campaign,
    /// Challenges that a node answered in a day.
    Availability,
    /// A day on which a node passed every check.
    Reliability,
    /// A node was linked to an account for the first time: what it has is the
    /// account's.
    Linked,
}

impl Reason {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Reserve => "reserve",
            Self::Refund => "refund",
            Self::Hold => "hold",
            Self::TakenBack => "taken_back",
            Self::Work => "work",
            Self::Site => "site",
            Self::Invited => "invited",
            Self::Campaign => "campaign",
            Self::Availability => "availability",
            Self::Reliability => "reliability",
            Self::Linked => "linked",
        }
    }

    /// Where what a person gets for this is counted.
    pub(crate) fn of(self, points: &mut Points) -> Option<&mut u64> {
        Some(match self {
            Self::Work => &mut points.work,
            Self::Site => &mut points.site,
            Self::Invited => &mut points.invited,
            Self::Campaign => &mut points.campaign,
            Self::Availability => &mut points.availability,
            Self::Reliability => &mut points.reliability,
            _ => return None,
        })
    }
}

/// A movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting {
    /// The entry that it follows from.
    pub seq: u64,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    /// From which account.
    pub from: Account,
    /// To which.
    pub to: Account,
    /// How much fuel.
    pub amount: u64,
    /// What for.
    pub reason: Reason,
}

impl Posting {
    /// As the API tells it.
    pub fn info(&self) -> PostingInfo {
        PostingInfo {
            seq: self.seq,
            time_ms: self.at_ms,
            from: self.from.to_string(),
            to: self.to.to_string(),
            amount: self.amount,
            reason: self.reason.name().into(),
        }
    }
}

/// Balances. Sums of amounts below 2^64 stay inside an `i128`.
#[derive(Debug, Default)]
pub(crate) struct Book {
    balances: HashMap<Account, i128>,
    /// The last movements of persons, newest last; `None`: none are kept.
    kept: Option<HashMap<PublicKey, VecDeque<Posting>>>,
}

impl Book {
    pub(crate) fn keep(&mut self) {
        self.kept.get_or_insert_default();
    }

    /// Moves an amount; nothing of 0 is written.
    pub(crate) fn post(&mut self, posting: Posting) {
        let amount = i128::from(posting.amount);
        if amount == 0 {
            return;
        }
        self.add(posting.from, -amount);
        self.add(posting.to, amount);
        let Some(kept) = &mut self.kept else { return };
        for side in [posting.from, posting.to] {
            if let Account::Person(person) = side {
                let last = kept.entry(person).or_default();
                if last.len() == KEPT {
                    last.pop_front();
                }
                last.push_back(posting);
            }
        }
    }

    fn add(&mut self, account: Account, amount: i128) {
        let balance = self.balances.entry(account).or_default();
        *balance += amount;
        // Jobs and held results come and go: what is zero takes no room.
        if *balance == 0 {
            self.balances.remove(&account);
        }
    }

    pub(crate) fn balance(&self, account: Account) -> i128 {
        self.balances.get(&account).copied().unwrap_or_default()
    }

    pub(crate) fn balances(&self) -> impl Iterator<Item = (Account, i128)> {
        self.balances.iter().map(|(account, balance)| (*account, *balance))
    }

    pub(crate) fn kept(&self, person: &PublicKey) -> impl Iterator<Item = &Posting> {
        let kept = self.kept.as_ref().and_then(|kept| kept.get(person));
        kept.into_iter().flatten().rev()
    }
}
