//! Runs made of arbitrary bytes, checked call by call: for fuzzing and tests.
//!
//! Whatever a module does, a call never panics, writes only where its
//! arguments say, and, when it fails, changes nothing at all; and what a run
//! gives does not depend on how its fuel is cut into slices.

use super::{Control, GuestMemory, Host, Outcome, PAGE, WasiFunction};
use crate::host::call::le_u32;
use grid_protocol::{Digest, Files, Runtime, Side, Spec};
use std::ops::Range;

/// Where the paths and vectors of the runs lie.
const TEXTS: u32 = 0x100;
const VECTORS: u32 = 0x800;
const RESULTS: u32 = 0xA00;
const DATA: u32 = 0xC00;

/// Paths, those first that are taken most [`OFTEN`].
const PATHS: &[&str] = &[
    "a", "b", "d", "d/a", "d/b", "d/d", "l", "d/l", "l/a", ".", "..", "d/..", "../a", "d/../b",
    "a/", "d/", "l/", "", "/a", "x/y", "in.txt", "sub", "sub/b", "a\0", "\u{e9}",
];

const OFTEN: usize = 8;

/// Sizes of memory, whole pages and others.
const SIZES: &[usize] = &[2 * 65_536, 65_536, 0, 1, 0xC00, 65_537];

/// A guest without code: memory that is a vector, and the fuel global.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) bytes: Vec<u8>,
    pub(super) fuel: i64,
    pub(super) refuse_growth: bool,
}

impl GuestMemory for Memory {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
    fn read(&self, at: u32, into: &mut [u8]) {
        into.copy_from_slice(&self.bytes[at as usize..at as usize + into.len()]);
    }
    fn write(&mut self, at: u32, bytes: &[u8]) {
        self.bytes[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
    }
    fn grow(&mut self, delta: u32) -> bool {
        if !self.refuse_growth {
            self.bytes.resize(self.bytes.len() + delta as usize * PAGE as usize, 0);
        }
        !self.refuse_growth
    }
    fn fuel(&mut self) -> i64 {
        self.fuel
    }
    fn set_fuel(&mut self, fuel: i64) {
        self.fuel = fuel;
    }
}

/// Makes a run of `bytes` and checks it, twice, with slices of different
/// sizes. Panics when something is wrong.
pub fn drive(bytes: &[u8]) {
    let outcome = run(bytes, 1, &mut |_, _| {});
    assert_eq!(outcome, run(bytes, 1 << 40, &mut |_, _| {}), "the result depends on slices");
}

/// One run; `seen` is told each function called and the errno it gave.
pub(super) fn run(
    bytes: &[u8],
    slice: u64,
    seen: &mut dyn FnMut(WasiFunction, i32),
) -> Option<Outcome> {
    let mut source = Source(bytes);
    let spec = Spec {
        runtime: Runtime::Wasm,
        arithmetic: 0,
        source: Digest::ZERO,
        module: Digest::ZERO,
        admission: crate::ADMISSION,
        args: vec!["argument".into()],
        env: vec![("NAME".into(), "value".into())],
        seed: [source.u8(); 32],
        input: Digest::ZERO,
        fuel: [10_000_000, 20_000, 0, u64::MAX][usize::from(source.u8() & 3)],
        memory_pages: 4,
        output_bytes: [10_000, 100, 0, 1 << 20][usize::from(source.u8() & 3)],
    };
    let mut input = Files::new(Side::Input);
    for path in ["stdin", "/in/in.txt", "/in/sub/b"] {
        input.insert(path, path.repeat(20).into_bytes()).expect("these paths are allowed");
    }
    let mut host = Host::new(&spec, input);
    let size = SIZES[usize::from(source.u8()) % SIZES.len()];
    let refuse_growth = source.u8() == 255;
    let mut guest = Memory { bytes: vec![0; size], fuel: 0, refuse_growth };
    furnish(&mut guest.bytes);
    let mut ended = host.start(&mut guest) == Control::End;
    let [a, d, l, here] = [0, 2, 6, 9].map(|index| u64::from(TEXTS) + 16 * index);
    let all = (1 << 30) - 1;
    for (function, args) in [
        (WasiFunction::PathCreateDirectory, &[4, d, 1][..]),
        (WasiFunction::PathSymlink, &[d, 1, 4, l, 1]),
        (WasiFunction::PathOpen, &[4, 0, a, 1, 1, all, all, 0, RESULTS.into()]),
        (WasiFunction::PathOpen, &[4, 0, here, 1, 2, all & !64, all, 0, RESULTS.into()]),
    ] {
        ended = ended || call(&mut host, &mut guest, function, args, seen);
    }
    while !ended && !source.0.is_empty() {
        ended = step(&mut host, &mut guest, &mut source, seen);
        // The module asks for fuel as soon as it ran into the red.
        if !ended && guest.fuel < 0 {
            match host.refill(guest.fuel, slice) {
                Control::Resume(fuel) => guest.fuel = fuel,
                Control::End => ended = true,
            }
        }
    }
    assert!(!ended || host.ended());
    let outcome = host.finish(&mut guest).ok()?;
    assert!(outcome.output.size() <= spec.output_bytes);
    assert!(outcome.fuel <= spec.fuel);
    let encoded = outcome.output.encode();
    assert_eq!(Files::decode(Side::Output, &encoded).as_ref(), Ok(&outcome.output));
    Some(outcome)
}

/// Puts paths and vectors where the arguments below look for them.
fn furnish(memory: &mut [u8]) {
    let mut put = |at: u32, bytes: &[u8]| {
        if let Some(slot) = memory.get_mut(at as usize..at as usize + bytes.len()) {
            slot.copy_from_slice(bytes);
        }
    };
    for (index, path) in PATHS.iter().enumerate() {
        put(TEXTS + 16 * index as u32, path.as_bytes());
    }
    for (index, (at, len)) in [(DATA, 30), (DATA + 7, 0), (DATA + 100, 500)].iter().enumerate() {
        put(VECTORS + 8 * index as u32, &u32::to_le_bytes(*at));
        put(VECTORS + 8 * index as u32 + 4, &u32::to_le_bytes(*len));
    }
}

/// One thing that the module does. True when the run is over.
fn step(
    host: &mut Host,
    guest: &mut Memory,
    source: &mut Source<'_>,
    seen: &mut dyn FnMut(WasiFunction, i32),
) -> bool {
    let what = usize::from(source.u8());
    if let Some(function) = WasiFunction::ALL.get(what % 64) {
        let args = source.args(*function, guest.size());
        return call(host, guest, *function, &args, seen);
    }
    match what % 4 {
        0 => host.grow(guest, source.u8().into()) == Control::End,
        1 => {
            guest.fuel = guest.fuel.saturating_sub(i64::from(source.u8()) << 8);
            false
        }
        _ => {
            let at = source.u32() as usize & 0xFFF;
            let bytes = source.take(usize::from(source.0.first().copied().unwrap_or(0)) % 64);
            if let Some(slot) = guest.bytes.get_mut(at..at + bytes.len()) {
                slot.copy_from_slice(bytes);
            }
            false
        }
    }
}

fn call(
    host: &mut Host,
    guest: &mut Memory,
    function: WasiFunction,
    args: &[u64],
    seen: &mut dyn FnMut(WasiFunction, i32),
) -> bool {
    let allowed = writes(host, function, args, &guest.bytes);
    let mut memory = guest.bytes.clone();
    let world = format!("{:?}", host.world);
    let fuel = host.used(guest.fuel);
    let result = host.call(guest, function, args);
    assert!(host.used(guest.fuel) >= fuel.saturating_add(1000), "{function:?} costs too little");
    if let Control::Resume(errno) = result {
        seen(function, errno);
        assert!((0..=76).contains(&errno), "{function:?} gives {errno}");
        if errno != 0 {
            assert_eq!(format!("{:?}", host.world), world, "{function:?} failed with {errno}");
        }
    }
    if result == Control::Resume(0) {
        for range in allowed {
            let inside = range.start.min(memory.len())..range.end.min(memory.len());
            memory[inside.clone()].copy_from_slice(&guest.bytes[inside]);
        }
    }
    assert!(guest.bytes == memory, "{function:?} wrote where it may not: {args:?}");
    result == Control::End
}

/// Where a call may write when it succeeds.
fn writes(host: &Host, function: WasiFunction, args: &[u64], memory: &[u8]) -> Vec<Range<usize>> {
    use WasiFunction as F;
    let arg = |index: usize| args[index] as u32 as usize;
    let at = |index: usize, len: usize| arg(index)..arg(index) + len;
    let strings =
        |list: &[Vec<u8>]| vec![at(0, 4 * list.len()), at(1, list.iter().map(Vec::len).sum())];
    let vectors = |result: usize| {
        let mut ranges = vec![at(result, 4)];
        for index in 0..arg(2).min(1024) {
            let from = arg(1) + 8 * index;
            let Some(pair) = memory.get(from..from + 8) else { break };
            let start = le_u32(pair) as usize;
            ranges.push(start..start + le_u32(&pair[4..]) as usize);
        }
        ranges
    };
    match function {
        F::ArgsGet => strings(&host.world.args),
        F::EnvironGet => strings(&host.world.env),
        F::ArgsSizesGet | F::EnvironSizesGet => vec![at(0, 4), at(1, 4)],
        F::ClockResGet | F::FdTell | F::FdPrestatGet => vec![at(1, 8)],
        F::ClockTimeGet => vec![at(2, 8)],
        F::FdFdstatGet => vec![at(1, 24)],
        F::FdFilestatGet => vec![at(1, 64)],
        F::FdPrestatDirName => vec![at(1, arg(2))],
        F::FdRead => vectors(3),
        F::FdPread => vectors(4),
        F::FdWrite => vec![at(3, 4)],
        F::FdPwrite => vec![at(4, 4)],
        F::FdReaddir => vec![at(1, arg(2)), at(4, 4)],
        F::FdSeek => vec![at(3, 8)],
        F::PathFilestatGet => vec![at(4, 64)],
        F::PathOpen => vec![at(8, 4)],
        F::PathReadlink => vec![at(3, arg(4)), at(5, 4)],
        F::PollOneoff => vec![at(1, arg(2).saturating_mul(32)), at(3, 4)],
        F::RandomGet => vec![at(0, arg(1))],
        _ => Vec::new(),
    }
}

/// Values from bytes; zeros when there are no more.
struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, left) = self.0.split_at(len.min(self.0.len()));
        self.0 = left;
        taken
    }

    fn u8(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    fn u32(&mut self) -> u32 {
        le_u32(self.take(4))
    }

    /// Arguments of a call: mostly what they should be, else anything, with a
    /// liking for the edges of memory.
    fn args(&mut self, function: WasiFunction, size: u64) -> Vec<u64> {
        let mut args = Vec::new();
        for role in roles(function).bytes() {
            let choice = self.u8();
            let value = u64::from(choice >> 2 & 15);
            match (choice & 63, role) {
                (0, _) => args.push(self.u32().into()),
                (1, _) => args.push(u64::from(self.u32()) << 32 | u64::from(self.u32())),
                (2, _) => args.push(size.saturating_sub(value)),
                (3, _) => args.push(
                    [u64::MAX, u64::from(u32::MAX), i64::MAX as u64, 1 << 20]
                        [usize::from(choice >> 6)],
                ),
                (_, b'p') => {
                    let among = if value < 12 { OFTEN } else { PATHS.len() };
                    let index = usize::from(self.u8()) % among;
                    args.push(u64::from(TEXTS) + 16 * index as u64);
                    args.push(PATHS[index].len() as u64);
                }
                (_, b'v') => args.extend([VECTORS.into(), value & 3]),
                (_, b'b') => args.extend([DATA.into(), 8 * value]),
                (_, b'r') => args.push(u64::from(RESULTS) + 8 * value),
                (_, b'a') => args.push(if value < 12 { (1 << 30) - 1 } else { 2 }),
                (_, b'f') => args.push([4, 4, 4, 5, 5, 5, 6, 3][usize::from(choice & 7)]),
                (_, b'l') => args.push(value & 1),
                (_, b'o') => args.push([1, 1, 1, 0, 2, 5, 9, 8][usize::from(choice & 7)]),
                (4..=40, _) => args.push(value % 3),
                _ => args.push(value),
            }
        }
        args.resize(function.params().len(), 0);
        args
    }
}

/// What the arguments of a function are: `f` a descriptor, `p` a path, `v` a
/// vector of buffers, `b` a buffer (two arguments each), `r` where to store a
/// result, `a` rights, `l` lookup flags, `o` open flags, `n` another number.
fn roles(function: WasiFunction) -> &'static str {
    use WasiFunction as F;
    match function {
        F::ArgsGet | F::ArgsSizesGet | F::EnvironGet | F::EnvironSizesGet => "rr",
        F::ClockResGet => "nr",
        F::ClockTimeGet => "nnr",
        F::FdAdvise | F::FdFilestatSetTimes => "fnnn",
        F::FdAllocate => "fnn",
        F::FdClose | F::FdDatasync | F::FdSync => "n",
        F::FdFdstatGet | F::FdFilestatGet | F::FdPrestatGet | F::FdTell => "fr",
        F::FdFdstatSetRights => "faa",
        F::FdFdstatSetFlags | F::FdFilestatSetSize | F::SockShutdown => "fn",
        F::FdRenumber => "nn",
        F::FdPread | F::FdPwrite => "fvnr",
        F::FdPrestatDirName => "fb",
        F::FdRead | F::FdWrite => "fvr",
        F::FdReaddir => "fbnr",
        F::FdSeek => "fnnr",
        F::PathCreateDirectory | F::PathRemoveDirectory | F::PathUnlinkFile => "fp",
        F::PathFilestatGet => "flpr",
        F::PathFilestatSetTimes => "flpnnn",
        F::PathLink => "flpfp",
        F::PathOpen => "flpoaanr",
        F::PathReadlink => "fpbr",
        F::PathRename => "fpfp",
        F::PathSymlink => "pfp",
        F::PollOneoff => "rrnr",
        F::ProcExit | F::ProcRaise => "n",
        F::SchedYield => "",
        F::RandomGet => "b",
        F::SockAccept => "fnr",
        F::SockRecv => "fvnrr",
        F::SockSend => "fvnr",
    }
}
