//! Inputs and outputs: sorted lists of (path, bytes). The digest of a list is
//! SHA-256 of its canonical encoding, so a body's digest is its list's digest.

use crate::bytes::{DecodeError, Reader, header, put_bytes};
use crate::{Digest, limits};
use std::collections::BTreeMap;
use thiserror::Error;

const DOMAIN: &str = "grid-files";
const VERSION: u16 = 1;

/// Which list: it decides the paths that are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// `stdin` and `/in/...`
    Input,
    /// `stdout`, `stderr` and `/out/...`
    Output,
}

/// Why a list, or a path for it, was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FilesError {
    /// The bytes are not an encoded list.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Paths must be `stdin` or `/in/...` (inputs), `stdout`, `stderr` or
    /// `/out/...` (outputs), without empty, `.` or `..` components.
    #[error("the path {0:?} is not allowed in this list")]
    Path(String),
    /// A file stands where another file's path needs a folder.
    #[error("{0:?} is both a file and a folder")]
    FileIsFolder(String),
    /// Not sorted, a path twice, or an empty stream listed.
    #[error("the list is not in canonical order at {0:?}")]
    Order(String),
    /// More files than [`limits::MAX_FILES`].
    #[error("more than {} files", limits::MAX_FILES)]
    TooMany,
}

/// A list of files. Always canonical: sorted by path (bytewise), no path
/// twice, no file that is also a folder, empty standard streams left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    side: Side,
    entries: BTreeMap<String, Vec<u8>>,
}

impl Files {
    /// An empty list.
    pub fn new(side: Side) -> Self {
        Self { side, entries: BTreeMap::new() }
    }

    /// An input list with just this on standard input.
    pub fn stdin(bytes: Vec<u8>) -> Self {
        let mut files = Self::new(Side::Input);
        if !bytes.is_empty() {
            files.entries.insert("stdin".into(), bytes);
        }
        files
    }

    /// Adds or replaces a file. An empty standard stream is left out.
    pub fn insert(&mut self, path: &str, bytes: Vec<u8>) -> Result<(), FilesError> {
        if !allowed(self.side, path) {
            return Err(FilesError::Path(path.into()));
        }
        if bytes.is_empty() && !path.starts_with('/') {
            self.entries.remove(path);
            return Ok(());
        }
        if self.entries.len() >= limits::MAX_FILES && !self.entries.contains_key(path) {
            return Err(FilesError::TooMany);
        }
        self.check_folders(path)?;
        self.entries.insert(path.into(), bytes);
        Ok(())
    }

    /// Refuses `path` where one of its folders is a file here, or it is a
    /// folder of a file here.
    fn check_folders(&self, path: &str) -> Result<(), FilesError> {
        let mut parents = path.match_indices('/').map(|(at, _)| &path[..at]);
        if let Some(parent) = parents.rfind(|p| self.entries.contains_key(*p)) {
            return Err(FilesError::FileIsFolder(parent.into()));
        }
        let below = format!("{path}/");
        let next = self.entries.range(below.clone()..).next();
        if next.is_some_and(|(other, _)| other.starts_with(&below)) {
            return Err(FilesError::FileIsFolder(path.into()));
        }
        Ok(())
    }

    /// The bytes at `path`; a standard stream that is not listed is empty.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.entries.get(path).map(Vec::as_slice)
    }

    /// All files, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
    }

    /// All files by value, in order.
    pub fn into_entries(self) -> impl Iterator<Item = (String, Vec<u8>)> {
        self.entries.into_iter()
    }

    /// Number of files.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when there is no file.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sum of all paths' and files' lengths: what an output limit counts.
    pub fn size(&self) -> u64 {
        self.entries.iter().map(|(path, bytes)| (path.len() + bytes.len()) as u64).sum()
    }

    /// Canonical bytes: header, u32 count, then (u32 length, path, u32
    /// length, bytes) for each file in order.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = header(DOMAIN, VERSION);
        out.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        for (path, bytes) in &self.entries {
            put_bytes(&mut out, path.as_bytes());
            put_bytes(&mut out, bytes);
        }
        out
    }

    /// Decodes canonical bytes; anything else is an error.
    pub fn decode(side: Side, bytes: &[u8]) -> Result<Self, FilesError> {
        let mut reader = Reader::header(bytes, DOMAIN, VERSION)?;
        let count = reader.u32()? as usize;
        if count > limits::MAX_FILES {
            return Err(FilesError::TooMany);
        }
        let mut files = Self::new(side);
        for _ in 0..count {
            let path = reader.text("path")?;
            let body = reader.bytes()?;
            let sorted =
                files.entries.last_key_value().is_none_or(|(last, _)| last.as_str() < path);
            files.insert(path, body.to_vec())?;
            if !sorted || !files.entries.contains_key(path) {
                return Err(FilesError::Order(path.into()));
            }
        }
        reader.end()?;
        Ok(files)
    }

    /// SHA-256 of [`Files::encode`].
    pub fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }
}

fn allowed(side: Side, path: &str) -> bool {
    let below = match side {
        Side::Input if path == "stdin" => return true,
        Side::Output if path == "stdout" || path == "stderr" => return true,
        Side::Input => path.strip_prefix("/in/"),
        Side::Output => path.strip_prefix("/out/"),
    };
    below.is_some_and(|below| {
        path.len() <= limits::MAX_PATH
            && !path.contains('\0')
            && below.split('/').all(|part| !matches!(part, "" | "." | ".."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths() {
        let check = |side, path: &str, ok| {
            let mut files = Files::new(side);
            assert_eq!(files.insert(path, vec![1]).is_ok(), ok, "{path:?}");
        };
        check(Side::Input, "stdin", true);
        check(Side::Input, "/in/a/b", true);
        check(Side::Input, "/in/..", false);
        check(Side::Input, "/in/a//b", false);
        check(Side::Input, "/in/", false);
        check(Side::Input, "/in/./x", false);
        check(Side::Input, "/in/a\0b", false);
        check(Side::Input, "stdout", false);
        check(Side::Input, "/out/x", false);
        check(Side::Output, "stderr", true);
        check(Side::Output, "/out/x", true);
        check(Side::Output, "/in/x", false);
        check(Side::Output, &format!("/out/{}", "x".repeat(1020)), false);
    }

    #[test]
    fn a_file_is_no_folder() {
        for (first, second) in [("/in/a", "/in/a/b"), ("/in/a/b", "/in/a")] {
            let mut files = Files::new(Side::Input);
            files.insert(first, vec![]).unwrap();
            assert!(matches!(files.insert(second, vec![]), Err(FilesError::FileIsFolder(_))));
        }
        let mut files = Files::new(Side::Input);
        files.insert("/in/a-b", vec![]).unwrap();
        files.insert("/in/a", vec![]).unwrap();
        files.insert("/in/ab", vec![]).unwrap();
    }

    #[test]
    fn empty_streams_are_left_out() {
        let mut files = Files::new(Side::Output);
        files.insert("stdout", vec![]).unwrap();
        assert!(files.is_empty());
        assert_eq!(files.digest(), Files::new(Side::Output).digest());
        let mut listed = header(DOMAIN, VERSION);
        listed.extend_from_slice(&1u32.to_le_bytes());
        put_bytes(&mut listed, b"stdout");
        put_bytes(&mut listed, b"");
        assert!(matches!(Files::decode(Side::Output, &listed), Err(FilesError::Order(_))));
    }

    #[test]
    fn a_claimed_count_allocates_nothing() {
        let mut bytes = header(DOMAIN, VERSION);
        bytes.extend_from_slice(&4096u32.to_le_bytes());
        assert!(matches!(
            Files::decode(Side::Input, &bytes),
            Err(FilesError::Decode(DecodeError::Truncated(_)))
        ));
    }

    proptest! {
        #[test]
        fn round_trip(entries in proptest::collection::btree_map("/out/[a-c]{1,3}", proptest::collection::vec(any::<u8>(), 0..40), 0..8)) {
            let mut files = Files::new(Side::Output);
            for (path, bytes) in &entries {
                files.insert(path, bytes.clone()).unwrap();
            }
            prop_assert_eq!(Files::decode(Side::Output, &files.encode()).unwrap(), files);
        }

        #[test]
        fn one_encoding(mut bytes in Just(Files::stdin(b"hello".to_vec()).encode()), at in 0usize..40, to in any::<u8>()) {
            let at = at % bytes.len();
            bytes[at] = to;
            if let Ok(files) = Files::decode(Side::Input, &bytes) {
                prop_assert_eq!(files.encode(), bytes);
            }
        }

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Files::decode(Side::Input, &bytes);
        }
    }
}
