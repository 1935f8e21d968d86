//! Descriptors.

use super::WasiFunction as F;
use super::*;

#[test]
fn standard_streams() {
    let mut run = start();
    assert_eq!(run.read(0, 8), b"standard");
    assert_eq!(run.read(0, 100), b" input");
    assert_eq!(run.read(0, 100), b"");
    run.write(1, b"out");
    run.write(2, b"err");
    run.write(1, b"put");
    let args = run.buffer(0, 1);
    run.err(F::FdWrite, &args, Errno::Notcapable);
    let args = run.buffer(1, 1);
    run.err(F::FdRead, &args, Errno::Notcapable);
    run.err(F::FdSeek, &[1, 0, 0, RESULT.into()], Errno::Spipe);
    run.err(F::FdTell, &[0, RESULT.into()], Errno::Spipe);
    run.err(F::FdPread, &[0, VECTOR.into(), 1, 0, RESULT.into()], Errno::Spipe);
    run.err(F::FdPwrite, &[1, VECTOR.into(), 1, 0, RESULT.into()], Errno::Spipe);
    run.ok(F::FdFdstatGet, &[1, RESULT.into()]);
    assert_eq!(run.guest.bytes[RESULT as usize], errno::filetype::UNKNOWN);
    assert_eq!(run.u64(RESULT + 8) & (rights::FD_SEEK | rights::FD_TELL), 0);
    let output = run.finish().output;
    assert_eq!(output.get("stdout"), Some(&b"output"[..]));
    assert_eq!(output.get("stderr"), Some(&b"err"[..]));
}

#[test]
fn reading_and_seeking() {
    let mut run = start();
    let fd = run.open(3, "a.txt");
    assert_eq!(run.read(fd, 3), b"012");
    run.ok(F::FdTell, &[fd, RESULT.into()]);
    assert_eq!(run.u64(RESULT), 3);
    run.ok(F::FdSeek, &[fd, (-2i64).cast_unsigned(), 2, RESULT.into()]);
    assert_eq!(run.u64(RESULT), 8);
    assert_eq!(run.read(fd, 100), b"89");
    run.ok(F::FdSeek, &[fd, 1000, 1, RESULT.into()]);
    assert_eq!(run.read(fd, 100), b"");
    run.err(F::FdSeek, &[fd, (-1i64).cast_unsigned(), 0, RESULT.into()], Errno::Inval);
    run.err(F::FdSeek, &[fd, i64::MAX.cast_unsigned(), 1, RESULT.into()], Errno::Inval);
    run.err(F::FdSeek, &[fd, 0, 3, RESULT.into()], Errno::Inval);
    // pread leaves the offset alone; several buffers are filled in order.
    for (index, (at, len)) in [(DATA, 2u32), (DATA + 100, 0), (DATA + 200, 5)].iter().enumerate() {
        run.store(VECTOR + 8 * index as u32, &at.to_le_bytes());
        run.store(VECTOR + 8 * index as u32 + 4, &len.to_le_bytes());
    }
    run.ok(F::FdPread, &[fd, VECTOR.into(), 3, 5, RESULT.into()]);
    assert_eq!(run.u32(RESULT), 5);
    assert_eq!(&run.guest.bytes[DATA as usize..][..2], b"56");
    assert_eq!(&run.guest.bytes[DATA as usize + 200..][..3], b"789");
    run.ok(F::FdTell, &[fd, RESULT.into()]);
    assert_eq!(run.u64(RESULT), 1010);
}

#[test]
fn writing() {
    let mut run = start();
    let fd = run.create("x");
    run.write(fd, b"abc");
    run.ok(F::FdSeek, &[fd, 5, 0, RESULT.into()]);
    run.write(fd, b"de");
    run.store(DATA, b"Z");
    let [_, at, count, result] = run.buffer(fd, 1);
    run.ok(F::FdPwrite, &[fd, at, count, 1, result]);
    run.ok(F::FdFdstatSetFlags, &[fd, fdflags::APPEND.into()]);
    run.ok(F::FdSeek, &[fd, 0, 0, RESULT.into()]);
    run.write(fd, b"!");
    run.err(F::FdFdstatSetFlags, &[fd, 1 << 5], Errno::Inval);
    run.err(F::FdFdstatSetFlags, &[fd, 1 << 20], Errno::Inval);
    run.ok(F::FdAllocate, &[fd, 8, 2]);
    run.err(F::FdAllocate, &[fd, 8, 0], Errno::Inval);
    run.err(F::FdAllocate, &[fd, u64::MAX, 2], Errno::Inval);
    assert_eq!(run.finish().output.get("/out/x"), Some(&b"aZc\0\0de!\0\0"[..]));
}

#[test]
fn sizes_and_times() {
    let mut run = start();
    let fd = run.create("x");
    run.write(fd, b"abc");
    run.ok(F::FdFilestatSetSize, &[fd, 5]);
    run.ok(F::FdFilestatSetSize, &[fd, 2]);
    run.err(F::FdFilestatSetSize, &[fd, u64::MAX], Errno::Inval);
    let flags = (fstflags::ATIM | fstflags::MTIM).into();
    run.ok(F::FdFilestatSetTimes, &[fd, 11, 22, flags]);
    run.ok(F::FdFilestatGet, &[fd, RESULT.into()]);
    assert_eq!(run.guest.bytes[RESULT as usize + 16], errno::filetype::REGULAR_FILE);
    assert_eq!([24, 32, 40, 48].map(|at| run.u64(RESULT + at)), [1, 2, 11, 22]);
    let now = (fstflags::ATIM_NOW | fstflags::MTIM_NOW).into();
    run.ok(F::FdFilestatSetTimes, &[fd, 11, 22, now]);
    run.ok(F::FdFilestatGet, &[fd, RESULT.into()]);
    assert_eq!(run.u64(RESULT + 40), run.u64(RESULT + 48));
    assert!(run.u64(RESULT + 40) > 22);
    let both = (fstflags::ATIM | fstflags::ATIM_NOW).into();
    run.err(F::FdFilestatSetTimes, &[fd, 0, 0, both], Errno::Inval);
    run.err(F::FdFilestatSetTimes, &[fd, 0, 0, 16], Errno::Inval);
    let input = run.open(3, "a.txt");
    run.err(F::FdFilestatSetTimes, &[input, 0, 0, flags], Errno::Rofs);
    run.err(F::FdFilestatSetSize, &[input, 0], Errno::Rofs);
    run.err(F::FdAllocate, &[input, 0, 1], Errno::Rofs);
    run.ok(F::FdFilestatGet, &[4, RESULT.into()]);
    assert_eq!(run.guest.bytes[RESULT as usize + 16], errno::filetype::DIRECTORY);
}

#[test]
fn descriptors() {
    let mut run = start();
    run.err(F::FdClose, &[99], Errno::Badf);
    let first = run.open(3, "a.txt");
    let second = run.open(3, "sub");
    assert_eq!((first, second), (5, 6));
    run.ok(F::FdClose, &[first]);
    run.err(F::FdClose, &[first], Errno::Badf);
    assert_eq!(run.open(3, "a.txt"), 5, "the lowest number is used again");
    run.ok(F::FdRenumber, &[5, 6]);
    run.err(F::FdTell, &[5, RESULT.into()], Errno::Badf);
    assert_eq!(run.read(6, 2), b"01");
    run.ok(F::FdRenumber, &[6, 6]);
    run.err(F::FdRenumber, &[6, 50], Errno::Badf);
    run.err(F::FdRenumber, &[50, 6], Errno::Badf);
    run.ok(F::FdSync, &[6]);
    run.ok(F::FdDatasync, &[6]);
    run.ok(F::FdAdvise, &[6, 0, 0, 5]);
    run.err(F::FdAdvise, &[6, 0, 0, 6], Errno::Inval);
    run.err(F::FdAdvise, &[1, 0, 0, 0], Errno::Spipe);
    for fd in 5..descriptors::MAX_OPEN as u64 {
        if fd != 6 {
            assert_eq!(run.open(3, "a.txt"), fd);
        }
    }
    assert_eq!(run.open_with(3, "a.txt", 0, 0), Err(Errno::Mfile as u16));
    assert_eq!(run.open_with(4, "new", oflags::CREAT, 0), Err(Errno::Mfile as u16));
    assert!(run.finish().output.is_empty(), "a refused open makes nothing");
}

#[test]
fn rights_are_only_given_up() {
    let mut run = start();
    let fd = run.open(3, "a.txt");
    run.ok(F::FdFdstatGet, &[fd, RESULT.into()]);
    let base = run.u64(RESULT + 8);
    assert_eq!(base & !rights::FILE, 0);
    run.ok(F::FdFdstatSetRights, &[fd, base & !rights::FD_READ, 0]);
    let args = run.buffer(fd, 1);
    run.err(F::FdRead, &args, Errno::Notcapable);
    run.err(F::FdFdstatSetRights, &[fd, base, 0], Errno::Notcapable);
    run.err(F::FdFdstatSetRights, &[fd, 0, 1], Errno::Notcapable);
    run.ok(F::FdFdstatSetRights, &[4, rights::PATH_OPEN, rights::FD_READ]);
    assert_eq!(run.open_with(4, ".", 0, rights::FD_WRITE), Err(Errno::Notcapable as u16));
    assert_eq!(run.open_with(4, "x", oflags::CREAT, 0), Err(Errno::Notcapable as u16));
    assert!(run.open_with(4, ".", 0, rights::FD_READ).is_ok());
}

#[test]
fn preopens() {
    let mut run = start();
    for (fd, name) in [(3, "/in"), (4, "/out")] {
        run.ok(F::FdPrestatGet, &[fd, RESULT.into()]);
        assert_eq!((run.u32(RESULT), run.u32(RESULT + 4)), (0, name.len() as u32));
        run.ok(F::FdPrestatDirName, &[fd, RESULT.into(), name.len() as u64]);
        assert_eq!(&run.guest.bytes[RESULT as usize..][..name.len()], name.as_bytes());
        run.err(F::FdPrestatDirName, &[fd, RESULT.into(), 2], Errno::Nametoolong);
    }
    run.err(F::FdPrestatGet, &[5, RESULT.into()], Errno::Badf);
    run.err(F::FdPrestatGet, &[1, RESULT.into()], Errno::Badf);
}

/// Every listing, read with a buffer of `len` bytes at a time.
fn list(run: &mut Run, fd: u64, len: u32) -> Vec<String> {
    let mut names = Vec::new();
    let mut cookie = 0;
    loop {
        run.ok(F::FdReaddir, &[fd, DATA.into(), len.into(), cookie, RESULT.into()]);
        let used = run.u32(RESULT);
        let mut at = DATA;
        while at + 24 <= DATA + used {
            let name_len = run.u32(at + 16);
            if at + 24 + name_len > DATA + used {
                break;
            }
            let name = &run.guest.bytes[at as usize + 24..][..name_len as usize];
            names.push(String::from_utf8(name.to_vec()).unwrap());
            cookie = run.u64(at);
            at += 24 + name_len;
        }
        if used < len {
            return names;
        }
    }
}

#[test]
fn listing() {
    let mut run = start();
    for len in [30, 31, 60, 1000] {
        assert_eq!(list(&mut run, 3, len), [".", "..", "a.txt", "sub"], "{len}");
    }
    for name in ["z", "b", "a"] {
        run.create(name);
    }
    assert_eq!(list(&mut run, 4, 1000), [".", "..", "z", "b", "a"], "in order of making");
    run.ok(F::FdReaddir, &[4, DATA.into(), 0, 0, RESULT.into()]);
    assert_eq!(run.u32(RESULT), 0);
    run.ok(F::FdReaddir, &[4, DATA.into(), 100, u64::MAX, RESULT.into()]);
    assert_eq!(run.u32(RESULT), 0);
    run.err(F::FdReaddir, &[1, DATA.into(), 100, 0, RESULT.into()], Errno::Notdir);
    run.err(F::FdReaddir, &[4, DATA.into(), 60_000, 0, RESULT.into()], Errno::Fault);
}

/// A removed file lives, and counts, as long as it is open.
#[test]
fn removed_but_open() {
    let mut run = start();
    let fd = run.create("x");
    run.write(fd, &[1; 6000]);
    let [at, len] = run.path("x");
    run.ok(F::PathUnlinkFile, &[4, at, len]);
    run.err(F::PathUnlinkFile, &[4, at, len], Errno::Noent);
    run.ok(F::FdSeek, &[fd, 0, 0, RESULT.into()]);
    assert_eq!(run.read(fd, 10), [1; 10]);
    let other = run.create("y");
    run.write(other, &[2; 3000]);
    run.ok(F::FdClose, &[fd]);
    run.write(other, &[2; 6000]);
    assert_eq!(run.finish().output.size(), 6 + 9000);
}
