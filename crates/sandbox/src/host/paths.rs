//! The `path_*` calls.

use super::GuestMemory;
use super::call::{Call, Wasi};
use super::descriptors::{Descriptor, Target};
use super::errno::{Errno, oflags, rights};
use super::files::known_fdflags;
use super::tree::{Body, Directory, Place};
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
    fn place(&mut self, fd: u32, needed: u64, path: Text) -> Wasi<Place> {
        let start = self.directory(fd, needed)?;
        let path = self.path(path)?;
        self.charge_items(self.world.tree.depth(start) as u64)?;
        Ok(self.world.tree.resolve(start, &path)?)
    }

    /// `path_create_directory`
    pub(super) fn path_create_directory(&mut self, fd: u32, path: Text) -> Wasi {
        let place = self.place(fd, rights::PATH_CREATE_DIRECTORY, path)?;
        match self.world.tree.lookup(&place) {
            Err(Errno::Noent) => {}
            Err(Errno::Notdir) | Ok(_) => return Err(Errno::Exist.into()),
            Err(errno) => return Err(errno.into()),
        }
        let now = self.now();
        let body = Body::Directory(Directory::default());
        self.world.tree.create(&place, body, &mut self.world.quota, now)??;
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
        known_lookup(lookup)?;
        let place = self.place(fd, rights::PATH_FILESTAT_GET, path)?;
        let ino = self.world.tree.lookup(&place)?;
        self.store_filestat(Target::Node(ino), result)
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
        known_lookup(lookup)?;
        let place = self.place(fd, rights::PATH_FILESTAT_SET_TIMES, path)?;
        let ino = self.world.tree.lookup(&place)?;
        self.set_times(ino, access, modification, flags)
    }

    /// `path_link`: there are no links.
    pub(super) fn path_link(
        &mut self,
        from: u32,
        lookup: u32,
        old: Text,
        to: u32,
        new: Text,
    ) -> Wasi {
        known_lookup(lookup)?;
        self.place(from, rights::PATH_LINK_SOURCE, old)?;
        self.place(to, rights::PATH_LINK_TARGET, new)?;
        Err(Errno::Notsup.into())
    }

    /// `path_symlink`: there are no links.
    pub(super) fn path_symlink(&mut self, old: Text, fd: u32, new: Text) -> Wasi {
        self.path(old)?;
        self.place(fd, rights::PATH_SYMLINK, new)?;
        Err(Errno::Notsup.into())
    }

    /// `path_readlink`: whatever exists is no link.
    pub(super) fn path_readlink(&mut self, fd: u32, path: Text, into: Text, result: u32) -> Wasi {
        let place = self.place(fd, rights::PATH_READLINK, path)?;
        self.span(into.0, into.1.into())?;
        self.span(result, 4)?;
        self.world.tree.lookup(&place)?;
        Err(Errno::Inval.into())
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
        known_lookup(lookup)?;
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
        let place = self.place(fd, needed, path)?;
        let (base, inheriting) = (base & rights::ALL, inheriting & rights::ALL);
        let allowed = self.world.descriptors.get(fd)?.inheriting;
        if (base | inheriting) & !allowed != 0 {
            return Err(Errno::Notcapable.into());
        }
        self.span(result, 4)?;
        let opened = self.world.descriptors.free()?;
        let writes = base & rights::FD_WRITE != 0;
        let ino = match self.world.tree.lookup(&place) {
            Ok(_) if create && exclusive => return Err(Errno::Exist.into()),
            Ok(ino) => {
                let node = self.world.tree.node(ino);
                if node.is_directory() && !directory && (create || truncate || writes) {
                    return Err(Errno::Isdir.into());
                }
                if !node.is_directory() && directory {
                    return Err(Errno::Notdir.into());
                }
                if node.read_only && (truncate || writes && !node.is_directory()) {
                    return Err(Errno::Rofs.into());
                }
                ino
            }
            Err(Errno::Noent) if create && place.slash => return Err(Errno::Isdir.into()),
            Err(Errno::Noent) if create => {
                let (now, body) = (self.now(), Body::File(Vec::new()));
                self.world.tree.create(&place, body, &mut self.world.quota, now)??
            }
            Err(errno) => return Err(errno.into()),
        };
        if truncate && !self.world.tree.node(ino).is_directory() {
            self.truncate(ino, 0);
            self.changed(Target::Node(ino));
        }
        let is_directory = self.world.tree.node(ino).is_directory();
        let apply = if is_directory { rights::DIRECTORY } else { rights::FILE };
        let mut descriptor = Descriptor::new(Target::Node(ino), base & apply, inheriting);
        descriptor.flags = flags;
        self.world.tree.open(ino);
        self.world.descriptors.insert(opened, descriptor);
        self.store_u32(result, opened)?;
        Ok(())
    }

    /// `path_remove_directory`
    pub(super) fn path_remove_directory(&mut self, fd: u32, path: Text) -> Wasi {
        let place = self.place(fd, rights::PATH_REMOVE_DIRECTORY, path)?;
        let now = self.now();
        self.world.tree.remove_directory(&place, &mut self.world.quota, now)?;
        Ok(())
    }

    /// `path_rename`
    pub(super) fn path_rename(&mut self, from: u32, old: Text, to: u32, new: Text) -> Wasi {
        let old = self.place(from, rights::PATH_RENAME_SOURCE, old)?;
        let new = self.place(to, rights::PATH_RENAME_TARGET, new)?;
        if let Ok(ino) = self.world.tree.lookup(&old) {
            self.charge_items(self.world.tree.below(ino).nodes as u64)?;
        }
        let now = self.now();
        self.world.tree.rename(&old, &new, &mut self.world.quota, now)??;
        Ok(())
    }

    /// `path_unlink_file`
    pub(super) fn path_unlink_file(&mut self, fd: u32, path: Text) -> Wasi {
        let place = self.place(fd, rights::PATH_UNLINK_FILE, path)?;
        let now = self.now();
        self.world.tree.unlink_file(&place, &mut self.world.quota, now)?;
        Ok(())
    }
}

/// Lookup flags: following links is the only one, and there are no links.
fn known_lookup(flags: u32) -> Result<(), Errno> {
    if flags > 1 { Err(Errno::Inval) } else { Ok(()) }
}
