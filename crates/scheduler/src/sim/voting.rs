//! Plain voting, and BOINC's adaptive replication: nobody is shut out, a task
//! is settled at once.

use super::nodes::Nodes;
use super::random::Random;
use super::report::{Counts, Row};
use super::{Policy, Scenario, Size};
use grid_protocol::Digest;

/// `trusts` says whether a host's single result is taken, from the number of
/// its consecutive valid ones.
pub(super) fn run(
    scenario: &Scenario,
    policy: Policy,
    size: Size,
    seed: u64,
    trusts: impl Fn(u32, &mut Random) -> bool,
) -> Row {
    let mut random = Random::new(seed);
    let mut nodes = Nodes::new(scenario, size.nodes);
    let mut valid = vec![0_u32; nodes.all.len()];
    let mut counts = Counts::default();
    let mut votes: Vec<(usize, Digest)> = Vec::new();
    while counts.tasks < size.tasks {
        let task = counts.begin(size);
        votes.clear();
        let first = random.below(nodes.all.len());
        let alone = trusts(valid[first], &mut random);
        let answer = nodes.answer(first, task, None, &mut random);
        counts.computed += 1;
        votes.push((first, answer));
        if alone {
            nodes.all[first].credited += 1;
            counts.settle(&answer);
            continue;
        }
        let settled = loop {
            let next = random.below(nodes.all.len());
            if votes.iter().any(|(node, _)| *node == next) {
                continue;
            }
            let answer = nodes.answer(next, task, Some(votes[0].1), &mut random);
            counts.computed += 1;
            let agrees = votes.iter().any(|(_, other)| *other == answer);
            votes.push((next, answer));
            if agrees {
                break answer;
            }
        };
        counts.settle(&settled);
        for (node, answer) in &votes {
            if *answer == settled {
                nodes.all[*node].credited += 1;
                valid[*node] += 1;
            } else {
                valid[*node] = 0;
            }
        }
    }
    counts.row(scenario, policy, &nodes)
}
