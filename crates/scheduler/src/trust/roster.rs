//! Nodes on line, from which checkers are drawn.

use super::vote::Draw;
use grid_protocol::PublicKey;
use grid_protocol::entry::Member;
use std::collections::HashMap;

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

/// Are these the same group? Zeros are no group.
fn same(one: &[u8; 8], other: &[u8; 8]) -> bool {
    one == other && *one != [0; 8]
}
