//! What one decision costs: a `pick` and the `charge` that puts the task back among the ready, for each policy, with 10, 1,000 and 100,000
//! ready tasks. No guest runs, and no executor: it is the policy alone.
//!
//! Slices are either all alike, exactly the grant, or of mixed overshoots, as guests have them that are stopped at their next yield
//! point. Policies are called directly, and through the `Box<dyn Policy>` of an executor whose policy can be exchanged. All
//! of one size are measured in rounds, each of them once in each round, so that whatever disturbs the machine disturbs all.
//!
//! ```text
//! cargo bench --bench policy                a Markdown table: median, and quartiles
//! cargo bench --bench policy -- --quick     the same, shorter and less exact
//! cargo bench --bench policy -- --test      everything once
//! ```

#[path = "switch/stats.rs"]
#[expect(dead_code, reason = "the other bench's estimates")]
mod stats;
#[path = "shared/table.rs"]
mod table;

use fuelsched::policy::{Cyclic, Edf, Mlfq, Mode, Pick, Policy, Priority, RoundRobin, Weighted, Window};
use fuelsched::reason::{Param, Params, ReadyReason};
use fuelsched::{Fuel, SliceEnd, TaskId};
use stats::Spread;
use std::hint::black_box;
use std::time::Instant;
use table::{Table, grouped};

/// Fuel a slice.
const QUANTUM: Fuel = Fuel(1_000);

/// How many tasks are ready.
const TASKS: [u32; 3] = [10, 1_000, 100_000];

/// How far slices go past their grants, in turn: mostly a little, now and then a bulk operation.
const OVERSHOOTS: [u64; 16] = [0, 3, 17, 8, 0, 41, 5, 950, 2, 11, 0, 65_541, 7, 29, 4, 2_300];

/// A policy with its ready tasks, to be measured.
struct Contestant {
    /// What the table calls it.
    name: &'static str,
    /// Whether calls go through a `Box<dyn Policy>`.
    boxed: bool,
    /// Whether slices overshoot.
    mixed: bool,
    /// Makes so many decisions, and says how many ns each took.
    measure: Box<dyn FnMut(u64) -> f64>,
}

/// All contestants with so many tasks.
type Entry = fn(u32) -> Vec<Contestant>;

/// Each policy: one line.
const ENTRIES: &[Entry] = &[
    |n| entry("round-robin", n, || RoundRobin::new(QUANTUM), params),
    |n| entry("weighted", n, || Weighted::new(QUANTUM), params),
    |n| entry("priority", n, || Priority::new(QUANTUM), params),
    |n| entry("priority, ageing", n, || Priority::new(QUANTUM).ageing(Fuel(100_000)), params),
    |n| entry("edf", n, || Edf::new(QUANTUM), params),
    |n| entry("mlfq", n, || Mlfq::new(QUANTUM), params),
    #[cfg(feature = "lottery")]
    |n| entry("lottery", n, || fuelsched::policy::Lottery::new(QUANTUM, 42), params),
    |n| entry("cyclic", n, cyclic, params),
];

/// How many windows the frame of `cyclic` has.
const WINDOWS: u32 = 8;

/// A frame of windows of 10 quanta each.
fn cyclic() -> Cyclic {
    let length = 10 * QUANTUM.0;
    let window = |n: u32| Window { partition: Some(n), offset: u64::from(n) * length, length };
    let frame = u64::from(WINDOWS) * length;
    let mode = Mode { name: "bench".into(), frame, windows: (0..WINDOWS).map(window).collect() };
    Cyclic::in_fuel(vec![mode]).expect("the windows fit").quantum(QUANTUM)
}

/// What the policies are told of a task; each takes what it knows. The reservations of 100,000 tasks come to half of the time.
fn params(index: u32) -> Params {
    Params::default()
        .with(Param::Weight(index % 4 + 1))
        .with(Param::Priority((index % 4) as u8))
        .with(Param::Runtime(Fuel(1_000_000)))
        .with(Param::Period(Fuel(200_000_000_000)))
        .with(Param::Partition(index % WINDOWS))
}

/// A policy in its four rows.
fn entry<P: Policy + 'static>(
    name: &'static str,
    tasks: u32,
    make: fn() -> P,
    params: fn(u32) -> Params,
) -> Vec<Contestant> {
    let mut all = Vec::new();
    for mixed in [false, true] {
        let measure = deciding(make(), tasks, params, mixed);
        all.push(Contestant { name, boxed: false, mixed, measure });
        let measure = deciding(Box::new(make()) as Box<dyn Policy>, tasks, params, mixed);
        all.push(Contestant { name, boxed: true, mixed, measure });
    }
    all
}

/// Fills a policy with ready tasks, and returns what makes decisions with it.
fn deciding<P: Policy + 'static>(
    policy: P,
    tasks: u32,
    params: fn(u32) -> Params,
    mixed: bool,
) -> Box<dyn FnMut(u64) -> f64> {
    // Known to nobody: a box whose content the compiler sees is no indirect call.
    let mut policy = black_box(policy);
    for index in 0..tasks {
        let id = TaskId::new(index, 0);
        policy.admit(id, &params(index)).expect("the policy takes it");
        policy.ready(id, ReadyReason::Spawned, Fuel::ZERO);
    }
    let (mut now, mut slices) = (Fuel::ZERO, 0);
    Box::new(move |decisions| {
        let start = Instant::now();
        for _ in 0..decisions {
            decide(&mut policy, &mut now, &mut slices, mixed);
        }
        start.elapsed().as_nanos() as f64 / decisions as f64
    })
}

/// One decision: who runs, and the account of the slice.
#[inline(always)]
fn decide<P: Policy>(policy: &mut P, now: &mut Fuel, slices: &mut usize, mixed: bool) {
    match policy.pick(*now) {
        Pick::Run(run) => {
            let overshoot = if mixed { OVERSHOOTS[*slices % OVERSHOOTS.len()] } else { 0 };
            let used = run.grant.plus(Fuel(overshoot));
            *slices += 1;
            *now = now.plus(used);
            policy.charge(run.id, used, SliceEnd::Preempted);
        }
        Pick::IdleUntil(then) => *now = then,
        _ => panic!("all tasks are ready"),
    }
}

/// How much is measured.
struct Plan {
    /// Rounds.
    rounds: usize,
    /// Decisions in each measurement.
    decisions: u64,
}

/// By the arguments that other benches know too. Without `--bench` it is `cargo test` that runs this.
fn plan() -> Plan {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| args.iter().any(|arg| arg == name);
    if has("--test") || !has("--bench") {
        Plan { rounds: 2, decisions: 20 }
    } else if has("--quick") {
        Plan { rounds: 20, decisions: 10_000 }
    } else {
        Plan { rounds: 100, decisions: 50_000 }
    }
}

fn main() {
    let plan = plan();
    let mut table = Table::new("policy", &["tasks", "policy", "calls", "slices", "ns a decision", "quartiles"]);
    for tasks in TASKS {
        // One after the other in memory, too: each policy has its own tables, and all of them share the caches.
        let mut contestants: Vec<Contestant> = ENTRIES.iter().flat_map(|make| make(tasks)).collect();
        let nanos = measure(&mut contestants, &plan);
        for (contestant, nanos) in contestants.iter().zip(nanos) {
            row(&mut table, tasks, contestant, Spread::of(nanos.into_iter()));
        }
    }
    table.finish();
}

/// All rounds; for each contestant, its times. The first round, in which tables are still cold, is not among them.
fn measure(contestants: &mut [Contestant], plan: &Plan) -> Vec<Vec<f64>> {
    let mut nanos = vec![Vec::with_capacity(plan.rounds); contestants.len()];
    for round in 0..=plan.rounds {
        for place in 0..contestants.len() {
            // Everybody is first in turn.
            let who = (place + round) % contestants.len();
            let time = (contestants[who].measure)(plan.decisions);
            if round > 0 {
                nanos[who].push(time);
            }
        }
    }
    nanos
}

/// Adds a row.
fn row(table: &mut Table, tasks: u32, contestant: &Contestant, times: Spread) {
    let calls = if contestant.boxed { "boxed" } else { "direct" };
    let slices = if contestant.mixed { "mixed" } else { "alike" };
    let Spread { low, median, high } = times;
    table.row(vec![
        grouped(u64::from(tasks)),
        format!("`{}`", contestant.name),
        calls.into(),
        slices.into(),
        format!("{median:.1}"),
        format!("{low:.1} to {high:.1}"),
    ]);
}
