//! The command `sched`: runs WebAssembly modules at once, preemptively and deterministically, by fuel.
//!
//! ```text
//! args (as typed) ─► jobs (what to run, loaded and checked) ─► run ─► report (table or JSON)
//!                └─► bench (the demo's modules, measured) ────────────► its own report
//! ```
//!
//! Exit codes: 0, every task returned, exited with 0, or was stopped by a limit of the run; 1, some task did not; 2, the command line
//! is wrong and nothing ran; 130, interrupted.

mod args;
mod bench;
mod job;
mod log;
mod machine;
mod output;
mod progress;
mod report;
mod run;

use anyhow::Result;
use args::{Command, RunArgs, TopArgs};
use fuelsched::{Engine, EngineConfig};
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
    match args.command {
        Some(Command::Run(args)) => run_tasks(&args),
        None if args.benchmark => bench::run(args.runs, args.output.format),
        None => run_demo(&args),
    }
}

/// `sched run`.
fn run_tasks(args: &RunArgs) -> Result<ExitCode> {
    let settings = args.settings();
    let jobs = job::load(&engine(settings.max_stack)?, &args.tasks, args.copies);
    run::run(&jobs, &settings)
}

/// `sched`.
fn run_demo(args: &TopArgs) -> Result<ExitCode> {
    let settings = args.demo_settings();
    let jobs = job::demo(&engine(settings.max_stack)?)?;
    run::run(&jobs, &settings)
}

/// The engine that compiles and runs the modules, on all cores.
fn engine(max_stack: usize) -> Result<Engine> {
    let config = EngineConfig::default().parallel_compilation(true).max_stack(max_stack);
    Ok(Engine::new(&config)?)
}
