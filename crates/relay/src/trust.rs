//! What an operator decides about trust.

use crate::units::Span;
use grid_scheduler::trust::Rules;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How much is checked, and by whom. `TrustConfig::default()` is for nodes that
/// nobody knows; [`TrustConfig::private`] for a fleet of one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustConfig {
    /// Replicas of one task go to nodes of different networks (IPv4 /24, IPv6
    /// /48) only. To be switched off where all nodes are in one, as on
    /// loopback.
    pub diversity: bool,
    /// A node's address is the last one in `X-Forwarded-For`, which a proxy in
    /// front of the relay must set.
    pub forwarded: bool,
    /// Nodes from one network (IPv4 /24, IPv6 /48) that may join in an hour
    /// with something new to write down: a key that the relay doesn't know, a
    /// code, another account or browser. Not counted without `diversity`, nor
    /// from loopback and private addresses.
    pub new_joins: u32,
    /// The relay runs a task itself where no node can check it. Without, such a
    /// task waits for one.
    pub referee: bool,
    /// A drawn checker that has no free slot for this long is passed over.
    pub answer: Duration,
    /// A lease never counts as slow before this.
    pub slow: Duration,
    /// Least time between two entries that say which nodes can be drawn.
    pub roster: Duration,
    /// The rules that decide how much is checked.
    pub rules: Rules,
}

impl Default for TrustConfig {
    fn default() -> Self {
        Self {
            diversity: true,
            forwarded: false,
            new_joins: 1_000,
            referee: true,
            answer: Duration::from_secs(10),
            slow: Duration::from_secs(10),
            roster: Duration::from_secs(1),
            rules: Rules::default(),
        }
    }
}

impl TrustConfig {
    /// Every node is believed: one receipt settles a task, nothing is checked.
    pub fn private() -> Self {
        let rules = Rules { faulty_ppm: 0, floor_ppm: 0, newcomer: 0, hold: 0, ..Rules::default() };
        Self { diversity: false, referee: false, rules, ..Self::default() }
    }
}

/// Options of trust, each of which may be left out. In the file they are keys
/// of the section `[trust]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct TrustOptions {
    /// Check a task's result only on nodes of other networks than the first;
    /// switch it off where all nodes share one, as on one machine
    /// [default: true]
    #[arg(long, env = "GRID_DIVERSITY", value_name = "BOOL")]
    pub diversity: Option<bool>,
    /// Take a node's address from X-Forwarded-For, whose last entry your proxy
    /// must set [default: false]
    #[arg(long, env = "GRID_FORWARDED", value_name = "BOOL")]
    pub forwarded: Option<bool>,
    /// New nodes, or ones with a new code, account or browser, that join from
    /// one network in an hour; more are told to come later [default: 1000]
    #[arg(long, env = "GRID_NEW_JOINS", value_name = "NUMBER")]
    pub new_joins: Option<u32>,
    /// Run a task on the relay itself where no node can check it
    /// [default: true]
    #[arg(long, env = "GRID_REFEREE", value_name = "BOOL")]
    pub referee: Option<bool>,
    /// A node that is drawn to check and has no free slot for so long is passed
    /// over [default: 10s]
    #[arg(long, env = "GRID_ANSWER", value_name = "TIME")]
    pub answer: Option<Span>,
    /// A lease that takes longer than this, and than twice what is usual in its
    /// job, may get a second one beside it [default: 10s]
    #[arg(long, env = "GRID_SLOW", value_name = "TIME")]
    pub slow: Option<Span>,
    /// Nodes that came and went are logged at most this often [default: 1s]
    #[arg(long, env = "GRID_ROSTER", value_name = "TIME")]
    pub roster: Option<Span>,
    /// Assumed share of new nodes that lie, in millionths, under 500000
    /// [default: 200000]
    #[arg(long, env = "GRID_FAULTY_PPM", value_name = "NUMBER")]
    pub faulty_ppm: Option<u32>,
    /// Assumed share of the largest ring of nodes that agree on a lie, in
    /// millionths, under 500000 [default: 100000]
    #[arg(long, env = "GRID_COLLUDING_PPM", value_name = "NUMBER")]
    pub colluding_ppm: Option<u32>,
    /// Share of results that are checked whoever made them, in millionths
    /// [default: 60000]
    #[arg(long, env = "GRID_FLOOR_PPM", value_name = "NUMBER")]
    pub floor_ppm: Option<u32>,
    /// Every result of a node is checked until it passed so many checks
    /// [default: 20]
    #[arg(long, env = "GRID_NEWCOMER", value_name = "NUMBER")]
    pub newcomer: Option<u32>,
    /// A result that wasn't checked is provisional until its node passed so
    /// many later checks [default: 5]
    #[arg(long, env = "GRID_HOLD", value_name = "NUMBER")]
    pub hold: Option<u32>,
}

impl TrustOptions {
    /// What `file` says, where these say nothing.
    #[must_use]
    pub fn or(self, file: Self) -> Self {
        Self {
            diversity: self.diversity.or(file.diversity),
            forwarded: self.forwarded.or(file.forwarded),
            new_joins: self.new_joins.or(file.new_joins),
            referee: self.referee.or(file.referee),
            answer: self.answer.or(file.answer),
            slow: self.slow.or(file.slow),
            roster: self.roster.or(file.roster),
            faulty_ppm: self.faulty_ppm.or(file.faulty_ppm),
            colluding_ppm: self.colluding_ppm.or(file.colluding_ppm),
            floor_ppm: self.floor_ppm.or(file.floor_ppm),
            newcomer: self.newcomer.or(file.newcomer),
            hold: self.hold.or(file.hold),
        }
    }

    /// With nothing left out.
    pub fn of(config: &TrustConfig) -> Self {
        let TrustConfig { diversity, forwarded, new_joins, referee, answer, slow, roster, rules } =
            config;
        Self {
            diversity: Some(*diversity),
            forwarded: Some(*forwarded),
            new_joins: Some(*new_joins),
            referee: Some(*referee),
            answer: Some(Span(*answer)),
            slow: Some(Span(*slow)),
            roster: Some(Span(*roster)),
            faulty_ppm: Some(rules.faulty_ppm),
            colluding_ppm: Some(rules.colluding_ppm),
            floor_ppm: Some(rules.floor_ppm),
            newcomer: Some(rules.newcomer),
            hold: Some(rules.hold),
        }
    }

    /// With defaults for what was left out. Ranges are not checked.
    pub fn config(&self) -> TrustConfig {
        let default = TrustConfig::default();
        let span = |option: Option<Span>, default| option.map_or(default, |Span(time)| time);
        let rules = default.rules;
        TrustConfig {
            diversity: self.diversity.unwrap_or(default.diversity),
            forwarded: self.forwarded.unwrap_or(default.forwarded),
            new_joins: self.new_joins.unwrap_or(default.new_joins),
            referee: self.referee.unwrap_or(default.referee),
            answer: span(self.answer, default.answer),
            slow: span(self.slow, default.slow),
            roster: span(self.roster, default.roster),
            rules: Rules {
                faulty_ppm: self.faulty_ppm.unwrap_or(rules.faulty_ppm),
                colluding_ppm: self.colluding_ppm.unwrap_or(rules.colluding_ppm),
                floor_ppm: self.floor_ppm.unwrap_or(rules.floor_ppm),
                newcomer: self.newcomer.unwrap_or(rules.newcomer),
                hold: self.hold.unwrap_or(rules.hold),
                ..rules
            },
        }
    }
}
