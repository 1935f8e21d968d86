//! The rules that decide how much is checked: integers, so that every platform
//! and every auditor computes the same.

use grid_protocol::entry::MAX_VOTES;
use thiserror::Error;

/// Longest hold that may be asked for: a node's record remembers so many passes.
pub const MAX_HOLD: u32 = 64;

const VERSION: u8 = 1;
const LEN: usize = 1 + 8 * 4;

/// Why bytes are not rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RulesError {
    /// Not the layout of [`Rules::encode`].
    #[error("not trust rules: wrong length or version")]
    Layout,
    /// A rule is outside its range.
    #[error("the trust rule {0} is out of range")]
    Range(&'static str),
}

/// What the operator assumes and asks for. Logged before it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Assumed share of faulty nodes among newcomers, in millionths, at most
    /// 499,999: Sarmenta's f.
    pub faulty_ppm: u32,
    /// Assumed share of the largest ring of colluders, in millionths, at most
    /// 499,999: the chance that a drawn voter repeats the lie of the first.
    pub colluding_ppm: u32,
    /// The share of results that are checked whoever made them, in millionths,
    /// at most 1,000,000. 0 is for fleets whose nodes are all trusted.
    pub floor_ppm: u32,
    /// A node is a newcomer, and always checked, until it passed so many
    /// checks.
    pub newcomer: u32,
    /// A single result stays provisional until its node passed so many checks
    /// of results it committed later; at most [`MAX_HOLD`].
    pub hold: u32,
    /// Over how many checks the evidence about a class of nodes fades; at
    /// least 1. A class that passed them all is believed to err less than once
    /// in `window`.
    pub window: u32,
    /// A task with so many votes that isn't decided goes to the relay's own
    /// run; 2 to [`MAX_VOTES`] - 1, so that its settlement holds them all.
    pub max_votes: u32,
    /// A node is shut out only when the chance that it was right is below this
    /// many billionths, however lax the job; at least 1.
    pub verdict_ppb: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            faulty_ppm: 200_000,
            colluding_ppm: 100_000,
            floor_ppm: 60_000,
            newcomer: 20,
            hold: 5,
            window: 15_000,
            max_votes: 12,
            verdict_ppb: 100_000,
        }
    }
}

impl Rules {
    /// The logged bytes: version, then the fields in order, little-endian.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LEN);
        out.push(VERSION);
        for field in [
            self.faulty_ppm,
            self.colluding_ppm,
            self.floor_ppm,
            self.newcomer,
            self.hold,
            self.window,
            self.max_votes,
            self.verdict_ppb,
        ] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out
    }

    /// Reads what [`Self::encode`] wrote; every field must be in its range.
    pub fn decode(bytes: &[u8]) -> Result<Self, RulesError> {
        let bytes: &[u8; LEN] = bytes.try_into().map_err(|_| RulesError::Layout)?;
        if bytes[0] != VERSION {
            return Err(RulesError::Layout);
        }
        let field = |place: usize| {
            let at = 1 + 4 * place;
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let rules = Self {
            faulty_ppm: field(0),
            colluding_ppm: field(1),
            floor_ppm: field(2),
            newcomer: field(3),
            hold: field(4),
            window: field(5),
            max_votes: field(6),
            verdict_ppb: field(7),
        };
        rules.validate()?;
        Ok(rules)
    }

    /// Is every field in its range?
    pub fn validate(&self) -> Result<(), RulesError> {
        for (name, fine) in [
            ("faulty_ppm", self.faulty_ppm < 500_000),
            ("floor_ppm", self.floor_ppm <= 1_000_000),
            ("hold", self.hold <= MAX_HOLD),
            ("window", self.window >= 1),
            ("max_votes", (2..MAX_VOTES as u32).contains(&self.max_votes)),
            ("verdict_ppb", self.verdict_ppb >= 1),
        ] {
            if !fine {
                return Err(RulesError::Range(name));
            }
        }
        Ok(())
    }

    /// The assumed share of a ring.
    pub(crate) fn colluding(&self) -> f64 {
        f64::from(self.colluding_ppm) / 1e6
    }

    /// The assumed share of faulty nodes.
    pub(crate) fn faulty(&self) -> f64 {
        f64::from(self.faulty_ppm) / 1e6
    }

    /// The lowest share of results that are checked.
    pub(crate) fn floor(&self) -> f64 {
        f64::from(self.floor_ppm) / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_survive_the_log() {
        let rules = Rules::default();
        let bytes = rules.encode();
        assert_eq!(Rules::decode(&bytes), Ok(rules));
        assert_eq!(
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            "01400d0300a086010060ea00001400000005000000983a00000c000000a0860100"
        );
        for cut in 0..bytes.len() {
            assert_eq!(Rules::decode(&bytes[..cut]), Err(RulesError::Layout));
        }
        assert_eq!(Rules::decode(&[&bytes[..], &[0]].concat()), Err(RulesError::Layout));
    }

    #[test]
    fn rules_out_of_range_are_refused() {
        let refused = |change: fn(&mut Rules), name| {
            let mut rules = Rules::default();
            change(&mut rules);
            assert_eq!(Rules::decode(&rules.encode()), Err(RulesError::Range(name)));
        };
        refused(|rules| rules.faulty_ppm = 500_000, "faulty_ppm");
        refused(|rules| rules.floor_ppm = 1_000_001, "floor_ppm");
        refused(|rules| rules.hold = MAX_HOLD + 1, "hold");
        refused(|rules| rules.window = 0, "window");
        refused(|rules| rules.max_votes = 1, "max_votes");
        refused(|rules| rules.max_votes = 32, "max_votes");
        refused(|rules| rules.verdict_ppb = 0, "verdict_ppb");
    }
}
