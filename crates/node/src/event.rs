//! What happens to a node.

use crate::Settings;
use grid_protocol::{BrowserId, Delegation, Digest, ExitReason, GiveBackReason, LeaseId};
use serde::{Deserialize, Serialize};

/// What the browser says of the person at the device (`chrome.idle`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdleState {
    /// Somebody uses the device.
    Active,
    /// Nobody has for a while.
    Idle,
    /// The screen is locked.
    Locked,
}

/// What the browser says of the power supply; `None` where it doesn't tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Power {
    /// On mains (or charging)?
    pub mains: Option<bool>,
}

/// Who a node belongs to, as it says when it joins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// The account that the node belongs to, if any.
    pub delegation: Option<Delegation>,
    /// The code of the invitation by which it came, if any.
    pub invitation: Option<String>,
    /// The browser that it lives in, where that is known across sites.
    pub browser: Option<BrowserId>,
}

/// How a run in the executor ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunReport {
    /// How the module ended.
    pub reason: ExitReason,
    /// Its exit code.
    pub exit_code: u32,
    /// The encoded output list ([`grid_protocol::Files::encode`]).
    pub output: Vec<u8>,
    /// Check digest of an inference; zero for modules.
    pub check: Digest,
    /// Fuel it used.
    pub fuel: u64,
    /// What the engine said of a trap.
    pub hint: Option<String>,
}

/// What happens to a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The owner changed a setting (the switch is one).
    Settings(Settings),
    /// Somebody came to the device, or left it.
    Idle(IdleState),
    /// Mains or battery.
    Power(Power),
    /// Local time is so many minutes ahead of UTC.
    Zone(i32),
    /// Who the node belongs to. Joins anew where that has changed.
    Membership(Membership),

    /// The socket asked for by [`crate::Action::Connect`] is open.
    Opened,
    /// A message came over the socket.
    Message(Vec<u8>),
    /// The socket could not be opened, or closed.
    Closed,

    /// A fetch ended. Bytes are as they came: not checked yet.
    Fetched {
        /// For which lease.
        lease: LeaseId,
        /// Which blob.
        digest: Digest,
        /// The blob, or what went wrong.
        result: Result<Vec<u8>, String>,
    },
    /// An upload ended.
    Uploaded {
        /// For which lease.
        lease: LeaseId,
        /// What went wrong, if anything did.
        result: Result<(), String>,
    },

    /// The executor can take work. `holding` are runs it still has, working or
    /// finished, from before the node was started again; finished ones follow
    /// as [`Event::Finished`].
    ExecutorReady {
        /// Runs it still has.
        holding: Vec<LeaseId>,
    },
    /// A run used so much fuel so far.
    Progress {
        /// The lease it runs for.
        lease: LeaseId,
        /// Fuel used.
        fuel: u64,
    },
    /// A run ended.
    Finished {
        /// The lease it ran for.
        lease: LeaseId,
        /// How.
        report: RunReport,
    },
    /// A run ended without an answer: the device could not (memory, stack of
    /// the engine, a module that doesn't compile in time, a killed worker), or
    /// a model could not be had.
    Failed {
        /// The lease it ran for.
        lease: LeaseId,
        /// Why it is given back.
        reason: GiveBackReason,
        /// What went wrong, for people.
        detail: String,
    },
    /// The model of a run is being fetched or loaded.
    Loading {
        /// The lease it runs for.
        lease: LeaseId,
        /// The model's name.
        model: String,
        /// Bytes that are here.
        bytes: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A run generated more text.
    Text {
        /// The lease it runs for.
        lease: LeaseId,
        /// Bytes of the text before it.
        offset: u32,
        /// The piece: whole characters.
        text: String,
        /// Pieces so far, this one included.
        pieces: u32,
    },
    /// The executor keeps exactly these models whole now.
    Models(Vec<Digest>),
    /// The executor is gone, with all it held.
    ExecutorGone,

    /// The time asked for by [`crate::Action::Wake`] has come. Harmless at any
    /// other time.
    Wake,
}
