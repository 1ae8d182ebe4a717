//! Tasks that are started again: a plan's health actions, handed to a supervisor where the plan has any.

use crate::plan::{Act, HealthPlan, Plan, TaskPlan};
use crate::policy::PolicySpec;
use crate::run::Sched;
use fuelsched::supervisor::{Incident, Incidents, Verdict};
use fuelsched::{Action, Budget, Health, Ran, Result, Supervisor, Task, TaskId};

/// Who looks after the tasks of a run; nobody, where nothing is to be done about anything.
#[derive(Debug)]
pub(crate) struct Lives(Option<Supervisor>);

/// A task has shut the run down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shutdown {
    /// Which.
    pub(crate) by: TaskId,
    /// What happened to it.
    pub(crate) why: Incident,
}

impl Lives {
    /// A supervisor, if the plan says what is to be done about anything, or the policy sees faults that are to be counted.
    pub(crate) fn new(plan: &Plan, policy: &PolicySpec) -> Lives {
        let acts = plan.tasks.iter().any(|task| task.health != HealthPlan::default());
        Lives((acts || ["cyclic", "edf"].contains(&policy.name.as_str())).then(Supervisor::new))
    }

    /// Spawns a task, and makes it anew when the plan says so.
    pub(crate) fn spawn(
        &mut self,
        sched: &mut Sched,
        task: &TaskPlan,
        mut make: impl FnMut() -> Task + Send + 'static,
    ) -> Result<TaskId> {
        match &mut self.0 {
            Some(supervisor) => supervisor.spawn(sched, health(&task.health), make),
            None => sched.spawn(make()),
        }
    }

    /// Runs, and does what is to be done.
    pub(crate) fn run_for(&mut self, sched: &mut Sched, budget: Budget) -> (Ran, Option<Shutdown>) {
        let Some(supervisor) = &mut self.0 else {
            return (sched.run_for(budget), None);
        };
        let supervised = supervisor.run_for(sched, budget);
        let shutdown = match supervised.verdict {
            Verdict::Shutdown { by, why } => Some(Shutdown { by, why }),
            _ => None,
        };
        (supervised.ran, shutdown)
    }

    /// The present incarnation of a task, by the id of the first.
    pub(crate) fn current(&self, first: TaskId) -> TaskId {
        self.0.as_ref().map_or(first, |supervisor| supervisor.current(first))
    }

    /// How often a task was started again, and what happened to it, where somebody counted.
    pub(crate) fn numbers(&self, first: TaskId) -> Option<(u32, Incidents)> {
        self.0.as_ref().map(|supervisor| (supervisor.restarts(first), supervisor.incidents(first)))
    }
}

/// What a plan says is to be done, as the library has it.
fn health(plan: &HealthPlan) -> Health {
    let action = |act: Option<Act>| match act {
        None | Some(Act::Ignore) => Action::Ignore,
        Some(Act::Restart) => Action::Restart,
        Some(Act::Stop) => Action::Stop,
        Some(Act::Shutdown) => Action::Shutdown,
    };
    Health {
        on_trap: action(plan.on_trap),
        on_out_of_fuel: action(plan.on_out_of_fuel),
        on_overrun: action(plan.on_overrun),
        on_deadline_miss: action(plan.on_deadline_miss),
        max_restarts: plan.max_restarts,
    }
}
