//! Who watches the runs: reads the clock around every slice, or after every one.
//!
//! ```text
//!     ready ────────► picked ────────────► slice (its end) ────────► picked …
//!        └─ wait, wake-up ┘└──── length ────┘└──────── wait ───────────┘
//! ```
//!
//! The clock is read last before a slice and first after it, and what is to be entered is entered then, so that it is in no slice. It is in the
//! waits of others.

use super::clock::{Clock, Stamp};
use super::measure::{Distribution, PerModule, Watched};
use fuelsched::reason::{PickReason, ReadyReason};
use fuelsched::trace::{Ended, Observer, Slice, Spawned};
use fuelsched::{Fuel, SliceEnd, TaskId};

/// Reads the clock around every slice.
#[derive(Debug)]
pub(crate) struct Probe {
    /// Reads the time.
    clock: Clock,
    /// When the present slice began.
    slice_began: Stamp,
    /// Since when the task that is picked had been ready.
    had_been_ready: Option<Ready>,
    /// Since when each task is ready, by slot; nothing for one that runs or waits.
    ready: Vec<Option<Ready>>,
    /// When each task was spawned, by its place in that order.
    spawned: Vec<Stamp>,
    /// What was found.
    pub(crate) found: Watched,
    /// From the first spawn to the latest end, in nanoseconds.
    pub(crate) completion: u64,
    /// The longest time that a task was ready and not picked, in nanoseconds.
    pub(crate) longest_wait: u64,
    /// The same by slot, for as many as are told apart.
    pub(crate) modules: Vec<PerModule>,
}

/// Since when, and how, a task is ready.
#[derive(Clone, Copy, Debug)]
struct Ready {
    /// Since then.
    since: Stamp,
    /// Whether it was woken, and did not just lose its turn.
    woken: bool,
}

impl Probe {
    /// It has seen nothing yet.
    pub(crate) fn new(clock: Clock, modules: usize) -> Probe {
        Probe {
            clock,
            slice_began: Stamp::default(),
            had_been_ready: None,
            ready: Vec::new(),
            spawned: Vec::new(),
            found: Watched::default(),
            completion: 0,
            longest_wait: 0,
            modules: vec![PerModule::default(); modules],
        }
        .forgetful()
    }

    /// The same, having seen nothing. Its pages stay, and were all written to: the first to do so in a run would wait for the system.
    pub(crate) fn forgetful(mut self) -> Probe {
        self.had_been_ready = None;
        self.ready.clear();
        self.spawned.clear();
        self.found.clear();
        (self.completion, self.longest_wait) = (0, 0);
        self.modules.iter_mut().for_each(PerModule::clear);
        self
    }

    /// Where it is kept since when that task is ready.
    fn ready_of(&mut self, id: TaskId) -> &mut Option<Ready> {
        let slot = id.index();
        if slot >= self.ready.len() {
            self.ready.resize(slot + 1, None);
        }
        &mut self.ready[slot]
    }

    /// Enters how long the task had waited for the slice that has just ended.
    fn enter_wait(&mut self) {
        if let Some(Ready { since, woken }) = self.had_been_ready.take() {
            let wait = self.clock.between(since, self.slice_began);
            self.longest_wait = self.longest_wait.max(wait);
            if woken {
                self.found.wakeup.add(wait);
            }
        }
    }
}

impl Observer for Probe {
    fn spawned(&mut self, _task: &Spawned) {
        self.spawned.push(self.clock.now());
    }

    fn ready(&mut self, id: TaskId, why: ReadyReason, _now: Fuel) {
        let ready = Ready { since: self.clock.now(), woken: why == ReadyReason::Woken };
        *self.ready_of(id) = Some(ready);
    }

    fn picked(&mut self, id: TaskId, _grant: Fuel, _why: PickReason) {
        self.had_been_ready = self.ready_of(id).take();
        self.slice_began = self.clock.now();
    }

    fn slice(&mut self, slice: &Slice) {
        let now = self.clock.now();
        let length = self.clock.between(self.slice_began, now);
        self.enter_wait();
        self.found.slice.add(length);
        if let Some(module) = self.modules.get_mut(slice.id.index()) {
            module.slice.add(length);
        }
        if slice.end == SliceEnd::Preempted {
            self.found.lateness.add(slice.overshoot().0);
        }
        if matches!(slice.end, SliceEnd::Preempted | SliceEnd::Yielded) {
            *self.ready_of(slice.id) = Some(Ready { since: now, woken: false });
        }
    }

    fn ended(&mut self, task: &Ended) {
        let now = self.clock.now();
        let began = |index: u64| self.spawned.get(usize::try_from(index).ok()?).copied();
        let (Some(first), Some(own)) = (began(0), began(task.spawn_index)) else {
            return;
        };
        self.completion = self.clock.between(first, now);
        let turnaround = self.clock.between(own, now);
        self.found.turnaround.add(turnaround);
        if let Some(module) = self.modules.get_mut(task.id.index()) {
            module.turnaround.add(turnaround);
        }
        *self.ready_of(task.id) = None;
    }
}

/// Reads the clock at the end of every slice.
#[derive(Debug)]
pub(crate) struct Switches {
    /// Reads the time.
    clock: Clock,
    /// When the slice before ended, if it was preempted.
    last_end: Option<Stamp>,
    /// From end to end.
    pub(crate) switch: Distribution,
    /// The same by slot, for as many as are told apart.
    pub(crate) modules: Vec<Distribution>,
}

impl Switches {
    /// The same, having seen nothing, with its pages.
    pub(crate) fn forgetful(mut self) -> Switches {
        self.last_end = None;
        self.switch.clear();
        self.modules.iter_mut().for_each(Distribution::clear);
        self
    }

    /// It has seen nothing yet.
    pub(crate) fn new(clock: Clock, modules: usize) -> Switches {
        let each = vec![Distribution::default(); modules];
        Switches { clock, last_end: None, switch: Distribution::default(), modules: each }.forgetful()
    }
}

impl Observer for Switches {
    fn slice(&mut self, slice: &Slice) {
        // The first slice of a task makes its instance, and the last one tears it down: more than a switch.
        let whole = slice.end == SliceEnd::Preempted && slice.number > 1;
        let now = self.clock.now();
        if let (Some(last), true) = (self.last_end, whole) {
            let switch = self.clock.between(last, now);
            self.switch.add(switch);
            if let Some(module) = self.modules.get_mut(slice.id.index()) {
                module.add(switch);
            }
        }
        // Read again, so that recording the duration is not part of the next.
        self.last_end = whole.then(|| self.clock.now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fuelsched::policy::RoundRobin;
    use fuelsched::{Executor, Outcome, Task};
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};
    use std::task::{Poll, Waker};

    /// A clock that tasks move.
    type Now = Arc<AtomicU64>;

    /// A task each of whose polls takes so long, and all fuel of the slice; the last one returns.
    fn lasting(now: &Now, times: &'static [u64]) -> Task {
        let (now, mut times) = (now.clone(), times.iter());
        Task::from_future(move |meter| {
            poll_fn(move |_| {
                now.fetch_add(*times.next().expect("it has returned"), Ordering::Relaxed);
                meter.record(meter.used().plus(meter.grant()));
                if times.len() == 0 { Poll::Ready(Outcome::Returned(Vec::new())) } else { Poll::Pending }
            })
        })
    }

    /// What a probe finds of tasks that take turns; spawning each takes 3.
    fn watched(now: &Now, tasks: Vec<Task>) -> Probe {
        let probe = Some(Probe::new(Clock::manual(now), tasks.len()));
        let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(10))).observer(probe).build();
        for task in tasks {
            sched.spawn(task).expect("there is room");
            now.fetch_add(3, Ordering::Relaxed);
        }
        sched.run();
        sched.observer_mut().take().expect("it watched")
    }

    /// All values of a distribution and how often each was found.
    fn all(distribution: &Distribution) -> Vec<(u64, u64)> {
        distribution.0.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
    }

    #[test]
    fn slices_waits_and_turnarounds_are_told_apart() {
        let now = Now::default();
        // One is spawned at 0, runs from 6 to 106 and from 113 to 313; the other at 3, from 106 to 113 and from 313 to 320. Then both return.
        let probe = watched(&now, vec![lasting(&now, &[100, 200, 1]), lasting(&now, &[7, 7, 2])]);
        assert_eq!(all(&probe.found.slice), [(1, 1), (2, 1), (7, 2), (100, 1), (200, 1)]);
        assert_eq!(all(&probe.found.turnaround), [(320, 1), (321, 1)]);
        assert_eq!((probe.longest_wait, probe.completion), (200, 323));
        assert_eq!(all(&probe.modules[1].slice), [(2, 1), (7, 2)]);
        assert_eq!(all(&probe.modules[0].turnaround), [(321, 1)]);
        assert_eq!(all(&probe.found.wakeup), [], "nobody was woken");
        assert_eq!(all(&probe.found.lateness), [(0, 4)]);
    }

    #[test]
    fn a_wake_up_counts_from_when_the_task_could_go_on() {
        let (now, waker) = (Now::default(), Arc::new(Mutex::new(None::<Waker>)));
        let sleeper = {
            let (now, waker, mut first) = (now.clone(), waker.clone(), true);
            Task::with_waker(move |_| {
                poll_fn(move |cx| {
                    now.fetch_add(5, Ordering::Relaxed);
                    if std::mem::take(&mut first) {
                        *waker.lock().expect("not poisoned") = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                    Poll::Ready(Outcome::Returned(Vec::new()))
                })
            })
        };
        let other = {
            let (now, mut polls) = (now.clone(), 0);
            Task::from_future(move |meter| {
                poll_fn(move |_| {
                    now.fetch_add(50, Ordering::Relaxed);
                    meter.record(meter.used().plus(meter.grant()));
                    if let Some(waker) = waker.lock().expect("not poisoned").take() {
                        waker.wake();
                    }
                    polls += 1;
                    if polls == 3 { Poll::Ready(Outcome::Returned(Vec::new())) } else { Poll::Pending }
                })
            })
        };
        // Woken in the other's first slice, which ends at 55; the third has its turn first, until 85.
        let probe = watched(&now, vec![sleeper, other, lasting(&now, &[30, 30, 30])]);
        assert_eq!(all(&probe.found.wakeup), [(30, 1)]);
    }

    #[test]
    fn a_probe_that_is_used_again_has_forgotten() {
        let now = Now::default();
        let probe = watched(&now, vec![lasting(&now, &[100, 1]), lasting(&now, &[7, 7])]).forgetful();
        assert_eq!((all(&probe.found.slice), all(&probe.modules[0].slice)), (vec![], vec![]));
        assert_eq!((probe.longest_wait, probe.completion, probe.spawned.len()), (0, 0, 0));
    }
}
