//! The waker under Loom: `src/signal.rs`, compiled once more with Loom's primitives, and every interleaving of an executor's thread with those
//! that wake. The guarantees are those at the head of that file.

mod sync {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, Ordering};
    pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};
}

#[path = "../src/signal.rs"]
#[allow(dead_code, reason = "the crate uses all of it, these tests the waker")]
mod signal;

mod unit {
    pub(crate) use fuelsched::TaskId;
}

use loom::thread;
use signal::{Signal, WakeList};
use std::sync::Arc;
use std::task::{Wake, Waker};
use sync::{AtomicBool, Ordering};
use unit::TaskId;

/// A task's flag, and the list.
fn parts() -> (Arc<Signal>, Arc<WakeList>) {
    let list = Arc::new(WakeList::default());
    (Arc::new(Signal::new(TaskId::new(3, 1), list.clone())), list)
}

/// What is on the list.
fn take(list: &WakeList) -> Vec<TaskId> {
    let mut woken = Vec::new();
    if list.any() {
        list.take(&mut woken);
    }
    woken
}

/// An executor with one task, which waits until `ready` is set: polls it until it saw that, and sleeps in between. Returns the polls made.
fn run(signal: &Signal, list: &WakeList, ready: &AtomicBool) -> usize {
    let mut polls = 0;
    loop {
        signal.begin();
        polls += 1;
        // What the task does: it looks, and waits. Relaxed: that it sees what was written before the wake is the signal's affair.
        if ready.load(Ordering::Relaxed) {
            signal.retire();
            return polls;
        }
        if signal.park() {
            while take(list).is_empty() {
                list.sleep(None);
            }
        }
    }
}

#[test]
fn no_wake_is_lost_whenever_it_comes() {
    loom::model(|| {
        let (signal, list) = parts();
        let ready = Arc::new(AtomicBool::new(false));
        let waker = Waker::from(signal.clone());
        let (set, other) = (ready.clone(), waker.clone());
        let thread = thread::spawn(move || {
            set.store(true, Ordering::Relaxed);
            other.wake();
        });
        // If the wake were lost this would never return, and Loom would say so.
        let polls = run(&signal, &list, &ready);
        assert!(polls <= 2, "polled without a wake");
        thread.join().unwrap();
        assert!(take(&list).is_empty(), "and nobody is on the list");
    });
}

#[test]
fn two_wakes_from_two_threads_are_one() {
    loom::model(|| {
        let (signal, list) = parts();
        signal.begin();
        assert!(signal.park());
        let wakers = [0, 1].map(|_| Waker::from(signal.clone()));
        let threads = wakers.map(|waker| thread::spawn(move || waker.wake()));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(take(&list), [TaskId::new(3, 1)]);
    });
}

#[test]
fn a_wake_beside_the_end_of_the_task_is_harmless() {
    loom::model(|| {
        let (signal, list) = parts();
        signal.begin();
        assert!(signal.park());
        let waker = Waker::from(signal.clone());
        let thread = thread::spawn(move || {
            waker.wake_by_ref();
            waker.wake();
        });
        signal.retire();
        thread.join().unwrap();
        assert!(take(&list).len() <= 1, "an id that nobody has any more, at most");
        signal.wake_by_ref();
        assert!(take(&list).is_empty(), "after the end nothing is put there");
    });
}

#[test]
fn a_wake_between_the_last_look_and_the_sleep_ends_the_sleep() {
    loom::model(|| {
        let (signal, list) = parts();
        signal.begin();
        assert!(signal.park());
        let waker = Waker::from(signal.clone());
        let thread = thread::spawn(move || waker.wake());
        let mut woken = take(&list);
        if woken.is_empty() {
            list.sleep(None);
            woken = take(&list);
        }
        assert_eq!(woken, [TaskId::new(3, 1)]);
        thread.join().unwrap();
    });
}

#[test]
fn a_ring_wakes_the_thread_and_no_task() {
    loom::model(|| {
        let (_, list) = parts();
        let ringer = list.clone();
        let thread = thread::spawn(move || ringer.ring());
        list.sleep(None);
        assert!(take(&list).is_empty());
        thread.join().unwrap();
    });
}
