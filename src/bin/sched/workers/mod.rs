//! `--workers N`: the tasks of a run on several threads, each with an executor, a policy and a digest of its own.
//!
//! ```text
//! plan ─► jobs ─► parties (whose each job is) ─► a session for each worker ─► a thread for each ─► gathered: one report
//! ```
//!
//! What a worker does is a function of the plan and of the number of workers, so its digest is the same in each run. The workers share two
//! flags and a board for the progress, and look at them once in many polls.

mod parties;

use crate::args::{OutputArgs, TraceArgs};
use crate::engine;
use crate::job::{self, Job};
use crate::output;
use crate::plan::Plan;
use crate::progress::Running;
use crate::report::{EndedBy, Report, TaskReport, WorkerReport};
use crate::run::{Extras, Progress, Session, Share, can_run, catch_interrupt, no_chart_in_json};
use crate::trace::{Aside, Exported, Exports, Parts, TaskNames};
use anyhow::{Result, ensure};
use fuelsched::executor::Totals;
use fuelsched::trace::sha256;
use fuelsched::{Fuel, workers};
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// Runs a plan on so many threads, and reports.
pub(crate) fn run(mut plan: Plan, count: usize, output: OutputArgs, traces: &TraceArgs) -> Result<ExitCode> {
    ensure!(plan.policy.name != "cyclic", "the windows of cyclic are of one processor's time; leave out --workers");
    no_chart_in_json(traces, output)?;
    let interrupted = catch_interrupt()?;
    let jobs = job::load(&engine(plan.max_stack)?, &mut plan)?;
    let homes = parties::share_out(&plan, &jobs, count);
    let mut parts = traces.trace.as_deref().map(|path| Parts::new(path, traces.trace_clock)).transpose()?;
    let session = |worker| {
        let names = TaskNames::new(job::names(&plan));
        let events = match &mut parts {
            Some(parts) => Some(parts.add(names, traces.timeline)?),
            None => Exports::of_chart(names, traces.timeline).map(|chart| chart.events(Instant::now())),
        };
        let share = Some(Share { worker, of: count, homes: &homes });
        let extras = Extras { events, share, ..Extras::default() };
        Session::new(&plan, &jobs, &plan.policy, output, &interrupted, extras)
    };
    let sessions = (0..count).map(session).collect::<Result<Vec<_>>>()?;
    let spawned: Vec<_> = homes.iter().enumerate().map(|(job, home)| sessions[*home].spawned[job].clone()).collect();
    if !can_run(&spawned) {
        return Ok(ExitCode::from(2));
    }
    let board = Board::new(count, sessions[0].progress(output));
    let began = Instant::now();
    let lives = workers::on_threads(sessions, |worker, mut session| {
        let ended_by = session.run_to_the_end(&interrupted, &mut Seat { worker, board: &board });
        if matches!(ended_by, EndedBy::Shutdown(_)) {
            board.halted.store(true, Ordering::Relaxed);
        }
        session.sched.stop_all();
        Life { session, ended_by }
    });
    let wall = began.elapsed();
    drop(board);
    // A thread ends in a panic only by a fault of this program: there is nothing to report of a part of the run.
    let mut lives = lives.into_iter().collect::<fuelsched::Result<Vec<_>>>()?;
    let exported: Vec<Exported> = lives.iter_mut().map(|life| life.export(&plan)).collect();
    let mut errors: Vec<String> = exported.iter().flat_map(|exported| exported.errors.iter().cloned()).collect();
    let by_worker: Vec<WorkerReport> = lives.iter().map(Life::report).collect();
    let digests: String = by_worker.iter().map(|worker| worker.digest.as_str()).collect();
    let (totals, came_in) = (totals(&lives), came_in(&lives));
    let tasks = task_reports(&mut lives, &jobs, &homes);
    // With the lives go the logs, which then write their last lines.
    let ended_by = lives.into_iter().map(|life| life.ended_by).reduce(graver).unwrap_or(EndedBy::Done);
    let digest = sha256(digests.as_bytes());
    errors.extend(parts.and_then(|parts| parts.join(&plan, &digest, ended_by.name())));
    let report = Report::new(tasks, &plan, ended_by, totals, wall, digest, &came_in);
    let report = report.of_workers(by_worker);
    if !output.quiet {
        output::result(&report.render(output.format)?)?;
    }
    let charts = exported.iter().map(|exported| exported.text.as_str()).enumerate();
    for (worker, chart) in charts.filter(|(_, chart)| !chart.is_empty()) {
        output::result(&format!("\nworker {worker}{chart}"))?;
    }
    errors.iter().for_each(|error| output::error(error));
    Ok(ExitCode::from(report.exit_code().max(u8::from(!errors.is_empty()))))
}

/// What the workers show each other.
struct Board {
    /// Raised when a task of one of them has shut the run down.
    halted: AtomicBool,
    /// Tasks of each that have not ended, and fuel that they have used.
    counts: Vec<(AtomicUsize, AtomicU64)>,
    /// Where that is shown.
    shown: Mutex<Option<Running>>,
}

impl Board {
    /// Nothing has happened yet.
    fn new(count: usize, shown: Option<Running>) -> Board {
        let counts = (0..count).map(|_| Default::default()).collect();
        Board { halted: AtomicBool::new(false), counts, shown: Mutex::new(shown) }
    }
}

/// A worker's place at the board.
struct Seat<'a> {
    /// Which worker's.
    worker: usize,
    /// The board.
    board: &'a Board,
}

impl Progress for Seat<'_> {
    fn goes_on(&mut self, live: usize, fuel: Fuel) -> bool {
        let Board { halted, counts, shown } = self.board;
        counts[self.worker].0.store(live, Ordering::Relaxed);
        counts[self.worker].1.store(fuel.0, Ordering::Relaxed);
        // Whoever finds another one at it need not show the same.
        if let Ok(mut shown) = shown.try_lock() {
            let live = counts.iter().map(|count| count.0.load(Ordering::Relaxed)).sum();
            let fuel = counts.iter().map(|count| count.1.load(Ordering::Relaxed)).sum();
            shown.goes_on(live, Fuel(fuel));
        }
        !halted.load(Ordering::Relaxed)
    }
}

/// What a worker has done.
struct Life<'a> {
    /// Its executor, when all is over.
    session: Session<'a>,
    /// Why its part was over.
    ended_by: EndedBy,
}

impl Life<'_> {
    /// Completes what was written of it.
    fn export(&mut self, plan: &Plan) -> Exported {
        let ended_by = self.ended_by.name();
        self.session.sched.observer_mut().export(plan, "", ended_by, &Aside::default())
    }

    /// What came of it.
    fn report(&self) -> WorkerReport {
        let Totals { spawned, switches, slices, fuel, .. } = self.session.sched.totals();
        let digest = self.session.sched.observer().digest.hex();
        WorkerReport { tasks: spawned, switches, slices, fuel: fuel.0, digest }
    }
}

/// Sums over all workers.
fn totals(lives: &[Life<'_>]) -> Totals {
    lives.iter().map(|life| life.session.sched.totals()).fold(Totals::default(), |mut all, one| {
        all.spawned += one.spawned;
        all.slices += one.slices;
        all.switches += one.switches;
        all.fuel = all.fuel.plus(one.fuel);
        all
    })
}

/// What came from outside to any of them.
fn came_in(lives: &[Life<'_>]) -> Vec<&'static str> {
    let all: BTreeSet<&str> = lives.iter().flat_map(|life| life.session.what_came_in()).collect();
    all.into_iter().collect()
}

/// What became of each job, in their order, and behind them of what tasks have spawned, worker by worker.
fn task_reports(lives: &mut [Life<'_>], jobs: &[Job], homes: &[usize]) -> Vec<TaskReport> {
    let own = |(job, home): (usize, &usize)| Some(lives[*home].session.task_report(job)?.by_worker(*home, None));
    let mut all: Vec<TaskReport> = homes.iter().enumerate().filter_map(own).collect();
    let mut next = jobs.len();
    for (worker, life) in lives.iter_mut().enumerate() {
        for report in life.session.spawned_reports() {
            all.push(report.by_worker(worker, Some(next)));
            next += 1;
        }
    }
    all
}

/// Of two ends the one that says more of the run: a hand on the keyboard, a shutdown, the time, the fuel.
fn graver(one: EndedBy, other: EndedBy) -> EndedBy {
    let rank = |end: &EndedBy| match end {
        EndedBy::Interrupt => 5,
        EndedBy::Shutdown(_) => 4,
        EndedBy::Halted => 3,
        EndedBy::RunTime => 2,
        EndedBy::RunFuel => 1,
        EndedBy::Done | EndedBy::Replay | EndedBy::Divergence(_) => 0,
    };
    if rank(&other) > rank(&one) { other } else { one }
}
