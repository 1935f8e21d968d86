//! Arguments, environment, clocks, randomness, polling, sockets.

use super::GuestMemory;
use super::call::{Call, Wasi, World, le_u32, le_u64};
use super::errno::{Errno, rights};
use super::fuel::RANDOM_BYTE;
use grid_protocol::Digest;

/// Subscriptions of one poll.
const MAX_SUBSCRIPTIONS: u32 = 1024;
/// Clocks: realtime and monotonic, which sleeping advances, then process and
/// thread time, which count what was computed only.
const CLOCKS: u32 = 4;
const SLEEPING_CLOCKS: u32 = 2;
/// Flag of a clock subscription: the timeout is a time, not a duration.
const ABSOLUTE: u8 = 1;

impl<G: GuestMemory> Call<'_, G> {
    /// `args_sizes_get` and `environ_sizes_get`
    pub(super) fn strings_sizes(
        &mut self,
        list: impl Fn(&World) -> &[Vec<u8>],
        count: u32,
        bytes: u32,
    ) -> Wasi {
        let strings = list(self.world);
        let (number, total) = (strings.len(), strings.iter().map(Vec::len).sum::<usize>());
        self.span(bytes, 4)?;
        self.store_u32(count, number as u32)?;
        self.store_u32(bytes, total as u32)?;
        Ok(())
    }

    /// `args_get` and `environ_get`
    pub(super) fn strings_get(
        &mut self,
        list: impl Fn(&World) -> &[Vec<u8>],
        pointers: u32,
        bytes: u32,
    ) -> Wasi {
        let mut addresses = Vec::new();
        let mut all = Vec::new();
        for string in list(self.world) {
            addresses.extend_from_slice(&bytes.wrapping_add(all.len() as u32).to_le_bytes());
            all.extend_from_slice(string);
        }
        self.charge_bytes((addresses.len() + all.len()) as u64)?;
        self.span(bytes, all.len() as u64)?;
        self.store(pointers, &addresses)?;
        self.store(bytes, &all)?;
        Ok(())
    }

    /// `clock_res_get`
    pub(super) fn clock_res_get(&mut self, clock: u32, result: u32) -> Wasi {
        if clock >= CLOCKS {
            return Err(Errno::Inval.into());
        }
        self.store_u64(result, 1)?;
        Ok(())
    }

    /// `clock_time_get`: every clock starts at 0 and counts fuel, the first
    /// two what was slept besides.
    pub(super) fn clock_time_get(&mut self, clock: u32, result: u32) -> Wasi {
        if clock >= CLOCKS {
            return Err(Errno::Inval.into());
        }
        let now = if clock < SLEEPING_CLOCKS { self.now() } else { self.computed() };
        self.store_u64(result, now)?;
        Ok(())
    }

    /// `random_get`: the stream SHA-256(`grid-random-v1`, seed, n as u64) for
    /// n = 0, 1, ..., wherever the calls cut it.
    pub(super) fn random_get(&mut self, at: u32, len: u32) -> Wasi {
        self.span(at, len.into())?;
        self.charge(u64::from(len) * RANDOM_BYTE)?;
        let end = self.world.random_at + u64::from(len);
        let mut to = at;
        while self.world.random_at < end {
            let mut bytes = Vec::with_capacity(4096);
            let skip = (self.world.random_at % 32) as usize;
            for block in self.world.random_at / 32..end.div_ceil(32) {
                bytes.extend_from_slice(&random_block(&self.world.seed, block));
                if bytes.len() == 4096 {
                    break;
                }
            }
            bytes.drain(..skip);
            bytes.truncate((end - self.world.random_at) as usize);
            self.store(to, &bytes)?;
            to = to.wrapping_add(bytes.len() as u32);
            self.world.random_at += bytes.len() as u64;
        }
        Ok(())
    }

    /// `poll_oneoff`: a descriptor is ready at once. When only clocks are
    /// waited for, time passes until the first is due, at no fuel.
    pub(super) fn poll_oneoff(&mut self, from: u32, to: u32, count: u32, result: u32) -> Wasi {
        if count == 0 || count > MAX_SUBSCRIPTIONS {
            return Err(Errno::Inval.into());
        }
        self.charge_items(count.into())?;
        let subscriptions = self.load_vec(from, count * 48)?;
        self.span(to, u64::from(count) * 32)?;
        self.span(result, 4)?;
        let subscriptions = subscriptions.chunks_exact(48);
        let waits = subscriptions.clone().map(|subscription| self.wait(subscription));
        let first = waits.min().unwrap_or(0);
        let mut events = Vec::with_capacity(count as usize * 32);
        for subscription in subscriptions {
            if self.wait(subscription) > first {
                continue;
            }
            let kind = subscription[8];
            let subject = le_u32(&subscription[16..]);
            let mut event = [0; 32];
            event[..8].copy_from_slice(&le_u64(subscription).to_le_bytes());
            event[10] = kind;
            let ready = match kind {
                0 if subject < SLEEPING_CLOCKS => Ok(0),
                0 if subject < CLOCKS => Err(Errno::Notsup),
                1 | 2 => self.ready(subject, kind == 1),
                _ => Err(Errno::Inval),
            };
            match ready {
                Ok(bytes) => event[16..24].copy_from_slice(&bytes.to_le_bytes()),
                Err(errno) => event[8..10].copy_from_slice(&(errno as u16).to_le_bytes()),
            }
            events.extend_from_slice(&event);
        }
        self.world.slept = self.world.slept.saturating_add(first);
        self.store(to, &events)?;
        self.store_u32(result, (events.len() / 32) as u32)?;
        Ok(())
    }

    /// Nanoseconds until a subscription has an event.
    fn wait(&self, subscription: &[u8]) -> u64 {
        if subscription[8] != 0 || le_u32(&subscription[16..]) >= SLEEPING_CLOCKS {
            return 0;
        }
        let timeout = le_u64(&subscription[24..]);
        let absolute = subscription[40] & ABSOLUTE != 0;
        timeout.saturating_sub(if absolute { self.now() } else { 0 })
    }

    /// Bytes that can be read or written.
    fn ready(&self, fd: u32, reading: bool) -> Result<u64, Errno> {
        let descriptor = self.world.descriptors.get(fd)?;
        let used = if reading { rights::FD_READ } else { rights::FD_WRITE };
        descriptor.need(rights::POLL_FD_READWRITE | used)?;
        if !reading {
            return Ok(self.world.quota.left());
        }
        Ok(self.content_len(descriptor.target).saturating_sub(descriptor.at))
    }

    /// `sock_*`: no descriptor is a socket.
    pub(super) fn sock(&mut self, fd: u32) -> Wasi {
        self.world.descriptors.get(fd)?;
        Err(Errno::Notsock.into())
    }
}

fn random_block(seed: &[u8; 32], number: u64) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(54);
    bytes.extend_from_slice(b"grid-random-v1");
    bytes.extend_from_slice(seed);
    bytes.extend_from_slice(&number.to_le_bytes());
    Digest::of(&bytes).0
}
