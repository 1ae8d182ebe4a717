//! Reading a recording, entry by entry. Whatever the bytes are, an entry or an error comes of them, and no more memory is used than they take.

use super::{
    CHECK, END, ENDED, ENDS, Event, GROUP_ADD, GROUP_REFUEL, GROUP_REMOVE, GROUP_WEIGHT, IDLE, INPUT, KILL, Known,
    LESS, MAGIC, MORE, NAMED_TASK, NEXT_TASK, OLDER, OTHER_GRANT, REFUEL, REFUSED, RESUME, SET, SET_GLOBAL, SLICE,
    SPAWNED, STOP, SUSPEND, Sum, TYPES, USED, VERSION, WHOSE, WRITE_MEMORY, unfolded,
};
use crate::account::Group;
use crate::error::{Error, ErrorKind, Result};
use crate::reason::{Control, Param, SliceEnd};
use crate::trace::GroupControl;
use crate::unit::{Fuel, GroupId};
use crate::value::Value;
use std::io::Read as _;
use std::{fmt, io, mem};

/// The longest version that is shown.
const LONGEST_VERSION: usize = 20;

/// A recording that is read: an iterator over its events, the last of which is [`Event::End`]. After an error there are no more.
///
/// Bytes in memory are read as they are (`Recording::new(&bytes[..])`), a file through a [`BufReader`](io::BufReader).
pub struct Recording<R> {
    /// Where from.
    input: Input<R>,
    /// The host's bytes.
    header: Vec<u8>,
    /// What the entries so far say.
    known: Known,
    /// The task whose end has to come next.
    owed: Option<u64>,
    /// How many checksums have been read.
    checked: u64,
    /// Whether nothing more comes: the end was read, or an error.
    over: bool,
}

/// Bytes, counted and summed.
struct Input<R> {
    /// Where from.
    bytes: R,
    /// How many have been read.
    at: u64,
    /// Their sum.
    sum: Sum,
}

/// Why an entry cannot be read.
enum Fault {
    /// The bytes end in the middle of it.
    Cut,
    /// It says what cannot be.
    Damaged(String),
    /// The system says why.
    System(io::Error),
}

/// Something that cannot be.
fn damaged<T>(message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Damaged(message.into()))
}

impl<R: io::BufRead> Input<R> {
    /// The next byte; `None` at the end.
    fn next(&mut self) -> Result<Option<u8>, Fault> {
        let byte = loop {
            match self.bytes.fill_buf() {
                Ok(bytes) => break bytes.first().copied(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::System(error)),
            }
        };
        if let Some(byte) = byte {
            self.bytes.consume(1);
            self.at += 1;
            self.sum.add(&[byte]);
        }
        Ok(byte)
    }

    /// The next byte, in the middle of something.
    fn byte(&mut self) -> Result<u8, Fault> {
        self.next()?.ok_or(Fault::Cut)
    }

    /// A number; `None` for 2<sup>64</sup>, the one number of ten bytes that is written as 0.
    fn wide(&mut self) -> Result<Option<u64>, Fault> {
        let mut number = 0;
        for place in 0..10 {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << (7 * place);
            match (place, byte) {
                (9, 0) if number == 0 => return Ok(None),
                (9, 2..) => break,
                (_, ..0x80) => return Ok(Some(number)),
                _ => {}
            }
        }
        damaged("a number has more than 64 bits")
    }

    /// A number.
    fn number(&mut self) -> Result<u64, Fault> {
        match self.wide()? {
            Some(number) => Ok(number),
            None => damaged("a number has more than 64 bits"),
        }
    }

    /// A number of a smaller type.
    fn small<T: TryFrom<u64>>(&mut self) -> Result<T, Fault> {
        let number = self.number()?;
        T::try_from(number).or_else(|_| damaged(format!("{number} is too large for what it is")))
    }

    /// A number that may be missing.
    fn maybe(&mut self) -> Result<Option<u64>, Fault> {
        Ok(match self.wide()? {
            None => Some(u64::MAX),
            Some(more) => more.checked_sub(1),
        })
    }

    /// A number of bytes, and as many bytes. What is not there takes no memory.
    fn text(&mut self) -> Result<Vec<u8>, Fault> {
        let length = self.number()?;
        let mut text = Vec::new();
        let read = (&mut self.bytes).take(length).read_to_end(&mut text);
        self.at += text.len() as u64;
        self.sum.add(&text);
        match read {
            Err(error) => Err(Fault::System(error)),
            Ok(_) if (text.len() as u64) < length => Err(Fault::Cut),
            Ok(_) => Ok(text),
        }
    }

    /// A checksum, which has to be right.
    fn check(&mut self) -> Result<(), Fault> {
        let expected = self.sum.0;
        let mut bytes = [0; 8];
        for byte in &mut bytes {
            *byte = self.byte()?;
        }
        if u64::from_le_bytes(bytes) == expected {
            return Ok(());
        }
        damaged("the checksum is not that of the bytes before it: some of them have been changed")
    }
}

impl<R: io::BufRead> Recording<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// [`ErrorKind::NotARecording`], [`ErrorKind::Recording`] if even the header is cut off, [`ErrorKind::ReadRecording`].
    pub fn new(bytes: R) -> Result<Recording<R>> {
        let input = Input { bytes, at: 0, sum: Sum::new() };
        let mut recording =
            Recording { input, header: Vec::new(), known: Known::default(), owed: None, checked: 0, over: false };
        recording.first_line()?;
        let begins = recording.input.at;
        recording.header = recording.input.text().map_err(|fault| recording.error(fault, begins))?;
        Ok(recording)
    }

    /// The host's own bytes, with which the recording begins.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Slices so far that did not end their task.
    #[must_use]
    pub fn switches(&self) -> u64 {
        self.known.switches
    }

    /// Reads on to the next checksum, without a word of what the entries say.
    ///
    /// # Errors
    /// What is wrong with the bytes up to there.
    pub(crate) fn verify(&mut self) -> Result<()> {
        let checked = self.checked;
        while self.checked == checked && !self.over {
            self.read()?;
        }
        Ok(())
    }

    /// Reads the line that says what this is.
    fn first_line(&mut self) -> Result<()> {
        let not = |message: &str| ErrorKind::NotARecording { message: format!("not a recording: {message}") };
        for (i, expected) in MAGIC.iter().enumerate() {
            match self.input.next().map_err(|fault| self.error(fault, 0))? {
                Some(byte) if byte == *expected => {}
                None if i == 0 => return Err(not("the file is empty").into()),
                None => return Err(self.error(Fault::Cut, 0)),
                Some(_) => return Err(not("it does not begin with \"fuelsched recording\"").into()),
            }
        }
        let version = self.version().map_err(|fault| self.error(fault, 0))?;
        match version.as_str() {
            VERSION => Ok(()),
            older if OLDER.contains(&older) => Ok(()),
            "" => Err(not("its first line has no version").into()),
            other => {
                let older = OLDER.join(", ");
                let message =
                    format!("a recording of version {other}, and this build reads versions {older} and {VERSION}");
                Err(ErrorKind::NotARecording { message }.into())
            }
        }
    }

    /// Reads the version: the digits up to the line's end. Nothing, if there is anything else.
    fn version(&mut self) -> Result<String, Fault> {
        let mut version = String::new();
        loop {
            match self.input.byte()? {
                b'\n' => return Ok(version),
                digit @ b'0'..=b'9' if version.len() < LONGEST_VERSION => version.push(char::from(digit)),
                _ => return Ok(String::new()),
            }
        }
    }

    /// Why the entry that begins at `at` cannot be read.
    fn error(&self, fault: Fault, at: u64) -> Error {
        let switches = self.known.switches;
        let damaged = |at, cut, message| ErrorKind::Recording { switches, at, cut, message };
        let kind = match fault {
            Fault::System(source) => ErrorKind::ReadRecording { source },
            Fault::Cut if self.input.at == at => damaged(at, true, "the file ends with no end marker,".into()),
            Fault::Cut => damaged(self.input.at, true, "the file ends in the middle of an entry,".into()),
            Fault::Damaged(message) => damaged(at, false, message),
        };
        kind.into()
    }

    /// Reads an entry; `None` if it was a checksum.
    fn event(&mut self) -> Result<Option<Event>, Fault> {
        match self.input.byte()? {
            CHECK => {
                self.input.check()?;
                self.checked += 1;
                Ok(None)
            }
            head => self.entry(head).map(Some),
        }
    }

    /// Reads an entry; if it is none, there are no more.
    fn read(&mut self) -> Result<Option<Event>> {
        let begins = self.input.at;
        self.event().map_err(|fault| {
            self.over = true;
            self.error(fault, begins)
        })
    }

    /// Reads the entry that begins so.
    fn entry(&mut self, head: u8) -> Result<Event, Fault> {
        if let Some(owed) = self.owed
            && head != ENDED
        {
            return damaged(format!("task {owed} has ended, and its outcome does not follow"));
        }
        match head {
            SLICE.. => self.slice(head),
            SPAWNED => self.spawned(),
            ENDED => self.ended(),
            IDLE => {
                let until = self.known.idle.checked_add(self.input.number()?);
                self.known.idle = until.map_or_else(|| damaged("the virtual clock runs over"), Ok)?;
                Ok(Event::Idle { until: Fuel(self.known.idle) })
            }
            GROUP_ADD..=GROUP_REFUEL => self.group(head),
            INPUT => Ok(Event::Input { spawn_index: self.task()?, bytes: self.input.text()? }),
            REFUSED => Ok(Event::Refused),
            KILL..=SET_GLOBAL => self.control(head),
            END => self.end(),
            _ => damaged(format!("there is no entry of the kind {head:#04x}")),
        }
    }

    /// Reads the name of a task, which has to live.
    fn task(&mut self) -> Result<u64, Fault> {
        let task = self.known.task.wrapping_add(unfolded(self.input.number()?));
        self.known.task = self.living(task)?;
        Ok(task)
    }

    /// A task, if it lives.
    fn living(&self, task: u64) -> Result<u64, Fault> {
        if self.known.grants.contains_key(&task) {
            return Ok(task);
        }
        damaged(format!("it is about task {task}, which is not there"))
    }

    /// Reads that a task was spawned.
    fn spawned(&mut self) -> Result<Event, Fault> {
        self.known.label = self.known.label.wrapping_add(unfolded(self.input.number()?));
        let spawn_index = self.known.spawned;
        self.known.grants.insert(spawn_index, 0);
        self.known.spawned += 1;
        Ok(Event::Spawned { spawn_index, label: self.known.label })
    }

    /// Reads a slice.
    fn slice(&mut self, head: u8) -> Result<Event, Fault> {
        let spawn_index = match head & WHOSE {
            0 => self.living(self.known.task)?,
            NEXT_TASK => self.living(self.known.task.wrapping_add(1))?,
            NAMED_TASK => self.task()?,
            _ => return damaged("a slice is of no task"),
        };
        self.known.task = spawn_index;
        let change = if head & OTHER_GRANT == 0 { 0 } else { unfolded(self.input.number()?) };
        let last = self.known.grants.get(&spawn_index).copied().unwrap_or_default();
        let grant = last.wrapping_add(change);
        if grant == 0 {
            return damaged("a slice was granted nothing");
        }
        let used = match head & USED {
            0 => Some(grant),
            MORE => grant.checked_add(self.input.number()?),
            LESS => grant.checked_sub(self.input.number()?),
            _ => None,
        };
        let Some(used) = used.map(Fuel) else {
            return damaged("a slice used what cannot be");
        };
        self.known.grants.insert(spawn_index, grant);
        let end = ENDS[usize::from(head & 3)];
        self.known.count(used, end);
        self.owed = (end == SliceEnd::Ended).then_some(spawn_index);
        Ok(Event::Slice { spawn_index, grant: Fuel(grant), used, end })
    }

    /// Reads that a task ended.
    fn ended(&mut self) -> Result<Event, Fault> {
        let spawn_index = self.task()?;
        if let Some(owed) = mem::take(&mut self.owed)
            && owed != spawn_index
        {
            return damaged(format!("task {owed} has ended, and the outcome is task {spawn_index}'s"));
        }
        self.known.grants.remove(&spawn_index);
        match String::from_utf8(self.input.text()?) {
            Ok(outcome) => Ok(Event::Ended { spawn_index, outcome }),
            Err(_) => damaged("an outcome is not UTF-8"),
        }
    }

    /// Reads what the host did to a task.
    fn control(&mut self, head: u8) -> Result<Event, Fault> {
        let spawn_index = self.task()?;
        let control = match head {
            KILL => Control::Kill,
            STOP => Control::Stop,
            SUSPEND => Control::Suspend,
            RESUME => Control::Resume,
            REFUEL => Control::Refuel(Fuel(self.input.number()?)),
            SET => Control::Set(self.param()?),
            WRITE_MEMORY => {
                Control::WriteMemory { export: self.name()?, offset: self.input.small()?, bytes: self.input.text()? }
            }
            _ => Control::SetGlobal { export: self.name()?, value: self.value()? },
        };
        self.owed = matches!(control, Control::Kill | Control::Stop).then_some(spawn_index);
        Ok(Event::Control { spawn_index, control })
    }

    /// Reads the name of an export.
    fn name(&mut self) -> Result<String, Fault> {
        String::from_utf8(self.input.text()?).or_else(|_| damaged("a name is not UTF-8"))
    }

    /// Reads a value.
    fn value(&mut self) -> Result<Value, Fault> {
        let which = self.input.byte()?;
        let Some(ty) = TYPES.get(usize::from(which)) else {
            return damaged(format!("there is no type {which}"));
        };
        let mut bits = [0; 16];
        for byte in &mut bits {
            *byte = self.input.byte()?;
        }
        Ok(Value::from_bits(*ty, u128::from_le_bytes(bits)))
    }

    /// Reads a parameter.
    fn param(&mut self) -> Result<Param, Fault> {
        Ok(match self.input.byte()? {
            0 => Param::Quantum(Fuel(self.input.number()?)),
            1 => Param::Weight(self.input.small()?),
            2 => Param::Priority(self.input.small()?),
            3 => Param::Period(Fuel(self.input.number()?)),
            4 => Param::Runtime(Fuel(self.input.number()?)),
            5 => Param::Deadline(Fuel(self.input.number()?)),
            6 => Param::Partition(self.input.small()?),
            other => return damaged(format!("there is no parameter {other}")),
        })
    }

    /// Reads what the host did to a group.
    fn group(&mut self, head: u8) -> Result<Event, Fault> {
        let id = GroupId::new(self.input.small()?, self.input.small()?);
        let control = match head {
            GROUP_ADD => GroupControl::Add(self.new_group()?),
            GROUP_REMOVE => GroupControl::Remove,
            GROUP_WEIGHT => GroupControl::Weight(self.input.small()?),
            _ => GroupControl::Refuel(Fuel(self.input.number()?)),
        };
        Ok(Event::Group { id, control })
    }

    /// Reads what a group was made with.
    fn new_group(&mut self) -> Result<Group, Fault> {
        let mut group = Group::new();
        group.budget = self.input.maybe()?.map(Fuel);
        let amount = self.input.maybe()?.map(Fuel);
        let period = Fuel(self.input.number()?);
        group.allowance = amount.map(|amount| (amount, period));
        group.weight = match self.input.maybe()?.map(u32::try_from).transpose() {
            Ok(weight) => weight,
            Err(_) => return damaged("the weight of a group is too large"),
        };
        Ok(group)
    }

    /// Reads the end.
    fn end(&mut self) -> Result<Event, Fault> {
        let (slices, switches) = (self.input.number()?, self.input.number()?);
        let fuel = Fuel(self.input.number()?);
        self.input.check()?;
        if (slices, switches, fuel) != (self.known.slices, self.known.switches, self.known.fuel) {
            return damaged("the totals are not those of the entries");
        }
        if self.input.next()?.is_some() {
            return damaged("there is more after the end");
        }
        self.over = true;
        Ok(Event::End { slices, switches, fuel })
    }
}

impl<R: io::BufRead> Iterator for Recording<R> {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        while !self.over {
            if let Some(event) = self.read().transpose() {
                return Some(event);
            }
        }
        None
    }
}

impl<R> fmt::Debug for Recording<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("at", &self.input.at)
            .field("switches", &self.known.switches)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}
