//! Nodes that checkers are drawn from: those on line, once the log says so.

use grid_protocol::PublicKey;
use grid_protocol::entry::{Entry, MAX_ROSTER, Member};
use grid_scheduler::trust::{Draw, Roster};
use std::collections::{BTreeSet, HashMap};

/// The roster as it was logged, and who came and went since.
#[derive(Debug, Default)]
pub(crate) struct Members {
    roster: Roster,
    here: HashMap<PublicKey, Member>,
    touched: BTreeSet<PublicKey>,
    /// Counts its changes.
    version: u64,
    /// Entries on their way into the store.
    writing: usize,
    next_ms: u64,
}

impl Members {
    /// An entry of the log, from before.
    pub(crate) fn replay(&mut self, removed: &[PublicKey], added: &[Member]) {
        self.roster.apply(added, removed);
        self.version += 1;
        self.touched.extend(removed);
        self.touched.extend(added.iter().map(|member| member.node));
    }

    pub(crate) fn join(&mut self, member: Member) {
        self.touched.insert(member.node);
        self.here.insert(member.node, member);
    }

    pub(crate) fn leave(&mut self, node: PublicKey) {
        if self.here.remove(&node).is_some() {
            self.touched.insert(node);
        }
    }

    /// Entries that say what changed, where it is time for them. Each is to be
    /// logged, and then told by [`Self::logged`].
    pub(crate) fn due(&mut self, now: u64, at_ms: u64, every_ms: u64) -> Vec<Entry> {
        if self.touched.is_empty() || self.writing > 0 || now < self.next_ms {
            return Vec::new();
        }
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        for node in std::mem::take(&mut self.touched) {
            let (listed, here) = (self.roster.member(&node), self.here.get(&node));
            if listed != here {
                removed.extend(listed.map(|_| node));
                added.extend(here.copied());
            }
        }
        let leave = removed.chunks(MAX_ROSTER).map(|some| (some.to_vec(), Vec::new()));
        let come = added.chunks(MAX_ROSTER).map(|some| (Vec::new(), some.to_vec()));
        let mut changes: Vec<_> = leave.chain(come).collect();
        // Mostly, one entry holds all of it.
        if let [(_, none), (empty, _)] = &changes[..]
            && none.is_empty()
            && empty.is_empty()
        {
            changes = vec![(removed, added)];
        }
        self.writing = changes.len();
        self.next_ms = now + every_ms;
        let entry = |(removed, added)| Entry::Roster { at_ms, removed, added };
        changes.into_iter().map(entry).collect()
    }

    /// A roster entry is durable (`true`), or never will be.
    pub(crate) fn logged(&mut self, removed: &[PublicKey], added: &[Member], holds: bool) {
        self.writing = self.writing.saturating_sub(1);
        if holds {
            self.roster.apply(added, removed);
            self.version += 1;
        } else {
            self.touched.extend(removed);
            self.touched.extend(added.iter().map(|member| member.node));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.roster.len()
    }

    /// Tells one roster from another.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Whom this draw names to check beside these voters.
    pub(crate) fn candidates(&self, draw: &Draw, voters: &[PublicKey]) -> Vec<(u32, PublicKey)> {
        self.roster.candidates(draw, voters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(number: u8, network: u8) -> Member {
        Member { node: PublicKey([number; 32]), network: [network; 8], account: [0; 8] }
    }

    /// Takes what is due, and says that it is durable.
    fn log(members: &mut Members, now: u64) -> Vec<(Vec<PublicKey>, Vec<Member>)> {
        let due = members.due(now, 0, 100);
        let changes = due.into_iter().map(|entry| match entry {
            Entry::Roster { removed, added, .. } => (removed, added),
            other => panic!("{other:?}"),
        });
        let changes: Vec<_> = changes.collect();
        for (removed, added) in &changes {
            members.logged(removed, added, true);
        }
        changes
    }

    #[test]
    fn only_what_was_logged_is_drawn() {
        let mut members = Members::default();
        let draw = Draw([7; 32]);
        members.join(member(1, 1));
        assert!(members.candidates(&draw, &[]).is_empty());
        assert_eq!(log(&mut members, 0), [(vec![], vec![member(1, 1)])]);
        assert_eq!(members.candidates(&draw, &[])[0], (0, PublicKey([1; 32])));
        // Not too often; who came and left meanwhile is not told of.
        members.join(member(2, 1));
        members.join(member(3, 2));
        members.leave(PublicKey([2; 32]));
        members.leave(PublicKey([1; 32]));
        assert!(log(&mut members, 99).is_empty());
        let expected = (vec![PublicKey([1; 32])], vec![member(3, 2)]);
        assert_eq!(log(&mut members, 100), [expected]);
        assert_eq!(members.len(), 1);
        // A new network is a new member.
        members.join(member(3, 4));
        let expected = (vec![PublicKey([3; 32])], vec![member(3, 4)]);
        assert_eq!(log(&mut members, 200), [expected]);
    }

    #[test]
    fn a_restart_clears_the_roster() {
        let mut members = Members::default();
        let many: Vec<_> = (0..=MAX_ROSTER)
            .map(|at| {
                let mut member = member(0, 0);
                member.node.0[..8].copy_from_slice(&(at as u64).to_le_bytes());
                member
            })
            .collect();
        members.replay(&[], &many[..1]);
        members.replay(&[], &many[1..]);
        let changes = log(&mut members, 0);
        assert_eq!(changes.len(), 2);
        assert!(changes.iter().all(|(removed, _)| removed.len() <= MAX_ROSTER));
        assert_eq!(members.len(), 0);
    }

    #[test]
    fn voters_and_their_groups_are_not_drawn() {
        let mut members = Members::default();
        for number in 1..=4 {
            members.join(member(number, number / 2));
        }
        log(&mut members, 0);
        let drawn = |voters: &[u8]| {
            let voters: Vec<_> = voters.iter().map(|number| PublicKey([*number; 32])).collect();
            let drawn = members.candidates(&Draw([9; 32]), &voters);
            let drawn: BTreeSet<u8> = drawn.iter().map(|(_, node)| node.0[0]).collect();
            drawn.into_iter().collect::<Vec<u8>>()
        };
        assert_eq!(drawn(&[]), [1, 2, 3, 4]);
        assert_eq!(drawn(&[2]), [1, 4]);
        assert_eq!(drawn(&[1, 2, 4]), [0u8; 0]);
    }
}
