//! Pointers that leave memory.

use super::WasiFunction as F;
use super::*;

/// Every call with a pointer: arguments with which it succeeds, and where its
/// pointers stand, each with how many bytes it needs there.
#[test]
fn every_pointer() {
    let (path, path2) = (u64::from(PATH), u64::from(PATH2));
    let (vector, result, data) = (u64::from(VECTOR), u64::from(RESULT), u64::from(DATA));
    let (all, create) = (rights::FD_READ, u64::from(oflags::CREAT));
    type Case<'a> = (F, &'a [u64], &'a [(usize, u64)]);
    let calls: &[Case<'_>] = &[
        (F::ArgsGet, &[result, data], &[(0, 8), (1, 9)]),
        (F::ArgsSizesGet, &[result, data], &[(0, 4), (1, 4)]),
        (F::EnvironGet, &[result, data], &[(0, 4), (1, 4)]),
        (F::EnvironSizesGet, &[result, data], &[(0, 4), (1, 4)]),
        (F::ClockResGet, &[0, result], &[(1, 8)]),
        (F::ClockTimeGet, &[0, 0, result], &[(2, 8)]),
        (F::FdFdstatGet, &[1, result], &[(1, 24)]),
        (F::FdFilestatGet, &[1, result], &[(1, 64)]),
        (F::FdPread, &[5, vector, 2, 0, result], &[(1, 16), (4, 4)]),
        (F::FdPrestatGet, &[3, result], &[(1, 8)]),
        (F::FdPrestatDirName, &[3, result, 3], &[(1, 3)]),
        (F::FdPwrite, &[5, vector, 2, 0, result], &[(1, 16), (4, 4)]),
        (F::FdRead, &[0, vector, 2, result], &[(1, 16), (3, 4)]),
        (F::FdReaddir, &[4, data, 40, 0, result], &[(1, 40), (4, 4)]),
        (F::FdSeek, &[5, 1, 0, result], &[(3, 8)]),
        (F::FdTell, &[5, result], &[(1, 8)]),
        (F::FdWrite, &[1, vector, 2, result], &[(1, 16), (3, 4)]),
        (F::PathCreateDirectory, &[4, path2, 3], &[(1, 3)]),
        (F::PathFilestatGet, &[4, 1, path, 3, result], &[(2, 3), (4, 64)]),
        (F::PathFilestatSetTimes, &[4, 1, path, 3, 0, 0, 0], &[(2, 3)]),
        (F::PathLink, &[4, 1, path, 3, 4, path2, 3], &[(2, 3), (5, 3)]),
        (F::PathOpen, &[4, 1, path2, 3, create, all, all, 0, result], &[(2, 3), (8, 4)]),
        (F::PathReadlink, &[4, path + 5, 3, data, 40, result], &[(1, 3), (3, 40), (5, 4)]),
        (F::PathRemoveDirectory, &[4, path + 10, 3], &[(1, 3)]),
        (F::PathRename, &[4, path, 3, 4, path2, 3], &[(1, 3), (4, 3)]),
        (F::PathSymlink, &[path, 3, 4, path2, 3], &[(0, 3), (3, 3)]),
        (F::PathUnlinkFile, &[4, path, 3], &[(1, 3)]),
        (F::PollOneoff, &[data, 2000, 2, result], &[(0, 96), (1, 64), (3, 4)]),
        (F::RandomGet, &[data, 40], &[(0, 40)]),
    ];
    let made = || {
        let mut run = start();
        run.create("fil");
        let [at, len] = run.path("dir");
        run.ok(F::PathCreateDirectory, &[4, at, len]);
        let ([at, len], [new, new_len]) = (run.path("fil"), run.path2("lnk"));
        run.ok(F::PathSymlink, &[at, len, 4, new, new_len]);
        run.store(PATH, b"fil\0\0lnk\0\0dir");
        run.store(PATH2, b"new");
        for (at, value) in [(0, DATA), (4, 10), (8, DATA + 100), (12, 10)] {
            run.store(VECTOR + at, &value.to_le_bytes());
        }
        run
    };
    for &(function, args, pointers) in calls {
        made().ok(function, args);
        for &(index, len) in pointers {
            let size = u64::from(OUTSIDE);
            for at in [size - len + 1, size, size + 1, 1 << 31, (1 << 32) - len, (1 << 32) - 1] {
                let mut run = made();
                let before = (run.guest.bytes.clone(), format!("{:?}", run.host.world));
                let mut args = args.to_vec();
                args[index] = at;
                run.err(function, &args, Errno::Fault);
                let after = (run.guest.bytes.clone(), format!("{:?}", run.host.world));
                assert!(before == after, "{function:?} changed something: {index} {at}");
            }
        }
    }
}

/// Vectors of which one buffer is outside, or which are too long.
#[test]
fn vectors() {
    for (function, fd) in [(F::FdWrite, 1), (F::FdRead, 0)] {
        let mut run = start();
        run.buffer(fd, 5);
        for (at, len) in [(DATA, OUTSIDE), (OUTSIDE - 1, 2), (OUTSIDE + 1, 0), (u32::MAX, u32::MAX)]
        {
            run.store(VECTOR + 8, &at.to_le_bytes());
            run.store(VECTOR + 12, &len.to_le_bytes());
            run.err(function, &[fd, VECTOR.into(), 2, RESULT.into()], Errno::Fault);
        }
        run.ok(function, &[fd, VECTOR.into(), 1, RESULT.into()]);
        assert_eq!(run.u32(RESULT), 5, "the first buffer had not been used before");
        run.err(function, &[fd, VECTOR.into(), 1025, RESULT.into()], Errno::Inval);
        run.err(function, &[fd, VECTOR.into(), u32::MAX.into(), RESULT.into()], Errno::Inval);
    }
}

/// Lengths that pass 2^32 together with their address, and huge ones.
#[test]
fn lengths() {
    let mut run = start();
    let (data, long) = (u64::from(DATA), u64::from(u32::MAX));
    for (function, args) in [
        (F::RandomGet, &[data, long][..]),
        (F::PathUnlinkFile, &[4, data, long]),
        (F::PathUnlinkFile, &[4, long, long]),
        (F::FdReaddir, &[3, data, long, 0, RESULT.into()]),
        (F::PathReadlink, &[4, data, long, 0, 0, RESULT.into()]),
    ] {
        run.err(function, args, Errno::Fault);
    }
    // No alignment is asked for.
    run.ok(F::ClockTimeGet, &[0, 0, data + 1]);
    run.ok(F::FdFdstatGet, &[1, data + 3]);
    run.ok(F::ArgsGet, &[data + 5, data + 100]);
}
