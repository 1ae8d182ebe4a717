//! One run: spawns the jobs, steps until the end, a limit or Ctrl-C, and reports.

use crate::args::{Format, PolicyName};
use crate::job::{Job, Refusal};
use crate::log::Log;
use crate::output;
use crate::progress::Running;
use crate::report::{EndedBy, INTERRUPTED, Report, TaskReport};
use fuelsched::guest::WASMTIME_VERSION;
use fuelsched::policy::RoundRobin;
use fuelsched::reason::PickReason;
use fuelsched::trace::{Digest, Ended, Observer, Slice};
use fuelsched::{Budget, Executor, Fuel, Limits, Policy, RunEnd, TaskId};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a run depends on.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Who runs next.
    pub(crate) policy: PolicyName,
    /// Fuel a turn.
    pub(crate) quantum: Fuel,
    /// Fuel that each task may use in all.
    pub(crate) budget: Option<Fuel>,
    /// Fuel after which the run is stopped.
    pub(crate) run_fuel: Option<Fuel>,
    /// Time after which the run is stopped.
    pub(crate) run_time: Option<Duration>,
    /// What each task may hold.
    pub(crate) limits: Limits,
    /// Stack of each guest.
    pub(crate) max_stack: usize,
    /// How results are shown.
    pub(crate) format: Format,
    /// Whether to print a line for every switch.
    pub(crate) log: bool,
    /// Whether to measure the time that each task runs.
    pub(crate) timing: bool,
}

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
        self.ran[slice.id.index()] += nanos;
    }
}

/// Who watches a run. The clock is read last before a slice and first after it, so that a task's time has no other observer's in it.
struct Watch {
    /// For `--log`.
    log: Option<Log<io::Stderr>>,
    /// For `--timing`.
    timing: Option<Timing>,
    /// For the report.
    digest: Digest,
}

impl Observer for Watch {
    fn picked(&mut self, id: TaskId, grant: Fuel, why: PickReason) {
        self.log.picked(id, grant, why);
        self.timing.picked(id, grant, why);
    }

    fn slice(&mut self, slice: &Slice) {
        self.timing.slice(slice);
        self.digest.slice(slice);
        self.log.slice(slice);
    }

    fn ended(&mut self, task: &Ended) {
        self.digest.ended(task);
        self.log.ended(task);
    }
}

/// The executor of a run.
type Sched = Executor<Box<dyn Policy>, Watch>;

/// Runs the jobs, and reports.
pub(crate) fn run(jobs: &[Job], settings: &Settings) -> anyhow::Result<ExitCode> {
    let interrupted = catch_interrupt()?;
    let mut sched = executor(jobs, settings, &interrupted);
    let spawned: Vec<Result<TaskId, Refusal>> = jobs.iter().map(|job| spawn(&mut sched, job, settings)).collect();
    say_what_failed(&spawned);
    if nothing_ran_as_typed(&spawned) {
        return Ok(ExitCode::from(2));
    }
    let began = Instant::now();
    let ended_by = run_to_the_end(&mut sched, settings, &interrupted);
    sched.stop_all();
    let wall = began.elapsed();
    let tasks = jobs.iter().zip(spawned).enumerate();
    let tasks = tasks.map(|(id, (job, spawned))| task_report(id, job, spawned, &mut sched, settings)).collect();
    let report = Report::new(tasks, settings, ended_by, sched.totals(), wall, sched.observer().digest.hex());
    // The log's last line is written when the log goes.
    drop(sched);
    output::result(&report.render(settings.format)?)?;
    Ok(ExitCode::from(report.exit_code()))
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

/// An executor with the policy asked for, watched as asked for.
fn executor(jobs: &[Job], settings: &Settings, interrupt: &Arc<AtomicBool>) -> Sched {
    let runnable: Vec<&Job> = jobs.iter().filter(|job| job.call.is_ok()).collect();
    let policy: Box<dyn Policy> = match settings.policy {
        PolicyName::RoundRobin => Box::new(RoundRobin::new(settings.quantum)),
    };
    let names = || runnable.iter().map(|job| job.name.clone()).collect();
    let watch = Watch {
        log: settings.log.then(|| Log::new(io::stderr(), names(), interrupt.clone())),
        timing: settings.timing.then(|| Timing { began: Instant::now(), ran: vec![0; runnable.len()] }),
        digest: digest(&runnable, settings),
    };
    Executor::builder().policy(policy).observer(watch).build()
}

/// A digest of everything that the schedule depends on.
fn digest(jobs: &[&Job], settings: &Settings) -> Digest {
    let mut digest = Digest::new();
    let number = |fuel: Option<Fuel>| fuel.map_or(String::from("none"), |fuel| fuel.0.to_string());
    digest.setting("engine", engine_name());
    digest.setting("architecture", std::env::consts::ARCH);
    digest.setting("policy", settings.policy_name());
    digest.setting("quantum", settings.quantum.0.to_string());
    digest.setting("fuel", number(settings.budget));
    digest.setting("run-fuel", number(settings.run_fuel));
    digest.setting("max-memory", settings.limits.memory.to_string());
    digest.setting("max-stack", settings.max_stack.to_string());
    for (job, call) in jobs.iter().filter_map(|job| Some((job, job.call.as_ref().ok()?))) {
        digest.setting("module", call.program.module().sha256());
        digest.setting("entry", &job.entry);
        for arg in &call.args {
            digest.setting("arg", format!("{} {:x}", arg.ty(), arg.bits()));
        }
    }
    digest
}

/// Spawns a job.
fn spawn(sched: &mut Sched, job: &Job, settings: &Settings) -> Result<TaskId, Refusal> {
    let call = job.call.as_ref().map_err(Clone::clone)?;
    let program = call.program.clone().limits(settings.limits);
    let mut task = program.call((), &job.entry, &call.args);
    if let Some(fuel) = settings.budget {
        task = task.budget(fuel);
    }
    sched.spawn(task).map_err(|error| Refusal { message: error.to_string(), mistyped: false })
}

/// Says what is wrong with jobs that cannot run, once for copies of one job.
fn say_what_failed(spawned: &[Result<TaskId, Refusal>]) {
    let mut messages: Vec<&str> = spawned.iter().filter_map(|s| Some(s.as_ref().err()?.message.as_str())).collect();
    messages.dedup();
    messages.into_iter().for_each(output::error);
}

/// Whether nothing can run, because of what was typed.
fn nothing_ran_as_typed(spawned: &[Result<TaskId, Refusal>]) -> bool {
    let mistyped = |s: &Result<TaskId, Refusal>| s.as_ref().is_err_and(|refusal| refusal.mistyped);
    spawned.iter().all(Result::is_err) && spawned.iter().any(mistyped)
}

/// Steps until everything has ended, a limit is reached, or somebody interrupts.
fn run_to_the_end(sched: &mut Sched, settings: &Settings, interrupted: &AtomicBool) -> EndedBy {
    // Polls between two looks at the flag: a millisecond or a few, unless one slice is longer than that.
    let polls = (20_000_000 / settings.quantum.0).clamp(1, 10_000);
    let deadline = settings.run_time.and_then(|time| Instant::now().checked_add(time));
    let mut fuel_left = settings.run_fuel;
    let mut progress = (!settings.log).then(Running::new).flatten();
    loop {
        let mut budget = Budget::polls(polls);
        if let Some(fuel) = fuel_left {
            budget = budget.or_fuel(fuel.0);
        }
        if let Some(at) = deadline {
            budget = budget.or_time(at.saturating_duration_since(Instant::now()));
        }
        let ran = sched.run_for(budget);
        fuel_left = fuel_left.map(|left| left.minus(ran.fuel));
        if ran.why != RunEnd::BudgetSpent || sched.live() == 0 {
            return EndedBy::Done;
        } else if interrupted.load(Ordering::Relaxed) {
            return EndedBy::Interrupt;
        } else if fuel_left == Some(Fuel::ZERO) {
            return EndedBy::RunFuel;
        } else if deadline.is_some_and(|at| Instant::now() >= at) {
            return EndedBy::RunTime;
        }
        if let Some(progress) = &mut progress {
            progress.show(sched.live(), sched.totals().fuel);
        }
    }
}

/// What became of a job.
fn task_report(
    id: usize,
    job: &Job,
    spawned: Result<TaskId, Refusal>,
    sched: &mut Sched,
    settings: &Settings,
) -> TaskReport {
    let report = TaskReport::new(id, job, settings.budget);
    match spawned {
        Err(refusal) => report.failed(refusal.message),
        Ok(task) => {
            let timing = sched.observer().timing.as_ref();
            let ran = timing.map(|timing| timing.ran[task.index()]);
            match sched.take(task) {
                Some(ended) => report.ended(&ended, ran),
                None => report,
            }
        }
    }
}

impl Settings {
    /// The policy's name, as it is typed.
    pub(crate) fn policy_name(&self) -> &'static str {
        match self.policy {
            PolicyName::RoundRobin => "round-robin",
        }
    }
}

/// What runs the guests, as reports name it.
pub(crate) fn engine_name() -> String {
    format!("wasmtime {WASMTIME_VERSION}")
}
