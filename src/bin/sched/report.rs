//! What became of a run: as a table for people, and as the JSON object that `docs/json.md` describes.

use crate::args::Format;
use crate::job::Job;
use crate::output;
use crate::plan::{Plan, Unit};
use crate::run::engine_name;
use crate::trace::Aside;
use crate::world::Printed;
use anyhow::Result;
use fuelsched::executor::Totals;
use fuelsched::supervisor::Incidents;
use fuelsched::trace::Ended;
use fuelsched::{Fuel, Outcome};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The exit code of an interrupted run.
pub(crate) const INTERRUPTED: u8 = 130;

/// The version of the JSON form. Fields may be added within a version.
const SCHEMA: u32 = 1;

/// Why a run was over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EndedBy {
    /// Every task has ended.
    Done,
    /// The fuel of the run is spent.
    RunFuel,
    /// The time of the run is over.
    RunTime,
    /// Somebody interrupted it.
    Interrupt,
    /// A task with a health action of `shutdown` had an incident: which, and what.
    Shutdown(String),
    /// It was one worker's part, and a task of another shut the run down.
    Halted,
    /// A replay came to the end of its recording.
    Replay,
    /// A replay did not go as it was recorded: where, and how.
    Divergence(String),
}

impl EndedBy {
    /// The word for it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            EndedBy::Done => "done",
            EndedBy::RunFuel => "run-fuel",
            EndedBy::RunTime => "run-time",
            EndedBy::Interrupt => "interrupt",
            EndedBy::Shutdown(_) | EndedBy::Halted => "shutdown",
            EndedBy::Replay => "replay",
            EndedBy::Divergence(_) => "divergence",
        }
    }
}

/// A whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The version of this form.
    schema: u32,
    /// What ran the guests.
    engine: String,
    /// Who ran next.
    policy: String,
    /// The policy's parameters, where they are not the usual ones.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    policy_parameters: BTreeMap<String, u64>,
    /// The policy as it is written on a command line.
    #[serde(skip)]
    written: String,
    /// Fuel a turn.
    quantum: u64,
    /// Threads that ran guests.
    workers: usize,
    /// What each of several did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    by_worker: Vec<WorkerReport>,
    /// The tasks, in the order of the command line.
    tasks: Vec<TaskReport>,
    /// Sums.
    totals: Sums,
    /// Why the run was over.
    ended_by: &'static str,
    /// Which task shut the run down, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    shutdown: Option<String>,
    /// What did not go as it was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    divergence: Option<String>,
    /// The digest of the schedule.
    digest: String,
    /// Whether the same command would give the same digest.
    reproducible: bool,
    /// Why not.
    reasons: Vec<&'static str>,
}

/// What one of several workers did.
#[derive(Debug, Serialize)]
pub(crate) struct WorkerReport {
    /// Tasks spawned there, those of tasks and those that were started again included.
    pub(crate) tasks: u64,
    /// Context switches.
    pub(crate) switches: u64,
    /// Slices.
    pub(crate) slices: u64,
    /// Fuel used.
    pub(crate) fuel: u64,
    /// The digest of its schedule.
    pub(crate) digest: String,
}

/// One task.
#[derive(Debug, Serialize)]
pub(crate) struct TaskReport {
    /// Its number on the command line, copies counted, from 0.
    id: usize,
    /// The worker that ran it, if there were several.
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<usize>,
    /// Its name.
    name: String,
    /// The module's path.
    module: String,
    /// The export that was called.
    entry: String,
    /// How it ended.
    outcome: &'static str,
    /// What it returned.
    values: Vec<String>,
    /// What went wrong.
    error: Option<String>,
    /// What it exited with.
    exit_code: Option<u8>,
    /// What it used.
    fuel: FuelReport,
    /// Its slices.
    slices: u64,
    /// Those that ended because their fuel ran out.
    preempted: u64,
    /// Those that it gave away.
    yielded: u64,
    /// Those that ended in waiting.
    blocked: u64,
    /// The most fuel that one slice used past its grant.
    max_overshoot: u64,
    /// Nanoseconds that it ran, if they were measured.
    cpu_ns: Option<u64>,
    /// What it printed, if that was captured.
    stdout: Option<String>,
    /// What it printed to standard error, if that was captured.
    stderr: Option<String>,
    /// How many bytes it printed that there was no room for.
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dropped: Option<u64>,
    /// Whether a task spawned it.
    #[serde(skip_serializing_if = "Option::is_none")]
    spawned: Option<bool>,
    /// The virtual clock when it could first run.
    #[serde(skip_serializing_if = "Option::is_none")]
    released: Option<u64>,
    /// The virtual clock when it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<u64>,
    /// Its weight, if the plan says one.
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u32>,
    /// Its priority, if the plan says one.
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u8>,
    /// Its group, if it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// How often it was started again, where somebody looks after the tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    restarts: Option<u32>,
    /// How often it ran past its window.
    #[serde(skip_serializing_if = "Option::is_none")]
    overruns: Option<u64>,
    /// How many of its periods it missed, where it declares a period and a runtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline_misses: Option<u64>,
}

/// What a task used.
#[derive(Debug, Serialize)]
struct FuelReport {
    /// Fuel used.
    used: u64,
    /// Fuel that it could use.
    budget: Option<u64>,
    /// Whether `used` is exact, or a lower bound.
    exact: bool,
}

/// Sums over all tasks.
#[derive(Debug, Serialize)]
struct Sums {
    /// Context switches.
    switches: u64,
    /// Slices.
    slices: u64,
    /// Fuel used.
    fuel: u64,
    /// From the first slice to the last, in nanoseconds.
    wall_ns: u64,
}

impl TaskReport {
    /// A job of which nothing is known yet, or one of its kind that was spawned by a task, which has a name of its own.
    pub(crate) fn new(id: usize, job: &Job, name: Option<String>, plan: &Plan) -> TaskReport {
        let task = &plan.tasks[job.task];
        TaskReport {
            id,
            worker: None,
            spawned: name.is_some().then_some(true),
            name: name.unwrap_or_else(|| job.name.clone()),
            module: job.module.clone(),
            entry: job.entry.clone(),
            outcome: "failed",
            values: Vec::new(),
            error: None,
            exit_code: None,
            fuel: FuelReport { used: 0, budget: plan.budget(task), exact: true },
            slices: 0,
            preempted: 0,
            yielded: 0,
            blocked: 0,
            max_overshoot: 0,
            cpu_ns: None,
            stdout: None,
            stderr: None,
            output_dropped: None,
            released: None,
            ended_at: None,
            weight: task.weight,
            priority: task.priority,
            group: task.group.map(|group| plan.groups[group].name.clone()),
            restarts: None,
            overruns: None,
            deadline_misses: None,
        }
    }

    /// It was run by this worker of several. Those that tasks spawned get their ids here, from `next` on: no worker knows of the others'.
    pub(crate) fn by_worker(mut self, worker: usize, next: Option<usize>) -> TaskReport {
        self.worker = Some(worker);
        self.id = next.unwrap_or(self.id);
        self
    }

    /// It could not be run.
    pub(crate) fn failed(mut self, message: String) -> TaskReport {
        self.error = Some(message);
        self
    }

    /// What happened to it over all its incarnations.
    pub(crate) fn lived(mut self, counted: Option<(u32, Incidents)>, deadline_misses: Option<u64>) -> TaskReport {
        if let Some((restarts, incidents)) = counted {
            self.restarts = Some(restarts);
            self.overruns = Some(incidents.overruns);
        }
        self.deadline_misses = deadline_misses;
        self
    }

    /// What it printed, if that was kept.
    pub(crate) fn printed(mut self, printed: Option<Printed>) -> TaskReport {
        if let Some(Printed { stdout, stderr, dropped }) = printed {
            self.stdout = Some(stdout);
            self.stderr = Some(stderr);
            self.output_dropped = Some(dropped).filter(|dropped| *dropped > 0);
        }
        self
    }

    /// It ran and ended.
    pub(crate) fn ended(mut self, ended: &Ended, cpu_ns: Option<u64>) -> TaskReport {
        let ledger = &ended.ledger;
        self.outcome = ended.outcome.name();
        self.values = ended.outcome.values().unwrap_or_default().iter().map(ToString::to_string).collect();
        self.error = match &ended.outcome {
            Outcome::Trapped(trap) => Some(trap.to_string()),
            Outcome::Failed(error) => Some(error.to_string()),
            Outcome::Deadlocked(deadlock) => Some(deadlock.to_string()),
            _ => None,
        };
        self.exit_code = match ended.outcome {
            Outcome::Exited(code) => Some(code),
            _ => None,
        };
        self.fuel.used = ledger.used.0;
        self.fuel.exact = ledger.exact;
        self.slices = ledger.slices;
        self.preempted = ledger.preempted;
        self.yielded = ledger.yielded;
        self.blocked = ledger.blocked;
        self.max_overshoot = ledger.max_overshoot.0;
        self.cpu_ns = cpu_ns;
        self.released = Some(ended.released.0);
        self.ended_at = Some(ended.at.0);
        self
    }

    /// Whether it did what it was asked, or was stopped by a limit that was asked for.
    fn is_fine(&self) -> bool {
        match self.outcome {
            "returned" | "stopped" => true,
            "exited" => self.exit_code == Some(0),
            _ => false,
        }
    }

    /// The row of the table.
    fn row(&self, several: bool, timing: bool) -> Vec<String> {
        let approximate = if self.fuel.exact { "" } else { "≥ " };
        let result = match &self.error {
            // The whole of it is on standard error.
            Some(error) => error.lines().next().unwrap_or_default().into(),
            None => self.exit_code.map_or_else(|| self.values.join(" "), |code| code.to_string()),
        };
        let mut row = vec![
            self.name.clone(),
            self.outcome.into(),
            result,
            format!("{approximate}{}", Fuel(self.fuel.used)),
            Fuel(self.slices).to_string(),
            Fuel(self.max_overshoot).to_string(),
        ];
        if several {
            row.insert(1, self.worker.map_or_else(|| "-".into(), |worker| worker.to_string()));
        }
        if timing {
            row.push(self.cpu_ns.map_or_else(|| "-".into(), output::nanos));
        }
        row
    }
}

impl Report {
    /// The report of a run.
    pub(crate) fn new(
        tasks: Vec<TaskReport>,
        plan: &Plan,
        ended_by: EndedBy,
        totals: Totals,
        wall: Duration,
        digest: String,
        from_outside: &[&'static str],
    ) -> Report {
        let mut reasons = match ended_by {
            EndedBy::Done | EndedBy::RunFuel | EndedBy::Shutdown(_) | EndedBy::Replay | EndedBy::Divergence(_) => {
                vec![]
            }
            EndedBy::Halted => vec!["a shutdown stopped other workers where they were"],
            EndedBy::RunTime => vec!["the run was cut by --run-time"],
            EndedBy::Interrupt => vec!["the run was interrupted"],
        };
        // What a recording says is the same again, wherever it came from.
        let replayed = matches!(ended_by, EndedBy::Replay | EndedBy::Divergence(_));
        let in_time = plan.frames.as_ref().is_some_and(|frames| frames.unit == Unit::Time);
        if plan.policy.name == "cyclic" && in_time && !replayed {
            reasons.push("the windows are measured in time");
        }
        if plan.slice_ns.is_some() && !replayed {
            reasons.push("slices were aimed at a time");
        }
        if !replayed {
            reasons.extend(from_outside);
        }
        let name = ended_by.name();
        let (shutdown, divergence) = match ended_by {
            EndedBy::Shutdown(who) => (Some(who), None),
            EndedBy::Divergence(what) => (None, Some(what)),
            _ => (None, None),
        };
        Report {
            schema: SCHEMA,
            engine: engine_name(),
            policy: plan.policy.name.clone(),
            policy_parameters: plan.policy.params.clone(),
            written: plan.policy.written(),
            quantum: plan.quantum,
            workers: 1,
            by_worker: Vec::new(),
            tasks,
            totals: Sums {
                switches: totals.switches,
                slices: totals.slices,
                fuel: totals.fuel.0,
                wall_ns: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX),
            },
            ended_by: name,
            shutdown,
            divergence,
            digest,
            reproducible: reasons.is_empty(),
            reasons,
        }
    }

    /// The report of a run by several workers.
    pub(crate) fn of_workers(mut self, by_worker: Vec<WorkerReport>) -> Report {
        self.workers = by_worker.len();
        self.by_worker = by_worker;
        self
    }

    /// What a page about the run says of it beside what happened.
    pub(crate) fn aside(&self) -> Aside {
        let streams = |task: &TaskReport| {
            let both = [("stdout", task.stdout.clone()), ("stderr", task.stderr.clone())];
            both.map(|(stream, printed)| (task.name.clone(), stream, printed.unwrap_or_default()))
        };
        Aside {
            reasons: self.reasons.iter().map(ToString::to_string).collect(),
            printed: self.tasks.iter().flat_map(streams).filter(|(_, _, printed)| !printed.is_empty()).collect(),
        }
    }

    /// The exit code that the run deserves.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.ended_by {
            "interrupt" => INTERRUPTED,
            "shutdown" | "divergence" => 1,
            _ => u8::from(!self.tasks.iter().all(TaskReport::is_fine)),
        }
    }

    /// The report in a form.
    pub(crate) fn render(&self, format: Format) -> Result<String> {
        match format {
            Format::Json => Ok(serde_json::to_string_pretty(self)? + "\n"),
            Format::Human => Ok(self.table() + &self.captured() + &self.summary()),
        }
    }

    /// A row for each task.
    fn table(&self) -> String {
        let timing = self.tasks.iter().any(|task| task.cpu_ns.is_some());
        let several = !self.by_worker.is_empty();
        let mut header = vec!["task", "outcome", "result", "fuel", "slices", "overshoot"];
        if several {
            header.insert(1, "worker");
        }
        if timing {
            header.push("time");
        }
        let rows = self.tasks.iter().map(|task| task.row(several, timing));
        let numbers: Vec<usize> = (header.len() - 3 - usize::from(timing)..header.len()).collect();
        output::table(&header, rows, &numbers) + &self.workers_table()
    }

    /// A row for each worker, if there are several.
    fn workers_table(&self) -> String {
        let row = |(worker, done): (usize, &WorkerReport)| {
            vec![
                worker.to_string(),
                Fuel(done.tasks).to_string(),
                Fuel(done.fuel).to_string(),
                Fuel(done.slices).to_string(),
                Fuel(done.switches).to_string(),
                done.digest[..16].to_string(),
            ]
        };
        if self.by_worker.is_empty() {
            return String::new();
        }
        let header = ["worker", "tasks", "fuel", "slices", "switches", "digest"];
        format!("\n{}", output::table(&header, self.by_worker.iter().enumerate().map(row), &[1, 2, 3, 4]))
    }

    /// What tasks printed, where that was kept.
    fn captured(&self) -> String {
        let mut text = String::new();
        for task in &self.tasks {
            for (stream, printed) in [("stdout", &task.stdout), ("stderr", &task.stderr)] {
                if let Some(printed) = printed.as_ref().filter(|printed| !printed.is_empty()) {
                    text += &format!("-- {} of {}\n{}", stream, task.name, output::clean(printed));
                    text += if printed.ends_with('\n') { "" } else { "\n" };
                }
            }
        }
        text
    }

    /// What all tasks come to, and how to compare the run with another.
    fn summary(&self) -> String {
        let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
        for task in &self.tasks {
            *outcomes.entry(task.outcome).or_default() += 1;
        }
        let outcomes: Vec<String> = outcomes.iter().map(|(name, count)| format!("{count} {name}")).collect();
        let Sums { switches, slices, fuel, wall_ns } = self.totals;
        let mut text = format!(
            "{}; {} fuel in {}, {}, {}\n{}, quantum {}, {}; digest {}\n",
            outcomes.join(", "),
            Fuel(fuel),
            output::count(slices, "slice"),
            output::count(switches, "context switch"),
            output::nanos(wall_ns),
            self.written,
            Fuel(self.quantum),
            self.engine,
            &self.digest[..16],
        );
        if let Some(who) = &self.shutdown {
            text += &format!("shut down by {who}\n");
        }
        if let Some(what) = &self.divergence {
            text += &format!("not as it was recorded: {what}\n");
        }
        for reason in &self.reasons {
            text += &format!("not reproducible: {reason}\n");
        }
        text
    }
}
