//! Error numbers and flags of WASI preview 1 (the witx files of the WASI
//! repository, `wasi_snapshot_preview1`, `typenames.witx`).

/// What a call returns to the module instead of success. Only those that this
/// host gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Errno {
    Badf = 8,
    Busy = 10,
    Exist = 20,
    Fault = 21,
    Fbig = 22,
    Ilseq = 25,
    Inval = 28,
    Isdir = 31,
    Loop = 32,
    Mfile = 33,
    Nametoolong = 37,
    Noent = 44,
    Nospc = 51,
    Notdir = 54,
    Notempty = 55,
    Notsock = 57,
    Notsup = 58,
    Perm = 63,
    Rofs = 69,
    Spipe = 70,
    Xdev = 75,
    Notcapable = 76,
}

/// Rights, a bit each.
pub(super) mod rights {
    pub(in crate::host) const FD_DATASYNC: u64 = 1;
    pub(in crate::host) const FD_READ: u64 = 1 << 1;
    pub(in crate::host) const FD_SEEK: u64 = 1 << 2;
    pub(in crate::host) const FD_FDSTAT_SET_FLAGS: u64 = 1 << 3;
    pub(in crate::host) const FD_SYNC: u64 = 1 << 4;
    pub(in crate::host) const FD_TELL: u64 = 1 << 5;
    pub(in crate::host) const FD_WRITE: u64 = 1 << 6;
    pub(in crate::host) const FD_ADVISE: u64 = 1 << 7;
    pub(in crate::host) const FD_ALLOCATE: u64 = 1 << 8;
    pub(in crate::host) const PATH_CREATE_DIRECTORY: u64 = 1 << 9;
    pub(in crate::host) const PATH_CREATE_FILE: u64 = 1 << 10;
    pub(in crate::host) const PATH_LINK_SOURCE: u64 = 1 << 11;
    pub(in crate::host) const PATH_LINK_TARGET: u64 = 1 << 12;
    pub(in crate::host) const PATH_OPEN: u64 = 1 << 13;
    pub(in crate::host) const FD_READDIR: u64 = 1 << 14;
    pub(in crate::host) const PATH_READLINK: u64 = 1 << 15;
    pub(in crate::host) const PATH_RENAME_SOURCE: u64 = 1 << 16;
    pub(in crate::host) const PATH_RENAME_TARGET: u64 = 1 << 17;
    pub(in crate::host) const PATH_FILESTAT_GET: u64 = 1 << 18;
    pub(in crate::host) const PATH_FILESTAT_SET_SIZE: u64 = 1 << 19;
    pub(in crate::host) const PATH_FILESTAT_SET_TIMES: u64 = 1 << 20;
    pub(in crate::host) const FD_FILESTAT_GET: u64 = 1 << 21;
    pub(in crate::host) const FD_FILESTAT_SET_SIZE: u64 = 1 << 22;
    pub(in crate::host) const FD_FILESTAT_SET_TIMES: u64 = 1 << 23;
    pub(in crate::host) const PATH_SYMLINK: u64 = 1 << 24;
    pub(in crate::host) const PATH_REMOVE_DIRECTORY: u64 = 1 << 25;
    pub(in crate::host) const PATH_UNLINK_FILE: u64 = 1 << 26;
    pub(in crate::host) const POLL_FD_READWRITE: u64 = 1 << 27;
    /// Every right that is defined (30 bits, sockets included).
    pub(in crate::host) const ALL: u64 = (1 << 30) - 1;
    /// What makes sense for a regular file.
    pub(in crate::host) const FILE: u64 = FD_DATASYNC
        | FD_READ
        | FD_SEEK
        | FD_FDSTAT_SET_FLAGS
        | FD_SYNC
        | FD_TELL
        | FD_WRITE
        | FD_ADVISE
        | FD_ALLOCATE
        | FD_FILESTAT_GET
        | FD_FILESTAT_SET_SIZE
        | FD_FILESTAT_SET_TIMES
        | POLL_FD_READWRITE;
    /// What makes sense for a directory.
    pub(in crate::host) const DIRECTORY: u64 = FD_FDSTAT_SET_FLAGS
        | FD_SYNC
        | FD_DATASYNC
        | FD_READDIR
        | FD_FILESTAT_GET
        | FD_FILESTAT_SET_TIMES
        | PATH_CREATE_DIRECTORY
        | PATH_CREATE_FILE
        | PATH_LINK_SOURCE
        | PATH_LINK_TARGET
        | PATH_OPEN
        | PATH_READLINK
        | PATH_RENAME_SOURCE
        | PATH_RENAME_TARGET
        | PATH_FILESTAT_GET
        | PATH_FILESTAT_SET_SIZE
        | PATH_FILESTAT_SET_TIMES
        | PATH_SYMLINK
        | PATH_REMOVE_DIRECTORY
        | PATH_UNLINK_FILE;
    /// What a standard stream has besides reading or writing.
    pub(in crate::host) const STREAM: u64 =
        FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE | FD_SYNC | FD_DATASYNC;
}

/// File types as filestat, fdstat and dirent give them. A standard stream is
/// of unknown type: neither a terminal nor a file.
pub(super) mod filetype {
    pub(in crate::host) const UNKNOWN: u8 = 0;
    pub(in crate::host) const DIRECTORY: u8 = 3;
    pub(in crate::host) const REGULAR_FILE: u8 = 4;
    pub(in crate::host) const SYMBOLIC_LINK: u8 = 7;
}

/// Flags of an open descriptor.
pub(super) mod fdflags {
    pub(in crate::host) const APPEND: u16 = 1;
    /// append, dsync, nonblock, rsync, sync
    pub(in crate::host) const ALL: u16 = 0b1_1111;
}

/// How `path_open` opens.
pub(super) mod oflags {
    pub(in crate::host) const CREAT: u32 = 1;
    pub(in crate::host) const DIRECTORY: u32 = 2;
    pub(in crate::host) const EXCL: u32 = 4;
    pub(in crate::host) const TRUNC: u32 = 8;
    pub(in crate::host) const ALL: u32 = 0b1111;
}

/// Which times a set_times call changes, and to what.
pub(super) mod fstflags {
    pub(in crate::host) const ATIM: u32 = 1;
    pub(in crate::host) const ATIM_NOW: u32 = 2;
    pub(in crate::host) const MTIM: u32 = 4;
    pub(in crate::host) const MTIM_NOW: u32 = 8;
    pub(in crate::host) const ALL: u32 = 0b1111;
}
