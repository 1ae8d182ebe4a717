//! What is to run: the TASK arguments read, their modules loaded once each, on all cores, and their calls checked.

use crate::progress::Compiling;
use anyhow::Result;
use fuelsched::{Engine, ErrorKind, Limits, Module, Program, Value};
use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// A task to be, or why it cannot be.
#[derive(Debug)]
pub(crate) struct Job {
    /// What it is called in reports: the file's stem, and a number if there are several.
    pub(crate) name: String,
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
    pub(crate) program: Program,
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

/// A TASK argument, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Spec {
    /// The module's path.
    path: String,
    /// The export, if one is named.
    export: Option<String>,
    /// The arguments.
    args: Vec<String>,
}

impl Spec {
    /// Takes a TASK apart: `PATH[:EXPORT][=ARG,ARG…]`, where a file whose name is all of it comes first.
    fn parse(task: &str, exists: impl Fn(&str) -> bool) -> Spec {
        let bare = |path: &str| Spec { path: path.into(), export: None, args: Vec::new() };
        if exists(task) {
            return bare(task);
        }
        let file = task.rfind('/').map_or(0, |slash| slash + 1);
        let (call, args) = match task[file..].find('=') {
            Some(equals) => (&task[..file + equals], &task[file + equals + 1..]),
            None => (task, ""),
        };
        let mut spec = match call.rsplit_once(':') {
            Some((path, export)) if !exists(call) && !export.contains('/') => {
                Spec { export: Some(export.into()), ..bare(path) }
            }
            _ => bare(call),
        };
        if !args.is_empty() {
            spec.args = args.split(',').map(String::from).collect();
        }
        spec
    }

    /// The call of it, or what is wrong.
    fn resolve(&self, module: &Result<Module, Refusal>) -> (String, Result<Call, Refusal>) {
        let named = || self.export.clone().unwrap_or_default();
        let module = match module {
            Ok(module) => module,
            Err(refusal) => return (named(), Err(refusal.clone())),
        };
        let entry = self.export.clone().unwrap_or_else(|| default_export(module).into());
        let call = || {
            let program = module.program()?;
            let args = module.signature(&entry)?.parse_args(&self.args)?;
            Ok(Call { program, args })
        };
        let call = call().map_err(refusal);
        (entry, call)
    }
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
    let wasi = |name: &str| name == "wasi_snapshot_preview1" || name == "wasi_unstable";
    let starts = module.has_function("_start");
    if starts && (!module.has_function("main") || module.imports().iter().any(|import| wasi(&import.module))) {
        "_start"
    } else {
        "main"
    }
}

/// The tasks of `sched run`. What is wrong with one of them is kept with it, and the others are not concerned.
pub(crate) fn load(engine: &Engine, tasks: &[String], copies: u32) -> Vec<Job> {
    let specs: Vec<Spec> = tasks.iter().map(|task| Spec::parse(task, |path| Path::new(path).is_file())).collect();
    let modules = compile(engine, specs.iter().map(|spec| spec.path.as_str()));
    let mut jobs = Vec::with_capacity(specs.len() * copies as usize);
    for spec in &specs {
        let (entry, call) = spec.resolve(&modules[spec.path.as_str()]);
        for _ in 0..copies {
            jobs.push(Job {
                name: stem(&spec.path),
                module: spec.path.clone(),
                entry: entry.clone(),
                call: call.clone(),
            });
        }
    }
    number_names(&mut jobs);
    jobs
}

/// The tasks of the demo, whose modules are part of this program.
pub(crate) fn demo(engine: &Engine) -> Result<Vec<Job>> {
    let modules = [
        ("fib", include_str!("../../../wasm/fib.wat"), vec![Value::I32(10)]),
        ("main", include_str!("../../../wasm/main.wat"), vec![]),
    ];
    let job = |(name, text, args): (&str, &str, Vec<Value>)| {
        let path = format!("wasm/{name}.wat");
        let program = Module::from_bytes(engine, &path, text)?.program()?.limits(Limits::default());
        Ok(Job { name: name.into(), module: path, entry: "main".into(), call: Ok(Call { program, args }) })
    };
    modules.into_iter().map(job).collect()
}

/// The file's name without folder and ending.
fn stem(path: &str) -> String {
    let stem = Path::new(path).file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

/// Gives jobs of one name numbers: `fib[0]`, `fib[1]`.
fn number_names(jobs: &mut [Job]) {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for job in jobs.iter() {
        *seen.entry(job.name.clone()).or_default() += 1;
    }
    seen.retain(|_, count| *count > 1);
    seen.values_mut().for_each(|count| *count = 0);
    for job in jobs {
        if let Some(number) = seen.get_mut(&job.name) {
            job.name = format!("{}[{number}]", job.name);
            *number += 1;
        }
    }
}

/// Loads each path once, as many at a time as there are cores.
fn compile<'a>(engine: &Engine, paths: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, Result<Module, Refusal>> {
    let mut paths: Vec<&str> = paths.collect();
    paths.sort_unstable();
    paths.dedup();
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(paths.len());
    let mut progress = Compiling::new(paths.len());
    let queue = Mutex::new(paths.into_iter());
    let (sender, loaded) = channel();
    thread::scope(|scope| {
        for _ in 0..threads {
            let (queue, sender) = (&queue, sender.clone());
            scope.spawn(move || compile_from(engine, queue, &sender));
        }
        drop(sender);
        progress.collect(&loaded)
    })
}

/// Loads modules until the queue is empty.
fn compile_from<'a>(
    engine: &Engine,
    queue: &Mutex<std::vec::IntoIter<&'a str>>,
    loaded: &Sender<(&'a str, Result<Module, Refusal>)>,
) {
    let next = || queue.lock().ok()?.next();
    while let Some(path) = next() {
        let module = Module::from_file(engine, path).map_err(refusal);
        if loaded.send((path, module)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TASK taken apart, with these files there.
    fn spec(task: &str, files: &[&str]) -> (String, Option<String>, Vec<String>) {
        let spec = Spec::parse(task, |path| files.contains(&path));
        (spec.path, spec.export, spec.args)
    }

    /// What it should be.
    fn parts(path: &str, export: Option<&str>, args: &[&str]) -> (String, Option<String>, Vec<String>) {
        let args = args.iter().map(ToString::to_string).collect();
        (path.into(), export.map(String::from), args)
    }

    #[test]
    fn a_task_is_split_at_the_first_equals_and_the_last_colon() {
        let there = &["wasm/fib.wat"];
        assert_eq!(spec("wasm/fib.wat", there), parts("wasm/fib.wat", None, &[]));
        assert_eq!(spec("wasm/fib.wat:main", there), parts("wasm/fib.wat", Some("main"), &[]));
        assert_eq!(spec("wasm/fib.wat:main=1,-2", there), parts("wasm/fib.wat", Some("main"), &["1", "-2"]));
        assert_eq!(spec("wasm/fib.wat=30", there), parts("wasm/fib.wat", None, &["30"]));
        assert_eq!(spec("wasm/fib.wat:main=", there), parts("wasm/fib.wat", Some("main"), &[]));
        assert_eq!(spec("a=b/x.wat:f=1", &[]), parts("a=b/x.wat", Some("f"), &["1"]));
        assert_eq!(spec("ns:x.wat:f:g", &[]), parts("ns:x.wat:f", Some("g"), &[]));
        assert_eq!(spec("a:b/x.wat", &[]), parts("a:b/x.wat", None, &[]));
    }

    #[test]
    fn a_file_of_the_whole_name_comes_first() {
        assert_eq!(spec("odd:name=1.wat", &["odd:name=1.wat"]), parts("odd:name=1.wat", None, &[]));
        assert_eq!(spec("odd:name.wat=1", &["odd:name.wat"]), parts("odd:name.wat", None, &["1"]));
    }
}
