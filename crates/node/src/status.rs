//! What a node says of itself to its owner.

use grid_protocol::{LeaseId, PublicKey, Runtime};
use serde::Serialize;

/// In one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Switched off.
    Off,
    /// Switched on, but not allowed to work now.
    Paused,
    /// On its way to the relay.
    Connecting,
    /// Joined; no work now.
    Waiting,
    /// Working.
    Working,
}

/// Why it isn't working. The popup has a sentence for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It works: nothing to explain.
    Working,
    /// The owner switched it off.
    SwitchedOff,
    /// The owner wants quiet for a while.
    Snoozed,
    /// Outside of the hours that the owner set.
    OutsideHours,
    /// Somebody uses the device.
    DeviceInUse,
    /// The device is on battery.
    OnBattery,
    /// The relay can't be reached; it tries again.
    Unreachable,
    /// The relay refused the node; see the error.
    Refused,
    /// Another node of the same browser works for the relay.
    Elsewhere,
    /// The relay's address is not one.
    BadAddress,
    /// The socket is being opened, or the node is joining.
    Joining,
    /// The sandbox is being started.
    StartingSandbox,
    /// The relay has no work for it.
    NoWork,
}

/// A task under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Running {
    /// Its lease.
    pub lease: LeaseId,
    /// Name of the owner who published its job, as the relay says it; or empty.
    pub owner: String,
    /// The job's name, as its owner gave it; or empty.
    pub job: String,
    /// What executes it.
    pub runtime: Runtime,
    /// Digest of the module or model.
    pub module: String,
    /// Name of the model, once it is known.
    pub model: String,
    /// Bytes of the model that are here and bytes in all, until it is loaded.
    pub loading: Option<(u64, u64)>,
    /// Pieces of text so far: a token makes one, or none.
    pub pieces: u32,
    /// Fuel used so far.
    pub fuel: u64,
    /// Fuel limit.
    pub limit: u64,
    /// Since when, in the driver's milliseconds.
    pub since: u64,
}

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// In one word.
    pub state: State,
    /// Why it isn't working.
    pub why: Why,
    /// When that ends by itself, in milliseconds since 1970.
    pub until: Option<u64>,
    /// The relay's last words, where it refused something.
    pub error: Option<String>,
    /// The node's key.
    pub node: PublicKey,
    /// Receipts acknowledged, in all: the relay's count plus what came since.
    pub tasks: u64,
    /// Their fuel ([`grid_protocol::limits::FUEL_PER_POINT`] makes a point).
    pub fuel: u64,
    /// What runs now.
    pub running: Vec<Running>,
}
