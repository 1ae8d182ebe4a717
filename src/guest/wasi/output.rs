//! Where a guest's standard output and error go.
//!
//! An [`Output`] says where; each task that is built gets a [`Sink`] of its own from it, which holds what is only this task's: the line that it has
//! begun. Writing is done at once, on the executor's thread: an output that does not take what it is given (a pipe that nobody reads) holds up
//! the host as a `println!` would.

use super::memory::LARGEST_TRANSFER;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where what a guest prints goes. Clones go to the same place.
#[derive(Clone)]
pub struct Output(Target);

/// The places.
#[derive(Clone)]
enum Target {
    /// The process's standard output.
    Stdout,
    /// The process's standard error.
    Stderr,
    /// Nowhere.
    Discard,
    /// A writer of the embedder's.
    Writer(Arc<Mutex<Box<dyn Write + Send>>>),
    /// Memory.
    Captured(Captured),
    /// Another output, by whole lines with this before each.
    Lines(Arc<str>, Box<Output>),
}

impl Output {
    /// The process's standard output, as it is.
    #[must_use]
    pub fn stdout() -> Output {
        Output(Target::Stdout)
    }

    /// The process's standard error, as it is.
    #[must_use]
    pub fn stderr() -> Output {
        Output(Target::Stderr)
    }

    /// Nowhere: whatever is written counts as written. It is what a task has unless it is given something else.
    #[must_use]
    pub fn discard() -> Output {
        Output(Target::Discard)
    }

    /// A writer. An error of its is the guest's to deal with; it is called on the executor's thread, with 64 KiB at most.
    pub fn writer(writer: impl Write + Send + 'static) -> Output {
        Output(Target::Writer(Arc::new(Mutex::new(Box::new(writer)))))
    }

    /// Whole lines to another output, with `prefix` before each, so that what several tasks print can be told apart. What a task has begun and not
    /// ended is written when it ends, as a line; so is a line of 64 KiB.
    pub fn lines(prefix: impl Into<Arc<str>>, to: Output) -> Output {
        Output(Target::Lines(prefix.into(), Box::new(to)))
    }

    /// Memory, of which the handle shows what is in it. Only the first `limit` bytes are kept; the guest does not notice.
    #[must_use]
    pub fn captured(limit: usize) -> (Output, Captured) {
        let captured = Captured(Arc::new(Mutex::new(Kept { bytes: Vec::new(), limit, dropped: 0 })));
        (Output(Target::Captured(captured.clone())), captured)
    }

    /// Whether it is one of the process's own.
    pub(super) fn is_of_process(&self) -> bool {
        match &self.0 {
            Target::Stdout | Target::Stderr => true,
            Target::Lines(_, to) => to.is_of_process(),
            Target::Discard | Target::Writer(_) | Target::Captured(_) => false,
        }
    }

    /// Whether a person sees it: it is a terminal, or lines that go to one.
    pub(super) fn is_terminal(&self) -> bool {
        match &self.0 {
            Target::Stdout => io::stdout().is_terminal(),
            Target::Stderr => io::stderr().is_terminal(),
            Target::Lines(_, to) => to.is_terminal(),
            Target::Discard | Target::Writer(_) | Target::Captured(_) => false,
        }
    }

    /// Writes all of it, and sees to it that it is seen.
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match &self.0 {
            Target::Stdout => all(&mut io::stdout().lock(), bytes),
            Target::Stderr => all(&mut io::stderr().lock(), bytes),
            Target::Discard => Ok(()),
            Target::Writer(writer) => all(&mut *lock(writer), bytes),
            Target::Captured(captured) => {
                captured.keep(bytes);
                Ok(())
            }
            // A prefix before lines that have one already, without the state of a sink: each piece is taken as whole lines.
            Target::Lines(prefix, to) => {
                let mut lines = Vec::new();
                bytes.split_inclusive(|byte| *byte == b'\n').for_each(|line| push_line(&mut lines, prefix, line));
                to.write(&lines)
            }
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Target::Stdout => f.write_str("Stdout"),
            Target::Stderr => f.write_str("Stderr"),
            Target::Discard => f.write_str("Discard"),
            Target::Writer(_) => f.write_str("Writer"),
            Target::Captured(captured) => captured.fmt(f),
            Target::Lines(prefix, to) => f.debug_tuple("Lines").field(prefix).field(to).finish(),
        }
    }
}

/// Writes all of it.
fn all(to: &mut (impl Write + ?Sized), bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

/// Appends a line with its prefix, and with its end if that is missing.
fn push_line(lines: &mut Vec<u8>, prefix: &str, line: &[u8]) {
    lines.extend_from_slice(prefix.as_bytes());
    lines.extend_from_slice(line);
    if !line.ends_with(b"\n") {
        lines.push(b'\n');
    }
}

/// Locks, also after a writer of the embedder's has panicked.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one task prints to one descriptor.
#[derive(Debug)]
pub(super) struct Sink {
    /// Where it goes.
    output: Output,
    /// The line that has begun and has no end yet, where whole lines are wanted.
    begun: Vec<u8>,
}

impl Sink {
    /// Nothing printed yet.
    pub(super) fn new(output: Output) -> Sink {
        Sink { output, begun: Vec::new() }
    }

    /// Where it goes.
    pub(super) fn output(&self) -> Output {
        self.output.clone()
    }

    /// Prints.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Target::Lines(prefix, to) = &self.output.0 else {
            return self.output.write(bytes);
        };
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let mut lines = Vec::new();
        for line in bytes[..whole].split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(line);
            push_line(&mut lines, prefix, &std::mem::take(&mut self.begun));
        }
        self.begun.extend_from_slice(&bytes[whole..]);
        if self.begun.len() >= LARGEST_TRANSFER {
            push_line(&mut lines, prefix, &std::mem::take(&mut self.begun));
        }
        if lines.is_empty() { Ok(()) } else { to.write(&lines) }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if !self.begun.is_empty() {
            let begun = std::mem::take(&mut self.begun);
            // Nobody is left whom an error could be told.
            let _ = self.output.write(&begun);
        }
    }
}

/// What a task has printed, kept in memory; made by [`Output::captured`]. Clones show the same.
#[derive(Clone, Debug)]
pub struct Captured(Arc<Mutex<Kept>>);

/// What is kept.
struct Kept {
    /// The bytes.
    bytes: Vec<u8>,
    /// How many there may be.
    limit: usize,
    /// How many came that there was no room for.
    dropped: u64,
}

impl Captured {
    /// What has been printed so far.
    #[must_use]
    pub fn contents(&self) -> Vec<u8> {
        lock(&self.0).bytes.clone()
    }

    /// Takes what has been printed so far, as text: what is not UTF-8 is replaced. There is as much room as before.
    #[must_use]
    pub fn take_string(&self) -> String {
        let bytes = std::mem::take(&mut lock(&self.0).bytes);
        String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// How many bytes were printed that there was no room for.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        lock(&self.0).dropped
    }

    /// Whether there were any.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.dropped() > 0
    }

    /// Keeps what there is room for.
    fn keep(&self, bytes: &[u8]) {
        let mut kept = lock(&self.0);
        // After the first byte that was dropped, none is kept: what there is is the beginning.
        let room = if kept.dropped > 0 { 0 } else { kept.limit.saturating_sub(kept.bytes.len()) };
        let (now, rest) = bytes.split_at(room.min(bytes.len()));
        kept.bytes.extend_from_slice(now);
        kept.dropped += rest.len() as u64;
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Kept { bytes, limit, dropped } = self;
        write!(f, "{} of {limit} bytes, {dropped} dropped", bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_whole_and_the_last_one_comes_at_the_end() {
        let (output, captured) = Output::captured(1000);
        let mut a = Sink::new(Output::lines("a| ", output.clone()));
        let mut b = Sink::new(Output::lines("b| ", output));
        a.write(b"one ").unwrap();
        b.write(b"two\nthr").unwrap();
        a.write(b"line\n\nand").unwrap();
        assert_eq!(captured.take_string(), "b| two\na| one line\na| \n");
        drop(b);
        drop(a);
        assert_eq!(captured.take_string(), "b| thr\na| and\n");
    }

    #[test]
    fn a_line_without_end_is_no_memory_without_end() {
        let (output, captured) = Output::captured(1 << 20);
        let mut sink = Sink::new(Output::lines("", output));
        for _ in 0..3 {
            sink.write(&[b'x'; LARGEST_TRANSFER]).unwrap();
        }
        assert_eq!(captured.contents().len(), 3 * (LARGEST_TRANSFER + 1));
    }

    #[test]
    fn what_is_captured_is_the_beginning() {
        let (output, captured) = Output::captured(4);
        let mut sink = Sink::new(output);
        sink.write(b"abc").unwrap();
        assert!(!captured.truncated());
        sink.write(b"defg").unwrap();
        sink.write(b"h").unwrap();
        assert_eq!((captured.contents(), captured.dropped()), (b"abcd".to_vec(), 4));
    }

    #[test]
    fn text_that_is_none_is_replaced() {
        let (output, captured) = Output::captured(4);
        Sink::new(output).write(b"a\xff").unwrap();
        assert_eq!(captured.take_string(), "a\u{fffd}");
        assert_eq!(captured.take_string(), "");
    }
}
