//! What makes a plan's tasks: once for each, and again for each restart and for each replay.

use crate::job::{Job, Refusal};
use crate::plan::{Plan, Replenish, Restart, TaskPlan};
use fuelsched::reason::Param;
use fuelsched::{Fuel, GroupId, Limits, Task};

/// Makes a job's task, with all that the plan gives it; each call is another incarnation.
pub(crate) type Maker = Box<dyn FnMut() -> Task + Send>;

/// The maker of a job, or why there is none. The label is the job's position among the jobs.
pub(crate) fn maker(label: usize, job: &Job, plan: &Plan, groups: &[GroupId]) -> Result<Maker, Refusal> {
    let call = job.call.as_ref().map_err(Clone::clone)?;
    let task = &plan.tasks[job.task];
    let dress = Dress::of(task, label, job.task, plan, groups);
    let program = call.program.clone().limits(Limits { memory: plan.max_memory, ..Limits::default() });
    let (entry, args) = (job.entry.clone(), call.args.clone());
    Ok(match task.health.restart {
        Some(Restart::Warm) => {
            let instance = program.instance(()).warm();
            Box::new(move || dress.wear(instance.call(&entry, &args)))
        }
        _ => Box::new(move || dress.wear(program.call((), &entry, &args))),
    })
}

/// All that a task is given beside its call.
#[derive(Debug)]
struct Dress {
    /// Fuel that it may use in all.
    budget: Option<u64>,
    /// Fuel in each period.
    replenish: Option<Replenish>,
    /// Its group.
    group: Option<GroupId>,
    /// When it can first run.
    start: u64,
    /// What the policy is told.
    params: Vec<Param>,
    /// The job's position.
    label: u64,
}

impl Dress {
    /// What a plan says of a task.
    fn of(task: &TaskPlan, label: usize, position: usize, plan: &Plan, groups: &[GroupId]) -> Dress {
        let partition = plan.frames.is_some().then(|| Param::Partition(u32::try_from(position).unwrap_or(u32::MAX)));
        let params = [
            task.quantum.map(|n| Param::Quantum(Fuel(n))),
            task.weight.map(Param::Weight),
            task.priority.map(Param::Priority),
            task.period.map(|n| Param::Period(Fuel(n))),
            task.runtime.map(|n| Param::Runtime(Fuel(n))),
            task.deadline.map(|n| Param::Deadline(Fuel(n))),
            partition,
        ];
        Dress {
            budget: plan.budget(task),
            replenish: task.replenish,
            group: task.group.map(|group| groups[group]),
            start: task.start,
            params: params.into_iter().flatten().collect(),
            label: label as u64,
        }
    }

    /// A task with all of it.
    fn wear(&self, task: Task) -> Task {
        let mut task = self
            .params
            .iter()
            .fold(task.label(self.label).start_at(Fuel(self.start)), |task, param| task.param(*param));
        if let Some(fuel) = self.budget {
            task = task.budget(Fuel(fuel));
        }
        if let Some(Replenish { fuel, period }) = self.replenish {
            task = task.replenishing(Fuel(fuel), Fuel(period));
        }
        match self.group {
            Some(group) => task.group(group),
            None => task,
        }
    }
}
