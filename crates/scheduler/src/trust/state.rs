//! The state of trust: a function of the settlements in the log, in order.

use super::evidence::Population;
use super::rules::Rules;
use super::standing::{Record, Standing};
use super::vote::{Effects, Settlement, Vote, Voter, Want};
use grid_protocol::{Digest, PublicKey, Runtime};
use std::collections::HashMap;

/// What is known of nodes. Changes only when a settlement is applied, so that
/// an auditor who reads the log has the same state at the same place. Whoever
/// was good at one runtime is new to another; who was caught is caught.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    rules: Rules,
    records: HashMap<(Runtime, PublicKey), Record>,
    /// What the nodes of each runtime showed together.
    populations: HashMap<Runtime, Population>,
    /// The settlements in which nodes were caught.
    caught: HashMap<PublicKey, u64>,
}

/// The votes for one answer.
struct Side {
    answer: Digest,
    votes: i32,
    /// Error probability of the first of them.
    error: f64,
    /// What they weigh against another answer: the product of their odds to
    /// be right, each at least 1.
    odds: f64,
    established: bool,
}

impl Trust {
    /// Nothing is known of any node.
    pub fn new(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// The rules from now on. Records and evidence stay.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// The rules in force.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Was the node caught? Then it is shut out for good.
    pub fn is_caught(&self, node: &PublicKey) -> bool {
        self.caught.contains_key(node)
    }

    /// How a node stands in a runtime; one that was never seen there is a
    /// newcomer.
    pub fn standing(&self, runtime: Runtime, node: &PublicKey) -> Standing {
        let passes = self.records.get(&(runtime, *node)).map_or(0, |record| record.passes);
        let caught = self.caught.get(node).copied();
        let error = match (caught, self.populations.get(&runtime)) {
            (Some(_), _) => 1.0,
            (None, Some(population)) => population.error(&self.rules, passes),
            (None, None) => Population::default().error(&self.rules, passes),
        };
        let newcomer = passes < self.rules.newcomer;
        Standing { passes, caught, newcomer, error, rules: self.rules }
    }

    /// What the votes on a task call for, in a job that allows wrong results
    /// with probability `error_ppb` billionths. The order of the votes doesn't
    /// matter. Votes of caught nodes don't count, nor a voter's second vote;
    /// without votes, one is wanted.
    pub fn wants(&self, runtime: Runtime, votes: &[Vote], error_ppb: u32) -> Want {
        if let [vote] = votes {
            return self.wants_alone(runtime, vote, error_ppb);
        }
        let mut live: Vec<&Vote> = votes.iter().filter(|vote| self.counts(vote)).collect();
        live.sort_by_key(|vote| vote.seq);
        let mut seen: Vec<Voter> = Vec::with_capacity(live.len());
        live.retain(|vote| {
            let first = !seen.contains(&vote.voter);
            seen.push(vote.voter);
            first
        });
        if let Some(vote) = live.iter().find(|vote| vote.voter == Voter::Relay) {
            return Want::Settle { answer: vote.answer };
        }
        match live.as_slice() {
            [] => Want::Check,
            [vote] => self.wants_alone(runtime, vote, error_ppb),
            live => self.wants_together(runtime, live, error_ppb),
        }
    }

    fn counts(&self, vote: &Vote) -> bool {
        match &vote.voter {
            Voter::Relay => true,
            Voter::Node(node) => !self.is_caught(node),
        }
    }

    /// A single result: it counts alone when its node is trusted, its draw
    /// spared it the check, and later checks showed that the node stayed good.
    fn wants_alone(&self, runtime: Runtime, vote: &Vote, error_ppb: u32) -> Want {
        let Voter::Node(node) = &vote.voter else {
            return Want::Settle { answer: vote.answer };
        };
        let standing = self.standing(runtime, node);
        if standing.caught.is_some() || vote.draw.fraction() < standing.check_rate(error_ppb) {
            return Want::Check;
        }
        if self.proved_since(runtime, node, vote.seq) {
            return Want::Settle { answer: vote.answer };
        }
        Want::Hold
    }

    /// Did the node pass as many checks of receipts committed after `receipt`
    /// as the hold asks for?
    pub(super) fn proved_since(&self, runtime: Runtime, node: &PublicKey, receipt: u64) -> bool {
        let hold = self.rules.hold as usize;
        let record = self.records.get(&(runtime, *node));
        hold == 0 || record.is_some_and(|record| record.proved_since(receipt, hold))
    }

    /// At least two votes of different nodes, in the log's order.
    fn wants_together(&self, runtime: Runtime, votes: &[&Vote], error_ppb: u32) -> Want {
        let sides = self.sides(runtime, votes);
        let dispute = sides.len() > 1;
        if dispute && sides.iter().filter(|side| side.established).count() > 1 {
            return Want::Referee;
        }
        // However lax the job, nobody is shut out on weaker evidence.
        let limit = if dispute { error_ppb.min(self.rules.verdict_ppb) } else { error_ppb };
        let likely = |place: &usize| self.error(&sides, *place) <= f64::from(limit) / 1e9;
        match (0..sides.len()).find(likely) {
            Some(place) => Want::Settle { answer: sides[place].answer },
            None if votes.len() >= self.rules.max_votes as usize => Want::Referee,
            None => Want::Check,
        }
    }

    /// The votes by answer, that of the first vote first.
    fn sides(&self, runtime: Runtime, votes: &[&Vote]) -> Vec<Side> {
        let mut sides: Vec<Side> = Vec::with_capacity(2);
        for vote in votes {
            let Voter::Node(node) = &vote.voter else { continue };
            let Standing { error, newcomer, .. } = self.standing(runtime, node);
            let odds = ((1.0 - error) / error).max(1.0);
            match sides.iter_mut().find(|side| side.answer == vote.answer) {
                Some(side) => {
                    side.votes += 1;
                    side.odds *= odds;
                    side.established |= !newcomer;
                }
                None => {
                    let (answer, established) = (vote.answer, !newcomer);
                    sides.push(Side { answer, votes: 1, error, odds, established });
                }
            }
        }
        sides
    }

    /// Probability that the answer of the side at `place` is wrong.
    ///
    /// Its first voter lied, and each further one, being drawn, repeated the
    /// lie as one of the same ring; the others weigh against that by their
    /// odds. Beside that, the task's very first voter may be one of the ring
    /// who lied only so that the ring's other answer looks examined.
    fn error(&self, sides: &[Side], place: usize) -> f64 {
        let side = &sides[place];
        let ring = self.rules.colluding();
        let mut lied = side.error;
        for (other, against) in sides.iter().enumerate() {
            if other != place {
                lied *= against.odds;
            }
        }
        let staged = if place == 0 { 0.0 } else { sides[0].error * ring };
        (1..side.votes).fold(lied + staged, |error, _| error * ring)
    }

    /// Applies the settlement that is entry `seq`, of a job of this runtime:
    /// nodes whose answers agree with another vote passed a check, those whose
    /// answer lost are caught.
    pub fn settle(&mut self, runtime: Runtime, seq: u64, settlement: &Settlement) -> Effects {
        let mut effects = Effects::default();
        let live: Vec<Vote> =
            settlement.votes.iter().filter(|vote| self.counts(vote)).copied().collect();
        let agreeing = live.iter().filter(|vote| vote.answer == settlement.answer).count();
        for vote in live {
            let Voter::Node(node) = vote.voter else { continue };
            let record = self.records.entry((runtime, node)).or_default();
            let population = self.populations.entry(runtime).or_default();
            if vote.answer != settlement.answer {
                if self.caught.insert(node, seq).is_none() {
                    population.record(&self.rules, record.passes, true);
                    effects.caught.push(node);
                }
                continue;
            }
            effects.credited.push(vote.seq);
            if agreeing > 1 {
                population.record(&self.rules, record.passes, false);
                record.pass(vote.seq, self.rules.hold as usize);
                effects.passed.push(node);
            }
        }
        effects
    }
}
