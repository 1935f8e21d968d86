//! Who is whose: nodes, accounts, invitations, teams.

use crate::Ledger;
use crate::book::{Account, Reason};
use crate::week::Week;
use grid_protocol::api::{Points, Suspicion};
use grid_protocol::entry::{InvitationKind, TeamChange};
use grid_protocol::{Digest, PublicKey, TeamId};
use std::collections::{BTreeSet, HashMap};

/// Accounts that are remembered for having used their own codes.
const MOST_OWN_CODES: usize = 1_000;
/// Invitations that a search for a ring follows.
const LONGEST_RING: usize = 10_000;

/// A node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    /// Fuel of receipts that were credited.
    pub(crate) work: u64,
    /// Those receipts.
    pub(crate) tasks: u64,
    /// Both, of the last days.
    pub(crate) work_by_day: Week,
    pub(crate) tasks_by_day: Week,
    /// An answer of it lost.
    pub(crate) caught: bool,
    /// Whose it is.
    pub(crate) account: Option<PublicKey>,
    /// Was it ever linked?
    linked: bool,
    /// Did it come by a code?
    pub(crate) came: bool,
    /// It had verified work before it was linked, and by an invitation that it
    /// didn't bring: nobody is paid for having brought it.
    pub(crate) proven_before: bool,
    /// Whose site it is on.
    pub(crate) site: Option<PublicKey>,
    /// Where it joined from last, by the roster; zeros: not known to the relay.
    network: Option<[u8; 8]>,
}

/// A person: an account, or a node that is linked to none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Person {
    pub(crate) points: Points,
    pub(crate) week: Week,
    /// An account's nodes.
    pub(crate) nodes: BTreeSet<PublicKey>,
    /// Where those (or itself) joined from last, and how many.
    networks: HashMap<[u8; 8], u32>,
    /// How many of them joined from somewhere, known to the relay or not.
    placed: u32,
    pub(crate) invited_by: Option<Invited>,
    /// How many came by its codes for friends.
    pub(crate) invited: u64,
    /// The day of the last share it got as an inviter, and that day's shares.
    shared: (u64, u64),
    pub(crate) team: Option<TeamId>,
    pub(crate) closed: bool,
}

impl Person {
    pub(crate) fn shared_on(&self, day: u64) -> u64 {
        if self.shared.0 == day { self.shared.1 } else { 0 }
    }

    pub(crate) fn share(&mut self, day: u64, amount: u64) {
        self.shared = (day, self.shared_on(day).saturating_add(amount));
    }

    fn joins_from(&mut self, network: Option<[u8; 8]>) {
        self.placed += u32::from(network.is_some());
        if let Some(network) = network.filter(|network| *network != [0; 8]) {
            *self.networks.entry(network).or_default() += 1;
        }
    }

    fn leaves(&mut self, network: Option<[u8; 8]>) {
        self.placed -= u32::from(network.is_some());
        if let Some(network) = network
            && let Some(count) = self.networks.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                self.networks.remove(&network);
            }
        }
    }
}

/// How a person came.
#[derive(Debug, Clone)]
pub(crate) struct Invited {
    pub(crate) inviter: PublicKey,
    pub(crate) at_ms: u64,
    /// Issued to the inviter for it so far.
    pub(crate) paid: u64,
    same_browser: bool,
    /// Its inviter came, at once or over others, by its own invitation.
    ring: bool,
}

/// An invitation code.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) account: PublicKey,
    pub(crate) kind: InvitationKind,
    pub(crate) uses: u32,
    pub(crate) used: u32,
}

/// A team.
#[derive(Debug, Clone, Default)]
pub(crate) struct Team {
    pub(crate) members: BTreeSet<PublicKey>,
    pub(crate) total: u64,
    pub(crate) week: Week,
    /// What each earned for it, also those who left.
    pub(crate) by: HashMap<PublicKey, u64>,
}

impl Team {
    pub(crate) fn earned(&mut self, member: PublicKey, day: u64, amount: u64) {
        self.total = self.total.saturating_add(amount);
        self.week.add(day, amount);
        let sum = self.by.entry(member).or_default();
        *sum = sum.saturating_add(amount);
    }
}

impl Ledger {
    pub(crate) fn person(&mut self, key: PublicKey) -> &mut Person {
        self.people.entry(key).or_default()
    }

    /// Whose a node is; an account is its own.
    pub(crate) fn person_of(&self, node: PublicKey) -> PublicKey {
        self.nodes.get(&node).and_then(|node| node.account).unwrap_or(node)
    }

    pub(crate) fn is_closed(&self, person: &PublicKey) -> bool {
        self.people.get(person).is_some_and(|person| person.closed)
    }

    /// A node joined from this network.
    pub(crate) fn moved_to(&mut self, key: PublicKey, network: [u8; 8]) {
        let node = self.nodes.entry(key).or_default();
        let before = node.network.replace(network);
        let person = node.account.unwrap_or(key);
        let person = self.people.entry(person).or_default();
        person.leaves(before);
        person.joins_from(Some(network));
    }

    /// Whether the log says where a node joined from, and where a node of its
    /// inviter's did: until then nobody can tell whether one sits beside the
    /// other.
    pub(crate) fn are_placed(&self, node: &PublicKey, inviter: &PublicKey) -> bool {
        let placed = self.nodes.get(node).is_some_and(|node| node.network.is_some());
        placed && self.people.get(inviter).is_some_and(|inviter| inviter.placed > 0)
    }

    /// A node is an account's from now on (nobody's for `None`). Gives back
    /// whether it was linked ever before.
    fn belongs(&mut self, key: PublicKey, account: Option<PublicKey>) -> bool {
        let node = self.nodes.entry(key).or_default();
        let (network, linked) = (node.network, node.linked);
        let before = std::mem::replace(&mut node.account, account);
        node.linked |= account.is_some();
        let person = self.people.entry(before.unwrap_or(key)).or_default();
        person.nodes.remove(&key);
        person.leaves(network);
        let person = self.people.entry(account.unwrap_or(key)).or_default();
        if account.is_some() {
            person.nodes.insert(key);
        }
        person.joins_from(network);
        linked
    }

    pub(crate) fn link(&mut self, node: PublicKey, account: PublicKey) {
        let known = self.nodes.get(&node).is_some_and(|node| node.account == Some(account));
        if known || node == account || self.is_closed(&account) {
            return;
        }
        let linked_before = self.belongs(node, Some(account));
        let brought = !linked_before && self.merge(node, account);
        let node = self.nodes.entry(node).or_default();
        node.proven_before |= node.work > 0 && !brought;
        // Whom the node invited, the account has now.
        self.find_ring(account);
    }

    /// A node that was its own person is an account's: what it has, and how it
    /// came, is the account's too. This happens once to a node, so that points
    /// can't wander from account to account. Gives back whether the account is
    /// invited as the node was.
    fn merge(&mut self, node: PublicKey, account: PublicKey) -> bool {
        let own = self.people.entry(node).or_default();
        let (points, week) = (std::mem::take(&mut own.points), std::mem::take(&mut own.week));
        let invited_by = own.invited_by.take();
        self.post(Account::Person(node), Account::Person(account), points.total(), Reason::Linked);
        let person = self.people.entry(account).or_default();
        let fresh = person.points.work == 0 && person.invited_by.is_none();
        person.points.add(&points);
        person.week.merge(&week);
        let paid = self.payees.values_mut();
        for sums in paid.chain(self.campaigns.values_mut().map(|campaign| &mut campaign.people)) {
            if let Some(sum) = sums.remove(&node) {
                let all = sums.entry(account).or_default();
                *all = all.saturating_add(sum);
            }
        }
        let Some(invited) = invited_by else { return false };
        let own = self.person_of(invited.inviter) == account;
        if own {
            self.own_code(account, node);
        } else if fresh {
            self.person(account).invited_by = Some(invited);
        }
        fresh && !own
    }

    fn own_code(&mut self, account: PublicKey, node: PublicKey) {
        if self.own_codes.len() < MOST_OWN_CODES || self.own_codes.contains_key(&account) {
            self.own_codes.entry(account).or_insert((node, 0)).1 += 1;
        }
    }

    /// A node came by a code. Its first code counts and no other, and a
    /// friend's only for a person who has no verified work yet.
    pub(crate) fn came_by(&mut self, code: Digest, key: PublicKey, same_browser: bool) {
        let Some(code) = self.codes.get_mut(&code).filter(|code| code.used < code.uses) else {
            return;
        };
        let node = self.nodes.entry(key).or_default();
        if node.came {
            return;
        }
        node.came = true;
        code.used += 1;
        let (account, kind) = (code.account, code.kind);
        match kind {
            InvitationKind::Site => node.site = Some(account),
            InvitationKind::Friend => {
                let (person, inviter) = (self.person_of(key), self.person_of(account));
                let of = self.person(person);
                if person == inviter {
                    self.own_code(inviter, key);
                } else if of.invited_by.is_none() && of.points.work == 0 {
                    let (inviter, at_ms) = (account, self.now_ms);
                    let invited = Invited { inviter, at_ms, paid: 0, same_browser, ring: false };
                    self.person(self.person_of(account)).invited += 1;
                    self.person(person).invited_by = Some(invited);
                    self.find_ring(person);
                }
            }
        }
    }

    /// Finds the ring that a person's invitation, or a node that became its,
    /// closes.
    fn find_ring(&mut self, person: PublicKey) {
        let mut ring = Vec::new();
        let mut at = person;
        while ring.len() < LONGEST_RING {
            match self.people.get(&at).and_then(|person| person.invited_by.as_ref()) {
                // Another ring, which this one only hangs on.
                Some(invited) if invited.ring => return,
                Some(invited) => {
                    ring.push(at);
                    at = self.person_of(invited.inviter);
                }
                None => return,
            }
            if at == person {
                break;
            }
        }
        if at == person {
            for member in ring {
                if let Some(invited) = &mut self.person(member).invited_by {
                    invited.ring = true;
                }
            }
        }
    }

    /// Why an invitation counts as made to oneself, if it does: its shares are
    /// not paid while that is so.
    pub(crate) fn self_made(
        &self,
        person: &PublicKey,
        inviter: &PublicKey,
        invited: &Invited,
    ) -> Option<Suspicion> {
        if person == inviter {
            return Some(Suspicion::SameAccount);
        }
        if invited.same_browser {
            return Some(Suspicion::SameBrowser);
        }
        if invited.ring {
            return Some(Suspicion::Ring);
        }
        let networks = |key| self.people.get(key).map(|person: &Person| &person.networks);
        let (own, theirs) = (networks(person)?, networks(inviter)?);
        let (few, many) = if own.len() < theirs.len() { (own, theirs) } else { (theirs, own) };
        few.keys().any(|network| many.contains_key(network)).then_some(Suspicion::SameNetwork)
    }

    pub(crate) fn team_changed(&mut self, change: TeamChange, id: TeamId, account: PublicKey) {
        match change {
            TeamChange::Made | TeamChange::Joined => {
                self.leave_team(account);
                self.teams.entry(id).or_default().members.insert(account);
                self.person(account).team = Some(id);
            }
            TeamChange::Left => self.leave_team(account),
        }
    }

    fn leave_team(&mut self, account: PublicKey) {
        let team = self.person(account).team.take();
        if let Some(team) = team.and_then(|team| self.teams.get_mut(&team)) {
            team.members.remove(&account);
        }
    }

    /// An account was deleted: its nodes are their own again, and it is
    /// rewarded no more. What it has stays.
    pub(crate) fn close(&mut self, account: PublicKey) {
        self.leave_team(account);
        let person = self.person(account);
        person.closed = true;
        person.invited_by = None;
        for node in person.nodes.clone() {
            self.belongs(node, None);
        }
    }
}
