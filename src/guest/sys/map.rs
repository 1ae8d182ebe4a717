//! The system calls behind stacks and memories.

use std::io;
use std::ptr;

/// Address space that every new mapping leaves for the rest of the process. A heap that cannot grow ends the process, a stack that cannot be had ends a task.
const SPARE: usize = 16 << 20;

/// Bytes of a page.
pub(super) fn page_size() -> usize {
    // SAFETY: it reads a number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// A new mapping of so many bytes, read and written, without swap space set aside, in small pages: one touched page must not bring 2 MiB with it.
/// It is refused if it would leave less than [`SPARE`].
pub(super) fn map(length: usize) -> io::Result<usize> {
    let (access, kind) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
    let and_spare = length.checked_add(SPARE).ok_or(io::ErrorKind::OutOfMemory)?;
    // SAFETY: a new private mapping, at an address of the system's choice, touches nothing that is there.
    let start = unsafe { libc::mmap(ptr::null_mut(), and_spare, access, kind, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let start = start.expose_provenance();
    unmap(start + length, SPARE);
    // A kernel without huge pages refuses, and needs no advice.
    let _ = advise(start, length, libc::MADV_NOHUGEPAGE);
    Ok(start)
}

/// Ends a mapping, or the end of one.
pub(super) fn unmap(start: usize, length: usize) {
    // SAFETY: only mappings of `map` come here, whole, once nobody uses them, and what it has just mapped to spare.
    let _ = unsafe { libc::munmap(ptr::with_exposed_provenance_mut(start), length) };
}

/// Advises the kernel about a part of a mapping.
pub(super) fn advise(start: usize, length: usize, advice: libc::c_int) -> io::Result<()> {
    // SAFETY: only parts of mappings of `map` come here that no reference points into; the advice at most makes them zero, or inaccessible.
    match unsafe { libc::madvise(ptr::with_exposed_provenance_mut(start), length, advice) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes a part of a mapping inaccessible.
pub(super) fn protect(start: usize, length: usize) -> io::Result<()> {
    // SAFETY: as in `advise`.
    match unsafe { libc::mprotect(ptr::with_exposed_provenance_mut(start), length, libc::PROT_NONE) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether the kernel, asked to write a byte into this page, finds that it cannot.
pub(super) fn is_out_of_bounds(start: usize, page: usize) -> bool {
    // Some page that is there, to ask about.
    let local = 0_u8;
    let here = (&raw const local).expose_provenance() / page * page;
    // SAFETY: the kernel writes one byte for one page, into a page of a mapping of `map` that nobody uses; or does not, and says so.
    let asked =
        unsafe { libc::mincore(ptr::with_exposed_provenance_mut(here), page, ptr::with_exposed_provenance_mut(start)) };
    asked != 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
}

/// Whether a page has been touched, and is still there.
pub(super) fn is_resident(start: usize, page: usize) -> bool {
    let mut resident = 0_u8;
    // SAFETY: the kernel writes one byte for one page.
    let asked = unsafe { libc::mincore(ptr::with_exposed_provenance_mut(start), page, &raw mut resident) };
    asked == 0 && resident & 1 == 1
}
