//! What a relay says beside its log: points, ledger, leaderboards. Each answer
//! names the entry after which it holds, so that a replay that has come there
//! can say where it differs.

use grid_audit::Auditor;
use grid_protocol::PublicKey;
use grid_protocol::api::{
    Earned, LedgerInfo, PeopleLeaders, PersonEarned, Points, PointsInfo, TeamEarned, TeamLeaders,
};
use grid_protocol::live::Leaders;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Display;

const DAY_MS: u64 = 86_400_000;

/// The addresses that are asked, below the relay's.
pub const ASKED: [&str; 11] = [
    "v1/points",
    "v1/ledger",
    "v1/leaders?span=day&of=nodes",
    "v1/leaders?span=week&of=nodes",
    "v1/leaders?span=all&of=nodes",
    "v1/leaders?span=day&of=people",
    "v1/leaders?span=week&of=people",
    "v1/leaders?span=all&of=people",
    "v1/leaders?span=day&of=teams",
    "v1/leaders?span=week&of=teams",
    "v1/leaders?span=all&of=teams",
];

/// What a node earned: the log's word, and the relay's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Computed {
    /// The node.
    pub node: PublicKey,
    /// Fuel, recomputed.
    pub fuel: u64,
    /// Receipts, recomputed.
    pub tasks: u64,
    /// Does the relay say the same?
    pub agrees: bool,
}

/// An answer of the relay.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Its address, of [`ASKED`].
    path: &'static str,
    said: Said,
}

#[derive(Debug, Clone)]
enum Said {
    Points(PointsInfo),
    Ledger(LedgerInfo),
    Nodes(Leaders),
    People(PeopleLeaders),
    Teams(TeamLeaders),
}

impl Claim {
    /// Reads the answer from one of [`ASKED`].
    pub fn read(path: &'static str, json: &[u8]) -> Result<Self, String> {
        let said = match path {
            "v1/points" => serde_json::from_slice(json).map(Said::Points),
            "v1/ledger" => serde_json::from_slice(json).map(Said::Ledger),
            _ if path.ends_with("people") => serde_json::from_slice(json).map(Said::People),
            _ if path.ends_with("teams") => serde_json::from_slice(json).map(Said::Teams),
            _ => serde_json::from_slice(json).map(Said::Nodes),
        };
        let said = said.map_err(|why| format!("{path}: an answer not understood: {why}"))?;
        Ok(Self { path, said })
    }

    /// Its address.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// The last entry that it counts.
    pub fn seq(&self) -> u64 {
        match &self.said {
            Said::Points(said) => said.seq,
            Said::Ledger(said) => said.seq,
            Said::Nodes(said) => said.seq,
            Said::People(said) => said.seq,
            Said::Teams(said) => said.seq,
        }
    }

    /// The first place where it is not what the log makes of the same entries.
    pub fn difference(&self, auditor: &Auditor) -> Option<String> {
        let ledger = auditor.ledger();
        let found = match &self.said {
            Said::Points(said) => points(said, auditor),
            Said::Ledger(said) => balances(said, &ledger.info()),
            Said::Nodes(said) => {
                let (days, now_ms) = self.span(said.from_ms);
                let (nodes, count) = ledger.node_leaders(days, now_ms);
                let line = |one: &Earned| (one.node, one.fuel);
                lines(said.nodes.iter().map(line), nodes.iter().map(line))
                    .or_else(|| number("nodes", said.count, count))
            }
            Said::People(said) => {
                let (days, now_ms) = self.span(said.from_ms);
                let (people, count) = ledger.leaders(days, now_ms);
                let line = |one: &PersonEarned| (one.key, one.earned);
                lines(said.people.iter().map(line), people.iter().map(line))
                    .or_else(|| number("people", said.count, count))
            }
            Said::Teams(said) => {
                let (days, now_ms) = self.span(said.from_ms);
                let (teams, count) = ledger.team_leaders(days, now_ms);
                let line = |one: &TeamEarned| (one.id, one.earned);
                lines(said.teams.iter().map(line), teams.iter().map(line))
                    .or_else(|| members(&said.teams, &teams))
                    .or_else(|| number("teams", said.count, count))
            }
        };
        found.map(|found| format!("/{}, after entry {}: {found}", self.path, self.seq()))
    }

    /// How many days are counted, and a time on the last of them.
    fn span(&self, from_ms: u64) -> (Option<u64>, u64) {
        match self.path {
            path if path.contains("span=day") => (Some(1), from_ms),
            path if path.contains("span=week") => (Some(7), from_ms.saturating_add(6 * DAY_MS)),
            _ => (None, 0),
        }
    }

    /// Every node's points, most first, where this is `v1/points`.
    pub fn nodes(&self, auditor: &Auditor) -> Option<Vec<Computed>> {
        let Said::Points(said) = &self.said else { return None };
        let compared = both(said, auditor).into_iter();
        let mut nodes: Vec<_> = compared
            .map(|(node, [(fuel, tasks), said])| Computed {
                node,
                fuel,
                tasks,
                agrees: said == (fuel, tasks),
            })
            .collect();
        nodes.sort_unstable_by_key(|node| (std::cmp::Reverse(node.fuel), node.node));
        Some(nodes)
    }
}

/// "the relay says 5 fuel, the log makes it 4", if they differ.
fn number<T: PartialEq + Display>(what: &str, said: T, made: T) -> Option<String> {
    (said != made).then(|| format!("{what}: the relay says {said}, the log makes it {made}"))
}

/// The first line that is another, of two lists in order.
fn lines<K: PartialEq + Display>(
    said: impl ExactSizeIterator<Item = (K, u64)>,
    made: impl ExactSizeIterator<Item = (K, u64)>,
) -> Option<String> {
    let line = |line: Option<(K, u64)>| match line {
        Some((key, fuel)) => format!("{key} with {fuel} fuel"),
        None => "nobody".to_owned(),
    };
    let (mut said, mut made) = (said.fuse(), made.fuse());
    for place in 1.. {
        match (said.next(), made.next()) {
            (None, None) => return None,
            (one, other) if one == other => {}
            (one, other) => {
                let (one, other) = (line(one), line(other));
                return Some(format!(
                    "at place {place} the relay has {one}, the log makes it {other}"
                ));
            }
        }
    }
    None
}

/// Fuel and receipts of every node that earned something: the log's word, and
/// the relay's.
fn both(said: &PointsInfo, auditor: &Auditor) -> BTreeMap<PublicKey, [(u64, u64); 2]> {
    let mut both = BTreeMap::<_, [(u64, u64); 2]>::new();
    for node in auditor.points() {
        both.entry(node.node).or_default()[0] = (node.fuel, node.tasks);
    }
    for node in &said.nodes {
        both.entry(node.node).or_default()[1] = (node.fuel, node.tasks);
    }
    both.retain(|_, sides| *sides != [(0, 0); 2]);
    both
}

/// The first node, by key, whose points differ.
fn points(said: &PointsInfo, auditor: &Auditor) -> Option<String> {
    let both = both(said, auditor);
    let mut differ = both.into_iter().filter(|(_, [made, said])| made != said);
    let (node, [(fuel, tasks), (said, said_tasks)]) = differ.next()?;
    let more = match differ.count() {
        0 => String::new(),
        more => format!("; {more} more nodes differ"),
    };
    Some(format!(
        "node {node}: the relay says {said} fuel for {said_tasks} tasks, the log makes it {fuel} \
         for {tasks}{more}"
    ))
}

/// The first team that has not as many members.
fn members(said: &[TeamEarned], made: &[TeamEarned]) -> Option<String> {
    let (said, made) = said.iter().zip(made).find(|(said, made)| said.members != made.members)?;
    number(&format!("members of team {}", said.id), said.members, made.members)
}

/// The first account whose balance differs. What is held for results that
/// aren't settled the log counts as reserved still.
fn balances(said: &LedgerInfo, made: &LedgerInfo) -> Option<String> {
    let mut people = BTreeMap::<PublicKey, [Points; 2]>::new();
    for person in &said.people {
        people.entry(person.key).or_default()[0] = person.points;
    }
    for person in &made.people {
        people.entry(person.key).or_default()[1] = person.points;
    }
    let person = |(key, [said, made]): (PublicKey, [Points; 2])| {
        [
            ("work", said.work, made.work),
            ("site", said.site, made.site),
            ("invited", said.invited, made.invited),
            ("campaign", said.campaign, made.campaign),
            ("availability", said.availability, made.availability),
            ("reliability", said.reliability, made.reliability),
        ]
        .into_iter()
        .find_map(|(kind, said, made)| number(&format!("{kind} of person {key}"), said, made))
    };
    // A relay may say any number.
    let reserved = |info: &LedgerInfo| info.jobs.saturating_add(info.held);
    let mut people = people.into_iter();
    people
        .find_map(person)
        .or_else(|| number("issued", said.issued, made.issued))
        .or_else(|| number("owners' budgets", said.owners, made.owners))
        .or_else(|| number("reserved and held", reserved(said), reserved(made)))
}
