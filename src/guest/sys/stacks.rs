//! Stacks for fibers, many of them: cut from a few large reservations, used again, and with a guard below each.
//!
//! ```text
//!   one mapping, without swap space set aside: what is not touched costs nothing
//!   ┌───────┬──────────────────────┬───────┬──────────────────────┬───────┬──
//!   │ guard │  stack 0          ◄─ │ guard │  stack 1          ◄─ │ guard │ …
//!   └───────┴──────────────────────┴───────┴──────────────────────┴───────┴──
//!                            top: the only page that most tasks touch
//! ```
//!
//! Wasmtime's own stacks are a mapping each, and a guard makes that two: at the usual limit of 65,530 mappings a process stops near 32,000
//! tasks. Here guards are marks in the page table (`MADV_GUARD_INSTALL`, Linux 6.13), which split no mapping. An older kernel has no such marks; there
//! guards are protected pages, which cost two mappings a stack again. Which it is, is found out once, by trying ([`Guard`]).
//!
//! * **An overflow always hits the guard.** It is 64 KiB, more than a frame of the host's has at a stretch, and compilers touch every page of larger
//!   frames in order. The kernel ends the process then, with a message of Wasmtime's; a guest that recurses is stopped by Wasmtime long before, and traps.
//! * **Used again, last in first out.** The stack that was left last is the one that the caches know. What a task left on it stays on it, as
//!   everywhere where stacks are used again; a guest cannot read its stack.
//! * **Given back.** Beyond [`KEPT`] bytes of free stacks, what a task used of its stack below the top [`WARM`] bytes is given back to the
//!   system at once, and of the stacks that are free beyond [`MOST_WARM`] everything. Reservations stay until the engine is dropped, with the last of its stacks.

use super::map::{advise, is_out_of_bounds, is_resident, map, page_size, protect, unmap};
use super::{Guard, NoStack, shortage};
use crate::error::{ErrorKind, Result};
use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmtime::{StackCreator, StackMemory};

/// Bytes below each stack that nobody may touch.
const GUARD: usize = 64 * 1024;

/// Bytes at the top of a free stack that stay with the process.
const WARM: usize = 32 * 1024;

/// Bytes of free stacks that stay whole: the few that come and go all the time, about which the system need not be asked each time.
const KEPT: usize = 16 * 1024 * 1024;

/// Free stacks that stay warm.
const MOST_WARM: usize = 1024;

/// Stacks in the first reservation; each further one has twice as many as the one before, so that a million stacks are in 15 mappings.
const FIRST: usize = 64;

/// The advice that marks pages as guards, which `libc` does not name yet.
const MADV_GUARD_INSTALL: libc::c_int = 102;

/// All stacks of an engine.
#[derive(Debug)]
pub(in crate::guest) struct Stacks {
    /// Bytes of a page.
    page: usize,
    /// Bytes of a stack, without its guard; whole pages.
    size: usize,
    /// How guards are made.
    guard: Guard,
    /// The rest.
    pool: Mutex<Pool>,
}

/// What changes.
#[derive(Debug, Default)]
struct Pool {
    /// All reservations, as address and length.
    reserved: Vec<(usize, usize)>,
    /// The part of the last one that was never used.
    fresh: Range<usize>,
    /// Tops of free stacks that are warm.
    warm: Vec<usize>,
    /// Tops of free stacks of which the system has everything.
    cold: Vec<usize>,
}

/// One stack in use.
#[derive(Debug)]
struct Stack {
    /// Where it is, without its guard.
    range: Range<usize>,
    /// Where it goes.
    home: Arc<Stacks>,
}

impl Stacks {
    /// Stacks of at least so many bytes. None are reserved yet, but for one page that shows what the kernel can do.
    ///
    /// # Errors
    /// [`ErrorKind::Engine`]: not even that is to be had.
    pub(in crate::guest) fn new(size: usize) -> Result<Stacks> {
        let page = page_size();
        let guard = probe(page)
            .map_err(|error| ErrorKind::Engine { message: format!("stacks cannot be reserved: {error}") })?;
        Ok(Stacks { page, size: size.next_multiple_of(page), guard, pool: Mutex::default() })
    }

    /// How guards are made.
    pub(in crate::guest) fn guard(&self) -> Guard {
        self.guard
    }

    /// A stack: its top.
    fn take(&self) -> io::Result<usize> {
        let mut pool = self.pool();
        if let Some(top) = pool.warm.pop().or_else(|| pool.cold.pop()) {
            return Ok(top);
        }
        let stride = GUARD + self.size;
        if pool.fresh.is_empty() {
            self.reserve(&mut pool, stride)?;
        }
        let bottom = pool.fresh.start;
        // Before it counts as used: if it cannot be guarded it is nobody's.
        self.install(bottom)?;
        pool.fresh.start += stride;
        Ok(bottom + stride)
    }

    /// Makes another reservation; a smaller one where the address space is short.
    fn reserve(&self, pool: &mut Pool, stride: usize) -> io::Result<()> {
        let mut stacks = FIRST << pool.reserved.len().min(20);
        let start = loop {
            match map(stacks * stride) {
                Err(_) if stacks > 1 => stacks /= 2,
                start => break start?,
            }
        };
        pool.reserved.push((start, stacks * stride));
        pool.fresh = start..start + stacks * stride;
        Ok(())
    }

    /// Makes the guard that begins here.
    fn install(&self, bottom: usize) -> io::Result<()> {
        match self.guard {
            Guard::Marked => advise(bottom, GUARD, MADV_GUARD_INSTALL),
            Guard::Protected => protect(bottom, GUARD),
        }
    }

    /// Takes a stack back.
    fn give_back(&self, range: Range<usize>) {
        let warm_from = range.end.saturating_sub(WARM).max(range.start);
        let mut pool = self.pool();
        if pool.warm.len() * self.size < KEPT {
            pool.warm.push(range.end);
            return;
        }
        drop(pool);
        // Whoever went deeper has touched the page below the warm ones.
        if warm_from > range.start && is_resident(warm_from - self.page, self.page) {
            let _ = advise(range.start, warm_from - range.start, libc::MADV_DONTNEED);
        }
        let mut pool = self.pool();
        if pool.warm.len() < MOST_WARM {
            pool.warm.push(range.end);
            return;
        }
        drop(pool);
        let _ = advise(warm_from, range.end - warm_from, libc::MADV_DONTNEED);
        self.pool().cold.push(range.end);
    }

    /// What is behind the lock. Nothing in here panics while it is held, but for a lack of memory.
    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stacks {
    fn drop(&mut self) {
        // Each stack in use holds this, so there is none.
        for (start, length) in std::mem::take(&mut self.pool().reserved) {
            unmap(start, length);
        }
    }
}

/// What Wasmtime asks for stacks.
#[derive(Debug)]
pub(in crate::guest) struct Creator(pub(in crate::guest) Arc<Stacks>);

// SAFETY: a stack is a range of whole pages of a private mapping, read and written by nobody else until it is dropped; below it are `GUARD` bytes that fault;
// and it is zero, or holds what another fiber has left there, which is what `zeroed` tells apart.
unsafe impl StackCreator for Creator {
    fn new_stack(&self, size: usize, zeroed: bool) -> std::result::Result<Box<dyn StackMemory>, wasmtime::Error> {
        let home = self.0.clone();
        if size > home.size {
            wasmtime::bail!("a stack of {size} bytes was asked for, of an engine whose stacks have {}", home.size);
        }
        let top = home.take().map_err(|error| wasmtime::Error::new(NoStack(out_of_stacks(&home, &error))))?;
        let range = top - home.size..top;
        if zeroed {
            advise(range.start, range.len(), libc::MADV_DONTNEED)?;
        }
        Ok(Box::new(Stack { range, home }))
    }
}

// SAFETY: the range is whole pages, the guard is directly below it, and both stay as they are until this is dropped.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        ptr::with_exposed_provenance_mut(self.range.end)
    }

    fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    fn guard_range(&self) -> Range<*mut u8> {
        let bottom = ptr::with_exposed_provenance_mut(self.range.start);
        ptr::with_exposed_provenance_mut(self.range.start - GUARD)..bottom
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.home.give_back(self.range.clone());
    }
}

/// Why no stack is to be had: which limit was met, and where guards take part of it, that they do.
fn out_of_stacks(stacks: &Stacks, error: &io::Error) -> String {
    let why = shortage::explain(error);
    match stacks.guard {
        Guard::Marked => why,
        Guard::Protected => {
            format!("{why}; each stack takes two mappings, because this kernel has no MADV_GUARD_INSTALL")
        }
    }
}

/// What the kernel can do for guards, tried on a page that is thrown away.
fn probe(page: usize) -> io::Result<Guard> {
    let start = map(page)?;
    // Emulators of Linux are known to take any advice for a hint, which they may leave out. A guard has to be one.
    let marked = advise(start, page, MADV_GUARD_INSTALL).is_ok() && is_out_of_bounds(start, page);
    unmap(start, page);
    Ok(if marked { Guard::Marked } else { Guard::Protected })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes to a byte of a stack.
    fn touch(address: usize) {
        // SAFETY: tests touch bytes of stacks that they hold.
        unsafe { ptr::with_exposed_provenance_mut::<u8>(address).write_volatile(1) };
    }

    /// A stack.
    fn stack(home: &Arc<Stacks>, size: usize) -> Box<dyn StackMemory> {
        Creator(home.clone()).new_stack(size, false).unwrap()
    }

    #[test]
    fn stacks_have_their_size_and_a_guard_each_and_do_not_overlap() {
        let home = Arc::new(Stacks::new(100_000).unwrap());
        let stacks: Vec<_> = (0..200).map(|_| stack(&home, 100_000)).collect();
        let mut ranges: Vec<_> = stacks.iter().map(|stack| (stack.guard_range().start.addr(), stack.range())).collect();
        for (guard, range) in &ranges {
            assert!(range.len() >= 100_000 && range.start % home.page == 0 && range.end % home.page == 0);
            assert_eq!(range.start - guard, GUARD);
            touch(range.start);
            touch(range.end - 1);
        }
        ranges.sort_by_key(|(guard, _)| *guard);
        assert!(ranges.windows(2).all(|pair| pair[0].1.end <= pair[1].0));
        assert_eq!(home.pool().reserved.len(), 3, "of 64, of 128, of 256");
    }

    #[test]
    fn the_stack_that_was_left_last_is_the_next_one_and_what_was_deep_is_given_back() {
        let home = Arc::new(Stacks::new(256 * 1024).unwrap());
        let mut stacks: Vec<_> = (0..=KEPT / home.size).map(|_| stack(&home, 1)).collect();
        let (last, first) = (stacks.pop().unwrap(), stacks[0].range());
        let deep = last.range();
        (deep.start..deep.end).step_by(home.page).for_each(touch);
        touch(first.start);
        drop(stacks);
        assert!(is_resident(first.start, home.page), "the first ones stay whole");
        drop(last);
        assert!(is_resident(deep.end - home.page, home.page), "its top is warm");
        assert!(!is_resident(deep.end - WARM - home.page, home.page) && !is_resident(deep.start, home.page));
        assert_eq!(stack(&home, 1).range(), deep);
    }

    #[test]
    fn beyond_so_many_free_stacks_the_system_has_everything() {
        let home = Arc::new(Stacks::new(64 * 1024).unwrap());
        let stacks: Vec<_> = (0..MOST_WARM + 2).map(|_| stack(&home, 1)).collect();
        let tops: Vec<usize> = stacks.iter().map(|stack| stack.range().end).collect();
        tops.iter().for_each(|top| touch(top - 1));
        drop(stacks);
        let resident = tops.iter().filter(|top| is_resident(**top - home.page, home.page)).count();
        assert_eq!((resident, home.pool().cold.len()), (MOST_WARM, 2));
        let again: Vec<_> = tops.iter().map(|_| stack(&home, 1)).collect();
        assert_eq!(again.len(), tops.len());
        assert!(home.pool().warm.is_empty() && home.pool().cold.is_empty());
    }

    #[test]
    fn a_stack_that_has_to_be_zero_is() {
        let home = Arc::new(Stacks::new(64 * 1024).unwrap());
        let used = stack(&home, 1);
        let top = used.range().end;
        touch(top - 1);
        drop(used);
        let zeroed = Creator(home.clone()).new_stack(1, true).unwrap();
        assert_eq!(zeroed.range().end, top);
        // SAFETY: the stack is held.
        assert_eq!(unsafe { ptr::with_exposed_provenance::<u8>(top - 1).read_volatile() }, 0);
    }

    #[test]
    fn a_guard_is_told_from_a_page_that_can_be_written() {
        let page = page_size();
        let start = map(3 * page).unwrap();
        assert!(!is_out_of_bounds(start, page), "it is a page like any other");
        protect(start + page, page).unwrap();
        assert!(is_out_of_bounds(start + page, page));
        // What is only advice is no guard.
        advise(start + 2 * page, page, libc::MADV_DONTNEED).unwrap();
        assert!(!is_out_of_bounds(start + 2 * page, page));
        unmap(start, 3 * page);
    }

    #[test]
    fn protected_pages_are_a_guard_too() {
        let mut home = Stacks::new(64 * 1024).unwrap();
        home.guard = Guard::Protected;
        assert!(home.take().is_ok_and(|top| top > 0));
        let message = out_of_stacks(&home, &io::Error::from_raw_os_error(libc::ENOMEM));
        assert!(message.contains("Cannot allocate memory") && message.ends_with("no MADV_GUARD_INSTALL"), "{message}");
    }
}
