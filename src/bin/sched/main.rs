//! The command `sched`: runs WebAssembly modules at once, preemptively and deterministically, by fuel.
//!
//! ```text
//! args (as typed) ─► plan (what to run) ─► jobs (loaded and checked) ─┬─► run, workers, replay ─► report (table or JSON)
//!                ├─► bench (many runs, measured)                      └─► compare (once for each policy)
//!                ├─► compile (modules to machine code, in files)
//!                ├─► trace (what is in recordings; also what a run writes of itself)
//!                ├─► inspect (what a module is, without running it)
//!                ├─► step (a run poll by poll, forwards and back)
//!                └─► density (so many modules suspended at once)
//! ```
//!
//! Exit codes: 0, every task returned, exited with 0, or was stopped by a limit of the run; 1, some task did not; 2, the command line
//! or the plan is wrong and nothing ran; 130, interrupted.

mod args;
mod bench;
mod compare;
mod compile;
mod density;
mod health;
mod inspect;
mod job;
mod log;
mod machine;
mod make;
mod modes;
mod output;
mod places;
mod plan;
mod policy;
mod profile;
mod progress;
mod recording;
mod report;
mod run;
mod step;
mod trace;
#[path = "../../guest/sys/trusted.rs"]
mod trusted;
mod units;
mod workers;
mod world;

use anyhow::Result;
use args::{Command, TopArgs, TraceArgs, TraceCommand};
use fuelsched::{Engine, EngineConfig};
use plan::Plan;
use std::num::NonZeroUsize;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = args::parse();
    match dispatch(args) {
        Ok(code) => code,
        Err(error) => {
            output::error(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

/// Does what was asked. An error means that nothing ran.
fn dispatch(args: TopArgs) -> Result<ExitCode> {
    if args.version {
        return version(args.verbose);
    }
    match args.command {
        Some(Command::Run(args)) => match &args.replay {
            Some(path) => recording::replay(path, &args),
            None => match args.workers {
                1 => run::run(args.plan()?, args.output, args.record.as_deref(), &args.traces),
                several => workers::run(args.plan()?, several as usize, args.output, &args.traces),
            },
        },
        Some(Command::Compare(args)) => compare::compare(args.work.plan()?, &args.policy, args.format),
        Some(Command::Compile(args)) => compile::compile(&args),
        Some(Command::Trace(args)) => match &args.command {
            Some(TraceCommand::Diff { a, b }) => trace::diff(a, b),
            None => trace::trace(&args),
        },
        Some(Command::Inspect(args)) => inspect::inspect(&args),
        Some(Command::Step(args)) => step::step(&args),
        Some(Command::Bench(args)) => match args.density {
            Some(tasks) => density::run(tasks, &args),
            None => bench::run(&args),
        },
        None if args.benchmark => bench::demo::run(args.runs, args.output.format),
        None => run::run(Plan::demo(), args.output, None, &TraceArgs::default()),
    }
}

/// Says which version this is; at length, what the engine has found that the machine can do.
fn version(verbose: bool) -> Result<ExitCode> {
    let mut text = format!("sched {}\n", args::VERSION);
    if verbose {
        let guard = Engine::new(&EngineConfig::default())?.stack_guard();
        let stacks = match guard {
            Some(guard) => format!("of this program's own, guarded by {guard}"),
            None => "Wasmtime's".into(),
        };
        text += &format!("stacks   {stacks}\nmachine  {}\n", machine::Machine::here().line());
    }
    output::result(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The engine that compiles and runs the modules, on all cores.
pub(crate) fn engine(max_stack: usize) -> Result<Engine> {
    engine_with_frames(max_stack, 1)
}

/// The same, where guests tell of so many functions on their stacks.
pub(crate) fn engine_with_frames(max_stack: usize, frames: usize) -> Result<Engine> {
    Ok(Engine::new(&engine_config(max_stack, frames))?)
}

/// The settings of those.
pub(crate) fn engine_config(max_stack: usize, frames: usize) -> EngineConfig {
    let frames = NonZeroUsize::new(frames).unwrap_or(NonZeroUsize::MIN);
    EngineConfig::default().parallel_compilation(true).max_stack(max_stack).stack_frames(frames)
}
