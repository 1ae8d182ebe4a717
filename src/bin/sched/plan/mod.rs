//! The plan: all that a run is to do, in one form, wherever it was said.
//!
//! ```text
//! TASK arguments ─► words ─┐
//! the demo ────────────────┼─► Plan ─► job (modules loaded, calls checked) ─► run, compare
//! plan.toml ─► parse ──────┘
//!                └► tree, errors (where in the file, and what is allowed)
//! ```
//!
//! A plan is plain data that can be written as JSON and read back. Paths are as they were found, with the plan's folder before them.
//! Fuel and times are numbers here: of fuel, and of nanoseconds.

mod check;
mod errors;
mod parse;
mod tree;
mod words;

pub(crate) use errors::closest;
pub(crate) use parse::read;
pub(crate) use words::{DIR, VARIABLE, dir, from_words, variable};

use crate::policy::PolicySpec;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What is to be run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Who runs next.
    pub(crate) policy: PolicySpec,
    /// Fuel a turn.
    pub(crate) quantum: u64,
    /// Fuel that each task may use in all, unless it says otherwise.
    pub(crate) fuel: Option<u64>,
    /// Fuel after which the run is stopped.
    pub(crate) run_fuel: Option<u64>,
    /// Time after which the run is stopped.
    pub(crate) run_time_ns: Option<u64>,
    /// Bytes that each task may hold in all its memories and tables.
    pub(crate) max_memory: usize,
    /// Stack of each guest, in bytes.
    pub(crate) max_stack: usize,
    /// The time that slices aim at.
    pub(crate) slice_ns: Option<u64>,
    /// The seed of a run in which time goes by fuel and random numbers by the seed.
    #[serde(default)]
    pub(crate) deterministic: Option<u64>,
    /// What becomes of imports that nothing serves.
    #[serde(default)]
    pub(crate) unknown_imports: Unknown,
    /// What becomes of what tasks print.
    #[serde(default)]
    pub(crate) stdout: Option<Stdout>,
    /// How many tasks may be spawned by tasks.
    #[serde(default)]
    pub(crate) max_spawned: u32,
    /// Whether precompiled modules are trusted. Only a command line says so: what plans and recordings name may come with them.
    #[serde(skip)]
    pub(crate) allow_precompiled: bool,
    /// The frames of the policy `cyclic`, kept under any policy.
    pub(crate) frames: Option<Frames>,
    /// Groups of tasks.
    pub(crate) groups: Vec<GroupPlan>,
    /// Modules, each once.
    pub(crate) modules: Vec<Source>,
    /// What is to be run, in order.
    pub(crate) tasks: Vec<TaskPlan>,
}

/// Where a module comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Source {
    /// Its path.
    pub(crate) path: String,
    /// Whether it is part of this program.
    pub(crate) built_in: bool,
    /// The SHA-256 of its binary form, once it is loaded.
    pub(crate) sha256: Option<String>,
}

/// So much fuel in each period of the virtual clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Replenish {
    /// How much.
    pub(crate) fuel: u64,
    /// How often.
    pub(crate) period: u64,
}

/// A group of tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GroupPlan {
    /// Its name.
    pub(crate) name: String,
    /// Its weight among the groups.
    pub(crate) weight: Option<u32>,
    /// Fuel that its tasks may use in all.
    pub(crate) budget: Option<u64>,
    /// Fuel that its tasks may use in each period.
    pub(crate) replenish: Option<Replenish>,
}

/// What becomes of functions that are imported and that nothing serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unknown {
    /// The module is refused
    #[default]
    Error,
    /// It runs, and a call of one of them traps
    Trap,
    /// It runs, and a call of one of them returns zeros
    Default,
}

/// What becomes of what tasks print.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stdout {
    /// It goes where this program's own output goes, as it is
    Inherit,
    /// The same, a line at a time, with the task's name before each
    Lines,
    /// It is kept, up to 1 MiB a task, and shown in the report
    Capture,
    /// It is thrown away
    Discard,
}

/// What a WASI program finds in its world.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct World {
    /// Its arguments, behind its name.
    pub(crate) argv: Vec<String>,
    /// Its environment.
    pub(crate) env: Vec<(String, String)>,
    /// The folders that it may use.
    pub(crate) dirs: Vec<DirPlan>,
    /// The file that is its standard input.
    pub(crate) stdin: Option<String>,
}

/// A folder that a WASI program may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DirPlan {
    /// Where it is.
    pub(crate) host: String,
    /// What the program knows it by.
    pub(crate) guest: String,
}

/// One task, or several of a kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TaskPlan {
    /// What it is called: as the plan says, or the module's file without folder and ending. Several of one name get numbers.
    pub(crate) name: String,
    /// Its module, by position.
    pub(crate) module: usize,
    /// The export, if one is named.
    pub(crate) entry: Option<String>,
    /// The arguments, as the text format writes them.
    pub(crate) args: Vec<String>,
    /// How many of it there are.
    pub(crate) copies: u32,
    /// Fuel that it may use in all, if that is not what the plan says for all tasks.
    pub(crate) fuel: Option<u64>,
    /// Fuel that it may use in each period.
    pub(crate) replenish: Option<Replenish>,
    /// Its weight.
    pub(crate) weight: Option<u32>,
    /// Its priority.
    pub(crate) priority: Option<u8>,
    /// Fuel from one release to the next.
    pub(crate) period: Option<u64>,
    /// Fuel that it is promised in each period.
    pub(crate) runtime: Option<u64>,
    /// Fuel from a release until the runtime is due.
    pub(crate) deadline: Option<u64>,
    /// Its group, by position.
    pub(crate) group: Option<usize>,
    /// Its own quantum.
    pub(crate) quantum: Option<u64>,
    /// When it can first run, on the virtual clock.
    pub(crate) start: u64,
    /// What becomes of it when something goes wrong.
    pub(crate) health: HealthPlan,
    /// What it finds, if it is a WASI program.
    #[serde(default)]
    pub(crate) world: World,
    /// Whether it is only there to be spawned by others.
    #[serde(default)]
    pub(crate) on_spawn: bool,
    /// Which of those it may spawn, by position among the tasks.
    #[serde(default)]
    pub(crate) spawns: Vec<usize>,
}

/// What becomes of a task when something goes wrong with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct HealthPlan {
    /// When it traps.
    pub(crate) on_trap: Option<Act>,
    /// When its fuel is used up for good.
    pub(crate) on_out_of_fuel: Option<Act>,
    /// When it runs past its window.
    pub(crate) on_overrun: Option<Act>,
    /// When it misses a deadline.
    pub(crate) on_deadline_miss: Option<Act>,
    /// How often it is started again.
    pub(crate) max_restarts: Option<u32>,
    /// What is left of it when it is.
    pub(crate) restart: Option<Restart>,
}

/// What is done about a task.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Act {
    /// Nothing.
    Ignore,
    /// It is started again.
    Restart,
    /// It is ended.
    Stop,
    /// Everything is ended.
    Shutdown,
}

/// What is left of a task that is started again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Restart {
    /// Nothing: a new instance.
    Cold,
    /// Its memory.
    Warm,
}

/// The frames of the policy `cyclic`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Frames {
    /// Whether lengths are fuel or nanoseconds.
    pub(crate) unit: Unit,
    /// What is left free at a window's end.
    pub(crate) guard: u64,
    /// The modes; the first is the one that a run begins with.
    pub(crate) modes: Vec<ModePlan>,
    /// The changes of mode, in order.
    pub(crate) switches: Vec<SwitchPlan>,
}

/// In what windows are measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    /// Fuel of the virtual clock.
    #[default]
    Fuel,
    /// Nanoseconds.
    Time,
}

/// A mode: a frame that is repeated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ModePlan {
    /// Its name.
    pub(crate) name: String,
    /// The length of the frame.
    pub(crate) frame: u64,
    /// Its windows, in the order of their offsets.
    pub(crate) windows: Vec<WindowPlan>,
}

/// A window of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct WindowPlan {
    /// Whose it is, by position among the tasks; nobody's if not.
    pub(crate) task: Option<usize>,
    /// Where in the frame it begins.
    pub(crate) offset: u64,
    /// How long it is.
    pub(crate) length: u64,
}

/// A change of mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SwitchPlan {
    /// How many frames after the start of the run.
    pub(crate) after_frames: u64,
    /// Which mode is next.
    pub(crate) mode: String,
}

impl Plan {
    /// A plan with no tasks, and what holds unless something else is said.
    pub(crate) fn new() -> Plan {
        Plan {
            policy: PolicySpec::default(),
            quantum: 10_000,
            fuel: None,
            run_fuel: None,
            run_time_ns: None,
            max_memory: 256 << 20,
            max_stack: 512 << 10,
            slice_ns: None,
            deterministic: None,
            unknown_imports: Unknown::Error,
            stdout: None,
            max_spawned: 1_000,
            allow_precompiled: false,
            frames: None,
            groups: Vec::new(),
            modules: Vec::new(),
            tasks: Vec::new(),
        }
    }

    /// The demo: two modules that are part of this program.
    pub(crate) fn demo() -> Plan {
        let source = |name: &str| Source { path: format!("wasm/{name}.wat"), built_in: true, sha256: None };
        let task = |name: &str, module, args: &[&str]| TaskPlan {
            name: name.into(),
            module,
            entry: Some("main".into()),
            args: args.iter().map(ToString::to_string).collect(),
            copies: 1,
            ..TaskPlan::default()
        };
        Plan {
            quantum: DEMO_QUANTUM,
            fuel: Some(10_000_000),
            modules: vec![source("fib"), source("main")],
            tasks: vec![task("fib", 0, &["10"]), task("main", 1, &[])],
            ..Plan::new()
        }
    }

    /// How many tasks there are, copies counted.
    pub(crate) fn total(&self) -> u64 {
        self.tasks.iter().map(|task| u64::from(task.copies)).sum()
    }

    /// What it has that goes by the system's clock, though the run is said to be deterministic.
    pub(crate) fn not_deterministic(&self) -> Option<&'static str> {
        self.deterministic.and_then(|_| self.is_in_time())
    }

    /// What it has that goes by the system's clock.
    pub(crate) fn is_in_time(&self) -> Option<&'static str> {
        let in_time = self.policy.name == "cyclic" && self.frames.as_ref().is_some_and(|f| f.unit == Unit::Time);
        match () {
            () if self.run_time_ns.is_some() => Some("a time for the run"),
            () if self.slice_ns.is_some() => Some("a time for slices"),
            () if in_time => Some("windows in time"),
            () => None,
        }
    }

    /// The budget of a task.
    pub(crate) fn budget(&self, task: &TaskPlan) -> Option<u64> {
        task.fuel.or(self.fuel)
    }
}

impl TaskPlan {
    /// What the schedule depends on beside the call, by name; `position` counts where there are windows.
    pub(crate) fn settings(&self, position: usize, windows: bool) -> Vec<(&'static str, String)> {
        let number = |name, value: Option<u64>| value.map(|value| (name, value.to_string()));
        let all = [
            number("task fuel", self.fuel),
            self.replenish.map(|r| ("replenish", format!("{} {}", r.fuel, r.period))),
            number("weight", self.weight.map(u64::from)),
            number("priority", self.priority.map(u64::from)),
            number("period", self.period),
            number("runtime", self.runtime),
            number("deadline", self.deadline),
            number("in group", self.group.map(|group| group as u64)),
            number("task quantum", self.quantum),
            number("start", Some(self.start).filter(|start| *start > 0)),
            number("partition", windows.then_some(position as u64)),
            (self.health != HealthPlan::default()).then(|| ("health", format!("{:?}", self.health))),
            (self.world != World::default()).then(|| ("world", format!("{:?}", self.world))),
            self.on_spawn.then(|| ("on spawn", String::new())),
            (!self.spawns.is_empty()).then(|| ("spawns", format!("{:?}", self.spawns))),
        ];
        all.into_iter().flatten().collect()
    }
}

/// The demo's quantum.
pub(crate) const DEMO_QUANTUM: u64 = 1000;

/// Modules as they are named, each once.
#[derive(Debug, Default)]
struct Modules {
    /// In the order in which they were first named.
    all: Vec<Source>,
    /// Where each is.
    positions: std::collections::HashMap<String, usize>,
}

impl Modules {
    /// The position of the module at a path.
    fn position(&mut self, path: String) -> usize {
        if let Some(&position) = self.positions.get(&path) {
            return position;
        }
        self.positions.insert(path.clone(), self.all.len());
        self.all.push(Source { path, built_in: false, sha256: None });
        self.all.len() - 1
    }
}

/// The file's name without folder and ending.
fn stem(path: &str) -> String {
    let stem = std::path::Path::new(path).file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_survives_json() {
        let mut plan = Plan::demo();
        plan.policy.params.insert("ageing".into(), 1 << 62);
        plan.groups.push(GroupPlan {
            name: "g".into(),
            weight: Some(3),
            budget: Some(1 << 62),
            replenish: Some(Replenish { fuel: 1, period: 2 }),
        });
        let windows = vec![WindowPlan { task: Some(0), offset: 0, length: 5 }];
        let modes = vec![ModePlan { name: "m".into(), frame: 10, windows }];
        plan.frames = Some(Frames { unit: Unit::Time, guard: 1, modes, switches: Vec::new() });
        plan.tasks[0].health.on_trap = Some(Act::Restart);
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan, "{json}");
    }
}
