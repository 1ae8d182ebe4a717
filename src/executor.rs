//! The executor: it polls one task at a time, and takes `Poll::Pending` as a context switch.
//!
//! There is one poll in this crate's way through a run, in `Executor::run_slice`; everything else here is who is polled, for how
//! much, and what becomes of it. The executor knows futures and a [`Policy`], and nothing of WebAssembly.
//!
//! ```text
//!  run ─┐
//!  run_for ─┴─► step_within(cap) ─► Policy::pick ─► run_slice ─► Live::poll ─► settle ─► Policy::charge
//!  step ────────────┘                                                             └─► finish (if it was the last)
//! ```

use crate::budget::Budget;
use crate::clock::Clock;
use crate::error::{ErrorKind, Result};
use crate::ledger::Ledger;
use crate::outcome::{Outcome, Trap};
use crate::policy::{Pick, Policy, RoundRobin, Run};
use crate::reason::{Param, Params, ReadyReason, SliceEnd};
use crate::task::{Live, Suspended, Task};
use crate::trace::{Ended, Observer, Slice};
use crate::unit::{Fuel, TaskId};
use std::fmt;
use std::time::Duration;

/// Under a time limit no slice is granted more than this, so that the limit is looked at every few milliseconds.
const LARGEST_TIMED_GRANT: Fuel = Fuel(10_000_000);

/// The message of a task that used up what nobody can use up.
const BEYOND_ALL_FUEL: &str = "one operation costs more fuel than any task can have";

/// Runs many tasks on the thread that calls it.
///
/// ```
/// use fuelsched::policy::RoundRobin;
/// use fuelsched::{Engine, EngineConfig, Executor, Fuel, Module, Value};
///
/// # fn main() -> fuelsched::Result<()> {
/// let engine = Engine::new(&EngineConfig::default())?;
/// let add = Module::from_bytes(&engine, "add", br#"
///     (module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
/// "#)?;
/// let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(1000))).build();
/// let id = sched.spawn(add.call("add", &[Value::I32(2), Value::I32(3)]))?;
/// sched.run();
/// assert_eq!(sched.take_outcome(id).unwrap().values(), Some(&[Value::I32(5)][..]));
/// # Ok(())
/// # }
/// ```
pub struct Executor<P = Box<dyn Policy>, O = ()> {
    /// The tasks, by [`TaskId::index`].
    slots: Vec<Slot>,
    /// Slots that are free.
    free: Vec<u32>,
    /// Tasks that have not ended.
    live: usize,
    /// Tasks that have ended and were not taken.
    ended: usize,
    /// Who runs next.
    policy: P,
    /// Who watches.
    observer: O,
    /// For time budgets.
    clock: Clock,
    /// The virtual clock: fuel charged so far, and fuel that passed idle.
    now: Fuel,
    /// Sums over all tasks.
    totals: Totals,
}

/// Room for one task. It begins with a line of the cache, so that what a switch touches ([`Live`]) is in two lines, and not in four.
#[repr(align(64))]
struct Slot {
    /// How many tasks had the slot before.
    generation: u32,
    /// What is in it.
    state: State,
}

/// What is in a slot.
enum State {
    /// Nothing.
    Vacant,
    /// A task that has not ended.
    Live(Live),
    /// One that has.
    Ended(Ended),
}

/// Sums over all tasks that an executor has run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Tasks spawned.
    pub spawned: u64,
    /// Slices.
    pub slices: u64,
    /// Context switches: slices that did not end their task.
    pub switches: u64,
    /// Fuel used.
    pub fuel: Fuel,
}

/// What one [`Executor::step`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum Step {
    /// It polled a task.
    Ran(Slice),
    /// There are tasks, and none is ready.
    Idle {
        /// When one will be, on the executor's clock; `None` if only the host can tell, by [`Executor::resume`] or
        /// [`Executor::spawn`].
        next_wake: Option<Duration>,
    },
    /// There are no tasks, or all have ended.
    Done,
}

/// What [`Executor::run_for`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ran {
    /// Why it returned.
    pub why: RunEnd,
    /// Polls made.
    pub polls: u64,
    /// Fuel charged: what was used, but at least 1 a slice, and the whole grant of a slice that trapped.
    pub fuel: Fuel,
}

/// Why a run returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunEnd {
    /// There is nothing more to run.
    Done,
    /// There are tasks, and none is ready; see [`Step::Idle`].
    Idle {
        /// When one will be.
        next_wake: Option<Duration>,
    },
    /// The budget is spent.
    BudgetSpent,
}

/// Where a task is in its life, seen between two steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskState {
    /// It can run.
    Ready,
    /// The host has suspended it.
    Suspended,
    /// It has an outcome, not yet taken.
    Ended,
}

impl Executor {
    /// An executor to be set up. Unless a policy is given it is round robin with 10,000 fuel a turn.
    pub fn builder() -> Builder<RoundRobin, ()> {
        Builder { policy: RoundRobin::new(Fuel(10_000)), observer: (), clock: Clock::monotonic() }
    }
}

/// An executor to be set up; made by [`Executor::builder`].
#[derive(Debug)]
#[must_use = "nothing is there to run tasks before `build`"]
pub struct Builder<P, O> {
    /// Who runs next.
    policy: P,
    /// Who watches.
    observer: O,
    /// For time budgets.
    clock: Clock,
}

impl<P: Policy, O: Observer> Builder<P, O> {
    /// The policy. Its calls are direct; a `Box<dyn Policy>` makes it exchangeable at run time, for one indirect call more a switch.
    pub fn policy<Q: Policy>(self, policy: Q) -> Builder<Q, O> {
        Builder { policy, observer: self.observer, clock: self.clock }
    }

    /// Who watches the run.
    pub fn observer<N: Observer>(self, observer: N) -> Builder<P, N> {
        Builder { policy: self.policy, observer, clock: self.clock }
    }

    /// The clock for [`Budget::time`].
    pub fn clock(mut self, clock: Clock) -> Builder<P, O> {
        self.clock = clock;
        self
    }

    /// The executor, with no tasks.
    pub fn build(self) -> Executor<P, O> {
        Executor {
            slots: Vec::new(),
            free: Vec::new(),
            live: 0,
            ended: 0,
            policy: self.policy,
            observer: self.observer,
            clock: self.clock,
            now: Fuel::ZERO,
            totals: Totals::default(),
        }
    }
}

/// Running.
impl<P: Policy, O: Observer> Executor<P, O> {
    /// Makes one poll, of the task that the policy picks.
    ///
    /// # Panics
    /// When the policy breaks its contract and picks a task that does not live.
    #[inline]
    pub fn step(&mut self) -> Step {
        self.step_within(Fuel::MAX)
    }

    /// Runs until there is nothing to run: all tasks have ended, or those left are suspended.
    ///
    /// # Panics
    /// As [`Executor::step`].
    pub fn run(&mut self) -> Ran {
        self.run_for(Budget::unlimited())
    }

    /// Runs until the budget is spent, or there is nothing to run.
    ///
    /// # Panics
    /// As [`Executor::step`].
    pub fn run_for(&mut self, budget: Budget) -> Ran {
        let deadline = budget.time.map(|time| self.clock.now().saturating_add(time));
        let largest_grant = if deadline.is_some() { LARGEST_TIMED_GRANT } else { Fuel::MAX };
        let polls = budget.polls.unwrap_or(u64::MAX);
        let mut ran = Ran { why: RunEnd::BudgetSpent, polls: 0, fuel: Fuel::ZERO };
        while ran.polls < polls && deadline.is_none_or(|at| self.clock.now() < at) {
            let fuel_left = budget.fuel.map_or(Fuel::MAX, |fuel| fuel.minus(ran.fuel));
            if fuel_left == Fuel::ZERO {
                break;
            }
            match self.step_within(fuel_left.min(largest_grant)) {
                Step::Ran(slice) => {
                    ran.fuel = ran.fuel.plus(slice.charged);
                    ran.polls += 1;
                }
                Step::Idle { next_wake } => {
                    return Ran { why: RunEnd::Idle { next_wake }, ..ran };
                }
                Step::Done => {
                    return Ran { why: RunEnd::Done, ..ran };
                }
            }
        }
        ran
    }

    /// One poll of at most `cap` fuel, whoever asks.
    ///
    /// Always inlined, as is all that a slice does on its way: the executor's part in a switch is some 200 instructions, and handing picks
    /// and slices from one function to the next through memory cost nearly as much again (`docs/benchmarks.md`).
    #[inline(always)]
    fn step_within(&mut self, cap: Fuel) -> Step {
        loop {
            match self.policy.pick(self.now) {
                Pick::Run(run) => {
                    if let Some(slice) = self.run_slice(run, cap) {
                        return Step::Ran(slice);
                    }
                }
                // Nothing runs meanwhile, so nothing can happen before then: the virtual clock may jump.
                Pick::IdleUntil(then) if then > self.now => self.now = then,
                Pick::IdleUntil(_) | Pick::Empty if self.live > 0 => return Step::Idle { next_wake: None },
                Pick::IdleUntil(_) | Pick::Empty => return Step::Done,
            }
        }
    }

    /// Polls the task that was picked; `None` if the host has suspended it, which the policy now learns.
    #[inline(always)]
    fn run_slice(&mut self, run: Run, cap: Fuel) -> Option<Slice> {
        let Some(State::Live(task)) = self.slots.get_mut(run.id.index()).map(|slot| &mut slot.state) else {
            picked_the_dead(self.policy.name(), run.id);
        };
        if task.suspended == Suspended::Asked {
            task.suspended = Suspended::Known;
            self.policy.charge(run.id, Fuel::ZERO, SliceEnd::Blocked);
            return None;
        }
        let grant = run.grant.min(task.budget_left()).min(cap).max(Fuel(1));
        self.observer.picked(run.id, grant, run.why);
        task.meter.begin(grant);
        let mut outcome = None;
        task.poll(&mut outcome);
        if outcome.is_some() || task.meter.used() >= task.budget {
            conclude(task, &mut outcome);
        }
        let slice = settle(task, run, grant, outcome.as_ref());
        self.book(&slice);
        if let Some(outcome) = outcome {
            self.finish(run.id, outcome);
        }
        Some(slice)
    }

    /// Tells everybody about a slice.
    #[inline(always)]
    fn book(&mut self, slice: &Slice) {
        self.now = self.now.plus(slice.charged);
        self.totals.add(slice);
        self.policy.charge(slice.id, slice.charged, slice.end);
        self.observer.slice(slice);
    }

    /// Ends a task that lives: drops its future, keeps its outcome.
    #[cold]
    fn finish(&mut self, id: TaskId, outcome: Outcome) {
        self.policy.leave(id);
        let slot = &mut self.slots[id.index()];
        let State::Live(task) = std::mem::replace(&mut slot.state, State::Vacant) else {
            return;
        };
        let (spawn_index, detached) = (task.spawn_index, task.detached);
        let ledger = task.into_ledger();
        self.live -= 1;
        let ended = Ended { id, spawn_index, outcome, ledger };
        self.observer.ended(&ended);
        if detached {
            self.vacate(id);
        } else {
            self.slots[id.index()].state = State::Ended(ended);
            self.ended += 1;
        }
    }

    /// Makes a slot free for the next task. A slot whose generations are used up stays empty for good.
    fn vacate(&mut self, id: TaskId) {
        let slot = &mut self.slots[id.index()];
        slot.state = State::Vacant;
        if let Some(next) = slot.generation.checked_add(1) {
            slot.generation = next;
            self.free.push(id.index() as u32);
        }
    }
}

/// Sets the outcome of a task that the last poll has ended, or that the budget now ends.
#[cold]
fn conclude(task: &Live, outcome: &mut Option<Outcome>) {
    match outcome {
        None => *outcome = Some(Outcome::OutOfFuel),
        // The guest has no budget of its own. That it ran out all the same means that one operation was charged absurdly much.
        Some(Outcome::OutOfFuel) if task.meter.used() < task.budget => {
            *outcome = Some(Outcome::Trapped(Trap::new(BEYOND_ALL_FUEL)));
        }
        Some(_) => {}
    }
}

/// Enters a poll in the task's account: what the slice used, and how it ended; it was the last one if there is an outcome.
#[inline(always)]
fn settle(task: &mut Live, run: Run, grant: Fuel, outcome: Option<&Outcome>) -> Slice {
    let ledger = &mut task.ledger;
    let used = task.meter.used().minus(ledger.used);
    // A poll is never free, or a future that uses no fuel could keep a run of so much fuel from ending.
    let mut charged = used.max(Fuel(1));
    let yielded = task.meter.take_yielded();
    let end = match outcome {
        Some(outcome) => {
            // What a trap left uncounted is charged in full, or trapping and starting again would be free.
            if matches!(outcome, Outcome::Trapped(_)) {
                ledger.exact = false;
                charged = used.max(grant);
            }
            SliceEnd::Ended
        }
        // Out of fuel before the grant is used cannot be: the future gave the rest away without saying so.
        None if yielded || used < grant => {
            ledger.yielded += 1;
            SliceEnd::Yielded
        }
        None => {
            ledger.preempted += 1;
            SliceEnd::Preempted
        }
    };
    ledger.slices += 1;
    ledger.used = ledger.used.plus(used);
    ledger.charged = ledger.charged.plus(charged);
    ledger.max_overshoot = ledger.max_overshoot.max(used.minus(grant));
    Slice { id: run.id, spawn_index: task.spawn_index, number: ledger.slices, why: run.why, grant, used, charged, end }
}

/// Stops a run whose policy has broken its contract.
#[cold]
fn picked_the_dead(policy: &str, id: TaskId) -> ! {
    panic!("the policy {policy} picked task {id}, which does not live")
}

impl Totals {
    /// Adds a slice.
    fn add(&mut self, slice: &Slice) {
        self.slices += 1;
        // A branch that is always foreseen: shorter than the sum.
        if slice.end != SliceEnd::Ended {
            self.switches += 1;
        }
        self.fuel = self.fuel.plus(slice.used);
    }
}

/// Tasks.
impl<P: Policy, O: Observer> Executor<P, O> {
    /// Takes a task in. It runs from the next step on, when the policy picks it.
    ///
    /// # Errors
    /// What was wrong with the call that the task was made from (see [`Module::call`](crate::Module::call)), or
    /// [`ErrorKind::Refused`] by the policy. Nothing has changed then.
    pub fn spawn(&mut self, task: Task) -> Result<TaskId> {
        let live = task.into_live(self.totals.spawned)?;
        let (index, generation) = match self.free.last() {
            Some(&index) => (index, self.slots[index as usize].generation),
            None => (self.slots.len() as u32, 0),
        };
        let id = TaskId::new(index, generation);
        self.policy.admit(id, &live.params)?;
        let slot = Slot { generation, state: State::Live(live) };
        match self.free.pop() {
            Some(index) => self.slots[index as usize] = slot,
            None => self.slots.push(slot),
        }
        self.live += 1;
        self.totals.spawned += 1;
        self.policy.ready(id, ReadyReason::Spawned, self.now);
        Ok(id)
    }

    /// Ends a task now, as [`Outcome::Killed`]. When this returns its instance is gone and its memory freed.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchTask`], [`ErrorKind::TaskEnded`].
    pub fn kill(&mut self, id: TaskId) -> Result<()> {
        self.live_mut(id)?;
        self.finish(id, Outcome::Killed);
        Ok(())
    }

    /// Ends all tasks that have not ended, as [`Outcome::Stopped`], in the order of their slots.
    pub fn stop_all(&mut self) {
        for index in 0..self.slots.len() {
            let Slot { generation, state } = &self.slots[index];
            if matches!(state, State::Live(_)) {
                self.finish(TaskId::new(index as u32, *generation), Outcome::Stopped);
            }
        }
    }

    /// Lets picks pass a task over, until [`Executor::resume`]. Its debts stay. Suspending twice is suspending once.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchTask`], [`ErrorKind::TaskEnded`].
    pub fn suspend(&mut self, id: TaskId) -> Result<()> {
        let task = self.live_mut(id)?;
        if task.suspended == Suspended::No {
            task.suspended = Suspended::Asked;
        }
        Ok(())
    }

    /// Makes a suspended task ready again. Resuming a task that is not suspended does nothing.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchTask`], [`ErrorKind::TaskEnded`].
    pub fn resume(&mut self, id: TaskId) -> Result<()> {
        let task = self.live_mut(id)?;
        if std::mem::replace(&mut task.suspended, Suspended::No) == Suspended::Known {
            self.policy.ready(id, ReadyReason::Resumed, self.now);
        }
        Ok(())
    }

    /// Changes a parameter of a task.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchTask`], [`ErrorKind::TaskEnded`], or [`ErrorKind::Refused`] by the policy.
    pub fn set(&mut self, id: TaskId, param: Param) -> Result<()> {
        self.live_mut(id)?;
        self.policy.set(id, param)?;
        let task = self.live_mut(id)?;
        task.params = task.params.with(param);
        Ok(())
    }

    /// Takes an ended task, and frees its slot. `None` while it runs, and when it was taken before.
    pub fn take(&mut self, id: TaskId) -> Option<Ended> {
        let slot = self.slots.get_mut(id.index())?;
        match std::mem::replace(&mut slot.state, State::Vacant) {
            State::Ended(ended) if ended.id == id => {
                self.ended -= 1;
                self.vacate(id);
                Some(ended)
            }
            other => {
                slot.state = other;
                None
            }
        }
    }

    /// The outcome of an ended task, which is thereby taken.
    pub fn take_outcome(&mut self, id: TaskId) -> Option<Outcome> {
        self.take(id).map(|ended| ended.outcome)
    }

    /// Takes all ended tasks, in the order of their slots.
    pub fn take_ended(&mut self) -> Vec<Ended> {
        let mut all = Vec::with_capacity(self.ended);
        for index in 0..self.slots.len() {
            if self.ended == 0 {
                break;
            }
            let id = TaskId::new(index as u32, self.slots[index].generation);
            all.extend(self.take(id));
        }
        all
    }

    /// The task, if it lives.
    fn live_mut(&mut self, id: TaskId) -> Result<&mut Live> {
        match self.slots.get_mut(id.index()) {
            Some(Slot { generation, state }) if *generation == id.generation() => match state {
                State::Live(task) => Ok(task),
                State::Ended(_) => Err(ErrorKind::TaskEnded(id).into()),
                State::Vacant => Err(ErrorKind::NoSuchTask(id).into()),
            },
            _ => Err(ErrorKind::NoSuchTask(id).into()),
        }
    }
}

/// Looking.
impl<P: Policy, O: Observer> Executor<P, O> {
    /// Where the task is in its life; `None` when it was taken.
    #[must_use]
    pub fn state(&self, id: TaskId) -> Option<TaskState> {
        Some(match self.slot(id)? {
            State::Live(task) if task.suspended == Suspended::No => TaskState::Ready,
            State::Live(_) => TaskState::Suspended,
            State::Ended(_) => TaskState::Ended,
            State::Vacant => return None,
        })
    }

    /// What the task has used so far; `None` when it was taken.
    #[must_use]
    pub fn ledger(&self, id: TaskId) -> Option<&Ledger> {
        match self.slot(id)? {
            State::Live(task) => Some(&task.ledger),
            State::Ended(ended) => Some(&ended.ledger),
            State::Vacant => None,
        }
    }

    /// How many tasks have not ended.
    #[must_use]
    pub fn live(&self) -> usize {
        self.live
    }

    /// Sums over all tasks so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The virtual clock: all fuel charged so far, and all that passed idle.
    #[must_use]
    pub fn now(&self) -> Fuel {
        self.now
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &P {
        &self.policy
    }

    /// The policy, for parameters that only it knows.
    pub fn policy_mut(&mut self) -> &mut P {
        &mut self.policy
    }

    /// Puts another policy in, admits all tasks to it in the order in which they were spawned, and returns the old one.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] when the new policy does not take one of the tasks; then the old policy stays.
    pub fn set_policy(&mut self, mut policy: P) -> Result<P> {
        let mut tasks: Vec<(u64, TaskId, Params)> = Vec::with_capacity(self.live);
        for (index, slot) in self.slots.iter().enumerate() {
            if let State::Live(task) = &slot.state {
                tasks.push((task.spawn_index, TaskId::new(index as u32, slot.generation), task.params));
            }
        }
        tasks.sort_unstable_by_key(|(spawn_index, ..)| *spawn_index);
        for (_, id, params) in &tasks {
            policy.admit(*id, params)?;
        }
        for (_, id, _) in tasks {
            let task = self.live_mut(id)?;
            if task.suspended == Suspended::No {
                policy.ready(id, ReadyReason::Inherited, self.now);
            } else {
                task.suspended = Suspended::Known;
            }
        }
        Ok(std::mem::replace(&mut self.policy, policy))
    }

    /// Who watches.
    #[must_use]
    pub fn observer(&self) -> &O {
        &self.observer
    }

    /// Who watches, to be changed.
    pub fn observer_mut(&mut self) -> &mut O {
        &mut self.observer
    }

    /// What is in the slot, if it is that task's.
    fn slot(&self, id: TaskId) -> Option<&State> {
        let slot = self.slots.get(id.index())?;
        (slot.generation == id.generation()).then_some(&slot.state)
    }
}

impl<P: Policy, O> fmt::Debug for Executor<P, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor")
            .field("policy", &self.policy.name())
            .field("live", &self.live)
            .field("now", &self.now)
            .field("totals", &self.totals)
            .finish_non_exhaustive()
    }
}

/// An executor moves between threads, tasks and all, as long as policy and observer do.
const fn _executor_is_send() {
    const fn send<T: Send>() {}
    send::<Executor<RoundRobin>>();
    send::<Executor>();
}
