//! The rules of rewards: integers, so that every auditor computes the same.

use grid_protocol::limits::FUEL_PER_POINT;
use serde::{Deserialize, Serialize};
use thiserror::Error;

const VERSION: u8 = 1;
const LEN: usize = 1 + 3 * 8 + 6 * 4;
/// Availability is never more than this share of a day's confirmed work, in
/// millionths: a tenth.
pub(crate) const MOST_AVAILABILITY: u32 = 100_000;
const MILLION: u32 = 1_000_000;

/// Why bytes are not rules of rewards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RewardRulesError {
    /// Not the layout of [`RewardRules::encode`].
    #[error("not rules of rewards: wrong length or version")]
    Layout,
    /// A rule is outside its range.
    #[error("the reward rule {0} is out of range")]
    Range(&'static str),
}

/// What is issued on top of verified work. Logged before it is used; a day's
/// rewards follow the rules that held when the day ended, shares those that
/// hold at the settlement. A day is one of UTC.
///
/// Its names are those of the file that the operator edits, where what is left
/// out is as in [`RewardRules::default`]; [`RewardRules::encode`] is what is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RewardRules {
    /// Fuel for each challenge that a node answered, less as much for each that
    /// it missed.
    pub availability: u64,
    /// The most that a day's availability may be, in millionths of what the
    /// node's verified work of the day was; at most 100,000: a tenth.
    pub availability_cap_ppm: u32,
    /// Bonus of a day without a failed check, in millionths of the day's
    /// verified work; at most 1,000,000.
    pub reliability_ppm: u32,
    /// Checks that a node must pass in a day for it; at least 1.
    pub reliability_passes: u32,
    /// What an inviter gets, in millionths of the verified work of whom they
    /// invited; at most 1,000,000.
    pub invitation_ppm: u32,
    /// Most fuel that one who was invited brings the inviter in all.
    pub invitation_cap: u64,
    /// Most fuel that an inviter gets so in a day.
    pub inviter_daily_cap: u64,
    /// Days for which an invitation pays.
    pub invitation_days: u32,
    /// What a site's account gets of the points of nodes on it, in millionths;
    /// at most 1,000,000.
    pub site_ppm: u32,
}

impl Default for RewardRules {
    /// What an operator begins with.
    fn default() -> Self {
        Self {
            availability: FUEL_PER_POINT / 100,
            availability_cap_ppm: MOST_AVAILABILITY,
            reliability_ppm: 20_000,
            reliability_passes: 20,
            invitation_ppm: 50_000,
            invitation_cap: 1_000 * FUEL_PER_POINT,
            inviter_daily_cap: 1_000 * FUEL_PER_POINT,
            invitation_days: 90,
            site_ppm: MILLION,
        }
    }
}

impl RewardRules {
    /// What holds until rules are logged: nothing is issued, and a site gets
    /// its nodes' points.
    pub const NONE: Self = Self {
        availability: 0,
        availability_cap_ppm: 0,
        reliability_ppm: 0,
        reliability_passes: 1,
        invitation_ppm: 0,
        invitation_cap: 0,
        inviter_daily_cap: 0,
        invitation_days: 0,
        site_ppm: MILLION,
    };

    /// The logged bytes: version, then little-endian the 64-bit fields in
    /// order, then the 32-bit fields in order.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LEN);
        out.push(VERSION);
        for field in [self.availability, self.invitation_cap, self.inviter_daily_cap] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        for field in [
            self.availability_cap_ppm,
            self.reliability_ppm,
            self.reliability_passes,
            self.invitation_ppm,
            self.invitation_days,
            self.site_ppm,
        ] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out
    }

    /// Reads what [`Self::encode`] wrote; every field must be in its range.
    pub fn decode(bytes: &[u8]) -> Result<Self, RewardRulesError> {
        let bytes: &[u8; LEN] = bytes.try_into().map_err(|_| RewardRulesError::Layout)?;
        if bytes[0] != VERSION {
            return Err(RewardRulesError::Layout);
        }
        let (mut long, mut short) = ([0_u64; 3], [0_u32; 6]);
        let (first, second) = bytes[1..].split_at(24);
        for (field, bytes) in long.iter_mut().zip(first.chunks_exact(8)) {
            *field = bytes.iter().rev().fold(0, |field, byte| field << 8 | u64::from(*byte));
        }
        for (field, bytes) in short.iter_mut().zip(second.chunks_exact(4)) {
            *field = bytes.iter().rev().fold(0, |field, byte| field << 8 | u32::from(*byte));
        }
        let rules = Self {
            availability: long[0],
            invitation_cap: long[1],
            inviter_daily_cap: long[2],
            availability_cap_ppm: short[0],
            reliability_ppm: short[1],
            reliability_passes: short[2],
            invitation_ppm: short[3],
            invitation_days: short[4],
            site_ppm: short[5],
        };
        rules.validate()?;
        Ok(rules)
    }

    /// Is every field in its range?
    pub fn validate(&self) -> Result<(), RewardRulesError> {
        for (name, fine) in [
            ("availability_cap_ppm", self.availability_cap_ppm <= MOST_AVAILABILITY),
            ("reliability_ppm", self.reliability_ppm <= MILLION),
            ("reliability_passes", self.reliability_passes >= 1),
            ("invitation_ppm", self.invitation_ppm <= MILLION),
            ("site_ppm", self.site_ppm <= MILLION),
        ] {
            if !fine {
                return Err(RewardRulesError::Range(name));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_survive_the_log() {
        let rules = RewardRules::default();
        let bytes = rules.encode();
        assert_eq!(RewardRules::decode(&bytes), Ok(rules));
        assert_eq!(
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            "0180969800000000000010a5d4e80000000010a5d4e8000000\
             a0860100204e00001400000050c300005a00000040420f00"
        );
        for cut in 0..bytes.len() {
            assert_eq!(RewardRules::decode(&bytes[..cut]), Err(RewardRulesError::Layout));
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(RewardRules::decode(&longer), Err(RewardRulesError::Layout));
        assert_eq!(RewardRules::decode(&RewardRules::NONE.encode()), Ok(RewardRules::NONE));
    }

    #[test]
    fn rules_out_of_range_are_refused() {
        let refused = |change: fn(&mut RewardRules), name| {
            let mut rules = RewardRules::default();
            change(&mut rules);
            let error = RewardRulesError::Range(name);
            assert_eq!(RewardRules::decode(&rules.encode()), Err(error));
        };
        refused(|rules| rules.availability_cap_ppm = 100_001, "availability_cap_ppm");
        refused(|rules| rules.reliability_ppm = 1_000_001, "reliability_ppm");
        refused(|rules| rules.reliability_passes = 0, "reliability_passes");
        refused(|rules| rules.invitation_ppm = 1_000_001, "invitation_ppm");
        refused(|rules| rules.site_ppm = 1_000_001, "site_ppm");
    }
}
