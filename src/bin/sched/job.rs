//! What is to run, made ready: a plan's modules loaded once each, on all cores, and its calls checked.

use crate::plan::{Plan, Source, TaskPlan};
use crate::progress::Compiling;
use crate::trusted::load_trusted;
use crate::world::{self, Guest, is_wasi};
use fuelsched::{Engine, ErrorKind, Linker, Module, Program, Value};
use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// A task to be, or why it cannot be.
#[derive(Debug)]
pub(crate) struct Job {
    /// What it is called in reports: the plan's name for it, and a number if there are several.
    pub(crate) name: String,
    /// Its place in the plan.
    pub(crate) task: usize,
    /// The module's path.
    pub(crate) module: String,
    /// The export.
    pub(crate) entry: String,
    /// The call, or what is wrong.
    pub(crate) call: Result<Call, Refusal>,
}

/// A call that can be made.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The module, linked.
    pub(crate) program: Program<Guest>,
    /// The arguments.
    pub(crate) args: Vec<Value>,
}

/// Why a call cannot be made.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// The message.
    pub(crate) message: String,
    /// Whether it was what the user typed behind the path that is wrong, and not the module.
    pub(crate) mistyped: bool,
}

/// The call that a task is to be, or what is wrong, and the export that it is of.
fn resolve(
    task: &TaskPlan,
    module: &Result<Module, Refusal>,
    linker: &Linker<Guest>,
) -> (String, Result<Call, Refusal>) {
    let named = || task.entry.clone().unwrap_or_default();
    let module = match module {
        Ok(module) => module,
        Err(refusal) => return (named(), Err(refusal.clone())),
    };
    let entry = task.entry.clone().unwrap_or_else(|| default_export(module).into());
    let call = || {
        let program = linker.link(module)?;
        // What is spawned by another task may get its arguments from that.
        let given = !(task.on_spawn && task.args.is_empty());
        let signature = module.signature(&entry)?;
        let args = if given { signature.parse_args(&task.args)? } else { Vec::new() };
        Ok(Call { program, args })
    };
    let call = call().map_err(refusal);
    (entry, call)
}

/// Why a call cannot be made, and whose fault that is.
fn refusal(error: fuelsched::Error) -> Refusal {
    let mistyped = matches!(
        error.kind(),
        ErrorKind::NoSuchExport { .. } | ErrorKind::NotAFunction { .. } | ErrorKind::Signature { .. }
    );
    Refusal { message: error.to_string(), mistyped }
}

/// The export that is called when none is named.
fn default_export(module: &Module) -> &'static str {
    let wasi = || module.imports().iter().any(|import| is_wasi(&import.module));
    default_entry(|name| module.has_function(name), wasi)
}

/// The export that is called when none is named, of a module that exports these functions, and imports WASI or not.
pub(crate) fn default_entry(has: impl Fn(&str) -> bool, wasi: impl FnOnce() -> bool) -> &'static str {
    if has("_start") && (!has("main") || wasi()) { "_start" } else { "main" }
}

/// The tasks of a plan, copies counted, in which the modules' hashes are entered. What is wrong with one of them is kept with it, and the
/// others are not concerned.
///
/// An error means that none of them can run.
pub(crate) fn load(engine: &Engine, plan: &mut Plan) -> anyhow::Result<Vec<Job>> {
    let linker = world::linker(engine, plan.unknown_imports)?;
    let modules = compile(engine, &plan.modules, plan.allow_precompiled);
    for (source, module) in plan.modules.iter_mut().zip(&modules) {
        source.sha256 = module.as_ref().ok().map(|module| module.sha256().into());
    }
    let mut names = names(plan).into_iter();
    let mut jobs = Vec::with_capacity(plan.total() as usize);
    for (position, task) in plan.tasks.iter().enumerate() {
        let (entry, call) = resolve(task, &modules[task.module], &linker);
        let module = &plan.modules[task.module].path;
        for _ in 0..task.copies {
            jobs.push(Job {
                name: names.next().unwrap_or_default(),
                task: position,
                module: module.clone(),
                entry: entry.clone(),
                call: call.clone(),
            });
        }
    }
    Ok(jobs)
}

/// The text of a module that is part of this program.
fn built_in(path: &str) -> &'static str {
    match path {
        "wasm/fib.wat" => include_str!("../../../wasm/fib.wat"),
        _ => include_str!("../../../wasm/main.wat"),
    }
}

/// The names of the jobs of a plan: those of its tasks, with numbers where several have one: `fib[0]`, `fib[1]`.
pub(crate) fn names(plan: &Plan) -> Vec<String> {
    let tasks = plan.tasks.iter();
    let mut names: Vec<String> =
        tasks.flat_map(|task| std::iter::repeat_n(&task.name, task.copies as usize)).cloned().collect();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for name in &names {
        *seen.entry(name.clone()).or_default() += 1;
    }
    seen.retain(|_, count| *count > 1);
    seen.values_mut().for_each(|count| *count = 0);
    for name in &mut names {
        if let Some(number) = seen.get_mut(name) {
            *name = format!("{name}[{number}]");
            *number += 1;
        }
    }
    names
}

/// Loads modules, as many at a time as there are cores.
fn compile(engine: &Engine, sources: &[Source], trusting: bool) -> Vec<Result<Module, Refusal>> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(sources.len());
    let mut progress = Compiling::new(sources.len());
    let queue = Mutex::new(sources.iter().enumerate());
    let (sender, loaded) = channel();
    let all = thread::scope(|scope| {
        for _ in 0..threads {
            let (queue, sender) = (&queue, sender.clone());
            scope.spawn(move || compile_from(engine, queue, trusting, &sender));
        }
        drop(sender);
        progress.collect(&loaded)
    });
    // In the order of their positions, each of which was sent once.
    all.into_values().collect()
}

/// Loads a module, by its content: compiled, or precompiled and trusted.
fn from_file(engine: &Engine, path: &str, trusting: bool) -> fuelsched::Result<Module> {
    match Module::from_file(engine, path) {
        Err(error) if trusting && matches!(error.kind(), ErrorKind::Precompiled { .. }) => load_trusted(engine, path),
        loaded => loaded,
    }
}

/// Loads modules until the queue is empty.
fn compile_from<'a>(
    engine: &Engine,
    queue: &Mutex<impl Iterator<Item = (usize, &'a Source)>>,
    trusting: bool,
    loaded: &Sender<(usize, Result<Module, Refusal>)>,
) {
    let next = || queue.lock().ok()?.next();
    while let Some((position, source)) = next() {
        let module = match source.built_in {
            true => Module::from_bytes(engine, &source.path, built_in(&source.path)),
            false => from_file(engine, &source.path, trusting),
        };
        if loaded.send((position, module.map_err(refusal))).is_err() {
            return;
        }
    }
}
