//! The command line as it is typed, and its help texts.

use crate::run::Settings;
use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand, ValueEnum};
use fuelsched::{Fuel, Limits};
use std::time::Duration;

/// The demo's budget for each of its tasks.
const DEMO_BUDGET: Fuel = Fuel(10_000_000);

/// The demo's quantum.
pub(crate) const DEMO_QUANTUM: Fuel = Fuel(1000);

/// What stands below `sched --help`.
const EXAMPLES: &str = "\
Examples:
  sched                                       the demo
  sched --log                                 the demo, with a line for every switch
  sched --benchmark --runs 1000               the demo, measured
  sched run wasm/fib.wat:main=30              one task: main(30) of a module
  sched run --copies 100 --quantum 500 wasm/main.wat
  sched run --help                            all about running tasks

Exit codes: 0 every task returned, exited with 0, or was stopped by a limit of the run; 1 some task
did not; 2 the command line is wrong, and nothing ran; 130 interrupted.";

/// What stands below `sched run --help`.
const RUN_EXAMPLES: &str = "\
TASK is PATH[:EXPORT][=ARG,ARG...]
  PATH    a module in the text or the binary format, told by its content. A file whose name is the
          whole of TASK comes first; otherwise TASK is split at the first '=' after the last '/', and
          what is before it at the last ':'
  EXPORT  the function to call; unless given, '_start' for a module that imports WASI, else 'main',
          else '_start'
  ARG     a number as the text format writes it, read by the export's own signature: -5, 0xff, 1_000,
          1.5e3, inf, nan, 'i32x4 1 2 3 4'

Examples:
  sched run wasm/fib.wat:main=30 wasm/main.wat
  sched run --quantum 1000 --log wasm/fib.wat=10 wasm/main.wat
  sched run --fuel 5_000_000 untrusted.wasm   ends as out-of-fuel if it wants more
  sched run --run-time 2s --copies 10 wasm/main.wat
  sched run --format json wasm/fib.wat=20 | jq '.tasks[].values'

Exit codes: 0 every task returned, exited with 0, or was stopped by --run-fuel or --run-time; 1 some
task did not; 2 the command line is wrong, and nothing ran; 130 interrupted.";

/// Reads the command line; prints help, version or what is wrong with it, and exits, where that is all.
pub(crate) fn parse() -> TopArgs {
    TopArgs::parse()
}

/// `0.1.0 (wasmtime 48.0.8)`.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (wasmtime ", env!("FUELSCHED_WASMTIME_VERSION"), ")");

/// Run many WebAssembly modules at once, preemptively and deterministically, by fuel
///
/// Without a command it runs the demo: fib.wat with main(10) and main.wat, both built in, round robin with 1,000 fuel a turn and
/// 10,000,000 fuel for each.
#[derive(Debug, Parser)]
#[command(name = "sched", version = VERSION, after_help = EXAMPLES, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct TopArgs {
    /// What to do instead of the demo.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Run the demo's modules many times, and measure
    #[arg(long, conflicts_with_all = ["log", "timing"])]
    pub(crate) benchmark: bool,

    /// How many times
    #[arg(long, value_name = "N", default_value_t = 100, requires = "benchmark")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) runs: u32,

    /// How results are shown.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What to do instead of the demo.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run tasks, each a call of a module's export
    Run(RunArgs),
}

/// `sched run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES, max_term_width = 100)]
pub(crate) struct RunArgs {
    /// What to run: a module's path, its export and arguments, written as described below
    #[arg(value_name = "TASK", required = true)]
    pub(crate) tasks: Vec<String>,

    /// Who runs next
    #[arg(long, value_name = "NAME", value_enum, default_value_t = PolicyName::RoundRobin)]
    policy: PolicyName,

    /// Fuel a turn
    #[arg(long, value_name = "N", default_value = "10_000", value_parser = fuel)]
    quantum: Fuel,

    /// Fuel that each task may use in all; it ends as out-of-fuel at the first yield point past it
    #[arg(long, value_name = "N", value_parser = fuel)]
    fuel: Option<Fuel>,

    /// How many times to run each TASK, all at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) copies: u32,

    /// Stop after this much fuel in all; tasks that are not done end as stopped
    #[arg(long, value_name = "N", value_parser = fuel)]
    run_fuel: Option<Fuel>,

    /// Stop after this much time, such as 2s or 500ms; tasks that are not done end as stopped
    #[arg(long, value_name = "TIME", value_parser = time)]
    run_time: Option<Duration>,

    /// What each task may hold in all its memories and tables; beyond it memory.grow returns -1
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size)]
    max_memory: usize,

    /// Stack of each guest; deeper recursion traps
    #[arg(long, value_name = "SIZE", default_value = "512KiB", value_parser = stack)]
    max_stack: usize,

    /// How results are shown.
    #[command(flatten)]
    output: OutputArgs,
}

/// How results are shown.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct OutputArgs {
    /// A table, or one JSON object
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,

    /// Print a line for every context switch, on standard error: who ran, for how much of how much fuel, why it stopped, who is next
    #[arg(long)]
    log: bool,

    /// Measure the time that each task runs; reads the clock twice a slice
    #[arg(long)]
    timing: bool,
}

/// A form of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tables for people
    Human,
    /// One JSON object for programs
    Json,
}

/// The name of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PolicyName {
    /// Deficit round robin, charged by exact fuel
    RoundRobin,
}

impl RunArgs {
    /// What the run depends on.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            policy: self.policy,
            quantum: self.quantum,
            budget: self.fuel,
            run_fuel: self.run_fuel,
            run_time: self.run_time,
            limits: Limits { memory: self.max_memory, ..Limits::default() },
            max_stack: self.max_stack,
            format: self.output.format,
            log: self.output.log,
            timing: self.output.timing,
        }
    }
}

impl TopArgs {
    /// What the demo depends on.
    pub(crate) fn demo_settings(&self) -> Settings {
        Settings {
            policy: PolicyName::RoundRobin,
            quantum: DEMO_QUANTUM,
            budget: Some(DEMO_BUDGET),
            run_fuel: None,
            run_time: None,
            limits: Limits::default(),
            max_stack: 512 << 10,
            format: self.output.format,
            log: self.output.log,
            timing: self.output.timing,
        }
    }
}

/// The most fuel that an option takes: more than anything can use, and far enough from overflow.
const MOST_FUEL: u64 = 1 << 62;

/// An amount of fuel: `10000`, `10_000`.
fn fuel(text: &str) -> Result<Fuel, String> {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    match digits.parse() {
        Ok(n @ 1..=MOST_FUEL) => Ok(Fuel(n)),
        _ => Err(format!("it takes a whole number from 1 to {MOST_FUEL}, such as 10_000")),
    }
}

/// A time that is not zero.
fn time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if !time.is_zero() => Ok(time),
        Ok(_) => Err("it takes a time longer than zero, such as 2s or 500ms".into()),
        Err(error) => Err(format!("{error}; it takes a time such as 2s or 500ms")),
    }
}

/// A size of memory.
fn size(text: &str) -> Result<usize, String> {
    let size = text.replace('_', "").parse::<ByteSize>().ok().map(|size| size.as_u64());
    size.and_then(|size| usize::try_from(size).ok())
        .ok_or_else(|| "it takes a size such as 64KiB, 256MiB or a number of bytes".into())
}

/// A size of stack.
fn stack(text: &str) -> Result<usize, String> {
    match size(text)? {
        size if (16 << 10..=256 << 20).contains(&size) => Ok(size),
        _ => Err("it takes a size from 16KiB to 256MiB".into()),
    }
}
