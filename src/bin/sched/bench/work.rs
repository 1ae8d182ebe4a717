//! The work that is measured: a plan, compiled with and without metering, and one run of it under an observer.

use super::turns::Turns;
use crate::engine;
use crate::job::{self, Job};
use crate::make::Workshop;
use crate::plan::{HealthPlan, Plan, Stdout};
use crate::policy::PolicySpec;
use crate::run::{as_group, clock};
use anyhow::{Result, anyhow, bail, ensure};
use fuelsched::trace::Observer;
use fuelsched::{Budget, Clock, Engine, EngineConfig, Executor, Fuel, GroupId, Outcome, Policy, RunEnd, TaskId};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A quantum that is never used up.
pub(crate) const WHOLE: u64 = 1 << 62;

/// Polls between two looks at the flag that Ctrl-C raises.
const POLLS: u64 = 1_000;

/// The longest nap while a run waits for a clock.
const NAP: Duration = Duration::from_millis(50);

/// What is run.
pub(crate) struct Work {
    /// As it was asked for.
    pub(crate) plan: Plan,
    /// Compiled with metering.
    pub(crate) metered: Vec<Job>,
    /// How long that took.
    pub(crate) compile: Duration,
    /// Compiled without metering, and how long that took; nothing, where the work needs metering.
    pub(crate) unmetered: Option<(Vec<Job>, Duration)>,
}

/// What one run came to.
pub(crate) struct RunOnce<O> {
    /// From the first spawn to the last end.
    pub(crate) took: Duration,
    /// Fuel used.
    pub(crate) fuel: Fuel,
    /// Context switches.
    pub(crate) switches: u64,
    /// Tasks that came to an end.
    pub(crate) tasks: u64,
    /// Who watched.
    pub(crate) observer: O,
    /// Whether nobody interrupted.
    pub(crate) finished: bool,
    /// Whether all tasks ended by themselves, and not by a limit.
    pub(crate) by_themselves: bool,
}

impl Work {
    /// The work of a plan; an error if it cannot be measured.
    pub(crate) fn new(mut plan: Plan) -> Result<Work> {
        measurable(&plan)?;
        plan.stdout = Some(Stdout::Discard);
        let began = Instant::now();
        let metered = load(&engine(plan.max_stack)?, &mut plan)?;
        let compile = began.elapsed();
        let unmetered = if needs_metering(&plan, &metered) { None } else { Some(unmetered(&plan)?) };
        Ok(Work { plan, metered, compile, unmetered })
    }

    /// The plan with another quantum for all.
    pub(crate) fn with_quantum(&self, quantum: u64) -> Plan {
        let mut plan = self.plan.clone();
        plan.quantum = quantum;
        plan.tasks.iter_mut().for_each(|task| task.quantum = None);
        plan
    }

    /// The plan with nobody preempted.
    pub(crate) fn unpreempted(&self) -> Plan {
        Plan { policy: PolicySpec::default(), frames: None, ..self.with_quantum(WHOLE) }
    }

    /// The same without budgets, for an engine that counts no fuel.
    pub(crate) fn unlimited(&self) -> Plan {
        Plan { fuel: None, ..self.unpreempted() }
    }
}

/// Refuses what `sched bench` cannot run many times over and compare.
fn measurable(plan: &Plan) -> Result<()> {
    ensure!(plan.run_time_ns.is_none(), "a time for the run makes each run another; leave out --run-time to measure");
    ensure!(plan.slice_ns.is_none(), "a time for slices makes each run another; leave out --slice to measure");
    let health = plan.tasks.iter().find(|task| task.health != HealthPlan::default());
    health.map_or(Ok(()), |task| bail!("{}: a task with health actions cannot be measured", task.name))
}

/// Whether tasks might not end without counting fuel: because of a limit, or because one that nobody preempts waits in a loop for another.
/// Precompiled modules are metered as they are.
fn needs_metering(plan: &Plan, jobs: &[Job]) -> bool {
    let imports = |job: &Job| job.call.as_ref().is_ok_and(|call| !call.program.module().imports().is_empty());
    let meet = jobs.len() > 1 && jobs.iter().any(imports);
    let limited = plan.tasks.iter().any(|task| task.fuel.is_some() || task.replenish.is_some() || task.group.is_some());
    meet || limited || plan.allow_precompiled || plan.run_fuel.is_some() || plan.deterministic.is_some()
}

/// The jobs of a plan without metering. Whether they end is seen before: the metered ones run first.
fn unmetered(plan: &Plan) -> Result<(Vec<Job>, Duration)> {
    let began = Instant::now();
    let config = EngineConfig::default().parallel_compilation(true).max_stack(plan.max_stack).metering(false);
    let jobs = load(&Engine::new(&config)?, &mut plan.clone())?;
    Ok((jobs, began.elapsed()))
}

/// The jobs of a plan, all of which can run.
fn load(engine: &Engine, plan: &mut Plan) -> Result<Vec<Job>> {
    let jobs = job::load(engine, plan)?;
    match jobs.iter().find_map(|job| job.call.as_ref().err()) {
        Some(refusal) => Err(anyhow!("{}", refusal.message)),
        None => Ok(jobs),
    }
}

/// An executor with the tasks of a plan.
struct Begun<O> {
    /// It.
    sched: Executor<Box<dyn Policy>, O>,
    /// When the first was about to be spawned.
    began: Instant,
}

/// Spawns the jobs of a plan under its policy.
fn begin<O: Observer>(plan: &Plan, jobs: &[Job], observer: O) -> Result<Begun<O>> {
    let clock = clock(plan);
    let policy = plan.policy.build(plan, &clock).map_err(anyhow::Error::msg)?;
    begin_under(policy, clock, plan, jobs, |_| true, observer)
}

/// Spawns the jobs of a plan, those of them that are chosen by position, to take turns.
fn begin_turns(plan: &Plan, jobs: &[Job], chosen: impl Fn(usize) -> bool) -> Result<Begun<()>> {
    begin_under(Box::new(Turns::default()), clock(plan), plan, jobs, chosen, ())
}

/// Spawns the jobs of a plan, those of them that are chosen by position, under a policy.
fn begin_under<O: Observer>(
    policy: Box<dyn Policy>,
    clock: Clock,
    plan: &Plan,
    jobs: &[Job],
    chosen: impl Fn(usize) -> bool,
    observer: O,
) -> Result<Begun<O>> {
    let mut sched = Executor::builder().policy(policy).observer(observer).clock(clock).build();
    let groups: Vec<GroupId> = plan.groups.iter().map(|group| sched.add_group(as_group(group))).collect();
    let shop = Workshop::new(plan, jobs, &groups, false, false);
    let began = Instant::now();
    for (label, job) in jobs.iter().enumerate().filter(|(_, job)| !plan.tasks[job.task].on_spawn) {
        if chosen(label) {
            let mut make = shop.maker(label, job).map_err(|refusal| anyhow!("{}", refusal.message))?;
            sched.spawn(make())?;
        }
    }
    Ok(Begun { sched, began })
}

/// Runs a plan once, or until so many polls were made; what is left is stopped.
pub(crate) fn run<O: Observer + Default>(
    plan: &Plan,
    jobs: &[Job],
    observer: O,
    most_polls: Option<u64>,
    interrupted: &AtomicBool,
) -> Result<RunOnce<O>> {
    let Begun { mut sched, began } = begin(plan, jobs, observer)?;
    let finished = to_the_end(&mut sched, plan.run_fuel, most_polls, interrupted);
    let took = began.elapsed();
    sched.stop_all();
    let (mut tasks, mut by_themselves) = (0, true);
    for ended in sched.take_ended() {
        tasks += 1;
        by_themselves &= matches!(ended.outcome, Outcome::Returned(_) | Outcome::Exited(_));
        ensure_fine(&ended.outcome, jobs, ended.label)?;
    }
    let totals = sched.totals();
    let observer = std::mem::take(sched.observer_mut());
    Ok(RunOnce { took, fuel: totals.fuel, switches: totals.switches, tasks, observer, finished, by_themselves })
}

/// Tasks that are suspended, for as long as this is kept.
pub(crate) struct Suspended {
    /// What has them.
    _sched: Executor<Box<dyn Policy>>,
    /// How many there are.
    pub(crate) tasks: u64,
}

/// Spawns the chosen jobs of a plan and lets each run so many slices. Those that end before, or cannot start yet, are not counted, nor are those
/// that wait waited for.
pub(crate) fn suspend(
    plan: &Plan,
    jobs: &[Job],
    chosen: impl Fn(usize) -> bool,
    slices: u64,
    interrupted: &AtomicBool,
) -> Result<Suspended> {
    let Begun { mut sched, .. } = begin_turns(plan, jobs, chosen)?;
    let spawned = sched.live();
    let mut polls = slices.saturating_mul(spawned as u64);
    while polls > 0 && !interrupted.load(Ordering::Relaxed) {
        let some = polls.min(POLLS);
        if !matches!(sched.run_for(Budget::polls(some)).why, RunEnd::BudgetSpent) {
            break;
        }
        polls -= some;
    }
    sched.take_ended();
    let ids = (0..spawned).map(|index| TaskId::new(index as u32, 0));
    let tasks = ids.filter(|id| sched.ledger(*id).is_some_and(|ledger| ledger.slices > 0)).count() as u64;
    Ok(Suspended { _sched: sched, tasks })
}

/// How many slices each of the chosen jobs has before the first of them ends or all wait; from 1 to so many.
pub(crate) fn slices_at_once(
    plan: &Plan,
    jobs: &[Job],
    chosen: impl Fn(usize) -> bool,
    most: u64,
    interrupted: &AtomicBool,
) -> Result<u64> {
    let Begun { mut sched, .. } = begin_turns(plan, jobs, chosen)?;
    let spawned = sched.live();
    let mut slices = 0;
    while slices < most && !interrupted.load(Ordering::Relaxed) {
        let ran = sched.run_for(Budget::polls(spawned as u64));
        if sched.live() < spawned {
            break;
        }
        slices += 1;
        if !matches!(ran.why, RunEnd::BudgetSpent) {
            break;
        }
    }
    Ok(slices.max(1))
}

/// Refuses a task that did not do its work: its numbers would be of something else.
fn ensure_fine(outcome: &Outcome, jobs: &[Job], label: u64) -> Result<()> {
    let name =
        || usize::try_from(label).ok().and_then(|label| jobs.get(label)).map_or("a task", |job| job.name.as_str());
    match outcome {
        Outcome::Trapped(trap) => bail!("{}: it trapped, so there is nothing to measure: {trap}", name()),
        Outcome::Deadlocked(_) => bail!("{}: it waited for what never came, so there is nothing to measure", name()),
        _ => Ok(()),
    }
}

/// Steps until all have ended or a limit is reached; says whether nobody interrupted.
fn to_the_end<P: Policy, O: Observer>(
    sched: &mut Executor<P, O>,
    mut fuel: Option<u64>,
    mut polls: Option<u64>,
    interrupted: &AtomicBool,
) -> bool {
    while fuel != Some(0) && polls != Some(0) {
        let some = polls.unwrap_or(POLLS).min(POLLS);
        let budget = fuel.map_or(Budget::polls(some), |fuel| Budget::polls(some).or_fuel(fuel));
        let ran = sched.run_for(budget);
        fuel = fuel.map(|left| left.saturating_sub(ran.fuel.0));
        polls = polls.map(|left| left.saturating_sub(some));
        match ran.why {
            _ if interrupted.load(Ordering::Relaxed) => return false,
            RunEnd::BudgetSpent => {}
            RunEnd::Idle { next_wake } if sched.waits_for_outside(next_wake) => sched.park_at_most(next_wake, NAP),
            _ => return true,
        }
    }
    true
}
