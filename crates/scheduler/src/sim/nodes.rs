//! Who computes: honest nodes and all kinds of others.

use super::random::{Random, fraction, mix};
use grid_protocol::{Digest, PublicKey};

/// How a node that isn't honest goes about it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Habit {
    /// Invents an answer with this probability, after so many honest tasks;
    /// all inventions differ.
    Lies {
        /// Share of its results.
        rate: f64,
        /// Honest results before the first lie.
        after: u32,
        /// Comes back under a new key when it is shut out.
        returns: bool,
    },
    /// Lies on this share of tasks, the same ones and with the same answer as
    /// all others of its kind, after so many honest tasks.
    Colludes {
        /// Share of tasks.
        rate: f64,
        /// Honest results before the first lie.
        after: u32,
        /// Comes back under a new key when it is shut out.
        returns: bool,
    },
    /// Honest, but when it checks a result on which one of its ring lied, it
    /// repeats the lie: it knows the task by its input.
    Backs,
    /// As a checker it repeats the first answer without computing. Grid gives
    /// it no way to know that answer, nor that it is a checker.
    Copies,
}

/// A network: shares of nodes that have habits; the rest is honest.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Its name in tables.
    pub name: &'static str,
    /// Shares of all nodes.
    pub habits: Vec<(f64, Habit)>,
}

/// The scenarios of the benchmark.
pub fn scenarios() -> Vec<Scenario> {
    let lies = |rate| Habit::Lies { rate, after: 0, returns: false };
    let sleeps = |rate| Habit::Lies { rate, after: 500, returns: false };
    let colludes = |rate| Habit::Colludes { rate, after: 0, returns: false };
    // Some burn new keys on lies, the others back them when they are drawn.
    let ring = |name, burners, backers| Scenario {
        name,
        habits: vec![
            (burners, Habit::Colludes { rate: 1.0, after: 0, returns: true }),
            (backers, Habit::Backs),
        ],
    };
    let one = |name, share, habit| Scenario { name, habits: vec![(share, habit)] };
    vec![
        Scenario { name: "all honest", habits: Vec::new() },
        one("10% liars, 0.1% of results", 0.10, lies(0.001)),
        one("10% liars, 1% of results", 0.10, lies(0.01)),
        one("10% liars, 50% of results", 0.10, lies(0.5)),
        one("10% liars, always", 0.10, lies(1.0)),
        one("30% liars, 1% of results", 0.30, lies(0.01)),
        one("30% liars, 50% of results", 0.30, lies(0.5)),
        one("30% liars, always", 0.30, lies(1.0)),
        one("5% colluders, 1% of tasks", 0.05, colludes(0.01)),
        one("5% colluders, 10% of tasks", 0.05, colludes(0.1)),
        one("5% colluders, always", 0.05, colludes(1.0)),
        one("15% colluders, 1% of tasks", 0.15, colludes(0.01)),
        one("15% colluders, 10% of tasks", 0.15, colludes(0.1)),
        one("15% colluders, always", 0.15, colludes(1.0)),
        ring("5% ring: 1% burn keys, 4% back them", 0.01, 0.04),
        ring("15% colluders as a ring: 5% burn keys, 10% back them", 0.05, 0.10),
        one("10% sleepers (500 tasks), 5% of results", 0.10, sleeps(0.05)),
        one("10% sleepers (500 tasks), always", 0.10, sleeps(1.0)),
        one(
            "10% colluding sleepers (500 tasks), always",
            0.10,
            Habit::Colludes { rate: 1.0, after: 500, returns: false },
        ),
        one("10% lazy checkers, guessing half", 0.10, lies(0.5)),
        Scenario {
            name: "10% lazy checkers who know the first answer, 10% liars, 1% of results",
            habits: vec![(0.10, lies(0.01)), (0.10, Habit::Copies)],
        },
        one(
            "10% come back, lying always",
            0.10,
            Habit::Lies { rate: 1.0, after: 0, returns: true },
        ),
        one(
            "10% come back, lying in 20% after 60 tasks",
            0.10,
            Habit::Lies { rate: 0.2, after: 60, returns: true },
        ),
    ]
}

/// A node, and what it did and got.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) key: PublicKey,
    pub(super) habit: Option<Habit>,
    /// Results under its present key.
    pub(super) results: u32,
    /// Results under all its keys.
    pub(super) submitted: u32,
    /// Those of them that nothing was decided about when the run ended.
    pub(super) open: u32,
    /// Those that it computed.
    pub(super) computed: u32,
    /// Those that were credited.
    pub(super) credited: u32,
    /// Results under a key when it was shut out.
    pub(super) out: Option<u32>,
}

/// The true answer of every task.
pub(super) const TRUTH: Digest = Digest::ZERO;
/// The lie that colluders agree on.
const COMMON_LIE: Digest = Digest([1; 32]);

/// The nodes of a scenario, and their keys.
pub(super) struct Nodes {
    pub(super) all: Vec<Node>,
    keys: u64,
    lies: u64,
}

impl Nodes {
    pub(super) fn new(scenario: &Scenario, count: u32) -> Self {
        let mut nodes = Self { all: Vec::new(), keys: 0, lies: 0 };
        let mut habits = Vec::new();
        for (share, habit) in &scenario.habits {
            let some = (share * f64::from(count)).round() as usize;
            habits.extend(std::iter::repeat_n(Some(*habit), some));
        }
        habits.resize(count as usize, None);
        for habit in habits {
            let key = nodes.new_key();
            let node = Node {
                key,
                habit,
                results: 0,
                submitted: 0,
                open: 0,
                computed: 0,
                credited: 0,
                out: None,
            };
            nodes.all.push(node);
        }
        nodes
    }

    fn new_key(&mut self) -> PublicKey {
        self.keys += 1;
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.keys.to_le_bytes());
        PublicKey(key)
    }

    /// The node is shut out. Does it come back, under a new key?
    pub(super) fn shut_out(&mut self, place: usize) -> bool {
        let node = &mut self.all[place];
        node.out = Some(node.results);
        let returns = matches!(
            node.habit,
            Some(Habit::Lies { returns: true, .. } | Habit::Colludes { returns: true, .. })
        );
        if !returns {
            return false;
        }
        let key = self.new_key();
        let node = &mut self.all[place];
        (node.key, node.results) = (key, 0);
        true
    }

    /// What a node answers; `first` is the answer it checks.
    pub(super) fn answer(
        &mut self,
        place: usize,
        task: u32,
        first: Option<Digest>,
        random: &mut Random,
    ) -> Digest {
        let node = &mut self.all[place];
        let before = node.results;
        node.results += 1;
        node.submitted += 1;
        let answer = match node.habit {
            Some(Habit::Lies { rate, after, .. }) if before >= after && random.chance(rate) => {
                self.lies += 1;
                let mut lie = [2; 32];
                lie[..8].copy_from_slice(&self.lies.to_le_bytes());
                Digest(lie)
            }
            Some(Habit::Colludes { rate, after, .. })
                if before >= after && fraction(mix(!u64::from(task))) < rate =>
            {
                COMMON_LIE
            }
            Some(Habit::Backs) if first == Some(COMMON_LIE) => COMMON_LIE,
            Some(Habit::Copies) if first.is_some() => return first.unwrap_or(TRUTH),
            _ => TRUTH,
        };
        if answer == TRUTH {
            node.computed += 1;
        }
        answer
    }
}
