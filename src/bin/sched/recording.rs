//! `--record` and `--replay`: a recording begins with the plan that was run, so that a file is all that a replay needs, beside the modules.

use crate::args::{Format, RunArgs};
use crate::job::{self, Job};
use crate::make::{Maker, Workshop};
use crate::output;
use crate::plan::Plan;
use crate::profile::Profile;
use crate::progress::{Limits, Running};
use crate::report::{EndedBy, Report, TaskReport};
use crate::run::{Watch, catch_interrupt, clock, engine_for, engine_name, sample, tap};
use crate::trace::{Exported, TaskNames};
use anyhow::{Context, Result, bail, ensure};
use fuelsched::replay::Verdict;
use fuelsched::trace::Ended;
use fuelsched::{Divergence, ErrorKind, GroupId, Recorder, Recording, Replay, Task};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Entries between two looks at Ctrl-C.
const ENTRIES: u32 = 4_096;

/// What a recording begins with.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    /// What ran the guests.
    pub(crate) engine: String,
    /// On which architecture.
    pub(crate) architecture: String,
    /// What was run, with the hashes of the modules.
    pub(crate) plan: Plan,
}

/// Begins a recording of a run of this plan, whose modules have been loaded.
pub(crate) fn create(path: &str, plan: &Plan) -> Result<Recorder<File>> {
    let header = Header { engine: engine_name(), architecture: std::env::consts::ARCH.into(), plan: plan.clone() };
    let header = serde_json::to_vec(&header)?;
    let begin = || Recorder::new(File::create(path)?, &header);
    begin().with_context(|| format!("cannot record in {path}"))
}

/// Runs a recording again, and reports.
pub(crate) fn replay(path: &str, args: &RunArgs) -> Result<ExitCode> {
    let output = args.output;
    let interrupted = catch_interrupt()?;
    let file = File::open(path).with_context(|| path.to_string())?;
    let recording = Recording::new(BufReader::new(file)).with_context(|| path.to_string())?;
    let Header { engine: recorded_by, architecture, mut plan } =
        header(&recording).with_context(|| path.to_string())?;
    args.traces.keep_apart(None, plan.modules.iter().map(|module| module.path.as_str()).chain([path]))?;
    plan.stdout = args.stdout.or(plan.stdout);
    plan.allow_precompiled = args.work.allow_precompiled;
    note_difference("by", &recorded_by, &engine_name());
    note_difference("on", &architecture, std::env::consts::ARCH);
    let hashes: Vec<_> = plan.modules.iter().map(|module| module.sha256.clone()).collect();
    let jobs = job::load(&engine_for(&plan, &args.traces)?, &mut plan)?;
    look_at_modules(&plan, &jobs, &hashes)?;

    let mut watch = Watch::new(&plan, &jobs, &plan.policy, output, &interrupted, None);
    let mut tasks = Tasks::new(&plan, &jobs, output.format == Format::Json, args.traces.profile.is_some());
    let shop = tasks.shop.clone();
    watch.events = tap(&args.traces, &plan, output)?;
    watch.profile = Profile::new(&args.traces, TaskNames::new(job::names(&plan)))?;
    watch.ask(&shop);
    let mut replay = Replay::observed(recording, |label, index| tasks.make(label, index), watch).clock(clock(&plan));
    let began = Instant::now();
    let mut fault = None;
    let ended_by = run_to_the_end(&mut replay, &jobs, &interrupted, !output.log, &mut fault);
    replay.executor_mut().stop_all();
    let wall = began.elapsed();
    let ended = replay.executor_mut().take_ended();
    let (totals, digest) = (replay.executor().totals(), replay.observer().digest.hex());
    let reports = task_reports(&plan, &jobs, ended, replay.observer(), &shop);
    let why = ended_by.name();
    let report = Report::new(reports, &plan, ended_by, totals, wall, digest.clone(), &[]);
    let exported = finish(&mut replay, &plan, &digest, why, &report);
    // The log's last line is written when the log goes.
    drop(replay);
    if !output.quiet {
        output::result(&report.render(output.format)?)?;
    }
    let whole = exported.show()?;
    if let Some(fault) = fault {
        output::error(&format!("{path}: {fault}"));
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::from(report.exit_code().max(u8::from(!whole))))
}

/// Completes what is written of a replay.
fn finish<R, F>(
    replay: &mut Replay<R, F, Watch>,
    plan: &Plan,
    digest: &str,
    ended_by: &str,
    report: &Report,
) -> Exported
where
    R: std::io::BufRead,
    F: FnMut(u64, u64) -> fuelsched::Result<Task>,
{
    replay.observer_mut().export(plan, digest, ended_by, &report.aside())
}

/// What a recording says that was run.
pub(crate) fn header<R: std::io::BufRead>(recording: &Recording<R>) -> Result<Header> {
    let header: Header = serde_json::from_slice(recording.header())
        .context("the recording was not made by `sched run --record`: it does not say what was run")?;
    let Plan { tasks, modules, groups, .. } = &header.plan;
    let whole = |task: &crate::plan::TaskPlan| {
        task.module < modules.len() && task.group.is_none_or(|group| group < groups.len())
    };
    ensure!(tasks.iter().all(whole), "the recording speaks of a module or a group that it does not have");
    ensure!(header.plan.total() <= crate::units::MOST_TASKS, "the recording has more tasks than a run takes");
    Ok(header)
}

/// Says that something is another than when the recording was made.
fn note_difference(how: &str, recorded: &str, now: &str) {
    if recorded != now {
        output::note(&format!("recorded {how} {recorded}, replayed {how} {now}: fuel may differ"));
    }
}

/// Says which modules have changed. One that was loaded when the recording was made has to be there.
fn look_at_modules(plan: &Plan, jobs: &[Job], hashes: &[Option<String>]) -> Result<()> {
    for (module, then) in plan.modules.iter().zip(hashes) {
        if let (Some(then), Some(now)) = (then, &module.sha256)
            && then != now
        {
            output::note(&format!("{} has changed since the recording was made", module.path));
        }
    }
    for job in jobs {
        let was_there = hashes[plan.tasks[job.task].module].is_some();
        if let (Err(refusal), true) = (&job.call, was_there) {
            bail!("{}, and it ran when the recording was made", refusal.message);
        }
    }
    Ok(())
}

/// What makes the tasks of a replay.
struct Tasks {
    /// Where they are made.
    shop: Arc<Workshop>,
    /// By label; `None` for a job that never ran.
    makers: Vec<Option<Maker>>,
}

impl Tasks {
    /// The makers of all jobs. Groups get the ids that they had: they are made in the same order.
    fn new(plan: &Plan, jobs: &[Job], kept: bool, asked: bool) -> Tasks {
        let groups: Vec<GroupId> = (0..plan.groups.len()).map(|index| GroupId::new(index as u32, 0)).collect();
        let shop = Workshop::new(plan, jobs, &groups, kept, asked);
        let maker = |(label, job)| shop.maker(label, job).ok();
        Tasks { makers: jobs.iter().enumerate().map(maker).collect(), shop }
    }

    /// The next incarnation of a job.
    fn make(&mut self, label: u64, spawn_index: u64) -> fuelsched::Result<Task> {
        let maker = usize::try_from(label).ok().and_then(|label| self.makers.get_mut(label)?.as_mut());
        match maker {
            Some(maker) => Ok(maker()),
            None => {
                let message =
                    format!("not a recording of this plan: it has no task {label} to spawn as the {spawn_index}th");
                Err(ErrorKind::NotARecording { message }.into())
            }
        }
    }
}

/// Replays until the end, a difference, a fault in the file, or Ctrl-C.
fn run_to_the_end<F: FnMut(u64, u64) -> fuelsched::Result<Task>>(
    replay: &mut Replay<BufReader<File>, F, Watch>,
    jobs: &[Job],
    interrupted: &Arc<AtomicBool>,
    show: bool,
    fault: &mut Option<fuelsched::Error>,
) -> EndedBy {
    let mut progress = show.then(|| Running::new(Limits::default())).flatten();
    loop {
        for _ in 0..ENTRIES {
            match replay.step() {
                Ok(None) => sample(replay.executor_mut(), |(_, watch)| watch),
                Ok(Some(Verdict::Diverged(divergence))) => return EndedBy::Divergence(describe(&divergence, jobs)),
                Ok(Some(_)) => return EndedBy::Replay,
                Err(error) => {
                    *fault = Some(error);
                    return EndedBy::Replay;
                }
            }
        }
        if interrupted.load(Ordering::Relaxed) {
            return EndedBy::Interrupt;
        }
        if let Some(progress) = &mut progress {
            progress.show(replay.executor().live(), replay.executor().totals().fuel);
        }
    }
}

/// A divergence, with the task's name.
fn describe(divergence: &Divergence, jobs: &[Job]) -> String {
    let job = usize::try_from(divergence.label).ok().and_then(|label| jobs.get(label));
    match (divergence.spawn_index, job) {
        (Some(_), Some(job)) => {
            format!("switch {}: {} {}", fuelsched::Fuel(divergence.switch), job.name, divergence.what)
        }
        _ => divergence.to_string(),
    }
}

/// What became of each job, of its last incarnation, and of what was spawned.
fn task_reports(plan: &Plan, jobs: &[Job], ended: Vec<Ended>, watch: &Watch, shop: &Workshop) -> Vec<TaskReport> {
    let mut last: BTreeMap<u64, Ended> = BTreeMap::new();
    for task in ended {
        match last.get(&task.label) {
            Some(other) if other.spawn_index > task.spawn_index => {}
            _ => {
                last.insert(task.label, task);
            }
        }
    }
    let report = |id: usize, job: &Job, name: Option<String>| {
        let report = TaskReport::new(id, job, name, plan);
        match (last.get(&(id as u64)), &job.call) {
            (Some(ended), _) => {
                let lived = report.lived(None, watch.misses(ended)).ended(ended, watch.ran(ended.id));
                lived.printed(shop.around.printed(id as u64))
            }
            (None, Err(refusal)) => report.failed(refusal.message.clone()),
            (None, Ok(_)) => report,
        }
    };
    let there = jobs.iter().enumerate().filter(|(_, job)| !plan.tasks[job.task].on_spawn);
    let mut all: Vec<TaskReport> = there.map(|(id, job)| report(id, job, None)).collect();
    // One that the policy refused was never there.
    for (label, name, task) in shop.spawned().into_iter().filter(|(label, ..)| last.contains_key(label)) {
        let job = jobs.iter().find(|job| job.task == task);
        all.extend(job.map(|job| report(label as usize, job, Some(name))));
    }
    all
}
