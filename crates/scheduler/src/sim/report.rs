//! What a run came to.

use super::nodes::{Node, Nodes, TRUTH};
use super::{Policy, Scenario, Size};
use grid_protocol::Digest;

/// One scenario under one policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The scenario's name.
    pub scenario: &'static str,
    /// The policy's name.
    pub policy: &'static str,
    /// Wrong final results per final result.
    pub wrong_rate: f64,
    /// Computations per task, the relay's included.
    pub mean_replicas: f64,
    /// The same over the second half of the tasks.
    pub mean_replicas_later: f64,
    /// Share of computations that gave no task its result.
    pub wasted_share: f64,
    /// Results that a liar sent until it was shut out: the median, where at
    /// least half of them were.
    pub tasks_until_out: Option<u32>,
    /// Credited per submitted result, a dishonest node's to an honest one's.
    pub liar_earned_share: Option<f64>,
    /// Credited per result that was computed, a dishonest node's to an honest
    /// one's.
    pub liar_earned_per_work: Option<f64>,
    /// Runs of the relay per task.
    pub referee_share: f64,
    /// Final results per task; the rest is provisional when the run ends.
    pub final_share: f64,
    /// Honest nodes that were shut out.
    pub honest_out: u32,
}

/// Counts as they come.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) tasks: u32,
    pub(super) computed: u64,
    pub(super) referee: u64,
    final_results: u32,
    wrong: u32,
    /// Computations when half of the tasks had begun.
    halfway: u64,
}

impl Counts {
    /// A fresh task begins.
    pub(super) fn begin(&mut self, size: Size) -> u32 {
        if self.tasks == size.tasks / 2 {
            self.halfway = self.computed + self.referee;
        }
        self.tasks += 1;
        self.tasks - 1
    }

    pub(super) fn settle(&mut self, answer: &Digest) {
        self.final_results += 1;
        self.wrong += u32::from(*answer != TRUTH);
    }

    pub(super) fn row(&self, scenario: &Scenario, policy: Policy, nodes: &Nodes) -> Row {
        let (honest, others): (Vec<&Node>, Vec<&Node>) =
            nodes.all.iter().partition(|node| node.habit.is_none());
        let mut outs: Vec<u32> = others.iter().map(|node| node.out.unwrap_or(u32::MAX)).collect();
        outs.sort_unstable();
        let earned = |of: fn(&Node) -> u32| {
            let rate = |nodes: &[&Node]| {
                let credited: u64 = nodes.iter().map(|node| u64::from(node.credited)).sum();
                let work: u64 = nodes.iter().map(|node| u64::from(of(node))).sum();
                ratio(credited, work)
            };
            (!others.is_empty()).then(|| rate(&others) / rate(&honest))
        };
        let all = self.computed + self.referee;
        let later = u64::from(self.tasks - self.tasks / 2);
        Row {
            scenario: scenario.name,
            policy: policy.name(),
            wrong_rate: ratio(u64::from(self.wrong), u64::from(self.final_results)),
            mean_replicas: ratio(all, u64::from(self.tasks)),
            mean_replicas_later: ratio(all - self.halfway, later),
            wasted_share: 1.0 - ratio(u64::from(self.tasks), all),
            tasks_until_out: outs.get(outs.len() / 2).copied().filter(|out| *out != u32::MAX),
            liar_earned_share: earned(|node| node.submitted - node.open),
            liar_earned_per_work: earned(|node| node.computed.saturating_sub(node.open).max(1)),
            referee_share: ratio(self.referee, u64::from(self.tasks)),
            final_share: ratio(u64::from(self.final_results), u64::from(self.tasks)),
            honest_out: honest.iter().filter(|node| node.out.is_some()).count() as u32,
        }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
