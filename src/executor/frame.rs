//! A run of so much time: how much each of its slices may be granted, and when it is over.
//!
//! A slice cannot be stopped once it has been granted its fuel, so a frame that is to end in time has to know beforehand how long a slice
//! will last. It goes by the [`Pace`] of each task, and expects to be wrong:
//!
//! * No slice is meant to last longer than a 32nd of the frame, or a millisecond. If it lasts 10 times as long the rest of the frame makes up for it.
//! * No slice is meant to last longer than half of what is left. So what is left halves from slice to slice, and a slice that takes
//!   twice as long as expected still ends with the frame.
//! * What is left is given up once it is a 128th of the frame, or 20 µs. It is less than the next slice may well be wrong by.
//!
//! Slices of a small part of a frame cost little: a switch takes a fifth of a microsecond.

use crate::clock::Clock;
use crate::pace::Pace;
use crate::reason::SliceEnd;
use crate::trace::Slice;
use crate::unit::{Fuel, TaskId};
use std::time::Duration;

/// No slice is meant to last longer than this part of the frame …
const SLICES: u32 = 32;
/// … nor longer than this, in a frame of seconds.
const LONGEST_SLICE: Duration = Duration::from_millis(1);
/// This part of the frame is given up at its end …
const MARGINS: u32 = 128;
/// … but no more than this.
const LARGEST_MARGIN: Duration = Duration::from_micros(20);
/// Fuel that ordinary code uses in a nanosecond, and no more. What fills memory uses 10 times that, until it has filled it.
const ORDINARY: u64 = 4;

/// What ends a run, beside fuel and polls.
pub(super) trait Limit {
    /// Whether the run is over.
    fn is_over(&self) -> bool;
    /// The most that this task may be granted.
    fn cap(&self, id: TaskId) -> Fuel;
    /// A slice has ended.
    fn ran(&mut self, slice: &Slice);
}

/// Nothing does, and no clock is read.
impl Limit for () {
    #[inline(always)]
    fn is_over(&self) -> bool {
        false
    }
    #[inline(always)]
    fn cap(&self, _id: TaskId) -> Fuel {
        Fuel::MAX
    }
    #[inline(always)]
    fn ran(&mut self, _slice: &Slice) {}
}

/// Time.
pub(super) struct Frame {
    /// What shows it.
    clock: Clock,
    /// The time when the last slice ended, or the frame began.
    now: Duration,
    /// When the frame is over.
    end: Duration,
    /// How long a slice may be meant to last.
    slice: Duration,
    /// How much is given up at the end.
    margin: Duration,
    /// How long each task's fuel takes, from this frame and those before it.
    pace: Pace,
}

impl Frame {
    /// A frame that begins now.
    pub(super) fn new(clock: Clock, time: Duration, pace: Pace) -> Frame {
        let now = clock.now();
        Frame {
            clock,
            now,
            end: now.saturating_add(time),
            slice: (time / SLICES).min(LONGEST_SLICE),
            margin: (time / MARGINS).min(LARGEST_MARGIN),
            pace,
        }
    }

    /// What was learned, for the next frame.
    pub(super) fn into_pace(self) -> Pace {
        self.pace
    }

    /// The time that is left.
    fn left(&self) -> Duration {
        self.end.saturating_sub(self.now)
    }
}

impl Limit for Frame {
    fn is_over(&self) -> bool {
        self.left() <= self.margin
    }

    fn cap(&self, id: TaskId) -> Fuel {
        let time = self.slice.min(self.left() / 2);
        // Cannot overflow: it is a millisecond at most. A guest that was cheap so far may become ordinary in the middle of a slice.
        let ordinary = Fuel(time.as_nanos() as u64 * ORDINARY);
        self.pace.grant_for(id, time).min(ordinary)
    }

    fn ran(&mut self, slice: &Slice) {
        let now = self.clock.now();
        // The time of the last slice includes dropping the task, of which there will be no more slices.
        if slice.end != SliceEnd::Ended {
            self.pace.learn(slice.id, slice.used, now.saturating_sub(self.now));
        }
        self.now = now;
    }
}
