//! One WASI call: its arguments, its fuel, and checked access to the module's
//! memory. The calls themselves are in `streams`, `files`, `paths` and `misc`.

use super::descriptors::Descriptors;
use super::errno::Errno;
use super::fuel::{BYTES_PER_FUEL, CALL, ITEM, Meter};
use super::tree::{OverQuota, Quota, Tree};
use super::{End, GuestMemory, WasiFunction};

/// Buffers in one vector (IOV_MAX of Linux).
const MAX_BUFFERS: u32 = 1024;

/// Why a call does not succeed.
#[derive(Debug)]
pub(super) enum Halt {
    /// The module gets this.
    Errno(Errno),
    /// The run ends.
    End(End),
}

impl From<Errno> for Halt {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<OverQuota> for Halt {
    fn from(_: OverQuota) -> Self {
        Self::End(End::OutputLimit)
    }
}

pub(super) type Wasi<T = ()> = Result<T, Halt>;

/// What WASI calls see and change.
#[derive(Debug)]
pub(super) struct World {
    pub(super) args: Vec<Vec<u8>>,
    pub(super) env: Vec<Vec<u8>>,
    pub(super) seed: [u8; 32],
    /// Bytes of randomness taken so far.
    pub(super) random_at: u64,
    /// Nanoseconds that polls waited for clocks.
    pub(super) slept: u64,
    pub(super) stdin: Vec<u8>,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) tree: Tree,
    pub(super) quota: Quota,
    pub(super) descriptors: Descriptors,
}

/// A buffer of a vector: address and length, inside the memory.
pub(super) type Buffer = (u32, u32);

/// One call while it runs. The fuel global is read once and written once: in
/// a browser each access crosses into JavaScript.
pub(super) struct Call<'a, G> {
    pub(super) world: &'a mut World,
    meter: &'a Meter,
    guest: &'a mut G,
    size: u64,
    left: i64,
}

impl<'a, G: GuestMemory> Call<'a, G> {
    /// Runs `function`; the fuel global is settled whatever happens.
    pub(super) fn run(
        world: &'a mut World,
        meter: &'a Meter,
        guest: &'a mut G,
        function: WasiFunction,
        args: &[u64],
    ) -> Wasi {
        let mut given = [0; 9];
        for (slot, arg) in given.iter_mut().zip(args) {
            *slot = *arg;
        }
        let (size, left) = (guest.size(), guest.fuel());
        let mut call = Self { world, meter, guest, size, left };
        let result = call.charge(CALL).and_then(|()| call.dispatch(function, given));
        call.guest.set_fuel(call.left);
        result
    }

    fn dispatch(&mut self, function: WasiFunction, args: [u64; 9]) -> Wasi {
        use WasiFunction as F;
        // An i32 arrives zero-extended: its low half is all of it.
        let [a, b, c, d, e, _, g, h, i] = args.map(|arg| arg as u32);
        let f = args[5] as u32;
        match function {
            F::ArgsGet => self.strings_get(|world| &world.args, a, b),
            F::ArgsSizesGet => self.strings_sizes(|world| &world.args, a, b),
            F::EnvironGet => self.strings_get(|world| &world.env, a, b),
            F::EnvironSizesGet => self.strings_sizes(|world| &world.env, a, b),
            F::ClockResGet => self.clock_res_get(a, b),
            F::ClockTimeGet => self.clock_time_get(a, c),
            F::FdAdvise => self.fd_advise(a, d),
            F::FdAllocate => self.fd_allocate(a, args[1], args[2]),
            F::FdClose => self.fd_close(a),
            F::FdDatasync | F::FdSync => self.fd_sync(function, a),
            F::FdFdstatGet => self.fd_fdstat_get(a, b),
            F::FdFdstatSetFlags => self.fd_fdstat_set_flags(a, b),
            F::FdFdstatSetRights => self.fd_fdstat_set_rights(a, args[1], args[2]),
            F::FdFilestatGet => self.fd_filestat_get(a, b),
            F::FdFilestatSetSize => self.fd_filestat_set_size(a, args[1]),
            F::FdFilestatSetTimes => self.fd_filestat_set_times(a, args[1], args[2], d),
            F::FdPread => self.fd_read(a, b, c, Some(args[3]), e),
            F::FdPrestatGet => self.fd_prestat_get(a, b),
            F::FdPrestatDirName => self.fd_prestat_dir_name(a, b, c),
            F::FdPwrite => self.fd_write(a, b, c, Some(args[3]), e),
            F::FdRead => self.fd_read(a, b, c, None, d),
            F::FdReaddir => self.fd_readdir(a, b, c, args[3], e),
            F::FdRenumber => self.fd_renumber(a, b),
            F::FdSeek => self.fd_seek(a, args[1].cast_signed(), c, d),
            F::FdTell => self.fd_tell(a, b),
            F::FdWrite => self.fd_write(a, b, c, None, d),
            F::PathCreateDirectory => self.path_create_directory(a, (b, c)),
            F::PathFilestatGet => self.path_filestat_get(a, b, (c, d), e),
            F::PathFilestatSetTimes => {
                self.path_filestat_set_times(a, b, (c, d), args[4], args[5], g)
            }
            F::PathLink => self.path_link(a, b, (c, d), e, (f, g)),
            F::PathOpen => self.path_open(a, b, (c, d), e, args[5], args[6], h, i),
            F::PathReadlink => self.path_readlink(a, (b, c), (d, e), f),
            F::PathRemoveDirectory => self.path_remove_directory(a, (b, c)),
            F::PathRename => self.path_rename(a, (b, c), d, (e, f)),
            F::PathSymlink => self.path_symlink((a, b), c, (d, e)),
            F::PathUnlinkFile => self.path_unlink_file(a, (b, c)),
            F::PollOneoff => self.poll_oneoff(a, b, c, d),
            F::ProcExit => Err(Halt::End(End::Exit(a))),
            F::ProcRaise => Err(Errno::Notsup.into()),
            F::SchedYield => Ok(()),
            F::RandomGet => self.random_get(a, b),
            F::SockAccept | F::SockRecv | F::SockSend | F::SockShutdown => self.sock(a),
        }
    }

    /// Charges fuel, before the effect that costs it.
    pub(super) fn charge(&mut self, fuel: u64) -> Wasi {
        self.left = self.left.saturating_sub_unsigned(fuel);
        if self.meter.over(self.left) { Err(Halt::End(End::OutOfFuel)) } else { Ok(()) }
    }

    /// Charges for bytes moved or cleared.
    pub(super) fn charge_bytes(&mut self, bytes: u64) -> Wasi {
        self.charge(bytes / BYTES_PER_FUEL)
    }

    /// Charges for things looked at.
    pub(super) fn charge_items(&mut self, items: u64) -> Wasi {
        self.charge(items * ITEM)
    }

    /// The module's clock: a nanosecond per fuel used, and what it slept.
    pub(super) fn now(&self) -> u64 {
        self.computed().saturating_add(self.world.slept)
    }

    /// The clock of the module's own time: a nanosecond per fuel used.
    pub(super) fn computed(&self) -> u64 {
        self.meter.used(self.left)
    }

    /// Refuses a range that is not inside the memory.
    pub(super) fn span(&self, at: u32, len: u64) -> Result<(), Errno> {
        if u64::from(at) + len <= self.size { Ok(()) } else { Err(Errno::Fault) }
    }

    /// Fills `into` from the module's memory.
    pub(super) fn load(&self, at: u32, into: &mut [u8]) -> Result<(), Errno> {
        self.span(at, into.len() as u64)?;
        if !into.is_empty() {
            self.guest.read(at, into);
        }
        Ok(())
    }

    /// Copies bytes out of the module's memory. `len` is bounded by the
    /// memory's size before anything is allocated.
    pub(super) fn load_vec(&self, at: u32, len: u32) -> Result<Vec<u8>, Errno> {
        self.span(at, len.into())?;
        let mut bytes = vec![0; len as usize];
        self.load(at, &mut bytes)?;
        Ok(bytes)
    }

    /// Stores into the module's memory.
    pub(super) fn store(&mut self, at: u32, bytes: &[u8]) -> Result<(), Errno> {
        self.span(at, bytes.len() as u64)?;
        if !bytes.is_empty() {
            self.guest.write(at, bytes);
        }
        Ok(())
    }

    pub(super) fn store_u32(&mut self, at: u32, value: u32) -> Result<(), Errno> {
        self.store(at, &value.to_le_bytes())
    }

    pub(super) fn store_u64(&mut self, at: u32, value: u64) -> Result<(), Errno> {
        self.store(at, &value.to_le_bytes())
    }

    /// Reads a vector of buffers; each is inside the memory, and together
    /// they are shorter than 4 GiB.
    pub(super) fn buffers(&mut self, at: u32, count: u32) -> Wasi<(Vec<Buffer>, u64)> {
        if count > MAX_BUFFERS {
            return Err(Errno::Inval.into());
        }
        self.charge_items(count.into())?;
        let raw = self.load_vec(at, count * 8)?;
        let mut buffers = Vec::with_capacity(count as usize);
        let mut total = 0;
        for pair in raw.chunks_exact(8) {
            let (at, len) = (le_u32(pair), le_u32(&pair[4..]));
            self.span(at, len.into())?;
            total += u64::from(len);
            buffers.push((at, len));
        }
        if total > u64::from(u32::MAX) {
            return Err(Errno::Inval.into());
        }
        Ok((buffers, total))
    }
}

/// The first four bytes, little-endian. The caller knows that they are there.
pub(super) fn le_u32(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

/// The first eight bytes, little-endian. The caller knows that they are there.
pub(super) fn le_u64(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}
