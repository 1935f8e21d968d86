//! Renaming, which moves whole trees.

use super::{Id, OverQuota, Place, Quota, Tree};
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

/// A rename that may be done: what moves, from which name, to which, and what
/// it replaces.
struct Checked<'a> {
    id: Id,
    from: &'a str,
    to: &'a str,
    replaced: Option<Id>,
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
        let checked = match self.check_rename(from, to) {
            Ok(Some(checked)) => checked,
            Ok(None) => return Ok(Ok(())),
            Err(errno) => return Ok(Err(errno)),
        };
        let before = self.path_len(from.dir, checked.from);
        let after = self.path_len(to.dir, checked.to);
        let Below { files, longest, .. } = self.below(checked.id);
        if after + longest > limits::MAX_PATH {
            return Ok(Err(Errno::Nametoolong));
        }
        // What is replaced goes first, so that it makes room; when the run
        // ends over the limit nothing was changed but that, so check before.
        let freed = checked.replaced.map_or(0, |old| self.freed_by_unlink(to.dir, checked.to, old));
        let longer = (files * after) as u64;
        let shorter = (files * before) as u64 + freed;
        if longer.saturating_sub(shorter) > quota.left() {
            return Err(OverQuota);
        }
        if let Some(old) = checked.replaced {
            self.unlink(to.dir, checked.to, old, quota, now);
        }
        quota.remove((files * before) as u64);
        quota.add(longer)?;
        self.detach(from.dir, checked.from, now);
        self.attach(to.dir, checked.to, checked.id, now);
        Ok(Ok(()))
    }

    /// None when both are names of one node: then nothing is to be done.
    fn check_rename<'a>(
        &self,
        from: &'a Place,
        to: &'a Place,
    ) -> Result<Option<Checked<'a>>, Errno> {
        let id = self.lookup(from)?;
        let (Some(from_name), Some(to_name)) = (&from.name, &to.name) else {
            return Err(Errno::Busy);
        };
        if self.node(from.dir).read_only != self.node(to.dir).read_only {
            return Err(Errno::Xdev);
        }
        if self.node(id).read_only {
            return Err(Errno::Rofs);
        }
        if self.node(to.dir).links == 0 {
            return Err(Errno::Noent);
        }
        let is_directory = self.node(id).is_directory();
        if to.slash && !is_directory {
            return Err(Errno::Notdir);
        }
        let mut above = to.dir;
        while is_directory && self.parent(above) != above {
            if above == id {
                return Err(Errno::Inval);
            }
            above = self.parent(above);
        }
        let replaced = match self.lookup(to) {
            Err(Errno::Noent) => None,
            Err(errno) => return Err(errno),
            Ok(old) if old == id => return Ok(None),
            Ok(old) => match (is_directory, self.directory(old)) {
                (true, None) => return Err(Errno::Notdir),
                (false, Some(_)) => return Err(Errno::Isdir),
                (true, Some(there)) if !there.entries.is_empty() => return Err(Errno::Notempty),
                _ => Some(old),
            },
        };
        Ok(Some(Checked { id, from: from_name, to: to_name, replaced }))
    }

    /// Counts what is in and under `id`.
    pub(in crate::host) fn below(&self, id: Id) -> Below {
        let mut below = Below { nodes: 0, files: 0, longest: 0 };
        let mut left = vec![(id, 0)];
        while let Some((id, length)) = left.pop() {
            below.nodes += 1;
            below.longest = below.longest.max(length);
            below.files += usize::from(self.node(id).is_file());
            left.extend(self.entries(id, 0).map(|(_, name, id)| (id, length + 1 + name.len())));
        }
        below
    }
}
