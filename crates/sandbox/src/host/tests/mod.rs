//! WASI calls against a memory that is a vector.

mod files;
mod links;
mod paths;
mod pointers;
mod run;
mod suites;

use super::*;
use errno::{Errno, fdflags, fstflags, oflags, rights};
use fuzz::Memory;
use grid_protocol::{Digest, Runtime};

fn spec() -> Spec {
    Spec {
        runtime: Runtime::Wasm,
        arithmetic: 0,
        source: Digest::ZERO,
        module: Digest::ZERO,
        admission: crate::ADMISSION,
        args: vec!["one".into()],
        env: vec![("A".into(), "b".into())],
        seed: [7; 32],
        input: Digest::ZERO,
        fuel: 1 << 40,
        memory_pages: 2,
        output_bytes: 10_000,
    }
}

/// Where arguments and results of the calls below lie.
const PATH: u32 = 1000;
const PATH2: u32 = 2000;
const VECTOR: u32 = 4000;
const DATA: u32 = 8000;
const RESULT: u32 = 60_000;
/// The first address outside the memory.
const OUTSIDE: u32 = 65_536;

/// A host and its guest, with one page of memory.
struct Run {
    host: Host,
    guest: Memory,
}

impl Run {
    fn new(spec: &Spec) -> Self {
        let mut input = Files::stdin(b"standard input".to_vec());
        input.insert("/in/a.txt", b"0123456789".to_vec()).unwrap();
        input.insert("/in/sub/b.txt", b"b".to_vec()).unwrap();
        let guest = Memory { bytes: vec![0; PAGE as usize], fuel: 0, refuse_growth: false };
        Self { host: Host::new(spec, input), guest }
    }

    /// A call that does not end the run: its errno.
    fn call(&mut self, function: WasiFunction, args: &[u64]) -> u16 {
        assert_eq!(args.len(), function.params().len(), "{function:?}");
        match self.host.call(&mut self.guest, function, args) {
            Control::Resume(errno) => errno as u16,
            Control::End => panic!("{function:?} ended the run: {:?}", self.host.end),
        }
    }

    #[track_caller]
    fn ok(&mut self, function: WasiFunction, args: &[u64]) {
        assert_eq!(self.call(function, args), 0, "{function:?} {args:?}");
    }

    #[track_caller]
    fn err(&mut self, function: WasiFunction, args: &[u64], errno: Errno) {
        assert_eq!(self.call(function, args), errno as u16, "{function:?} {args:?}: {errno:?}");
    }

    /// A call that ends the run.
    fn ends(&mut self, function: WasiFunction, args: &[u64]) -> ExitReason {
        assert_eq!(self.host.call(&mut self.guest, function, args), Control::End);
        let host = std::mem::replace(&mut self.host, Host::new(&spec(), Files::new(Side::Input)));
        host.finish(&mut self.guest).unwrap().reason
    }

    fn store(&mut self, at: u32, bytes: &[u8]) {
        self.guest.write(at, bytes);
    }

    fn u32(&self, at: u32) -> u32 {
        call::le_u32(&self.guest.bytes[at as usize..])
    }

    fn u64(&self, at: u32) -> u64 {
        call::le_u64(&self.guest.bytes[at as usize..])
    }

    /// One path argument: address and length.
    fn path(&mut self, path: &str) -> [u64; 2] {
        self.store(PATH, path.as_bytes());
        [PATH.into(), path.len() as u64]
    }

    fn path2(&mut self, path: &str) -> [u64; 2] {
        self.store(PATH2, path.as_bytes());
        [PATH2.into(), path.len() as u64]
    }

    /// `path_open` with these flags and rights: descriptor or errno.
    fn open_with(&mut self, dir: u64, path: &str, how: u32, base: u64) -> Result<u64, u16> {
        let [at, len] = self.path(path);
        let args = [dir, 0, at, len, how.into(), base, base, 0, RESULT.into()];
        match self.call(WasiFunction::PathOpen, &args) {
            0 => Ok(self.u32(RESULT).into()),
            errno => Err(errno),
        }
    }

    fn open(&mut self, dir: u64, path: &str) -> u64 {
        self.open_with(dir, path, 0, rights::ALL & !rights::FD_WRITE).unwrap()
    }

    fn create(&mut self, path: &str) -> u64 {
        self.open_with(4, path, oflags::CREAT, rights::ALL).unwrap()
    }

    /// Arguments of fd_read and fd_write: one buffer of `len` at `DATA`.
    fn buffer(&mut self, fd: u64, len: u32) -> [u64; 4] {
        self.store(VECTOR, &DATA.to_le_bytes());
        self.store(VECTOR + 4, &len.to_le_bytes());
        [fd, VECTOR.into(), 1, RESULT.into()]
    }

    fn write(&mut self, fd: u64, bytes: &[u8]) {
        self.store(DATA, bytes);
        let args = self.buffer(fd, bytes.len() as u32);
        self.ok(WasiFunction::FdWrite, &args);
        assert_eq!(self.u32(RESULT) as usize, bytes.len());
    }

    fn read(&mut self, fd: u64, len: u32) -> Vec<u8> {
        let args = self.buffer(fd, len);
        self.ok(WasiFunction::FdRead, &args);
        let got = self.u32(RESULT) as usize;
        self.guest.bytes[DATA as usize..DATA as usize + got].to_vec()
    }

    fn finish(mut self) -> Outcome {
        self.host.finish(&mut self.guest).unwrap()
    }
}

fn start() -> Run {
    Run::new(&spec())
}
