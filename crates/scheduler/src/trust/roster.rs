//! Nodes on line, from which checkers are drawn.

use super::vote::Draw;
use grid_protocol::PublicKey;
use grid_protocol::entry::{Member, Unanswered};
use std::collections::HashMap;

/// Places of a draw that are looked at for candidates.
const PLACES: u32 = 64;
/// Different nodes that a draw names at most.
const CANDIDATES: usize = 8;

/// The nodes on line, in an order that the log determines.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    members: Vec<Member>,
    places: HashMap<PublicKey, usize>,
    /// Tags of every node that ever was on it: a voter may have left.
    tags: HashMap<PublicKey, ([u8; 8], [u8; 8])>,
}

impl Roster {
    /// Applies a Roster entry: first removes (the last member takes the free
    /// place), then appends. Who is there already gets its new tags and keeps
    /// its place.
    pub fn apply(&mut self, added: &[Member], removed: &[PublicKey]) {
        for node in removed {
            let Some(place) = self.places.remove(node) else { continue };
            self.members.swap_remove(place);
            if let Some(moved) = self.members.get(place) {
                self.places.insert(moved.node, place);
            }
        }
        for member in added {
            self.tags.insert(member.node, (member.network, member.account));
            match self.places.get(&member.node).and_then(|place| self.members.get_mut(*place)) {
                Some(there) => *there = *member,
                None => {
                    self.places.insert(member.node, self.members.len());
                    self.members.push(*member);
                }
            }
        }
    }

    /// Nodes on line.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Is no node on line?
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The member of this node, if it is on line.
    pub fn member(&self, node: &PublicKey) -> Option<&Member> {
        self.places.get(node).and_then(|place| self.members.get(*place))
    }

    /// The draw's candidate `i`, from 0; the same member may come again.
    pub fn candidate(&self, draw: &Draw, i: u32) -> Option<&Member> {
        self.members.get(draw.candidate(i, self.members.len())?)
    }

    /// Whom a draw names to check beside these voters: each node at its first
    /// place, in order; of the first 64 places, at most 8 nodes.
    pub fn candidates(&self, draw: &Draw, voters: &[PublicKey]) -> Vec<(u32, PublicKey)> {
        let mut found: Vec<(u32, PublicKey)> = Vec::new();
        for place in 0..PLACES {
            let Some(member) = self.candidate(draw, place) else { break };
            let new = found.iter().all(|(_, node)| *node != member.node);
            if new && self.eligible(member, voters) {
                found.push((place, member.node));
                if found.len() == CANDIDATES {
                    break;
                }
            }
        }
        found
    }

    /// May `member` vote beside these voters? Not if it is one of them, or
    /// shares a network or an account with one.
    pub fn eligible(&self, member: &Member, voters: &[PublicKey]) -> bool {
        voters.iter().all(|voter| {
            let near = self.tags.get(voter).is_some_and(|(network, account)| {
                same(network, &member.network) || same(account, &member.account)
            });
            *voter != member.node && !near
        })
    }
}

/// Whom of a draw the log passes over.
#[derive(Debug, Clone, Default)]
pub struct Excuses {
    nodes: Vec<PublicKey>,
    /// Everybody up to this place.
    crowd: Option<u32>,
}

impl Excuses {
    /// An Unanswered entry says so. `node` is passed over at all its places.
    pub fn add(&mut self, place: u32, node: PublicKey, why: Unanswered) {
        if why == Unanswered::Crowded {
            self.crowd = self.crowd.max(Some(place));
        } else if !self.nodes.contains(&node) {
            self.nodes.push(node);
        }
    }

    /// Is the node at this place passed over?
    pub fn covers(&self, place: u32, node: &PublicKey) -> bool {
        self.crowd >= Some(place) || self.nodes.contains(node)
    }
}

/// Are these the same group? Zeros are no group.
fn same(one: &[u8; 8], other: &[u8; 8]) -> bool {
    one == other && *one != [0; 8]
}
