//! What makes a run's tasks: once for each, again for each restart and for each replay, and where a task spawns another.

use crate::job::{Call, Job, Refusal};
use crate::plan::{Plan, Replenish, Restart, TaskPlan};
use crate::world::{Surroundings, Wants, Who};
use fuelsched::reason::Param;
use fuelsched::sched::{SpawnRefusal, Spawner, arguments};
use fuelsched::wasi::WasiBuilder;
use fuelsched::{Fuel, GroupId, Limits, Task, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Makes a job's task, with all that the plan gives it; each call is another incarnation.
pub(crate) type Maker = Box<dyn FnMut() -> Task + Send>;

/// Where the tasks of a run are made. A task's label is the job's position among the jobs; those that tasks spawn come after the last.
#[derive(Debug)]
pub(crate) struct Workshop {
    /// What all tasks share.
    pub(crate) around: Surroundings,
    /// How each task of the plan is made, by position, if it can be.
    recipes: BTreeMap<usize, Recipe>,
    /// How many jobs there are.
    jobs: usize,
    /// How many tasks may be spawned by tasks.
    most_spawned: usize,
    /// Those that were: which task of the plan each is.
    spawned: Mutex<Vec<usize>>,
}

/// How a task of the plan is made.
#[derive(Debug)]
struct Recipe {
    /// What is called.
    call: Call,
    /// The export.
    entry: String,
    /// The name in the plan.
    name: String,
    /// The module's path.
    module: String,
    /// What the plan says of it.
    plan: TaskPlan,
    /// What it imports.
    wants: Wants,
    /// What it finds, if it is a WASI program.
    basis: WasiBuilder,
    /// All that it is given beside its call.
    dress: Dress,
}

impl Workshop {
    /// The workshop of a run; `kept` says whether a report will show what tasks print, where the plan says nothing else, and `asked` whether tasks can be asked where they are.
    pub(crate) fn new(plan: &Plan, jobs: &[Job], groups: &[GroupId], kept: bool, asked: bool) -> Arc<Workshop> {
        let around = Surroundings::new(plan, kept);
        let mut recipes = BTreeMap::new();
        for job in jobs {
            let (Ok(call), false) = (&job.call, recipes.contains_key(&job.task)) else {
                continue;
            };
            let task = &plan.tasks[job.task];
            let program = call.program.clone().limits(Limits { memory: plan.max_memory, ..Limits::default() });
            let recipe = Recipe {
                wants: Wants::of(program.module()),
                basis: around.basis(&job.module, &task.world),
                call: Call { program, args: call.args.clone() },
                entry: job.entry.clone(),
                name: task.name.clone(),
                module: job.module.clone(),
                plan: task.clone(),
                dress: Dress::of(task, job.task, plan, groups, asked),
            };
            recipes.insert(job.task, recipe);
        }
        Arc::new(Workshop {
            around,
            recipes,
            jobs: jobs.len(),
            most_spawned: plan.max_spawned as usize,
            spawned: Mutex::default(),
        })
    }

    /// The maker of a job, or why there is none.
    pub(crate) fn maker(self: &Arc<Workshop>, label: usize, job: &Job) -> Result<Maker, Refusal> {
        job.call.as_ref().map_err(Clone::clone)?;
        let refused = |message: String| Refusal { message: format!("{}: {message}", job.name), mistyped: true };
        let Some(recipe) = self.recipes.get(&job.task) else {
            return Err(refused("it cannot be made".into()));
        };
        // Once to see what is wrong, such as a folder that is not there, before anything runs.
        let guest = self.guest(recipe, &job.name, label as u64).map_err(|error| refused(format!("{error:#}")))?;
        let (shop, name, task) = (self.clone(), job.name.clone(), job.task);
        if recipe.plan.health.restart == Some(Restart::Warm) {
            let instance = recipe.call.program.instance(guest).warm();
            return Ok(Box::new(move || {
                let recipe = &shop.recipes[&task];
                recipe.dress.wear(label as u64, instance.call(&recipe.entry, &recipe.call.args))
            }));
        }
        let mut first = Some(guest);
        Ok(Box::new(move || {
            let recipe = &shop.recipes[&task];
            let made = first.take().map_or_else(|| shop.guest(recipe, &name, label as u64), Ok);
            shop.task(recipe, made, label as u64, &recipe.call.args)
        }))
    }

    /// A task: a call with its data, or what is wrong with that, which is said when it is spawned.
    fn task(&self, recipe: &Recipe, guest: anyhow::Result<crate::world::Guest>, label: u64, args: &[Value]) -> Task {
        let task = match guest {
            Ok(guest) => recipe.call.program.call(guest, &recipe.entry, args),
            Err(error) => {
                let (module, message) = (recipe.module.clone(), format!("{error:#}"));
                Task::from_error(fuelsched::ErrorKind::Instantiation { module, message }.into())
            }
        };
        recipe.dress.wear(label, task)
    }

    /// A task's data.
    fn guest(self: &Arc<Workshop>, recipe: &Recipe, name: &str, label: u64) -> anyhow::Result<crate::world::Guest> {
        let who = Who { name, label, basis: &recipe.basis, stdin: recipe.plan.world.stdin.as_deref() };
        self.around.guest(&who, recipe.wants, self.spawner(&recipe.plan.spawns))
    }

    /// What spawns these tasks of the plan; nothing, if there are none.
    fn spawner(self: &Arc<Workshop>, allowed: &[usize]) -> Option<Spawner> {
        if allowed.is_empty() {
            return None;
        }
        let (shop, allowed) = (self.clone(), allowed.to_vec());
        let most = self.most_spawned;
        let make = move |_: &Spawner, name: &str, words: &[u64]| {
            let named = |task: &&usize| shop.recipes.get(task).is_some_and(|recipe| recipe.name == name);
            let task = *allowed.iter().find(named).ok_or(SpawnRefusal::NotAllowed)?;
            shop.spawned_task(task, words)
        };
        Some(Spawner::new(make).live(most).total(u64::MAX))
    }

    /// A task that a task spawns.
    fn spawned_task(self: &Arc<Workshop>, task: usize, words: &[u64]) -> Result<Task, SpawnRefusal> {
        let recipe = &self.recipes[&task];
        let signature = recipe.call.program.module().signature(&recipe.entry).map_err(|_| SpawnRefusal::NotAllowed)?;
        let args = if words.is_empty() { recipe.call.args.clone() } else { arguments(&signature, words)? };
        let number = {
            let mut spawned = self.spawned.lock().unwrap_or_else(PoisonError::into_inner);
            if spawned.len() >= self.most_spawned {
                return Err(SpawnRefusal::NoRoom);
            }
            spawned.push(task);
            spawned.len() - 1
        };
        let label = (self.jobs + number) as u64;
        let guest = self.guest(recipe, &spawned_name(&recipe.name, number), label);
        Ok(self.task(recipe, guest, label, &args))
    }

    /// Whether tasks may print, which would be among what shows the progress.
    pub(crate) fn prints(&self) -> bool {
        self.recipes.values().any(|recipe| recipe.wants.wasi)
    }

    /// The name of one that was.
    pub(crate) fn spawned_name(&self, label: u64) -> Option<String> {
        let number = usize::try_from(label).ok()?.checked_sub(self.jobs)?;
        let spawned = self.spawned.lock().unwrap_or_else(PoisonError::into_inner);
        Some(spawned_name(&self.recipes[spawned.get(number)?].name, number))
    }

    /// Which task of the plan it is.
    pub(crate) fn task_of_spawned(&self, label: u64) -> Option<usize> {
        let number = usize::try_from(label).ok()?.checked_sub(self.jobs)?;
        self.spawned.lock().unwrap_or_else(PoisonError::into_inner).get(number).copied()
    }

    /// The tasks that were spawned by tasks: the label and the name of each, and which task of the plan it is.
    pub(crate) fn spawned(&self) -> Vec<(u64, String, usize)> {
        let spawned = self.spawned.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |(number, task): (usize, &usize)| {
            ((self.jobs + number) as u64, spawned_name(&self.recipes[task].name, number), *task)
        };
        spawned.iter().enumerate().map(one).collect()
    }
}

/// The name of a task that was spawned as the `number`-th.
fn spawned_name(name: &str, number: usize) -> String {
    format!("{name}#{number}")
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
    /// Whether it can be asked where it is.
    asked: bool,
}

impl Dress {
    /// What a plan says of a task.
    fn of(task: &TaskPlan, position: usize, plan: &Plan, groups: &[GroupId], asked: bool) -> Dress {
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
            asked,
        }
    }

    /// A task with all of it.
    fn wear(&self, label: u64, task: Task) -> Task {
        let mut task =
            self.params.iter().fold(task.label(label).start_at(Fuel(self.start)), |task, param| task.param(*param));
        if self.asked {
            task = task.inspectable();
        }
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
