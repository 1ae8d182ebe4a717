//! What is read and written through descriptors: files, standard input, output and error.
//!
//! A call moves 64 KiB at most, and charges for what it moved. Reading standard input may wait; reading a file does not, as far as a task can see:
//! it takes as long as the disk takes, and the executor with it.

use super::Find;
use super::abi::{Errno, Version, fdflags};
use super::call::{Call, Door, Failure};
use super::input::{Answer, Reading};
use super::memory::{LARGEST_TRANSFER, Pieces};
use super::platform;
use super::table::{Descriptor, OpenFile};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::task::Waker;

/// So much of a file is reserved between two looks at the slice.
const ALLOCATION: u64 = 16 << 20;

/// The largest offset in a file that any system knows.
const LARGEST_OFFSET: u64 = i64::MAX as u64;

/// A read that has begun.
enum Begun {
    /// It is done.
    Done,
    /// It waits for input, to be put in these pieces.
    Waits(Reading, Pieces),
}

impl OpenFile {
    /// The file, to be read.
    fn readable(&mut self) -> Result<&mut File, Errno> {
        if self.read { Ok(&mut self.file) } else { Err(Errno::Badf) }
    }

    /// The file, to be written.
    pub(super) fn writable(&mut self) -> Result<&mut File, Errno> {
        if self.write { Ok(&mut self.file) } else { Err(Errno::Badf) }
    }

    /// Sees to it that what was written is on the disk, if the descriptor asks for that.
    fn settle(&self) -> io::Result<()> {
        if self.flags & fdflags::SYNC != 0 {
            self.file.sync_all()
        } else if self.flags & fdflags::DSYNC != 0 {
            self.file.sync_data()
        } else {
            Ok(())
        }
    }
}

impl Call<'_> {
    /// Puts what was read into the guest's memory.
    fn deliver(&mut self, pieces: &Pieces, bytes: &[u8], count: u32) -> Result<(), Errno> {
        self.charge_bytes(bytes.len());
        self.memory.scatter(pieces, bytes);
        self.memory.write_u32(count, bytes.len() as u32)
    }

    /// Begins `fd_read`.
    fn begin_read(&mut self, fd: u32, pieces: u32, len: u32, count: u32) -> Result<Begun, Errno> {
        let pieces = self.memory.pieces(pieces, len)?;
        self.memory.bytes(count, 4)?;
        match self.wasi.table.get(fd)? {
            Descriptor::Dir(_) => Err(Errno::Isdir),
            Descriptor::Output { .. } => Err(Errno::Badf),
            Descriptor::Input { .. } if pieces.len == 0 => self.deliver(&pieces, &[], count).map(|()| Begun::Done),
            Descriptor::Input { input, flags } => {
                let mut reading = Reading::new(input.clone(), self.meter.clone(), pieces.len);
                if *flags & fdflags::NONBLOCK == 0 {
                    return Ok(Begun::Waits(reading, pieces));
                }
                match reading.look(Waker::noop()) {
                    Answer::NotYet => Err(Errno::Again),
                    Answer::Failed(errno) => Err(errno),
                    Answer::Read(bytes) => self.deliver(&pieces, &bytes, count).map(|()| Begun::Done),
                }
            }
            Descriptor::File(file) => {
                let mut bytes = vec![0; pieces.len];
                let read = file.readable()?.read(&mut bytes);
                self.charge_file();
                self.deliver(&pieces, bytes.get(..read?).unwrap_or_default(), count).map(|()| Begun::Done)
            }
        }
    }

    /// `fd_write`.
    pub(super) fn fd_write(&mut self, fd: u32, pieces: u32, len: u32, count: u32) -> Result<(), Errno> {
        let pieces = self.memory.pieces(pieces, len)?;
        self.memory.bytes(count, 4)?;
        let bytes = self.memory.gather(&pieces);
        self.charge_bytes(bytes.len());
        let written = match self.wasi.table.get(fd)? {
            Descriptor::Dir(_) => return Err(Errno::Isdir),
            Descriptor::Input { .. } => return Err(Errno::Badf),
            Descriptor::Output { sink, .. } => {
                sink.write(&bytes)?;
                bytes.len()
            }
            Descriptor::File(file) => {
                let written = file.writable()?.write(&bytes);
                let settled = file.settle();
                self.charge_file();
                settled.and(written)?
            }
        };
        self.memory.write_u32(count, written as u32)
    }

    /// `fd_pread`.
    pub(super) fn fd_pread(&mut self, fd: u32, pieces: u32, len: u32, at: u64, count: u32) -> Result<(), Errno> {
        let pieces = self.memory.pieces(pieces, len)?;
        self.memory.bytes(count, 4)?;
        self.charge_file();
        let mut bytes = vec![0; pieces.len];
        let file = self.positioned(fd)?.readable()?;
        let read = platform::read_at(file, &mut bytes, offset(at)?)?;
        self.deliver(&pieces, bytes.get(..read).unwrap_or_default(), count)
    }

    /// `fd_pwrite`.
    pub(super) fn fd_pwrite(&mut self, fd: u32, pieces: u32, len: u32, at: u64, count: u32) -> Result<(), Errno> {
        let pieces = self.memory.pieces(pieces, len)?;
        self.memory.bytes(count, 4)?;
        let bytes = self.memory.gather(&pieces);
        self.charge_file();
        self.charge_bytes(bytes.len());
        let file = self.positioned(fd)?;
        let append = file.flags & fdflags::APPEND != 0;
        let written = platform::write_at(file.writable()?, &bytes, offset(at)?, append)?;
        file.settle()?;
        self.memory.write_u32(count, written as u32)
    }

    /// A file that is read or written at a place: of a directory it is said what is wrong with that.
    fn positioned(&mut self, fd: u32) -> Result<&mut OpenFile, Errno> {
        match self.wasi.table.get(fd)? {
            Descriptor::Dir(_) => Err(Errno::Isdir),
            _ => self.wasi.table.file(fd),
        }
    }

    /// `fd_seek`. The older name numbers the origins in another order.
    pub(super) fn fd_seek(&mut self, fd: u32, by: i64, whence: u32, position: u32) -> Result<(), Errno> {
        self.memory.bytes(position, 8)?;
        let file = self.wasi.table.file(fd)?;
        let to = match (self.version, whence) {
            (Version::Preview1, 0) | (Version::Unstable, 2) => {
                SeekFrom::Start(u64::try_from(by).map_err(|_| Errno::Inval)?)
            }
            (Version::Preview1, 1) | (Version::Unstable, 0) => SeekFrom::Current(by),
            (Version::Preview1, 2) | (Version::Unstable, 1) => SeekFrom::End(by),
            _ => return Err(Errno::Inval),
        };
        let now = file.file.seek(to)?;
        self.charge_file();
        self.memory.write_u64(position, now)
    }

    /// `fd_tell`.
    pub(super) fn fd_tell(&mut self, fd: u32, position: u32) -> Result<(), Errno> {
        let now = self.wasi.table.file(fd)?.file.stream_position()?;
        self.charge_file();
        self.memory.write_u64(position, now)
    }

    /// `fd_sync`.
    pub(super) fn fd_sync(&mut self, fd: u32) -> Result<(), Errno> {
        self.synchronise(fd, File::sync_all)
    }

    /// `fd_datasync`.
    pub(super) fn fd_datasync(&mut self, fd: u32) -> Result<(), Errno> {
        self.synchronise(fd, File::sync_data)
    }

    /// Brings what was written to the disk. What is printed has gone out already.
    fn synchronise(&mut self, fd: u32, how: fn(&File) -> io::Result<()>) -> Result<(), Errno> {
        self.charge_file();
        match self.wasi.table.get(fd)? {
            Descriptor::Input { .. } | Descriptor::Output { .. } => Ok(()),
            Descriptor::File(file) => Ok(how(&file.file)?),
            // Anew, because the descriptor of a directory may be one that is only good for finding paths.
            Descriptor::Dir(dir) => Ok(how(&dir.dir.open(".")?.into_std())?),
        }
    }

    /// `fd_advise`.
    pub(super) fn fd_advise(&mut self, fd: u32, at: u64, len: u64, advice: u32) -> Result<(), Errno> {
        let file = self.wasi.table.file(fd)?;
        if advice > 5 || at.checked_add(len).is_none_or(|end| end > LARGEST_OFFSET) {
            return Err(Errno::Inval);
        }
        platform::advise(&file.file, at, len, advice);
        self.charge_file();
        Ok(())
    }

    /// Reserves a piece of a file.
    fn allocate(&mut self, fd: u32, at: u64, len: u64) -> Result<(), Errno> {
        self.charge_file();
        platform::allocate(self.wasi.table.file(fd)?.writable()?, at, len)
    }

    /// `fd_close`.
    pub(super) fn fd_close(&mut self, fd: u32) -> Result<(), Errno> {
        let closed = self.wasi.table.close(fd)?;
        if closed.is_in_files() {
            self.charge_file();
        }
        Ok(())
    }

    /// `fd_renumber`.
    pub(super) fn fd_renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        self.wasi.table.renumber(from, to)
    }
}

/// An offset that systems know.
fn offset(at: u64) -> Result<u64, Errno> {
    if at > LARGEST_OFFSET - LARGEST_TRANSFER as u64 { Err(Errno::Inval) } else { Ok(at) }
}

impl<D: Send + 'static, F: Find<D>> Door<'_, D, F> {
    /// `fd_read`.
    pub(super) async fn fd_read(mut self, fd: u32, pieces: u32, len: u32, count: u32) -> Result<(), Failure> {
        match self.call(|call| call.begin_read(fd, pieces, len, count))? {
            Begun::Done => Ok(()),
            Begun::Waits(reading, pieces) => {
                let bytes = reading.await?;
                self.call(|call| call.deliver(&pieces, &bytes, count))
            }
        }
    }

    /// `fd_allocate`: piece by piece, because a large one takes its time.
    pub(super) async fn fd_allocate(mut self, fd: u32, at: u64, len: u64) -> Result<(), Failure> {
        self.call(|call| call.wasi.table.file(fd)?.writable().map(drop))?;
        let end = at.checked_add(len).filter(|end| *end <= LARGEST_OFFSET).ok_or(Errno::Fbig)?;
        if len == 0 {
            return Err(Errno::Inval.into());
        }
        let mut from = at;
        while from < end {
            let now = (end - from).min(ALLOCATION);
            self.call(|call| call.allocate(fd, from, now))?;
            from += now;
            self.meter.give_way().await;
        }
        Ok(())
    }
}
