//! Slices in time: a policy around a policy, which sets the quantum of each task so that its slices last about so long.
//!
//! **Algorithm.** It reads a clock when a task is picked and when it is charged, and learns how long the task's fuel takes ([`Pace`]). When a
//! turn is over, and the quantum that would last the wanted time is more than an eighth away from the one that the task has, the inner policy is told
//! to set it. In the middle of a turn that the host has cut short nothing is set: the rest of it is what the inner policy promised.
//! All else is the inner policy's: who runs next, what a debt is, whom it refuses.
//!
//! **Fairness.** The inner policy's, in its own unit. A policy that gives every task one quantum a round, such as round robin, so gives
//! every task about the same *time*: guests whose fuel takes 100 times as long get a hundredth of the fuel. How exact that is, is how steady the guests are.
//! A guest that becomes `k` times as dear at once has one slice that lasts `k` times too long, one that lasts at most `k / 4` times, and is known.
//!
//! **Who keeps a quantum of their own.** A task that was spawned with one, or that was given one by [`Policy::set`], keeps it. An inner
//! policy that has no quantum to set, or refuses to, runs as it would by itself.
//!
//! **Reproducibility.** None: quanta now depend on the machine, and on what else it does, and so does the schedule. A recording of the run
//! keeps each decision, and replays it.
//!
//! **Cost.** That of the inner policy, two reads of the clock (18 to 25 ns each) a slice, and O(1).

use super::{Fault, Pick, Policy, Table};
use crate::clock::Clock;
use crate::error::Result;
use crate::pace::Pace;
use crate::reason::{InWindow, Param, Params, ReadyReason, SliceEnd};
use crate::unit::{Fuel, GroupId, TaskId};
use std::time::Duration;

/// A quantum that is not further off than one part in so many is left as it is.
const TOLERANCE: u64 = 8;

/// A policy whose slices last about so long, in time; who runs next is the inner policy's to say, and so is the name.
///
/// ```
/// use fuelsched::policy::{RoundRobin, Timed};
/// use fuelsched::{Clock, Executor, Fuel};
/// use std::time::Duration;
///
/// let inner = RoundRobin::new(Fuel(10_000));
/// let timed = Timed::new(inner, Duration::from_micros(200), Clock::monotonic());
/// let sched = Executor::builder().policy(timed).build();
/// assert_eq!(sched.policy().inner().quantum(), Fuel(10_000), "which is now nobody's");
/// ```
#[derive(Debug)]
pub struct Timed<P> {
    /// Who runs next.
    inner: P,
    /// How long a slice is to last.
    slice: Duration,
    /// What shows the time.
    clock: Clock,
    /// How long each task's fuel takes.
    pace: Pace,
    /// The quantum that each task has been given here; a task with one of its own has no row.
    quanta: Table<Fuel>,
    /// What the running task was granted, and since when it runs.
    running: (Fuel, Duration),
}

impl<P: Policy> Timed<P> {
    /// The inner policy, with slices of about this length on this clock.
    #[must_use]
    pub const fn new(inner: P, slice: Duration, clock: Clock) -> Timed<P> {
        Timed { inner, slice, clock, pace: Pace::new(), quanta: Table::new(), running: (Fuel::ZERO, Duration::ZERO) }
    }

    /// The inner policy.
    #[must_use]
    pub const fn inner(&self) -> &P {
        &self.inner
    }

    /// The inner policy, for parameters that only it knows.
    pub const fn inner_mut(&mut self) -> &mut P {
        &mut self.inner
    }

    /// Sets the task's quantum anew, if it is too far off.
    fn aim(&mut self, id: TaskId) {
        let Some(has) = self.quanta.get_mut(id) else {
            return;
        };
        let wants = self.pace.grant_for(id, self.slice);
        if wants.0.abs_diff(has.0) <= has.0 / TOLERANCE {
            return;
        }
        *has = wants;
        if self.inner.set(id, Param::Quantum(wants)).is_err() {
            // It would refuse the next one as well.
            self.quanta.remove(id);
        }
    }
}

impl<P: Policy> Policy for Timed<P> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn admit(&mut self, id: TaskId, params: &Params) -> Result<()> {
        self.quanta.remove(id);
        if params.quantum.is_some() {
            return self.inner.admit(id, params);
        }
        let quantum = self.pace.grant_for(id, self.slice);
        if self.inner.admit(id, &params.with(Param::Quantum(quantum))).is_ok() {
            self.quanta.insert(id, quantum);
            return Ok(());
        }
        self.inner.admit(id, params)
    }

    fn ready(&mut self, id: TaskId, why: ReadyReason, now: Fuel) {
        self.inner.ready(id, why, now);
    }

    fn pick(&mut self, now: Fuel) -> Pick {
        let pick = self.inner.pick(now);
        if let Pick::Run(run) = pick {
            self.running = (run.grant, self.clock.now());
        }
        pick
    }

    fn upcoming(&self) -> [u32; 3] {
        self.inner.upcoming()
    }

    fn charge(&mut self, id: TaskId, used: Fuel, end: SliceEnd) {
        let (grant, since) = self.running;
        let took = self.clock.now().saturating_sub(since);
        self.inner.charge(id, used, end);
        // A task that did not run after all has used nothing, and one that has ended needs no quantum.
        if used == Fuel::ZERO || end == SliceEnd::Ended {
            return;
        }
        self.pace.learn(id, used, took);
        let cut_short = end == SliceEnd::Preempted && used < grant;
        if !cut_short {
            self.aim(id);
        }
    }

    fn leave(&mut self, id: TaskId) {
        self.inner.leave(id);
        self.quanta.remove(id);
    }

    fn set(&mut self, id: TaskId, param: Param) -> Result<()> {
        self.inner.set(id, param)?;
        if let Param::Quantum(_) = param {
            self.quanta.remove(id);
        }
        Ok(())
    }

    fn group(&mut self, id: GroupId, weight: u32) {
        self.inner.group(id, weight);
    }

    fn ungroup(&mut self, id: GroupId) {
        self.inner.ungroup(id);
    }

    fn take_fault(&mut self) -> Option<Fault> {
        self.inner.take_fault()
    }

    fn window(&self) -> Option<InWindow> {
        self.inner.window()
    }

    /// The inner policy's, and how many picoseconds the task's fuel is expected to take, because most takes less than a nanosecond.
    fn numbers(&self, id: TaskId) -> Vec<(&'static str, i64)> {
        let mut numbers = self.inner.numbers(id);
        let pace = self.pace.nanos_per_fuel(id) * 1_000.0;
        numbers.push(("ps-per-fuel", pace as i64));
        numbers
    }
}
