//! Writing a recording, while the run is running.

use super::{
    CHECK, CHECK_EVERY, END, ENDED, ENDS, GROUP_ADD, GROUP_REFUEL, GROUP_REMOVE, GROUP_WEIGHT, IDLE, INPUT, KILL,
    Known, LESS, MAGIC, MORE, NAMED_TASK, NEXT_TASK, OTHER_GRANT, REFUEL, REFUSED, RESUME, SET, SET_GLOBAL, SLICE,
    SPAWNED, STOP, SUSPEND, Sum, TYPES, VERSION, WRITE_MEMORY, folded,
};
use crate::reason::{Control, Param};
use crate::trace::{Ended, GroupControl, Observer, Slice, Spawned};
use crate::unit::{Fuel, GroupId};
use crate::value::Value;
use std::{fmt, io, mem};

/// The buffer is written out when it holds as many bytes.
const BUFFER: usize = 64 * 1024;

/// An observer that records what it sees, for a [`Replay`](crate::Replay).
///
/// It has to watch from before the first task is spawned. What it writes goes through a buffer of its own, so that a file needs no other; what
/// is still in there when a recorder is dropped is written then, without the end marker.
pub struct Recorder<W: io::Write> {
    /// Where to. `None` once it has been given back.
    out: Option<W>,
    /// Written, but not yet to `out`.
    buffer: Vec<u8>,
    /// How much of the buffer is in `sum`.
    summed: usize,
    /// The sum of all bytes before.
    sum: Sum,
    /// What the entries so far say.
    known: Known,
    /// What went wrong first. Nothing is written after that.
    failed: Option<io::Error>,
}

impl<W: io::Write> Recorder<W> {
    /// A recording that begins with these bytes, which are the host's own: whatever it needs to make the tasks again.
    ///
    /// # Errors
    /// Those of writing to `out`, which is tried with the bytes.
    pub fn new(out: W, header: &[u8]) -> io::Result<Recorder<W>> {
        let mut recorder = Recorder {
            out: Some(out),
            buffer: Vec::with_capacity(BUFFER + 4_096),
            summed: 0,
            sum: Sum::new(),
            known: Known::default(),
            failed: None,
        };
        recorder.buffer.extend_from_slice(MAGIC);
        recorder.buffer.extend_from_slice(VERSION.as_bytes());
        recorder.buffer.push(b'\n');
        recorder.bytes(header);
        recorder.flush()?;
        Ok(recorder)
    }

    /// Ends the recording, writes what is in the buffer, and gives `out` back.
    ///
    /// # Errors
    /// The first that there was, at any time since the recording began. It is then not complete, and what was written before can be
    /// replayed.
    pub fn finish(mut self) -> io::Result<W> {
        self.buffer.push(END);
        self.number(self.known.slices);
        self.number(self.known.switches);
        self.number(self.known.fuel.0);
        self.put_sum();
        self.flush()?;
        self.out.take().ok_or_else(|| io::Error::other("the recording was finished before"))
    }

    /// Writes what is in the buffer, so that it can be read if the process ends before the recording is finished.
    ///
    /// # Errors
    /// The first that there was, at any time since the recording began. [`Recorder::finish`] will not tell of it again.
    pub fn flush(&mut self) -> io::Result<()> {
        self.write_out();
        if let (Some(out), None) = (&mut self.out, &self.failed) {
            self.failed = out.flush().err();
        }
        match self.failed.take() {
            None => Ok(()),
            Some(error) => {
                self.failed = Some(io::Error::other("the recording failed before"));
                Err(error)
            }
        }
    }

    /// Writes the buffer.
    #[cold]
    fn write_out(&mut self) {
        self.bring_sum();
        if let (Some(out), None) = (&mut self.out, &self.failed)
            && let Err(error) = out.write_all(&self.buffer)
        {
            self.failed = Some(error);
        }
        self.buffer.clear();
        self.summed = 0;
    }

    /// Keeps an error, unless there was one before.
    #[cold]
    fn fail(&mut self, error: io::Error) {
        self.failed.get_or_insert(error);
    }

    /// Brings the sum up to what has been written so far.
    fn bring_sum(&mut self) {
        self.sum.add(&self.buffer[self.summed..]);
        self.summed = self.buffer.len();
    }

    /// Writes the sum of everything before it.
    #[cold]
    fn put_sum(&mut self) {
        self.bring_sum();
        self.buffer.extend_from_slice(&self.sum.0.to_le_bytes());
        self.known.unchecked = 0;
    }

    /// Completes an entry.
    fn close(&mut self) {
        self.known.unchecked += 1;
        if self.known.unchecked == CHECK_EVERY {
            self.buffer.push(CHECK);
            self.put_sum();
        }
        if self.buffer.len() >= BUFFER {
            self.write_out();
        }
    }

    /// Writes a number.
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.buffer.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.buffer.push(number as u8);
    }

    /// Writes a number that may be missing: 0 if it is, else one more.
    fn maybe(&mut self, number: Option<u64>) {
        match number.map(|number| number.checked_add(1)) {
            None => self.buffer.push(0),
            Some(Some(more)) => self.number(more),
            // 2^64, in the only number of ten bytes that is 0.
            Some(None) => self.buffer.extend_from_slice(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]),
        }
    }

    /// Writes bytes behind their number.
    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.buffer.extend_from_slice(bytes);
    }

    /// Puts a value in: its type, and its bits.
    fn value(&mut self, value: &Value) {
        let which = TYPES.iter().position(|ty| *ty == value.ty()).unwrap_or_default();
        self.buffer.push(which as u8);
        self.buffer.extend_from_slice(&value.bits().to_le_bytes());
    }

    /// Begins an entry about a task. `false` if the recording knows nothing of it.
    fn about(&mut self, head: u8, spawn_index: u64) -> bool {
        if !self.known.grants.contains_key(&spawn_index) {
            self.fail(not_from_the_start(spawn_index));
            return false;
        }
        let last = mem::replace(&mut self.known.task, spawn_index);
        self.buffer.push(head);
        self.number(folded(spawn_index.wrapping_sub(last)));
        true
    }

    /// Begins an entry about a group.
    fn about_group(&mut self, head: u8, id: GroupId) {
        self.buffer.push(head);
        self.number(id.index() as u64);
        self.number(u64::from(id.generation()));
    }
}

/// A task that a recorder was not told of.
#[cold]
fn not_from_the_start(spawn_index: u64) -> io::Error {
    io::Error::other(format!(
        "task {spawn_index} was spawned before the recording began; record from the start of a run"
    ))
}

/// The number of a parameter, and its value.
const fn numbered(param: Param) -> (u8, u64) {
    match param {
        Param::Quantum(fuel) => (0, fuel.0),
        Param::Weight(weight) => (1, weight as u64),
        Param::Priority(priority) => (2, priority as u64),
        Param::Period(fuel) => (3, fuel.0),
        Param::Runtime(fuel) => (4, fuel.0),
        Param::Deadline(fuel) => (5, fuel.0),
        Param::Partition(partition) => (6, partition as u64),
    }
}

impl<W: io::Write> Observer for Recorder<W> {
    fn spawned(&mut self, task: &Spawned) {
        if task.spawn_index != self.known.spawned {
            return self.fail(not_from_the_start(self.known.spawned));
        }
        self.known.spawned += 1;
        self.known.grants.insert(task.spawn_index, 0);
        let last = mem::replace(&mut self.known.label, task.label);
        self.buffer.push(SPAWNED);
        self.number(folded(task.label.wrapping_sub(last)));
        self.close();
    }

    fn control(&mut self, spawn_index: u64, control: &Control) {
        let head = match control {
            Control::Kill => KILL,
            Control::Stop => STOP,
            Control::Suspend => SUSPEND,
            Control::Resume => RESUME,
            Control::Refuel(_) => REFUEL,
            Control::Set(_) => SET,
            Control::WriteMemory { .. } => WRITE_MEMORY,
            Control::SetGlobal { .. } => SET_GLOBAL,
        };
        if !self.about(head, spawn_index) {
            return;
        }
        match control {
            Control::Refuel(fuel) => self.number(fuel.0),
            Control::Set(param) => {
                let (which, value) = numbered(*param);
                self.buffer.push(which);
                self.number(value);
            }
            Control::WriteMemory { export, offset, bytes } => {
                self.bytes(export.as_bytes());
                self.number(*offset as u64);
                self.bytes(bytes);
            }
            Control::SetGlobal { export, value } => {
                self.bytes(export.as_bytes());
                self.value(value);
            }
            Control::Kill | Control::Stop | Control::Suspend | Control::Resume => {}
        }
        self.close();
    }

    fn group(&mut self, id: GroupId, control: &GroupControl) {
        match control {
            GroupControl::Add(group) => {
                self.about_group(GROUP_ADD, id);
                self.maybe(group.budget.map(|fuel| fuel.0));
                self.maybe(group.allowance.map(|(amount, _)| amount.0));
                self.number(group.allowance.map_or(0, |(_, period)| period.0));
                self.maybe(group.weight.map(u64::from));
            }
            GroupControl::Remove => self.about_group(GROUP_REMOVE, id),
            GroupControl::Weight(weight) => {
                self.about_group(GROUP_WEIGHT, id);
                self.number(u64::from(*weight));
            }
            GroupControl::Refuel(fuel) => {
                self.about_group(GROUP_REFUEL, id);
                self.number(fuel.0);
            }
        }
        self.close();
    }

    fn idle(&mut self, _from: Fuel, until: Fuel) {
        let last = mem::replace(&mut self.known.idle, until.0);
        self.buffer.push(IDLE);
        self.number(until.0.wrapping_sub(last));
        self.close();
    }

    fn records(&self) -> bool {
        true
    }

    fn refused(&mut self, _by: u64) {
        self.buffer.push(REFUSED);
        self.close();
    }

    fn input(&mut self, spawn_index: u64, bytes: &[u8]) {
        if self.about(INPUT, spawn_index) {
            self.bytes(bytes);
            self.close();
        }
    }

    fn slice(&mut self, slice: &Slice) {
        let Some(last_grant) = self.known.grants.get_mut(&slice.spawn_index) else {
            return self.fail(not_from_the_start(slice.spawn_index));
        };
        let (grant, used) = (slice.grant.0, slice.used.0);
        let change = folded(grant.wrapping_sub(mem::replace(last_grant, grant)));
        let last_task = mem::replace(&mut self.known.task, slice.spawn_index);
        let end = ENDS.iter().position(|end| *end == slice.end).unwrap_or_default() as u8;
        let (whose, step) = match slice.spawn_index.wrapping_sub(last_task) {
            0 => (0, None),
            1 => (NEXT_TASK, None),
            step => (NAMED_TASK, Some(folded(step))),
        };
        let (granted, change) = if change == 0 { (0, None) } else { (OTHER_GRANT, Some(change)) };
        let (spent, rest) = match used.cmp(&grant) {
            std::cmp::Ordering::Equal => (0, None),
            std::cmp::Ordering::Greater => (MORE, Some(used - grant)),
            std::cmp::Ordering::Less => (LESS, Some(grant - used)),
        };
        self.known.count(slice.used, slice.end);
        self.buffer.push(SLICE | spent | granted | whose | end);
        [step, change, rest].into_iter().flatten().for_each(|number| self.number(number));
        self.close();
    }

    fn ended(&mut self, task: &Ended) {
        if self.about(ENDED, task.spawn_index) {
            self.known.grants.remove(&task.spawn_index);
            self.bytes(task.outcome.to_string().as_bytes());
            self.close();
        }
    }
}

/// Writes what is in the buffer: a recording is wanted most when a run did not come to its end.
impl<W: io::Write> Drop for Recorder<W> {
    fn drop(&mut self) {
        if self.out.is_some() {
            let _ = self.flush();
        }
    }
}

impl<W: io::Write> fmt::Debug for Recorder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("slices", &self.known.slices)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
