//! Memory that will soon be needed, to be brought near while there is something else to do.
//!
//! A processor can be told to fetch a line of memory into its cache without waiting for it. The instruction reads nothing that a program could see
//! and never faults, but Rust has it among the `unsafe` ones, so it is in `guest/sys`, and comes to the executor as a function, with the tasks.

/// How many bytes a line has.
pub(crate) const LINE: usize = 64;

/// Some lines of memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lines {
    /// An address in the first.
    pub(crate) at: usize,
    /// How many.
    pub(crate) count: usize,
}

impl Lines {
    /// The lines in which a value is.
    pub(crate) fn of<T>(value: &T) -> Lines {
        Lines { at: (&raw const *value).addr(), count: size_of::<T>().div_ceil(LINE) }
    }

    /// So many lines from `first` on, counted from that in which the address is; none, if there is no address.
    pub(crate) fn around(address: usize, first: isize, count: usize) -> Lines {
        let count = if address == 0 { 0 } else { count };
        Lines { at: address.wrapping_add_signed(first * LINE.cast_signed()), count }
    }
}

/// What brings lines near.
pub(crate) type Fetch = fn(&[Lines]);
