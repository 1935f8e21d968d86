//! What a node is made with.

use grid_protocol::{Package, PublicKey, Signature, SignatureError, limits};

/// Decides on a relay's signature over an acknowledgement.
pub type VerifyAck = fn(&PublicKey, &[u8], &Signature) -> Result<(), SignatureError>;

/// What a node is made with; it doesn't change while the node lives.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name and version of the node's software, as the relay is told.
    pub agent: String,
    /// What the node's package may run.
    pub package: Package,
    /// Versions of admission whose modules the executor runs.
    pub admissions: Vec<u16>,
    /// Versions of the arithmetic that the executor infers in; none: it has no
    /// runtime `infer`.
    pub arithmetics: Vec<u16>,
    /// Leases held at a time, 1 to [`limits::MAX_SLOTS`].
    pub slots: u8,
    /// Where the jitter of waits comes from: random, so that nodes which lost
    /// the same relay don't come back together.
    pub jitter_seed: u64,
    /// Bytes of modules kept for the next lease that needs them.
    pub cache_bytes: usize,
    /// Whether to ask for [`crate::Action::Save`] and [`crate::Action::Keep`]. A
    /// driver that has nowhere to save them (its leases end with its process)
    /// says no.
    pub saves: bool,
    /// Checks acknowledgements: [`PublicKey::verify`] unless the driver has a
    /// faster library.
    pub verify_ack: VerifyAck,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            agent: concat!("grid-node/", env!("CARGO_PKG_VERSION")).into(),
            package: Package::Full,
            admissions: vec![2],
            arithmetics: vec![],
            slots: 1,
            jitter_seed: 0,
            cache_bytes: limits::MAX_ADMITTED,
            saves: true,
            verify_ack: PublicKey::verify,
        }
    }
}
