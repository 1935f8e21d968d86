//! Open file descriptors.

use super::errno::{Errno, rights};
use super::tree::{IN, Ino, OUT};
use std::collections::BTreeMap;

/// Descriptors open at a time.
pub(super) const MAX_OPEN: usize = 1024;

/// What a descriptor names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Stdin,
    Stdout,
    Stderr,
    Node(Ino),
}

/// An open descriptor.
#[derive(Debug, Clone)]
pub(super) struct Descriptor {
    pub(super) target: Target,
    /// Offset of the next read or write.
    pub(super) at: u64,
    pub(super) flags: u16,
    pub(super) base: u64,
    pub(super) inheriting: u64,
    /// Name under which the module may find it at start.
    pub(super) preopen: Option<&'static str>,
}

impl Descriptor {
    pub(super) fn new(target: Target, base: u64, inheriting: u64) -> Self {
        Self { target, at: 0, flags: 0, base, inheriting, preopen: None }
    }

    /// Refuses unless all of `rights` are held.
    pub(super) fn need(&self, rights: u64) -> Result<(), Errno> {
        if self.base & rights == rights { Ok(()) } else { Err(Errno::Notcapable) }
    }
}

/// The table: 0 to 2 are the standard streams, 3 is `/in`, 4 is `/out`.
#[derive(Debug)]
pub(super) struct Descriptors {
    open: BTreeMap<u32, Descriptor>,
}

impl Descriptors {
    pub(super) fn new() -> Self {
        let stream = |target, right| Descriptor::new(target, rights::STREAM | right, 0);
        let folder = |ino, name| Descriptor {
            preopen: Some(name),
            ..Descriptor::new(Target::Node(ino), rights::DIRECTORY, rights::ALL)
        };
        Self {
            open: BTreeMap::from([
                (0, stream(Target::Stdin, rights::FD_READ)),
                (1, stream(Target::Stdout, rights::FD_WRITE)),
                (2, stream(Target::Stderr, rights::FD_WRITE)),
                (3, folder(IN, "/in")),
                (4, folder(OUT, "/out")),
            ]),
        }
    }

    pub(super) fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        self.open.get(&fd).ok_or(Errno::Badf)
    }

    pub(super) fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.open.get_mut(&fd).ok_or(Errno::Badf)
    }

    /// The lowest number that is free.
    pub(super) fn free(&self) -> Result<u32, Errno> {
        if self.open.len() >= MAX_OPEN {
            return Err(Errno::Mfile);
        }
        (0..).find(|fd| !self.open.contains_key(fd)).ok_or(Errno::Mfile)
    }

    /// Puts a descriptor at `fd` and returns what was there.
    pub(super) fn insert(&mut self, fd: u32, descriptor: Descriptor) -> Option<Descriptor> {
        self.open.insert(fd, descriptor)
    }

    /// Closes; the caller tells the tree.
    pub(super) fn remove(&mut self, fd: u32) -> Result<Descriptor, Errno> {
        self.open.remove(&fd).ok_or(Errno::Badf)
    }
}
