//! A hash index over things that are kept elsewhere: 4 bytes a slot, and a
//! bound on how far it looks, so that a vocabulary made to collide is refused
//! instead of slow.

use super::parts::TokenizerError;

const EMPTY: u32 = u32::MAX;
/// Most slots looked at. With half of the slots free a fair hash needs some
/// twenty.
const PROBES: usize = 256;

#[derive(Debug, Clone)]
pub(super) struct Index {
    /// A power of two, at least twice the number of things.
    slots: Vec<u32>,
}

/// Multiply and fold, eight bytes at a time.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut state = bytes.len() as u64 ^ 0x9e37_79b9_7f4a_7c15;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let product = u128::from(state ^ u64::from_le_bytes(word)) * 0xf135_7aea_2e62_a9c5;
        state = (product as u64) ^ ((product >> 64) as u64);
    }
    state.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16
}

impl Index {
    pub(super) fn new(things: usize) -> Self {
        Self { slots: vec![EMPTY; (2 * things).next_power_of_two().max(2)] }
    }

    fn probes(&self, hash: u64) -> impl Iterator<Item = usize> {
        let mask = self.slots.len() - 1;
        (0..PROBES.min(self.slots.len())).map(move |step| (hash as usize).wrapping_add(step) & mask)
    }

    /// The first thing with this hash for which `same` holds.
    pub(super) fn find(&self, hash: u64, same: impl Fn(u32) -> bool) -> Option<u32> {
        self.probes(hash)
            .map(|slot| self.slots[slot])
            .take_while(|thing| *thing != EMPTY)
            .find(|thing| same(*thing))
    }

    /// Adds a thing, which is not looked for: the first of equal ones is found.
    pub(super) fn insert(&mut self, hash: u64, thing: u32) -> Result<(), TokenizerError> {
        let free = self.probes(hash).find(|slot| self.slots[*slot] == EMPTY);
        self.slots[free.ok_or(TokenizerError::Collisions)?] = thing;
        Ok(())
    }
}
