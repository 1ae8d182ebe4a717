//! What a task that calls its host knows and wants of what is outside its slices: the time, what it waits for, tasks that it spawns, and
//! what comes in from elsewhere and has to be the same in a replay.

use crate::clock::Clock;
use crate::join::Join;
use crate::reason::{BlockedOn, Message};
use crate::unit::Fuel;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The messages of one slice that an observer is told of, at most: a slice can be as long as its host lets it.
const MOST_MESSAGES: usize = 4_096;

/// The part of a meter that a task has if it calls its host. One thread at a time uses it, the one that polls.
#[derive(Debug)]
pub(crate) struct Outside {
    /// Whether there is anything for the executor to collect, so that a poll that asked for nothing costs no lock.
    asked: AtomicBool,
    /// Whether somebody wants to know what it sends and receives.
    followed: AtomicBool,
    /// Fuel that host functions have charged, and that the guest's own counter does not know of yet.
    owed: AtomicU64,
    /// All else.
    state: Mutex<State>,
}

/// What is behind the lock.
#[derive(Debug)]
struct State {
    /// Whether an executor has taken the task in.
    attached: bool,
    /// The executor's clock.
    clock: Clock,
    /// The task's place in the order of spawning.
    spawn_index: u64,
    /// Fuel that it may use in all.
    budget: Fuel,
    /// What comes in from elsewhere.
    tape: Tape,
    /// What it asked for in this poll.
    asked: Asked,
}

/// What a task asked for in a poll.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// What it waits for.
    pub(crate) on: Option<BlockedOn>,
    /// The task whose end that is, where it was not yet taken in and so had no place to name.
    pub(crate) end_of: Option<Join>,
    /// How many wakers are held for it by what only tasks of the same executor can set off.
    pub(crate) inside: usize,
    /// The moment at which it wants to be polled again, if nothing wakes it before.
    pub(crate) until: Option<Duration>,
    /// Tasks that it spawned. What they are is `task.rs`'s affair, which is a floor above.
    pub(crate) spawned: Vec<(Box<dyn Any + Send>, Join)>,
    /// What came in from elsewhere, where somebody records.
    pub(crate) inputs: Vec<Vec<u8>>,
    /// What it sent and received, where somebody wants to know.
    pub(crate) messages: Vec<Message>,
}

/// Whether what comes in from elsewhere is kept, or comes from a recording.
#[derive(Debug)]
enum Tape {
    /// Neither.
    Off,
    /// It is kept.
    Recording,
    /// It comes from a recording.
    Replaying {
        /// What is left of it.
        left: VecDeque<Vec<u8>>,
        /// Whether the task wanted more than there was, or something else.
        astray: bool,
    },
}

/// Something that comes in from outside and can be kept in a recording: a `u64`, or bytes.
pub trait Taped: Sized {
    /// As it is recorded.
    fn to_bytes(&self) -> Vec<u8>;
    /// From how it was recorded; `None` if that is something else.
    fn from_bytes(bytes: Vec<u8>) -> Option<Self>;
}

impl Taped for u64 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_le_bytes().into()
    }
    fn from_bytes(bytes: Vec<u8>) -> Option<u64> {
        bytes.try_into().ok().map(u64::from_le_bytes)
    }
}

impl Taped for Vec<u8> {
    fn to_bytes(&self) -> Vec<u8> {
        self.clone()
    }
    fn from_bytes(bytes: Vec<u8>) -> Option<Vec<u8>> {
        Some(bytes)
    }
}

/// The task's side.
impl Outside {
    /// What a task has that no executor has taken in.
    pub(crate) fn new() -> Outside {
        let state = State {
            attached: false,
            clock: Clock::monotonic(),
            spawn_index: 0,
            budget: Fuel::MAX,
            tape: Tape::Off,
            asked: Asked::default(),
        };
        let [asked, followed] = [const { AtomicBool::new(false) }; 2];
        Outside { asked, followed, owed: AtomicU64::new(0), state: Mutex::new(state) }
    }

    /// The time, in a slice that has used so much. A clock that goes by fuel is exact, and needs no recording.
    pub(crate) fn now(&self, used: Fuel) -> Duration {
        let clock = self.state().clock.clone();
        if clock.is_simulated() {
            return clock.now().saturating_add(Duration::from_nanos(used.0));
        }
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.take_in(|| nanos(clock.now())))
    }

    /// Something from elsewhere: what `real` gives, or, in a replay, what it gave then.
    pub(crate) fn take_in<T: Taped>(&self, real: impl FnOnce() -> T) -> T {
        let mut state = self.state();
        if let Tape::Replaying { left, astray } = &mut state.tape {
            if let Some(recorded) = left.pop_front().and_then(T::from_bytes) {
                return recorded;
            }
            *astray = true;
        }
        let records = matches!(state.tape, Tape::Recording);
        drop(state);
        // Without the lock: it may take its time, or panic.
        let value = real();
        if records {
            self.ask(|asked| asked.inputs.push(value.to_bytes()));
        }
        value
    }

    /// The task has sent or received a message.
    pub(crate) fn passed(&self, message: impl FnOnce() -> Message) {
        if self.followed.load(Ordering::Relaxed) {
            let message = message();
            self.ask(|asked| {
                if asked.messages.len() < MOST_MESSAGES {
                    asked.messages.push(message);
                }
            });
        }
    }

    /// Adds to what the guest's own counter does not know of yet.
    pub(crate) fn owe(&self, cost: Fuel) {
        self.owed.store(self.owed.load(Ordering::Relaxed).saturating_add(cost.0), Ordering::Relaxed);
    }

    /// What was charged since the last time.
    pub(crate) fn take_owed(&self) -> Fuel {
        Fuel(self.owed.swap(0, Ordering::Relaxed))
    }

    /// Notes what is asked for.
    pub(crate) fn ask(&self, f: impl FnOnce(&mut Asked)) {
        f(&mut self.state().asked);
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether an executor has taken the task in, and will wake it at the moment that it names.
    pub(crate) fn is_attached(&self) -> bool {
        self.state().attached
    }

    /// The task's place in the order of spawning.
    pub(crate) fn spawn_index(&self) -> u64 {
        self.state().spawn_index
    }

    /// Fuel that the task may use in all.
    pub(crate) fn budget(&self) -> Fuel {
        self.state().budget
    }
}

/// The executor's side.
impl Outside {
    /// An executor has taken the task in.
    pub(crate) fn attach(&self, clock: Clock, spawn_index: u64, budget: Fuel, recorded: bool, followed: bool) {
        self.followed.store(followed, Ordering::Relaxed);
        let mut state = self.state();
        state.attached = true;
        state.clock = clock;
        state.spawn_index = spawn_index;
        state.budget = budget;
        state.tape = if recorded { Tape::Recording } else { Tape::Off };
    }

    /// The task may use so much in all, from now on.
    pub(crate) fn set_budget(&self, budget: Fuel) {
        self.state().budget = budget;
    }

    /// What the task asked for since the last time; `None` if nothing.
    pub(crate) fn collect(&self) -> Option<Asked> {
        self.asked.swap(false, Ordering::Relaxed).then(|| std::mem::take(&mut self.state().asked))
    }

    /// From now on what comes in from elsewhere is what [`Outside::feed`] brings.
    pub(crate) fn replay(&self) {
        self.state().tape = Tape::Replaying { left: VecDeque::new(), astray: false };
    }

    /// Brings something that came in when a recording was made.
    pub(crate) fn feed(&self, bytes: Vec<u8>) {
        if let Tape::Replaying { left, .. } = &mut self.state().tape {
            left.push_back(bytes);
        }
    }

    /// Whether the task wanted something else from elsewhere than was recorded, or less of it.
    pub(crate) fn is_astray(&self) -> bool {
        match &self.state().tape {
            Tape::Replaying { left, astray } => *astray || !left.is_empty(),
            _ => false,
        }
    }

    /// What is behind the lock. Nothing that panics runs while it is held, but for a clone of a clock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
