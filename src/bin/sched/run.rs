//! One run of a plan: spawns the tasks, steps until the end, a limit or Ctrl-C, and reports.

use crate::args::{Format, OutputArgs, TraceArgs};
use crate::engine_with_frames;
use crate::health::{Lives, Shutdown};
use crate::inspect;
use crate::job::{self, Job, Refusal};
use crate::log::Log;
use crate::make::Workshop;
use crate::output;
use crate::plan::{GroupPlan, Plan, Replenish, TaskPlan};
use crate::policy::PolicySpec;
use crate::profile::{self, Profile};
use crate::progress::{Limits, Running};
use crate::recording;
use crate::report::{EndedBy, INTERRUPTED, Report, TaskReport};
use crate::step::Seen;
use crate::trace::{self, Aside, Exported, Exports, TaskNames};
use crate::world::Printed;
use fuelsched::channel::Channels;
use fuelsched::guest::WASMTIME_VERSION;
use fuelsched::policy::Timed;
use fuelsched::reason::{Action, BlockedOn, Control, InWindow, Incident, Message, PickReason, ReadyReason, WokenBy};
use fuelsched::trace::{Digest, Ended, Events, GroupControl, Observer, Recorder, Slice, Spawned, Summary};
use fuelsched::{Budget, Clock, Engine, Executor, Fuel, Group, GroupId, Policy, RunEnd, TaskId, workers};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest nap while a run waits for a clock, so that Ctrl-C is heeded.
const NAP: Duration = Duration::from_millis(50);

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
    /// How the tasks fare, where that is asked for: it holds something of every task that there ever was.
    pub(crate) summary: Option<Summary>,
    /// For `--record`.
    record: Option<Recorder<File>>,
    /// For `--trace` and `--timeline`.
    pub(crate) events: Option<Events<Exports>>,
    /// For `--profile`.
    pub(crate) profile: Option<Profile>,
    /// For `sched step`.
    pub(crate) seen: Option<Seen>,
    /// Whether anything came in to a task from outside.
    came_in: bool,
}

impl Observer for Watch {
    fn records(&self) -> bool {
        true
    }

    fn input(&mut self, spawn_index: u64, bytes: &[u8]) {
        self.came_in = true;
        self.events.input(spawn_index, bytes);
        self.record.input(spawn_index, bytes);
    }

    fn spawned(&mut self, task: &Spawned) {
        self.log.spawned(task);
        self.events.spawned(task);
        self.profile.spawned(task);
        self.seen.spawned(task);
        self.summary.spawned(task);
        self.record.spawned(task);
    }

    fn refused(&mut self, by: u64) {
        self.record.refused(by);
        self.seen.refused(by);
    }

    fn group(&mut self, id: GroupId, control: &GroupControl) {
        self.record.group(id, control);
        self.events.group(id, control);
    }

    fn control(&mut self, spawn_index: u64, control: &Control) {
        self.summary.control(spawn_index, control);
        self.record.control(spawn_index, control);
        self.events.control(spawn_index, control);
    }

    fn idle(&mut self, from: Fuel, until: Fuel) {
        self.summary.idle(from, until);
        self.record.idle(from, until);
        self.events.idle(from, until);
        self.seen.idle(from, until);
    }

    fn follows_messages(&self) -> bool {
        self.events.follows_messages()
    }

    fn message(&mut self, spawn_index: u64, message: &Message) {
        self.events.message(spawn_index, message);
    }

    fn follows_windows(&self) -> bool {
        self.events.follows_windows() || self.seen.is_some()
    }

    fn window(&mut self, window: &InWindow) {
        self.events.window(window);
        self.seen.window(window);
    }

    // That a run begins and ends is not told: this program's are pauses to look at the keyboard and at the clock.

    fn health(&mut self, id: TaskId, incident: Incident, action: Action) {
        self.events.health(id, incident, action);
    }

    fn woken(&mut self, id: TaskId, by: WokenBy) {
        self.events.woken(id, by);
        self.seen.woken(id, by);
    }

    fn ready(&mut self, id: TaskId, why: ReadyReason, now: Fuel) {
        self.summary.ready(id, why, now);
        self.events.ready(id, why, now);
        self.seen.ready(id, why, now);
    }

    fn blocked(&mut self, id: TaskId, on: &BlockedOn) {
        self.events.blocked(id, on);
        self.seen.blocked(id, on);
    }

    fn picked(&mut self, id: TaskId, grant: Fuel, why: PickReason) {
        self.log.picked(id, grant, why);
        self.events.picked(id, grant, why);
        self.seen.picked(id, grant, why);
        self.timing.picked(id, grant, why);
    }

    fn slice(&mut self, slice: &Slice) {
        self.timing.slice(slice);
        self.events.slice(slice);
        self.profile.slice(slice);
        self.seen.slice(slice);
        self.digest.slice(slice);
        self.summary.slice(slice);
        self.record.slice(slice);
        self.log.slice(slice);
    }

    fn ended(&mut self, task: &Ended) {
        self.digest.ended(task);
        self.summary.ended(task);
        self.record.ended(task);
        self.events.ended(task);
        self.seen.ended(task);
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
        share: Option<Share<'_>>,
    ) -> Watch {
        let mine = |label: usize, job: &Job| {
            job.call.is_ok() && share.is_none_or(|share| plan.tasks[job.task].on_spawn || share.has(label))
        };
        let runnable = jobs.iter().enumerate().filter(|(label, job)| mine(*label, job));
        let runnable: Vec<&Job> = runnable.map(|(_, job)| job).collect();
        let names = || jobs.iter().map(|job| job.name.clone()).collect();
        Watch {
            log: output
                .log
                .then(|| Log::new(io::stderr(), names(), interrupt.clone(), share.map(|share| share.worker))),
            timing: output.timing.then(|| Timing { began: Instant::now(), ran: vec![0; runnable.len()] }),
            digest: digest(&runnable, plan, policy, share),
            summary: plan.tasks.iter().any(|task| task.period.is_some()).then(Summary::new),
            record: None,
            events: None,
            profile: None,
            seen: None,
            came_in: false,
        }
    }

    /// Tasks that tasks spawn are called as this workshop says.
    pub(crate) fn ask(&mut self, shop: &Arc<Workshop>) {
        if let Some(events) = &mut self.events {
            events.sink_mut().ask(shop);
        }
        if let Some(profile) = &mut self.profile {
            profile.names_mut().ask(shop);
        }
    }

    /// Completes what was written, once all tasks have ended.
    pub(crate) fn export(&mut self, plan: &Plan, digest: &str, ended_by: &str, aside: &Aside) -> Exported {
        let about = trace::about(plan, digest, ended_by);
        let events = self.events.take().map(|events| events.finish().0.finish(&about, aside));
        let mut exported = events.unwrap_or_default();
        exported.errors.extend(self.profile.take().and_then(Profile::finish));
        exported
    }

    /// Nanoseconds that the task in this slot ran, if they were measured.
    pub(crate) fn ran(&self, task: TaskId) -> Option<u64> {
        self.timing.as_ref().map(|timing| timing.ran.get(task.index()).copied().unwrap_or(0))
    }

    /// How often a task missed its deadline, if it has any.
    pub(crate) fn misses(&self, ended: &Ended) -> Option<u64> {
        let fare = self.summary.as_ref()?.tasks().get(usize::try_from(ended.spawn_index).ok()?)?;
        fare.deadline_misses()
    }
}

/// The engine for a plan, whose guests tell where they are if they are to be profiled.
pub(crate) fn engine_for(plan: &Plan, traces: &TraceArgs) -> anyhow::Result<Engine> {
    engine_with_frames(plan.max_stack, if traces.profile.is_some() { profile::MOST_FRAMES } else { 1 })
}

/// Asks a task for its stack, and adds its last slice to the profile, if there is one.
pub(crate) fn sample<P: Policy, O: Observer>(sched: &mut Executor<P, O>, watch: impl Fn(&mut O) -> &mut Watch) {
    let profile = |sched: &mut Executor<P, O>| watch(sched.observer_mut()).profile.take();
    let Some(mut taking) = profile(sched) else {
        return;
    };
    if let Some(taken) = taking.take() {
        let stack = taken.id().map(|id| sched.stack(id));
        taking.add(&taken, stack);
    }
    watch(sched.observer_mut()).profile = Some(taking);
}

/// An object has no place for a chart.
pub(crate) fn no_chart_in_json(traces: &TraceArgs, output: OutputArgs) -> anyhow::Result<()> {
    let both = traces.timeline && output.format == Format::Json;
    anyhow::ensure!(!both, "--format json is one object, and --timeline a chart: leave one of them out");
    Ok(())
}

/// What these options ask for. The files are there before anything runs.
pub(crate) fn tap(traces: &TraceArgs, plan: &Plan, output: OutputArgs) -> anyhow::Result<Option<Events<Exports>>> {
    no_chart_in_json(traces, output)?;
    let exports = Exports::new(traces, plan, TaskNames::new(job::names(plan)), output.timing)?;
    Ok(exports.map(|exports| exports.events(Instant::now())))
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
    /// The first incarnations, or why there is none, by job; nothing where others spawn it, or another worker runs it.
    pub(crate) spawned: Vec<Option<Result<TaskId, Refusal>>>,
    /// Where the tasks are made.
    shop: Arc<Workshop>,
    /// Fuel that they may use together.
    fuel_left: Option<Fuel>,
}

/// The part of a run that one of several workers has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share<'a> {
    /// Which worker.
    pub(crate) worker: usize,
    /// Of how many.
    pub(crate) of: usize,
    /// Whose each job is.
    pub(crate) homes: &'a [usize],
}

impl Share<'_> {
    /// Whether this job belongs to it.
    fn has(&self, job: usize) -> bool {
        self.homes.get(job) == Some(&self.worker)
    }

    /// Its part of the run's fuel.
    fn fuel(&self, all: Fuel) -> Fuel {
        workers::part(all, self.worker, self.of)
    }
}

/// What a session may have beside its plan.
#[derive(Default)]
pub(crate) struct Extras<'a> {
    /// Where it is recorded.
    pub(crate) record: Option<Recorder<File>>,
    /// What is written of it, to be looked at.
    pub(crate) events: Option<Events<Exports>>,
    /// Where its fuel goes.
    pub(crate) profile: Option<Profile>,
    /// What is seen of it, poll by poll.
    pub(crate) seen: Option<Seen>,
    /// How all of its tasks fare.
    pub(crate) summary: Option<Summary>,
    /// Which part of the run it is, if it is not all of it.
    pub(crate) share: Option<Share<'a>>,
}

/// What a run that goes on says of itself from time to time.
pub(crate) trait Progress {
    /// So many tasks have not ended, and so much fuel was used. Says whether the run is to go on.
    fn goes_on(&mut self, live: usize, fuel: Fuel) -> bool;
}

/// Shown on a terminal, if there is one.
impl Progress for Option<Running> {
    fn goes_on(&mut self, live: usize, fuel: Fuel) -> bool {
        if let Some(running) = self {
            running.show(live, fuel);
        }
        true
    }
}

/// Runs a plan, and reports.
pub(crate) fn run(
    mut plan: Plan,
    output: OutputArgs,
    record: Option<&str>,
    traces: &TraceArgs,
) -> anyhow::Result<ExitCode> {
    let interrupted = catch_interrupt()?;
    let jobs = job::load(&engine_for(&plan, traces)?, &mut plan)?;
    inspect::warn_of_small_quanta(&plan, &jobs);
    let events = tap(traces, &plan, output)?;
    let recorder = record.map(|path| recording::create(path, &plan)).transpose()?;
    let profile = Profile::new(traces, TaskNames::new(job::names(&plan)))?;
    let extras = Extras { record: recorder, events, profile, ..Extras::default() };
    let mut session = Session::new(&plan, &jobs, &plan.policy, output, &interrupted, extras)?;
    if !can_run(&session.spawned) {
        return Ok(ExitCode::from(2));
    }
    let began = Instant::now();
    let ended_by = session.run_to_the_end(&interrupted, &mut session.progress(output));
    session.sched.stop_all();
    let (wall, digest) = (began.elapsed(), session.sched.observer().digest.hex());
    let why = ended_by.name();
    let report = session.report(ended_by, wall);
    let exported = session.sched.observer_mut().export(&plan, &digest, why, &report.aside());
    let recorded = session.sched.observer_mut().record.take().map_or(Ok(()), |record| record.finish().map(drop));
    // The log's last line is written when the log goes.
    drop(session);
    if !output.quiet {
        output::result(&report.render(output.format)?)?;
    }
    let whole = exported.show()?;
    if let Err(error) = recorded {
        output::error(&format!("the recording is not complete: {}: {error}", record.unwrap_or_default()));
        return Ok(ExitCode::from(report.exit_code().max(1)));
    }
    Ok(ExitCode::from(report.exit_code().max(u8::from(!whole))))
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
        extras: Extras<'_>,
    ) -> anyhow::Result<Session<'a>> {
        let Extras { record, events, profile, seen, summary, share } = extras;
        let clock = clock(plan);
        let made = policy.build(plan, &clock).map_err(anyhow::Error::msg)?;
        let made = match plan.slice_ns.map(Duration::from_nanos) {
            Some(time) => Box::new(Timed::new(made, time, clock.clone())),
            None => made,
        };
        let asked = profile.is_some() || seen.is_some();
        let watch = Watch::new(plan, jobs, policy, output, interrupt, share);
        let summary = summary.or(watch.summary);
        let watch = Watch { record, events, profile, seen, summary, ..watch };
        // Whoever looks poll by poll may send to a channel himself.
        let end_deadlocks = watch.seen.is_none();
        let builder = Executor::builder().policy(made).observer(watch).clock(clock.clone());
        let mut sched = builder.end_deadlocks(end_deadlocks).build();
        let groups: Vec<GroupId> = plan.groups.iter().map(|group| sched.add_group(as_group(group))).collect();
        let mut lives = Lives::new(plan, policy);
        let shop = Workshop::new(plan, jobs, &groups, output.format == Format::Json && !output.quiet, asked);
        sched.observer_mut().ask(&shop);
        let mut one = |(label, job): (usize, &Job)| {
            let task = &plan.tasks[job.task];
            let mine = share.is_none_or(|share| share.has(label)) && !task.on_spawn;
            mine.then(|| spawn(&mut sched, &mut lives, (label, job), task, &shop))
        };
        let spawned = jobs.iter().enumerate().map(&mut one).collect();
        let fuel_left = plan.run_fuel.map(|fuel| share.map_or(Fuel(fuel), |share| share.fuel(Fuel(fuel))));
        Ok(Session { plan, jobs, sched, lives, spawned, shop, fuel_left })
    }
}

/// The clock of a run: one that goes by fuel, if it is to be deterministic.
pub(crate) fn clock(plan: &Plan) -> Clock {
    if plan.deterministic.is_some() { Clock::simulated() } else { Clock::monotonic() }
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
pub(crate) fn as_group(plan: &GroupPlan) -> Group {
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
fn digest(jobs: &[&Job], plan: &Plan, policy: &PolicySpec, share: Option<Share<'_>>) -> Digest {
    let mut digest = Digest::new();
    let number = |fuel: Option<u64>| fuel.map_or(String::from("none"), |fuel| fuel.to_string());
    digest.setting("engine", engine_name());
    digest.setting("architecture", std::env::consts::ARCH);
    digest.setting("policy", &policy.name);
    digest.setting("quantum", plan.quantum.to_string());
    digest.setting("fuel", number(plan.fuel));
    let part = |fuel| share.map_or(fuel, |share| share.fuel(Fuel(fuel)).0);
    digest.setting("run-fuel", number(plan.run_fuel.map(part)));
    digest.setting("max-memory", plan.max_memory.to_string());
    digest.setting("max-stack", plan.max_stack.to_string());
    // Where nobody asks for the time or a random number, there is no difference.
    let reaches_out = |job: &&Job| job.call.as_ref().is_ok_and(|call| !call.program.module().imports().is_empty());
    if let Some(seed) = plan.deterministic.filter(|_| jobs.iter().any(reaches_out)) {
        digest.setting("seed", seed.to_string());
    }
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
    task: &TaskPlan,
    shop: &Arc<Workshop>,
) -> Result<TaskId, Refusal> {
    let make = shop.maker(label, job)?;
    let spawned = lives.spawn(sched, task, make);
    spawned.map_err(|error| Refusal { message: format!("{}: {error}", job.name), mistyped: false })
}

/// Says what is wrong with jobs that cannot run, once for copies of one job.
pub(crate) fn say_what_failed<'a>(messages: impl Iterator<Item = &'a str>) {
    let mut messages: Vec<&str> = messages.collect();
    messages.dedup();
    messages.into_iter().for_each(output::error);
}

/// Says what cannot run, and whether anything is run for all that.
pub(crate) fn can_run(spawned: &[Option<Result<TaskId, Refusal>>]) -> bool {
    let refusal =
        |spawned: &'_ Option<Result<TaskId, Refusal>>| Some(spawned.as_ref()?.as_ref().err()?.message.clone());
    let failed: Vec<String> = spawned.iter().filter_map(refusal).collect();
    say_what_failed(failed.iter().map(String::as_str));
    !nothing_ran_as_typed(spawned)
}

/// Whether nothing can run, because of what was typed.
fn nothing_ran_as_typed(spawned: &[Option<Result<TaskId, Refusal>>]) -> bool {
    let mistyped = |s: &Result<TaskId, Refusal>| s.as_ref().is_err_and(|refusal| refusal.mistyped);
    let all = || spawned.iter().flatten();
    all().all(Result::is_err) && all().any(mistyped)
}

impl Session<'_> {
    /// Steps until everything has ended, a limit is reached, somebody interrupts, a task shuts the run down, or `progress` says no.
    pub(crate) fn run_to_the_end(&mut self, interrupted: &AtomicBool, progress: &mut impl Progress) -> EndedBy {
        // Polls between two looks at the flag: a millisecond or a few, unless one slice is longer than that.
        let polls = (20_000_000 / self.plan.quantum).clamp(1, 10_000);
        let sampled = self.sched.observer().profile.is_some();
        let mut since = 0;
        let time = self.plan.run_time_ns.map(Duration::from_nanos);
        let deadline = time.and_then(|time| Instant::now().checked_add(time));
        loop {
            // One poll at a time where each is looked at.
            let mut budget = Budget::polls(if sampled { 1 } else { polls });
            if let Some(fuel) = self.fuel_left {
                budget = budget.or_fuel(fuel.0);
            }
            if let Some(at) = deadline {
                budget = budget.or_time(at.saturating_duration_since(Instant::now()));
            }
            let (ran, shutdown) = self.lives.run_for(&mut self.sched, budget);
            self.fuel_left = self.fuel_left.map(|left| left.minus(ran.fuel));
            if sampled {
                sample(&mut self.sched, |watch| watch);
            }
            since = if since < polls { since + 1 } else { 0 };
            let look = !sampled || since == 0;
            if let Some(shutdown) = shutdown {
                return EndedBy::Shutdown(self.name_of(&shutdown));
            } else if self.sched.live() == 0 || self.nobody_will_run(ran.why, deadline) {
                return EndedBy::Done;
            } else if interrupted.load(Ordering::Relaxed) {
                return EndedBy::Interrupt;
            } else if self.fuel_left == Some(Fuel::ZERO) {
                return EndedBy::RunFuel;
            } else if deadline.is_some_and(|at| Instant::now() >= at) {
                return EndedBy::RunTime;
            } else if look && !progress.goes_on(self.sched.live(), self.sched.totals().fuel) {
                return EndedBy::Halted;
            }
        }
    }

    /// Makes one poll: says whether there was one, and why there will be no other, if so. Where it has to wait for one, `stop` is asked from time
    /// to time.
    pub(crate) fn one_poll(&mut self, stop: &mut dyn FnMut(&Sched) -> bool) -> (bool, Option<EndedBy>) {
        loop {
            let (ran, shutdown) = self.lives.run_for(&mut self.sched, Budget::polls(1));
            if let Some(shutdown) = shutdown {
                return (ran.polls > 0, Some(EndedBy::Shutdown(self.name_of(&shutdown))));
            } else if ran.polls > 0 {
                return (true, None);
            } else if self.sched.live() == 0 || self.nobody_will_run(ran.why, None) {
                return (false, Some(EndedBy::Done));
            } else if stop(&self.sched) {
                return (false, Some(EndedBy::Interrupt));
            }
        }
    }

    /// The channels of its tasks.
    pub(crate) fn channels(&self) -> &Channels {
        self.shop.around.channels()
    }

    /// What the task of this label has printed, if that is kept.
    pub(crate) fn printed(&self, label: u64) -> Option<Printed> {
        self.shop.around.printed(label)
    }

    /// The name of a task that another has spawned.
    pub(crate) fn spawned_name(&self, label: u64) -> Option<String> {
        self.shop.spawned_name(label)
    }

    /// What shows how far it came; nothing where something else would be among it.
    pub(crate) fn progress(&self, output: OutputArgs) -> Option<Running> {
        let limits =
            Limits { fuel: self.plan.run_fuel.map(Fuel), time: self.plan.run_time_ns.map(Duration::from_nanos) };
        (!output.log && !self.shop.prints()).then(|| Running::new(limits)).flatten()
    }

    /// Whether this is an end for good. Where something is waited for, so does this.
    fn nobody_will_run(&mut self, why: RunEnd, deadline: Option<Instant>) -> bool {
        let RunEnd::Idle { next_wake } = why else {
            return !matches!(why, RunEnd::BudgetSpent);
        };
        if !self.sched.waits_for_outside(next_wake) {
            return true;
        }
        let nap = deadline.map_or(NAP, |at| at.saturating_duration_since(Instant::now()).min(NAP));
        self.sched.park_at_most(next_wake, nap);
        false
    }

    /// Who shut the run down, and why.
    fn name_of(&self, shutdown: &Shutdown) -> String {
        let current = |spawned: &Option<Result<TaskId, Refusal>>| {
            let first = spawned.as_ref().and_then(|spawned| spawned.as_ref().ok());
            first.is_some_and(|first| self.lives.current(*first) == shutdown.by)
        };
        let job = self.spawned.iter().position(current).map(|position| self.jobs[position].name.as_str());
        format!("{}: {}", job.unwrap_or("?"), shutdown.why.name())
    }

    /// What became of everything.
    fn report(&mut self, ended_by: EndedBy, wall: Duration) -> Report {
        let mut tasks: Vec<TaskReport> = (0..self.jobs.len()).filter_map(|id| self.task_report(id)).collect();
        tasks.extend(self.spawned_reports());
        let (totals, digest) = (self.sched.totals(), self.sched.observer().digest.hex());
        let came_in = self.what_came_in();
        Report::new(tasks, self.plan, ended_by, totals, wall, digest, &came_in)
    }

    /// What came from outside, so that another run may be another.
    pub(crate) fn what_came_in(&self) -> Vec<&'static str> {
        let files = self.plan.tasks.iter().any(|task| !task.world.dirs.is_empty());
        let all = [
            (self.sched.observer().came_in, "tasks took in the time, random numbers or input"),
            (files, "tasks had the use of folders"),
        ];
        all.into_iter().filter_map(|(came, what)| came.then_some(what)).collect()
    }

    /// What became of a job; nothing, where it was only there to be spawned.
    pub(crate) fn task_report(&mut self, id: usize) -> Option<TaskReport> {
        let report = TaskReport::new(id, &self.jobs[id], None, self.plan);
        Some(match self.spawned[id].as_ref()? {
            Err(refusal) => report.failed(refusal.message.clone()),
            Ok(first) => {
                let current = self.lives.current(*first);
                let Some(ended) = self.sched.take(current) else {
                    return Some(report);
                };
                let watch = self.sched.observer();
                let (ran, misses) = (watch.ran(current), watch.misses(&ended));
                let report = report.lived(self.lives.numbers(*first), misses).ended(&ended, ran);
                report.printed(self.shop.around.printed(id as u64))
            }
        })
    }

    /// What became of the tasks that tasks spawned, in the order in which they did.
    pub(crate) fn spawned_reports(&mut self) -> Vec<TaskReport> {
        let mut ended: BTreeMap<u64, Ended> =
            self.sched.take_ended().into_iter().map(|ended| (ended.label, ended)).collect();
        let one = |(label, name, task): (u64, String, usize)| {
            let job = self.jobs.iter().find(|job| job.task == task)?;
            let report = TaskReport::new(usize::try_from(label).ok()?, job, Some(name), self.plan);
            let ended = ended.remove(&label)?;
            let watch = self.sched.observer();
            let report = report.lived(None, watch.misses(&ended)).ended(&ended, watch.ran(ended.id));
            Some(report.printed(self.shop.around.printed(label)))
        };
        self.shop.spawned().into_iter().filter_map(one).collect()
    }
}

/// What runs the guests, as reports name it.
pub(crate) fn engine_name() -> String {
    format!("wasmtime {WASMTIME_VERSION}")
}
