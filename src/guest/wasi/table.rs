//! A task's descriptors: what they are of, what they are open for, and which numbers they have.

use super::abi::{Errno, rights};
use super::input::Input;
use super::listing::Listing;
use super::output::Sink;
use cap_std::fs::Dir;
use std::fs::File;
use std::sync::Arc;

/// The most descriptors that a task has at a time, as is usual on Linux.
const MOST_DESCRIPTORS: usize = 1024;

/// Where new descriptors begin: a guest that has closed its standard output does not write into a file instead.
const FIRST_FREE: usize = 3;

/// What a descriptor is of.
#[derive(Debug)]
pub(super) enum Descriptor {
    /// Standard input.
    Input {
        /// Where it comes from.
        input: Input,
        /// Flags.
        flags: u16,
    },
    /// Standard output or error.
    Output {
        /// Where it goes.
        sink: Sink,
        /// Flags.
        flags: u16,
    },
    /// A regular file.
    File(OpenFile),
    /// A directory.
    Dir(OpenDir),
}

/// A file, and what may be done with it.
#[derive(Debug)]
pub(super) struct OpenFile {
    /// The file, with the system's position in it.
    pub(super) file: File,
    /// Whether it may be read.
    pub(super) read: bool,
    /// Whether it may be written.
    pub(super) write: bool,
    /// Whether its attributes may be changed: its directory is not for reading alone.
    pub(super) mutable: bool,
    /// Flags.
    pub(super) flags: u16,
}

/// A directory, and what may be done in it.
#[derive(Debug)]
pub(super) struct OpenDir {
    /// The directory, as a capability: nothing outside of it can be reached through it.
    pub(super) dir: Arc<Dir>,
    /// Whether anything in it may be changed.
    pub(super) writable: bool,
    /// The guest's name for it, if it was open from the start.
    pub(super) preopened: Option<String>,
    /// A listing that is under way.
    pub(super) listing: Option<Listing>,
}

/// The descriptors, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Option<Descriptor>>);

impl Table {
    /// Appends a descriptor that is there from the start.
    pub(super) fn push(&mut self, descriptor: Descriptor) {
        self.0.push(Some(descriptor));
    }

    /// A descriptor.
    pub(super) fn get(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.0.get_mut(fd as usize).and_then(Option::as_mut).ok_or(Errno::Badf)
    }

    /// A regular file.
    pub(super) fn file(&mut self, fd: u32) -> Result<&mut OpenFile, Errno> {
        match self.get(fd)? {
            Descriptor::File(file) => Ok(file),
            Descriptor::Input { .. } | Descriptor::Output { .. } => Err(Errno::Spipe),
            Descriptor::Dir(_) => Err(Errno::Badf),
        }
    }

    /// A directory.
    pub(super) fn dir(&self, fd: u32) -> Result<&OpenDir, Errno> {
        match self.0.get(fd as usize) {
            Some(Some(Descriptor::Dir(dir))) => Ok(dir),
            Some(Some(_)) => Err(Errno::Notdir),
            Some(None) | None => Err(Errno::Badf),
        }
    }

    /// A directory in which something is to be changed.
    pub(super) fn writable_dir(&self, fd: u32) -> Result<&Dir, Errno> {
        let dir = self.dir(fd)?;
        if dir.writable { Ok(&dir.dir) } else { Err(Errno::Rofs) }
    }

    /// The number of the next descriptor.
    pub(super) fn vacancy(&self) -> Result<u32, Errno> {
        let free = |fd: &usize| self.0.get(*fd).is_none_or(Option::is_none);
        let fd = (FIRST_FREE..MOST_DESCRIPTORS).find(free).ok_or(Errno::Mfile)?;
        u32::try_from(fd).map_err(|_| Errno::Mfile)
    }

    /// Puts a descriptor at a number that [`Table::vacancy`] gave.
    pub(super) fn put(&mut self, fd: u32, descriptor: Descriptor) {
        let index = fd as usize;
        if self.0.len() <= index {
            self.0.resize_with(index + 1, || None);
        }
        self.0[index] = Some(descriptor);
    }

    /// Closes a descriptor.
    pub(super) fn close(&mut self, fd: u32) -> Result<Descriptor, Errno> {
        self.0.get_mut(fd as usize).and_then(Option::take).ok_or(Errno::Badf)
    }

    /// Gives a descriptor the number of another, which is closed by that.
    pub(super) fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        self.get(from)?;
        self.get(to)?;
        if from != to {
            let descriptor = self.close(from)?;
            self.put(to, descriptor);
        }
        Ok(())
    }
}

impl Descriptor {
    /// What the guest may do with it, and with what it opens in it.
    pub(super) fn rights(&self) -> (u64, u64) {
        match self {
            Descriptor::Input { .. } => (rights::INPUT, 0),
            Descriptor::Output { .. } => (rights::OUTPUT, 0),
            Descriptor::File(file) => (rights::file(file.read, file.write), 0),
            Descriptor::Dir(dir) => (rights::directory(dir.writable), rights::inherited(dir.writable)),
        }
    }

    /// Its flags.
    pub(super) fn flags(&self) -> u16 {
        match self {
            Descriptor::Input { flags, .. } | Descriptor::Output { flags, .. } => *flags,
            Descriptor::File(file) => file.flags,
            Descriptor::Dir(_) => 0,
        }
    }

    /// Whether the operating system is asked when something is done with it.
    pub(super) fn is_in_files(&self) -> bool {
        matches!(self, Descriptor::File(_) | Descriptor::Dir(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A descriptor that shows by its flags which one it is.
    fn marked(flags: u16) -> Descriptor {
        Descriptor::Input { input: Input::empty(), flags }
    }

    #[test]
    fn the_lowest_number_from_3_on_is_given_and_there_are_1024() {
        let mut table = Table::default();
        table.push(marked(0));
        for expected in FIRST_FREE..MOST_DESCRIPTORS {
            let fd = table.vacancy().unwrap();
            assert_eq!(fd as usize, expected);
            table.put(fd, marked(fd as u16));
        }
        assert_eq!(table.vacancy(), Err(Errno::Mfile));
        table.close(7).unwrap();
        assert_eq!(table.vacancy(), Ok(7));
        assert_eq!(table.close(7).err(), Some(Errno::Badf));
        assert_eq!(table.close(u32::MAX).err(), Some(Errno::Badf));
        assert_eq!(table.close(1).err(), Some(Errno::Badf), "there is nothing at 1");
    }

    #[test]
    fn renumbering_closes_the_one_and_moves_the_other() {
        let mut table = Table::default();
        (10..13).for_each(|flags| table.push(marked(flags)));
        assert_eq!(table.renumber(0, 2), Ok(()));
        assert_eq!(table.get(2).unwrap().flags(), 10);
        assert_eq!(table.get(0).err(), Some(Errno::Badf));
        // Neither to nor from what is not open, and onto itself it stays.
        assert_eq!((table.renumber(1, 0), table.renumber(0, 1)), (Err(Errno::Badf), Err(Errno::Badf)));
        assert_eq!(table.renumber(1, 1), Ok(()));
        assert_eq!(table.get(1).unwrap().flags(), 11);
    }
}
