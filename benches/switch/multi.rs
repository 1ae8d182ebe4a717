//! Tokio's multi-thread runtime. It cannot be told to stop, so its tasks stand before a gate while others are measured: one atomic load a poll.

use crate::contestants::Contestant;
use crate::guests::{Meters, Set};
use fuelsched::task::TaskFuture;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// How often it is looked whether the switches have been made.
const LOOK: Duration = Duration::from_micros(200);

/// What the tasks stand before.
#[derive(Default)]
struct Gate {
    /// Whether they may pass.
    open: AtomicBool,
    /// Those that wait.
    waiting: Mutex<Vec<Waker>>,
}

/// A future behind a gate.
struct Gated {
    /// The future.
    future: TaskFuture,
    /// The gate.
    gate: Arc<Gate>,
}

impl Future for Gated {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.gate.open.load(Ordering::Acquire) {
            return self.future.as_mut().poll(cx).map(drop);
        }
        let mut waiting = self.gate.waiting.lock().expect("nobody panics");
        // It may have been opened just now, and then nobody would come to wake this one.
        if self.gate.open.load(Ordering::Acquire) {
            cx.waker().wake_by_ref();
        } else {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// The runtime, with its default number of threads: one a core.
pub(crate) struct Multi {
    /// The gate.
    gate: Arc<Gate>,
    /// The meters of the tasks.
    meters: Meters,
    /// How many tasks there are.
    tasks: usize,
    /// The runtime. Dropped with its tasks, which stand before the gate.
    _runtime: Runtime,
}

impl Multi {
    /// A runtime with these tasks.
    pub(crate) fn new(set: Set) -> Multi {
        let (gate, tasks) = (Arc::<Gate>::default(), set.futures.len());
        let runtime = Builder::new_multi_thread().build().expect("a runtime");
        for future in set.futures {
            runtime.spawn(Gated { future, gate: gate.clone() });
        }
        let multi = Multi { gate, meters: set.meters, tasks, _runtime: runtime };
        multi.wait_for_all();
        multi
    }

    /// Lets all tasks go.
    fn open(&self) {
        let waiting = {
            let mut waiting = self.gate.waiting.lock().expect("nobody panics");
            self.gate.open.store(true, Ordering::Release);
            std::mem::take(&mut *waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Waits until all tasks stand before the gate.
    fn wait_for_all(&self) {
        while self.gate.waiting.lock().expect("nobody panics").len() < self.tasks {
            thread::sleep(LOOK);
        }
    }

    /// Waits until so many switches more were made.
    fn wait_for(&self, switches: u64) {
        let goal = self.meters.slices() + switches;
        while self.meters.slices() < goal {
            thread::sleep(LOOK);
        }
    }
}

impl Contestant for Multi {
    /// Nothing: what is not timed is done where it is measured, because there is no stopping in between.
    fn run(&mut self, _switches: u64) {}

    fn switches(&self) -> u64 {
        self.meters.slices()
    }

    fn measure(&mut self, switches: u64) -> (u64, Duration) {
        self.open();
        self.wait_for(2 * self.tasks as u64);
        let (before, start) = (self.meters.slices(), Instant::now());
        self.wait_for(switches);
        let (after, time) = (self.meters.slices(), start.elapsed());
        self.gate.open.store(false, Ordering::Release);
        self.wait_for_all();
        (after - before, time)
    }
}

impl Drop for Multi {
    fn drop(&mut self) {
        self.gate.open.store(false, Ordering::Release);
    }
}
