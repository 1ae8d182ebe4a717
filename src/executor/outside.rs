//! What tasks want that reach to their host: to wait, to sleep, to be woken, to spawn others. And where the thread is parked while all of
//! them wait.
//!
//! ```text
//!  run_slice ─► collect ─► book ─► grant_wishes ─┬─ block ─► Signal::park, Timers::insert
//!                                                └─ take_in (tasks that it spawned)
//!  step_within ─► attend ─► wake ─► Policy::ready
//!            └──► idle ─┬─ Step::Idle ─► park ─► WakeList::sleep
//!                       └─ end_deadlock
//! ```
//!
//! **No wake is lost between the last look and the sleep.** [`Executor::attend`] takes the wake list before each pick; a wake after that leaves an
//! id on the list, and [`WakeList::sleep`](crate::signal::WakeList::sleep) does not sleep while there is one.
//!
//! **When is it a deadlock?** When nobody is ready, no timer is set, and of each task that has not ended it is certain that nobody will wake it:
//! nobody holds its waker but whoever keeps it for another task of this executor ([`BlockedOn::is_inside`]). Wakers are counted by the
//! reference count of the flag, so this holds for any future of the host's, too: one that has not kept the waker will never be woken. A task that the host
//! has suspended can be resumed by the host, which may make it wake the others: then it is none.

use super::{Executor, State, Step};
use crate::clock::Clock;
use crate::join::Ending;
use crate::outcome::{Deadlock, Outcome};
use crate::outside::Asked;
use crate::policy::Policy;
use crate::reason::{BlockedOn, ReadyReason, WokenBy};
use crate::signal::WakeList;
use crate::task::{Blocked, Live, Suspended, Task};
use crate::timer::Timers;
use crate::trace::Observer;
use crate::unit::{Fuel, TaskId};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

/// What an executor has for tasks that reach to their host.
#[derive(Debug)]
pub(super) struct Outside {
    /// Tasks that have been woken.
    wakes: Arc<WakeList>,
    /// An empty vector to take them into.
    woken: Vec<TaskId>,
    /// Tasks that sleep, on a clock that is not the virtual one.
    pub(super) sleepers: Timers<Duration>,
    /// What the task asked for that has just been polled.
    asked: Option<Asked>,
    /// Tasks that have a waker. While there are none, steps look at nothing of this.
    pub(super) waiters: usize,
    /// Whether tasks end that wait for each other.
    deadlocks: bool,
    /// How many of the first that have been woken were so in the slice of this task.
    in_slice: (usize, u64),
    /// The task whose children are being spawned.
    pub(super) spawner: Option<u64>,
}

impl Outside {
    /// Nobody waits.
    pub(super) fn new(deadlocks: bool) -> Outside {
        Outside {
            wakes: Arc::default(),
            woken: Vec::new(),
            sleepers: Timers::new(),
            asked: None,
            waiters: 0,
            deadlocks,
            in_slice: (0, 0),
            spawner: None,
        }
    }

    /// A slice of this task is over: whoever has been woken until now was so in it, because before it nobody was left.
    pub(super) fn note_wakes(&mut self, spawn_index: u64) {
        if self.wakes.any() {
            self.in_slice = (self.wakes.len(), spawn_index);
        }
    }
}

/// Wakes the thread of an executor that is parked; made by [`Executor::unparker`]. It can be sent to any thread.
#[derive(Clone, Debug)]
pub struct Unparker(Arc<WakeList>);

impl Unparker {
    /// Wakes the thread, or keeps it from parking the next time.
    pub fn unpark(&self) {
        self.0.ring();
    }
}

/// Waiting.
impl<P: Policy, O: Observer> Executor<P, O> {
    /// Parks the thread until a task is woken, until the executor's clock shows `next_wake` (as [`Step::Idle`] names it), or until somebody
    /// unparks it. Does nothing where a task has been woken already.
    ///
    /// By a clock that does not go on by itself there is nothing to wait for: then only a wake ends it.
    pub fn park(&mut self, next_wake: Option<Duration>) {
        self.outside.wakes.sleep(self.time_until(next_wake));
    }

    /// Parks as [`Executor::park`] does, but not longer than this by the system's clock, whatever the executor's is: for a host that has to look at
    /// something else from time to time.
    pub fn park_at_most(&mut self, next_wake: Option<Duration>, at_most: Duration) {
        let time = self.time_until(next_wake).map_or(at_most, |time| time.min(at_most));
        self.outside.wakes.sleep(Some(time));
    }

    /// How long it is until the executor's clock shows this, if that goes on by itself.
    fn time_until(&self, moment: Option<Duration>) -> Option<Duration> {
        let moment = moment.filter(|_| self.clock.runs_by_itself())?;
        Some(moment.saturating_sub(self.clock.now()))
    }

    /// What ends [`Executor::park`], from any thread.
    #[must_use]
    pub fn unparker(&self) -> Unparker {
        Unparker(self.outside.wakes.clone())
    }

    /// What a task waits for in a function of its host's, and since when on the virtual clock; `None` if it does not.
    #[must_use]
    pub fn blocked_on(&self, id: TaskId) -> Option<(&BlockedOn, Fuel)> {
        match self.slot(id)? {
            State::Live(task) => task.blocked().map(|blocked| (&blocked.on, blocked.since)),
            _ => None,
        }
    }

    /// Whether there is something to [park](Executor::park) for: a moment that the clock will come to (as [`Step::Idle`] names it), or a task that
    /// somebody outside may wake.
    #[must_use]
    pub fn waits_for_outside(&self, next_wake: Option<Duration>) -> bool {
        let by_itself = self.clock.runs_by_itself();
        let awaited = |task: &Live| match task.blocked() {
            // Nobody but the host, which is in here, can resume it.
            _ if task.suspended != Suspended::No => false,
            Some(blocked) => (by_itself && blocked.until.is_some()) || can_be_woken(task, blocked),
            None => by_itself && next_wake.is_some(),
        };
        self.lives().any(|(_, task)| awaited(task)) || self.has_wakes()
    }

    /// Whether somebody has been woken whom [`Executor::attend`] has not seen. Asked after wakers were counted, it knows of every wake by one
    /// that was not there any more: whoever wakes by the last waker enters the task first, and drops the waker then.
    fn has_wakes(&self) -> bool {
        fence(Ordering::Acquire);
        self.outside.wakes.any()
    }

    /// Makes those ready that have been woken, and those whose sleep is over.
    #[inline(never)]
    pub(super) fn attend(&mut self) {
        if self.outside.wakes.any() {
            let mut woken = std::mem::take(&mut self.outside.woken);
            self.outside.wakes.take(&mut woken);
            let (in_slice, spawn_index) = std::mem::take(&mut self.outside.in_slice);
            for (place, id) in woken.drain(..).enumerate() {
                self.wake(id, if place < in_slice { WokenBy::Task(spawn_index) } else { WokenBy::Outside });
            }
            self.outside.woken = woken;
        }
        if self.outside.sleepers.next() == Duration::MAX {
            return;
        }
        let now = self.clock.now();
        while let Some(id) = self.outside.sleepers.take_due(now) {
            self.wake(id, WokenBy::Moment);
        }
    }

    /// A task's wait is over, for all that is known.
    pub(super) fn wake(&mut self, id: TaskId, by: WokenBy) {
        let Ok(task) = self.live_mut(id) else {
            return;
        };
        let Some(outlook) = task.outlook_mut() else {
            return;
        };
        let Some(blocked) = outlook.blocked.take() else {
            return;
        };
        if let Some((signal, _)) = &outlook.waker {
            signal.retire();
        }
        let ready = task.suspended == Suspended::No && !task.is_waiting();
        self.forget_sleep(id, &blocked);
        self.observer.woken(id, by);
        if ready {
            self.make_ready(id, ReadyReason::Woken);
        }
    }

    /// Collects what a task asked for in the slice that has just ended, and tells the observer what came in to it, what it sent and what it received.
    #[inline(never)]
    pub(super) fn collect(&mut self, id: TaskId) {
        let Ok(task) = self.live_mut(id) else {
            return;
        };
        let (spawn_index, asked) = (task.spawn_index, task.meter.outside().and_then(|outside| outside.collect()));
        for bytes in asked.iter().flat_map(|asked| &asked.inputs) {
            self.observer.input(spawn_index, bytes);
        }
        for message in asked.iter().flat_map(|asked| &asked.messages) {
            self.observer.message(spawn_index, message);
        }
        self.outside.asked = asked;
    }

    /// Does what a task asked for, after the slice is booked.
    #[inline(never)]
    pub(super) fn grant_wishes(&mut self, id: TaskId, spawn_index: u64) {
        let Some(asked) = self.outside.asked.take() else {
            return;
        };
        self.outside.spawner = Some(spawn_index);
        for (task, join) in asked.spawned {
            let spawned = match task.downcast::<Task>() {
                Ok(task) => self.spawn(*task),
                Err(_) => continue,
            };
            if let Err(error) = spawned {
                self.observer.refused(spawn_index);
                join.end(Ending::of(&Outcome::Failed(error)));
            }
        }
        self.outside.spawner = None;
        // Behind the spawns: it may wait for the end of one of those.
        let on = asked.end_of.map(|join| join.blocked_on()).or(asked.on);
        if let Some(on) = on {
            // What comes only at the end of all time does not come.
            let until = asked.until.filter(|at| as_fuel(*at) < Fuel::MAX);
            self.block(id, spawn_index, Blocked { on, inside: asked.inside, since: self.now, until });
        }
    }

    /// A task waits, unless it was woken while it was polled.
    fn block(&mut self, id: TaskId, spawn_index: u64, mut blocked: Blocked) {
        let simulated = self.clock.is_simulated();
        if self.clock.runs_by_itself() {
            blocked.until = blocked.until.map(|at| shared_moment(at, self.clock.now()));
        }
        let Some(outlook) = self.live_mut(id).ok().and_then(Live::outlook_mut) else {
            return;
        };
        let Some((signal, _)) = &outlook.waker else {
            return;
        };
        let parked = signal.park();
        let until = blocked.until;
        outlook.blocked = Some(blocked);
        if !parked {
            self.wake(id, WokenBy::Task(spawn_index));
            return;
        }
        if let Some(State::Live(task)) = self.slots.get(id.index()).map(|slot| &slot.state)
            && let Some(blocked) = task.blocked()
        {
            self.observer.blocked(id, &blocked.on);
        }
        match until {
            Some(at) if simulated => self.timers.insert(as_fuel(at), id),
            Some(at) => self.outside.sleepers.insert(at, id),
            None => {}
        }
    }

    /// Nobody is ready and no timer of the virtual clock is set. `None` if that was a deadlock, which has been ended.
    #[cold]
    pub(super) fn idle(&mut self) -> Option<Step> {
        let next = self.outside.sleepers.next();
        if next < Duration::MAX {
            return Some(Step::Idle { next_wake: Some(next) });
        }
        let deadlocked = self.outside.deadlocks && self.is_deadlocked();
        // Somebody may have been woken since the last look, by a waker that was gone when they were counted.
        if self.has_wakes() {
            return None;
        }
        if deadlocked {
            self.end_deadlock();
            return None;
        }
        Some(Step::Idle { next_wake: None })
    }

    /// Whether nobody will ever be ready again.
    fn is_deadlocked(&self) -> bool {
        let stuck = |task: &Live| {
            let alone = |blocked: &Blocked| blocked.until.is_none() && !can_be_woken(task, blocked);
            task.blocked().is_some_and(alone) && task.suspended == Suspended::No
        };
        self.lives().all(|(_, task)| stuck(task))
    }

    /// Ends all tasks, each of which waits for the others, in the order of their slots.
    fn end_deadlock(&mut self) {
        let all: Vec<TaskId> = self.lives().map(|(id, _)| id).collect();
        all.into_iter().for_each(|id| self.end_deadlocked(id));
    }

    /// Ends a task that waits, as one of a deadlock.
    pub(crate) fn end_deadlocked(&mut self, id: TaskId) {
        let blocked = self.live_mut(id).ok().and_then(|task| task.blocked());
        if let Some(Blocked { on, since, .. }) = blocked.cloned() {
            self.starved += 1;
            self.finish(id, Outcome::Deadlocked(Deadlock { on, since }));
        }
    }

    /// The tasks that have not ended, in the order of their slots.
    fn lives(&self) -> impl Iterator<Item = (TaskId, &Live)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| match &slot.state {
            State::Live(task) => Some((TaskId::new(index as u32, slot.generation), task)),
            _ => None,
        })
    }

    /// Takes a task that ends out of what is here.
    pub(super) fn forget_waits(&mut self, id: TaskId, task: &Live) {
        if let Some(blocked) = task.blocked() {
            self.forget_sleep(id, blocked);
        }
        if let Some((signal, _)) = task.outlook().and_then(|outlook| outlook.waker.as_ref()) {
            signal.retire();
            self.outside.waiters -= 1;
        }
    }

    /// Takes the timer of a sleep out, unless the task waits for fuel until the same moment.
    fn forget_sleep(&mut self, id: TaskId, blocked: &Blocked) {
        let Some(at) = blocked.until else {
            return;
        };
        if !self.clock.is_simulated() {
            self.outside.sleepers.remove(at, id);
            return;
        }
        let fuel = self.live_mut(id).ok().and_then(|task| task.until());
        if fuel != Some(as_fuel(at)) {
            self.timers.remove(as_fuel(at), id);
        }
    }

    /// Gives a task that is taken in what it needs to reach out.
    pub(super) fn reach_out(&mut self, id: TaskId, live: &mut Live) {
        live.attach(id, &self.outside.wakes);
        if live.can_wait() {
            self.outside.waiters += 1;
        }
        if let Some(outside) = live.meter.outside() {
            let (records, follows) = (self.observer.records(), self.observer.follows_messages());
            outside.attach(self.clock.clone(), live.spawn_index, live.budget, records, follows);
        }
        if let Some(join) = live.account().and_then(|account| account.join.as_ref()) {
            join.spawned(live.spawn_index);
        }
    }
}

/// A replay.
impl<P: Policy, O: Observer> Executor<P, O> {
    /// Puts another clock in, before anything has run.
    pub(crate) fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// From now on what comes in to a task is what [`Executor::feed`] brings.
    pub(crate) fn replay_inputs(&mut self, id: TaskId) {
        if let Some(outside) = self.live_mut(id).ok().and_then(|task| task.meter.outside()) {
            outside.replay();
        }
    }

    /// Brings a task what came in when its run was recorded.
    pub(crate) fn feed(&mut self, id: TaskId, bytes: Vec<u8>) {
        if let Some(outside) = self.live_mut(id).ok().and_then(|task| task.meter.outside()) {
            outside.feed(bytes);
        }
    }

    /// Whether what a task took in is something else than was recorded.
    pub(crate) fn is_astray(&mut self, id: TaskId) -> bool {
        self.live_mut(id).ok().and_then(|task| task.meter.outside()).is_some_and(crate::outside::Outside::is_astray)
    }
}

/// Whether anybody holds a waker of a task who is not another task of the same executor.
fn can_be_woken(task: &Live, blocked: &Blocked) -> bool {
    task.outlook().is_some_and(|outlook| outlook.wakers_held() > blocked.inside)
}

/// The moment at which somebody is woken who sleeps until `at`: a little later, so that sleepers whose moments are close share one, and the
/// thread wakes once for all of them. A wake of a thread costs more than a hundred switches. Late is less than a 128th of the sleep.
fn shared_moment(at: Duration, now: Duration) -> Duration {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let most = nanos(at.saturating_sub(now)) / 128;
    // A power of two, so that the moments of short sleeps are among those of shorter ones.
    let step = most.checked_ilog2().map_or(1, |bits| 1 << bits);
    nanos(at).checked_next_multiple_of(step).map_or(at, Duration::from_nanos)
}

/// A moment of a clock that goes by fuel.
fn as_fuel(at: Duration) -> Fuel {
    Fuel(u64::try_from(at.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleepers_share_moments_and_are_late_by_less_than_a_128th() {
        let (second, start) = (1_000_000_000, 77_777_777_777);
        let shared = |length: u64| {
            let at = Duration::from_nanos(start + length);
            let late = shared_moment(at, Duration::from_nanos(start)).checked_sub(at).unwrap();
            assert!(late.as_nanos() * 128 <= u128::from(length), "{length}: {late:?}");
            late + at
        };
        for length in [0, 1, 127, 128, 1_000, 5_000_000, 3_600 * second] {
            shared(length);
        }
        let mut moments: Vec<Duration> = (0..1_000).map(|n| shared(second + n * second / 1_000)).collect();
        moments.dedup();
        assert!(moments.len() < 250, "1,000 moments of one second are {}", moments.len());
        let end = Duration::from_nanos(u64::MAX - 1);
        assert_eq!(shared_moment(end, Duration::ZERO), end, "there is nothing behind it");
    }
}
