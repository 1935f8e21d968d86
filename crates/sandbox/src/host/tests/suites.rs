//! What the public conformance suites ask of an implementation
//! (WebAssembly/wasi-testsuite, and wasmtime's programs for preview 1), call
//! by call: where they accept several errors, the one given here.

use super::WasiFunction as F;
use super::*;
use errno::filetype;

impl Run {
    fn on_path(&mut self, function: F, dir: u64, path: &str) -> u16 {
        let [at, len] = self.path(path);
        self.call(function, &[dir, at, len])
    }

    fn rename(&mut self, old: &str, new: &str) -> u16 {
        let [old, old_len] = self.path(old);
        let [new, new_len] = self.path2(new);
        self.call(F::PathRename, &[4, old, old_len, 4, new, new_len])
    }

    fn rights(&mut self, fd: u64) -> (u64, u64) {
        self.ok(F::FdFdstatGet, &[fd, RESULT.into()]);
        (self.u64(RESULT + 8), self.u64(RESULT + 16))
    }

    fn inode(&mut self, fd: u64) -> u64 {
        self.ok(F::FdFilestatGet, &[fd, RESULT.into()]);
        self.u64(RESULT + 8)
    }

    fn tell(&mut self, fd: u64) -> u64 {
        self.ok(F::FdTell, &[fd, RESULT.into()]);
        self.u64(RESULT)
    }
}

/// dir_fd_op_failures, directory_seek: a directory is no file, whatever was
/// asked for when it was opened.
#[test]
fn directories_are_no_files() {
    let mut run = start();
    assert_eq!(run.on_path(F::PathCreateDirectory, 4, "d"), 0);
    let fd = run.open_with(4, "d", oflags::DIRECTORY, rights::ALL & !rights::FD_WRITE).unwrap();
    let (base, inheriting) = run.rights(fd);
    let no_file = rights::FD_READ | rights::FD_SEEK | rights::FD_TELL | rights::FD_ALLOCATE;
    assert_eq!(base & (no_file | rights::FD_FILESTAT_SET_SIZE), 0);
    assert_eq!(run.guest.bytes[RESULT as usize], filetype::DIRECTORY);
    assert_eq!(run.rights(4).1, inheriting | rights::FD_WRITE, "as far as they were asked for");
    let result = RESULT.into();
    let [_, vector, count, _] = run.buffer(fd, 10);
    for (function, args) in [
        (F::FdRead, &[fd, vector, count, result][..]),
        (F::FdPread, &[fd, vector, count, 0, result]),
        (F::FdWrite, &[fd, vector, count, result]),
        (F::FdPwrite, &[fd, vector, count, 0, result]),
        (F::FdSeek, &[fd, 0, 0, result]),
        (F::FdSeek, &[fd, 0, 1, result]),
        (F::FdSeek, &[fd, 0, 2, result]),
        (F::FdTell, &[fd, result]),
        (F::FdAllocate, &[fd, 0, 1]),
        (F::FdAdvise, &[fd, 0, 1, 0]),
        (F::FdFilestatSetSize, &[fd, 0]),
    ] {
        run.err(function, args, Errno::Notcapable);
    }
    // A name that is longer than needed does no harm.
    run.ok(F::FdPrestatDirName, &[3, DATA.into(), 100]);
    run.err(F::FdPrestatDirName, &[3, DATA.into(), 0], Errno::Nametoolong);
    run.err(F::FdPrestatDirName, &[fd, DATA.into(), 100], Errno::Badf);
}

/// path_open_preopen: what libraries expect of a preopened directory.
#[test]
fn rights_of_preopens() {
    let mut run = start();
    for fd in [3, 4] {
        let (base, inheriting) = run.rights(fd);
        let paths = (rights::PATH_UNLINK_FILE << 1) - rights::PATH_CREATE_DIRECTORY;
        let sizes = rights::FD_FILESTAT_SET_SIZE;
        assert_eq!(base & (paths & !sizes), paths & !sizes);
        assert_eq!(inheriting & (paths | rights::FILE), paths | rights::FILE);
        let open = |run: &mut Run, how, base| run.open_with(fd, ".", how, base);
        assert!(open(&mut run, 0, base).is_ok());
        assert!(open(&mut run, 0, 0).is_ok());
        assert!(open(&mut run, oflags::DIRECTORY, 0).is_ok());
        assert!(open(&mut run, oflags::DIRECTORY, rights::FD_READ).is_ok());
        let both = rights::FD_READ | rights::FD_WRITE;
        assert_eq!(open(&mut run, oflags::DIRECTORY, both), Err(Errno::Isdir as u16));
    }
}

/// fd_fdstat_set_rights, truncation_rights, path_open_read_write.
#[test]
fn rights_take_effect() {
    let mut run = start();
    let both = rights::FD_READ | rights::FD_WRITE;
    let fd = run.open_with(4, "x", oflags::CREAT, both | rights::FD_SEEK).unwrap();
    run.write(fd, b"abc");
    assert_eq!(run.tell(fd), 3, "the right to seek includes the right to tell");
    run.ok(F::FdFdstatSetRights, &[fd, rights::FD_SEEK, 0]);
    let args = run.buffer(fd, 1);
    run.err(F::FdRead, &args, Errno::Notcapable);
    run.err(F::FdWrite, &args, Errno::Notcapable);
    let (base, inheriting) = run.rights(fd);
    run.err(F::FdFdstatSetRights, &[fd, base | both, inheriting], Errno::Notcapable);
    run.err(F::FdFdstatSetRights, &[fd, base, inheriting | 1], Errno::Notcapable);
    for (asked, function) in [(rights::FD_READ, F::FdWrite), (rights::FD_WRITE, F::FdRead)] {
        let fd = run.open_with(4, "x", 0, asked).unwrap();
        assert_eq!(run.rights(fd).0, asked);
        let args = run.buffer(fd, 1);
        run.err(function, &args, Errno::Notcapable);
        run.err(F::FdTell, &[fd, RESULT.into()], Errno::Notcapable);
    }
    let (base, inheriting) = run.rights(4);
    let inheriting = inheriting & !rights::FD_FILESTAT_SET_SIZE;
    run.ok(F::FdFdstatSetRights, &[4, base, inheriting]);
    assert!(run.open_with(4, "x", oflags::TRUNC, 0).is_ok());
    run.ok(F::FdFdstatSetRights, &[4, base & !rights::PATH_FILESTAT_SET_SIZE, inheriting]);
    assert_eq!(run.open_with(4, "x", oflags::TRUNC, 0), Err(Errno::Notcapable as u16));
}

/// fd_flags_set, pwrite-with-append: `pwrite` follows Linux, and appends.
#[test]
fn appending() {
    let mut run = start();
    let fd = run.create("x");
    run.ok(F::FdFdstatSetFlags, &[fd, fdflags::APPEND.into()]);
    run.write(fd, b"12");
    run.ok(F::FdSeek, &[fd, 0, 0, RESULT.into()]);
    run.write(fd, b"34");
    assert_eq!(run.tell(fd), 4);
    run.store(DATA, b"567");
    let [_, vector, count, result] = run.buffer(fd, 3);
    run.ok(F::FdPwrite, &[fd, vector, count, 0, result]);
    assert_eq!(run.tell(fd), 4);
    run.ok(F::FdFdstatSetFlags, &[fd, 0]);
    run.ok(F::FdSeek, &[fd, 0, 0, RESULT.into()]);
    run.write(fd, b"0");
    assert_eq!(run.finish().output.get("/out/x"), Some(&b"0234567"[..]));
}

/// renumber, overwrite_preopen, close_preopen, stdio.
#[test]
fn renumbering() {
    let mut run = start();
    let (from, to) = (run.create("x"), run.create("y"));
    let inode = run.inode(from);
    run.ok(F::FdRenumber, &[from, to]);
    run.err(F::FdClose, &[from], Errno::Badf);
    assert_eq!(run.inode(to), inode);
    run.err(F::FdRenumber, &[to, from], Errno::Badf);
    let dir = run.open(4, ".");
    let inode = run.inode(dir);
    run.ok(F::FdRenumber, &[dir, 3]);
    assert_eq!(run.inode(3), inode);
    run.err(F::FdPrestatGet, &[3, RESULT.into()], Errno::Badf);
    run.ok(F::FdClose, &[4]);
    run.err(F::FdFdstatGet, &[4, RESULT.into()], Errno::Badf);
    for stream in 0..3 {
        let to = run.open_with(3, "x", 0, 0).unwrap();
        run.ok(F::FdRenumber, &[stream, to]);
        run.ok(F::FdFdstatGet, &[to, RESULT.into()]);
        let args = run.buffer(stream, 1);
        let function = if stream == 0 { F::FdRead } else { F::FdWrite };
        run.err(function, &args, Errno::Badf);
    }
}

/// fd_readdir, stat-dev-ino: listings and filestat agree, and every entry is
/// there once, however the buffer cuts the list.
#[test]
fn inodes() {
    let mut run = start();
    assert_eq!(run.on_path(F::PathCreateDirectory, 4, "d"), 0);
    let (dir, fd) = (run.open(4, "d"), run.create("d/f"));
    let inodes = [run.inode(dir), run.inode(4), run.inode(fd)];
    run.ok(F::FdReaddir, &[dir, DATA.into(), 1000, 0, RESULT.into()]);
    assert_eq!(run.u32(RESULT), 3 * 24 + 4);
    for (at, inode) in [DATA, DATA + 25, DATA + 51].into_iter().zip(inodes) {
        assert_eq!(run.u64(at + 8), inode);
    }
    let kinds = [20, 45, 71].map(|at| run.guest.bytes[DATA as usize + at]);
    assert_eq!(kinds, [filetype::DIRECTORY, filetype::DIRECTORY, filetype::REGULAR_FILE]);
    let second = run.u64(DATA + 25);
    run.ok(F::FdReaddir, &[dir, DATA.into(), 1000, second, RESULT.into()]);
    assert_eq!((run.u32(RESULT), run.u64(DATA + 8)), (25, inodes[2]));
    // Streams differ from each other and from every file.
    let mut seen = Vec::new();
    for fd in [0, 1, 2, 3, 4, dir, fd] {
        run.ok(F::FdFilestatGet, &[fd, RESULT.into()]);
        seen.push((run.u64(RESULT), run.u64(RESULT + 8)));
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 7);
}

/// What is removed, added or renamed while a listing is read neither repeats
/// nor hides any other entry.
#[test]
fn changing_while_listing() {
    let mut run = start();
    for name in ["a", "b", "c", "d"] {
        run.create(name);
    }
    let next = |run: &mut Run, cookie| {
        run.ok(F::FdReaddir, &[4, DATA.into(), 25, cookie, RESULT.into()]);
        (run.u32(RESULT) == 25).then(|| (run.u64(DATA), run.guest.bytes[DATA as usize + 24]))
    };
    let (mut cookie, mut names) = (2, String::new());
    while let Some((after, name)) = next(&mut run, cookie) {
        (cookie, _) = (after, names.push(name.into()));
        match name {
            b'a' => assert_eq!(run.on_path(F::PathUnlinkFile, 4, "a"), 0),
            b'b' => assert_eq!(run.rename("c", "e"), 0),
            b'd' => drop(run.create("f")),
            _ => {}
        }
    }
    assert_eq!(names, "abdef");
}

/// dangling_fd: names that were removed can be made again, at no cost.
#[test]
fn making_again() {
    let mut run = start();
    for _ in 0..100 {
        let fd = run.create("x");
        assert_eq!(run.on_path(F::PathUnlinkFile, 4, "x"), 0);
        run.ok(F::FdClose, &[fd]);
        assert_eq!(run.on_path(F::PathCreateDirectory, 4, "d"), 0);
        assert_eq!(run.on_path(F::PathRemoveDirectory, 4, "d"), 0);
    }
    run.create("x");
    run.ok(F::FdReaddir, &[4, DATA.into(), 1000, 0, RESULT.into()]);
    assert_eq!(run.u32(RESULT), 3 * 24 + 1 + 2 + 1, "`.`, `..` and `x` once");
    assert!(run.host.world.tree.places() < 10, "places of removed nodes are used again");
}

/// path_rename, path_rename_dir_trailing_slashes, interesting_paths,
/// unlink_file_trailing_slashes, remove_directory_trailing_slashes.
#[test]
fn slashes() {
    let mut run = start();
    assert_eq!(run.on_path(F::PathCreateDirectory, 4, "s/"), 0);
    for (old, new) in [("s/", "t"), ("t", "s/"), ("s/", "t/"), ("t", "s"), ("s///", "t///")] {
        assert_eq!(run.rename(old, new), 0, "{old} {new}");
    }
    run.create("f");
    for (path, unlink, remove) in [
        ("t", Errno::Isdir, Errno::Busy),
        ("t/", Errno::Isdir, Errno::Busy),
        ("f/", Errno::Notdir, Errno::Notdir),
        ("f///", Errno::Notdir, Errno::Notdir),
        ("..", Errno::Notcapable, Errno::Notcapable),
        ("/t", Errno::Notcapable, Errno::Notcapable),
        ("", Errno::Noent, Errno::Noent),
        (".", Errno::Isdir, Errno::Inval),
    ] {
        assert_eq!(run.on_path(F::PathUnlinkFile, 4, path), unlink as u16, "{path}");
        if remove != Errno::Busy {
            assert_eq!(run.on_path(F::PathRemoveDirectory, 4, path), remove as u16, "{path}");
        }
    }
    assert_eq!(run.on_path(F::PathRemoveDirectory, 4, "f"), Errno::Notdir as u16);
    assert_eq!(run.on_path(F::PathRemoveDirectory, 4, "t//"), 0);
    for (how, base) in [(0, 0), (oflags::CREAT, rights::FD_WRITE)] {
        assert_eq!(run.open_with(4, "f/", how, base), Err(Errno::Notdir as u16));
        assert_eq!(run.open_with(4, "f\0", how, base), Err(Errno::Inval as u16));
    }
}

/// Sizes and offsets that no file can have.
#[test]
fn too_large() {
    let mut run = start();
    let fd = run.create("x");
    let [_, vector, count, result] = run.buffer(fd, 1);
    let largest = i64::MAX as u64;
    run.err(F::FdPwrite, &[fd, vector, count, largest, result], Errno::Fbig);
    run.err(F::FdPwrite, &[fd, vector, count, largest + 1, result], Errno::Inval);
    run.err(F::FdPread, &[fd, vector, count, largest + 1, result], Errno::Inval);
    run.ok(F::FdPread, &[fd, vector, count, largest, result]);
    run.err(F::FdAllocate, &[fd, largest, 1], Errno::Fbig);
    run.err(F::FdAllocate, &[fd, largest + 1, 1], Errno::Inval);
    run.err(F::FdAllocate, &[fd, 1, largest + 1], Errno::Inval);
    run.ok(F::FdSeek, &[fd, largest, 0, RESULT.into()]);
    run.err(F::FdSeek, &[fd, 1, 1, RESULT.into()], Errno::Inval);
    let args = run.buffer(fd, 1);
    run.err(F::FdWrite, &args, Errno::Fbig);
    assert_eq!(run.tell(fd), largest);
    // Buffers that are together longer than a result can say.
    run.guest.bytes.resize(1 << 24, 0);
    for index in 0..300 {
        run.store(VECTOR + 8 * index, &0u32.to_le_bytes());
        run.store(VECTOR + 8 * index + 4, &(1u32 << 24).to_le_bytes());
    }
    run.err(F::FdWrite, &[1, VECTOR.into(), 300, RESULT.into()], Errno::Inval);
    run.err(F::FdRead, &[0, VECTOR.into(), 300, RESULT.into()], Errno::Inval);
    // Nothing at all is read and written well.
    run.ok(F::FdWrite, &[1, VECTOR.into(), 0, RESULT.into()]);
    run.ok(F::FdRead, &[0, 3, 0, RESULT.into()]);
    assert_eq!(run.u32(RESULT), 0);
    run.ok(F::RandomGet, &[5, 0]);
}
