//! One thread of the system for each module: what somebody has who needs no executor.
//!
//! Each thread polls its future once and passes a baton to the next, by `unpark` and `park`: a switch from one module to the next, after each slice,
//! as in all other contestants. Threads that ran side by side would switch when the kernel likes, some hundred times a second, and that would not be
//! the same thing. With one task there is nobody to pass to, and it is the poll alone.

use crate::contestants::Contestant;
use fuelsched::task::TaskFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::thread::{self, JoinHandle, Thread};

/// Stack of a thread, in bytes. The guest has a stack of its own.
const STACK: usize = 64 << 10;

/// Nobody's turn.
const NOBODY: usize = usize::MAX;

/// What the threads share.
struct Baton {
    /// Whose turn it is.
    turn: AtomicUsize,
    /// Slices that are still to be had.
    left: AtomicU64,
    /// Slices that were had.
    had: AtomicU64,
    /// Whether all is over.
    over: AtomicBool,
    /// Who waits until nothing is left.
    host: Thread,
}

/// The threads.
pub(crate) struct Threads {
    /// What they share.
    baton: Arc<Baton>,
    /// Each of them.
    threads: Vec<JoinHandle<()>>,
    /// Who goes on.
    next: usize,
}

impl Threads {
    /// A thread for each of these; the reason, if the system has not so many.
    pub(crate) fn new(futures: Vec<TaskFuture>) -> Result<Threads, String> {
        let baton = Arc::new(Baton {
            turn: AtomicUsize::new(NOBODY),
            left: AtomicU64::new(0),
            had: AtomicU64::new(0),
            over: AtomicBool::new(false),
            host: thread::current(),
        });
        let (count, mut made) = (futures.len(), Threads { baton: baton.clone(), threads: Vec::new(), next: 0 });
        // From the last to the first: each must know whom to pass the baton to, and the last learns of the first by a cell.
        let first: Arc<std::sync::OnceLock<Thread>> = Arc::default();
        let mut behind: Option<Thread> = None;
        for (me, future) in futures.into_iter().enumerate().rev() {
            let (baton, first, next) = (baton.clone(), first.clone(), behind.clone());
            let body = move || live(me, count, future, &baton, || next.as_ref().or(first.get()).cloned());
            let thread = thread::Builder::new().stack_size(STACK).spawn(body);
            let thread = thread.map_err(|error| format!("thread {}: {error}", made.threads.len() + 1))?;
            behind = Some(thread.thread().clone());
            made.threads.push(thread);
        }
        let _ = behind.map(|thread| first.set(thread));
        made.threads.reverse();
        Ok(made)
    }
}

/// What a thread does: when it is its turn it polls, and passes on.
fn live(me: usize, count: usize, mut future: TaskFuture, baton: &Baton, next: impl FnOnce() -> Option<Thread>) {
    let mut next = Some(next);
    let mut neighbour = None;
    let mut cx = Context::from_waker(Waker::noop());
    while !baton.over.load(Ordering::Acquire) {
        if baton.turn.load(Ordering::Acquire) != me {
            thread::park();
            continue;
        }
        assert!(future.as_mut().poll(&mut cx).is_pending(), "an endless loop ended");
        baton.had.fetch_add(1, Ordering::Relaxed);
        if let Some(next) = next.take() {
            neighbour = next();
        }
        if baton.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            baton.turn.store(NOBODY, Ordering::Release);
            baton.host.unpark();
        } else if count > 1 {
            baton.turn.store((me + 1) % count, Ordering::Release);
            neighbour.as_ref().expect("all threads are there before the first turn").unpark();
        }
    }
}

impl Contestant for Threads {
    fn run(&mut self, switches: u64) {
        self.baton.left.store(switches, Ordering::Relaxed);
        self.baton.turn.store(self.next, Ordering::Release);
        self.threads[self.next].thread().unpark();
        while self.baton.turn.load(Ordering::Acquire) != NOBODY {
            thread::park();
        }
        self.next = (self.next + switches as usize) % self.threads.len();
    }

    fn switches(&self) -> u64 {
        self.baton.had.load(Ordering::Relaxed)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.baton.over.store(true, Ordering::Release);
        for thread in &self.threads {
            thread.thread().unpark();
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
