//! Symbolic and hard links.

use super::WasiFunction as F;
use super::*;

const FOLLOW: u64 = 1;

impl Run {
    fn symlink(&mut self, target: &str, dir: u64, path: &str) -> u16 {
        let [target, target_len] = self.path(target);
        let [at, len] = self.path2(path);
        self.call(F::PathSymlink, &[target, target_len, dir, at, len])
    }

    fn link(&mut self, from: u64, lookup: u64, old: &str, to: u64, new: &str) -> u16 {
        let [old, old_len] = self.path(old);
        let [new, new_len] = self.path2(new);
        self.call(F::PathLink, &[from, lookup, old, old_len, to, new, new_len])
    }

    fn readlink(&mut self, path: &str, len: u64) -> Result<String, u16> {
        let [at, path_len] = self.path(path);
        match self.call(F::PathReadlink, &[4, at, path_len, DATA.into(), len, RESULT.into()]) {
            0 => {
                let got = &self.guest.bytes[DATA as usize..][..self.u32(RESULT) as usize];
                Ok(String::from_utf8(got.to_vec()).unwrap())
            }
            errno => Err(errno),
        }
    }

    /// `path_filestat_get`: inode, type, links, size.
    fn stat(&mut self, lookup: u64, path: &str) -> Result<[u64; 4], u16> {
        let [at, len] = self.path(path);
        match self.call(F::PathFilestatGet, &[4, lookup, at, len, RESULT.into()]) {
            0 => Ok([8, 16, 24, 32].map(|at| self.u64(RESULT + at))),
            errno => Err(errno),
        }
    }

    fn try_open(&mut self, dir: u64, lookup: u64, path: &str, how: u32) -> Result<u64, u16> {
        let [at, len] = self.path(path);
        let base = rights::FD_READ;
        let args = [dir, lookup, at, len, how.into(), base, rights::ALL, 0, RESULT.into()];
        match self.call(F::PathOpen, &args) {
            0 => Ok(self.u32(RESULT).into()),
            errno => Err(errno),
        }
    }

    fn path_call(&mut self, function: F, path: &str) -> u16 {
        let [at, len] = self.path(path);
        self.call(function, &[4, at, len])
    }
}

/// `/out` with `d/e/`, `d/f` ("file"), and links to them.
fn linked() -> Run {
    let mut run = start();
    for dir in ["d", "d/e"] {
        assert_eq!(run.path_call(F::PathCreateDirectory, dir), 0);
    }
    let fd = run.create("d/f");
    run.write(fd, b"file");
    run.ok(F::FdClose, &[fd]);
    for (target, path) in [
        ("d/f", "to-file"),
        ("d/e/", "to-dir"),
        ("to-file", "to-link"),
        ("nowhere", "dangling"),
        ("loop", "loop"),
        ("../f", "d/e/up"),
        ("../../..", "d/e/out"),
    ] {
        assert_eq!(run.symlink(target, 4, path), 0, "{target} {path}");
    }
    run
}

#[test]
fn making_symbolic_links() {
    let mut run = linked();
    for (target, path, expect) in [
        ("x", "d", Errno::Exist),
        ("x", "d/", Errno::Exist),
        ("x", "d/f", Errno::Exist),
        ("x", "d/f/", Errno::Notdir),
        ("x", "dangling", Errno::Exist),
        ("x", "new/", Errno::Noent),
        ("x", "no/new", Errno::Noent),
        ("x", "", Errno::Noent),
        ("", "new", Errno::Noent),
        ("/", "new", Errno::Notcapable),
        ("/out/d", "new", Errno::Notcapable),
        ("a\0b", "new", Errno::Inval),
        ("x", "../new", Errno::Notcapable),
        ("x", "d/e/out/new", Errno::Notcapable),
    ] {
        assert_eq!(run.symlink(target, 4, path), expect as u16, "{target:?} {path:?}");
    }
    assert_eq!(run.symlink("x", 3, "new"), Errno::Rofs as u16);
    assert_eq!(run.symlink("x", 1, "new"), Errno::Notdir as u16);
    // Through a link to a directory, and with a long target.
    assert_eq!(run.symlink(&"t/".repeat(512), 4, "to-dir/new"), 0);
    assert_eq!(run.stat(0, "d/e/new").unwrap()[3], 1024);
    assert_eq!(run.symlink(&"t".repeat(1025), 4, "newer"), Errno::Nametoolong as u16);
}

#[test]
fn reading_symbolic_links() {
    let mut run = linked();
    assert_eq!(run.readlink("to-dir", 100).unwrap(), "d/e/");
    assert_eq!(run.readlink("to-dir", 2).unwrap(), "d/");
    assert_eq!(run.readlink("to-dir", 0).unwrap(), "");
    assert_eq!(run.readlink("to-dir/up", 100).unwrap(), "../f");
    for (path, expect) in [
        ("d/f", Errno::Inval),
        ("d", Errno::Inval),
        (".", Errno::Inval),
        ("to-dir/", Errno::Inval),
        ("none", Errno::Noent),
        ("dangling/", Errno::Noent),
        ("loop/", Errno::Loop),
    ] {
        assert_eq!(run.readlink(path, 10), Err(expect as u16), "{path}");
    }
    let [at, len] = run.path("to-dir");
    run.store(RESULT, &[7; 4]);
    run.err(F::PathReadlink, &[4, at, len, OUTSIDE.into(), 1, RESULT.into()], Errno::Fault);
    run.err(F::PathReadlink, &[4, at, len, DATA.into(), 9, OUTSIDE.into()], Errno::Fault);
    assert_eq!(run.u32(RESULT), 0x0707_0707);
}

#[test]
fn following() {
    use errno::filetype::{DIRECTORY, REGULAR_FILE, SYMBOLIC_LINK};
    let mut run = linked();
    let cases: &[(&str, u64, Result<u8, Errno>)] = &[
        ("to-file", 0, Ok(SYMBOLIC_LINK)),
        ("to-file", FOLLOW, Ok(REGULAR_FILE)),
        ("to-link", FOLLOW, Ok(REGULAR_FILE)),
        ("to-file/", 0, Err(Errno::Notdir)),
        ("to-file/x", 0, Err(Errno::Notdir)),
        ("to-dir", 0, Ok(SYMBOLIC_LINK)),
        ("to-dir/", 0, Ok(DIRECTORY)),
        ("to-dir/.", 0, Ok(DIRECTORY)),
        ("to-dir/..", 0, Ok(DIRECTORY)),
        ("to-dir/../f", 0, Ok(REGULAR_FILE)),
        ("to-dir/up", 0, Ok(SYMBOLIC_LINK)),
        ("to-dir/up", FOLLOW, Ok(REGULAR_FILE)),
        ("dangling", 0, Ok(SYMBOLIC_LINK)),
        ("dangling", FOLLOW, Err(Errno::Noent)),
        ("loop", 0, Ok(SYMBOLIC_LINK)),
        ("loop", FOLLOW, Err(Errno::Loop)),
        ("loop/x", 0, Err(Errno::Loop)),
        ("d/e/out", FOLLOW, Err(Errno::Notcapable)),
        ("d/e/out/x", 0, Err(Errno::Notcapable)),
        ("to-dir", 2, Err(Errno::Inval)),
    ];
    for &(path, lookup, expect) in cases {
        let got = run.stat(lookup, path).map(|[_, kind, ..]| kind as u8);
        assert_eq!(got, expect.map_err(|errno| errno as u16), "{path} {lookup}");
    }
    assert_eq!(run.stat(0, "to-file").unwrap()[2..], [1, 3]);
    // 40 links on one way, not 41.
    for number in 0..42 {
        let target = if number == 0 { "d/f".into() } else { format!("chain{}", number - 1) };
        assert_eq!(run.symlink(&target, 4, &format!("chain{number}")), 0);
    }
    assert_eq!(run.stat(FOLLOW, "chain39").unwrap()[3], 4);
    assert_eq!(run.stat(FOLLOW, "chain40"), Err(Errno::Loop as u16));
    // Below where a descriptor starts, a link leads no further up than it.
    let inner = run.open(4, "d/e");
    assert_eq!(run.try_open(inner, FOLLOW, "up", 0), Err(Errno::Notcapable as u16));
}

#[test]
fn opening_links() {
    let mut run = linked();
    use errno::oflags::*;
    let cases: &[(&str, u64, u32, Result<(), Errno>)] = &[
        ("to-file", 0, 0, Err(Errno::Loop)),
        ("to-file", 0, DIRECTORY, Err(Errno::Notdir)),
        ("to-file", 0, CREAT, Err(Errno::Loop)),
        ("to-file", 0, TRUNC, Err(Errno::Loop)),
        ("to-file", FOLLOW, DIRECTORY, Err(Errno::Notdir)),
        ("to-file", FOLLOW, CREAT, Ok(())),
        ("to-file", FOLLOW, CREAT | EXCL, Err(Errno::Exist)),
        ("to-dir", 0, DIRECTORY, Err(Errno::Notdir)),
        ("to-dir", FOLLOW, DIRECTORY, Ok(())),
        ("to-dir/", 0, DIRECTORY, Ok(())),
        ("to-dir", FOLLOW, CREAT, Err(Errno::Isdir)),
        ("dangling", FOLLOW, 0, Err(Errno::Noent)),
        ("dangling", 0, 0, Err(Errno::Loop)),
        ("dangling", FOLLOW, CREAT | EXCL, Err(Errno::Exist)),
        ("dangling", FOLLOW, CREAT, Ok(())),
        ("nowhere", 0, 0, Ok(())),
        ("loop", FOLLOW, CREAT, Err(Errno::Loop)),
        ("to-dir/up", FOLLOW, 0, Ok(())),
    ];
    for &(path, lookup, how, expect) in cases {
        let got = run.try_open(4, lookup, path, how).map(|_| ());
        assert_eq!(got, expect.map_err(|errno| errno as u16), "{path} {lookup} {how}");
    }
}

/// What changes a name changes the link, not what it leads to.
#[test]
fn changing_links() {
    let mut run = linked();
    assert_eq!(run.path_call(F::PathRemoveDirectory, "to-dir"), Errno::Notdir as u16);
    assert_eq!(run.path_call(F::PathRemoveDirectory, "to-dir/"), Errno::Notdir as u16);
    assert_eq!(run.path_call(F::PathUnlinkFile, "to-dir/"), Errno::Notdir as u16);
    assert_eq!(run.path_call(F::PathCreateDirectory, "dangling"), Errno::Exist as u16);
    let mut rename = |old: &str, new: &str| {
        let [old, old_len] = run.path(old);
        let [new, new_len] = run.path2(new);
        run.call(F::PathRename, &[4, old, old_len, 4, new, new_len])
    };
    assert_eq!(rename("to-dir/", "moved"), Errno::Notdir as u16);
    assert_eq!(rename("to-dir", "moved"), 0);
    assert_eq!(rename("d", "loop"), Errno::Notdir as u16);
    assert_eq!(rename("to-file", "d/e"), Errno::Isdir as u16);
    assert_eq!(rename("to-link", "loop"), 0);
    assert_eq!(run.readlink("loop", 10).unwrap(), "to-file");
    assert_eq!(run.path_call(F::PathUnlinkFile, "to-file"), 0);
    assert_eq!(run.stat(FOLLOW, "loop"), Err(Errno::Noent as u16));
    assert!(run.stat(0, "d/f").is_ok());
    // Times of the link itself, and of what it leads to.
    let [at, len] = run.path("moved");
    let flags = fstflags::MTIM.into();
    run.ok(F::PathFilestatSetTimes, &[4, 0, at, len, 0, 5, flags]);
    run.ok(F::PathFilestatSetTimes, &[4, FOLLOW, at, len, 0, 6, flags]);
    for (lookup, mtim) in [(0, 5), (FOLLOW, 6)] {
        run.stat(lookup, "moved").unwrap();
        assert_eq!(run.u64(RESULT + 48), mtim);
    }
    let files = run.finish().output;
    assert_eq!(
        files.iter().collect::<Vec<_>>(),
        [("/out/d/f", &b"file"[..])],
        "links are no files"
    );
}

#[test]
fn hard_links() {
    let mut run = linked();
    let [ino, ..] = run.stat(0, "d/f").unwrap();
    type Case = (u64, u64, &'static str, u64, &'static str, Option<Errno>);
    let cases: &[Case] = &[
        (4, 0, "d/f", 4, "same", None),
        (4, 0, "d/f", 4, "d/e/same", None),
        (4, FOLLOW, "to-link", 4, "followed", None),
        (4, 0, "dangling", 4, "link", None),
        (4, 0, "loop", 4, "loop2", None),
        (4, 0, "d/f", 4, "same", Some(Errno::Exist)),
        (4, 0, "d/f", 4, "d/f", Some(Errno::Exist)),
        (4, 0, "d/f", 4, "d", Some(Errno::Exist)),
        (4, 0, "d/f", 4, ".", Some(Errno::Exist)),
        (4, 0, "d/f", 4, "dangling", Some(Errno::Exist)),
        (4, 0, "d/f", 4, "new/", Some(Errno::Noent)),
        (4, 0, "d/f", 4, "no/new", Some(Errno::Noent)),
        (4, 0, "d/f/", 4, "new", Some(Errno::Notdir)),
        (4, 0, "d", 4, "new", Some(Errno::Perm)),
        (4, 0, ".", 4, "new", Some(Errno::Perm)),
        (4, 0, "none", 4, "new", Some(Errno::Noent)),
        (4, FOLLOW, "dangling", 4, "new", Some(Errno::Noent)),
        (4, FOLLOW, "loop", 4, "new", Some(Errno::Loop)),
        (4, 2, "d/f", 4, "new", Some(Errno::Inval)),
        (3, 0, "a.txt", 4, "new", Some(Errno::Xdev)),
        (4, 0, "d/f", 3, "new", Some(Errno::Xdev)),
        (3, 0, "a.txt", 3, "new", Some(Errno::Rofs)),
    ];
    for &(from, lookup, old, to, new, expect) in cases {
        let got = run.link(from, lookup, old, to, new);
        assert_eq!(got, expect.map_or(0, |errno| errno as u16), "{old} {new}");
    }
    assert_eq!(run.stat(0, "same").unwrap()[..3], [ino, 4, 4]);
    assert_eq!(run.readlink("link", 10).unwrap(), "nowhere");
    let fd = run.create("same");
    run.write(fd, b"CHANGED");
    assert_eq!(run.stat(0, "d/e/same").unwrap()[3], 7);
    // Two names of one node: renaming one to the other does nothing.
    let [old, old_len] = run.path("same");
    let [new, new_len] = run.path2("followed");
    run.ok(F::PathRename, &[4, old, old_len, 4, new, new_len]);
    assert_eq!(run.path_call(F::PathUnlinkFile, "d/f"), 0);
    assert_eq!(run.stat(0, "same").unwrap()[2], 3);
    let output = run.finish().output;
    let expect =
        ["/out/d/e/same", "/out/followed", "/out/same"].map(|path| (path, &b"CHANGED"[..]));
    assert_eq!(output.iter().collect::<Vec<_>>(), expect);
}

/// Each name of a file counts its path and its content, whatever changes.
#[test]
fn hard_links_count() {
    let mut run = start();
    let fd = run.create("a");
    run.write(fd, &[1; 100]);
    assert_eq!(run.link(4, 0, "a", 4, "b"), 0);
    run.write(fd, &[2; 50]);
    run.ok(F::FdFilestatSetSize, &[fd, 120]);
    assert_eq!(run.path_call(F::PathUnlinkFile, "a"), 0);
    assert_eq!(run.link(4, 0, "b", 4, "c"), 0);
    assert_eq!(run.path_call(F::PathUnlinkFile, "b"), 0);
    assert_eq!(run.path_call(F::PathUnlinkFile, "c"), 0);
    assert_eq!(run.host.world.quota.left(), 10_000 - 120, "open still");
    run.ok(F::FdClose, &[fd]);
    assert_eq!(run.host.world.quota.left(), 10_000, "all is free again");
    let fd = run.create("x");
    run.write(fd, &[1; 3000]);
    assert_eq!(run.link(4, 0, "x", 4, "y"), 0);
    assert_eq!(run.link(4, 0, "x", 4, "z"), 0);
    let left = 10_000 - 3 * (3000 + 6);
    assert_eq!(run.host.world.quota.left(), left);
    let args = run.buffer(fd, left as u32 / 3 + 1);
    assert_eq!(run.ends(F::FdWrite, &args), ExitReason::OutputLimit);
    let mut run = start();
    let fd = run.create("x");
    run.write(fd, &[1; 6000]);
    let [old, old_len] = run.path("x");
    let [new, new_len] = run.path2("y");
    let args = [4, 0, old, old_len, 4, new, new_len];
    assert_eq!(run.ends(F::PathLink, &args), ExitReason::OutputLimit);
}

/// Names of any kind are counted, those that make no output too.
#[test]
fn too_many_links() {
    let mut run = Run::new(&Spec { output_bytes: 1 << 20, ..spec() });
    run.create("x");
    let half = (grid_protocol::limits::MAX_FILES - 2) / 2;
    for number in 0..half {
        assert_eq!(run.symlink("x", 4, &format!("s{number}")), 0);
    }
    for number in 1..half {
        assert_eq!(run.link(4, 0, "x", 4, &format!("h{number}")), 0);
    }
    assert_eq!(run.symlink("x", 4, "s"), Errno::Nospc as u16);
    assert_eq!(run.link(4, 0, "x", 4, "h"), Errno::Nospc as u16);
    assert_eq!(run.path_call(F::PathUnlinkFile, "x"), 0);
    assert_eq!(run.symlink("x", 4, "s"), 0);
    assert_eq!(run.finish().output.len(), half - 1);
}
