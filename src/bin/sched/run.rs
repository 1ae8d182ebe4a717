//! One run of a plan: spawns the tasks, steps until the end, a limit or Ctrl-C, and reports.

use crate::args::OutputArgs;
use crate::engine;
use crate::health::{Lives, Shutdown};
use crate::job::{self, Job, Refusal};
use crate::log::Log;
use crate::make;
use crate::output;
use crate::plan::{GroupPlan, Plan, Replenish};
use crate::policy::PolicySpec;
use crate::progress::Running;
use crate::recording;
use crate::report::{EndedBy, INTERRUPTED, Report, TaskReport};
use fuelsched::guest::WASMTIME_VERSION;
use fuelsched::policy::Timed;
use fuelsched::reason::{Control, PickReason};
use fuelsched::trace::{Digest, Ended, GroupControl, Observer, Recorder, Slice, Spawned, Summary};
use fuelsched::{Budget, Clock, Executor, Fuel, Group, GroupId, Policy, RunEnd, TaskId};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::fs::File;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest nap while a run waits for a clock, so that Ctrl-C is heeded.
const NAP: Duration = Duration::from_millis(20);

/// Measures the time that each task runs.
#[derive(Debug)]
struct Timing {
    /// When the present slice began.
    began: Instant,
    /// Nanoseconds that each task ran, by slot.
    ran: Vec<u64>,
}

impl Observer for Timing {
    fn picked(&mut self, _id: TaskId, _grant: Fuel, _why: PickReason) {
        self.began = Instant::now();
    }

    fn slice(&mut self, slice: &Slice) {
        let nanos = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let slot = slice.id.index();
        if slot >= self.ran.len() {
            self.ran.resize(slot + 1, 0);
        }
        self.ran[slot] += nanos;
    }
}

/// Who watches a run. The clock is read last before a slice and first after it, so that a task's time has no other observer's in it.
pub(crate) struct Watch {
    /// For `--log`.
    log: Option<Log<io::Stderr>>,
    /// For `--timing`.
    timing: Option<Timing>,
    /// For the report.
    pub(crate) digest: Digest,
    /// How the tasks fare.
    pub(crate) summary: Summary,
    /// For `--record`.
    record: Option<Recorder<File>>,
}

impl Observer for Watch {
    fn spawned(&mut self, task: &Spawned) {
        self.log.spawned(task);
        self.summary.spawned(task);
        self.record.spawned(task);
    }

    fn group(&mut self, id: GroupId, control: &GroupControl) {
        self.record.group(id, control);
    }

    fn control(&mut self, spawn_index: u64, control: &Control) {
        self.summary.control(spawn_index, control);
        self.record.control(spawn_index, control);
    }

    fn idle(&mut self, from: Fuel, until: Fuel) {
        self.summary.idle(from, until);
        self.record.idle(from, until);
    }

    fn picked(&mut self, id: TaskId, grant: Fuel, why: PickReason) {
        self.log.picked(id, grant, why);
        self.timing.picked(id, grant, why);
    }

    fn slice(&mut self, slice: &Slice) {
        self.timing.slice(slice);
        self.digest.slice(slice);
        self.summary.slice(slice);
        self.record.slice(slice);
        self.log.slice(slice);
    }

    fn ended(&mut self, task: &Ended) {
        self.digest.ended(task);
        self.summary.ended(task);
        self.record.ended(task);
        self.log.ended(task);
    }
}

impl Watch {
    /// Who watches the jobs of a plan, under this policy.
    pub(crate) fn new(
        plan: &Plan,
        jobs: &[Job],
        policy: &PolicySpec,
        output: OutputArgs,
        interrupt: &Arc<AtomicBool>,
    ) -> Watch {
        let runnable: Vec<&Job> = jobs.iter().filter(|job| job.call.is_ok()).collect();
        let names = || jobs.iter().map(|job| job.name.clone()).collect();
        Watch {
            log: output.log.then(|| Log::new(io::stderr(), names(), interrupt.clone())),
            timing: output.timing.then(|| Timing { began: Instant::now(), ran: vec![0; runnable.len()] }),
            digest: digest(&runnable, plan, policy),
            summary: Summary::new(),
            record: None,
        }
    }

    /// Nanoseconds that the task in this slot ran, if they were measured.
    pub(crate) fn ran(&self, task: TaskId) -> Option<u64> {
        self.timing.as_ref().map(|timing| timing.ran.get(task.index()).copied().unwrap_or(0))
    }

    /// How often a task missed its deadline, if it has any.
    pub(crate) fn misses(&self, ended: &Ended) -> Option<u64> {
        let fare = self.summary.tasks().get(usize::try_from(ended.spawn_index).ok()?)?;
        fare.deadline_misses()
    }
}

/// The executor of a run.
pub(crate) type Sched = Executor<Box<dyn Policy>, Watch>;

/// A run, from its tasks spawned to its end.
pub(crate) struct Session<'a> {
    /// What is run.
    plan: &'a Plan,
    /// The tasks.
    jobs: &'a [Job],
    /// What runs them.
    pub(crate) sched: Sched,
    /// Who starts them again.
    lives: Lives,
    /// The first incarnations, or why there is none, by job.
    pub(crate) spawned: Vec<Result<TaskId, Refusal>>,
    /// The executor's clock.
    clock: Clock,
}

/// Runs a plan, and reports.
pub(crate) fn run(mut plan: Plan, output: OutputArgs, record: Option<&str>) -> anyhow::Result<ExitCode> {
    let interrupted = catch_interrupt()?;
    let jobs = job::load(&engine(plan.max_stack)?, &mut plan);
    let recorder = record.map(|path| recording::create(path, &plan)).transpose()?;
    let mut session = Session::new(&plan, &jobs, &plan.policy.clone(), output, &interrupted, recorder)?;
    say_what_failed(session.spawned.iter().filter_map(|spawned| Some(spawned.as_ref().err()?.message.as_str())));
    if nothing_ran_as_typed(&session.spawned) {
        return Ok(ExitCode::from(2));
    }
    let began = Instant::now();
    let ended_by = session.run_to_the_end(&interrupted, !output.log);
    session.sched.stop_all();
    let report = session.report(ended_by, began.elapsed());
    let recorded = session.sched.observer_mut().record.take().map_or(Ok(()), |record| record.finish().map(drop));
    // The log's last line is written when the log goes.
    drop(session);
    output::result(&report.render(output.format)?)?;
    if let Err(error) = recorded {
        output::error(&format!("the recording is not complete: {}: {error}", record.unwrap_or_default()));
        return Ok(ExitCode::from(report.exit_code().max(1)));
    }
    Ok(ExitCode::from(report.exit_code()))
}

impl<'a> Session<'a> {
    /// The tasks of a plan, spawned under a policy and watched as asked for.
    ///
    /// An error means that there can be no such policy.
    pub(crate) fn new(
        plan: &'a Plan,
        jobs: &'a [Job],
        policy: &PolicySpec,
        output: OutputArgs,
        interrupt: &Arc<AtomicBool>,
        record: Option<Recorder<File>>,
    ) -> anyhow::Result<Session<'a>> {
        let clock = Clock::monotonic();
        let made = policy.build(plan, &clock).map_err(anyhow::Error::msg)?;
        let made = match plan.slice_ns.map(Duration::from_nanos) {
            Some(time) => Box::new(Timed::new(made, time, clock.clone())),
            None => made,
        };
        let watch = Watch { record, ..Watch::new(plan, jobs, policy, output, interrupt) };
        let mut sched = Executor::builder().policy(made).observer(watch).clock(clock.clone()).build();
        let groups: Vec<GroupId> = plan.groups.iter().map(|group| sched.add_group(as_group(group))).collect();
        let mut lives = Lives::new(plan, policy);
        let spawned = jobs.iter().enumerate().map(|job| spawn(&mut sched, &mut lives, job, plan, &groups)).collect();
        Ok(Session { plan, jobs, sched, lives, spawned, clock })
    }
}

/// A flag that Ctrl-C raises. A second one, should the first not be heeded in the middle of a long slice, ends the process.
pub(crate) fn catch_interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    let raised = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, i32::from(INTERRUPTED), raised.clone())?;
        flag::register(signal, raised.clone())?;
    }
    Ok(raised)
}

/// A group of a plan as the library has it.
fn as_group(plan: &GroupPlan) -> Group {
    let mut group = Group::new();
    if let Some(weight) = plan.weight {
        group = group.weight(weight);
    }
    if let Some(budget) = plan.budget {
        group = group.budget(Fuel(budget));
    }
    if let Some(Replenish { fuel, period }) = plan.replenish {
        group = group.replenishing(Fuel(fuel), Fuel(period));
    }
    group
}

/// A digest of everything that the schedule depends on. What is not said is not in it.
fn digest(jobs: &[&Job], plan: &Plan, policy: &PolicySpec) -> Digest {
    let mut digest = Digest::new();
    let number = |fuel: Option<u64>| fuel.map_or(String::from("none"), |fuel| fuel.to_string());
    digest.setting("engine", engine_name());
    digest.setting("architecture", std::env::consts::ARCH);
    digest.setting("policy", &policy.name);
    digest.setting("quantum", plan.quantum.to_string());
    digest.setting("fuel", number(plan.fuel));
    digest.setting("run-fuel", number(plan.run_fuel));
    digest.setting("max-memory", plan.max_memory.to_string());
    digest.setting("max-stack", plan.max_stack.to_string());
    for (name, value) in policy.params.iter() {
        digest.setting("policy parameter", format!("{name} {value}"));
    }
    if let (Some(frames), "cyclic") = (&plan.frames, policy.name.as_str()) {
        digest.setting("frames", json(frames));
    }
    for group in &plan.groups {
        digest.setting("group", json(group));
    }
    for (job, call) in jobs.iter().filter_map(|job| Some((job, job.call.as_ref().ok()?))) {
        digest.setting("module", call.program.module().sha256());
        digest.setting("entry", &job.entry);
        for arg in &call.args {
            digest.setting("arg", format!("{} {:x}", arg.ty(), arg.bits()));
        }
        for (name, value) in plan.tasks[job.task].settings(job.task, plan.frames.is_some()) {
            digest.setting(name, value);
        }
    }
    digest
}

/// Plain data as text.
fn json(value: &impl serde::Serialize) -> String {
    // A tree of numbers and texts: there is nothing to fail.
    serde_json::to_string(value).unwrap_or_default()
}

/// Spawns a job, whose position among the jobs is its label.
fn spawn(
    sched: &mut Sched,
    lives: &mut Lives,
    (label, job): (usize, &Job),
    plan: &Plan,
    groups: &[GroupId],
) -> Result<TaskId, Refusal> {
    let make = make::maker(label, job, plan, groups)?;
    let spawned = lives.spawn(sched, &plan.tasks[job.task], make);
    spawned.map_err(|error| Refusal { message: format!("{}: {error}", job.name), mistyped: false })
}

/// Says what is wrong with jobs that cannot run, once for copies of one job.
pub(crate) fn say_what_failed<'a>(messages: impl Iterator<Item = &'a str>) {
    let mut messages: Vec<&str> = messages.collect();
    messages.dedup();
    messages.into_iter().for_each(output::error);
}

/// Whether nothing can run, because of what was typed.
fn nothing_ran_as_typed(spawned: &[Result<TaskId, Refusal>]) -> bool {
    let mistyped = |s: &Result<TaskId, Refusal>| s.as_ref().is_err_and(|refusal| refusal.mistyped);
    spawned.iter().all(Result::is_err) && spawned.iter().any(mistyped)
}

impl Session<'_> {
    /// Steps until everything has ended, a limit is reached, somebody interrupts, or a task shuts the run down.
    pub(crate) fn run_to_the_end(&mut self, interrupted: &AtomicBool, show: bool) -> EndedBy {
        // Polls between two looks at the flag: a millisecond or a few, unless one slice is longer than that.
        let polls = (20_000_000 / self.plan.quantum).clamp(1, 10_000);
        let time = self.plan.run_time_ns.map(Duration::from_nanos);
        let deadline = time.and_then(|time| Instant::now().checked_add(time));
        let mut fuel_left = self.plan.run_fuel.map(Fuel);
        let mut progress = show.then(Running::new).flatten();
        loop {
            let mut budget = Budget::polls(polls);
            if let Some(fuel) = fuel_left {
                budget = budget.or_fuel(fuel.0);
            }
            if let Some(at) = deadline {
                budget = budget.or_time(at.saturating_duration_since(Instant::now()));
            }
            let (ran, shutdown) = self.lives.run_for(&mut self.sched, budget);
            fuel_left = fuel_left.map(|left| left.minus(ran.fuel));
            if let Some(shutdown) = shutdown {
                return EndedBy::Shutdown(self.name_of(&shutdown));
            } else if self.sched.live() == 0 || self.nobody_will_run(ran.why) {
                return EndedBy::Done;
            } else if interrupted.load(Ordering::Relaxed) {
                return EndedBy::Interrupt;
            } else if fuel_left == Some(Fuel::ZERO) {
                return EndedBy::RunFuel;
            } else if deadline.is_some_and(|at| Instant::now() >= at) {
                return EndedBy::RunTime;
            }
            if let Some(progress) = &mut progress {
                progress.show(self.sched.live(), self.sched.totals().fuel);
            }
        }
    }

    /// Whether this is an end for good. Where the policy waits for the clock, so does this.
    fn nobody_will_run(&self, why: RunEnd) -> bool {
        match why {
            RunEnd::BudgetSpent => false,
            RunEnd::Idle { next_wake: Some(then) } => {
                std::thread::sleep(then.saturating_sub(self.clock.now()).min(NAP));
                false
            }
            _ => true,
        }
    }

    /// Who shut the run down, and why.
    fn name_of(&self, shutdown: &Shutdown) -> String {
        let current = |spawned: &Result<TaskId, Refusal>| {
            spawned.as_ref().is_ok_and(|first| self.lives.current(*first) == shutdown.by)
        };
        let job = self.spawned.iter().position(current).map(|position| self.jobs[position].name.as_str());
        format!("{}: {}", job.unwrap_or("?"), shutdown.why.name())
    }

    /// What became of everything.
    fn report(&mut self, ended_by: EndedBy, wall: Duration) -> Report {
        let tasks = (0..self.jobs.len()).map(|id| self.task_report(id)).collect();
        let (totals, digest) = (self.sched.totals(), self.sched.observer().digest.hex());
        Report::new(tasks, self.plan, ended_by, totals, wall, digest)
    }

    /// What became of a job.
    fn task_report(&mut self, id: usize) -> TaskReport {
        let report = TaskReport::new(id, &self.jobs[id], self.plan);
        match &self.spawned[id] {
            Err(refusal) => report.failed(refusal.message.clone()),
            Ok(first) => {
                let current = self.lives.current(*first);
                let Some(ended) = self.sched.take(current) else {
                    return report;
                };
                let watch = self.sched.observer();
                let (ran, misses) = (watch.ran(current), watch.misses(&ended));
                report.lived(self.lives.numbers(*first), misses).ended(&ended, ran)
            }
        }
    }
}

/// What runs the guests, as reports name it.
pub(crate) fn engine_name() -> String {
    format!("wasmtime {WASMTIME_VERSION}")
}
