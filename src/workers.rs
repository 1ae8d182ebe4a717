//! Workers: one executor a thread, for a host with more cores than one.
//!
//! Every executor stays what it is, alone on its thread, and the workers share nothing while they run. A task is handed over before its
//! worker's thread starts, so there is no lock and no shared word on the way of a switch.
//!
//! ```text
//!  spawn (0, 1, 2, …) ─► worker = index mod N ─► thread: make(worker) ─► spawn own tasks ─► run ─► take ─┐
//!                                                       ▲                                │ dry           ├─► Finished, in spawn order
//!                                                       └── a batch of the reserve ◄─────┘ (rebalancing) ┘
//! ```
//!
//! **Who runs where.** The task of index `i` belongs to worker `i mod N`, unless [`Workers::spawn_on`] names another. What a worker does is
//! then a function of its tasks alone, whatever the others do, so its digest is the same in each run.
//!
//! **Tasks that belong together** (by a channel between tasks, a join, a group) have to be on one worker, by [`Workers::spawn_on`]: an executor
//! knows only its own tasks, and ends those that wait for nobody it knows as deadlocked. A task that is spawned by a task stays with its spawner.
//!
//! **Rebalancing** keeps half of each worker's tasks unstarted, in a reserve. A worker whose tasks have all ended takes a batch from its own
//! reserve, and then from those of others. Only then does it look at a word that others write.

use crate::budget::Budget;
use crate::error::{Error, ErrorKind, Result};
use crate::executor::{Executor, RunEnd, Totals};
use crate::policy::Policy;
use crate::task::Task;
use crate::trace::{Ended, Observer};
use crate::unit::{Fuel, TaskId};
use std::any::Any;
use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// Polls between two looks at the limits of the run.
const POLLS: u64 = 1_000;

/// The longest nap of a worker whose tasks all wait, so that a stop is heeded.
const NAP: Duration = Duration::from_millis(50);

/// Tasks to be run by so many threads.
///
/// ```
/// use fuelsched::policy::RoundRobin;
/// use fuelsched::workers::Workers;
/// use fuelsched::{Engine, EngineConfig, Executor, Fuel, Module, Value};
/// use std::num::NonZeroUsize;
///
/// # fn main() -> fuelsched::Result<()> {
/// let engine = Engine::new(&EngineConfig::default())?;
/// let module = Module::from_bytes(&engine, "twice", br#"
///     (module (func (export "twice") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))))
/// "#)?;
/// let mut workers = Workers::new(NonZeroUsize::new(2).unwrap());
/// for n in 0..10 {
///     workers.spawn(module.call("twice", &[Value::I32(n)]));
/// }
/// let finished = workers.run(|_| Executor::builder().policy(RoundRobin::new(Fuel(1_000))).build());
/// assert_eq!(finished.tasks[7].worker, 1);
/// let ended = finished.tasks[7].end.as_ref().unwrap();
/// assert_eq!(ended.outcome.values(), Some(&[Value::I32(14)][..]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing runs before `run`"]
pub struct Workers {
    /// How many.
    count: NonZeroUsize,
    /// The tasks in the order of spawning.
    tasks: Vec<Given>,
    /// Whether tasks that have not started may move.
    rebalance: bool,
    /// Fuel for all of them.
    fuel: Option<Fuel>,
    /// Time for all of them.
    time: Option<Duration>,
    /// Raised from outside.
    stop: Arc<AtomicBool>,
}

/// A task and whose it is.
#[derive(Debug)]
struct Given {
    /// The task.
    task: Task,
    /// The worker.
    worker: usize,
    /// Whether it has to be that one.
    pinned: bool,
}

/// What became of a run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finished<O = ()> {
    /// The tasks in the order of spawning.
    pub tasks: Vec<Done>,
    /// The workers in their order.
    pub workers: Vec<Result<Worked<O>>>,
}

/// What became of one task.
#[derive(Debug)]
#[non_exhaustive]
pub struct Done {
    /// The worker that ran it.
    pub worker: usize,
    /// How it ended, or why it could not be spawned, or that its worker panicked.
    pub end: Result<Ended>,
}

/// What one worker did.
#[derive(Debug)]
#[non_exhaustive]
pub struct Worked<O = ()> {
    /// Sums over its tasks.
    pub totals: Totals,
    /// Who watched it.
    pub observer: O,
    /// Tasks that its tasks spawned, and that were not detached.
    pub others: Vec<Ended>,
}

impl Workers {
    /// So many threads, and no tasks.
    pub fn new(count: NonZeroUsize) -> Workers {
        Workers { count, tasks: Vec::new(), rebalance: false, fuel: None, time: None, stop: Arc::default() }
    }

    /// Whether workers whose tasks have all ended take over tasks of others that have not started. How a task ends and what it uses stay the
    /// same; who runs it, and with it the digest of each worker, do not.
    pub fn rebalancing(mut self, rebalance: bool) -> Workers {
        self.rebalance = rebalance;
        self
    }

    /// Fuel for the whole run. It is split evenly, the remainder among the first workers, so that where each stops is the same in each run;
    /// what one does not use another does not get.
    pub fn run_fuel(mut self, fuel: Fuel) -> Workers {
        self.fuel = Some(fuel);
        self
    }

    /// Time for the whole run.
    pub fn run_time(mut self, time: Duration) -> Workers {
        self.time = Some(time);
        self
    }

    /// A flag that stops the run once it is raised. Tasks that have not ended by then are `stopped`.
    #[must_use]
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// Adds a task, for the worker of its index modulo their number. The index is its place in [`Finished::tasks`]. The outcome is kept even
    /// if the task is detached.
    pub fn spawn(&mut self, task: Task) -> usize {
        let worker = self.tasks.len() % self.count;
        self.give(Given { task, worker, pinned: false })
    }

    /// Adds a task for this worker, modulo their number. Rebalancing leaves it there.
    pub fn spawn_on(&mut self, worker: usize, task: Task) -> usize {
        self.give(Given { task, worker: worker % self.count, pinned: true })
    }

    /// Adds a task; says its index.
    fn give(&mut self, given: Given) -> usize {
        self.tasks.push(given);
        self.tasks.len() - 1
    }

    /// Runs all tasks to their ends, or to a limit. `make` makes the executor of each worker, in its thread.
    ///
    /// A worker that panics (in `make`, a policy or an observer) loses its own tasks, and nobody else's.
    pub fn run<P, O, F>(self, make: F) -> Finished<O>
    where
        P: Policy,
        O: Observer + Send,
        F: Fn(usize) -> Executor<P, O> + Sync,
    {
        let deadline = self.time.and_then(|time| Instant::now().checked_add(time));
        let (count, total) = (self.count.get(), self.tasks.len());
        let mut homes: Vec<usize> = self.tasks.iter().map(|given| given.worker).collect();
        let (shares, reserves) = share_out(self.tasks, count, self.rebalance);
        let limits =
            |worker| Limits { fuel: self.fuel.map(|fuel| part(fuel, worker, count)), deadline, stop: &self.stop };
        let life = |worker, share| work(make(worker), share, worker, &reserves, limits(worker));
        let lives = on_threads(shares, life);
        let mut ends: Vec<Option<Result<Ended>>> = (0..total).map(|_| None).collect();
        for reserve in &reserves {
            for (index, thief) in reserve.takers() {
                homes[index] = thief;
            }
        }
        let mut settle = |life: Result<Product<O>>| {
            let (worked, own) = life?;
            own.into_iter().for_each(|(index, end)| ends[index] = Some(end));
            Ok(worked)
        };
        let workers: Vec<Result<Worked<O>>> = lives.into_iter().map(&mut settle).collect();
        let lost = |worker: usize| {
            Err(workers[worker].as_ref().err().map_or_else(|| error(worker, "took no such task"), again))
        };
        let done = |(worker, end): (usize, Option<_>)| Done { worker, end: end.unwrap_or_else(|| lost(worker)) };
        let tasks = homes.into_iter().zip(ends).map(done).collect();
        Finished { tasks, workers }
    }
}

/// What a worker hands back: what it did, and how its tasks ended, by index.
type Product<O> = (Worked<O>, Vec<(usize, Result<Ended>)>);

/// What ends a worker's run before its tasks do.
struct Limits<'a> {
    /// Fuel left of its part.
    fuel: Option<Fuel>,
    /// When the run is over.
    deadline: Option<Instant>,
    /// Raised from outside.
    stop: &'a AtomicBool,
}

impl Limits<'_> {
    /// Whether one is reached.
    fn are_reached(&self) -> bool {
        let late = || self.deadline.is_some_and(|at| Instant::now() >= at);
        self.fuel == Some(Fuel::ZERO) || self.stop.load(Ordering::Relaxed) || late()
    }

    /// What the next batch of polls may use.
    fn budget(&self) -> Budget {
        let budget = self.fuel.map_or(Budget::polls(POLLS), |fuel| Budget::polls(POLLS).or_fuel(fuel.0));
        match self.deadline {
            Some(at) => budget.or_time(at.saturating_duration_since(Instant::now())),
            None => budget,
        }
    }
}

/// Tasks of one worker that nobody has started.
#[derive(Debug, Default)]
struct Reserve {
    /// How many have been claimed. Whoever adds to it owns those between.
    claimed: AtomicUsize,
    /// The tasks by index. Each cell is locked by its one owner, so no lock is ever waited for.
    cells: Vec<Cell>,
}

/// One task of a reserve.
#[derive(Debug)]
struct Cell {
    /// Its index.
    index: usize,
    /// The task, until it is claimed.
    task: Mutex<Option<Task>>,
    /// The worker that claimed it.
    taker: AtomicUsize,
}

impl Reserve {
    /// Claims a batch for a worker: half of the worker's part of what is left, at least 1.
    fn claim(&self, taker: usize, workers: usize) -> Vec<(usize, Task)> {
        let total = self.cells.len();
        let batch = |left: usize| (left / (2 * workers)).max(1);
        let next = |claimed: usize| (claimed < total).then(|| claimed + batch(total - claimed));
        let Ok(from) = self.claimed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) else {
            return Vec::new();
        };
        let cells = self.cells[from..from + batch(total - from)].iter();
        cells.filter_map(|cell| cell.take(taker)).collect()
    }

    /// The indices of all its tasks, and who took them.
    fn takers(&self) -> impl Iterator<Item = (usize, usize)> {
        self.cells.iter().map(|cell| (cell.index, cell.taker.load(Ordering::Relaxed)))
    }
}

impl Cell {
    /// The task, for the worker that claimed it.
    fn take(&self, taker: usize) -> Option<(usize, Task)> {
        self.taker.store(taker, Ordering::Relaxed);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some((self.index, task))
    }
}

/// What each worker starts with, and what is kept back.
fn share_out(tasks: Vec<Given>, count: usize, rebalance: bool) -> (Vec<Vec<(usize, Task)>>, Vec<Reserve>) {
    let mut shares: Vec<Vec<(usize, Task)>> = (0..count).map(|_| Vec::new()).collect();
    let mut reserves: Vec<Reserve> = (0..count).map(|_| Reserve::default()).collect();
    let half = tasks.len() / 2;
    for (index, Given { task, worker, pinned }) in tasks.into_iter().enumerate() {
        if rebalance && !pinned && index >= half {
            let cell = Cell { index, task: Mutex::new(Some(task)), taker: AtomicUsize::new(worker) };
            reserves[worker].cells.push(cell);
        } else {
            shares[worker].push((index, task));
        }
    }
    (shares, reserves)
}

/// Does this work once for each seat, all at once, each in a thread of its own. Gives what came of each, in the order of the seats; or an error of the
/// kind [`ErrorKind::Worker`] if it panicked, or the system has no thread for it.
///
/// What [`Workers`] stands on, for a host that drives its executors otherwise.
pub fn on_threads<S: Send, T: Send>(seats: Vec<S>, work: impl Fn(usize, S) -> T + Sync) -> Vec<Result<T>> {
    let work = &work;
    thread::scope(|scope| {
        let start = |(worker, seat)| {
            let thread = thread::Builder::new().name(format!("worker {worker}"));
            thread.spawn_scoped(scope, move || work(worker, seat))
        };
        let threads: Vec<io::Result<ScopedJoinHandle<'_, T>>> = seats.into_iter().enumerate().map(start).collect();
        let join = |(worker, thread): (usize, io::Result<ScopedJoinHandle<'_, T>>)| match thread {
            Ok(thread) => thread.join().map_err(|panic| panicked(worker, &*panic)),
            Err(refused) => Err(error(worker, &format!("no thread: {refused}"))),
        };
        threads.into_iter().enumerate().map(join).collect()
    })
}

/// A worker's part of the fuel of a run: an even one, and the remainder goes to the first workers.
///
/// ```
/// use fuelsched::{Fuel, workers};
///
/// let parts: Vec<Fuel> = (0..3).map(|worker| workers::part(Fuel(11), worker, 3)).collect();
/// assert_eq!(parts, [Fuel(4), Fuel(4), Fuel(3)]);
/// ```
#[must_use]
pub fn part(fuel: Fuel, worker: usize, count: usize) -> Fuel {
    let (worker, count) = (worker as u64, count.max(1) as u64);
    Fuel(fuel.0 / count + u64::from(worker < fuel.0 % count))
}

/// A worker's life: runs its tasks, and then what it can claim.
fn work<P: Policy, O: Observer>(
    mut sched: Executor<P, O>,
    share: Vec<(usize, Task)>,
    worker: usize,
    reserves: &[Reserve],
    mut limits: Limits<'_>,
) -> Product<O> {
    let mut own = Vec::with_capacity(share.len());
    take_in(&mut sched, &mut own, share);
    loop {
        run_dry(&mut sched, &mut limits);
        // Beyond a limit it takes its own alone, to be stopped, so that they are told of like the others.
        let more = if limits.are_reached() { reserves[worker].claim(worker, 1) } else { claim(reserves, worker) };
        if more.is_empty() {
            break;
        }
        take_in(&mut sched, &mut own, more);
    }
    sched.stop_all();
    let ends =
        own.into_iter().filter_map(|(index, id)| Some((index, id.map(|id| sched.take(id)).transpose()?))).collect();
    let (totals, others) = (sched.totals(), sched.take_ended());
    (Worked { totals, others, observer: sched.into_observer() }, ends)
}

/// Spawns tasks, whose outcomes are kept.
fn take_in<P: Policy, O: Observer>(
    sched: &mut Executor<P, O>,
    own: &mut Vec<(usize, Result<TaskId>)>,
    tasks: Vec<(usize, Task)>,
) {
    own.extend(tasks.into_iter().map(|(index, task)| (index, sched.spawn(task.kept().0))));
}

/// A batch of the worker's own reserve, or of the next one that has any.
fn claim(reserves: &[Reserve], worker: usize) -> Vec<(usize, Task)> {
    let (before, from) = reserves.split_at(worker);
    let mut batches = from.iter().chain(before).map(|reserve| reserve.claim(worker, reserves.len()));
    batches.find(|batch| !batch.is_empty()).unwrap_or_default()
}

/// Runs until all tasks have ended, nobody will run again, or a limit is reached.
fn run_dry<P: Policy, O: Observer>(sched: &mut Executor<P, O>, limits: &mut Limits<'_>) {
    while !limits.are_reached() {
        let ran = sched.run_for(limits.budget());
        limits.fuel = limits.fuel.map(|left| left.minus(ran.fuel));
        match ran.why {
            RunEnd::BudgetSpent => {}
            RunEnd::Idle { next_wake } if sched.waits_for_outside(next_wake) => sched.park_at_most(next_wake, NAP),
            _ => return,
        }
    }
}

/// What is said of a worker that panicked.
fn panicked(worker: usize, panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a value that is no text");
    error(worker, &format!("it panicked: {text}"))
}

/// An error of a worker.
fn error(worker: usize, message: &str) -> Error {
    ErrorKind::Worker { worker, message: message.into() }.into()
}

/// The same error of a worker, for one of its tasks.
fn again(of: &Error) -> Error {
    match of.kind() {
        ErrorKind::Worker { worker, message } => error(*worker, message),
        other => error(0, &format!("{other:?}")),
    }
}
