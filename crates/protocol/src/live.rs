//! What a relay's pages show: the network as it is now and as it was, in the
//! JSON of `/v1/live`, `/v1/history` and `/v1/leaders`. Anyone may see it.

use crate::api::{Earned, NodeInfo};
use crate::{ExitReason, PublicKey};
use serde::{Deserialize, Serialize};

/// Each event of `/v1/live`: the network now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Live {
    /// When this was so: milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// The relay's key.
    pub relay: PublicKey,
    /// The relay's version.
    pub version: String,
    /// Nodes on line.
    pub nodes_online: u64,
    /// The same by kind of software, most first.
    pub kinds: Vec<Kind>,
    /// The most active of them, at most 100.
    pub nodes: Vec<NodeInfo>,
    /// Tasks that wait for a node.
    pub tasks_waiting: u64,
    /// Tasks that nodes hold.
    pub tasks_leased: u64,
    /// Tasks that have their canonical result.
    pub tasks_settled: u64,
    /// Tasks whose result may still be replaced.
    pub tasks_provisional: u64,
    /// Tasks settled in the last ten whole seconds.
    pub settled_10_s: u64,
    /// Fuel of all receipts that agree with canonical results.
    pub fuel: u64,
    /// The last settlements, newest first, at most 20.
    pub settled: Vec<SettledInfo>,
    /// False while the relay still reads its older entries, of which these two
    /// are made: the settlements, and how many of late.
    pub complete: bool,
}

/// Nodes of one kind of software.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Kind {
    /// What the software calls itself, without its version.
    pub name: String,
    /// How many are on line.
    pub nodes: u64,
}

/// A settled task, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SettledInfo {
    /// Number of the entry that settled it: what a proof is made of.
    pub seq: u64,
    /// When: milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// The node whose receipt is the canonical result; the relay's own key
    /// where it ran the task itself.
    pub node: PublicKey,
    /// How the run ended.
    pub reason: ExitReason,
    /// Fuel it used.
    pub fuel: u64,
    /// Receipts that agree, this one included.
    pub agree: u64,
    /// Receipts that lost.
    pub lost: u64,
}

/// Answer to `GET /v1/history`: counts over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct History {
    /// Length of each moment, in milliseconds.
    pub step_ms: u64,
    /// False while the relay still reads its older entries.
    pub complete: bool,
    /// Oldest first, without gaps; the last one is not over yet.
    pub moments: Vec<Moment>,
}

/// What happened in a stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Moment {
    /// Its beginning: milliseconds since 1970-01-01 UTC.
    pub from_ms: u64,
    /// Receipts committed.
    pub receipts: u64,
    /// Tasks settled.
    pub settled: u64,
    /// Of those, by more than one receipt.
    pub checked: u64,
    /// Fuel of receipts that were credited.
    pub fuel: u64,
}

/// Answer to `GET /v1/leaders`: who earned most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Leaders {
    /// From when on is counted: milliseconds since 1970-01-01 UTC; 0: from the
    /// log's beginning.
    pub from_ms: u64,
    /// False while the relay still reads its older entries.
    pub complete: bool,
    /// Most fuel first, at most 100.
    pub nodes: Vec<Earned>,
    /// Nodes that earned something in all.
    pub count: u64,
    /// The last entry that counts.
    pub seq: u64,
}
