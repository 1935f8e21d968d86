//! Paths.

use super::WasiFunction as F;
use super::*;

const FILE_RIGHTS: u64 = rights::FD_READ | rights::FD_WRITE;

#[test]
fn opening() {
    let mut run = start();
    let mut check = |dir, path: &str, how, base, expect: Option<Errno>| {
        let got = run.open_with(dir, path, how, base);
        assert_eq!(got.err(), expect.map(|errno| errno as u16), "{path:?} {how} {base}");
        if let Ok(fd) = got {
            run.ok(F::FdClose, &[fd]);
        }
    };
    use errno::oflags::*;
    let read = rights::FD_READ;
    let cases: &[(u64, &str, u32, u64, Option<Errno>)] = &[
        (3, "a.txt", 0, read, None),
        (3, "./sub/../a.txt", 0, read, None),
        (3, "sub//b.txt", 0, read, None),
        (3, "sub", 0, read, None),
        (3, "sub/", DIRECTORY, read, None),
        (3, ".", DIRECTORY, read, None),
        (3, "a.txt/", 0, read, Some(Errno::Notdir)),
        (3, "a.txt", DIRECTORY, read, Some(Errno::Notdir)),
        (3, "a.txt/x", 0, read, Some(Errno::Notdir)),
        (3, "a.txt/..", 0, read, Some(Errno::Notdir)),
        (3, "none", 0, read, Some(Errno::Noent)),
        (3, "none/..", 0, read, Some(Errno::Noent)),
        (3, "", 0, read, Some(Errno::Noent)),
        (3, "..", 0, read, Some(Errno::Notcapable)),
        (3, "sub/../../out", 0, read, Some(Errno::Notcapable)),
        (3, "/in/a.txt", 0, read, Some(Errno::Notcapable)),
        (3, "a.txt", 0, FILE_RIGHTS, Some(Errno::Rofs)),
        (3, "a.txt", TRUNC, read, Some(Errno::Rofs)),
        (3, "new", CREAT, read, Some(Errno::Rofs)),
        (3, "a.txt", CREAT, read, None),
        (3, "a.txt", CREAT | EXCL, read, Some(Errno::Exist)),
        (3, "sub", 0, FILE_RIGHTS, Some(Errno::Isdir)),
        (3, "sub", DIRECTORY, FILE_RIGHTS, Some(Errno::Isdir)),
        (3, "sub", DIRECTORY | TRUNC, read, Some(Errno::Isdir)),
        (3, "a.txt", DIRECTORY, 0, Some(Errno::Notdir)),
        (3, "sub", CREAT, read, Some(Errno::Isdir)),
        (4, ".", DIRECTORY, rights::FD_SEEK, None),
        (3, "a.txt", 16, read, Some(Errno::Inval)),
        (3, "a\0b", 0, read, Some(Errno::Inval)),
        (1, "x", 0, read, Some(Errno::Notdir)),
        (99, "x", 0, read, Some(Errno::Badf)),
        (4, "new", CREAT | EXCL, FILE_RIGHTS, None),
        (4, "new", CREAT | EXCL, FILE_RIGHTS, Some(Errno::Exist)),
        (4, "new", CREAT | TRUNC, FILE_RIGHTS, None),
        (4, "new/", CREAT, FILE_RIGHTS, Some(Errno::Notdir)),
        (4, "newer/", CREAT, FILE_RIGHTS, Some(Errno::Isdir)),
        (4, "x", CREAT | DIRECTORY, read, Some(Errno::Inval)),
        (4, "no/x", CREAT, FILE_RIGHTS, Some(Errno::Noent)),
        (4, ".", TRUNC, read, Some(Errno::Isdir)),
    ];
    for &(dir, path, how, base, expect) in cases {
        check(dir, path, how, base, expect);
    }
    let long = "x".repeat(256);
    check(4, &long, CREAT, read, Some(Errno::Nametoolong));
    check(4, &"a/".repeat(600), 0, read, Some(Errno::Nametoolong));
    run.store(PATH, b"\xff");
    let args = [4, 0, PATH.into(), 1, 0, 0, 0, 0, RESULT.into()];
    run.err(F::PathOpen, &args, Errno::Ilseq);
    let [at, len] = run.path("q");
    let create = u64::from(CREAT);
    run.err(F::PathOpen, &[4, 2, at, len, create, 0, 0, 0, RESULT.into()], Errno::Inval);
    run.err(F::PathOpen, &[4, 0, at, len, create, 0, 0, 32, RESULT.into()], Errno::Inval);
    run.err(F::PathOpen, &[4, 0, at, len, create, 0, 0, 0, OUTSIDE.into()], Errno::Fault);
    assert_eq!(run.finish().output.iter().map(|(path, _)| path).collect::<Vec<_>>(), ["/out/new"]);
}

#[test]
fn truncating() {
    let mut run = start();
    let fd = run.create("x");
    run.write(fd, &[1; 5000]);
    run.open_with(4, "x", oflags::TRUNC, FILE_RIGHTS).unwrap();
    run.write(fd, &[2; 3]);
    let outcome = run.finish();
    let x = outcome.output.get("/out/x").unwrap();
    assert_eq!(x.len(), 5003);
    assert_eq!((x[0], x[5002]), (0, 2));
}

#[test]
fn directories() {
    let mut run = start();
    let mut check = |function, dir: u64, path: &str, expect: Option<Errno>| {
        let [at, len] = run.path(path);
        let got = run.call(function, &[dir, at, len]);
        assert_eq!(got, expect.map_or(0, |errno| errno as u16), "{function:?} {path:?}");
    };
    check(F::PathCreateDirectory, 4, "d", None);
    check(F::PathCreateDirectory, 4, "d/e/", None);
    check(F::PathCreateDirectory, 4, "d", Some(Errno::Exist));
    check(F::PathCreateDirectory, 4, ".", Some(Errno::Exist));
    check(F::PathCreateDirectory, 4, "no/e", Some(Errno::Noent));
    check(F::PathCreateDirectory, 3, "d", Some(Errno::Rofs));
    check(F::PathCreateDirectory, 3, "a.txt", Some(Errno::Exist));
    check(F::PathRemoveDirectory, 4, "d", Some(Errno::Notempty));
    check(F::PathUnlinkFile, 4, "d", Some(Errno::Isdir));
    check(F::PathRemoveDirectory, 3, "sub", Some(Errno::Rofs));
    check(F::PathRemoveDirectory, 3, "a.txt", Some(Errno::Notdir));
    check(F::PathRemoveDirectory, 4, ".", Some(Errno::Inval));
    check(F::PathRemoveDirectory, 4, "d/..", Some(Errno::Inval));
    check(F::PathRemoveDirectory, 4, "no", Some(Errno::Noent));
    check(F::PathUnlinkFile, 3, "a.txt", Some(Errno::Rofs));
    check(F::PathUnlinkFile, 4, "no", Some(Errno::Noent));
    check(F::PathRemoveDirectory, 4, "d/e", None);
    check(F::PathRemoveDirectory, 4, "d", None);
    assert!(run.finish().output.is_empty());
}

/// A directory that was removed while open takes nothing any more, even when
/// its parent is gone too.
#[test]
fn removed_directory() {
    let mut run = start();
    let [at, len] = run.path("d");
    run.ok(F::PathCreateDirectory, &[4, at, len]);
    let [at, len] = run.path("d/e");
    run.ok(F::PathCreateDirectory, &[4, at, len]);
    let fd = run.open(4, "d/e");
    run.ok(F::PathRemoveDirectory, &[4, at, len]);
    let [at, len] = run.path("d");
    run.ok(F::PathRemoveDirectory, &[4, at, len]);
    assert_eq!(run.open_with(fd, "x", oflags::CREAT, 0), Err(Errno::Noent as u16));
    let [at, len] = run.path("x");
    run.err(F::PathCreateDirectory, &[fd, at, len], Errno::Noent);
    run.ok(F::FdReaddir, &[fd, DATA.into(), 500, 0, RESULT.into()]);
    run.create("f");
    let [old, old_len] = run.path("f");
    let [new, new_len] = run.path2("g");
    run.err(F::PathRename, &[4, old, old_len, fd, new, new_len], Errno::Noent);
    run.ok(F::FdClose, &[fd]);
}

#[test]
fn renaming() {
    let mut run = start();
    for dir in ["d", "d/e", "empty"] {
        let [at, len] = run.path(dir);
        run.ok(F::PathCreateDirectory, &[4, at, len]);
    }
    for (file, text) in [("f", "f"), ("g", "g"), ("d/e/h", "h")] {
        let fd = run.create(file);
        run.write(fd, text.as_bytes());
        run.ok(F::FdClose, &[fd]);
    }
    let mut check = |from, old: &str, to, new: &str, expect: Option<Errno>| {
        let [old_at, old_len] = run.path(old);
        let [new_at, new_len] = run.path2(new);
        let got = run.call(F::PathRename, &[from, old_at, old_len, to, new_at, new_len]);
        assert_eq!(got, expect.map_or(0, |errno| errno as u16), "{old:?} {new:?}");
    };
    check(4, "f", 4, "f", None);
    check(4, "no", 4, "x", Some(Errno::Noent));
    check(4, "f", 4, "no/x", Some(Errno::Noent));
    check(4, "f", 4, "x/", Some(Errno::Notdir));
    check(4, "f", 4, "empty", Some(Errno::Isdir));
    check(4, "d", 4, "f", Some(Errno::Notdir));
    check(4, "empty", 4, "d", Some(Errno::Notempty));
    check(4, "d", 4, "d/e/x", Some(Errno::Inval));
    check(4, "d", 4, "d/x", Some(Errno::Inval));
    check(4, ".", 4, "x", Some(Errno::Busy));
    check(4, "f", 4, ".", Some(Errno::Busy));
    check(3, "a.txt", 4, "x", Some(Errno::Xdev));
    check(4, "f", 3, "x", Some(Errno::Xdev));
    check(3, "a.txt", 3, "x", Some(Errno::Rofs));
    check(4, "f", 4, "g", None);
    check(4, "d", 4, "empty", None);
    check(4, "empty/e", 4, "moved/", None);
    let output = run.finish().output;
    let files: Vec<_> = output.iter().collect();
    assert_eq!(files, [("/out/g", &b"f"[..]), ("/out/moved/h", &b"h"[..])]);
}

#[test]
fn stat_and_times() {
    let mut run = start();
    let [at, len] = run.path("sub/b.txt");
    run.ok(F::PathFilestatGet, &[3, 1, at, len, RESULT.into()]);
    assert_eq!(run.u64(RESULT + 32), 1);
    run.err(F::PathFilestatGet, &[3, 0, at, len, OUTSIDE.into()], Errno::Fault);
    run.err(F::PathFilestatGet, &[3, 2, at, len, RESULT.into()], Errno::Inval);
    run.err(F::PathFilestatSetTimes, &[3, 0, at, len, 0, 0, 1], Errno::Rofs);
    run.err(F::PathFilestatSetTimes, &[3, 2, at, len, 0, 0, 1], Errno::Inval);
    run.create("x");
    let [at, len] = run.path("x");
    let flags = (fstflags::ATIM | fstflags::MTIM).into();
    run.ok(F::PathFilestatSetTimes, &[4, 0, at, len, 5, 6, flags]);
    run.ok(F::PathFilestatGet, &[4, 0, at, len, RESULT.into()]);
    assert_eq!((run.u64(RESULT + 40), run.u64(RESULT + 48)), (5, 6));
    for wrong in [3u64, 12, 15, 16] {
        run.err(F::PathFilestatSetTimes, &[4, 0, at, len, 7, 7, wrong], Errno::Inval);
    }
    run.ok(F::PathFilestatGet, &[4, 0, at, len, RESULT.into()]);
    assert_eq!((run.u64(RESULT + 40), run.u64(RESULT + 48)), (5, 6));
}

#[test]
fn too_many_files() {
    let mut run = Run::new(&Spec { output_bytes: 1 << 20, ..spec() });
    for number in 0..grid_protocol::limits::MAX_FILES - 2 {
        let fd = run.create(&number.to_string());
        run.ok(F::FdClose, &[fd]);
    }
    assert_eq!(run.open_with(4, "x", oflags::CREAT, 0), Err(Errno::Nospc as u16));
    let [at, len] = run.path("x");
    run.err(F::PathCreateDirectory, &[4, at, len], Errno::Nospc);
    let [at, len] = run.path("7");
    run.ok(F::PathUnlinkFile, &[4, at, len]);
    run.create("x");
    run.write(1, b"1");
    run.write(2, b"2");
    assert_eq!(run.finish().output.len(), grid_protocol::limits::MAX_FILES);
}

/// Paths longer than a list may hold can't be made in any way.
#[test]
fn paths_too_long() {
    let mut run = start();
    let name = "n".repeat(200);
    let mut dir = String::new();
    for _ in 0..4 {
        dir = format!("{dir}{name}/");
        let [at, len] = run.path(&dir);
        run.ok(F::PathCreateDirectory, &[4, at, len]);
    }
    let deep = run.open(4, &dir);
    let longest = "x".repeat(1024 - "/out/".len() - dir.len());
    assert!(run.open_with(deep, &longest, oflags::CREAT, 0).is_ok());
    let longer = format!("{longest}x");
    assert_eq!(run.open_with(deep, &longer, oflags::CREAT, 0), Err(Errno::Nametoolong as u16));
    let [old, old_len] = run.path(&name);
    let [new, new_len] = run.path2(&format!("{name}n"));
    run.err(F::PathRename, &[4, old, old_len, 4, new, new_len], Errno::Nametoolong);
    assert_eq!(run.finish().output.iter().next().unwrap().0.len(), 1024);
}
