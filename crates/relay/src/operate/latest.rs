//! How long commits and leases took of late, kept in memory for the operator.

use grid_protocol::{JobId, PublicKey};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Commits that are remembered.
const COMMITS: usize = 1_000;
/// Leases that are remembered.
const LEASES: usize = 10_000;
/// A node is compared with others once it ended so many leases, of jobs of
/// which so many leases ended.
const ENOUGH: usize = 3;
/// A node is slow when its leases take so many hundredths of what is usual.
const SLOW: u64 = 200;

/// A lease that ended with a receipt.
#[derive(Debug, Clone, Copy)]
struct Ended {
    node: PublicKey,
    job: JobId,
    ms: u64,
}

/// The last commits and leases.
#[derive(Debug, Default)]
pub(crate) struct Latest {
    /// In microseconds.
    commits: Mutex<VecDeque<u64>>,
    leases: Mutex<VecDeque<Ended>>,
}

/// How long something took, of the last times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Took {
    /// How many times are counted.
    pub(super) count: u64,
    /// Half of them took no longer.
    pub(super) p50: u64,
    /// 95 of 100 took no longer.
    pub(super) p95: u64,
    /// The longest.
    pub(super) most: u64,
}

impl Took {
    fn of(mut times: Vec<u64>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).max(1);
            times.get(rank - 1).copied().unwrap_or_default()
        };
        Self { count: times.len() as u64, p50: at(50), p95: at(95), most: at(100) }
    }
}

/// How long a node takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Pace {
    /// The node.
    pub(super) node: PublicKey,
    /// From lease to receipt, in milliseconds.
    pub(super) took: Took,
    /// Against the median of the same job's leases, in hundredths: 100 is
    /// usual. `null` where there is too little to compare.
    pub(super) usual: Option<u64>,
    /// Takes it twice as long as usual, or longer?
    pub(super) slow: bool,
}

fn push<T>(times: &Mutex<VecDeque<T>>, most: usize, new: T) {
    let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
    if times.len() >= most {
        times.pop_front();
    }
    times.push_back(new);
}

impl Latest {
    /// A commit took so long.
    pub(crate) fn committed(&self, took: Duration) {
        push(&self.commits, COMMITS, took.as_micros() as u64);
    }

    /// A lease of this job ended with a receipt.
    pub(crate) fn ended(&self, node: PublicKey, job: JobId, took: Duration) {
        push(&self.leases, LEASES, Ended { node, job, ms: took.as_millis() as u64 });
    }

    /// How long commits took, in microseconds.
    pub(super) fn commits(&self) -> Took {
        let commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        Took::of(commits.iter().copied().collect())
    }

    /// How long leases took in all, in milliseconds, and by node: slowest first.
    pub(super) fn paces(&self) -> (Took, Vec<Pace>) {
        let leases: Vec<Ended> = {
            let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
            leases.iter().copied().collect()
        };
        let mut jobs = HashMap::<JobId, Vec<u64>>::new();
        let mut nodes = BTreeMap::<PublicKey, Vec<Ended>>::new();
        for lease in &leases {
            jobs.entry(lease.job).or_default().push(lease.ms);
            nodes.entry(lease.node).or_default().push(*lease);
        }
        let enough = |(job, times): (JobId, Vec<u64>)| {
            // A millisecond at least: tasks of less tell nothing of a node.
            (times.len() >= ENOUGH).then(|| (job, Took::of(times).p50.max(1)))
        };
        let usual: HashMap<JobId, u64> = jobs.into_iter().filter_map(enough).collect();
        let pace = |(node, ended): (PublicKey, Vec<Ended>)| {
            let against = |lease: &Ended| Some(lease.ms * 100 / usual.get(&lease.job)?);
            let against: Vec<u64> = ended.iter().filter_map(against).collect();
            let usual = (against.len() >= ENOUGH).then(|| Took::of(against).p50);
            let took = Took::of(ended.iter().map(|lease| lease.ms).collect());
            Pace { node, took, usual, slow: usual.is_some_and(|usual| usual >= SLOW) }
        };
        let mut paces: Vec<Pace> = nodes.into_iter().map(pace).collect();
        paces.sort_by_key(|pace| std::cmp::Reverse((pace.usual, pace.took.p50)));
        (Took::of(leases.iter().map(|lease| lease.ms).collect()), paces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_of_what_was_measured() {
        assert_eq!(Took::of(vec![]), Took::default());
        assert_eq!(Took::of(vec![7]), Took { count: 1, p50: 7, p95: 7, most: 7 });
        let hundred = Took::of((1..=100).rev().collect());
        assert_eq!(hundred, Took { count: 100, p50: 50, p95: 95, most: 100 });
    }

    #[test]
    fn a_node_is_slow_beside_others_on_the_same_job() {
        let latest = Latest::default();
        let (node, job) = (|n| PublicKey([n; 32]), |n| JobId([n; 16]));
        let end = |by: u8, of: u8, ms| {
            latest.ended(node(by), job(of), Duration::from_millis(ms));
        };
        // A long job and a short one: who does the long one is not slow.
        for _ in 0..3 {
            end(1, 1, 1_000);
            end(2, 1, 900);
            end(3, 2, 10);
            end(4, 2, 30);
            end(5, 2, 10);
        }
        end(6, 2, 500);
        let (all, paces) = latest.paces();
        assert_eq!((all.count, all.p50), (16, 30));
        let of = |n| paces.iter().find(|pace| pace.node == node(n)).unwrap();
        assert_eq!((of(4).usual, of(4).slow), (Some(300), true));
        assert_eq!((of(1).slow, of(2).slow, of(3).slow, of(5).slow), (false, false, false, false));
        assert_eq!((of(6).usual, of(6).slow), (None, false), "one lease is too little");
        assert_eq!(paces[0].node, node(4), "slowest first");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let latest = Latest::default();
        for n in 0..LEASES + 5 {
            latest.committed(Duration::from_micros(n as u64));
            latest.ended(PublicKey([1; 32]), JobId([1; 16]), Duration::from_millis(n as u64));
        }
        assert_eq!(latest.commits().count, COMMITS as u64);
        assert_eq!(latest.commits().most, LEASES as u64 + 4);
        assert_eq!(latest.paces().0.count, LEASES as u64);
    }
}
