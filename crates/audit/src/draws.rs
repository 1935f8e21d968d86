//! Was every checker drawn?
//!
//! The first vote on a task is of whoever was free. Each later one is of the
//! relay itself, or of a node that an earlier vote's draw names: the draw of a
//! receipt counts places 0, 1, 2, … on the roster as it was when the receipt
//! was committed, and goes past a place only where the log says why: that node
//! voted on the task already, is of one group with one that did, was caught,
//! or did not answer.

use crate::{Fault, ReadVote};
use grid_protocol::PublicKey;
use grid_scheduler::trust::Roster;
use std::collections::HashMap;
use std::sync::Arc;

/// Places that one draw may go through.
const PLACES: u32 = 1024;

/// Draws that were logged as unanswered, by the entry of their receipt.
#[derive(Debug, Default)]
pub(crate) struct Draws {
    unanswered: HashMap<u64, Vec<(u32, PublicKey)>>,
}

impl Draws {
    pub(crate) fn unanswered(&mut self, seq: u64, place: u32, node: PublicKey) {
        self.unanswered.entry(seq).or_default().push((place, node));
    }

    /// Finds votes that nobody drew. `rosters` are those at each vote's entry.
    pub(crate) fn check(
        &mut self,
        relay: PublicKey,
        votes: &[ReadVote],
        rosters: &[Arc<Roster>],
        caught: impl Fn(&PublicKey) -> bool,
    ) -> Vec<Fault> {
        let mut order: Vec<usize> = (0..votes.len()).collect();
        order.sort_by_key(|at| votes[*at].seq);
        let mut faults = Vec::new();
        for (number, at) in order.iter().enumerate().skip(1) {
            let vote = &votes[*at];
            if vote.body.node == relay {
                continue;
            }
            let before = &order[..number];
            let drawn = before.iter().any(|from| {
                let voters: Vec<_> = before.iter().map(|at| votes[*at].body.node).collect();
                self.names(&votes[*from], &rosters[*from], &voters, &vote.body.node, &caught)
            });
            if !drawn {
                faults.push(Fault::NotDrawn { seq: vote.seq, node: vote.body.node });
            }
        }
        for vote in votes {
            self.unanswered.remove(&vote.seq);
        }
        faults
    }

    /// Does the draw of `from` name `node`, after places that may be passed?
    fn names(
        &self,
        from: &ReadVote,
        roster: &Roster,
        voters: &[PublicKey],
        node: &PublicKey,
        caught: &impl Fn(&PublicKey) -> bool,
    ) -> bool {
        let excused = self.unanswered.get(&from.seq).map_or(&[][..], Vec::as_slice);
        for place in 0..PLACES {
            let Some(member) = roster.candidate(&from.draw, place) else { return false };
            if member.node == *node {
                return true;
            }
            let passed = voters.contains(&member.node)
                || caught(&member.node)
                || !roster.eligible(member, voters)
                || excused.contains(&(place, member.node));
            if !passed {
                return false;
            }
        }
        false
    }
}
