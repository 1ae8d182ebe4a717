// What the steps of docs/wakers.md share: two kinds of task, and a bell that somebody rings.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// A task: something that can be polled until it is done.
type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Computes for so many slices. `Pending` says that a slice is over; it could go on at once, and wakes its waker to say so, as Wasmtime does at a fuel yield.
fn computes(mut slices: u32, done: Arc<Bell>) -> Task {
    Box::pin(poll_fn(move |cx| {
        slices -= 1;
        if slices == 0 {
            done.ring();
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }))
}

/// Waits for a bell.
fn waits(bell: Arc<Bell>) -> Task {
    Box::pin(rung(bell))
}

/// That a bell is rung. `Pending` says that it has not been; the waker is left with the bell.
fn rung(bell: Arc<Bell>) -> impl Future<Output = ()> + Send {
    poll_fn(move |cx| {
        let mut state = bell.0.lock().unwrap();
        if state.rung {
            return Poll::Ready(());
        }
        state.waiting.push(cx.waker().clone());
        Poll::Pending
    })
}

/// A bell, which can be rung from any thread.
#[derive(Default)]
struct Bell(Mutex<BellState>);

#[derive(Default)]
struct BellState {
    rung: bool,
    waiting: Vec<Waker>,
}

impl Bell {
    /// Rings, and wakes all who wait.
    fn ring(&self) {
        let mut state = self.0.lock().unwrap();
        state.rung = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }
}
