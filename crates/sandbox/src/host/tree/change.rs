//! Making and removing entries. In a nested result the outer error ends the
//! run, the inner goes to the module.

use super::{Body, Id, MAX_NAMES, OverQuota, Place, Quota, Tree};
use crate::host::errno::Errno;
use grid_protocol::limits;

impl Tree {
    /// Whether a new name may stand at `place`: its name, and the length of
    /// its whole path.
    fn vacant<'a>(&self, place: &'a Place) -> Result<(&'a str, u64), Errno> {
        let name = place.name.as_deref().ok_or(Errno::Exist)?;
        let parent = self.node(place.dir);
        if parent.read_only {
            return Err(Errno::Rofs);
        }
        if parent.links == 0 {
            return Err(Errno::Noent);
        }
        if self.made >= MAX_NAMES {
            return Err(Errno::Nospc);
        }
        let path = self.path_len(place.dir, name);
        if path > limits::MAX_PATH {
            return Err(Errno::Nametoolong);
        }
        Ok((name, path as u64))
    }

    /// Makes a node where nothing stands.
    pub(in crate::host) fn create(
        &mut self,
        place: &Place,
        body: Body,
        quota: &mut Quota,
        now: u64,
    ) -> Result<Result<Id, Errno>, OverQuota> {
        let (name, path) = match self.vacant(place) {
            Ok(vacant) => vacant,
            Err(errno) => return Ok(Err(errno)),
        };
        if matches!(body, Body::File(_)) {
            quota.add(path)?;
        }
        self.made += 1;
        Ok(Ok(self.insert(place.dir, name, body, now)))
    }

    /// Refuses unless nothing stands at `place` and a name that is no
    /// directory's may.
    pub(in crate::host) fn free_for_link(&self, place: &Place) -> Result<(), Errno> {
        match self.lookup(place) {
            Ok(_) => Err(Errno::Exist),
            Err(Errno::Noent) if !place.slash => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// `path_link`: gives what stands at `from` another name.
    pub(in crate::host) fn link(
        &mut self,
        from: &Place,
        to: &Place,
        quota: &mut Quota,
        now: u64,
    ) -> Result<Result<(), Errno>, OverQuota> {
        let (id, name, path) = match self.check_link(from, to) {
            Ok(checked) => checked,
            Err(errno) => return Ok(Err(errno)),
        };
        let node = self.node(id);
        if node.is_file() {
            quota.add(path.saturating_add(node.size()))?;
        }
        self.made += 1;
        self.attach(to.dir, name, id, now);
        Ok(Ok(()))
    }

    fn check_link<'a>(&self, from: &Place, to: &'a Place) -> Result<(Id, &'a str, u64), Errno> {
        let id = self.lookup(from)?;
        self.free_for_link(to)?;
        if self.node(id).read_only != self.node(to.dir).read_only {
            return Err(Errno::Xdev);
        }
        if self.node(id).is_directory() {
            return Err(Errno::Perm);
        }
        let (name, path) = self.vacant(to)?;
        Ok((id, name, path))
    }

    /// Counts a descriptor of the node.
    pub(in crate::host) fn open(&mut self, id: Id) {
        self.node_mut(id).opens += 1;
    }

    /// Counts a descriptor less; a removed node goes with its last one.
    pub(in crate::host) fn close(&mut self, id: Id, quota: &mut Quota) {
        self.node_mut(id).opens -= 1;
        self.drop_if_unused(id, quota);
    }

    fn drop_if_unused(&mut self, id: Id, quota: &mut Quota) {
        let node = self.node(id);
        if node.links == 0 && node.opens == 0 {
            quota.remove(node.weight());
            self.nodes[id] = None;
            self.unused.push(id);
            self.made -= 1;
        }
    }

    /// Bytes that removing an entry takes from the quota at once.
    pub(super) fn freed_by_unlink(&self, dir: Id, name: &str, id: Id) -> u64 {
        let node = self.node(id);
        if !node.is_file() {
            return 0;
        }
        let held_open = node.links == 1 && node.opens > 0;
        self.path_len(dir, name) as u64 + if held_open { 0 } else { node.size() }
    }

    /// Removes an entry. The caller checked that it may go.
    pub(super) fn unlink(&mut self, dir: Id, name: &str, id: Id, quota: &mut Quota, now: u64) {
        let node = self.node(id);
        if node.is_file() {
            quota.remove(self.path_len(dir, name) as u64);
        }
        if node.links > 1 {
            quota.remove(node.weight());
            self.made -= 1;
        }
        self.detach(dir, name, now);
        self.drop_if_unused(id, quota);
    }

    /// `path_unlink_file`
    pub(in crate::host) fn unlink_file(
        &mut self,
        place: &Place,
        quota: &mut Quota,
        now: u64,
    ) -> Result<(), Errno> {
        let id = self.lookup(place)?;
        let name = place.name.as_deref().ok_or(Errno::Isdir)?;
        if self.node(id).is_directory() {
            return Err(Errno::Isdir);
        }
        self.remove(place.dir, name, id, quota, now)
    }

    /// `path_remove_directory`
    pub(in crate::host) fn remove_directory(
        &mut self,
        place: &Place,
        quota: &mut Quota,
        now: u64,
    ) -> Result<(), Errno> {
        let id = self.lookup(place)?;
        let name = place.name.as_deref().ok_or(Errno::Inval)?;
        let directory = self.directory(id).ok_or(Errno::Notdir)?;
        if !directory.entries.is_empty() && !self.node(id).read_only {
            return Err(Errno::Notempty);
        }
        self.remove(place.dir, name, id, quota, now)
    }

    fn remove(
        &mut self,
        dir: Id,
        name: &str,
        id: Id,
        quota: &mut Quota,
        now: u64,
    ) -> Result<(), Errno> {
        if self.node(id).read_only {
            return Err(Errno::Rofs);
        }
        self.unlink(dir, name, id, quota, now);
        Ok(())
    }
}
