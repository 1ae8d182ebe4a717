//! The supervisor: what becomes of a task that trapped, ran out of fuel, overran its window or missed a deadline.
//!
//! The health monitor of ARINC 653 Part 1: for each task a table says what is done about what. A [`Supervisor`] is beside its executor, and not
//! in it: it is shown each step, acts by what any host can do (kill, take, spawn), and costs nothing where there is none.
//!
//! **Cold and warm.** A restart spawns what the task's `make` returns. If that is a call on a new instance
//! ([`Module::call`](crate::Module::call)), the start is *cold*. If it is a call on an instance that stays, and that is
//! [`Instance::warm`](crate::Instance::warm), memory and globals are as the call before has left them.
//!
//! **A restart makes progress.** Whatever ended without a single slice (the budget of its group is used up for good, say) is not restarted, so
//! between two restarts of a task that ended there is a slice, which was charged. So a run with a budget ends.

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::executor::{Executor, Ran, Step};
use crate::outcome::Outcome;
use crate::policy::{Fault, FaultKind, Policy};
use crate::reason::SliceEnd;
use crate::task::Task;
use crate::trace::Observer;
use crate::unit::TaskId;
use std::collections::BTreeMap;
use std::fmt;

pub use crate::reason::{Action, Incident};

/// What is done about what, for one task. By default everything is ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// About a trap.
    pub on_trap: Action,
    /// About a budget that is used up for good: the task's own, or its group's.
    pub on_out_of_fuel: Action,
    /// About an overrun.
    pub on_overrun: Action,
    /// About a missed deadline.
    pub on_deadline_miss: Action,
    /// After so many restarts, the next one is a stop.
    pub max_restarts: Option<u32>,
}

impl Health {
    /// What is done about an incident.
    #[must_use]
    pub const fn action(&self, incident: Incident) -> Action {
        match incident {
            Incident::Trap => self.on_trap,
            Incident::OutOfFuel => self.on_out_of_fuel,
            Incident::Overrun => self.on_overrun,
            Incident::DeadlineMiss => self.on_deadline_miss,
        }
    }
}

/// What an outcome is to act on, if it is anything.
const fn incident(outcome: &Outcome) -> Option<Incident> {
    match outcome {
        Outcome::Trapped(_) => Some(Incident::Trap),
        Outcome::OutOfFuel => Some(Incident::OutOfFuel),
        _ => None,
    }
}

impl From<FaultKind> for Incident {
    fn from(kind: FaultKind) -> Incident {
        match kind {
            FaultKind::Overrun => Incident::Overrun,
            FaultKind::DeadlineMiss => Incident::DeadlineMiss,
        }
    }
}

/// Whether the run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum Verdict {
    /// It does.
    GoOn,
    /// It is over: a task with [`Action::Shutdown`] had an incident.
    Shutdown {
        /// The task.
        by: TaskId,
        /// What happened.
        why: Incident,
    },
}

/// What [`Supervisor::run_for`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Supervised {
    /// The run. Its end is [`RunEnd::Shutdown`](crate::RunEnd::Shutdown) where the verdict says so.
    pub ran: Ran,
    /// Whether the supervisor ended it.
    pub verdict: Verdict,
}

/// How often what happened to a task, over all its incarnations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incidents {
    /// Traps.
    pub traps: u64,
    /// Budgets used up.
    pub out_of_fuel: u64,
    /// Overruns.
    pub overruns: u64,
    /// Missed deadlines.
    pub deadline_misses: u64,
}

impl Incidents {
    /// Counts one.
    fn count(&mut self, incident: Incident) {
        *match incident {
            Incident::Trap => &mut self.traps,
            Incident::OutOfFuel => &mut self.out_of_fuel,
            Incident::Overrun => &mut self.overruns,
            Incident::DeadlineMiss => &mut self.deadline_misses,
        } += 1;
    }
}

/// Looks after tasks that were spawned through it, and leaves all others alone.
///
/// ```
/// use fuelsched::{Action, Budget, Engine, EngineConfig, Executor, Health, Module, Supervisor};
///
/// # fn main() -> fuelsched::Result<()> {
/// let engine = Engine::new(&EngineConfig::default())?;
/// let bad = Module::from_bytes(&engine, "bad", r#"(module (func (export "main") unreachable))"#)?;
/// let (mut sched, mut supervisor) = (Executor::builder().build(), Supervisor::new());
/// let health = Health { on_trap: Action::Restart, max_restarts: Some(3), ..Health::default() };
/// let id = supervisor.spawn(&mut sched, health, move || bad.call("main", &[]))?;
/// supervisor.run_for(&mut sched, Budget::unlimited());
/// assert_eq!((supervisor.restarts(id), supervisor.incidents(id).traps), (3, 4));
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Supervisor {
    /// Its tasks, by the id of the first incarnation.
    wards: BTreeMap<TaskId, Ward>,
    /// The id of the first incarnation, by that of the present one.
    firsts: BTreeMap<TaskId, TaskId>,
    /// How many tasks had ended without a slice when that was last looked at.
    starved: u64,
}

/// A task that is looked after.
struct Ward {
    /// Makes the next incarnation.
    make: Box<dyn FnMut() -> Task + Send>,
    /// What is done about what.
    health: Health,
    /// The present incarnation.
    current: TaskId,
    /// Whether the task is not to be kept when it has ended.
    detached: bool,
    /// Restarts so far.
    restarts: u32,
    /// What happened so far.
    incidents: Incidents,
    /// Whether the end of the present incarnation has been seen.
    over: bool,
    /// Why it could not be made anew.
    failure: Option<Error>,
}

/// Spawns what `make` returns. It is kept when it ends, so that the supervisor sees how; says whether that was not wanted.
fn incarnate<P: Policy, O: Observer>(sched: &mut Executor<P, O>, task: Task) -> Result<(TaskId, bool)> {
    let (task, detached) = task.kept();
    Ok((sched.spawn(task)?, detached))
}

impl Supervisor {
    /// A supervisor with no tasks.
    #[must_use]
    pub fn new() -> Supervisor {
        Supervisor::default()
    }

    /// Spawns a task, and looks after it from now on. `make` is called at once, and for every restart.
    ///
    /// # Errors
    /// Those of [`Executor::spawn`].
    pub fn spawn<P: Policy, O: Observer>(
        &mut self,
        sched: &mut Executor<P, O>,
        health: Health,
        mut make: impl FnMut() -> Task + Send + 'static,
    ) -> Result<TaskId> {
        let (id, detached) = incarnate(sched, make())?;
        let make = Box::new(make);
        let (restarts, incidents) = (0, Incidents::default());
        let ward = Ward { make, health, current: id, detached, restarts, incidents, over: false, failure: None };
        self.wards.insert(id, ward);
        self.firsts.insert(id, id);
        Ok(id)
    }

    /// Acts on what a step has brought: on faults that the policy saw, and on tasks that have ended. To be called after each step.
    ///
    /// A task that overran and ended in the same slice is judged by its end; the overrun is counted, and only a shutdown comes of it.
    pub fn watch<P: Policy, O: Observer>(&mut self, sched: &mut Executor<P, O>, step: &Step) -> Verdict {
        while let Some(Fault { id, kind, .. }) = sched.policy_mut().take_fault() {
            if let Verdict::Shutdown { by, why } = self.judge(sched, id, kind.into()) {
                return Verdict::Shutdown { by, why };
            }
        }
        if let Step::Ran(slice) = step
            && slice.end == SliceEnd::Ended
            && let Verdict::Shutdown { by, why } = self.bury(sched, slice.id)
        {
            return Verdict::Shutdown { by, why };
        }
        if sched.starved() == self.starved { Verdict::GoOn } else { self.look_for_the_starved(sched) }
    }

    /// Looks for tasks that ended without a slice. Rare, so all are looked at.
    #[cold]
    fn look_for_the_starved<P: Policy, O: Observer>(&mut self, sched: &mut Executor<P, O>) -> Verdict {
        let current: Vec<TaskId> = self.wards.values().filter(|ward| !ward.over).map(|ward| ward.current).collect();
        for id in current {
            if let Verdict::Shutdown { by, why } = self.bury(sched, id) {
                return Verdict::Shutdown { by, why };
            }
        }
        self.starved = sched.starved();
        Verdict::GoOn
    }

    /// Runs as [`Executor::run_for`], and watches each step. A restart is part of the run: its slices come off the same budget.
    ///
    /// # Panics
    /// As [`Executor::step`], and when a `make` panics.
    pub fn run_for<P: Policy, O: Observer>(&mut self, sched: &mut Executor<P, O>, budget: Budget) -> Supervised {
        let mut verdict = Verdict::GoOn;
        let ran = sched.run_watched(budget, |sched, step| {
            verdict = self.watch(sched, step);
            verdict == Verdict::GoOn
        });
        Supervised { ran, verdict }
    }

    /// The present incarnation of a task, by the id of the first: the latest that was spawned.
    #[must_use]
    pub fn current(&self, first: TaskId) -> TaskId {
        self.wards.get(&first).map_or(first, |ward| ward.current)
    }

    /// How often a task was restarted, by the id of its first incarnation.
    #[must_use]
    pub fn restarts(&self, first: TaskId) -> u32 {
        self.wards.get(&first).map_or(0, |ward| ward.restarts)
    }

    /// What happened to a task so far, by the id of its first incarnation.
    #[must_use]
    pub fn incidents(&self, first: TaskId) -> Incidents {
        self.wards.get(&first).map_or_else(Incidents::default, |ward| ward.incidents)
    }

    /// Why a task could not be made anew, if so. It stays ended then, as its latest incarnation did.
    #[must_use]
    pub fn failure(&self, first: TaskId) -> Option<&Error> {
        self.wards.get(&first)?.failure.as_ref()
    }

    /// Looks after a task no longer, whatever its state, and forgets its numbers. For hosts that spawn for ever.
    pub fn forget(&mut self, first: TaskId) -> bool {
        let Some(ward) = self.wards.remove(&first) else {
            return false;
        };
        self.firsts.remove(&ward.current);
        true
    }

    /// Sees to a task that has ended, if it is one of ours and its end has not been seen.
    fn bury<P: Policy, O: Observer>(&mut self, sched: &mut Executor<P, O>, id: TaskId) -> Verdict {
        let Some(ward) = self.firsts.get(&id).and_then(|first| self.wards.get_mut(first)) else {
            return Verdict::GoOn;
        };
        let Some(outcome) = sched.outcome(id) else {
            return Verdict::GoOn;
        };
        let incident = incident(outcome);
        ward.over = true;
        let detached = ward.detached;
        let verdict = incident.map_or(Verdict::GoOn, |incident| self.judge(sched, id, incident));
        if detached {
            sched.take(id);
        }
        verdict
    }

    /// Does about an incident what is to be done.
    fn judge<P: Policy, O: Observer>(&mut self, sched: &mut Executor<P, O>, id: TaskId, why: Incident) -> Verdict {
        let Some((first, ward)) = self.firsts.get(&id).and_then(|first| Some((*first, self.wards.get_mut(first)?)))
        else {
            return Verdict::GoOn;
        };
        ward.incidents.count(why);
        let action = ward.health.action(why);
        sched.observer_mut().health(id, why, action);
        let of_its_end = matches!(why, Incident::Trap | Incident::OutOfFuel);
        let ended = sched.outcome(id).is_some();
        match action {
            Action::Shutdown => return Verdict::Shutdown { by: id, why },
            Action::Restart if ended == of_its_end => self.restart(sched, first),
            Action::Stop if !ended => self.end(sched, first),
            _ => {}
        }
        Verdict::GoOn
    }

    /// Kills the present incarnation of a task, if it lives.
    fn end<P: Policy, O: Observer>(&mut self, sched: &mut Executor<P, O>, first: TaskId) {
        let Some(ward) = self.wards.get_mut(&first) else {
            return;
        };
        // An error means that it does not live.
        let killed = sched.kill(ward.current).is_ok();
        ward.over = true;
        if killed && ward.detached {
            sched.take(ward.current);
        }
    }

    /// Makes a task anew. The old incarnation is taken once the new one is there.
    fn restart<P: Policy, O: Observer>(&mut self, sched: &mut Executor<P, O>, first: TaskId) {
        let Some(ward) = self.wards.get_mut(&first) else {
            return;
        };
        let old = ward.current;
        let killed = sched.kill(old).is_ok();
        let idle = !killed && sched.ledger(old).is_none_or(|ledger| ledger.slices == 0);
        if idle || ward.health.max_restarts.is_some_and(|most| ward.restarts >= most) {
            return self.end(sched, first);
        }
        match incarnate(sched, (ward.make)()) {
            Ok((id, detached)) => {
                sched.take(old);
                ward.restarts = ward.restarts.saturating_add(1);
                (ward.current, ward.detached, ward.over) = (id, detached, false);
                self.firsts.remove(&old);
                self.firsts.insert(id, first);
            }
            Err(error) => {
                ward.failure = Some(error);
                self.end(sched, first);
            }
        }
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.wards.iter().map(|(first, ward)| (first, (ward.current, ward.restarts)))).finish()
    }
}
