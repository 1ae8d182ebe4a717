//! The executor: it polls one task at a time, and takes `Poll::Pending` as a context switch.
//!
//! There is one poll in this crate's way through a run, in `Executor::run_slice`; everything else here is who is polled, for how
//! much, and what becomes of it. The executor knows futures and a [`Policy`], and nothing of WebAssembly.
//!
//! ```text
//!  run ─┐
//!  run_for ─┴─► step_within(cap) ─► Policy::pick ─► run_slice ─► Live::poll ─► settle ─► Policy::charge
//!  step ────────────┘ └► fire (timers)                                             └─► finish (if it was the last)
//! ```
//!
//! What a host does between steps (spawn, kill, suspend, refuel, take) is in `executor/control.rs`; what it does with the memory of a
//! suspended guest, in `executor/inspect.rs`, where the polls that are no slices are made; how a run of so much time ends in time, in
//! `executor/frame.rs`; what tasks want that wait, sleep and spawn others, in `executor/outside.rs`, where the thread is parked; how many tasks are
//! kept near, in `executor/near.rs`.

mod control;
mod frame;
mod inspect;
mod near;
mod outside;

use crate::account::Groups;
use crate::budget::Budget;
use crate::clock::Clock;
use crate::join::Ending;
use crate::ledger::{Cause, Last};
use crate::near::Fetch;
use crate::outcome::{Outcome, Trap};
use crate::pace::Pace;
use crate::policy::{Pick, Policy, RoundRobin, Run};
use crate::reason::{PickReason, ReadyReason, SliceEnd, WokenBy};
use crate::task::{Live, Reach, Suspended};
use crate::timer::Timers;
use crate::trace::{Ended, Observer, Slice};
use crate::unit::{Fuel, TaskId};
use frame::{Frame, Limit};
use outside::Outside;
use std::fmt;
use std::time::Duration;

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
    /// What time it is: for time budgets, and for tasks that sleep or ask.
    clock: Clock,
    /// How long each task's fuel takes, learned under time budgets.
    pace: Pace,
    /// The virtual clock: fuel charged so far, and fuel that passed idle.
    now: Fuel,
    /// Tasks that wait for a moment of the virtual clock.
    timers: Timers,
    /// What tasks need that reach to their host.
    outside: Outside,
    /// What brings memory near; the tasks know.
    fetch: Fetch,
    /// Groups of tasks.
    groups: Groups,
    /// Sums over all tasks.
    totals: Totals,
    /// Tasks that ended without a slice that tells of it: when they were picked, or in a deadlock.
    starved: u64,
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
    Ended(Box<Ended>),
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
        /// When one may be, on the executor's clock: the first sleep is over then, or the policy, where it goes by that clock, lets somebody run. Wait until
        /// then or for a wake, as [`Executor::park`] does, and step again. `None` if no moment is known: then a wake makes somebody ready, or the host does,
        /// by [`Executor::resume`] or [`Executor::spawn`].
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
    /// A [`Supervisor`](crate::Supervisor) says that the run is over.
    Shutdown,
}

/// Where a task is in its life, seen between two steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskState {
    /// It can run.
    Ready,
    /// The host has suspended it.
    Suspended,
    /// It waits for this moment of the virtual clock: its start, or the fuel of its next period.
    Waiting {
        /// The moment.
        until: Fuel,
    },
    /// It waits in a function of its host's: [`Executor::blocked_on`] says for what.
    Blocked,
    /// It has an outcome, not yet taken.
    Ended,
}

impl Executor {
    /// An executor to be set up. Unless a policy is given it is round robin with 10,000 fuel a turn.
    pub fn builder() -> Builder<RoundRobin, ()> {
        Builder { policy: RoundRobin::new(Fuel(10_000)), observer: (), clock: Clock::monotonic(), deadlocks: true }
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
    /// What time it is.
    clock: Clock,
    /// Whether tasks end that wait for each other.
    deadlocks: bool,
}

impl<P: Policy, O: Observer> Builder<P, O> {
    /// The policy. Its calls are direct; a `Box<dyn Policy>` makes it exchangeable at run time, for one indirect call more a switch.
    pub fn policy<Q: Policy>(self, policy: Q) -> Builder<Q, O> {
        Builder { policy, observer: self.observer, clock: self.clock, deadlocks: self.deadlocks }
    }

    /// Who watches the run.
    pub fn observer<N: Observer>(self, observer: N) -> Builder<P, N> {
        Builder { policy: self.policy, observer, clock: self.clock, deadlocks: self.deadlocks }
    }

    /// The clock by which tasks sleep, and by which [`Budget::time`] goes. The system's, unless set.
    pub fn clock(mut self, clock: Clock) -> Builder<P, O> {
        self.clock = clock;
        self
    }

    /// Whether tasks that all wait for each other end, as [`Outcome::Deadlocked`]. They do, unless this says no: for a host that will spawn
    /// another task that wakes them.
    pub fn end_deadlocks(mut self, end: bool) -> Builder<P, O> {
        self.deadlocks = end;
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
            pace: Pace::new(),
            now: Fuel::ZERO,
            timers: Timers::new(),
            outside: Outside::new(self.deadlocks),
            fetch: near::NOTHING,
            groups: Groups::default(),
            totals: Totals::default(),
            starved: 0,
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
        self.step_within(|_| Fuel::MAX)
    }

    /// Runs until there is nothing more to run: all tasks have ended, or those left are suspended. While all that are left sleep, or wait for
    /// somebody outside, the thread is parked ([`Executor::park`]).
    ///
    /// # Panics
    /// As [`Executor::step`].
    pub fn run(&mut self) -> Ran {
        let mut all = Ran { why: RunEnd::Done, polls: 0, fuel: Fuel::ZERO };
        loop {
            let ran = self.run_for(Budget::unlimited());
            all = Ran { why: ran.why, polls: all.polls + ran.polls, fuel: all.fuel.plus(ran.fuel) };
            match ran.why {
                RunEnd::Idle { next_wake } if self.waits_for_outside(next_wake) => self.park(next_wake),
                _ => return all,
            }
        }
    }

    /// Runs until the budget is spent, or nobody is ready. It does not wait for anybody: a host with a loop of its own does that as it likes.
    ///
    /// # Panics
    /// As [`Executor::step`].
    pub fn run_for(&mut self, budget: Budget) -> Ran {
        self.run_watched(budget, |_, _| true)
    }

    /// Runs as [`Executor::run_for`], or until `watch`, which is shown each step, says no. Where nobody was left to run and `watch` has spawned
    /// somebody, the run goes on.
    #[inline(always)]
    pub(crate) fn run_watched(&mut self, budget: Budget, mut watch: impl FnMut(&mut Self, &Step) -> bool) -> Ran {
        self.observer.run_begins(self.now);
        let ran = match budget.time {
            None => self.run_within(budget, &mut (), &mut watch),
            Some(time) => self.run_frame(budget, time, &mut watch),
        };
        self.observer.run_ends(self.now);
        ran
    }

    /// A run of so much time. What it learns of the tasks is there for the next.
    #[inline(never)]
    fn run_frame(&mut self, budget: Budget, time: Duration, watch: &mut impl FnMut(&mut Self, &Step) -> bool) -> Ran {
        let mut frame = Frame::new(self.clock.clone(), time, std::mem::take(&mut self.pace));
        let ran = self.run_within(budget, &mut frame, watch);
        self.pace = frame.into_pace();
        ran
    }

    /// Runs until the budget's fuel or polls are spent, something else ends the run, or there is nothing to run.
    #[inline(always)]
    fn run_within(
        &mut self,
        budget: Budget,
        limit: &mut impl Limit,
        watch: &mut impl FnMut(&mut Self, &Step) -> bool,
    ) -> Ran {
        let polls = budget.polls.unwrap_or(u64::MAX);
        let mut ran = Ran { why: RunEnd::BudgetSpent, polls: 0, fuel: Fuel::ZERO };
        while ran.polls < polls && !limit.is_over() {
            let fuel_left = budget.fuel.map_or(Fuel::MAX, |fuel| fuel.minus(ran.fuel));
            if fuel_left == Fuel::ZERO {
                break;
            }
            let step = self.step_within(|id| fuel_left.min(limit.cap(id)));
            let spawned = self.totals.spawned;
            let end = match step {
                Step::Ran(slice) => {
                    ran.fuel = ran.fuel.plus(slice.charged);
                    ran.polls += 1;
                    limit.ran(&slice);
                    None
                }
                Step::Idle { next_wake } => Some(RunEnd::Idle { next_wake }),
                Step::Done => Some(RunEnd::Done),
            };
            if !watch(self, &step) {
                return Ran { why: RunEnd::Shutdown, ..ran };
            }
            if let Some(why) = end
                && self.totals.spawned == spawned
            {
                return Ran { why, ..ran };
            }
        }
        ran
    }

    /// One poll of at most as much fuel as `cap` says for the task that was picked, whoever asks.
    ///
    /// Always inlined, as is all that a slice does on its way: the executor's part in a switch is some 200 instructions, and handing picks
    /// and slices from one function to the next through memory cost nearly as much again (`docs/benchmarks.md`).
    #[inline(always)]
    fn step_within(&mut self, cap: impl Fn(TaskId) -> Fuel) -> Step {
        loop {
            if self.now >= self.timers.next() {
                self.fire();
            }
            if self.outside.waiters > 0 {
                self.attend();
            }
            match self.policy.pick(self.now) {
                Pick::Run(run) => {
                    if let Some(slice) = self.run_slice(run, cap(run.id)) {
                        return Step::Ran(slice);
                    }
                }
                Pick::IdleUntilTime(then) => {
                    return Step::Idle { next_wake: Some(then.min(self.outside.sleepers.next())) };
                }
                Pick::IdleUntil(then) if then > self.now => self.idle_until(then.min(self.timers.next())),
                Pick::IdleUntil(_) | Pick::Empty if self.timers.next() < Fuel::MAX => {
                    self.idle_until(self.timers.next())
                }
                Pick::IdleUntil(_) | Pick::Empty if self.live > 0 => {
                    if let Some(idle) = self.idle() {
                        return idle;
                    }
                }
                Pick::IdleUntil(_) | Pick::Empty => return Step::Done,
            }
        }
    }

    /// Polls the task that was picked; `None` if it cannot run after all, which the policy now learns.
    #[inline(always)]
    fn run_slice(&mut self, run: Run, mut cap: Fuel) -> Option<Slice> {
        if self.live >= near::MANY {
            self.look_ahead();
        }
        let task = picked(&mut self.slots, &self.policy, run.id);
        if task.detour {
            match may_run(task, &mut self.groups, self.now) {
                Verdict::Run { at_most } => cap = cap.min(at_most),
                declined => {
                    self.decline(run.id, declined);
                    return None;
                }
            }
        }
        let grant = run.grant.min(task.budget_left()).min(cap).max(Fuel(1));
        if self.observer.follows_windows()
            && let Some(window) = self.policy.window()
        {
            self.observer.window(&window);
        }
        self.observer.picked(run.id, grant, run.why);
        task.meter.begin(grant);
        let mut outcome = None;
        task.poll(&mut outcome);
        if outcome.is_some() || task.meter.used() >= task.budget || !task.is_plain() {
            return Some(self.end_slice(run, grant, outcome));
        }
        let slice = settle(task, run, self.now, grant, None, false);
        self.book(&slice);
        Some(slice)
    }

    /// The end of a slice that was the task's last, or after which more is to be looked at than fuel.
    #[inline(never)]
    fn end_slice(&mut self, run: Run, grant: Fuel, mut outcome: Option<Outcome>) -> Slice {
        let task = picked(&mut self.slots, &self.policy, run.id);
        let waits = match outcome.is_some() || task.detour || task.meter.used() >= task.budget {
            true => conclude(task, &mut self.groups, self.now, grant, &mut outcome),
            false => None,
        };
        let reaches_out = task.reach != Reach::Nothing;
        let slice = settle(task, run, self.now, grant, outcome.as_ref(), waits.is_some());
        if reaches_out {
            self.collect(run.id);
        }
        self.book(&slice);
        if let Some(until) = waits {
            self.timers.insert(until, run.id);
        }
        if let Some(outcome) = outcome {
            self.finish(run.id, outcome);
        }
        if reaches_out {
            self.grant_wishes(run.id, slice.spawn_index);
        }
        self.outside.note_wakes(slice.spawn_index);
        slice
    }

    /// Polls this task next, whatever the policy would say, as far as budgets and the host's suspensions allow. `None` if it did not run: it may
    /// have ended for that, because its group's budget is used up.
    pub(crate) fn run_as_told(&mut self, id: TaskId, grant: Fuel) -> Option<Slice> {
        if self.now >= self.timers.next() {
            self.fire();
        }
        // What woke it is not recorded: that it ran says that something did.
        self.wake(id, WokenBy::Outside);
        if self.state(id) != Some(TaskState::Ready) {
            return None;
        }
        self.run_slice(Run { id, grant, why: PickReason::Replayed }, Fuel::MAX)
    }

    /// Lets the virtual clock jump there, whatever the policy would say.
    pub(crate) fn idle_as_told(&mut self, until: Fuel) {
        self.idle_until(until);
    }

    /// Lets the virtual clock jump. Nothing runs meanwhile, so nothing can happen before then.
    #[cold]
    fn idle_until(&mut self, then: Fuel) {
        self.observer.idle(self.now, then);
        self.now = then;
        self.clock.follow(then);
    }

    /// Makes those ready whose time has come on the virtual clock.
    #[cold]
    fn fire(&mut self) {
        while let Some(id) = self.timers.take_due(self.now) {
            let Some(State::Live(task)) = self.slots.get_mut(id.index()).map(|slot| &mut slot.state) else {
                continue;
            };
            // It waited for two moments, both have passed, and the first has made it ready.
            if !task.is_waiting() {
                continue;
            }
            let mut why = if task.tally.slices == 0 { ReadyReason::Spawned } else { ReadyReason::Replenished };
            if let Some(account) = task.account_mut()
                && account.until.is_some_and(|until| until <= self.now)
            {
                account.until = None;
            }
            if task.take_sleep(Duration::from_nanos(self.now.0)).is_some() {
                why = ReadyReason::Woken;
                self.observer.woken(id, WokenBy::Moment);
            }
            if task.suspended == Suspended::No && !task.is_waiting() {
                self.make_ready(id, why);
            }
        }
    }

    /// Tells that a task can go on, or is new.
    fn make_ready(&mut self, id: TaskId, why: ReadyReason) {
        self.policy.ready(id, why, self.now);
        self.observer.ready(id, why, self.now);
    }

    /// Tells the policy why the task that it picked does not run.
    #[cold]
    fn decline(&mut self, id: TaskId, why: Verdict) {
        self.policy.charge(id, Fuel::ZERO, SliceEnd::Blocked);
        match why {
            Verdict::Wait { until } => self.timers.insert(until, id),
            Verdict::OutOfFuel => {
                self.starved += 1;
                self.finish(id, Outcome::OutOfFuel);
            }
            Verdict::Suspended | Verdict::Run { .. } => {}
        }
    }

    /// Tells everybody about a slice.
    #[inline(always)]
    fn book(&mut self, slice: &Slice) {
        self.now = self.now.plus(slice.charged);
        self.clock.follow(self.now);
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
        self.forget(id, &task);
        if let Some(join) = task.account().and_then(|account| account.join.as_ref()) {
            join.end(Ending::of(&outcome));
        }
        let (spawn_index, label, detached, released) = (task.spawn_index, task.label, task.detached, task.released);
        let ledger = task.into_ledger();
        self.live -= 1;
        let ended = Ended { id, spawn_index, label, outcome, ledger, released, at: self.now };
        self.observer.ended(&ended);
        if detached {
            self.vacate(id);
        } else {
            self.slots[id.index()].state = State::Ended(Box::new(ended));
            self.ended += 1;
        }
    }

    /// Takes a task that ends out of what it shares with others.
    fn forget(&mut self, id: TaskId, task: &Live) {
        self.forget_waits(id, task);
        let Some(account) = task.account() else {
            return;
        };
        if let Some(until) = account.until {
            self.timers.remove(until, id);
        }
        if let Some(shared) = account.group.and_then(|group| self.groups.get(group).ok()) {
            shared.tasks -= 1;
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

/// The task that was picked.
#[inline(always)]
fn picked<'a>(slots: &'a mut [Slot], policy: &impl Policy, id: TaskId) -> &'a mut Live {
    match slots.get_mut(id.index()).map(|slot| &mut slot.state) {
        Some(State::Live(task)) => task,
        _ => picked_the_dead(policy.name(), id),
    }
}

/// Whether a task that was picked may run.
enum Verdict {
    /// It may, for at most so much.
    Run {
        /// What it may use of what it shares.
        at_most: Fuel,
    },
    /// It waits for fuel.
    Wait {
        /// Until then.
        until: Fuel,
    },
    /// What its group may use is used up for good.
    OutOfFuel,
    /// The host has suspended it.
    Suspended,
}

/// Looks at what a pick does not look at for every task.
#[cold]
fn may_run(task: &mut Live, groups: &mut Groups, now: Fuel) -> Verdict {
    if task.suspended == Suspended::Asked {
        task.suspended = Suspended::Known;
        task.review();
        return Verdict::Suspended;
    }
    let Some(account) = task.account_mut() else {
        return Verdict::Run { at_most: Fuel::MAX };
    };
    match account.available(groups, now) {
        Ok(at_most) => Verdict::Run { at_most },
        Err(None) => Verdict::OutOfFuel,
        Err(Some(until)) => {
            account.until = Some(until);
            Verdict::Wait { until }
        }
    }
}

/// Sees to a task that the last poll has ended, whose budget is used up, or that shares what it uses. Sets the outcome if there is one, and
/// says until when the task waits if it has used up its fuel for now.
#[cold]
fn conclude(
    task: &mut Live,
    groups: &mut Groups,
    now: Fuel,
    grant: Fuel,
    outcome: &mut Option<Outcome>,
) -> Option<Fuel> {
    let used = task.meter.used();
    match outcome {
        None if used >= task.budget => *outcome = Some(Outcome::OutOfFuel),
        // The guest has no budget of its own. That it ran out all the same means that one operation was charged absurdly much.
        Some(Outcome::OutOfFuel) if used < task.budget => {
            *outcome = Some(Outcome::Trapped(Trap::new(BEYOND_ALL_FUEL)));
        }
        _ => {}
    }
    let slice = used.minus(task.tally.used);
    // As in `settle`: a trap leaves fuel uncounted.
    let slice = if matches!(outcome, Some(Outcome::Trapped(_))) { slice.max(grant) } else { slice };
    let account = task.account_mut()?;
    account.spend(groups, slice);
    if outcome.is_some() {
        return None;
    }
    match account.available(groups, now.plus(slice.max(Fuel(1)))) {
        Ok(_) => None,
        Err(None) => {
            *outcome = Some(Outcome::OutOfFuel);
            None
        }
        Err(until) => {
            account.until = until;
            until
        }
    }
}

/// Enters a poll in the task's account: what the slice used, and how it ended; it was the last one if there is an outcome.
#[inline(always)]
fn settle(task: &mut Live, run: Run, at: Fuel, grant: Fuel, outcome: Option<&Outcome>, waits: bool) -> Slice {
    let cause = task.meter.take_cause();
    // Whoever has no waker cannot wait for it.
    let waits = waits || (cause == Cause::BLOCKED && task.can_wait());
    let tally = &mut task.tally;
    let used = task.meter.used().minus(tally.used);
    // A poll is never free, or a future that uses no fuel could keep a run of so much fuel from ending.
    let mut charged = used.max(Fuel(1));
    let end = match outcome {
        Some(outcome) => {
            // What a trap left uncounted is charged in full, or trapping and starting again would be free.
            task.last = Last::Ended;
            if matches!(outcome, Outcome::Trapped(_)) {
                task.last = Last::Trapped;
                charged = used.max(grant);
            }
            SliceEnd::Ended
        }
        None if waits => {
            tally.blocked += 1;
            SliceEnd::Blocked
        }
        // Out of fuel before the grant is used cannot be: the future gave the rest away without saying so.
        None if cause != Cause::GAVE_WAY && (cause != Cause::UNSAID || used < grant) => {
            tally.yielded += 1;
            SliceEnd::Yielded
        }
        None => SliceEnd::Preempted,
    };
    tally.slices += 1;
    tally.used = tally.used.plus(used);
    // Branches that are nearly always foreseen: shorter than sums.
    if charged > used {
        tally.surcharge = tally.surcharge.plus(charged.minus(used));
    }
    if used.minus(grant) > tally.max_overshoot {
        tally.max_overshoot = used.minus(grant);
    }
    Slice {
        id: run.id,
        spawn_index: task.spawn_index,
        number: tally.slices,
        why: run.why,
        grant,
        used,
        charged,
        end,
        at,
    }
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

impl<P, O> Executor<P, O> {
    /// Bytes that an executor has for each task that is there at once, beside the task's future and meter, and the policy's part.
    pub const BYTES_A_TASK: usize = size_of::<Slot>();
}

/// Two lines of the cache.
const _: () = assert!(size_of::<Slot>() <= 128);

/// An executor moves between threads, tasks and all, as long as policy and observer do.
const fn _executor_is_send() {
    const fn send<T: Send>() {}
    send::<Executor<RoundRobin>>();
    send::<Executor>();
}
