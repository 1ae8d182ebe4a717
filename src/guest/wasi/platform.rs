//! What is asked of the operating system beyond the standard library and `cap-std`: the part that differs from system to system.

use super::abi::{Errno, FileType};
use cap_fs_ext::{FileTypeExt, MetadataExt};
use cap_std::fs::{DirEntry, Metadata};
use std::fs::File;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a file is.
pub(super) fn file_type(of: &cap_std::fs::FileType) -> FileType {
    if of.is_dir() {
        FileType::Directory
    } else if of.is_symlink() {
        FileType::SymbolicLink
    } else if of.is_file() {
        FileType::RegularFile
    } else if of.is_block_device() {
        FileType::BlockDevice
    } else if of.is_char_device() {
        FileType::CharacterDevice
    } else if of.is_socket() {
        FileType::SocketStream
    } else {
        FileType::Unknown
    }
}

/// The attributes of a file.
pub(super) fn filestat(metadata: &Metadata) -> super::abi::Filestat {
    super::abi::Filestat {
        device: metadata.dev(),
        inode: metadata.ino(),
        file_type: file_type(&metadata.file_type()),
        links: metadata.nlink(),
        size: metadata.len(),
        accessed: nanos(metadata.accessed().ok().map(cap_std::time::SystemTime::into_std)),
        modified: nanos(metadata.modified().ok().map(cap_std::time::SystemTime::into_std)),
        changed: changed(metadata),
    }
}

/// Nanoseconds since 1970; 0 for what was before, and for what is not known.
fn nanos(time: Option<SystemTime>) -> u64 {
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(unix)]
pub(super) use unix::{advise, allocate, changed, inode, read_at, set_append, write_at};

#[cfg(unix)]
mod unix {
    use super::{DirEntry, Errno, File, Metadata};
    use rustix::fs::OFlags;
    use std::io;
    use std::os::unix::fs::FileExt;

    /// When the attributes were last changed.
    pub(crate) fn changed(metadata: &Metadata) -> u64 {
        use cap_std::fs::MetadataExt;
        let (seconds, nanos) = (metadata.ctime(), metadata.ctime_nsec());
        u64::try_from(i128::from(seconds) * 1_000_000_000 + i128::from(nanos)).unwrap_or(0)
    }

    /// The number of an entry's file.
    pub(crate) fn inode(entry: &DirEntry) -> u64 {
        use std::os::unix::fs::DirEntryExt;
        entry.ino()
    }

    /// Reads from there, wherever the file's own position is.
    pub(crate) fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        file.read_at(bytes, at)
    }

    /// Writes there, wherever the file's own position is, and also if all writes go to the end: Linux would append this one too, WASI says not.
    pub(crate) fn write_at(file: &File, bytes: &[u8], at: u64, append: bool) -> io::Result<usize> {
        if !append {
            return file.write_at(bytes, at);
        }
        set_append(file, false)?;
        let written = file.write_at(bytes, at);
        set_append(file, true)?;
        written
    }

    /// Whether all writes go to the end. The descriptor stays one that does not block: there are files in `/proc` that would.
    pub(crate) fn set_append(file: &File, append: bool) -> io::Result<()> {
        let flags = if append { OFlags::APPEND | OFlags::NONBLOCK } else { OFlags::NONBLOCK };
        Ok(rustix::fs::fcntl_setfl(file, flags)?)
    }

    /// Reserves room on the disk.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn allocate(file: &File, at: u64, len: u64) -> Result<(), Errno> {
        rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), at, len)
            .map_err(|errno| io::Error::from(errno).into())
    }

    /// Reserves room on the disk: there is no call for it that all systems have.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn allocate(_: &File, _: u64, _: u64) -> Result<(), Errno> {
        Err(Errno::Notsup)
    }

    /// Passes advice on. It is advice: where a system does not take it, nothing is lost.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn advise(file: &File, at: u64, len: u64, advice: u32) {
        use rustix::fs::Advice;
        let advice = match advice {
            1 => Advice::Sequential,
            2 => Advice::Random,
            3 => Advice::WillNeed,
            4 => Advice::DontNeed,
            5 => Advice::NoReuse,
            _ => Advice::Normal,
        };
        let _ = rustix::fs::fadvise(file, at, std::num::NonZeroU64::new(len), advice);
    }

    /// Passes no advice on.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn advise(_: &File, _: u64, _: u64, _: u32) {}
}

#[cfg(not(unix))]
pub(super) use other::{advise, allocate, changed, inode, read_at, set_append, write_at};

#[cfg(not(unix))]
mod other {
    use super::{DirEntry, Errno, File, Metadata, nanos};
    use std::io::{self, Read, Seek, SeekFrom, Write};

    /// When the attributes were last changed: not known here, so when the file was made.
    pub(crate) fn changed(metadata: &Metadata) -> u64 {
        nanos(metadata.created().ok().map(cap_std::time::SystemTime::into_std))
    }

    /// The number of an entry's file: not known here.
    pub(crate) fn inode(_: &DirEntry) -> u64 {
        0
    }

    /// Reads from there, and puts the file's own position back.
    pub(crate) fn read_at(mut file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        let before = file.stream_position()?;
        file.seek(SeekFrom::Start(at))?;
        let read = file.read(bytes);
        file.seek(SeekFrom::Start(before))?;
        read
    }

    /// Writes there, and puts the file's own position back.
    pub(crate) fn write_at(mut file: &File, bytes: &[u8], at: u64, _: bool) -> io::Result<usize> {
        let before = file.stream_position()?;
        file.seek(SeekFrom::Start(at))?;
        let written = file.write(bytes);
        file.seek(SeekFrom::Start(before))?;
        written
    }

    /// Whether all writes go to the end: it cannot be changed here.
    pub(crate) fn set_append(_: &File, append: bool) -> io::Result<()> {
        if append { Err(io::ErrorKind::Unsupported.into()) } else { Ok(()) }
    }

    /// Reserves room on the disk: there is no call for it.
    pub(crate) fn allocate(_: &File, _: u64, _: u64) -> Result<(), Errno> {
        Err(Errno::Notsup)
    }

    /// Passes no advice on.
    pub(crate) fn advise(_: &File, _: u64, _: u64, _: u32) {}
}
