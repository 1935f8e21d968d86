//! What a decision is made of: votes, their draws, and what they come to.

use crate::Task;
use grid_protocol::{Digest, PublicKey};

/// Who ran a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Voter {
    /// The relay itself: the referee, whose answer stands.
    Relay,
    /// A node.
    Node(PublicKey),
}

/// The output of the verifiable draw over a receipt: its first 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw(pub [u8; 32]);

impl Draw {
    /// A number from 0 to below 1, with 53 random bits: the result is checked
    /// when it is below the check rate.
    pub fn fraction(&self) -> f64 {
        // 2^53 is exact in an f64, and so is the quotient.
        (first_u64(&self.0) >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// Place on a roster of `len` members of the draw's candidate `i`: the
    /// first 8 bytes (little-endian) of SHA-256(draw, i as u32 little-endian),
    /// modulo `len`. `None` on an empty roster.
    pub fn candidate(&self, i: u32, len: usize) -> Option<usize> {
        let mut bytes = [0; 36];
        bytes[..32].copy_from_slice(&self.0);
        bytes[32..].copy_from_slice(&i.to_le_bytes());
        let number = first_u64(&Digest::of(&bytes).0);
        number.checked_rem(len as u64).map(|place| place as usize)
    }
}

fn first_u64(bytes: &[u8; 32]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(first)
}

/// A committed receipt, as far as trust is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// Number of the entry that committed it.
    pub seq: u64,
    /// Who ran the task.
    pub voter: Voter,
    /// What came out; equal answers agree.
    pub answer: Digest,
    /// The draw over the receipt.
    pub draw: Draw,
}

/// What the votes on a task call for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// The answer is accepted.
    Settle {
        /// The answer.
        answer: Digest,
    },
    /// The result is provisional: its node has to pass later checks first.
    Hold,
    /// One more vote.
    Check,
    /// Votes don't decide it: the relay's own run.
    Referee,
}

/// An accepted answer and all votes on its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The task.
    pub task: Task,
    /// The accepted answer.
    pub answer: Digest,
    /// Every vote; those for the answer first, each part in the order of the
    /// log. The first is the canonical result's.
    pub votes: Vec<Vote>,
}

impl Settlement {
    /// Brings votes into the order of a settlement.
    pub fn new(task: Task, answer: Digest, mut votes: Vec<Vote>) -> Self {
        votes.sort_by_key(|vote| (vote.answer != answer, vote.seq));
        Self { task, answer, votes }
    }
}

/// What a settlement did to standings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// Entries of the votes that are credited: for the answer, by nodes that
    /// were not caught.
    pub credited: Vec<u64>,
    /// Nodes that passed a check.
    pub passed: Vec<PublicKey>,
    /// Nodes that were caught, and are shut out from now on.
    pub caught: Vec<PublicKey>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_what_is_written_down() {
        let draw = Draw(Digest::of(b"draw").0);
        assert_eq!(draw.candidate(0, 0), None);
        assert_eq!(draw.candidate(0, 1), Some(0));
        // Computed with Python's hashlib.
        assert_eq!(draw.candidate(0, 1000), Some(155));
        assert_eq!(draw.candidate(1, 1000), Some(936));
        assert_eq!(Draw([0; 32]).fraction(), 0.0);
        assert!(Draw([255; 32]).fraction() < 1.0);
        let mut half = [0; 32];
        half[7] = 0x80;
        assert_eq!(Draw(half).fraction(), 0.5);
    }
}
