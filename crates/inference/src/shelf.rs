//! Which models are kept.

use grid_protocol::Digest;
use thiserror::Error;

/// A model that is kept, whole or in part.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Entry {
    /// Its digest.
    #[n(0)]
    pub digest: Digest,
    /// Its name.
    #[n(1)]
    pub name: String,
    /// Its size in bytes, all of it.
    #[n(2)]
    pub bytes: u64,
    /// Whether all of it is there.
    #[n(3)]
    pub whole: bool,
}

/// What is kept, the one used longest ago first.
#[derive(Debug, Clone, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Shelf {
    /// The models.
    #[n(0)]
    pub entries: Vec<Entry>,
}

/// A model that is larger than all that may be kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the model has {} MiB, and {} MiB of models may be kept", bytes >> 20, quota >> 20)]
pub struct TooLarge {
    bytes: u64,
    quota: u64,
}

impl Shelf {
    /// Makes room for a model, and puts it on the shelf as the one used last;
    /// gives the models that must be deleted for it.
    ///
    /// # Errors
    /// Without any other it is still too large: nothing has changed.
    pub fn make_room(
        &mut self,
        digest: Digest,
        name: &str,
        bytes: u64,
        quota: u64,
    ) -> Result<Vec<Digest>, TooLarge> {
        let room = quota.checked_sub(bytes).ok_or(TooLarge { bytes, quota })?;
        let own = self.entries.iter().position(|entry| entry.digest == digest);
        let own = own.map(|at| self.entries.remove(at));
        let mut evicted = Vec::new();
        while self.bytes() > room {
            evicted.push(self.entries.remove(0).digest);
        }
        let whole = own.is_some_and(|entry| entry.whole && entry.bytes == bytes);
        self.entries.push(Entry { digest, name: name.into(), bytes, whole });
        Ok(evicted)
    }

    /// Says whether all of a model is there.
    pub fn set_whole(&mut self, digest: Digest, whole: bool) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.digest == digest) {
            entry.whole = whole;
        }
    }

    /// Takes a model off.
    pub fn remove(&mut self, digest: Digest) {
        self.entries.retain(|entry| entry.digest != digest);
    }

    /// Bytes of all models on it.
    pub fn bytes(&self) -> u64 {
        self.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Digest = Digest([1; 32]);
    const B: Digest = Digest([2; 32]);
    const C: Digest = Digest([3; 32]);

    fn names(shelf: &Shelf) -> String {
        shelf.entries.iter().map(|entry| entry.name.as_str()).collect()
    }

    #[test]
    fn the_one_used_longest_ago_goes_first() {
        let mut shelf = Shelf::default();
        assert_eq!(shelf.make_room(A, "A", 4, 10), Ok(vec![]));
        assert_eq!(shelf.make_room(B, "B", 5, 10), Ok(vec![]));
        shelf.set_whole(A, true);
        assert_eq!(shelf.make_room(A, "A", 4, 10), Ok(vec![]), "used again");
        assert!(shelf.entries[1].whole, "and still whole");
        assert_eq!(shelf.make_room(C, "C", 6, 10), Ok(vec![B]));
        assert_eq!((names(&shelf), shelf.bytes()), ("AC".into(), 10));
        assert_eq!(shelf.make_room(B, "B", 10, 10), Ok(vec![A, C]));
    }

    #[test]
    fn nothing_is_deleted_for_what_can_never_fit() {
        let mut shelf = Shelf::default();
        assert_eq!(shelf.make_room(A, "A", 10, 10), Ok(vec![]));
        let before = shelf.clone();
        assert!(shelf.make_room(B, "B", 11, 10).is_err());
        assert_eq!(shelf, before);
    }

    #[test]
    fn a_smaller_quota_holds_from_the_next_use() {
        let mut shelf = Shelf::default();
        for (digest, name) in [(A, "A"), (B, "B"), (C, "C")] {
            assert_eq!(shelf.make_room(digest, name, 3, 10), Ok(vec![]));
        }
        assert_eq!(shelf.make_room(C, "C", 3, 5), Ok(vec![A, B]));
        assert_eq!(names(&shelf), "C");
    }
}
