//! `sched compare`: the same tasks under several policies, and how they fared.

use crate::args::{Format, OutputArgs};
use crate::engine;
use crate::job::{self, Job};
use crate::output;
use crate::plan::{Plan, Stdout};
use crate::policy::{KINDS, PolicySpec};
use crate::progress::{Limits, Running};
use crate::report::{EndedBy, INTERRUPTED};
use crate::run::{Extras, Session, catch_interrupt, engine_name, say_what_failed};
use anyhow::{Result, bail};
use fuelsched::Fuel;
use fuelsched::trace::{Spread, Summary};
use serde::Serialize;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The most refusals of one policy that are kept.
const MOST_REFUSALS: usize = 5;

/// The comparison, whole.
#[derive(Debug, Serialize)]
struct Comparison {
    /// The version of this form.
    schema: u32,
    /// What ran the guests.
    engine: String,
    /// Fuel a turn.
    quantum: u64,
    /// How many tasks there are.
    tasks: usize,
    /// A row for each policy, in the order in which they were named.
    policies: Vec<Row>,
}

/// How the tasks fared under one policy.
#[derive(Debug, Serialize)]
struct Row {
    /// The policy, with its parameters.
    policy: String,
    /// Why nothing was run, or the tasks that it did not take, and why; the first few.
    refused: Vec<String>,
    /// How many tasks it did not take.
    refusals: usize,
    /// What was measured; nothing, where nothing was run.
    measured: Option<Measured>,
}

/// What is measured under one policy.
#[derive(Debug, Serialize)]
struct Measured {
    /// From when a task could first run to its end.
    turnaround: Option<Times>,
    /// From when a task could first run to its first slice.
    response: Option<Times>,
    /// How long a task was ready and did not run.
    waiting: Option<Times>,
    /// Context switches.
    switches: u64,
    /// Periods that were missed, if a task declares a period and a runtime.
    deadline_misses: Option<u64>,
    /// Jain's index of fuel by weight.
    fairness: Option<f64>,
    /// Tasks that returned.
    finished: usize,
    /// Those in a million fuel.
    finished_per_million_fuel: f64,
    /// The virtual clock at the end.
    clock: u64,
    /// Fuel used.
    fuel: u64,
    /// Why it was over.
    ended_by: &'static str,
    /// The digest of the schedule.
    digest: String,
}

/// A distribution, in fuel.
#[derive(Debug, Serialize)]
struct Times {
    /// How many tasks it is of.
    count: usize,
    /// The mean.
    mean: u64,
    /// 99 in 100 do not exceed it.
    p99: u64,
    /// The largest.
    max: u64,
}

impl From<Spread> for Times {
    fn from(spread: Spread) -> Times {
        Times { count: spread.count, mean: spread.mean.0, p99: spread.p99.0, max: spread.max.0 }
    }
}

/// Runs a plan under each policy, and shows how the tasks fared.
pub(crate) fn compare(mut plan: Plan, named: &[PolicySpec], format: Format) -> Result<ExitCode> {
    let interrupted = catch_interrupt()?;
    // What is compared has to be the same under each: time goes by fuel, and nobody types.
    plan.deterministic = plan.deterministic.or(plan.is_in_time().is_none().then_some(0));
    plan.stdout = Some(Stdout::Discard);
    let policies = if named.is_empty() { all_that_fit(&plan) } else { over(named, &plan) };
    let jobs = job::load(&engine(plan.max_stack)?, &mut plan)?;
    say_what_failed(jobs.iter().filter_map(|job| Some(job.call.as_ref().err()?.message.as_str())));
    if jobs.iter().all(|job| job.call.is_err()) {
        bail!("there is nothing to compare: none of the tasks can run");
    }
    let mut rows = Vec::new();
    let mut interrupt = false;
    for (place, policy) in policies.iter().enumerate() {
        let what = format!("running under {}, {} of {}", policy.name, place + 1, policies.len());
        let mut progress = Running::new(Limits::default()).map(|running| running.of(what));
        let (row, ended_by) = run_under(policy, &plan, &jobs, &interrupted, &mut progress);
        rows.push(row);
        interrupt = ended_by == Some(EndedBy::Interrupt);
        if interrupt {
            break;
        }
    }
    let complete = rows.iter().all(|row| row.refusals == 0) && jobs.iter().all(|job| job.call.is_ok());
    let comparison =
        Comparison { schema: 1, engine: engine_name(), quantum: plan.quantum, tasks: jobs.len(), policies: rows };
    output::result(&match format {
        Format::Json => serde_json::to_string_pretty(&comparison)? + "\n",
        Format::Human => comparison.table(),
    })?;
    Ok(ExitCode::from(if interrupt { INTERRUPTED } else { u8::from(!complete) }))
}

/// The policies that were named, each with what the plan says of it.
fn over(named: &[PolicySpec], plan: &Plan) -> Vec<PolicySpec> {
    named.iter().map(|policy| policy.clone().over(&plan.policy)).collect()
}

/// All policies for which the plan has what they need, the plan's own with its parameters.
fn all_that_fit(plan: &Plan) -> Vec<PolicySpec> {
    let promises = plan.tasks.iter().any(|task| task.period.is_some() && task.runtime.is_some());
    let fits = |name: &str| match name {
        "cyclic" => plan.frames.is_some(),
        "edf" => promises,
        _ => true,
    };
    let names = KINDS.iter().map(|kind| kind.name).filter(|name| fits(name));
    names.map(|name| PolicySpec { name: name.into(), ..PolicySpec::default() }.over(&plan.policy)).collect()
}

/// Runs a plan under one policy; says how it ended, if it was run.
fn run_under(
    policy: &PolicySpec,
    plan: &Plan,
    jobs: &[Job],
    interrupted: &Arc<AtomicBool>,
    progress: &mut Option<Running>,
) -> (Row, Option<EndedBy>) {
    let quiet = OutputArgs { format: Format::Human, log: false, timing: false, quiet: true };
    let row = |refused: Vec<String>, refusals, measured| Row { policy: policy.written(), refused, refusals, measured };
    let extras = Extras { summary: Some(Summary::new()), ..Extras::default() };
    let mut session = match Session::new(plan, jobs, policy, quiet, interrupted, extras) {
        Ok(session) => session,
        Err(error) => return (row(vec![format!("{error:#}")], jobs.len(), None), None),
    };
    let refusals = || {
        let of_the_policy = session.spawned.iter().zip(jobs).filter(|(_, job)| job.call.is_ok());
        of_the_policy.filter_map(|(spawned, _)| Some(spawned.as_ref()?.as_ref().err()?.message.clone()))
    };
    let (refused, count) = (refusals().take(MOST_REFUSALS).collect(), refusals().count());
    let ended_by = session.run_to_the_end(interrupted, progress);
    session.sched.stop_all();
    let measured = Measured::of(&session, &ended_by);
    (row(refused, count, Some(measured)), Some(ended_by))
}

impl Measured {
    /// What a run came to.
    fn of(session: &Session<'_>, ended_by: &EndedBy) -> Measured {
        let none = Summary::new();
        let summary = session.sched.observer().summary.as_ref().unwrap_or(&none);
        let totals = session.sched.totals();
        Measured {
            turnaround: summary.turnaround().map(Times::from),
            response: summary.response().map(Times::from),
            waiting: summary.waiting().map(Times::from),
            switches: totals.switches,
            deadline_misses: summary.deadline_misses(),
            fairness: summary.fairness(),
            finished: summary.finished(),
            finished_per_million_fuel: summary.throughput(),
            clock: session.sched.now().0,
            fuel: totals.fuel.0,
            ended_by: ended_by.name(),
            digest: session.sched.observer().digest.hex(),
        }
    }
}

/// A line of the table: what it is called, and what it shows of a policy.
type Line = (&'static str, fn(&Measured) -> Option<String>);

/// What the table shows.
const LINES: &[Line] = &[
    ("turnaround, mean", |m| times(&m.turnaround, |t| t.mean)),
    ("turnaround, p99", |m| times(&m.turnaround, |t| t.p99)),
    ("turnaround, max", |m| times(&m.turnaround, |t| t.max)),
    ("response, mean", |m| times(&m.response, |t| t.mean)),
    ("response, p99", |m| times(&m.response, |t| t.p99)),
    ("response, max", |m| times(&m.response, |t| t.max)),
    ("waiting, mean", |m| times(&m.waiting, |t| t.mean)),
    ("waiting, p99", |m| times(&m.waiting, |t| t.p99)),
    ("waiting, max", |m| times(&m.waiting, |t| t.max)),
    ("switches", |m| Some(Fuel(m.switches).to_string())),
    ("deadline misses", |m| m.deadline_misses.map(|misses| Fuel(misses).to_string())),
    ("fairness", |m| m.fairness.map(|index| format!("{index:.3}"))),
    ("finished", |m| Some(Fuel(m.finished as u64).to_string())),
    ("finished in 1M fuel", |m| Some(format!("{:.3}", m.finished_per_million_fuel))),
];

/// A number of a distribution.
fn times(times: &Option<Times>, get: fn(&Times) -> u64) -> Option<String> {
    times.as_ref().map(|times| Fuel(get(times)).to_string())
}

impl Row {
    /// The policy's name, without its parameters.
    fn name(&self) -> &str {
        self.policy.split(':').next().unwrap_or_default()
    }

    /// A line of the policy's column.
    fn cell(&self, show: fn(&Measured) -> Option<String>) -> String {
        match &self.measured {
            None => "refused".into(),
            Some(measured) => show(measured).unwrap_or_else(|| "-".into()),
        }
    }

    /// What is to be said below the table.
    fn notes(&self) -> String {
        let mut text = String::new();
        if self.name() != self.policy {
            text += &format!("{} is {}\n", self.name(), self.policy);
        }
        for message in &self.refused {
            text += &format!("{}: {}\n", self.name(), output::clean(message));
        }
        if self.measured.is_some() && self.refusals > self.refused.len() {
            let more = output::count((self.refusals - self.refused.len()) as u64, "more task");
            text += &format!("{}: {more} refused\n", self.name());
        }
        if let Some(measured) = self.measured.as_ref().filter(|measured| measured.ended_by != "done") {
            text += &format!("{}: ended by {}\n", self.name(), measured.ended_by);
        }
        text
    }
}

impl Comparison {
    /// The comparison for people: a column for each policy.
    fn table(&self) -> String {
        let header: Vec<&str> = ["in fuel"].into_iter().chain(self.policies.iter().map(Row::name)).collect();
        let line = |(name, show): &Line| {
            let cells = self.policies.iter().map(|row| row.cell(*show));
            [(*name).to_string()].into_iter().chain(cells).collect()
        };
        let numbers: Vec<usize> = (1..=self.policies.len()).collect();
        let mut text = output::table(&header, LINES.iter().map(line), &numbers);
        let tasks = output::count(self.tasks as u64, "task");
        text += &format!("{tasks}, quantum {}, {}\n", Fuel(self.quantum), self.engine);
        self.policies.iter().fold(text, |text, row| text + &row.notes())
    }
}
