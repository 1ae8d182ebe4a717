//! A buffer that somebody fills, and tasks that wait for what is in it.
//!
//! **On demand.** A pipe with a thread reads when a task wants something that is not there, and not before: a program that never reads takes
//! nothing from the terminal that the next program would have had. The thread is started by the first such want.
//!
//! **Fairness.** Readers are served in the order in which they began to wait: each has a ticket, and only the first takes from the buffer. A reader
//! that is killed gives its ticket up, and the next is woken.
//!
//! **No wake is lost.** To look and to enter the waker is one critical section; to fill and to find the wakers is another of the same lock. Wakers are
//! woken after it, because a waker is code of somebody else's.

use super::abi::Errno;
use super::input::{Answer, Ready};
use super::memory::LARGEST_TRANSFER;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;

/// The pipe.
pub(super) struct Pipe {
    /// All of it.
    state: Mutex<State>,
    /// Where the thread waits until somebody wants something.
    demand: Condvar,
}

/// What is behind the lock of a pipe.
#[derive(Default)]
struct State {
    /// What nobody has taken yet.
    bytes: VecDeque<u8>,
    /// Why no more comes, once that is so.
    end: Option<End>,
    /// Readers that wait, by their tickets, which is the order in which they came.
    readers: BTreeMap<u64, Waker>,
    /// Tasks that want to know that there is something, and do not take it, by tickets too.
    watchers: BTreeMap<u64, Waker>,
    /// The next ticket.
    next: u64,
    /// The reader whose thread has not been started yet.
    unstarted: Option<Box<dyn Read + Send>>,
    /// Whether the thread is to read.
    wanted: bool,
    /// Whether all of the guests' ends are gone.
    abandoned: bool,
}

/// Why no more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It is the end.
    Closed,
    /// Reading failed.
    Failed(Errno),
}

impl Pipe {
    /// An empty pipe, to be filled by hand, or by a thread from this reader.
    pub(super) fn new(reader: Option<Box<dyn Read + Send>>) -> Arc<Pipe> {
        let state = State { unstarted: reader, ..State::default() };
        Arc::new(Pipe { state: Mutex::new(state), demand: Condvar::new() })
    }

    /// Takes what is there, or gets in line.
    pub(super) fn poll_read(self: &Arc<Self>, most: usize, ticket: &mut Option<u64>, waker: &Waker) -> Answer {
        let mut state = self.lock();
        let first = state.readers.keys().next().is_none_or(|first| Some(*first) == *ticket);
        if first && let Some(answer) = state.take(most) {
            if let Some(ticket) = ticket.take() {
                state.leave(ticket);
            }
            let next = state.next_reader();
            drop(state);
            next.iter().for_each(Waker::wake_by_ref);
            return answer;
        }
        let ticket = *ticket.get_or_insert_with(|| state.ticket());
        state.readers.insert(ticket, waker.clone());
        self.want(state);
        Answer::NotYet
    }

    /// What there is, or a wake when there is something.
    pub(super) fn poll_ready(self: &Arc<Self>, ticket: &mut Option<u64>, waker: &Waker) -> Option<Ready> {
        let mut state = self.lock();
        if state.has_something() {
            return Some(Ready { bytes: state.bytes.len() as u64, hangup: state.end.is_some() });
        }
        let ticket = *ticket.get_or_insert_with(|| state.ticket());
        state.watchers.insert(ticket, waker.clone());
        self.want(state);
        None
    }

    /// Whoever has this ticket waits no longer.
    pub(super) fn forget(&self, ticket: u64) {
        let mut state = self.lock();
        state.leave(ticket);
        let next = state.next_reader();
        drop(state);
        next.iter().for_each(Waker::wake_by_ref);
    }

    /// No guest can read any more: whoever fills it can stop.
    pub(super) fn abandon(&self) {
        self.lock().abandoned = true;
        self.demand.notify_all();
    }

    /// Sees to it that somebody reads.
    fn want(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        state.wanted = true;
        let unstarted = state.unstarted.take();
        drop(state);
        match unstarted {
            Some(reader) => self.start(reader),
            None => self.demand.notify_all(),
        }
    }

    /// Starts the thread. If the system has none left, reading fails.
    fn start(self: &Arc<Self>, reader: Box<dyn Read + Send>) {
        let filler = Filler::new(self.clone());
        let started = thread::Builder::new().name("fuelsched-input".into()).spawn(move || filler.pump(reader));
        if let Err(error) = started {
            self.fill(&[], Some(End::Failed(error.into())));
        }
    }

    /// Appends bytes, and then the end if there is one; says whether anybody could read them. After the end nothing is appended.
    fn fill(&self, bytes: &[u8], end: Option<End>) -> bool {
        let mut state = self.lock();
        if state.end.is_some() || state.abandoned {
            return false;
        }
        state.bytes.extend(bytes);
        state.end = end;
        if state.has_something() {
            state.wanted = false;
        }
        let (next, watchers) = (state.next_reader(), std::mem::take(&mut state.watchers));
        drop(state);
        next.iter().for_each(Waker::wake_by_ref);
        watchers.values().for_each(Waker::wake_by_ref);
        true
    }

    /// Waits until somebody wants something; says whether somebody still may.
    fn await_demand(&self) -> bool {
        let mut state = self.lock();
        while !state.wanted && !state.abandoned {
            state = self.demand.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.abandoned
    }

    /// What is behind the lock. Nothing that panics runs while it is held.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A new ticket.
    fn ticket(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Whether a reader need not wait.
    fn has_something(&self) -> bool {
        !self.bytes.is_empty() || self.end.is_some()
    }

    /// What a reader gets, if there is something.
    fn take(&mut self, most: usize) -> Option<Answer> {
        if self.bytes.is_empty() {
            return self.end.map(|end| match end {
                End::Closed => Answer::Read(Vec::new()),
                End::Failed(errno) => Answer::Failed(errno),
            });
        }
        let most = most.min(self.bytes.len());
        Some(Answer::Read(self.bytes.drain(..most).collect()))
    }

    /// Takes an entry out.
    fn leave(&mut self, ticket: u64) {
        self.readers.remove(&ticket);
        self.watchers.remove(&ticket);
    }

    /// The reader whose turn it is, if there is something for it.
    fn next_reader(&self) -> Option<Waker> {
        self.readers.values().next().filter(|_| self.has_something()).cloned()
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Pipe").field("bytes", &state.bytes.len()).field("end", &state.end).finish_non_exhaustive()
    }
}

/// The end of a pipe that is filled. When it is dropped, because its thread panicked, say, readers get the end.
#[derive(Debug)]
pub(super) struct Filler(Arc<Pipe>);

impl Filler {
    /// The end of that pipe.
    pub(super) fn new(pipe: Arc<Pipe>) -> Filler {
        Filler(pipe)
    }

    /// Appends bytes; says whether anybody could read them.
    pub(super) fn fill(&self, bytes: &[u8]) -> bool {
        self.0.fill(bytes, None)
    }

    /// No more comes.
    pub(super) fn close(&self) {
        self.0.fill(&[], Some(End::Closed));
    }

    /// The thread: reads when it is wanted, to the end.
    fn pump(&self, mut reader: Box<dyn Read + Send>) {
        let mut buffer = vec![0; LARGEST_TRANSFER];
        while self.0.await_demand() {
            match reader.read(&mut buffer) {
                Ok(0) => return self.close(),
                Ok(len) => {
                    self.fill(buffer.get(..len).unwrap_or(&buffer));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.0.fill(&[], Some(End::Failed(error.into())));
                    return;
                }
            }
        }
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    /// A waker that counts.
    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A reader of a pipe in a test.
    #[derive(Default)]
    struct Reader {
        /// Its ticket.
        ticket: Option<u64>,
        /// Its wakes.
        wakes: Arc<Count>,
    }

    impl Reader {
        /// Reads 2 bytes at most.
        fn read(&mut self, pipe: &Arc<Pipe>) -> Answer {
            pipe.poll_read(2, &mut self.ticket, &Waker::from(self.wakes.clone()))
        }

        /// How often it was woken.
        fn wakes(&self) -> u32 {
            self.wakes.0.load(Ordering::Relaxed)
        }
    }

    /// Bytes that were read.
    fn read(bytes: &[u8]) -> Answer {
        Answer::Read(bytes.into())
    }

    #[test]
    fn readers_are_served_in_the_order_in_which_they_came() {
        let pipe = Pipe::new(None);
        let filler = Filler::new(pipe.clone());
        let mut readers: [Reader; 3] = Default::default();
        for reader in &mut readers {
            assert_eq!(reader.read(&pipe), Answer::NotYet);
        }
        let [a, b, c] = &mut readers;
        assert!(filler.fill(b"12345"));
        // Only the first is woken, and nobody takes what is its.
        assert_eq!((a.wakes(), b.wakes(), c.wakes()), (1, 0, 0));
        assert_eq!(b.read(&pipe), Answer::NotYet);
        assert_eq!(a.read(&pipe), read(b"12"));
        // Then the second; one that comes back is behind the third.
        assert_eq!((a.wakes(), b.wakes(), c.wakes()), (1, 1, 0));
        assert_eq!(a.read(&pipe), Answer::NotYet);
        // The second is killed.
        pipe.forget(b.ticket.unwrap());
        assert_eq!((a.wakes(), b.wakes(), c.wakes()), (1, 1, 1));
        assert_eq!(c.read(&pipe), read(b"34"));
        assert_eq!(a.read(&pipe), read(b"5"));
        // The end is for all.
        assert_eq!((a.read(&pipe), c.read(&pipe)), (Answer::NotYet, Answer::NotYet));
        filler.close();
        assert_eq!((a.read(&pipe), c.read(&pipe), a.read(&pipe)), (read(b""), read(b""), read(b"")));
        assert!(!filler.fill(b"6"));
    }

    #[test]
    fn whoever_watches_is_woken_and_takes_nothing() {
        let pipe = Pipe::new(None);
        let filler = Filler::new(pipe.clone());
        let (wakes, mut ticket) = (Arc::new(Count::default()), None);
        assert_eq!(pipe.poll_ready(&mut ticket, &Waker::from(wakes.clone())), None);
        filler.fill(b"123");
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        let ready = Ready { bytes: 3, hangup: false };
        assert_eq!(pipe.poll_ready(&mut ticket, Waker::noop()), Some(ready));
        drop(filler);
        let ready = Ready { bytes: 3, hangup: true };
        assert_eq!(pipe.poll_ready(&mut ticket, Waker::noop()), Some(ready));
    }

    /// A reader that says how often it was asked, and panics after that.
    struct Asked(Arc<AtomicU32>);

    impl Read for Asked {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            assert_eq!(self.0.fetch_add(1, Ordering::Relaxed), 0, "this panic is part of a test");
            buffer[..3].copy_from_slice(b"abc");
            Ok(3)
        }
    }

    #[test]
    fn a_thread_reads_on_demand_and_its_panic_is_the_end() {
        let asked = Arc::new(AtomicU32::new(0));
        let pipe = Pipe::new(Some(Box::new(Asked(asked.clone()))));
        let mut reader = Reader::default();
        let mut answers = Vec::new();
        while answers.last() != Some(&read(b"")) {
            match reader.read(&pipe) {
                Answer::NotYet => thread::yield_now(),
                answer => {
                    // It was not asked again before somebody wanted more.
                    assert_eq!(asked.load(Ordering::Relaxed), if answer == read(b"") { 2 } else { 1 });
                    answers.push(answer);
                }
            }
        }
        assert_eq!(answers, [read(b"ab"), read(b"c"), read(b"")]);
    }
}
