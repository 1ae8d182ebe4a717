//! What a cyclic schedule is given: modes with their windows, checked once, and laid out so that every question is a binary search.

use crate::error::{Error, ErrorKind, Result};

/// Frames are at most this long, so that the time of more frames than anybody can count still adds up.
const LONGEST_FRAME: u64 = 1 << 62;
/// The most windows that all modes together may have.
const MOST_WINDOWS: usize = 1 << 16;
/// The most modes.
const MOST_MODES: usize = 1 << 8;

/// A part of each frame that belongs to one partition, or to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Whose it is. `None` is an idle window: nobody runs in it, and the table says so.
    pub partition: Option<u32>,
    /// From the frame's beginning to its own: in fuel of virtual time, or in nanoseconds.
    pub offset: u64,
    /// How long it is, in the same unit.
    pub length: u64,
}

/// A way of dividing a frame: the *major frame* of ARINC 653, and its windows. What no window covers is idle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mode {
    /// What [`Cyclic::switch_mode`](super::Cyclic::switch_mode) calls it.
    pub name: String,
    /// How long a frame is: in fuel of virtual time, or in nanoseconds.
    pub frame: u64,
    /// The windows, in any order. [`PickReason::Window`](crate::reason::PickReason::Window) is a position in this list.
    pub windows: Vec<Window>,
}

/// A mode that was found to be sound.
#[derive(Debug)]
pub(super) struct Table {
    /// Its name.
    pub(super) name: String,
    /// How long a frame is.
    pub(super) frame: u64,
    /// The windows that belong to somebody, by offset.
    windows: Vec<Placed>,
    /// The same, by partition, and then by offset.
    own: Vec<Own>,
}

/// A window in its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    /// From the frame's beginning to its own.
    pub(super) offset: u64,
    /// From the frame's beginning to its end.
    pub(super) end: u64,
    /// Its position in the list that was given.
    pub(super) index: u32,
    /// Whose it is, by position among the partitions.
    pub(super) partition: usize,
}

/// A window as its partition sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own {
    /// Whose it is, by position among the partitions.
    partition: usize,
    /// From the frame's beginning to its own.
    pub(super) offset: u64,
    /// How long it is.
    length: u64,
    /// The time of the partition's windows before it in the frame.
    before: u64,
}

impl Own {
    /// The time of the partition's windows in the frame, up to the end of this one.
    pub(super) fn through(&self) -> u64 {
        self.before + self.length
    }
}

impl Table {
    /// The window that covers a position of the frame, if it belongs to somebody.
    pub(super) fn window_at(&self, position: u64) -> Option<Placed> {
        let begun = self.windows.partition_point(|window| window.offset <= position);
        let window = *self.windows.get(begun.checked_sub(1)?)?;
        (position < window.end).then_some(window)
    }

    /// A partition's windows, by offset.
    pub(super) fn own(&self, partition: usize) -> &[Own] {
        let first = self.own.partition_point(|window| window.partition < partition);
        let count = self.own[first..].partition_point(|window| window.partition == partition);
        &self.own[first..first + count]
    }

    /// The time of a partition's windows in one frame.
    pub(super) fn own_time(&self, partition: usize) -> u64 {
        self.own(partition).last().map_or(0, Own::through)
    }

    /// The time of a partition's windows in one frame before a position.
    pub(super) fn own_time_before(&self, partition: usize, position: u64) -> u64 {
        let own = self.own(partition);
        let begun = own.partition_point(|window| window.offset < position);
        begun.checked_sub(1).map_or(0, |last| own[last].before + own[last].length.min(position - own[last].offset))
    }

    /// Lays out a mode that was found to be sound, with partitions by these numbers, which ascend.
    fn new(mode: Mode, numbers: &[u32]) -> Table {
        let mut windows = Vec::with_capacity(mode.windows.len());
        for (index, Window { partition, offset, length }) in mode.windows.into_iter().enumerate() {
            if let Some(partition) = partition.and_then(|number| numbers.binary_search(&number).ok()) {
                windows.push(Placed { offset, end: offset + length, index: index as u32, partition });
            }
        }
        windows.sort_unstable_by_key(|window| window.offset);
        let lengthless = |window: &Placed| {
            let &Placed { partition, offset, end, .. } = window;
            Own { partition, offset, length: end - offset, before: 0 }
        };
        let mut own: Vec<Own> = windows.iter().map(lengthless).collect();
        own.sort_unstable_by_key(|window| (window.partition, window.offset));
        for i in 1..own.len() {
            if own[i - 1].partition == own[i].partition {
                own[i].before = own[i - 1].through();
            }
        }
        Table { name: mode.name, frame: mode.frame, windows, own }
    }

    /// The first window that is no longer than a guard.
    pub(super) fn within_guard(&self, guard: u64) -> Option<Error> {
        let short = self.windows.iter().find(|window| window.end - window.offset <= guard)?;
        let length = short.end - short.offset;
        let message =
            format!("a guard of {guard} leaves nothing of it; the guard must be shorter than the shortest window");
        Some(of_window(&self.name, short.index as usize, short.offset, length, &message))
    }
}

/// Checks modes and lays them out. Says which partitions there are, in ascending order.
pub(super) fn lay_out(modes: Vec<Mode>) -> Result<(Vec<Table>, Vec<u32>)> {
    check_numbers(&modes)?;
    check_names(&modes)?;
    for mode in &modes {
        check_mode(mode)?;
    }
    let windows = modes.iter().flat_map(|mode| &mode.windows);
    let mut numbers: Vec<u32> = windows.filter_map(|window| window.partition).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let tables = modes.into_iter().map(|mode| Table::new(mode, &numbers)).collect();
    Ok((tables, numbers))
}

/// There is a mode, and there are not more modes and windows than anybody can mean.
fn check_numbers(modes: &[Mode]) -> Result<()> {
    if modes.is_empty() {
        return Err(unsound("there are no modes; one with a frame and its windows is wanted"));
    }
    if modes.len() > MOST_MODES {
        return Err(unsound(format!("there are {} modes; at most {MOST_MODES} are possible", modes.len())));
    }
    let mut windows: usize = 0;
    for mode in modes {
        windows = windows.saturating_add(mode.windows.len());
        if windows > MOST_WINDOWS {
            let message = format!(
                "it has {} windows, which makes {windows} with the modes before it; all modes together may have \
                 {MOST_WINDOWS}",
                mode.windows.len()
            );
            return Err(of_mode(&mode.name, &message));
        }
    }
    Ok(())
}

/// No two modes have one name.
fn check_names(modes: &[Mode]) -> Result<()> {
    for (i, mode) in modes.iter().enumerate() {
        if let Some(first) = modes[..i].iter().position(|other| other.name == mode.name) {
            let message = format!("modes {first} and {i} both have this name; each needs one of its own");
            return Err(of_mode(&mode.name, &message));
        }
    }
    Ok(())
}

/// The frame is one, and its windows lie in it side by side.
fn check_mode(mode: &Mode) -> Result<()> {
    if mode.frame == 0 || mode.frame > LONGEST_FRAME {
        let message = format!("a frame of {}; it must be at least 1, and at most {LONGEST_FRAME}", mode.frame);
        return Err(of_mode(&mode.name, &message));
    }
    for (index, window) in mode.windows.iter().enumerate() {
        check_window(mode, index, window)?;
    }
    let mut order: Vec<usize> = (0..mode.windows.len()).collect();
    order.sort_unstable_by_key(|&index| mode.windows[index].offset);
    for pair in order.windows(2) {
        let (first, second) = (mode.windows[pair[0]], mode.windows[pair[1]]);
        let end = first.offset + first.length;
        if second.offset < end {
            let message = format!(
                "it begins before the end of window {}, at offset {}, which ends at {end}",
                pair[0], first.offset
            );
            return Err(of_window(&mode.name, pair[1], second.offset, second.length, &message));
        }
    }
    Ok(())
}

/// A window is one, and lies in its frame.
fn check_window(mode: &Mode, index: usize, window: &Window) -> Result<()> {
    let &Window { offset, length, .. } = window;
    if length == 0 {
        let message = "it is empty; a window must have a length of at least 1";
        return Err(of_window(&mode.name, index, offset, length, message));
    }
    if offset.checked_add(length).is_none_or(|end| end > mode.frame) {
        let message = format!("it reaches past the end of the frame, which is {} long", mode.frame);
        return Err(of_window(&mode.name, index, offset, length, &message));
    }
    Ok(())
}

/// What is wrong with a window.
fn of_window(mode: &str, index: usize, offset: u64, length: u64, message: &str) -> Error {
    of_mode(mode, &format!("window {index} (offset {offset}, length {length}): {message}"))
}

/// What is wrong with a mode.
fn of_mode(mode: &str, message: &str) -> Error {
    unsound(format!("mode '{}': {message}", mode.escape_debug()))
}

/// What is wrong with a cyclic schedule.
pub(super) fn unsound(message: impl Into<String>) -> Error {
    ErrorKind::Policy { policy: "cyclic", message: message.into() }.into()
}
