//! Was every checker drawn?
//!
//! The first vote on a task is of whoever was free. Each later one is of the
//! relay itself, or of a node that an earlier vote's draw names: the draw of a
//! receipt counts places 0, 1, 2, … on the roster as it was when the receipt
//! was committed, and goes past a place only where the log says why: that node
//! voted on the task already, is of one group with one that did, was caught,
//! or did not answer. A draw whose candidates were all passed over may be made
//! anew, on a later roster.

use crate::{Fault, ReadVote};
use grid_protocol::PublicKey;
use grid_protocol::entry::Unanswered;
use grid_scheduler::trust::{Excuses, Roster};
use std::collections::HashMap;
use std::sync::Arc;

/// Places that one draw may go through.
const PLACES: u32 = 1024;

/// What the log says of draws, by the entry of their receipt.
#[derive(Debug, Default)]
pub(crate) struct Draws(HashMap<u64, Said>);

#[derive(Debug, Default)]
struct Said {
    /// Of the draw as it is by now.
    excuses: Excuses,
    /// The roster of the draw as it is by now, if that isn't its receipt's.
    roster: Option<Arc<Roster>>,
    /// The draw as it was before, each time that it was made anew.
    before: Vec<(Option<Arc<Roster>>, Excuses)>,
}

impl Draws {
    pub(crate) fn unanswered(&mut self, seq: u64, place: u32, node: PublicKey, why: Unanswered) {
        self.0.entry(seq).or_default().excuses.add(place, node, why);
    }

    pub(crate) fn redrawn(&mut self, seq: u64, roster: Arc<Roster>) {
        let said = self.0.entry(seq).or_default();
        let excuses = std::mem::take(&mut said.excuses);
        said.before.push((said.roster.replace(roster), excuses));
    }

    /// Finds votes that nobody drew, and draws that were made anew without
    /// need. `rosters` are those at each vote's entry.
    pub(crate) fn check(
        &mut self,
        relay: PublicKey,
        votes: &[ReadVote],
        rosters: &[Arc<Roster>],
        caught: impl Fn(&PublicKey) -> bool,
    ) -> Vec<Fault> {
        let mut order: Vec<usize> = (0..votes.len()).collect();
        order.sort_by_key(|at| votes[*at].seq);
        let said: Vec<Said> =
            votes.iter().map(|vote| self.0.remove(&vote.seq).unwrap_or_default()).collect();
        let mut faults = Vec::new();
        for (number, at) in order.iter().enumerate() {
            let before = &order[..number];
            let mut voters: Vec<_> = before.iter().map(|at| votes[*at].body.node).collect();
            let vote = &votes[*at];
            let names = |from: &usize| {
                let named = |(roster, excuses): (&Arc<Roster>, &Excuses)| {
                    names(&votes[*from], roster, &voters, &vote.body.node, excuses, &caught)
                };
                said[*from].each(&rosters[*from]).any(named)
            };
            if number > 0 && vote.body.node != relay && !before.iter().any(names) {
                faults.push(Fault::NotDrawn { seq: vote.seq, node: vote.body.node });
            }
            voters.push(vote.body.node);
            let mut past = said[*at].each(&rosters[*at]).take(said[*at].before.len());
            let over = |(roster, excuses): (&Arc<Roster>, &Excuses)| {
                let named = roster.candidates(&vote.draw, &voters);
                named.iter().all(|(place, node)| caught(node) || excuses.covers(*place, node))
            };
            if !past.all(over) {
                faults.push(Fault::Redrawn(vote.seq));
            }
        }
        faults
    }
}

impl Said {
    /// The draw as it was, and as it is: rosters and whom the log passes over.
    fn each<'a>(
        &'a self,
        first: &'a Arc<Roster>,
    ) -> impl Iterator<Item = (&'a Arc<Roster>, &'a Excuses)> {
        let before = self.before.iter().map(|(roster, excuses)| (roster, excuses));
        let all = before.chain([(&self.roster, &self.excuses)]);
        all.map(move |(roster, excuses)| (roster.as_ref().unwrap_or(first), excuses))
    }
}

/// Does the draw of `from` name `node`, after places that may be passed?
fn names(
    from: &ReadVote,
    roster: &Roster,
    voters: &[PublicKey],
    node: &PublicKey,
    excuses: &Excuses,
    caught: &impl Fn(&PublicKey) -> bool,
) -> bool {
    for place in 0..PLACES {
        let Some(member) = roster.candidate(&from.draw, place) else { return false };
        if member.node == *node {
            return true;
        }
        let passed = voters.contains(&member.node)
            || caught(&member.node)
            || !roster.eligible(member, voters)
            || excuses.covers(place, &member.node);
        if !passed {
            return false;
        }
    }
    false
}
