//! What is done by path, in a directory that the guest has.
//!
//! `cap-std` sees to it that no path leads out of that directory, by `..`, by an absolute path or by symbolic links, also while somebody else changes
//! them. Here it is seen to that nothing is changed in a directory that is for reading alone, and that opening holds nobody up: a FIFO is opened
//! without waiting for its other end, and then refused, as devices and sockets are.

use super::abi::{Errno, SYMLINK_FOLLOW, fdflags, oflags, rights};
use super::attributes::Times;
use super::call::Call;
use super::platform;
use super::table::{Descriptor, OpenDir, OpenFile};
use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, OpenOptionsMaybeDirExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir, File, OpenOptions};
use std::io;

/// How a path is to be opened.
#[derive(Clone, Copy, Debug)]
struct Opening {
    /// Whether a symbolic link at its end is followed.
    follow: bool,
    /// Of [`oflags`].
    how: u16,
    /// Of [`fdflags`].
    flags: u16,
    /// To be read.
    read: bool,
    /// To be written.
    write: bool,
}

impl Opening {
    /// Reads what a guest wants.
    fn new(lookup: u32, how: u32, rights: u64, flags: u32) -> Result<Opening, Errno> {
        let within = |flags: u32, all: u16| u16::try_from(flags).ok().filter(|flags| flags & !all == 0);
        let opening = Opening {
            follow: lookup & SYMLINK_FOLLOW != 0,
            how: within(how, oflags::ALL).ok_or(Errno::Inval)?,
            flags: within(flags, fdflags::ALL).ok_or(Errno::Inval)?,
            read: rights & rights::FD_READ != 0,
            write: rights & rights::FD_WRITE != 0,
        };
        if opening.is(oflags::DIRECTORY) && opening.is(oflags::CREAT | oflags::EXCL | oflags::TRUNC) {
            return Err(Errno::Inval);
        }
        if opening.is(oflags::DIRECTORY) && opening.write {
            return Err(Errno::Isdir);
        }
        Ok(opening)
    }

    /// Whether one of these is wanted.
    const fn is(self, how: u16) -> bool {
        self.how & how != 0
    }

    /// Opens the path.
    fn open(self, dir: &OpenDir, path: &str) -> Result<File, Errno> {
        if dir.writable {
            return Ok(dir.dir.open_with(path, &self.options())?);
        }
        if self.write || self.is(oflags::TRUNC) {
            return Err(Errno::Rofs);
        }
        // What is there need not be made, and what is not there cannot be.
        let existing = Opening { how: self.how & !(oflags::CREAT | oflags::EXCL), ..self };
        match dir.dir.open_with(path, &existing.options()) {
            Ok(_) if self.is(oflags::CREAT) && self.is(oflags::EXCL) => Err(Errno::Exist),
            Err(error) if self.is(oflags::CREAT) && error.kind() == io::ErrorKind::NotFound => Err(Errno::Rofs),
            opened => Ok(opened?),
        }
    }

    /// As `cap-std` wants it. A file is opened for reading at least, or the system would not open it; the descriptor knows what it is for.
    fn options(self) -> OpenOptions {
        let (create, exclusive) = (self.is(oflags::CREAT), self.is(oflags::EXCL));
        let write = self.write || create || self.is(oflags::TRUNC);
        let mut options = OpenOptions::new();
        options.read(self.read || !write).write(write).truncate(self.is(oflags::TRUNC));
        if create {
            options.create(!exclusive).create_new(exclusive);
        }
        let follow = if self.follow { FollowSymlinks::Yes } else { FollowSymlinks::No };
        options.maybe_dir(true).follow(follow).nonblock(true);
        options
    }

    /// The descriptor of what was opened.
    fn descriptor(self, file: File, writable: bool) -> Result<Descriptor, Errno> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            let dir = Dir::from_std_file(file.into_std());
            return Ok(Descriptor::Dir(OpenDir { dir: dir.into(), writable, preopened: None, listing: None }));
        }
        if self.is(oflags::DIRECTORY) {
            return Err(Errno::Notdir);
        }
        if !metadata.is_file() {
            return Err(Errno::Acces);
        }
        let file = file.into_std();
        if self.flags & fdflags::APPEND != 0 {
            platform::set_append(&file, true)?;
        }
        let Opening { read, write, flags, .. } = self;
        Ok(Descriptor::File(OpenFile { file, read, write, mutable: writable, flags }))
    }
}

impl Call<'_> {
    /// A path of the guest's, and the work that comes with one.
    fn path(&mut self, at: u32, len: u32) -> Result<String, Errno> {
        self.charge_file();
        let path = self.memory.path(at, len)?;
        self.charge_bytes(path.len());
        Ok(path)
    }

    /// `path_open`. Of the rights, those to read and to write count; all others follow from what it is that was opened.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are the guest's, and the function is nothing but a reader of them"
    )]
    pub(super) fn path_open(
        &mut self,
        fd: u32,
        lookup: u32,
        at: u32,
        len: u32,
        how: u32,
        rights: u64,
        _inheriting: u64,
        flags: u32,
        opened: u32,
    ) -> Result<(), Errno> {
        let path = self.path(at, len)?;
        let opening = Opening::new(lookup, how, rights, flags)?;
        self.memory.bytes(opened, 4)?;
        let number = self.wasi.table.vacancy()?;
        let dir = self.wasi.table.dir(fd)?;
        let descriptor = opening.descriptor(opening.open(dir, &path)?, dir.writable)?;
        self.wasi.table.put(number, descriptor);
        self.memory.write_u32(opened, number)
    }

    /// `path_create_directory`.
    pub(super) fn path_create_directory(&mut self, fd: u32, at: u32, len: u32) -> Result<(), Errno> {
        let path = self.path(at, len)?;
        Ok(self.wasi.table.writable_dir(fd)?.create_dir(path)?)
    }

    /// `path_remove_directory`. That the path may end with a slash is what POSIX says and `cap-std` does not.
    pub(super) fn path_remove_directory(&mut self, fd: u32, at: u32, len: u32) -> Result<(), Errno> {
        let path = self.path(at, len)?;
        let name = match path.trim_end_matches('/') {
            "" => &path,
            name => name,
        };
        Ok(self.wasi.table.writable_dir(fd)?.remove_dir(name)?)
    }

    /// `path_unlink_file`.
    pub(super) fn path_unlink_file(&mut self, fd: u32, at: u32, len: u32) -> Result<(), Errno> {
        let path = self.path(at, len)?;
        Ok(self.wasi.table.writable_dir(fd)?.remove_file_or_symlink(path)?)
    }

    /// `path_filestat_get`.
    pub(super) fn path_filestat_get(
        &mut self,
        fd: u32,
        lookup: u32,
        at: u32,
        len: u32,
        stat: u32,
    ) -> Result<(), Errno> {
        let path = self.path(at, len)?;
        let dir = &self.wasi.table.dir(fd)?.dir;
        let follow = lookup & SYMLINK_FOLLOW != 0;
        let metadata = if follow { dir.metadata(path) } else { dir.symlink_metadata(path) };
        self.write_filestat(stat, platform::filestat(&metadata?))
    }

    /// `path_filestat_set_times`.
    #[expect(clippy::too_many_arguments, reason = "they are the guest's")]
    pub(super) fn path_filestat_set_times(
        &mut self,
        fd: u32,
        lookup: u32,
        at: u32,
        len: u32,
        accessed: u64,
        modified: u64,
        flags: u32,
    ) -> Result<(), Errno> {
        let path = self.path(at, len)?;
        let [accessed, modified] = Times::new(accessed, modified, flags)?.of_path();
        let dir = self.wasi.table.writable_dir(fd)?;
        if lookup & SYMLINK_FOLLOW != 0 {
            Ok(dir.set_times(path, accessed, modified)?)
        } else {
            Ok(dir.set_symlink_times(path, accessed, modified)?)
        }
    }

    /// `path_link`. To follow a symbolic link at the end of the old path is refused, as by other hosts: `cap-std` has no such call.
    #[expect(clippy::too_many_arguments, reason = "they are the guest's")]
    pub(super) fn path_link(
        &mut self,
        old: u32,
        lookup: u32,
        old_at: u32,
        old_len: u32,
        new: u32,
        new_at: u32,
        new_len: u32,
    ) -> Result<(), Errno> {
        let (from, to) = (self.path(old_at, old_len)?, self.path(new_at, new_len)?);
        if lookup & SYMLINK_FOLLOW != 0 {
            return Err(Errno::Inval);
        }
        let table = &self.wasi.table;
        // Both: a file with a name in a directory that may be changed may be changed.
        Ok(table.writable_dir(old)?.hard_link(from, table.writable_dir(new)?, to)?)
    }

    /// `path_symlink`. What the link says is the guest's affair; where it leads is looked at when it is followed. Absolute ones are refused.
    pub(super) fn path_symlink(&mut self, at: u32, len: u32, fd: u32, new_at: u32, new_len: u32) -> Result<(), Errno> {
        let (says, path) = (self.path(at, len)?, self.path(new_at, new_len)?);
        Ok(DirExt::symlink(self.wasi.table.writable_dir(fd)?, says, path)?)
    }

    /// `path_readlink`. What does not fit is cut off.
    pub(super) fn path_readlink(
        &mut self,
        fd: u32,
        at: u32,
        len: u32,
        buffer: u32,
        buffer_len: u32,
        count: u32,
    ) -> Result<(), Errno> {
        let path = self.path(at, len)?;
        let says = self.wasi.table.dir(fd)?.dir.read_link(path)?.into_os_string();
        let says = says.as_encoded_bytes();
        let fits = says.get(..buffer_len as usize).unwrap_or(says);
        self.charge_bytes(fits.len());
        self.memory.write(buffer, fits)?;
        self.memory.write_u32(count, fits.len() as u32)
    }

    /// `path_rename`. That only a directory can have a new name with a slash at its end is what POSIX says and `cap-std` does not.
    pub(super) fn path_rename(
        &mut self,
        old: u32,
        old_at: u32,
        old_len: u32,
        new: u32,
        new_at: u32,
        new_len: u32,
    ) -> Result<(), Errno> {
        let (from, to) = (self.path(old_at, old_len)?, self.path(new_at, new_len)?);
        let table = &self.wasi.table;
        let (old, new) = (table.writable_dir(old)?, table.writable_dir(new)?);
        if to.ends_with('/') && !old.symlink_metadata(&from)?.is_dir() {
            return Err(Errno::Notdir);
        }
        Ok(old.rename(from, new, to)?)
    }
}
