//! What more workers do for 1,000 tasks that only compute. `docs/benchmarks.md` says what came out.
//!
//! ```text
//! cargo bench --bench workers                a Markdown table: medians, quartiles, times as fast as one worker with its 95 % interval
//! cargo bench --bench workers -- --quick     the same, shorter and less exact
//! cargo bench --bench workers -- --test      everything once
//! ```
//!
//! Measured is all of it: making the tasks, the threads, the executors and the policies, every switch, and the collecting of the ends. What each task returns and
//! the fuel that it uses are compared with those of one worker every time.

#[path = "switch/stats.rs"]
mod stats;
#[path = "shared/table.rs"]
mod table;

use fuelsched::policy::RoundRobin;
use fuelsched::{Engine, EngineConfig, Executor, Fuel, Module, Value, Workers};
use stats::{Estimate, Spread};
use std::num::NonZeroUsize;
use std::thread;
use std::time::Instant;
use table::{Table, has, is_test};

/// Fuel a turn, the binary's.
const QUANTUM: Fuel = Fuel(10_000);

/// What each task returned, and the fuel that it used.
type Ends = Vec<(Value, Fuel)>;

/// One way to run the tasks.
#[derive(Clone, Copy)]
struct Way {
    /// How many threads.
    workers: usize,
    /// Whether tasks that have not started may move.
    rebalance: bool,
    /// Whether the tasks of a worker are as long as the others'.
    even: bool,
}

impl Way {
    /// As the table names it.
    fn name(self) -> [String; 3] {
        let tasks = if self.even { "alike" } else { "long and short by turns" };
        [tasks.into(), self.workers.to_string(), String::from(if self.rebalance { "yes" } else { "no" })]
    }

    /// Runs so many tasks to their ends.
    fn run(self, module: &Module, tasks: usize) -> Ends {
        let count = NonZeroUsize::new(self.workers).expect("at least one");
        let mut workers = Workers::new(count).rebalancing(self.rebalance);
        for index in 0..tasks {
            let depth = if self.even || index % 2 == 0 { 20 } else { 15 };
            workers.spawn(module.call("main", &[Value::I32(depth)]));
        }
        let finished = workers.run(|_| Executor::builder().policy(RoundRobin::new(QUANTUM)).build());
        let end = |task: fuelsched::workers::Done| {
            let ended = task.end.expect("it ran");
            (ended.outcome.values().expect("it returned")[0], ended.ledger.used)
        };
        finished.tasks.into_iter().map(end).collect()
    }
}

/// All ways: one worker first, with which the others are compared.
fn ways(even: bool) -> Vec<Way> {
    let cores = thread::available_parallelism().map_or(2, NonZeroUsize::get);
    let mut counts = vec![2, cores];
    counts.dedup();
    let several = counts.into_iter().filter(|count| *count > 1);
    let both = several.flat_map(|workers| [false, true].map(|rebalance| Way { workers, rebalance, even }));
    [Way { workers: 1, rebalance: false, even }].into_iter().chain(both).collect()
}

/// Milliseconds of each way, round by round. Who is first changes, and so does the direction.
fn measure(module: &Module, ways: &[Way], rounds: usize, tasks: usize) -> Vec<Vec<f64>> {
    let expected = ways[0].run(module, tasks);
    let n = ways.len();
    let round = |round: usize| {
        let mut millis = vec![0.0; n];
        for place in 0..n {
            let place = if round.is_multiple_of(2) { place } else { n - 1 - place };
            let which = (place + round / 2) % n;
            let start = Instant::now();
            let ends = ways[which].run(module, tasks);
            millis[which] = start.elapsed().as_secs_f64() * 1e3;
            assert!(ends == expected, "results and fuel are the same whoever runs the tasks");
        }
        millis
    };
    (0..rounds).map(round).collect()
}

fn main() {
    let (sets, rounds, tasks) = match (is_test(), has("--quick")) {
        (true, _) => (1, 1, 8),
        (_, true) => (3, 8, 1000),
        _ => (8, 12, 1000),
    };
    let columns = ["tasks", "workers", "rebalancing", "ms", "quartiles", "times as fast as one", "95 % interval"];
    let mut table = Table::new("workers", &columns);
    for even in [true, false] {
        let ways = ways(even);
        let set = |_| {
            let engine = Engine::new(&EngineConfig::default()).expect("the engine");
            let module = Module::from_bytes(&engine, "fib", include_bytes!("../wasm/fib.wat")).expect("it compiles");
            measure(&module, &ways, rounds, tasks)
        };
        let sets: Vec<Vec<Vec<f64>>> = (0..sets).map(set).collect();
        for (which, way) in ways.iter().enumerate() {
            let Spread { low, median, high } = Spread::of(sets.iter().flatten().map(|round| round[which]));
            let faster: Vec<Vec<f64>> =
                sets.iter().map(|set| set.iter().map(|round| round[0] / round[which]).collect()).collect();
            let faster = Estimate::of(&faster);
            let mut row = way.name().to_vec();
            row.extend([format!("{median:.1}"), format!("{low:.1}–{high:.1}"), format!("{:.2}", faster.median)]);
            row.push(format!("{:.2} to {:.2}", faster.low, faster.high));
            table.row(row);
        }
    }
    table.finish();
}
