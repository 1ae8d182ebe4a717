//! The command `sched`: runs WebAssembly modules at once, preemptively and deterministically, by fuel.
//!
//! ```text
//! args (as typed) ─► plan (what to run) ─► jobs (loaded and checked) ─┬─► run, replay ─► report (table or JSON)
//!                ├─► bench (the demo's modules, measured)             └─► compare (once for each policy)
//!                └─► density (so many modules suspended at once)
//! ```
//!
//! Exit codes: 0, every task returned, exited with 0, or was stopped by a limit of the run; 1, some task did not; 2, the command line
//! or the plan is wrong and nothing ran; 130, interrupted.

mod args;
mod bench;
mod compare;
mod density;
mod health;
mod job;
mod log;
mod machine;
mod make;
mod modes;
mod output;
mod plan;
mod policy;
mod progress;
mod recording;
mod report;
mod run;
mod units;
mod world;

use anyhow::Result;
use args::{Command, TopArgs};
use fuelsched::{Engine, EngineConfig};
use plan::Plan;
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
        Some(Command::Run(args)) => match &args.replay {
            Some(path) => recording::replay(path, args.stdout, args.output),
            None => run::run(args.plan()?, args.output, args.record.as_deref()),
        },
        Some(Command::Compare(args)) => compare::compare(args.work.plan()?, &args.policy, args.format),
        Some(Command::Bench(args)) => density::run(&args, args.format),
        None if args.benchmark => bench::run(args.runs, args.output.format),
        None => run::run(Plan::demo(), args.output, None),
    }
}

/// The engine that compiles and runs the modules, on all cores.
pub(crate) fn engine(max_stack: usize) -> Result<Engine> {
    let config = EngineConfig::default().parallel_compilation(true).max_stack(max_stack);
    Ok(Engine::new(&config)?)
}
