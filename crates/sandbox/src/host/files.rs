//! What is known of open descriptors, and changing it.

use super::GuestMemory;
use super::WasiFunction;
use super::call::{Call, Halt, Wasi};
use super::descriptors::Target;
use super::errno::{Errno, fdflags, filetype, fstflags, rights};
use super::streams::MAX_OFFSET;
use super::tree::{Body, Id};

impl<G: GuestMemory> Call<'_, G> {
    /// `fd_advise`: advice changes nothing.
    pub(super) fn fd_advise(&mut self, fd: u32, advice: u32) -> Wasi {
        self.seekable(fd, rights::FD_ADVISE)?;
        if advice > 5 { Err(Errno::Inval.into()) } else { Ok(()) }
    }

    /// `fd_allocate`
    pub(super) fn fd_allocate(&mut self, fd: u32, offset: u64, len: u64) -> Wasi {
        let id = self.seekable(fd, rights::FD_ALLOCATE)?;
        self.writable(id)?;
        if len == 0 || offset > MAX_OFFSET || len > MAX_OFFSET {
            return Err(Errno::Inval.into());
        }
        let end = offset + len;
        if end > MAX_OFFSET {
            return Err(Errno::Fbig.into());
        }
        self.extend(Target::Node(id), end, end)?;
        self.changed(Target::Node(id));
        Ok(())
    }

    fn writable(&self, id: Id) -> Result<(), Errno> {
        if self.world.tree.node(id).read_only { Err(Errno::Rofs) } else { Ok(()) }
    }

    /// `fd_close`
    pub(super) fn fd_close(&mut self, fd: u32) -> Wasi {
        let closed = self.world.descriptors.remove(fd)?;
        self.closed(closed.target);
        Ok(())
    }

    fn closed(&mut self, target: Target) {
        if let Target::Node(id) = target {
            self.world.tree.close(id, &mut self.world.quota);
        }
    }

    /// `fd_sync` and `fd_datasync`: all is where it belongs already.
    pub(super) fn fd_sync(&mut self, function: WasiFunction, fd: u32) -> Wasi {
        let right = match function {
            WasiFunction::FdSync => rights::FD_SYNC,
            _ => rights::FD_DATASYNC,
        };
        self.world.descriptors.get(fd)?.need(right)?;
        Ok(())
    }

    /// `fd_fdstat_get`
    pub(super) fn fd_fdstat_get(&mut self, fd: u32, result: u32) -> Wasi {
        let descriptor = self.world.descriptors.get(fd)?;
        let mut stat = [0; 24];
        stat[0] = self.filetype(descriptor.target);
        stat[2..4].copy_from_slice(&descriptor.flags.to_le_bytes());
        stat[8..16].copy_from_slice(&descriptor.base.to_le_bytes());
        stat[16..24].copy_from_slice(&descriptor.inheriting.to_le_bytes());
        self.store(result, &stat)?;
        Ok(())
    }

    fn filetype(&self, target: Target) -> u8 {
        match target {
            Target::Node(id) => self.world.tree.node(id).filetype(),
            _ => filetype::UNKNOWN,
        }
    }

    /// `fd_fdstat_set_flags`
    pub(super) fn fd_fdstat_set_flags(&mut self, fd: u32, flags: u32) -> Wasi {
        let descriptor = self.world.descriptors.get_mut(fd)?;
        descriptor.need(rights::FD_FDSTAT_SET_FLAGS)?;
        descriptor.flags = known_fdflags(flags)?;
        Ok(())
    }

    /// `fd_fdstat_set_rights`: rights can only be given up.
    pub(super) fn fd_fdstat_set_rights(&mut self, fd: u32, base: u64, inheriting: u64) -> Wasi {
        let descriptor = self.world.descriptors.get_mut(fd)?;
        if base & !descriptor.base != 0 || inheriting & !descriptor.inheriting != 0 {
            return Err(Errno::Notcapable.into());
        }
        descriptor.base = base;
        descriptor.inheriting = inheriting;
        Ok(())
    }

    /// `fd_filestat_get`
    pub(super) fn fd_filestat_get(&mut self, fd: u32, result: u32) -> Wasi {
        let descriptor = self.world.descriptors.get(fd)?;
        descriptor.need(rights::FD_FILESTAT_GET)?;
        let target = descriptor.target;
        self.store_filestat(target, result)
    }

    /// Stores what filestat says of a target. Files are on device 0, the
    /// streams on device 1, so that no two things look the same.
    pub(super) fn store_filestat(&mut self, target: Target, result: u32) -> Wasi {
        let (device, id, links, size, times) = match target {
            Target::Node(id) => {
                let node = self.world.tree.node(id);
                (0, node.number, node.links().into(), node.size(), node.times)
            }
            Target::Stdin => (1, 0, 1, 0, [0; 3]),
            Target::Stdout => (1, 1, 1, 0, [0; 3]),
            Target::Stderr => (1, 2, 1, 0, [0; 3]),
        };
        let kind = self.filetype(target).into();
        let mut stat = [0; 64];
        let fields = [device, id, kind, links, size].into_iter().chain(times);
        for (slot, value) in stat.chunks_exact_mut(8).zip(fields) {
            slot.copy_from_slice(&u64::to_le_bytes(value));
        }
        self.store(result, &stat)?;
        Ok(())
    }

    /// `fd_filestat_set_size`
    pub(super) fn fd_filestat_set_size(&mut self, fd: u32, size: u64) -> Wasi {
        let id = self.seekable(fd, rights::FD_FILESTAT_SET_SIZE)?;
        self.writable(id)?;
        if size > MAX_OFFSET {
            return Err(Errno::Inval.into());
        }
        self.extend(Target::Node(id), size, size)?;
        self.truncate(id, size);
        self.changed(Target::Node(id));
        Ok(())
    }

    /// Shortens a file to `size`; never lengthens it.
    pub(super) fn truncate(&mut self, id: Id, size: u64) {
        let node = self.world.tree.node_mut(id);
        let copies = node.copies();
        if let Body::File(bytes) = &mut node.body {
            self.world.quota.remove((bytes.len() as u64).saturating_sub(size) * copies);
            bytes.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        }
    }

    /// `fd_filestat_set_times`
    pub(super) fn fd_filestat_set_times(
        &mut self,
        fd: u32,
        access: u64,
        modification: u64,
        flags: u32,
    ) -> Wasi {
        let descriptor = self.world.descriptors.get(fd)?;
        descriptor.need(rights::FD_FILESTAT_SET_TIMES)?;
        let Target::Node(id) = descriptor.target else { return Err(Errno::Inval.into()) };
        self.set_times(id, access, modification, flags)
    }

    /// Sets the times that `flags` names.
    pub(super) fn set_times(&mut self, id: Id, access: u64, modified: u64, flags: u32) -> Wasi {
        let both = |pair| flags & pair == pair;
        if flags & !fstflags::ALL != 0
            || both(fstflags::ATIM | fstflags::ATIM_NOW)
            || both(fstflags::MTIM | fstflags::MTIM_NOW)
        {
            return Err(Errno::Inval.into());
        }
        self.writable(id)?;
        let now = self.now();
        let times = &mut self.world.tree.node_mut(id).times;
        let mut set = |index: usize, given, value, is_now| {
            if flags & given != 0 {
                times[index] = value;
            }
            if flags & is_now != 0 {
                times[index] = now;
            }
        };
        set(0, fstflags::ATIM, access, fstflags::ATIM_NOW);
        set(1, fstflags::MTIM, modified, fstflags::MTIM_NOW);
        times[2] = now;
        Ok(())
    }

    /// `fd_prestat_get`. Libraries look for preopened folders from 3 on until
    /// they get EBADF.
    pub(super) fn fd_prestat_get(&mut self, fd: u32, result: u32) -> Wasi {
        let name = self.world.descriptors.get(fd)?.preopen.ok_or(Errno::Badf)?;
        let mut stat = [0; 8];
        stat[4..].copy_from_slice(&(name.len() as u32).to_le_bytes());
        self.store(result, &stat)?;
        Ok(())
    }

    /// `fd_prestat_dir_name`
    pub(super) fn fd_prestat_dir_name(&mut self, fd: u32, at: u32, len: u32) -> Wasi {
        let name = self.world.descriptors.get(fd)?.preopen.ok_or(Errno::Badf)?;
        if (len as usize) < name.len() {
            return Err(Errno::Nametoolong.into());
        }
        self.store(at, name.as_bytes())?;
        Ok(())
    }

    /// `fd_renumber`
    pub(super) fn fd_renumber(&mut self, from: u32, to: u32) -> Wasi {
        self.world.descriptors.get(to)?;
        self.world.descriptors.get(from)?;
        if from != to {
            let moved = self.world.descriptors.remove(from)?;
            if let Some(closed) = self.world.descriptors.insert(to, moved) {
                self.closed(closed.target);
            }
        }
        Ok(())
    }

    /// `fd_readdir`: `.`, `..`, then entries in order of making. An entry's
    /// cookie is its number plus two.
    pub(super) fn fd_readdir(
        &mut self,
        fd: u32,
        buffer: u32,
        len: u32,
        cookie: u64,
        result: u32,
    ) -> Wasi {
        let id = self.directory(fd, rights::FD_READDIR)?;
        self.span(result, 4)?;
        self.span(buffer, len.into())?;
        let len = len as usize;
        let tree = &self.world.tree;
        let mut out = Vec::new();
        let mut listed = 0;
        let own = [(1, ".", id), (2, "..", tree.parent(id))];
        let own = own.into_iter().map(|(next, name, id)| (next, name, id, filetype::DIRECTORY));
        let made = tree
            .entries(id, cookie.saturating_sub(1))
            .map(|(number, name, id)| (number + 2, name, id, tree.node(id).filetype()));
        for (next, name, id, kind) in own.chain(made).filter(|entry| entry.0 > cookie) {
            if out.len() >= len {
                break;
            }
            let mut entry = [0; 24];
            entry[..8].copy_from_slice(&next.to_le_bytes());
            entry[8..16].copy_from_slice(&tree.node(id).number.to_le_bytes());
            entry[16..20].copy_from_slice(&(name.len() as u32).to_le_bytes());
            entry[20] = kind;
            out.extend_from_slice(&entry);
            out.extend_from_slice(name.as_bytes());
            listed += 1;
        }
        out.truncate(len);
        self.charge_items(listed)?;
        self.charge_bytes(out.len() as u64)?;
        self.store(buffer, &out)?;
        self.store_u32(result, out.len() as u32)?;
        Ok(())
    }

    /// The node of a descriptor that must be a directory.
    pub(super) fn directory(&self, fd: u32, needed: u64) -> Result<Id, Errno> {
        let descriptor = self.world.descriptors.get(fd)?;
        match descriptor.target {
            Target::Node(id) if self.world.tree.node(id).is_directory() => {
                descriptor.need(needed)?;
                Ok(id)
            }
            _ => Err(Errno::Notdir),
        }
    }
}

/// Descriptor flags, when all bits are known.
pub(super) fn known_fdflags(flags: u32) -> Result<u16, Halt> {
    let flags = u16::try_from(flags).map_err(|_| Errno::Inval)?;
    if flags & !fdflags::ALL != 0 { Err(Errno::Inval.into()) } else { Ok(flags) }
}
