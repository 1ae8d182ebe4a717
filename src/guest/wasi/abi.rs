//! The numbers and structures of WASI preview 1, as they lie in a guest's memory: little-endian, at fixed offsets.
//!
//! The source is `wasi_snapshot_preview1.witx`, and for the older name `wasi_unstable.witx`, which differs in three places: see [`Version`].

use std::io;

/// Under which name a guest imports the functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// `wasi_unstable`: the attributes of a file have 32 bits for the number of links, a clock in a subscription begins with an identifier of its
    /// own, and the three origins of a seek are numbered in another order.
    Unstable,
    /// `wasi_snapshot_preview1`.
    Preview1,
}

impl Version {
    /// Both.
    pub(super) const ALL: [Version; 2] = [Version::Unstable, Version::Preview1];

    /// The name of the module.
    pub(super) const fn module(self) -> &'static str {
        match self {
            Version::Unstable => "wasi_unstable",
            Version::Preview1 => "wasi_snapshot_preview1",
        }
    }

    /// How long a subscription is.
    pub(super) const fn subscription_size(self) -> u32 {
        match self {
            Version::Unstable => 56,
            Version::Preview1 => 48,
        }
    }
}

/// What a function returns: how it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Errno {
    /// There is no error.
    Success = 0,
    /// The argument list is too long.
    TooBig = 1,
    /// Permission denied.
    Acces = 2,
    /// Try again: there is nothing to read yet.
    Again = 6,
    /// No such descriptor, or it is not open for this.
    Badf = 8,
    /// The resource is in use.
    Busy = 10,
    /// The quota of a disk is used up.
    Dquot = 19,
    /// It is there already.
    Exist = 20,
    /// An address is outside of the guest's memory.
    Fault = 21,
    /// The file would be too large.
    Fbig = 22,
    /// A name is not UTF-8.
    Ilseq = 25,
    /// A signal came.
    Intr = 27,
    /// An argument is wrong.
    Inval = 28,
    /// The device failed.
    Io = 29,
    /// It is a directory.
    Isdir = 31,
    /// There are too many symbolic links, or there is one where none is to be followed.
    Loop = 32,
    /// The guest has as many descriptors as it may.
    Mfile = 33,
    /// There are too many links.
    Mlink = 34,
    /// A name is too long.
    Nametoolong = 37,
    /// The system has as many open files as it can.
    Nfile = 41,
    /// There is no such device.
    Nodev = 43,
    /// There is no such file.
    Noent = 44,
    /// The host's memory is used up.
    Nomem = 48,
    /// The disk is full.
    Nospc = 51,
    /// It is no directory.
    Notdir = 54,
    /// The directory is not empty.
    Notempty = 55,
    /// It is not supported.
    Notsup = 58,
    /// It is no terminal.
    Notty = 59,
    /// There is no such device or address.
    Nxio = 60,
    /// A number is too large.
    Overflow = 61,
    /// It is not allowed.
    Perm = 63,
    /// Nobody reads any more.
    Pipe = 64,
    /// Files can only be read here.
    Rofs = 69,
    /// It has no position.
    Spipe = 70,
    /// The handle of a file is stale.
    Stale = 72,
    /// It took too long.
    Timedout = 73,
    /// The program is running.
    Txtbsy = 74,
    /// It would cross file systems.
    Xdev = 75,
}

impl Errno {
    /// The errno of a number that is one of this table's, as a recording has it.
    pub(super) fn from_number(number: u16) -> Errno {
        Errno::ALL.into_iter().find(|errno| *errno as u16 == number).unwrap_or(Errno::Io)
    }

    /// All that this library returns.
    const ALL: [Errno; 38] = [
        Errno::Success,
        Errno::TooBig,
        Errno::Acces,
        Errno::Again,
        Errno::Badf,
        Errno::Busy,
        Errno::Dquot,
        Errno::Exist,
        Errno::Fault,
        Errno::Fbig,
        Errno::Ilseq,
        Errno::Intr,
        Errno::Inval,
        Errno::Io,
        Errno::Isdir,
        Errno::Loop,
        Errno::Mfile,
        Errno::Mlink,
        Errno::Nametoolong,
        Errno::Nfile,
        Errno::Nodev,
        Errno::Noent,
        Errno::Nomem,
        Errno::Nospc,
        Errno::Notdir,
        Errno::Notempty,
        Errno::Notsup,
        Errno::Notty,
        Errno::Nxio,
        Errno::Overflow,
        Errno::Perm,
        Errno::Pipe,
        Errno::Rofs,
        Errno::Spipe,
        Errno::Stale,
        Errno::Timedout,
        Errno::Txtbsy,
        Errno::Xdev,
    ];
}

impl From<io::Error> for Errno {
    /// What the system said, or what `cap-std` found out: that a path leads out of its directory is said as "permission denied" without a number of
    /// the system's.
    fn from(error: io::Error) -> Errno {
        if let Some(errno) = from_system(&error) {
            return errno;
        }
        match error.kind() {
            io::ErrorKind::NotFound => Errno::Noent,
            io::ErrorKind::PermissionDenied => Errno::Perm,
            io::ErrorKind::AlreadyExists => Errno::Exist,
            io::ErrorKind::InvalidInput => Errno::Inval,
            io::ErrorKind::WouldBlock => Errno::Again,
            io::ErrorKind::BrokenPipe => Errno::Pipe,
            io::ErrorKind::NotADirectory => Errno::Notdir,
            io::ErrorKind::IsADirectory => Errno::Isdir,
            io::ErrorKind::DirectoryNotEmpty => Errno::Notempty,
            io::ErrorKind::StorageFull => Errno::Nospc,
            io::ErrorKind::OutOfMemory => Errno::Nomem,
            io::ErrorKind::Unsupported => Errno::Notsup,
            _ => Errno::Io,
        }
    }
}

/// The errno for a number of the system's, if the error has one.
#[cfg(unix)]
fn from_system(error: &io::Error) -> Option<Errno> {
    use rustix::io::Errno as System;
    Some(match System::from_raw_os_error(error.raw_os_error()?) {
        System::ACCESS => Errno::Acces,
        System::AGAIN => Errno::Again,
        System::BADF => Errno::Badf,
        System::BUSY => Errno::Busy,
        System::DQUOT => Errno::Dquot,
        System::EXIST => Errno::Exist,
        System::FBIG => Errno::Fbig,
        System::ILSEQ => Errno::Ilseq,
        System::INTR => Errno::Intr,
        System::INVAL => Errno::Inval,
        System::ISDIR => Errno::Isdir,
        System::LOOP => Errno::Loop,
        System::MFILE => Errno::Mfile,
        System::MLINK => Errno::Mlink,
        System::NAMETOOLONG => Errno::Nametoolong,
        System::NFILE => Errno::Nfile,
        System::NODEV => Errno::Nodev,
        System::NOENT => Errno::Noent,
        System::NOMEM => Errno::Nomem,
        System::NOSPC => Errno::Nospc,
        System::NOTDIR => Errno::Notdir,
        System::NOTEMPTY => Errno::Notempty,
        System::NOTTY => Errno::Notty,
        System::NXIO => Errno::Nxio,
        System::OPNOTSUPP => Errno::Notsup,
        System::OVERFLOW => Errno::Overflow,
        System::PERM => Errno::Perm,
        System::PIPE => Errno::Pipe,
        System::ROFS => Errno::Rofs,
        System::SPIPE => Errno::Spipe,
        System::STALE => Errno::Stale,
        System::TIMEDOUT => Errno::Timedout,
        System::TOOBIG => Errno::TooBig,
        System::TXTBSY => Errno::Txtbsy,
        System::XDEV => Errno::Xdev,
        _ => Errno::Io,
    })
}

/// The errno for a number of the system's: the kind of the error says enough.
#[cfg(not(unix))]
fn from_system(_: &io::Error) -> Option<Errno> {
    None
}

/// What a descriptor is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum FileType {
    /// Nothing that has a name here: a pipe, or a stream of the embedder's.
    Unknown = 0,
    /// A block device.
    BlockDevice = 1,
    /// A character device; of standard input and output: a terminal.
    CharacterDevice = 2,
    /// A directory.
    Directory = 3,
    /// A regular file.
    RegularFile = 4,
    /// A stream socket.
    SocketStream = 6,
    /// A symbolic link.
    SymbolicLink = 7,
}

/// The rights that are told apart.
pub(super) mod rights {
    /// `fd_datasync`.
    const FD_DATASYNC: u64 = 1;
    /// `fd_read`.
    pub(crate) const FD_READ: u64 = 1 << 1;
    /// `fd_seek`.
    const FD_SEEK: u64 = 1 << 2;
    /// `fd_fdstat_set_flags`.
    const FD_FDSTAT_SET_FLAGS: u64 = 1 << 3;
    /// `fd_sync`.
    const FD_SYNC: u64 = 1 << 4;
    /// `fd_tell`.
    const FD_TELL: u64 = 1 << 5;
    /// `fd_write`.
    pub(crate) const FD_WRITE: u64 = 1 << 6;
    /// `fd_advise`.
    const FD_ADVISE: u64 = 1 << 7;
    /// `fd_allocate`.
    const FD_ALLOCATE: u64 = 1 << 8;
    /// `path_create_directory`.
    const PATH_CREATE_DIRECTORY: u64 = 1 << 9;
    /// `path_open` of a file that is not there.
    const PATH_CREATE_FILE: u64 = 1 << 10;
    /// `path_link` from there.
    const PATH_LINK_SOURCE: u64 = 1 << 11;
    /// `path_link` to there.
    const PATH_LINK_TARGET: u64 = 1 << 12;
    /// `path_open`.
    const PATH_OPEN: u64 = 1 << 13;
    /// `fd_readdir`.
    const FD_READDIR: u64 = 1 << 14;
    /// `path_readlink`.
    const PATH_READLINK: u64 = 1 << 15;
    /// `path_rename` from there.
    const PATH_RENAME_SOURCE: u64 = 1 << 16;
    /// `path_rename` to there.
    const PATH_RENAME_TARGET: u64 = 1 << 17;
    /// `path_filestat_get`.
    const PATH_FILESTAT_GET: u64 = 1 << 18;
    /// `path_filestat_set_times`.
    const PATH_FILESTAT_SET_TIMES: u64 = 1 << 20;
    /// `fd_filestat_get`.
    const FD_FILESTAT_GET: u64 = 1 << 21;
    /// `fd_filestat_set_size`.
    const FD_FILESTAT_SET_SIZE: u64 = 1 << 22;
    /// `fd_filestat_set_times`.
    const FD_FILESTAT_SET_TIMES: u64 = 1 << 23;
    /// `path_symlink`.
    const PATH_SYMLINK: u64 = 1 << 24;
    /// `path_remove_directory`.
    const PATH_REMOVE_DIRECTORY: u64 = 1 << 25;
    /// `path_unlink_file`.
    const PATH_UNLINK_FILE: u64 = 1 << 26;
    /// `poll_oneoff`.
    const POLL_FD_READWRITE: u64 = 1 << 27;

    /// Of any file.
    const FILE: u64 = FD_SEEK
        | FD_FDSTAT_SET_FLAGS
        | FD_TELL
        | FD_ADVISE
        | FD_SYNC
        | FD_DATASYNC
        | FD_FILESTAT_GET
        | FD_FILESTAT_SET_TIMES
        | POLL_FD_READWRITE;
    /// Of a file that is open for writing.
    const WRITABLE_FILE: u64 = FD_WRITE | FD_ALLOCATE | FD_FILESTAT_SET_SIZE;
    /// Of any directory.
    const DIRECTORY: u64 =
        PATH_LINK_SOURCE | PATH_OPEN | FD_READDIR | PATH_READLINK | PATH_FILESTAT_GET | FD_FILESTAT_GET;
    /// Of a directory that may be changed.
    const WRITABLE_DIRECTORY: u64 = PATH_CREATE_DIRECTORY
        | PATH_CREATE_FILE
        | PATH_LINK_TARGET
        | PATH_RENAME_SOURCE
        | PATH_RENAME_TARGET
        | PATH_SYMLINK
        | PATH_REMOVE_DIRECTORY
        | PATH_UNLINK_FILE
        | PATH_FILESTAT_SET_TIMES
        | FD_FILESTAT_SET_TIMES;
    /// Of standard input. Without a position, so that a C library sees that it may be a terminal.
    pub(crate) const INPUT: u64 = FD_READ | FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE;
    /// Of standard output and error.
    pub(crate) const OUTPUT: u64 = FD_WRITE | FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE;

    /// Of a file that is open for this.
    pub(crate) const fn file(read: bool, write: bool) -> u64 {
        FILE | if read { FD_READ } else { 0 } | if write { WRITABLE_FILE } else { 0 }
    }

    /// Of a directory.
    pub(crate) const fn directory(writable: bool) -> u64 {
        DIRECTORY | if writable { WRITABLE_DIRECTORY } else { 0 }
    }

    /// Of what is opened in a directory, at most.
    pub(crate) const fn inherited(writable: bool) -> u64 {
        directory(writable) | file(true, writable)
    }
}

/// Flags of a descriptor.
pub(super) mod fdflags {
    /// Each write goes to the end of the file.
    pub(crate) const APPEND: u16 = 1;
    /// Each write is on the disk, its data, before the call returns.
    pub(crate) const DSYNC: u16 = 1 << 1;
    /// A call that would wait says [`Again`](super::Errno::Again).
    pub(crate) const NONBLOCK: u16 = 1 << 2;
    /// Each write is on the disk before the call returns.
    pub(crate) const SYNC: u16 = 1 << 4;
    /// All there are; one more is for reading, and means nothing here.
    pub(crate) const ALL: u16 = 0b1_1111;
}

/// How a path is opened.
pub(super) mod oflags {
    /// Make the file if it is not there.
    pub(crate) const CREAT: u16 = 1;
    /// It has to be a directory.
    pub(crate) const DIRECTORY: u16 = 1 << 1;
    /// It must not be there.
    pub(crate) const EXCL: u16 = 1 << 2;
    /// Cut it to nothing.
    pub(crate) const TRUNC: u16 = 1 << 3;
    /// All there are.
    pub(crate) const ALL: u16 = 0b1111;
}

/// Which times of a file are set, and to what.
pub(super) mod fstflags {
    /// The last access, to a time given.
    pub(crate) const ATIM: u16 = 1;
    /// The last access, to now.
    pub(crate) const ATIM_NOW: u16 = 1 << 1;
    /// The last change, to a time given.
    pub(crate) const MTIM: u16 = 1 << 2;
    /// The last change, to now.
    pub(crate) const MTIM_NOW: u16 = 1 << 3;
    /// All there are.
    pub(crate) const ALL: u16 = 0b1111;
}

/// In the lookup of a path: follow a symbolic link in its last place.
pub(super) const SYMLINK_FOLLOW: u32 = 1;

/// The attributes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Filestat {
    /// The device.
    pub(super) device: u64,
    /// The number of the file on it.
    pub(super) inode: u64,
    /// What it is.
    pub(super) file_type: FileType,
    /// Names that it has.
    pub(super) links: u64,
    /// Bytes.
    pub(super) size: u64,
    /// When it was last read, in nanoseconds since 1970.
    pub(super) accessed: u64,
    /// When it was last written.
    pub(super) modified: u64,
    /// When its attributes were last changed.
    pub(super) changed: u64,
}

impl Filestat {
    /// As it lies in memory.
    pub(super) fn to_bytes(self, version: Version) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend(self.device.to_le_bytes());
        bytes.extend(self.inode.to_le_bytes());
        bytes.push(self.file_type as u8);
        match version {
            Version::Unstable => {
                bytes.extend([0; 3]);
                bytes.extend(u32::try_from(self.links).unwrap_or(u32::MAX).to_le_bytes());
            }
            Version::Preview1 => {
                bytes.extend([0; 7]);
                bytes.extend(self.links.to_le_bytes());
            }
        }
        for number in [self.size, self.accessed, self.modified, self.changed] {
            bytes.extend(number.to_le_bytes());
        }
        bytes
    }
}

/// What `fd_fdstat_get` writes.
pub(super) fn fdstat_bytes(file_type: FileType, flags: u16, base: u64, inheriting: u64) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[0] = file_type as u8;
    bytes[2..4].copy_from_slice(&flags.to_le_bytes());
    bytes[8..16].copy_from_slice(&base.to_le_bytes());
    bytes[16..24].copy_from_slice(&inheriting.to_le_bytes());
    bytes
}

/// The head of an entry of a directory; the name follows it.
pub(super) fn dirent_bytes(next: u64, inode: u64, name_len: u32, file_type: FileType) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[0..8].copy_from_slice(&next.to_le_bytes());
    bytes[8..16].copy_from_slice(&inode.to_le_bytes());
    bytes[16..20].copy_from_slice(&name_len.to_le_bytes());
    bytes[20] = file_type as u8;
    bytes
}

/// What a guest waits for in `poll_oneoff`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subscription {
    /// The guest's own, given back with the event.
    pub(super) userdata: u64,
    /// For what.
    pub(super) what: Awaited,
}

/// The three things that can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// A moment.
    Clock {
        /// On which clock.
        id: u32,
        /// When, in nanoseconds.
        timeout: u64,
        /// Whether that is a time of the clock; else it is from now.
        absolute: bool,
    },
    /// That there is something to read.
    Read(u32),
    /// That something can be written.
    Write(u32),
}

impl Awaited {
    /// The tag of the event.
    const fn tag(self) -> u8 {
        match self {
            Awaited::Clock { .. } => 0,
            Awaited::Read(_) => 1,
            Awaited::Write(_) => 2,
        }
    }
}

impl Subscription {
    /// Reads a subscription, of which there are [`Version::subscription_size`] bytes.
    pub(super) fn from_bytes(bytes: &[u8], version: Version) -> Result<Subscription, Errno> {
        let u32_at = |at: usize| -> Result<u32, Errno> { Ok(u32::from_le_bytes(array(bytes, at)?)) };
        let u64_at = |at: usize| -> Result<u64, Errno> { Ok(u64::from_le_bytes(array(bytes, at)?)) };
        // The older form has 8 bytes more before a clock.
        let clock = match version {
            Version::Unstable => 24,
            Version::Preview1 => 16,
        };
        let what = match array::<1>(bytes, 8)? {
            [0] => Awaited::Clock {
                id: u32_at(clock)?,
                timeout: u64_at(clock + 8)?,
                absolute: u16::from_le_bytes(array(bytes, clock + 24)?) & 1 != 0,
            },
            [1] => Awaited::Read(u32_at(16)?),
            [2] => Awaited::Write(u32_at(16)?),
            _ => return Err(Errno::Inval),
        };
        Ok(Subscription { userdata: u64_at(0)?, what })
    }
}

/// Something that was waited for and has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// What was asked for.
    pub(super) subscription: Subscription,
    /// What is wrong with that, if something is.
    pub(super) error: Errno,
    /// Bytes that can be read or written.
    pub(super) bytes: u64,
    /// Whether the other end is closed.
    pub(super) hangup: bool,
}

impl Event {
    /// How long an event is.
    pub(super) const SIZE: u32 = 32;

    /// As it lies in memory.
    pub(super) fn to_bytes(self) -> [u8; Event::SIZE as usize] {
        let mut bytes = [0; Event::SIZE as usize];
        bytes[0..8].copy_from_slice(&self.subscription.userdata.to_le_bytes());
        bytes[8..10].copy_from_slice(&(self.error as u16).to_le_bytes());
        bytes[10] = self.subscription.what.tag();
        bytes[16..24].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[24] = u8::from(self.hangup);
        bytes
    }
}

/// So many bytes at this place.
fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Errno> {
    bytes.get(at..at + N).and_then(|part| part.try_into().ok()).ok_or(Errno::Inval)
}
