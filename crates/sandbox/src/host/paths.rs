//! The `path_*` calls.

use super::GuestMemory;
use super::call::{Call, Wasi};
use super::descriptors::{Descriptor, Target};
use super::errno::{Errno, oflags, rights};
use super::files::known_fdflags;
use super::tree::{Body, Follow, Place};
use grid_protocol::limits;

/// Address and length of a text in the module's memory.
pub(super) type Text = (u32, u32);

impl<G: GuestMemory> Call<'_, G> {
    /// Reads a path.
    fn path(&mut self, (at, len): Text) -> Wasi<String> {
        self.span(at, len.into())?;
        if len as usize > limits::MAX_PATH {
            return Err(Errno::Nametoolong.into());
        }
        let path = String::from_utf8(self.load_vec(at, len)?).map_err(|_| Errno::Ilseq)?;
        if path.contains('\0') {
            return Err(Errno::Inval.into());
        }
        self.charge_items(path.split('/').count() as u64)?;
        Ok(path)
    }

    /// Where `path` under the directory `fd` leads.
    fn place(&mut self, fd: u32, needed: u64, path: Text, follow: Follow) -> Wasi<Place> {
        let start = self.directory(fd, needed)?;
        let path = self.path(path)?;
        self.charge_items(self.world.tree.depth(start) as u64)?;
        // Links followed are few and short, so they may be charged afterwards.
        let mut followed = 0;
        let place = self.world.tree.resolve(start, &path, follow, &mut followed);
        self.charge_items(followed)?;
        Ok(place?)
    }

    /// `path_create_directory`
    pub(super) fn path_create_directory(&mut self, fd: u32, path: Text) -> Wasi {
        let place = self.place(fd, rights::PATH_CREATE_DIRECTORY, path, Follow::Never)?;
        match self.world.tree.lookup(&place) {
            Err(Errno::Noent) => {}
            Err(Errno::Notdir) | Ok(_) => return Err(Errno::Exist.into()),
            Err(errno) => return Err(errno.into()),
        }
        let now = self.now();
        self.world.tree.create(&place, Body::directory(), &mut self.world.quota, now)??;
        Ok(())
    }

    /// `path_filestat_get`
    pub(super) fn path_filestat_get(
        &mut self,
        fd: u32,
        lookup: u32,
        path: Text,
        result: u32,
    ) -> Wasi {
        let follow = follow(lookup)?;
        let place = self.place(fd, rights::PATH_FILESTAT_GET, path, follow)?;
        let id = self.world.tree.lookup(&place)?;
        self.store_filestat(Target::Node(id), result)
    }

    /// `path_filestat_set_times`
    pub(super) fn path_filestat_set_times(
        &mut self,
        fd: u32,
        lookup: u32,
        path: Text,
        access: u64,
        modification: u64,
        flags: u32,
    ) -> Wasi {
        let follow = follow(lookup)?;
        let place = self.place(fd, rights::PATH_FILESTAT_SET_TIMES, path, follow)?;
        let id = self.world.tree.lookup(&place)?;
        self.set_times(id, access, modification, flags)
    }

    /// `path_link`
    pub(super) fn path_link(
        &mut self,
        from: u32,
        lookup: u32,
        old: Text,
        to: u32,
        new: Text,
    ) -> Wasi {
        let old = self.place(from, rights::PATH_LINK_SOURCE, old, follow(lookup)?)?;
        let new = self.place(to, rights::PATH_LINK_TARGET, new, Follow::Never)?;
        let now = self.now();
        self.world.tree.link(&old, &new, &mut self.world.quota, now)??;
        Ok(())
    }

    /// `path_symlink`. A link may lead nowhere, but never names an absolute
    /// path: what it names starts from the directory that holds it.
    pub(super) fn path_symlink(&mut self, old: Text, fd: u32, new: Text) -> Wasi {
        let target = self.path(old)?;
        let place = self.place(fd, rights::PATH_SYMLINK, new, Follow::Never)?;
        if target.is_empty() {
            return Err(Errno::Noent.into());
        }
        if target.starts_with('/') {
            return Err(Errno::Notcapable.into());
        }
        self.world.tree.free_for_link(&place)?;
        let now = self.now();
        self.world.tree.create(&place, Body::Link(target), &mut self.world.quota, now)??;
        Ok(())
    }

    /// `path_readlink`: as much of the link's path as the buffer holds.
    pub(super) fn path_readlink(&mut self, fd: u32, path: Text, into: Text, result: u32) -> Wasi {
        let place = self.place(fd, rights::PATH_READLINK, path, Follow::Slash)?;
        self.span(into.0, into.1.into())?;
        self.span(result, 4)?;
        let id = self.world.tree.lookup(&place)?;
        let Body::Link(target) = &self.world.tree.node(id).body else {
            return Err(Errno::Inval.into());
        };
        let target = target.as_bytes();
        let part = target[..target.len().min(into.1 as usize)].to_vec();
        self.charge_bytes(part.len() as u64)?;
        self.store(into.0, &part)?;
        self.store_u32(result, part.len() as u32)?;
        Ok(())
    }

    /// `path_open`
    #[allow(clippy::too_many_arguments, reason = "the signature is WASI's")]
    pub(super) fn path_open(
        &mut self,
        fd: u32,
        lookup: u32,
        path: Text,
        how: u32,
        base: u64,
        inheriting: u64,
        flags: u32,
        result: u32,
    ) -> Wasi {
        let followed = follow(lookup)?;
        let flags = known_fdflags(flags)?;
        let (create, directory, exclusive, truncate) = (
            how & oflags::CREAT != 0,
            how & oflags::DIRECTORY != 0,
            how & oflags::EXCL != 0,
            how & oflags::TRUNC != 0,
        );
        if how & !oflags::ALL != 0 || create && directory {
            return Err(Errno::Inval.into());
        }
        let needed = rights::PATH_OPEN
            | if create { rights::PATH_CREATE_FILE } else { 0 }
            | if truncate { rights::PATH_FILESTAT_SET_SIZE } else { 0 };
        // What must not exist must not be a link either.
        let followed = if create && exclusive { Follow::Never } else { followed };
        let place = self.place(fd, needed, path, followed)?;
        let (base, inheriting) = (base & rights::ALL, inheriting & rights::ALL);
        let allowed = self.world.descriptors.get(fd)?.inheriting;
        if (base | inheriting) & !allowed != 0 {
            return Err(Errno::Notcapable.into());
        }
        self.span(result, 4)?;
        let opened = self.world.descriptors.free()?;
        let writes = base & rights::FD_WRITE != 0;
        let id = match self.world.tree.lookup(&place) {
            Ok(_) if create && exclusive => return Err(Errno::Exist.into()),
            Ok(id) => {
                let node = self.world.tree.node(id);
                match node.body {
                    Body::Directory(_) if create || truncate || writes => {
                        return Err(Errno::Isdir.into());
                    }
                    Body::Directory(_) => {}
                    _ if directory => return Err(Errno::Notdir.into()),
                    Body::Link(_) => return Err(Errno::Loop.into()),
                    Body::File(_) if node.read_only && (truncate || writes) => {
                        return Err(Errno::Rofs.into());
                    }
                    Body::File(_) => {}
                }
                id
            }
            Err(Errno::Noent) if create && place.slash => return Err(Errno::Isdir.into()),
            Err(Errno::Noent) if create => {
                let (now, body) = (self.now(), Body::File(Vec::new()));
                self.world.tree.create(&place, body, &mut self.world.quota, now)??
            }
            Err(errno) => return Err(errno.into()),
        };
        if truncate && !self.world.tree.node(id).is_directory() {
            self.truncate(id, 0);
            self.changed(Target::Node(id));
        }
        let is_directory = self.world.tree.node(id).is_directory();
        let apply = if is_directory { rights::DIRECTORY } else { rights::FILE };
        let mut descriptor = Descriptor::new(Target::Node(id), base & apply, inheriting);
        descriptor.flags = flags;
        self.world.tree.open(id);
        self.world.descriptors.insert(opened, descriptor);
        self.store_u32(result, opened)?;
        Ok(())
    }

    /// `path_remove_directory`
    pub(super) fn path_remove_directory(&mut self, fd: u32, path: Text) -> Wasi {
        let place = self.place(fd, rights::PATH_REMOVE_DIRECTORY, path, Follow::Never)?;
        let now = self.now();
        self.world.tree.remove_directory(&place, &mut self.world.quota, now)?;
        Ok(())
    }

    /// `path_rename`
    pub(super) fn path_rename(&mut self, from: u32, old: Text, to: u32, new: Text) -> Wasi {
        let old = self.place(from, rights::PATH_RENAME_SOURCE, old, Follow::Never)?;
        let new = self.place(to, rights::PATH_RENAME_TARGET, new, Follow::Never)?;
        if let Ok(id) = self.world.tree.lookup(&old) {
            self.charge_items(self.world.tree.below(id).nodes as u64)?;
        }
        let now = self.now();
        self.world.tree.rename(&old, &new, &mut self.world.quota, now)??;
        Ok(())
    }

    /// `path_unlink_file`
    pub(super) fn path_unlink_file(&mut self, fd: u32, path: Text) -> Wasi {
        let place = self.place(fd, rights::PATH_UNLINK_FILE, path, Follow::Never)?;
        let now = self.now();
        self.world.tree.unlink_file(&place, &mut self.world.quota, now)?;
        Ok(())
    }
}

/// Lookup flags: following links is the only one.
fn follow(lookup: u32) -> Result<Follow, Errno> {
    match lookup {
        0 => Ok(Follow::Slash),
        1 => Ok(Follow::Always),
        _ => Err(Errno::Inval),
    }
}
