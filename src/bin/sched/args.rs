//! The command line as it is typed, and its help texts.

use crate::places::keep_apart;
use crate::plan::{self, DIR, DirPlan, Plan, Stdout, Unknown, VARIABLE, World};
use crate::policy::{self, PolicySpec};
use crate::units::{self, A_SIZE, A_STACK, A_TIME, MOST_FUEL, MOST_TASKS};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::time::Duration;

/// What stands below `sched --help`.
const EXAMPLES: &str = "\
Examples:
  sched                                       the demo
  sched --log                                 the demo, with a line for every switch
  sched --benchmark --runs 1000               the demo, measured
  sched run wasm/fib.wat:main=30              one task: main(30) of a module
  sched run --copies 100 --quantum 500 wasm/main.wat
  sched run --plan docs/plans/priority.toml   what a plan says
  sched compare --plan docs/plans/priority.toml
  sched inspect wasm/main.wat                 what a module is, and how far it overshoots
  sched run --help                            all about running tasks

Exit codes: 0 every task returned, exited with 0, or was stopped by a limit of the run; 1 some task
did not; 2 the command line is wrong, and nothing ran; 130 interrupted.";

/// What a TASK is.
const TASK_HELP: &str = "\
TASK is PATH[:EXPORT][=ARG,ARG...]
  PATH    a module in the text or the binary format, told by its content. A file whose name is
          the whole of TASK comes first; otherwise TASK is split at the first '=' after the last
          '/', and what is before it at the last ':'
  EXPORT  the function to call; unless given, '_start' for a module that imports WASI, else
          'main', else '_start'
  ARG     a number as the text format writes it, read by the export's own signature: -5, 0xff,
          1_000, 1.5e3, inf, nan, 'i32x4 1 2 3 4'
";

/// The examples of `sched run`, and its exit codes.
const RUN_EXAMPLES: &str = "\
Examples:
  sched run wasm/fib.wat:main=30 wasm/main.wat
  sched run --quantum 1000 --log wasm/fib.wat=10 wasm/main.wat
  sched run --fuel 5_000_000 untrusted.wasm   ends as out-of-fuel if it wants more
  sched run --run-time 2s --copies 10 wasm/main.wat
  sched run --workers 2 --copies 1_000 wasm/fib.wat=20
  sched run --profile fuel.svg --quantum 1_000 program.wasm
  sched run --plan docs/plans/priority.toml --log
  sched run --plan docs/plans/weighted.toml --report run.html
  sched run --slice 200us --record run.rec wasm/fib.wat=25 wasm/main.wat
  sched run --replay run.rec                  the same schedule once more
  sched run -q program.wasm --dir data::/data --env LANG=C -- /data/in.txt
  sched run --deterministic program.wasm      the same time and random numbers in every run
  sched run --format json wasm/fib.wat=20 | jq '.tasks[].values'

Exit codes: 0 every task returned, exited with 0, or was stopped by --run-fuel or --run-time; 1 some
task did not; 2 the command line or the plan is wrong, and nothing ran; 130 interrupted.";

/// The examples of `sched compare`, and what it measures.
const COMPARE_EXAMPLES: &str = "\
For each policy, over the tasks that ran, in fuel of the virtual clock:
  turnaround  from when a task could first run to its end
  response    from when a task could first run to its first slice
  waiting     turnaround without what the task ran, and without what it waited for its own fuel
  misses      periods of a task that declares some, in which it did not get its runtime in time
  fairness    Jain's index of fuel used per weight, while all tasks had been released and none had
              ended: 1 if all had their share, 1/n if one of n had everything; '-' if there was no
              such time
  finished    tasks that returned or exited by themselves, and how many that is in a million fuel

Examples:
  sched compare wasm/fib.wat=20 wasm/main.wat
  sched compare --plan docs/plans/priority.toml --policy round-robin,priority

Exit codes: 0 compared; 1 not every policy took every task, or a module could not be loaded; 2 the
command line or the plan is wrong, and nothing ran; 130 interrupted.";

/// The examples of `sched step`, and its exit codes.
const STEP_EXAMPLES: &str = "\
On the screen a space makes one poll, b goes back by one, ? shows all that can be typed. Time goes by
fuel and random numbers by a seed, so that a run is the same every time; tasks can be looked into,
which makes a switch take longer and changes nothing else (docs/step.md).

Examples:
  sched step wasm/fib.wat=20 wasm/main.wat
  sched step --plan docs/plans/channels.toml
  echo 'until trap; stack 0' | tr ';' '\\n' | sched step --script - wasm/unreachable.wat

Exit codes: 0 all was done; 1 a line of the script could not be; 2 the command line, the plan or the
script is wrong; 130 interrupted.";

/// The examples of `sched bench`, and its exit codes.
const BENCH_EXAMPLES: &str = "\
With --density all tasks are spawned and run to their first suspension, then preempted ten times
more, then run to their ends; each must return the right number. Memory is the process's resident
set with its page tables (Linux).

Examples:
  sched bench wasm/fib.wat=20 wasm/main.wat
  sched bench --save before.json wasm/fib.wat=20
  sched bench --compare before.json wasm/fib.wat=20
  sched bench --compare before.json,after.json
  sched bench --pin 1 --runs 100 --csv bench.csv --hdr-log bench.hlog
  sched bench --plots plots --samples slices.csv wasm/fib.wat=20 wasm/main.wat
  sched bench --density 100_000
  sched bench --density 1_000_000             takes 10 GiB, and a minute
  sched bench --density 250_000 --memory --format json | jq .task

Exit codes: 0 measured; 1 with --density, some task did not return what it should; 2 the command
line or the plan is wrong, a task failed, or not so many tasks were to be had; 130 interrupted, and
what was measured until then is reported.";

/// The examples of `sched compile`, and what its files are.
const COMPILE_EXAMPLES: &str = "\
The files are for this version of sched and Wasmtime, this system and processor, and any --max-stack
(docs/precompiled.md).

Examples:
  sched compile wasm/fib.wat -o /tmp/fib.cwasm
  sched run --allow-precompiled /tmp/fib.cwasm:main=30

Exit codes: 0 all compiled; 1 some could not be; 2 the command line is wrong, and nothing was written.";

/// The examples of `sched trace`, and its exit codes.
const TRACE_EXAMPLES: &str = "\
A recording holds no times, and not why tasks were picked or woken: `sched run --replay FILE --trace OUT.json`
runs it again and says more. A file called diff is ./diff.

Examples:
  sched run --record run.rec wasm/fib.wat=20 wasm/main.wat
  sched trace run.rec                         what each task came to
  sched trace run.rec --timeline --task fib --from 50_000 --to 60_000
  sched trace run.rec --log | less
  sched trace run.rec --chrome run.json --svg run.svg --report run.html
  sched trace diff before.rec after.rec       where two schedules part

Exit codes: 0 all of it was read, with diff: the same; 1 some of it could not be, or no task has the name, with
diff: not the same; 2 the file is not a recording, with diff: or could not be read to the first difference; 130
interrupted, and what was read until then is shown.";

/// The examples of `sched inspect`, and what its words mean.
const INSPECT_EXAMPLES: &str = "\
A guest can be stopped at yield points only: on entering a function, at the head of a loop, and
before a bulk operation. The longest stretch between two of them is how far a slice can overshoot
(docs/inspect.md).

Examples:
  sched inspect wasm/main.wat
  sched inspect --disassemble wasm/main.wat
  sched inspect --format json program.wasm | jq .fuel.smallest_quantum
  sched inspect --format json --top 5 program.wasm | jq '.fuel.functions[].name'

Exit codes: 0 inspected; 1 the file is no module that can be read; 2 the command line is wrong.";

/// What is said where words for a program go with more than one.
const MANY_FOR_ARGV: &str = "what is behind -- goes with exactly one TASK; a plan gives each its own, with `argv`";

/// The most tasks that `sched bench --density` takes.
const MOST_AT_ONCE: u64 = 100_000_000;

/// Above what there is to look at, in the help texts.
const LOOKING: &str = "Looking";

/// Above what concerns WASI programs, in the help texts.
const WASI: &str = "WASI programs";

/// What is said where nothing is named.
const NOTHING_TO_RUN: &str = "there is nothing to run: name a TASK, such as wasm/fib.wat:main=30, or a plan with --plan FILE.toml; --help says more";

/// What stands below `sched run --help`.
fn run_help() -> String {
    format!("{TASK_HELP}\n{}\n{RUN_EXAMPLES}", policy::help())
}

/// What stands below `sched compare --help`.
fn compare_help() -> String {
    format!("{TASK_HELP}\n{}\n{COMPARE_EXAMPLES}", policy::help())
}

/// What stands below `sched step --help`.
fn step_help() -> String {
    format!("{TASK_HELP}\n{}\n{STEP_EXAMPLES}", policy::help())
}

/// What stands below `sched bench --help`.
fn bench_help() -> String {
    format!("{TASK_HELP}\n{}\n{BENCH_EXAMPLES}", policy::help())
}

/// Reads the command line; prints help, version or what is wrong with it, and exits, where that is all.
pub(crate) fn parse() -> TopArgs {
    TopArgs::parse()
}

/// `0.1.0 (wasmtime 48.0.8)`.
pub(crate) const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (wasmtime ", env!("FUELSCHED_WASMTIME_VERSION"), ")");

/// Run many WebAssembly modules at once, preemptively and deterministically, by fuel
///
/// Without a command it runs the demo: fib.wat with main(10) and main.wat, both built in, round robin with 1,000 fuel a turn and
/// 10,000,000 fuel for each.
#[derive(Debug, Parser)]
#[command(name = "sched", disable_version_flag = true, after_help = EXAMPLES, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct TopArgs {
    /// What to do instead of the demo.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Print the version
    #[arg(long, short = 'V')]
    pub(crate) version: bool,

    /// With --version: how stacks are guarded here, and what machine this is
    #[arg(long, requires = "version")]
    pub(crate) verbose: bool,

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
    /// Run the same tasks under several policies, and compare how they fared
    Compare(CompareArgs),
    /// Compile modules ahead, to files that load at once
    Compile(CompileArgs),
    /// Look into a module without running it: what it imports and exports, and how far it can run past its quantum
    Inspect(InspectArgs),
    /// Run the same tasks many times, and measure
    Bench(Box<BenchArgs>),
    /// Run tasks one poll at a time, forwards and back, and look at all of it
    Step(Box<StepArgs>),
    /// Show what is in a recording, without running anything
    Trace(TraceFileArgs),
}

/// `sched run`.
#[derive(Debug, Args)]
#[command(after_help = run_help(), max_term_width = 100)]
pub(crate) struct RunArgs {
    /// What to run.
    #[command(flatten)]
    pub(crate) work: WorkArgs,

    /// Who runs next, and its parameters, as listed below [default: round-robin]
    #[arg(long, value_name = "NAME[:KEY=VALUE]...", value_parser = PolicySpec::parse)]
    policy: Option<PolicySpec>,

    /// Run the tasks on so many threads. Each has an executor and a policy of its own; tasks of one group, and those that open
    /// channels, stay together, and all others go round (docs/workers.md)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub(crate) workers: u32,

    /// Record every decision of the run in a file, for --replay; of one worker
    #[arg(long, value_name = "FILE", conflicts_with = "workers")]
    pub(crate) record: Option<String>,

    /// Run a recording again, and stop where something is not as it was recorded; it says itself what is run
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "tasks", "plan", "policy", "workers", "record", "quantum", "fuel", "copies", "run_fuel", "run_time", "slice", "max_memory", "max_stack",
        "unknown_imports", "argv", "env", "dir", "stdin", "deterministic",
    ])]
    pub(crate) replay: Option<String>,

    /// What becomes of what programs print [default: capture with --format json; lines for several tasks on a terminal; else inherit]
    #[arg(long, value_name = "WHAT", value_enum, help_heading = WASI)]
    pub(crate) stdout: Option<Stdout>,

    /// What else is written of the run.
    #[command(flatten)]
    pub(crate) traces: TraceArgs,

    /// How results are shown.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What is written of a run, to be looked at.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TraceArgs {
    /// Write what happens to a file that Perfetto (ui.perfetto.dev) and chrome://tracing open
    #[arg(long, value_name = "FILE.json", help_heading = LOOKING)]
    pub(crate) trace: Option<String>,

    /// By which clock: time, or fuel, which is the same in every run
    #[arg(long, value_name = "CLOCK", value_enum, default_value_t, requires = "trace", help_heading = LOOKING)]
    pub(crate) trace_clock: TraceClock,

    /// Write a page about the run for a browser: a chart, shares, distributions, a table; with --timing, times too
    #[arg(long, value_name = "FILE.html", conflicts_with = "workers", help_heading = LOOKING)]
    pub(crate) report: Option<String>,

    /// Draw a chart of who ran when, below the table; of several workers, one for each
    #[arg(long, help_heading = LOOKING)]
    pub(crate) timeline: bool,

    /// Draw the chart in a file, for papers
    #[arg(long, value_name = "FILE.svg", conflicts_with = "workers", help_heading = LOOKING)]
    pub(crate) timeline_svg: Option<String>,

    /// Write where the fuel went, function by function: a flame graph (.svg), for the Firefox Profiler (.json), else folded stacks
    #[arg(long, value_name = "FILE", conflicts_with = "workers", help_heading = LOOKING)]
    pub(crate) profile: Option<String>,

    /// The form of the profile, whatever its file is called
    #[arg(long, value_name = "FORM", value_enum, requires = "profile", help_heading = LOOKING)]
    pub(crate) profile_format: Option<ProfileFormat>,
}

/// In which form a profile is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProfileFormat {
    /// A line a stack, with semicolons between its functions, as flame graph tools take it
    Folded,
    /// A flame graph
    Svg,
    /// For the Firefox Profiler (profiler.firefox.com)
    Firefox,
}

/// The clock of a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TraceClock {
    /// Nanoseconds, read twice a slice
    #[default]
    Time,
    /// The virtual clock: a microsecond is one unit of fuel
    Fuel,
}

/// `sched trace`.
#[derive(Debug, Args)]
#[command(after_help = TRACE_EXAMPLES, max_term_width = 100, args_conflicts_with_subcommands = true)]
pub(crate) struct TraceFileArgs {
    /// What else to do.
    #[command(subcommand)]
    pub(crate) command: Option<TraceCommand>,

    /// What `sched run --record` wrote; the form of results is a table unless another is asked for
    #[arg(value_name = "FILE", required = true)]
    pub(crate) file: Option<String>,

    /// Write a file that Perfetto (ui.perfetto.dev) and chrome://tracing open
    #[arg(long, value_name = "OUT.json")]
    pub(crate) chrome: Option<String>,

    /// Draw a chart of who ran when
    #[arg(long)]
    pub(crate) timeline: bool,

    /// Draw the chart in a file, for papers
    #[arg(long, value_name = "OUT.svg")]
    pub(crate) svg: Option<String>,

    /// Write a page for a browser: a chart, shares, distributions, a table
    #[arg(long, value_name = "OUT.html")]
    pub(crate) report: Option<String>,

    /// Print a line for everything that happened
    #[arg(long)]
    pub(crate) log: bool,

    /// A table, or one JSON object
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,

    /// Only tasks of that name, copies included; may be given several times
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub(crate) task: Vec<String>,

    /// Only what began at this moment of the virtual clock or later
    #[arg(long, value_name = "FUEL", value_parser = moment)]
    pub(crate) from: Option<u64>,

    /// Only what began before this moment
    #[arg(long, value_name = "FUEL", value_parser = moment)]
    pub(crate) to: Option<u64>,
}

/// What else `sched trace` does.
#[derive(Debug, Subcommand)]
pub(crate) enum TraceCommand {
    /// Find where two recorded schedules part
    Diff {
        /// A recording
        #[arg(value_name = "A")]
        a: String,
        /// Another
        #[arg(value_name = "B")]
        b: String,
    },
}

/// `sched compare`.
#[derive(Debug, Args)]
#[command(after_help = compare_help(), max_term_width = 100)]
pub(crate) struct CompareArgs {
    /// What to run.
    #[command(flatten)]
    pub(crate) work: WorkArgs,

    /// The policies to compare, with parameters as listed below; all that fit, unless given
    #[arg(long, value_name = "NAME[:KEY=VALUE]...,...", value_delimiter = ',', value_parser = PolicySpec::parse)]
    pub(crate) policy: Vec<PolicySpec>,

    /// A table, or one JSON object
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

/// `sched step`.
#[derive(Debug, Args)]
#[command(after_help = step_help(), max_term_width = 100)]
pub(crate) struct StepArgs {
    /// What to run.
    #[command(flatten)]
    pub(crate) work: WorkArgs,

    /// Who runs next, and its parameters, as listed below [default: round-robin]
    #[arg(long, value_name = "NAME[:KEY=VALUE]...", value_parser = PolicySpec::parse)]
    policy: Option<PolicySpec>,

    /// Compile the guests so that all of their memories and globals can be seen, exported or not: what is not is called @0, @1 and so on.
    /// They are slower then, and have room for fewer calls on their stacks; the fuel is the same. In builds with the feature `debug`
    #[arg(long)]
    pub(crate) debug: bool,

    /// Take commands from a file, or from standard input (-), and print what each shows; help is a command
    #[arg(long, value_name = "FILE")]
    pub(crate) script: Option<String>,
}

/// `sched compile`.
#[derive(Debug, Args)]
#[command(after_help = COMPILE_EXAMPLES, max_term_width = 100)]
pub(crate) struct CompileArgs {
    /// Modules in the text or the binary format
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<String>,

    /// Where the machine code goes [default: beside FILE, as .cwasm]
    #[arg(long, short, value_name = "OUT")]
    pub(crate) output: Option<String>,

    /// Overwrite what is there
    #[arg(long)]
    pub(crate) force: bool,
}

/// `sched inspect`.
#[derive(Debug, Args)]
#[command(after_help = INSPECT_EXAMPLES, max_term_width = 100)]
pub(crate) struct InspectArgs {
    /// A module in the text or the binary format
    #[arg(value_name = "FILE")]
    pub(crate) file: String,

    /// Print the text format instead, with the fuel of every instruction and the yield points marked
    #[arg(long, conflicts_with_all = ["format", "top"])]
    pub(crate) disassemble: bool,

    /// How many rows each table has at most [default: 20]; with --format json, only so many functions, the worst first
    #[arg(long, value_name = "N", value_parser = rows)]
    pub(crate) top: Option<usize>,

    /// Tables, or one JSON object
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

/// `sched bench`.
#[derive(Debug, Args)]
#[command(after_help = bench_help(), max_term_width = 100)]
pub(crate) struct BenchArgs {
    /// What to run; the demo's modules, unless given.
    #[command(flatten)]
    pub(crate) work: WorkArgs,

    /// Who runs next, and its parameters, as listed below [default: round-robin]
    #[arg(long, value_name = "NAME[:KEY=VALUE]...", value_parser = PolicySpec::parse)]
    policy: Option<PolicySpec>,

    /// How many times
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) runs: u32,

    /// How many times before that, not measured
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) warmup: u32,

    /// Write what was measured to a file, for --compare
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<String>,

    /// Compare with what --save wrote; with two files nothing is run, and the second is compared with the first
    #[arg(long, value_name = "FILE[,FILE]", value_delimiter = ',', num_args = 1, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) compare: Vec<String>,

    /// Stay on this processor
    #[arg(long, value_name = "CPU")]
    pub(crate) pin: Option<usize>,

    /// Instead of TASKs, so many modules, each suspended in the middle of a loop, all at once
    #[arg(long, value_name = "N", value_parser = tasks)]
    #[arg(conflicts_with_all = [
        "tasks", "plan", "policy", "quantum", "fuel", "copies", "run_fuel", "run_time", "slice", "max_memory", "runs", "warmup", "save", "compare",
        "quanta", "csv", "hgrm", "hdr_log", "plots", "samples",
    ])]
    pub(crate) density: Option<u64>,

    /// With --density: give each module a memory of 64 KiB, and let it touch a page of that
    #[arg(long, requires = "density")]
    pub(crate) memory: bool,

    /// The quanta of the quantum curve
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = fuel)]
    #[arg(default_value = "100,1_000,10_000,100_000,1_000_000,10_000_000")]
    pub(crate) quanta: Vec<u64>,

    /// Write each distribution's percentiles to a file of comma-separated values
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<String>,

    /// Write each distribution as a percentile file of HdrHistogram's into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) hgrm: Option<String>,

    /// Write all distributions as a log of HdrHistogram's, version 2
    #[arg(long, value_name = "FILE")]
    pub(crate) hdr_log: Option<String>,

    /// Draw the quantum curve and each distribution's percentiles as SVG files into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) plots: Option<String>,

    /// Write a line for each slice of further runs, one a round, to a file of comma-separated values
    #[arg(long, value_name = "FILE")]
    pub(crate) samples: Option<String>,

    /// A table, or one JSON object
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

/// What to run, and within which limits.
#[derive(Debug, Args)]
pub(crate) struct WorkArgs {
    /// What to run: a module's path, its export and arguments, written as described below
    #[arg(value_name = "TASK", conflicts_with = "plan")]
    tasks: Vec<String>,

    /// A file that says what to run, in place of TASKs (docs/plan.md); other options go before what it says
    #[arg(long, value_name = "FILE.toml")]
    plan: Option<String>,

    /// Fuel a turn [default: 10_000]
    #[arg(long, value_name = "N", value_parser = fuel)]
    quantum: Option<u64>,

    /// Fuel that each task may use in all; it ends as out-of-fuel at the first yield point past it
    #[arg(long, value_name = "N", value_parser = fuel)]
    fuel: Option<u64>,

    /// How many times to run each TASK, all at once [default: 1]
    #[arg(long, value_name = "N", conflicts_with = "plan")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    copies: Option<u32>,

    /// Stop after this much fuel in all; tasks that are not done end as stopped
    #[arg(long, value_name = "N", value_parser = fuel)]
    run_fuel: Option<u64>,

    /// Stop after this much time, such as 2s or 500ms; tasks that are not done end as stopped
    #[arg(long, value_name = "TIME", value_parser = time)]
    run_time: Option<Duration>,

    /// Aim slices at this much time, such as 200us, by learning what each task's fuel takes; no longer reproducible
    #[arg(long, value_name = "TIME", value_parser = time)]
    slice: Option<Duration>,

    /// What each task may hold in all its memories and tables; beyond it memory.grow returns -1 [default: 256MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_memory: Option<usize>,

    /// Stack of each guest; deeper recursion traps [default: 512KiB]
    #[arg(long, value_name = "SIZE", value_parser = stack)]
    max_stack: Option<usize>,

    /// Run precompiled modules too. They are machine code with the run of this process: allow it for files that you compiled yourself
    #[arg(long)]
    pub(crate) allow_precompiled: bool,

    /// What becomes of functions that a module imports and that nothing serves [default: error]
    #[arg(long, value_name = "WHAT", value_enum)]
    unknown_imports: Option<Unknown>,

    /// What the program is called with, for exactly one TASK
    #[arg(value_name = "ARGV", last = true, conflicts_with = "plan")]
    argv: Vec<String>,

    /// What a WASI program finds.
    #[command(flatten)]
    world: WorldArgs,
}

/// What WASI programs find.
#[derive(Debug, Args)]
pub(crate) struct WorldArgs {
    /// A variable of the environment; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable, help_heading = WASI)]
    env: Vec<(String, String)>,

    /// A folder that programs may use, and what they know it by; may be given several times. They see no other file
    #[arg(long, value_name = "HOST::GUEST", value_parser = dir, help_heading = WASI)]
    dir: Vec<DirPlan>,

    /// A file as standard input, from its beginning for each task; unless given, programs share this program's own
    #[arg(long, value_name = "FILE", help_heading = WASI)]
    stdin: Option<String>,

    /// Let time go by fuel and random numbers by a seed, so that every run is the same; a sleep is over at once where nobody else runs
    #[arg(long, value_name = "SEED", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    deterministic: Option<u64>,
}

/// How results are shown.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct OutputArgs {
    /// A table, or one JSON object
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,

    /// Print a line for every context switch, on standard error: who ran, for how much of how much fuel, why it stopped, who is next
    #[arg(long)]
    pub(crate) log: bool,

    /// Measure the time that each task runs; reads the clock twice a slice
    #[arg(long)]
    pub(crate) timing: bool,

    /// Print no report: only what the tasks print, and what goes wrong
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// A form of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tables for people
    Human,
    /// One JSON object for programs
    Json,
}

impl WorkArgs {
    /// What is to be run, whether the words say so or a plan does. An option goes before what the plan says.
    pub(crate) fn plan(&self) -> anyhow::Result<Plan> {
        anyhow::ensure!(self.plan.is_some() || !self.tasks.is_empty(), NOTHING_TO_RUN);
        self.over(match &self.plan {
            Some(path) => plan::read(path)?,
            None => plan::from_words(&self.tasks, self.copies.unwrap_or(1), Plan::new()),
        })
    }

    /// This plan, with what the options say.
    fn over(&self, mut plan: Plan) -> anyhow::Result<Plan> {
        anyhow::ensure!(plan.total() <= MOST_TASKS, "these are {} tasks; a run takes {MOST_TASKS}", plan.total());
        plan.quantum = self.quantum.unwrap_or(plan.quantum);
        plan.fuel = self.fuel.or(plan.fuel);
        plan.run_fuel = self.run_fuel.or(plan.run_fuel);
        plan.run_time_ns = self.run_time.map(units::nanos).or(plan.run_time_ns);
        plan.max_memory = self.max_memory.unwrap_or(plan.max_memory);
        plan.max_stack = self.max_stack.unwrap_or(plan.max_stack);
        plan.allow_precompiled = self.allow_precompiled;
        plan.slice_ns = self.slice.map(units::nanos).or(plan.slice_ns);
        plan.unknown_imports = self.unknown_imports.unwrap_or(plan.unknown_imports);
        if !self.argv.is_empty() {
            anyhow::ensure!(plan.total() == 1, MANY_FOR_ARGV);
            plan.tasks[0].world.argv.clone_from(&self.argv);
        }
        self.world.enter(&mut plan);
        if let Some(what) = plan.not_deterministic() {
            anyhow::bail!("--deterministic lets time go by fuel, and this run has {what}; leave one of them out");
        }
        Ok(plan)
    }
}

impl WorldArgs {
    /// Enters in a plan what holds for all tasks.
    fn enter(&self, plan: &mut Plan) {
        plan.deterministic = self.deterministic.or(plan.deterministic);
        for task in &mut plan.tasks {
            let World { env, dirs, stdin, .. } = &mut task.world;
            env.retain(|(name, _)| self.env.iter().all(|(other, _)| name != other));
            env.extend(self.env.iter().cloned());
            dirs.extend(self.dir.iter().cloned());
            *stdin = self.stdin.clone().or(stdin.take());
        }
    }
}

impl BenchArgs {
    /// What is to be run.
    pub(crate) fn plan(&self) -> anyhow::Result<Plan> {
        let named = self.work.plan.is_some() || !self.work.tasks.is_empty();
        let mut plan = if named { self.work.plan()? } else { self.work.over(Plan::demo())? };
        if let Some(policy) = &self.policy {
            plan.policy = policy.clone().over(&plan.policy);
        }
        Ok(plan)
    }
}

impl BenchArgs {
    /// Stack that a guest may use, with --density: less than usual, because page tables are smaller then.
    pub(crate) fn dense_stack(&self) -> usize {
        self.work.max_stack.unwrap_or(64 << 10)
    }
}

impl StepArgs {
    /// What is to be run.
    pub(crate) fn plan(&self) -> anyhow::Result<Plan> {
        let mut plan = self.work.plan()?;
        if let Some(policy) = &self.policy {
            plan.policy = policy.clone().over(&plan.policy);
        }
        Ok(plan)
    }
}

impl RunArgs {
    /// What is to be run.
    pub(crate) fn plan(&self) -> anyhow::Result<Plan> {
        let mut plan = self.work.plan()?;
        if let Some(policy) = &self.policy {
            plan.policy = policy.clone().over(&plan.policy);
        }
        plan.stdout = self.stdout.or(plan.stdout);
        let modules = plan.modules.iter().filter(|module| !module.built_in).map(|module| module.path.as_str());
        let stdin = plan.tasks.iter().filter_map(|task| task.world.stdin.as_deref());
        self.traces.keep_apart(self.record.as_deref(), modules.chain(stdin).chain(self.work.plan.as_deref()))?;
        Ok(plan)
    }
}

impl TraceArgs {
    /// Looks whether each of them, and a recording, has a file of its own, which is none that is read.
    pub(crate) fn keep_apart<'a>(
        &self,
        record: Option<&str>,
        inputs: impl IntoIterator<Item = &'a str>,
    ) -> anyhow::Result<()> {
        let outputs = [
            ("--record", record),
            ("--trace", self.trace.as_deref()),
            ("--report", self.report.as_deref()),
            ("--timeline-svg", self.timeline_svg.as_deref()),
            ("--profile", self.profile.as_deref()),
        ];
        keep_apart(&outputs, inputs)
    }
}

/// An amount of fuel: `10000`, `10_000`.
fn fuel(text: &str) -> Result<u64, String> {
    let allowed = || format!("it takes a whole number from 1 to {MOST_FUEL}, such as 10_000");
    units::whole(text).filter(|n| (1..=MOST_FUEL).contains(n)).ok_or_else(allowed)
}

/// A moment of the virtual clock.
fn moment(text: &str) -> Result<u64, String> {
    units::whole(text).ok_or_else(|| "it takes a whole number, such as 10_000".into())
}

/// A number of rows.
fn rows(text: &str) -> Result<usize, String> {
    let number = units::whole(text).and_then(|n| usize::try_from(n).ok());
    number.ok_or_else(|| "it takes a whole number, such as 100".into())
}

/// A number of tasks.
fn tasks(text: &str) -> Result<u64, String> {
    let allowed = || format!("it takes a whole number from 1 to {MOST_AT_ONCE}, such as 100_000");
    units::whole(text).filter(|n| (1..=MOST_AT_ONCE).contains(n)).ok_or_else(allowed)
}

/// A variable of the environment.
fn variable(text: &str) -> Result<(String, String), String> {
    plan::variable(text).ok_or_else(|| format!("it takes {VARIABLE}"))
}

/// A folder.
fn dir(text: &str) -> Result<DirPlan, String> {
    plan::dir(text).ok_or_else(|| format!("it takes {DIR}"))
}

/// A time that is not zero.
fn time(text: &str) -> Result<Duration, String> {
    units::time(text).ok_or_else(|| format!("it takes {A_TIME}"))
}

/// A size of memory.
fn size(text: &str) -> Result<usize, String> {
    units::size(text).ok_or_else(|| format!("it takes {A_SIZE}"))
}

/// A size of stack.
fn stack(text: &str) -> Result<usize, String> {
    units::stack(text).ok_or_else(|| format!("it takes {A_STACK}"))
}
