//! What a guest reads from its standard input, and how it waits for it: the task waits, and never the host.
//!
//! Bytes in memory and regular files are there at once. All else comes through a [`Pipe`], which the embedder fills ([`Input::channel`]), or a plain
//! thread that sits in a `read` ([`Input::reader`], and [`Input::stdin`], of which there is one for the process).
//!
//! What comes from outside is recorded where somebody records: *each poll* of a reader goes through
//! [`Meter::take_in`](crate::ledger::Meter::take_in), those too that found nothing, so that a replay waits where the run did, and touches no input.

use super::abi::Errno;
use super::pipe::{Filler, Pipe};
use crate::ledger::Meter;
use crate::reason::BlockedOn;
use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io::{self, Cursor, IsTerminal, Read, Seek};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

/// What a guest reads. What comes from outside is shared by clones: what one task has read, the others do not get. Bytes in memory each task gets
/// all of.
#[derive(Clone)]
pub struct Input(Source);

/// Where it comes from.
#[derive(Clone)]
enum Source {
    /// From memory.
    Bytes(Arc<Mutex<Cursor<Arc<[u8]>>>>),
    /// From a regular file.
    File(Arc<Mutex<File>>),
    /// From a pipe.
    Pipe(Arc<Owner>),
}

impl Input {
    /// Nothing: the end, at once. It is what a task has unless it is given something else.
    #[must_use]
    pub fn empty() -> Input {
        Input::bytes([])
    }

    /// These bytes, and then the end.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Input {
        Input::from_start(bytes.into().into())
    }

    /// These bytes, none of which has been read.
    fn from_start(bytes: Arc<[u8]>) -> Input {
        Input(Source::Bytes(Arc::new(Mutex::new(Cursor::new(bytes)))))
    }

    /// What a new task gets.
    pub(super) fn for_task(&self) -> Input {
        match &self.0 {
            Source::Bytes(bytes) => Input::from_start(lock(bytes).get_ref().clone()),
            Source::File(_) | Source::Pipe(_) => self.clone(),
        }
    }

    /// A file. A regular one is read on the executor's thread, when the guest wants it; anything else, as by [`Input::reader`].
    ///
    /// # Errors
    /// Those of asking the system what the file is.
    pub fn file(file: File) -> io::Result<Input> {
        if file.metadata()?.is_file() {
            return Ok(Input(Source::File(Arc::new(Mutex::new(file)))));
        }
        Ok(Input::reader(file))
    }

    /// A reader that may take its time, and gets a thread of its own when a guest first reads. The thread ends with the reader, or when nobody wants
    /// to read any more and its read returns.
    pub fn reader(reader: impl Read + Send + 'static) -> Input {
        Input(Source::Pipe(Arc::new(Owner { pipe: Pipe::new(Some(Box::new(reader))), terminal: false })))
    }

    /// The process's standard input. One thread reads it for all tasks, from the first time on that one of them wants something.
    #[must_use]
    pub fn stdin() -> Input {
        static STDIN: OnceLock<Arc<Owner>> = OnceLock::new();
        let open = || Arc::new(Owner { pipe: Pipe::new(Some(Box::new(io::stdin()))), terminal: true });
        let owner = STDIN.get_or_init(open);
        Input(Source::Pipe(owner.clone()))
    }

    /// A pipe within the process, which the host fills from any thread.
    #[must_use]
    pub fn channel() -> (InputSender, Input) {
        let pipe = Pipe::new(None);
        let filler = Filler::new(pipe.clone());
        (InputSender(Arc::new(filler)), Input(Source::Pipe(Arc::new(Owner { pipe, terminal: false }))))
    }

    /// Whether it is the process's own.
    pub(super) fn is_of_process(&self) -> bool {
        matches!(&self.0, Source::Pipe(owner) if owner.terminal)
    }

    /// Whether a person types it.
    pub(super) fn is_terminal(&self) -> bool {
        self.is_of_process() && io::stdin().is_terminal()
    }

    /// Takes what is there, `most` bytes of it, or gets in line for what comes. The ticket is the reader's place in that line.
    fn poll_read(&self, most: usize, ticket: &mut Option<u64>, waker: &Waker) -> Answer {
        match &self.0 {
            Source::Bytes(bytes) => read_now(&mut *lock(bytes), most),
            Source::File(file) => read_now(&mut *lock(file), most),
            Source::Pipe(owner) => owner.pipe.poll_read(most, ticket, waker),
        }
    }

    /// How much there is to read, and whether the end has come; `None` if a reader would have to wait.
    fn poll_ready(&self, ticket: &mut Option<u64>, waker: &Waker) -> Option<Ready> {
        match &self.0 {
            Source::Bytes(bytes) => {
                let bytes = lock(bytes);
                let left = (bytes.get_ref().len() as u64).saturating_sub(bytes.position());
                Some(Ready { bytes: left, hangup: left == 0 })
            }
            Source::File(file) => Some(Ready { bytes: left_of(&mut lock(file)), hangup: false }),
            Source::Pipe(owner) => owner.pipe.poll_ready(ticket, waker),
        }
    }

    /// Gives a place in a line up.
    fn forget(&self, ticket: Option<u64>) {
        if let (Source::Pipe(owner), Some(ticket)) = (&self.0, ticket) {
            owner.pipe.forget(ticket);
        }
    }

    /// Whether what is read is part of the task's settings, and so the same in a replay without being recorded.
    fn is_settled(&self) -> bool {
        matches!(self.0, Source::Bytes(_))
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Source::Bytes(_) => "Bytes",
            Source::File(_) => "File",
            Source::Pipe(_) => "Pipe",
        })
    }
}

/// Reads what is there without waiting.
fn read_now(from: &mut impl Read, most: usize) -> Answer {
    let mut bytes = vec![0; most];
    match from.read(&mut bytes) {
        Ok(len) => {
            bytes.truncate(len);
            Answer::Read(bytes)
        }
        Err(error) => Answer::Failed(error.into()),
    }
}

/// How much of a regular file is left; 1 if that cannot be said.
fn left_of(file: &mut File) -> u64 {
    match (file.metadata(), file.stream_position()) {
        (Ok(metadata), Ok(position)) => metadata.len().saturating_sub(position),
        _ => 1,
    }
}

/// Locks. Nothing that panics runs meanwhile.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a reader gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has to wait.
    NotYet,
    /// These bytes; none at the end.
    Read(Vec<u8>),
    /// Reading failed.
    Failed(Errno),
}

impl Answer {
    /// As it is recorded.
    fn to_tape(&self) -> Vec<u8> {
        match self {
            Answer::NotYet => Vec::new(),
            Answer::Read(bytes) => [&[1], &bytes[..]].concat(),
            Answer::Failed(errno) => [&[2], &(*errno as u16).to_le_bytes()[..]].concat(),
        }
    }

    /// From how it was recorded.
    fn from_tape(mut tape: Vec<u8>) -> Answer {
        match tape[..] {
            [] => Answer::NotYet,
            [2, low, high] => Answer::Failed(Errno::from_number(u16::from_le_bytes([low, high]))),
            _ => Answer::Read(tape.split_off(1)),
        }
    }
}

/// What there is to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ready {
    /// So many bytes.
    pub(super) bytes: u64,
    /// Whether no more will come.
    pub(super) hangup: bool,
}

impl Ready {
    /// As it is recorded, or that there is nothing.
    fn to_tape(ready: Option<Ready>) -> u64 {
        ready.map_or(u64::MAX, |ready| (ready.bytes << 1) | u64::from(ready.hangup))
    }

    /// From how it was recorded.
    fn from_tape(tape: u64) -> Option<Ready> {
        (tape != u64::MAX).then_some(Ready { bytes: tape >> 1, hangup: tape & 1 != 0 })
    }
}

/// The guests' end of a pipe. Who fills it does not hold this, and learns when it is gone.
struct Owner {
    /// The pipe.
    pipe: Arc<Pipe>,
    /// Whether it is the process's standard input.
    terminal: bool,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.pipe.abandon();
    }
}

/// The host's end of an [`Input::channel`]. Clones fill the same pipe; when the last is dropped the guest reads the end.
#[derive(Clone, Debug)]
pub struct InputSender(Arc<Filler>);

impl InputSender {
    /// Appends bytes, from any thread. Says whether somebody could read them: not after [`InputSender::close`], nor when all of the guests' ends are
    /// gone. What no guest reads stays in memory.
    pub fn push(&self, bytes: &[u8]) -> bool {
        self.0.fill(bytes)
    }

    /// After what was pushed, all read the end.
    pub fn close(&self) {
        self.0.close();
    }
}

/// A task that reads, and waits if it has to.
#[derive(Debug)]
pub(super) struct Reading {
    /// From there.
    input: Input,
    /// The task's.
    meter: Arc<Meter>,
    /// So much.
    most: usize,
    /// Its place in the line.
    ticket: Option<u64>,
}

impl Reading {
    /// A read of `most` bytes.
    pub(super) fn new(input: Input, meter: Arc<Meter>, most: usize) -> Reading {
        Reading { input, meter, most, ticket: None }
    }

    /// Looks once.
    pub(super) fn look(&mut self, waker: &Waker) -> Answer {
        let Reading { input, meter, most, ticket } = self;
        if input.is_settled() {
            return input.poll_read(*most, ticket, waker);
        }
        Answer::from_tape(meter.take_in(|| input.poll_read(*most, ticket, waker).to_tape()))
    }
}

impl Future for Reading {
    type Output = Result<Vec<u8>, Errno>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Vec<u8>, Errno>> {
        match self.look(cx.waker()) {
            Answer::Read(bytes) => Poll::Ready(Ok(bytes)),
            Answer::Failed(errno) => Poll::Ready(Err(errno)),
            Answer::NotYet => {
                self.meter.blocking(BlockedOn::Input);
                Poll::Pending
            }
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.input.forget(self.ticket);
    }
}

/// A task that wants to know when there is something to read.
#[derive(Debug)]
pub(super) struct Watching {
    /// There.
    input: Input,
    /// Its entry.
    ticket: Option<u64>,
}

impl Watching {
    /// Watches an input.
    pub(super) fn new(input: Input) -> Watching {
        Watching { input, ticket: None }
    }

    /// What there is, or a wake when there is something.
    pub(super) fn look(&mut self, meter: &Meter, waker: &Waker) -> Option<Ready> {
        let Watching { input, ticket } = self;
        if input.is_settled() {
            return input.poll_ready(ticket, waker);
        }
        Ready::from_tape(meter.take_in(|| Ready::to_tape(input.poll_ready(ticket, waker))))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.input.forget(self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_what_was_read() {
        for answer in [Answer::NotYet, Answer::Read(vec![]), Answer::Read(vec![2, 0, 0]), Answer::Failed(Errno::Io)] {
            assert_eq!(Answer::from_tape(answer.to_tape()), answer);
        }
        for ready in [None, Some(Ready { bytes: 0, hangup: true }), Some(Ready { bytes: 7, hangup: false })] {
            assert_eq!(Ready::from_tape(Ready::to_tape(ready)), ready);
        }
    }
}
