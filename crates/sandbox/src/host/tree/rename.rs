//! Renaming, which moves whole trees.

use super::{Ino, OverQuota, Place, Quota, Tree};
use crate::host::errno::Errno;
use grid_protocol::limits;

/// A node and all below it.
#[derive(Debug)]
pub(in crate::host) struct Below {
    pub(in crate::host) nodes: usize,
    files: usize,
    /// How much longer than the node's own the longest path is.
    longest: usize,
}

impl Tree {
    /// `path_rename`. The outer error ends the run (longer paths count as
    /// output), the inner goes to the module.
    pub(in crate::host) fn rename(
        &mut self,
        from: &Place,
        to: &Place,
        quota: &mut Quota,
        now: u64,
    ) -> Result<Result<(), Errno>, OverQuota> {
        let (ino, replaced) = match self.check_rename(from, to) {
            Ok(Some(pair)) => pair,
            Ok(None) => return Ok(Ok(())),
            Err(errno) => return Ok(Err(errno)),
        };
        let name = to.name.clone().unwrap_or_default();
        let node = self.node(ino);
        let before = self.path_len(node.parent, &node.name);
        let after = self.path_len(to.dir, &name);
        let Below { files, longest, .. } = self.below(ino);
        if after + longest > limits::MAX_PATH {
            return Ok(Err(Errno::Nametoolong));
        }
        // What is replaced goes first, so that it makes room; when the run
        // ends over the limit nothing was changed but that, so check before.
        let freed = replaced.map_or(0, |old| self.freed_by_unlink(old));
        let longer = (files * after) as u64;
        let shorter = (files * before) as u64 + freed;
        if longer > shorter && quota.held.saturating_add(longer - shorter) > quota.limit {
            return Err(OverQuota);
        }
        if let Some(old) = replaced {
            self.unlink(old, quota, now);
        }
        quota.remove((files * before) as u64);
        quota.add(longer)?;
        self.detach(ino, now);
        let node = self.node_mut(ino);
        node.parent = to.dir;
        node.name = name;
        self.attach(ino, now);
        Ok(Ok(()))
    }

    /// Bytes that removing an entry takes from the quota at once.
    fn freed_by_unlink(&self, ino: Ino) -> u64 {
        let node = self.node(ino);
        if node.is_directory() {
            return 0;
        }
        let path = self.path_len(node.parent, &node.name) as u64;
        path + if node.opens == 0 { node.size() } else { 0 }
    }

    /// What is renamed and what it replaces; None when both are the same.
    fn check_rename(&self, from: &Place, to: &Place) -> Result<Option<(Ino, Option<Ino>)>, Errno> {
        let ino = self.lookup(from)?;
        if from.name.is_none() || to.name.is_none() {
            return Err(Errno::Busy);
        }
        if self.node(from.dir).read_only != self.node(to.dir).read_only {
            return Err(Errno::Xdev);
        }
        if self.node(ino).read_only {
            return Err(Errno::Rofs);
        }
        if !self.node(to.dir).linked {
            return Err(Errno::Noent);
        }
        let is_directory = self.node(ino).is_directory();
        if to.slash && !is_directory {
            return Err(Errno::Notdir);
        }
        let mut above = to.dir;
        while is_directory && self.parent(above) != above {
            if above == ino {
                return Err(Errno::Inval);
            }
            above = self.parent(above);
        }
        match self.lookup(to) {
            Err(Errno::Noent) => Ok(Some((ino, None))),
            Err(errno) => Err(errno),
            Ok(old) if old == ino => Ok(None),
            Ok(old) => match (is_directory, self.directory(old)) {
                (true, None) => Err(Errno::Notdir),
                (false, Some(_)) => Err(Errno::Isdir),
                (true, Some(entries)) if !entries.names.is_empty() => Err(Errno::Notempty),
                _ => Ok(Some((ino, Some(old)))),
            },
        }
    }

    /// Counts what is in and under `ino`.
    pub(in crate::host) fn below(&self, ino: Ino) -> Below {
        let mut below = Below { nodes: 0, files: 0, longest: 0 };
        let mut left = vec![(ino, 0)];
        while let Some((ino, length)) = left.pop() {
            below.nodes += 1;
            below.longest = below.longest.max(length);
            below.files += usize::from(!self.node(ino).is_directory());
            left.extend(
                self.entries(ino, 0).map(|(ino, node)| (ino, length + 1 + node.name.len())),
            );
        }
        below
    }
}
