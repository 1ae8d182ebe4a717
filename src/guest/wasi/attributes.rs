//! What descriptors and files are, and what is changed about them without reading or writing.

use super::Find;
use super::abi::{Errno, FileType, Filestat, fdflags, fdstat_bytes, fstflags};
use super::call::{Call, Door, Failure};
use super::listing::{Listing, Progress};
use super::platform;
use super::table::Descriptor;
use cap_fs_ext::{DirExt, SystemTimeSpec};
use cap_std::fs::Metadata;
use std::fs::FileTimes;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time to be set, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    /// Of the last access.
    accessed: Option<SystemTime>,
    /// Of the last change.
    modified: Option<SystemTime>,
}

impl Times {
    /// Reads what a guest wants. Both "to this" and "to now" is nothing that can be wanted.
    pub(super) fn new(accessed: u64, modified: u64, flags: u32) -> Result<Times, Errno> {
        let flags = u16::try_from(flags).ok().filter(|flags| flags & !fstflags::ALL == 0).ok_or(Errno::Inval)?;
        let time = |nanos: u64, given: u16, now: u16| match (flags & given != 0, flags & now != 0) {
            (true, true) => Err(Errno::Inval),
            (true, false) => UNIX_EPOCH.checked_add(Duration::from_nanos(nanos)).ok_or(Errno::Inval).map(Some),
            (false, true) => Ok(Some(SystemTime::now())),
            (false, false) => Ok(None),
        };
        Ok(Times {
            accessed: time(accessed, fstflags::ATIM, fstflags::ATIM_NOW)?,
            modified: time(modified, fstflags::MTIM, fstflags::MTIM_NOW)?,
        })
    }

    /// As an open file takes them.
    fn of_file(self) -> FileTimes {
        let times = FileTimes::new();
        let times = self.accessed.map_or(times, |time| times.set_accessed(time));
        self.modified.map_or(times, |time| times.set_modified(time))
    }

    /// As a path takes them: of the last access, of the last change.
    pub(super) fn of_path(self) -> [Option<SystemTimeSpec>; 2] {
        let spec = |time: SystemTime| SystemTimeSpec::Absolute(cap_std::time::SystemTime::from_std(time));
        [self.accessed, self.modified].map(|time| time.map(spec))
    }
}

impl Call<'_> {
    /// What standard input or output is, as a C library asks to know whether it is a terminal. Of the process's own it comes from outside, and is
    /// recorded; others are none.
    fn stream_type(&self, of_process: bool, terminal: impl FnOnce() -> bool) -> FileType {
        if !of_process {
            return FileType::Unknown;
        }
        match self.meter.take_in(|| u64::from(terminal())) {
            0 => FileType::Unknown,
            _ => FileType::CharacterDevice,
        }
    }

    /// What a descriptor is of.
    fn file_type(&mut self, fd: u32) -> Result<FileType, Errno> {
        match self.wasi.table.get(fd)? {
            Descriptor::File(_) => Ok(FileType::RegularFile),
            Descriptor::Dir(_) => Ok(FileType::Directory),
            Descriptor::Input { input, .. } => {
                let input = input.clone();
                Ok(self.stream_type(input.is_of_process(), || input.is_terminal()))
            }
            Descriptor::Output { sink, .. } => {
                let output = sink.output();
                Ok(self.stream_type(output.is_of_process(), || output.is_terminal()))
            }
        }
    }

    /// `fd_fdstat_get`.
    pub(super) fn fd_fdstat_get(&mut self, fd: u32, stat: u32) -> Result<(), Errno> {
        let file_type = self.file_type(fd)?;
        let descriptor = self.wasi.table.get(fd)?;
        let (base, inheriting) = descriptor.rights();
        let bytes = fdstat_bytes(file_type, descriptor.flags(), base, inheriting);
        self.charge_bytes(bytes.len());
        self.memory.write(stat, &bytes)
    }

    /// `fd_fdstat_set_flags`.
    pub(super) fn fd_fdstat_set_flags(&mut self, fd: u32, flags: u32) -> Result<(), Errno> {
        let new = u16::try_from(flags).ok().filter(|flags| flags & !fdflags::ALL == 0).ok_or(Errno::Inval)?;
        match self.wasi.table.get(fd)? {
            Descriptor::Input { flags, .. } | Descriptor::Output { flags, .. } => *flags = new,
            Descriptor::Dir(_) => return Err(Errno::Badf),
            Descriptor::File(file) => {
                platform::set_append(&file.file, new & fdflags::APPEND != 0)?;
                file.flags = new;
                self.charge_file();
            }
        }
        Ok(())
    }

    /// `fd_filestat_get`. A stream has no device, and its number for its file.
    pub(super) fn fd_filestat_get(&mut self, fd: u32, stat: u32) -> Result<(), Errno> {
        let file_type = self.file_type(fd)?;
        let stream = || Filestat {
            device: 0,
            inode: fd.into(),
            file_type,
            links: 1,
            size: 0,
            accessed: 0,
            modified: 0,
            changed: 0,
        };
        let filestat = match self.wasi.table.get(fd)? {
            Descriptor::Input { .. } | Descriptor::Output { .. } => stream(),
            Descriptor::File(file) => platform::filestat(&Metadata::from_file(&file.file)?),
            Descriptor::Dir(dir) => platform::filestat(&dir.dir.dir_metadata()?),
        };
        self.charge_file();
        self.write_filestat(stat, filestat)
    }

    /// Writes attributes in the form that the guest knows.
    pub(super) fn write_filestat(&mut self, at: u32, filestat: Filestat) -> Result<(), Errno> {
        let bytes = filestat.to_bytes(self.version);
        self.charge_bytes(bytes.len());
        self.memory.write(at, &bytes)
    }

    /// `fd_filestat_set_size`.
    pub(super) fn fd_filestat_set_size(&mut self, fd: u32, size: u64) -> Result<(), Errno> {
        self.charge_file();
        match self.wasi.table.get(fd)? {
            Descriptor::File(file) => Ok(file.writable()?.set_len(size)?),
            Descriptor::Dir(_) => Err(Errno::Badf),
            Descriptor::Input { .. } | Descriptor::Output { .. } => Err(Errno::Inval),
        }
    }

    /// `fd_filestat_set_times`.
    pub(super) fn fd_filestat_set_times(
        &mut self,
        fd: u32,
        accessed: u64,
        modified: u64,
        flags: u32,
    ) -> Result<(), Errno> {
        let times = Times::new(accessed, modified, flags)?;
        self.charge_file();
        match self.wasi.table.get(fd)? {
            Descriptor::Input { .. } | Descriptor::Output { .. } => Err(Errno::Badf),
            Descriptor::File(file) if !file.mutable => Err(Errno::Rofs),
            Descriptor::File(file) => Ok(file.file.set_times(times.of_file())?),
            Descriptor::Dir(dir) if !dir.writable => Err(Errno::Rofs),
            Descriptor::Dir(dir) => {
                let [accessed, modified] = times.of_path();
                Ok(dir.dir.set_times(".", accessed, modified)?)
            }
        }
    }

    /// The guest's name of a directory that was open from the start. To everything else the answer is the one with which a C library ends its search.
    fn preopened(&self, fd: u32) -> Result<&str, Errno> {
        match self.wasi.table.dir(fd) {
            Ok(dir) => dir.preopened.as_deref().ok_or(Errno::Badf),
            Err(_) => Err(Errno::Badf),
        }
    }

    /// `fd_prestat_get`.
    pub(super) fn fd_prestat_get(&mut self, fd: u32, stat: u32) -> Result<(), Errno> {
        let len = self.preopened(fd)?.len() as u64;
        // The tag of a directory is 0.
        self.memory.write_u64(stat, len << 32)
    }

    /// `fd_prestat_dir_name`.
    pub(super) fn fd_prestat_dir_name(&mut self, fd: u32, name: u32, len: u32) -> Result<(), Errno> {
        let path = self.preopened(fd)?.to_string();
        if path.len() > len as usize {
            return Err(Errno::Nametoolong);
        }
        self.charge_bytes(path.len());
        self.memory.write(name, path.as_bytes())
    }

    /// A step of `fd_readdir`; says whether it is done.
    fn list(&mut self, fd: u32, buffer: (u32, u32), progress: &mut Progress) -> Result<bool, Errno> {
        self.charge_file();
        let Descriptor::Dir(dir) = self.wasi.table.get(fd)? else {
            return Err(Errno::Notdir);
        };
        let listing = match &mut dir.listing {
            Some(listing) if listing.reaches(progress.place) => listing,
            other => other.insert(Listing::new(&dir.dir)?),
        };
        let before = *progress;
        let done = listing.fill(&mut self.memory, buffer, progress);
        let (looked, used) = (progress.looked - before.looked, progress.used - before.used);
        self.charge_bytes(looked * size_of::<Filestat>() + used as usize);
        done
    }
}

impl<D: Send + 'static, F: Find<D>> Door<'_, D, F> {
    /// `fd_readdir`: step by step, because a directory may be large, and the place far down in it.
    pub(super) async fn fd_readdir(
        mut self,
        fd: u32,
        at: u32,
        len: u32,
        cookie: u64,
        count: u32,
    ) -> Result<(), Failure> {
        self.call(|call| call.memory.bytes(at, len).and(call.memory.bytes(count, 4)).map(drop))?;
        let mut progress = Progress { place: cookie, ..Progress::default() };
        while !self.call(|call| call.list(fd, (at, len), &mut progress))? {
            self.meter.give_way().await;
        }
        self.call(|call| call.memory.write_u32(count, progress.used))
    }
}
