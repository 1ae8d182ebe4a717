//! The minimal waker: one flag for each task, and one wake list for each executor.
//!
//! A waker says that a task is worth polling again, and nothing else: not why it stopped, which is the meter's to say, and not who is next,
//! which is the policy's.
//!
//! ```text
//!              ① begin                    ③ park
//!   Woken ───────────────► Running ──────────────────► Parked
//!     ▲                       │                          │
//!     │      ② wake           │        ④ wake            │
//!     └───────────────────────┘   and onto the list      │
//!     └──────────────────────────────────────────────────┘
//! ```
//!
//! | | what happens | in |
//! |---|---|---|
//! | ① | a poll begins: what woke the task so far is what the poll will look at | [`Signal::begin`] |
//! | ② | a wake during the poll: it is only noted | [`Signal::wake_by_ref`] |
//! | ③ | the poll was `Pending`, and the task waits. If the flag says ② it does not: it is ready again at once | [`Signal::park`] |
//! | ④ | a wake after that: the first one puts the task on the list and rings for the executor's thread | [`Signal::wake_by_ref`] |
//!
//! **No wake is lost.** ②, ③ and ④ change one word, each in one step, so a wake comes either before ③, which sees it, or after, and finds
//! `Parked`. What the waking thread wrote before is seen by the poll that follows: every change of the word acquires and releases.
//!
//! **No wake is harmful.** The second wake finds `Woken` and does nothing. A wake after the task's end finds `Woken` too, which
//! [`Signal::retire`] leaves behind; one that came just before it has put an id on the list that nobody has any more, and the executor passes
//! over it, because ids carry generations.
//!
//! **A task that is not parked costs no lock**, and Wasmtime wakes a task at each fuel yield: that is ②.
//!
//! `tests/loom.rs` compiles this file with Loom's primitives and goes through the interleavings.

use crate::sync::{AtomicBool, AtomicU8, Condvar, Mutex, MutexGuard, Ordering};
use crate::unit::TaskId;
use std::sync::{Arc, PoisonError};
use std::task::Wake;
use std::time::Duration;

/// The task is being polled, or is ready, and nothing has woken it since its last poll began.
const RUNNING: u8 = 0;
/// Something has woken it.
const WOKEN: u8 = 1;
/// It waits.
const PARKED: u8 = 2;

/// The flag of one task, and the list that it is put on.
#[derive(Debug)]
pub(crate) struct Signal {
    /// [`RUNNING`], [`WOKEN`] or [`PARKED`].
    state: AtomicU8,
    /// The task.
    id: TaskId,
    /// The executor's.
    list: Arc<WakeList>,
}

impl Signal {
    /// The flag of a task that is ready.
    pub(crate) fn new(id: TaskId, list: Arc<WakeList>) -> Signal {
        Signal { state: AtomicU8::new(RUNNING), id, list }
    }

    /// A poll begins.
    pub(crate) fn begin(&self) {
        self.state.swap(RUNNING, Ordering::AcqRel);
    }

    /// The poll was `Pending`, and the task waits; says whether it does, or was woken meanwhile.
    pub(crate) fn park(&self) -> bool {
        self.state.compare_exchange(RUNNING, PARKED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The task goes on for another reason than a wake, or has ended: no wake puts it on the list before it is parked again.
    pub(crate) fn retire(&self) {
        self.state.swap(WOKEN, Ordering::AcqRel);
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, Ordering::AcqRel) == PARKED {
            self.list.push(self.id);
        }
    }
}

/// The tasks of an executor that were parked and have been woken, in the order of their wakes; and where its thread sleeps.
#[derive(Debug, Default)]
pub(crate) struct WakeList {
    /// Whether there is anything below, so that a step looks without a lock.
    any: AtomicBool,
    /// What there is.
    woken: Mutex<Woken>,
    /// Where the executor's thread sleeps.
    bell: Condvar,
}

/// What is behind the lock of a wake list.
#[derive(Debug, Default)]
struct Woken {
    /// The tasks.
    tasks: Vec<TaskId>,
    /// Whether somebody wants the thread for another reason.
    rung: bool,
}

impl WakeList {
    /// Enters a task, and wakes the thread.
    fn push(&self, id: TaskId) {
        let mut woken = self.lock();
        woken.tasks.push(id);
        // Under the lock, as in `take`: the flag never says less than the list.
        self.any.store(true, Ordering::Release);
        drop(woken);
        self.bell.notify_all();
    }

    /// Wakes the thread though no task is.
    pub(crate) fn ring(&self) {
        self.lock().rung = true;
        self.bell.notify_all();
    }

    /// Whether a task has been woken.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// How many have been.
    pub(crate) fn len(&self) -> usize {
        self.lock().tasks.len()
    }

    /// Takes all tasks, into an empty vector.
    pub(crate) fn take(&self, into: &mut Vec<TaskId>) {
        let mut woken = self.lock();
        self.any.store(false, Ordering::Release);
        std::mem::swap(&mut woken.tasks, into);
    }

    /// Sleeps until a task is woken, somebody rings, or so much time has passed. A wake that came before is as good as one that comes after.
    pub(crate) fn sleep(&self, at_most: Option<Duration>) {
        let idle = |woken: &mut Woken| woken.tasks.is_empty() && !woken.rung;
        let mut woken = self.lock();
        match at_most {
            None => {
                while idle(&mut woken) {
                    woken = self.bell.wait(woken).unwrap_or_else(PoisonError::into_inner);
                }
            }
            // Once is enough: whoever sleeps looks at the clock afterwards.
            Some(time) if idle(&mut woken) => {
                woken = self.bell.wait_timeout(woken, time).unwrap_or_else(PoisonError::into_inner).0;
            }
            Some(_) => {}
        }
        woken.rung = false;
    }

    /// What is behind the lock. Nothing that panics runs while it is held.
    fn lock(&self) -> MutexGuard<'_, Woken> {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
