//! Recordings: every decision of a run, and everything that its host did, in a file that a replay (`replay.rs`) runs again.
//!
//! A recording is made for the host that made the tasks: it names them by the order of spawning and by the host's own labels, and holds no
//! module. This is version 3; version 2 had no entry 09, version 1 no 08:
//!
//! ```text
//! "fuelsched recording 3\n"     then  n  and n bytes of the host's: whatever it needs to make the tasks again
//! then entries, each of which begins with a byte:
//! 1 cc bb aa ee                 a slice: see below
//! 01  label                     the host spawned a task, the next in the order of spawning     (label: ±, against the last label)
//! 02  task  n text              a task ended; the text is its outcome's, as it is displayed
//! 03  amount                    nobody could run until then                                    (against the last such moment)
//! 04  index generation budget+1 amount+1 period weight+1   a group was made; budget, amount and weight are 0 if there is none
//! 05  index generation          a group was removed
//! 06  index generation weight   a group was given a weight
//! 07  index generation fuel     a group was refuelled
//! 08  task  n bytes             came in from outside to a task, in the slice that follows: a clock's time, random bytes, input
//! 09                            a task that was spawned in the slice before was not taken in: the policy refused it
//! 10  task                      the host killed a task
//! 11  task                      stopped it
//! 12  task                      suspended it
//! 13  task                      resumed it
//! 14  task  fuel                refuelled it
//! 15  task  which value         changed its quantum (0), weight, priority, period, runtime, deadline, partition (6)
//! 16  task  n name  offset  n bytes   wrote to an exported memory
//! 17  task  n name  type bits        set an exported global: i32 (0), i64, f32, f64, v128 (4); bits in 16 bytes, the lowest first
//! 7e  sum                       at least every 4,096 entries: the checksum of all bytes before `sum`
//! 7f  slices switches fuel sum  the end of the recording, with the totals
//! ```
//!
//! Numbers are LEB128: seven bits a byte, the lowest first, the top bit set in all bytes but the last. *budget+1* and *amount+1* may be
//! 2<sup>64</sup>, which is written as `0` in ten bytes. *task* is a position in the order of spawning, counted from 0, as the difference to
//! the last task named so, ±; a number marked ± is doubled, and if it is negative its bits are then turned, so that small differences are
//! small numbers. *sum* is FNV-1a in 64 bits, in eight bytes, the lowest first.
//!
//! A slice is what there are millions of. Its first byte says with `ee` how the slice ended (preempted, yielded, blocked, ended), with `aa`
//! whose it was (0 the same task's as the last one; 1 the next task's; 2 see *task*, which follows), with `bb` what was granted (0 the same as
//! the last time to this task; 1 the difference follows, ±), and with `cc`, of which the upper bit is the 6th, what was used (0 the grant; 1
//! more, and 2 less, by what follows).
//!
//! After a slice that ended its task, a kill and a stop comes the end of that task. The end of a task anywhere else is one whose group's budget
//! was used up when it was picked, or one of a deadlock. A task that was spawned by a task comes behind the slice in which it was.

mod read;
mod write;

pub use read::Recording;
pub use write::Recorder;

use super::GroupControl;
use crate::reason::{Control, SliceEnd};
use crate::unit::{Fuel, GroupId};
use crate::value::ValueType;
use std::collections::HashMap;

/// The first line of every recording, up to the version.
const MAGIC: &[u8] = b"fuelsched recording ";
/// The version that is written here.
const VERSION: &str = "3";
/// Older versions, which are read as well.
const OLDER: [&str; 2] = ["1", "2"];

/// The first byte of a slice has this bit.
const SLICE: u8 = 0x80;
/// It is of the task after the last one.
const NEXT_TASK: u8 = 1 << 2;
/// Its task is named.
const NAMED_TASK: u8 = 2 << 2;
/// Both bits that say whose it is.
const WHOSE: u8 = 3 << 2;
/// The grant is another than the task's last.
const OTHER_GRANT: u8 = 1 << 4;
/// More was used than granted.
const MORE: u8 = 1 << 5;
/// Less was used than granted.
const LESS: u8 = 2 << 5;
/// Both bits that say what was used.
const USED: u8 = 3 << 5;

/// The types of values, by their numbers.
const TYPES: [ValueType; 5] = [ValueType::I32, ValueType::I64, ValueType::F32, ValueType::F64, ValueType::V128];

/// The ends of slices, by their numbers.
const ENDS: [SliceEnd; 4] = [SliceEnd::Preempted, SliceEnd::Yielded, SliceEnd::Blocked, SliceEnd::Ended];

/// A task was spawned.
const SPAWNED: u8 = 0x01;
/// A task ended.
const ENDED: u8 = 0x02;
/// The virtual clock jumped.
const IDLE: u8 = 0x03;
/// A group was made.
const GROUP_ADD: u8 = 0x04;
/// A group was removed.
const GROUP_REMOVE: u8 = 0x05;
/// A group was given a weight.
const GROUP_WEIGHT: u8 = 0x06;
/// A group was refuelled.
const GROUP_REFUEL: u8 = 0x07;
/// Something came in from outside.
const INPUT: u8 = 0x08;
/// A spawned task was not taken in.
const REFUSED: u8 = 0x09;
/// The host killed a task.
const KILL: u8 = 0x10;
/// It stopped one.
const STOP: u8 = 0x11;
/// It suspended one.
const SUSPEND: u8 = 0x12;
/// It resumed one.
const RESUME: u8 = 0x13;
/// It refuelled one.
const REFUEL: u8 = 0x14;
/// It changed a parameter of one.
const SET: u8 = 0x15;
/// It wrote to a memory of one.
const WRITE_MEMORY: u8 = 0x16;
/// It set a global of one.
const SET_GLOBAL: u8 = 0x17;
/// A checksum.
const CHECK: u8 = 0x7e;
/// The end.
const END: u8 = 0x7f;

/// Entries from one checksum to the next.
const CHECK_EVERY: u32 = 4_096;

/// One entry of a recording. Tasks are named by their places in the order of spawning, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The host spawned a task.
    Spawned {
        /// Its place.
        spawn_index: u64,
        /// The host's own number for it: see [`Task::label`](crate::Task::label).
        label: u64,
    },
    /// A task ran.
    Slice {
        /// The task.
        spawn_index: u64,
        /// Fuel granted.
        grant: Fuel,
        /// Fuel used.
        used: Fuel,
        /// Why the slice ended.
        end: SliceEnd,
    },
    /// A task ended. If neither its last slice nor a kill nor a stop came just before, it was picked and its group's budget was used up.
    Ended {
        /// The task.
        spawn_index: u64,
        /// The outcome, as it is displayed.
        outcome: String,
    },
    /// Something came in from outside to a task, in its next slice.
    Input {
        /// The task.
        spawn_index: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// A task that was spawned in the slice before was not taken in.
    Refused,
    /// The host did something to a task.
    Control {
        /// The task.
        spawn_index: u64,
        /// What it did.
        control: Control,
    },
    /// The host did something to a group.
    Group {
        /// The group.
        id: GroupId,
        /// What it did.
        control: GroupControl,
    },
    /// Nobody could run, and the virtual clock was moved.
    Idle {
        /// To this moment.
        until: Fuel,
    },
    /// The recording was finished.
    End {
        /// Slices in it.
        slices: u64,
        /// Slices that did not end their task.
        switches: u64,
        /// Fuel used.
        fuel: Fuel,
    },
}

/// What writer and reader know at a point of a recording, from what came before, so that an entry says only what is new.
#[derive(Debug, Default)]
struct Known {
    /// The last grant of each task that lives, by its place in the order of spawning.
    grants: HashMap<u64, u64>,
    /// The task that was named last.
    task: u64,
    /// The label of the task that was spawned last.
    label: u64,
    /// Where the virtual clock jumped last.
    idle: u64,
    /// Tasks spawned.
    spawned: u64,
    /// Slices.
    slices: u64,
    /// Slices that did not end their task.
    switches: u64,
    /// Fuel used.
    fuel: Fuel,
    /// Entries since the last checksum.
    unchecked: u32,
}

impl Known {
    /// Counts a slice.
    fn count(&mut self, used: Fuel, end: SliceEnd) {
        self.slices += 1;
        self.switches += u64::from(end != SliceEnd::Ended);
        self.fuel = self.fuel.plus(used);
    }
}

/// FNV-1a: each byte, changed alone, changes it.
#[derive(Clone, Copy, Debug)]
struct Sum(u64);

impl Sum {
    /// The sum of nothing.
    const fn new() -> Sum {
        Sum(0xcbf2_9ce4_8422_2325)
    }

    /// Adds bytes.
    fn add(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    }
}

/// A difference of two numbers, modulo 2<sup>64</sup>, as a number that is small if they are close.
const fn folded(difference: u64) -> u64 {
    (difference << 1) ^ (difference.cast_signed() >> 63).cast_unsigned()
}

/// The difference that was folded.
const fn unfolded(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}
