//! Linear memories, many of them: cut from a few large reservations, as stacks are.
//!
//! Wasmtime's own memory is a mapping of 4 GiB and its guard, of which code needs no bounds checked; a process has room for some 30,000 of those. Here a memory has
//! a room of the next power of two, and code checks its bounds. One that outgrows its room is copied into a larger one.
//!
//! * **Bounds are kept by the code**, exactly: that is what Wasmtime compiles where no reservation and no guard are promised. What the room has
//!   beyond the memory's size is never read or written.
//! * **A room is zero when a memory gets it**: one that comes back is given to the system at once, all of it, and comes again as zeros.
//! * Memories larger than [`LARGEST_ROOM`] have a mapping of their own.

use super::map::{advise, map, unmap};
use super::shortage;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

/// Bytes of the smallest room: one Wasm page.
const SMALLEST_ROOM: usize = 64 * 1024;

/// Bytes of the largest room that is shared out of a reservation.
const LARGEST_ROOM: usize = SMALLEST_ROOM << (CLASSES - 1);

/// Sizes of rooms: from 64 KiB to 32 MiB.
const CLASSES: usize = 10;

/// Bytes of the first reservation of a size; each further one is twice as large, so that a million rooms of 64 KiB are in 15 mappings.
const FIRST: usize = LARGEST_ROOM;

/// All memories of an engine.
#[derive(Debug, Default)]
pub(in crate::guest) struct Memories {
    /// The rooms of each size.
    classes: [Mutex<Class>; CLASSES],
}

/// The rooms of one size.
#[derive(Debug, Default)]
struct Class {
    /// All reservations, as address and length.
    reserved: Vec<(usize, usize)>,
    /// Where the unused part of the last one begins, and ends.
    fresh: (usize, usize),
    /// Rooms that came back.
    free: Vec<usize>,
}

/// A room: where a memory is.
#[derive(Debug)]
struct Room {
    /// Its address.
    start: usize,
    /// Its bytes.
    size: usize,
    /// Where it goes.
    home: Arc<Memories>,
}

impl Memories {
    /// A room of at least so many bytes, zero.
    fn take(self: &Arc<Memories>, bytes: usize) -> io::Result<Room> {
        let too_large = || io::Error::other("more than the address space");
        let size = bytes.max(SMALLEST_ROOM).checked_next_power_of_two().ok_or_else(too_large)?;
        let start = match self.class(size) {
            Some(mut class) => class.take(size)?,
            None => map(size)?,
        };
        Ok(Room { start, size, home: self.clone() })
    }

    /// The rooms of this size; `None` if it is too large to be shared out.
    fn class(&self, size: usize) -> Option<MutexGuard<'_, Class>> {
        let class = self.classes.get((size / SMALLEST_ROOM).trailing_zeros() as usize)?;
        Some(class.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Class {
    /// A room's address.
    fn take(&mut self, size: usize) -> io::Result<usize> {
        if let Some(room) = self.free.pop() {
            return Ok(room);
        }
        if self.fresh.0 == self.fresh.1 {
            self.reserve(size)?;
        }
        let room = self.fresh.0;
        self.fresh.0 += size;
        Ok(room)
    }

    /// Makes another reservation; a smaller one where the address space is short.
    fn reserve(&mut self, size: usize) -> io::Result<()> {
        let mut bytes = FIRST << self.reserved.len().min(20);
        let start = loop {
            match map(bytes) {
                Err(_) if bytes > size => bytes /= 2,
                start => break start?,
            }
        };
        self.reserved.push((start, bytes));
        self.fresh = (start, start + bytes);
        Ok(())
    }
}

impl Drop for Class {
    fn drop(&mut self) {
        // Each room in use holds the memories it is of, so there is none.
        for (start, length) in std::mem::take(&mut self.reserved) {
            unmap(start, length);
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let Some(class) = self.home.class(self.size) else {
            return unmap(self.start, self.size);
        };
        drop(class);
        // Whoever gets it next finds zeros. If the system will not, nobody gets it.
        if advise(self.start, self.size, libc::MADV_DONTNEED).is_ok()
            && let Some(mut class) = self.home.class(self.size)
        {
            class.free.push(self.start);
        }
    }
}

/// What Wasmtime asks for memories.
#[derive(Debug)]
pub(in crate::guest) struct Creator(pub(in crate::guest) Arc<Memories>);

/// A memory.
#[derive(Debug)]
struct Memory {
    /// Where it is.
    room: Room,
    /// Its bytes.
    size: usize,
    /// The most that it may have.
    maximum: Option<usize>,
}

// SAFETY: a memory is a range of a private mapping, zero, read and written by nobody else until it is dropped. Neither a reservation nor a guard is promised
// beyond that, and where Wasmtime asks for one it is refused.
unsafe impl MemoryCreator for Creator {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        if guard > 0 || reserved.is_some_and(|bytes| bytes > 0) {
            return Err("memories without reservation and guard are not what this engine compiles for".into());
        }
        let no_room = |error| format!("no memory for another task: {}", shortage::explain(&error));
        let room = self.0.take(minimum).map_err(no_room)?;
        Ok(Box::new(Memory { room, size: minimum, maximum }))
    }
}

// SAFETY: the first `size` bytes of the room are the memory's alone, and the room is at least as large.
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.size
    }

    fn byte_capacity(&self) -> usize {
        self.room.size
    }

    fn grow_to(&mut self, size: usize) -> Result<(), wasmtime::Error> {
        if self.maximum.is_some_and(|maximum| size > maximum) {
            wasmtime::bail!("a memory of at most {} bytes cannot have {size}", self.maximum.unwrap_or(0));
        }
        if size > self.room.size {
            let larger = self.room.home.take(size)?;
            // SAFETY: both rooms are this memory's alone, they do not overlap, and both have at least `self.size` bytes.
            unsafe { std::ptr::copy_nonoverlapping(self.as_ptr(), pointer(larger.start), self.size) };
            self.room = larger;
        }
        self.size = size;
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        pointer(self.room.start)
    }
}

/// An address as a pointer.
fn pointer(address: usize) -> *mut u8 {
    std::ptr::with_exposed_provenance_mut(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A memory of so many bytes.
    fn memory(home: &Arc<Memories>, bytes: usize) -> Memory {
        Memory { room: home.take(bytes).unwrap(), size: bytes, maximum: Some(1 << 40) }
    }

    /// A byte of it.
    fn byte(memory: &Memory, at: usize) -> u8 {
        assert!(at < memory.size);
        // SAFETY: it is within the memory.
        unsafe { memory.as_ptr().add(at).read_volatile() }
    }

    /// Sets a byte of it.
    fn set(memory: &Memory, at: usize, value: u8) {
        assert!(at < memory.size);
        // SAFETY: it is within the memory.
        unsafe { memory.as_ptr().add(at).write_volatile(value) };
    }

    #[test]
    fn a_memory_that_outgrows_its_room_moves_with_all_that_is_in_it() {
        let home = Arc::<Memories>::default();
        let mut grown = memory(&home, 3 << 16);
        assert_eq!(grown.byte_capacity(), 4 << 16);
        let first = grown.as_ptr();
        set(&grown, 0, 1);
        set(&grown, (3 << 16) - 1, 2);
        grown.grow_to(4 << 16).unwrap();
        assert_eq!((grown.as_ptr(), byte(&grown, (4 << 16) - 1)), (first, 0), "in its room it stays");
        for size in [5 << 16, LARGEST_ROOM, LARGEST_ROOM + 1, 3 * LARGEST_ROOM] {
            grown.grow_to(size).unwrap();
            assert_eq!((grown.byte_size(), byte(&grown, 0), byte(&grown, (3 << 16) - 1)), (size, 1, 2));
            assert_eq!((byte(&grown, 3 << 16), byte(&grown, size - 1)), (0, 0));
        }
        assert!(grown.grow_to((1 << 40) + 1).is_err() && grown.byte_size() == 3 * LARGEST_ROOM);
    }

    #[test]
    fn a_room_that_comes_back_is_zero_and_comes_again() {
        let home = Arc::<Memories>::default();
        let used = memory(&home, 1 << 16);
        let place = used.as_ptr();
        (0..1 << 16).for_each(|at| set(&used, at, 7));
        drop(used);
        let again = memory(&home, 1 << 16);
        assert_eq!(again.as_ptr(), place);
        assert!((0..1 << 16).all(|at| byte(&again, at) == 0));
    }

    #[test]
    fn rooms_do_not_overlap_and_are_in_few_mappings() {
        let home = Arc::<Memories>::default();
        let all: Vec<Memory> = (0..3_000).map(|index| memory(&home, (index % 3) << 16)).collect();
        let mut rooms: Vec<(usize, usize)> = all.iter().map(|memory| (memory.room.start, memory.room.size)).collect();
        rooms.sort_unstable();
        assert!(rooms.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
        let mappings: usize = home.classes.iter().map(|class| class.lock().unwrap().reserved.len()).sum();
        assert!(mappings <= 6, "{mappings}");
    }
}
