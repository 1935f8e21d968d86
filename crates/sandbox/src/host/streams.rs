//! Reading, writing and seeking.

use super::call::{Buffer, Call, Halt, Wasi};
use super::descriptors::Target;
use super::errno::{Errno, fdflags, rights};
use super::tree::{Body, Id};
use super::{End, GuestMemory};

/// Largest file size and offset: what fits an i64.
pub(super) const MAX_OFFSET: u64 = i64::MAX as u64;

impl<G: GuestMemory> Call<'_, G> {
    /// `fd_read`, and `fd_pread` with an offset.
    pub(super) fn fd_read(
        &mut self,
        fd: u32,
        buffers: u32,
        count: u32,
        offset: Option<u64>,
        result: u32,
    ) -> Wasi {
        let descriptor = self.world.descriptors.get(fd)?;
        let (target, at) = (descriptor.target, offset.unwrap_or(descriptor.at));
        if offset.is_some() && !matches!(target, Target::Node(_)) {
            return Err(Errno::Spipe.into());
        }
        descriptor.need(rights::FD_READ | offset.map_or(0, |_| rights::FD_SEEK))?;
        self.span(result, 4)?;
        let (buffers, total) = self.buffers(buffers, count)?;
        in_file(offset)?;
        let moved = self.content_len(target).saturating_sub(at).min(total);
        self.charge_bytes(moved)?;
        // Taken out and put back, so that the memory can be written meanwhile.
        let content = std::mem::take(self.content(target)?);
        let copied = self.scatter(&content, at, &buffers);
        *self.content(target)? = content;
        copied?;
        if offset.is_none() {
            self.world.descriptors.get_mut(fd)?.at = at + moved;
        }
        self.store_u32(result, moved as u32)?;
        Ok(())
    }

    /// Copies what `content` has from `at` into the buffers, in order.
    fn scatter(&mut self, content: &[u8], at: u64, buffers: &[Buffer]) -> Result<(), Errno> {
        let from = usize::try_from(at).unwrap_or(usize::MAX).min(content.len());
        let mut rest = &content[from..];
        for &(to, len) in buffers {
            let (now, later) = rest.split_at(rest.len().min(len as usize));
            self.store(to, now)?;
            rest = later;
        }
        Ok(())
    }

    /// `fd_write`, and `fd_pwrite` with an offset.
    pub(super) fn fd_write(
        &mut self,
        fd: u32,
        buffers: u32,
        count: u32,
        offset: Option<u64>,
        result: u32,
    ) -> Wasi {
        let descriptor = self.world.descriptors.get(fd)?;
        let target = descriptor.target;
        let is_node = matches!(target, Target::Node(_));
        if offset.is_some() && !is_node {
            return Err(Errno::Spipe.into());
        }
        descriptor.need(rights::FD_WRITE | offset.map_or(0, |_| rights::FD_SEEK))?;
        let append = !is_node || descriptor.flags & fdflags::APPEND != 0;
        let at = offset.unwrap_or(descriptor.at);
        let at = if append { self.content_len(target) } else { at };
        self.span(result, 4)?;
        let (buffers, total) = self.buffers(buffers, count)?;
        in_file(offset)?;
        self.charge_bytes(total)?;
        let end = at.checked_add(total).filter(|end| *end <= MAX_OFFSET);
        let end = end.ok_or(Errno::Fbig)?;
        if total > 0 {
            self.extend(target, at, end)?;
            let mut content = std::mem::take(self.content(target)?);
            let mut to = at as usize;
            for (from, len) in buffers {
                // In range: `buffers` checked the memory, `extend` the file.
                let read = self.load(from, &mut content[to..to + len as usize]);
                debug_assert!(read.is_ok());
                to += len as usize;
            }
            *self.content(target)? = content;
            self.changed(target);
        }
        if offset.is_none() {
            self.world.descriptors.get_mut(fd)?.at = end;
        }
        self.store_u32(result, total as u32)?;
        Ok(())
    }

    /// Makes a file or stream at least `end` bytes long, as far as the output
    /// limit allows. Bytes up to `written` are a gap, which costs like moving.
    pub(super) fn extend(&mut self, target: Target, written: u64, end: u64) -> Wasi {
        let len = self.content_len(target);
        if end <= len {
            return Ok(());
        }
        let path = match target {
            Target::Stdout if len == 0 => "stdout".len() as u64,
            Target::Stderr if len == 0 => "stderr".len() as u64,
            _ => 0,
        };
        // A file with several names is as often in the output.
        let added = (end - len).saturating_mul(self.copies(target));
        self.world.quota.add(path.saturating_add(added))?;
        self.charge_bytes(written.saturating_sub(len))?;
        let content = self.content(target)?;
        let device = |_| Halt::End(End::Device);
        content.try_reserve((end - len) as usize).map_err(device)?;
        content.resize(end as usize, 0);
        Ok(())
    }

    /// Bytes that a target holds; 0 for a directory.
    pub(super) fn content_len(&self, target: Target) -> u64 {
        match target {
            Target::Stdin => self.world.stdin.len() as u64,
            Target::Stdout => self.world.stdout.len() as u64,
            Target::Stderr => self.world.stderr.len() as u64,
            Target::Node(id) => self.world.tree.node(id).size(),
        }
    }

    fn copies(&self, target: Target) -> u64 {
        match target {
            Target::Node(id) => self.world.tree.node(id).copies(),
            _ => 1,
        }
    }

    /// The bytes of a target.
    pub(super) fn content(&mut self, target: Target) -> Result<&mut Vec<u8>, Errno> {
        match target {
            Target::Stdin => Ok(&mut self.world.stdin),
            Target::Stdout => Ok(&mut self.world.stdout),
            Target::Stderr => Ok(&mut self.world.stderr),
            Target::Node(id) => match &mut self.world.tree.node_mut(id).body {
                Body::File(bytes) => Ok(bytes),
                _ => Err(Errno::Isdir),
            },
        }
    }

    /// Notes that a file's content changed.
    pub(super) fn changed(&mut self, target: Target) {
        let now = self.now();
        if let Target::Node(id) = target {
            self.world.tree.touch(id, now);
        }
    }

    /// The node of a descriptor that can seek; a stream can't.
    pub(super) fn seekable(&self, fd: u32, needed: u64) -> Result<Id, Errno> {
        let descriptor = self.world.descriptors.get(fd)?;
        let Target::Node(id) = descriptor.target else { return Err(Errno::Spipe) };
        descriptor.need(needed)?;
        Ok(id)
    }

    /// `fd_seek`
    pub(super) fn fd_seek(&mut self, fd: u32, delta: i64, whence: u32, result: u32) -> Wasi {
        let telling = delta == 0 && whence == 1;
        let needed = if telling { rights::FD_TELL } else { rights::FD_SEEK };
        let id = self.seekable(fd, needed)?;
        self.span(result, 8)?;
        let from = match whence {
            0 => 0,
            1 => self.world.descriptors.get(fd)?.at,
            2 => self.world.tree.node(id).size(),
            _ => return Err(Errno::Inval.into()),
        };
        let to = from.checked_add_signed(delta).filter(|to| *to <= MAX_OFFSET);
        let to = to.ok_or(Errno::Inval)?;
        self.world.descriptors.get_mut(fd)?.at = to;
        self.store_u64(result, to)?;
        Ok(())
    }

    /// `fd_tell`
    pub(super) fn fd_tell(&mut self, fd: u32, result: u32) -> Wasi {
        self.seekable(fd, rights::FD_TELL)?;
        let at = self.world.descriptors.get(fd)?.at;
        self.store_u64(result, at)?;
        Ok(())
    }
}

/// Refuses a given offset that no file can have.
fn in_file(offset: Option<u64>) -> Result<(), Errno> {
    if offset.is_some_and(|at| at > MAX_OFFSET) { Err(Errno::Inval) } else { Ok(()) }
}
