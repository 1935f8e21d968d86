//! Open file descriptors.

use super::errno::{Errno, rights};
use super::tree::{IN, Id, OUT};

/// Descriptors open at a time.
pub(super) const MAX_OPEN: usize = 1024;

/// What a descriptor names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Stdin,
    Stdout,
    Stderr,
    Node(Id),
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

    /// Refuses unless all of `rights` are held. The right to seek includes
    /// the right to tell.
    pub(super) fn need(&self, rights: u64) -> Result<(), Errno> {
        let tell = if self.base & rights::FD_SEEK == 0 { 0 } else { rights::FD_TELL };
        if (self.base | tell) & rights == rights { Ok(()) } else { Err(Errno::Notcapable) }
    }
}

/// The table: 0 to 2 are the standard streams, 3 is `/in`, 4 is `/out`.
#[derive(Debug)]
pub(super) struct Descriptors {
    open: Vec<Option<Descriptor>>,
}

impl Descriptors {
    pub(super) fn new() -> Self {
        let stream = |target, right| Descriptor::new(target, rights::STREAM | right, 0);
        let folder = |id, name| Descriptor {
            preopen: Some(name),
            ..Descriptor::new(Target::Node(id), rights::DIRECTORY, rights::ALL)
        };
        Self {
            open: [
                stream(Target::Stdin, rights::FD_READ),
                stream(Target::Stdout, rights::FD_WRITE),
                stream(Target::Stderr, rights::FD_WRITE),
                folder(IN, "/in"),
                folder(OUT, "/out"),
            ]
            .map(Some)
            .into(),
        }
    }

    pub(super) fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        self.open.get(fd as usize).and_then(Option::as_ref).ok_or(Errno::Badf)
    }

    pub(super) fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.open.get_mut(fd as usize).and_then(Option::as_mut).ok_or(Errno::Badf)
    }

    /// The lowest number that is free.
    pub(super) fn free(&self) -> Result<u32, Errno> {
        let free = self.open.iter().position(Option::is_none).unwrap_or(self.open.len());
        if free < MAX_OPEN { Ok(free as u32) } else { Err(Errno::Mfile) }
    }

    /// Puts a descriptor at `fd`, which is open or [`Self::free`], and
    /// returns what was there.
    pub(super) fn insert(&mut self, fd: u32, descriptor: Descriptor) -> Option<Descriptor> {
        if fd as usize == self.open.len() {
            self.open.push(None);
        }
        self.open.get_mut(fd as usize)?.replace(descriptor)
    }

    /// Closes; the caller tells the tree.
    pub(super) fn remove(&mut self, fd: u32) -> Result<Descriptor, Errno> {
        self.open.get_mut(fd as usize).and_then(Option::take).ok_or(Errno::Badf)
    }
}
