//! `plan.toml`, read: each key of each table, with what it takes.

use super::check;
use super::errors::{Mistakes, instead};
use super::tree::{self, Found, Keys, Read};
use super::{
    Act, DIR, Frames, GroupPlan, HealthPlan, ModePlan, Modules, Plan, Replenish, Restart, Stdout, SwitchPlan, TaskPlan,
    Unit, Unknown, World, dir, stem,
};
use crate::policy::{self, PolicySpec};
use crate::units::{self, MOST_FUEL, MOST_TASKS};
use anyhow::{Context, Result, anyhow, bail};
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// The largest plan that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// What may be done about a task.
const ACTS: &[(&str, Act)] =
    &[("ignore", Act::Ignore), ("restart", Act::Restart), ("stop", Act::Stop), ("shutdown", Act::Shutdown)];

/// What may be left of a task that is started again.
const RESTARTS: &[(&str, Restart)] = &[("cold", Restart::Cold), ("warm", Restart::Warm)];

/// In what windows may be measured.
const UNITS: &[(&str, Unit)] = &[("fuel", Unit::Fuel), ("time", Unit::Time)];

/// What may become of imports that nothing serves.
const UNKNOWN: &[(&str, Unknown)] =
    &[("error", Unknown::Error), ("trap", Unknown::Trap), ("default", Unknown::Default)];

/// What may become of what tasks print.
const STDOUT: &[(&str, Stdout)] = &[
    ("inherit", Stdout::Inherit),
    ("lines", Stdout::Lines),
    ("capture", Stdout::Capture),
    ("discard", Stdout::Discard),
];

/// What was read, with the places that are still to be looked at together.
#[derive(Debug)]
pub(super) struct Draft {
    /// The plan, but for what names what.
    pub(super) plan: Plan,
    /// For each group, where its name stands.
    pub(super) groups: Vec<Range<usize>>,
    /// For each task, its name if it has one, and its group.
    pub(super) tasks: Vec<TaskPlaces>,
    /// For each mode, where its name stands, and its windows.
    pub(super) modes: Vec<(Range<usize>, Vec<WindowDraft>)>,
    /// For each change of mode, where the mode's name stands.
    pub(super) switches: Vec<Range<usize>>,
}

/// What a task names, and where.
#[derive(Debug)]
pub(super) struct TaskPlaces {
    /// Its own name, if it has one.
    pub(super) name: Option<Range<usize>>,
    /// Its group.
    pub(super) group: Option<Found<String>>,
    /// The tasks that it may spawn.
    pub(super) spawns: Option<Found<Vec<String>>>,
    /// The whole task.
    pub(super) span: Range<usize>,
}

/// A window as it is written.
#[derive(Debug)]
pub(super) struct WindowDraft {
    /// Whose it is; nobody's if not.
    pub(super) task: Option<Found<String>>,
    /// Where it begins.
    pub(super) offset: u64,
    /// How long it is.
    pub(super) length: u64,
    /// Where it stands.
    pub(super) span: Range<usize>,
}

/// Reads a plan.
///
/// An error names all mistakes, each with its place.
pub(crate) fn read(path: &str) -> Result<Plan> {
    let text = load(path)?;
    let mistakes = Mistakes::default();
    let tree = match DeTable::parse(&text) {
        Ok(tree) => tree,
        Err(error) => {
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            mistakes.add(error.span().unwrap_or(0..0), format!("this is not TOML: {message}"));
            bail!(mistakes.show(path, &text));
        }
    };
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let keys = Keys::new("a plan", tree.get_ref(), 0..0, &mistakes);
    let draft = plan(keys, folder, &mistakes);
    let plan = check::check(draft, &mistakes);
    if mistakes.is_empty() { Ok(plan) } else { Err(anyhow!(mistakes.show(path, &text))) }
}

/// The text of a file.
fn load(path: &str) -> Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .with_context(|| path.to_string())?;
    if bytes.len() as u64 > LARGEST {
        bail!("{path}: larger than {LARGEST} bytes, the largest plan that is read");
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = String::from_utf8_lossy(valid).chars().rev().take_while(|c| *c != '\n').count() + 1;
        anyhow!("{path}:{line}:{column}: this is not UTF-8; a plan is a text in TOML")
    })
}

/// The whole file.
fn plan(mut keys: Keys<'_>, folder: &Path, mistakes: &Mistakes) -> Draft {
    let usual = Plan::new();
    let mut modules = Modules::default();
    let plan = Plan {
        quantum: keys.get("quantum", tree::fuel).unwrap_or(usual.quantum),
        fuel: keys.get("fuel", tree::fuel),
        run_fuel: keys.get("run-fuel", tree::fuel),
        run_time_ns: keys.get("run-time", tree::time),
        max_memory: keys.get("max-memory", tree::size).unwrap_or(usual.max_memory),
        max_stack: keys.get("max-stack", tree::stack).unwrap_or(usual.max_stack),
        slice_ns: keys.get("slice", tree::time),
        deterministic: keys.get("deterministic", tree::seed).flatten(),
        unknown_imports: keys.get("unknown-imports", tree::one_of(UNKNOWN)).unwrap_or_default(),
        stdout: keys.get("stdout", tree::one_of(STDOUT)),
        max_spawned: keys.get("max-spawned", tree::whole(0, MOST_TASKS)).map_or(usual.max_spawned, |n| n as u32),
        ..usual
    };
    let mut draft = Draft { plan, groups: Vec::new(), tasks: Vec::new(), modes: Vec::new(), switches: Vec::new() };
    if let Some(keys) = keys.table("policy", "[policy]") {
        policy(keys, &mut draft, mistakes);
    }
    for keys in keys.tables("group", "[[group]]") {
        group(keys, &mut draft);
    }
    if !keys.has("task") {
        mistakes.add(0..0, "there is no [[task]], so there is nothing to run");
    }
    for keys in keys.tables("task", "[[task]]") {
        task(keys, folder, &mut modules, &mut draft);
    }
    draft.plan.modules = modules.all;
    keys.finish();
    draft
}

/// `[policy]`.
fn policy(mut keys: Keys<'_>, draft: &mut Draft, mistakes: &Mistakes) {
    let named = keys.must("name", tree::name);
    let kind = named.as_ref().and_then(|name| policy::kind(&name.value));
    if let (Some(name), None) = (&named, kind) {
        mistakes.add(name.span.clone(), policy::unknown(&name.value));
    }
    let mut spec = PolicySpec { name: kind.map_or("round-robin", |kind| kind.name).into(), ..PolicySpec::default() };
    for other in policy::KINDS.iter().flat_map(|kind| kind.params) {
        let Some(kind) = kind.filter(|kind| kind.param(other.name).is_none()) else {
            if let Some(value) = keys.get(other.name, tree::whole(other.least, other.most)) {
                spec.params.insert(other.name.into(), value);
            }
            continue;
        };
        // It is a parameter, but another policy's.
        if let Some(found) = keys.find(other.name, |_| Ok(())) {
            mistakes.add(found.span, format!("{} has no `{}`; {}", kind.name, other.name, kind.has()));
        }
    }
    draft.plan.policy = spec;
    frames(&mut keys, draft);
    keys.finish();
}

/// What `[policy]` says of frames.
fn frames(keys: &mut Keys<'_>, draft: &mut Draft) {
    let unit = keys.get("unit", tree::one_of(UNITS)).unwrap_or_default();
    let guard = keys.get("guard", length(unit, 0)).unwrap_or(0);
    let mut frames = Frames { unit, guard, modes: Vec::new(), switches: Vec::new() };
    for mut keys in keys.tables("mode", "[[policy.mode]]") {
        let name = keys.must("name", tree::name);
        let frame = keys.must("frame", length(unit, 1));
        keys.needs("windows");
        let windows = keys.tables("windows", "windows").into_iter().filter_map(|keys| window(keys, unit)).collect();
        if let (Some(name), Some(frame)) = (name, frame) {
            frames.modes.push(ModePlan { name: name.value, frame: frame.value, windows: Vec::new() });
            draft.modes.push((name.span, windows));
        }
        keys.finish();
    }
    for mut keys in keys.tables("switch", "[[policy.switch]]") {
        let after_frames = keys.must("after-frames", tree::whole(1, MOST_FUEL));
        if let (Some(after), Some(mode)) = (after_frames, keys.must("mode", tree::name)) {
            frames.switches.push(SwitchPlan { after_frames: after.value, mode: mode.value });
            draft.switches.push(mode.span);
        }
        keys.finish();
    }
    if !frames.modes.is_empty() || !frames.switches.is_empty() {
        draft.plan.frames = Some(frames);
    }
}

/// A length in a unit.
fn length(unit: Unit, least: u64) -> impl Fn(&DeValue<'_>) -> Read<u64> {
    move |value| match unit {
        Unit::Fuel => tree::whole(least, MOST_FUEL)(value),
        Unit::Time
            if least == 0 && (tree::whole(0, 0)(value).is_ok() || value.as_str().is_some_and(units::no_time)) =>
        {
            Ok(0)
        }
        Unit::Time => tree::time(value),
    }
}

/// A window of a mode.
fn window(mut keys: Keys<'_>, unit: Unit) -> Option<WindowDraft> {
    let idle = keys.get("idle", |value| value.as_bool().filter(|idle| *idle).ok_or_else(|| "true".into()));
    let task = if idle.is_some() { keys.find("task", tree::name) } else { keys.must("task", tree::name) };
    let (offset, length) = (keys.must("offset", length(unit, 0)), keys.must("length", length(unit, 1)));
    let span = keys.span.clone();
    keys.finish();
    Some(WindowDraft { task, offset: offset?.value, length: length?.value, span })
}

/// `[[group]]`.
fn group(mut keys: Keys<'_>, draft: &mut Draft) {
    let name = keys.must("name", tree::name);
    let group = GroupPlan {
        name: name.as_ref().map_or(String::new(), |name| name.value.clone()),
        weight: keys.get("weight", tree::positive),
        budget: keys.get("budget", tree::fuel),
        replenish: replenish(&mut keys),
    };
    draft.groups.push(name.map_or(keys.span.clone(), |name| name.span));
    draft.plan.groups.push(group);
    keys.finish();
}

/// `replenish = { fuel = N, period = N }`.
fn replenish(keys: &mut Keys<'_>) -> Option<Replenish> {
    let mut keys = keys.table("replenish", "replenish")?;
    let (fuel, period) = (keys.must("fuel", tree::fuel), keys.must("period", tree::fuel));
    keys.finish();
    Some(Replenish { fuel: fuel?.value, period: period?.value })
}

/// `[[task]]`.
fn task(mut keys: Keys<'_>, folder: &Path, modules: &mut Modules, draft: &mut Draft) {
    let name = keys.find("name", tree::name);
    let module = keys.must("module", tree::name).map(|module| module.value).unwrap_or_default();
    let task = TaskPlan {
        name: name.as_ref().map_or_else(|| stem(&module), |name| name.value.clone()),
        module: modules.position(folder.join(&module).to_string_lossy().into_owned()),
        entry: keys.get("entry", tree::name),
        args: keys.get("args", tree::args).unwrap_or_default(),
        copies: keys.get("copies", tree::whole(1, MOST_TASKS)).unwrap_or(1) as u32,
        fuel: keys.get("fuel", tree::fuel),
        replenish: replenish(&mut keys),
        weight: keys.get("weight", tree::positive),
        priority: keys.get("priority", tree::whole(0, 255)).map(|n| n as u8),
        period: keys.get("period", tree::fuel),
        runtime: keys.get("runtime", tree::fuel),
        deadline: keys.get("deadline", tree::fuel),
        group: None,
        quantum: keys.get("quantum", tree::fuel),
        start: keys.get("start", tree::whole(0, MOST_FUEL)).unwrap_or(0),
        health: health(&mut keys),
        world: world(&mut keys, folder),
        on_spawn: keys.get("on-spawn", tree::yes).unwrap_or(false),
        spawns: Vec::new(),
    };
    let (group, spawns) = (keys.find("group", tree::name), keys.find("spawns", tree::texts));
    draft.plan.tasks.push(task);
    draft.tasks.push(TaskPlaces { name: name.map(|name| name.span), group, spawns, span: keys.span.clone() });
    keys.finish();
}

/// What a `[[task]]` says of the world of a WASI program. Paths are from the plan's folder.
fn world(keys: &mut Keys<'_>, folder: &Path) -> World {
    let from_here = |path: String| folder.join(path).to_string_lossy().into_owned();
    let (argv, env) = (keys.get("argv", tree::texts), keys.get("env", tree::variables));
    let dirs = keys.get("dirs", |value| {
        let dirs = tree::texts(value).ok().and_then(|texts| texts.iter().map(|text| dir(text)).collect());
        dirs.ok_or_else(|| format!("a list of texts, each {DIR}"))
    });
    let mut dirs: Vec<_> = dirs.unwrap_or_default();
    dirs.iter_mut().for_each(|dir| dir.host = from_here(std::mem::take(&mut dir.host)));
    World {
        argv: argv.unwrap_or_default(),
        env: env.unwrap_or_default(),
        dirs,
        stdin: keys.get("stdin", tree::name).map(from_here),
    }
}

/// What a `[[task]]` says about what goes wrong.
fn health(keys: &mut Keys<'_>) -> HealthPlan {
    HealthPlan {
        on_trap: keys.get("on-trap", tree::one_of(ACTS)),
        on_out_of_fuel: keys.get("on-out-of-fuel", tree::one_of(ACTS)),
        on_overrun: keys.get("on-overrun", tree::one_of(ACTS)),
        on_deadline_miss: keys.get("on-deadline-miss", tree::one_of(ACTS)),
        max_restarts: keys.get("max-restarts", tree::whole(0, u64::from(u32::MAX))).map(|n| n as u32),
        restart: keys.get("restart", tree::one_of(RESTARTS)),
    }
}

/// The end of a message about a name that nothing has.
pub(super) fn no_such(what: &str, name: &str, names: &[&str]) -> String {
    // A plan may have thousands of names; a message need not.
    let some = if names.len() <= 12 { names } else { &[] };
    let hint = match super::closest(name, names.iter().copied()) {
        Some(close) if some.is_empty() => format!("did you mean `{close}`?"),
        None if some.is_empty() && !names.is_empty() => format!("there are {} of other names", names.len()),
        _ => instead(name, some),
    };
    format!("there is no {what} {}; {hint}", super::errors::quoted(name))
}
