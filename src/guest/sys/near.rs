//! The processor's instruction that brings a line of memory near.

use crate::near::{LINE, Lines};

/// Asks for these lines. What is not memory of this program is passed over by the processor.
pub(in crate::guest) fn fetch(all: &[Lines]) {
    for lines in all {
        for line in 0..lines.count {
            fetch_line(lines.at.wrapping_add(line * LINE));
        }
    }
}

/// Asks for one line.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn fetch_line(address: usize) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: the instruction neither reads nor writes as far as the program can tell, and an address that is none of its own does not fault.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::without_provenance(address)) }
}

/// Other processors go without.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn fetch_line(_address: usize) {}
