//! The listing of a directory, as a guest goes through it: with a buffer of its choice, from a place of its choice.
//!
//! A place is a number: 0 is `.`, 1 is `..`, and the rest are in the system's order. The listing stays open between calls, so that a guest that
//! removes what it has been shown is shown everything, and keeps its latest entries, because the last one often did not fit and is asked for again.
//! Whoever goes further back begins anew. So a listing holds a bounded number of entries, however many there are.

use super::abi::{Errno, FileType, dirent_bytes};
use super::memory::Memory;
use super::platform;
use cap_fs_ext::MetadataExt;
use cap_std::fs::{Dir, DirEntry, ReadDir};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;

/// The most entries that are kept, and that one step looks at.
const STEP: usize = 1024;

/// A listing.
pub(super) struct Listing {
    /// What the system has still to say.
    rest: ReadDir,
    /// The latest entries.
    kept: VecDeque<Entry>,
    /// The place of the first of them.
    first: u64,
    /// The number of the directory itself.
    inode: u64,
}

/// An entry.
struct Entry {
    /// The number of the file.
    inode: u64,
    /// What it is.
    file_type: FileType,
    /// Its name.
    name: OsString,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// The place of the next entry.
    pub(super) place: u64,
    /// Bytes of the guest's buffer that are filled.
    pub(super) used: u32,
    /// Entries that the system was asked for.
    pub(super) looked: usize,
}

impl Listing {
    /// A listing at its beginning.
    pub(super) fn new(dir: &Dir) -> Result<Listing, Errno> {
        let inode = dir.dir_metadata()?.ino();
        Ok(Listing { rest: dir.entries()?, kept: VecDeque::new(), first: 0, inode })
    }

    /// Whether it can go on at that place.
    pub(super) fn reaches(&self, place: u64) -> bool {
        place != 0 && place >= self.first
    }

    /// Fills the buffer, for the time of one step. Says whether the call is done: the buffer is full, which a guest takes for "there is more", or there
    /// are no more entries.
    pub(super) fn fill(
        &mut self,
        memory: &mut Memory<'_>,
        (at, len): (u32, u32),
        progress: &mut Progress,
    ) -> Result<bool, Errno> {
        for _ in 0..STEP {
            let Some(entry) = self.kept_at(progress.place) else {
                if self.fetch()? {
                    progress.looked += 1;
                    continue;
                }
                return Ok(true);
            };
            let bytes = entry.to_bytes(progress.place + 1)?;
            let room = (len - progress.used) as usize;
            let now = bytes.get(..room).unwrap_or(&bytes);
            memory.write(at.wrapping_add(progress.used), now)?;
            progress.used += now.len() as u32;
            if now.len() == room {
                return Ok(true);
            }
            progress.place += 1;
        }
        Ok(false)
    }

    /// The entry at that place, if it is one of those that are kept.
    fn kept_at(&self, place: u64) -> Option<&Entry> {
        let index = usize::try_from(place.checked_sub(self.first)?).ok()?;
        self.kept.get(index)
    }

    /// Gets the next entry; says whether there was one.
    fn fetch(&mut self) -> Result<bool, Errno> {
        let itself = |name: &str| Entry { inode: self.inode, file_type: FileType::Directory, name: name.into() };
        let entry = match self.first + self.kept.len() as u64 {
            0 => itself("."),
            // What is above is nothing that the guest should know of.
            1 => itself(".."),
            _ => match self.rest.next() {
                None => return Ok(false),
                Some(entry) => Entry::of(&entry?)?,
            },
        };
        self.kept.push_back(entry);
        if self.kept.len() > STEP {
            self.kept.pop_front();
            self.first += 1;
        }
        Ok(true)
    }
}

impl Entry {
    /// An entry of the system's.
    fn of(entry: &DirEntry) -> Result<Entry, Errno> {
        let file_type = platform::file_type(&entry.file_type()?);
        Ok(Entry { inode: platform::inode(entry), file_type, name: entry.file_name() })
    }

    /// As it lies in memory, before the entry at the place `next`.
    fn to_bytes(&self, next: u64) -> Result<Vec<u8>, Errno> {
        let name = self.name.as_encoded_bytes();
        let len = u32::try_from(name.len()).map_err(|_| Errno::Overflow)?;
        Ok([&dirent_bytes(next, self.inode, len, self.file_type)[..], name].concat())
    }
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing").field("first", &self.first).field("kept", &self.kept.len()).finish_non_exhaustive()
    }
}
