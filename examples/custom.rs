//! A policy of one's own, from public parts only, and what it changes.
//!
//! ```text
//! cargo run --example custom
//! ```
//!
//! [`LeastUsed`] always runs the task that has used the least fuel so far. The same tasks run under it and under [`RoundRobin`]: three
//! long ones, and short ones that arrive while those are at work. Round robin makes a short task wait for its turns; least-used
//! lets it finish first, because whoever is short has, when it arrives, used least. Nobody has to say beforehand who is short.

use fuelsched::policy::{Pick, Policy, RoundRobin, Run};
use fuelsched::reason::{Param, Params, PickReason, ReadyReason};
use fuelsched::{Engine, EngineConfig, ErrorKind, Executor, Fuel, Module, Result, SliceEnd, Step, TaskId, Value};
use std::collections::BTreeSet;

/// Fuel a slice.
const QUANTUM: Fuel = Fuel(1_000);
/// Fuel from one arrival of a short task to the next.
const GAP: u64 = 20_000;

/// The policy `least-used`: who has used the least fuel so far runs next; among equals, who became ready first.
///
/// **Source.** Known as least attained service, or foreground-background: L. Kleinrock, "Queueing Systems", volume 2, 1976, chapter
/// 4; M. Nuyens and A. Wierman, "The Foreground-Background queue: a survey", Performance Evaluation 65(3-4), 2008.
///
/// **Fairness.** Take two tasks that are ready throughout an interval, and that have used the same when it begins. A task runs only
/// while it has used the least, so when its slice ends it is ahead of the other by no more than that slice: the two differ
/// by at most **one quantum plus one overshoot**, at any time in the interval. Of two that have used differently, the one behind runs
/// until it has caught up. This is the point of the policy, and its price: whoever comes later goes first.
///
/// **Starvation.** With `n` tasks and no arrivals a task that has used `u` waits until each of the others has used `u` as well, and
/// no longer: at most `(n - 1) * (u + quantum + overshoot)`. Arrivals add to that. A stream of them that needs all the fuel there is
/// starves the long tasks, so this is a policy for a host that knows that its short tasks leave something over. Deficit round
/// robin needs no such knowledge.
///
/// **Progress.** A slice is charged at least 1, so nobody stays the least for ever.
///
/// **Cost.** One ordered set of those that are ready: O(log n) a switch.
#[derive(Debug)]
struct LeastUsed {
    /// Fuel a slice, for tasks with no quantum of their own.
    quantum: Fuel,
    /// The state of each task, by [`TaskId::index`], which is small and dense.
    tasks: Vec<Account>,
    /// Those that are ready; the first is the next.
    ready: BTreeSet<Place>,
    /// How often a task became ready so far.
    arrivals: u64,
}

/// What the policy knows of one task.
#[derive(Clone, Copy, Debug)]
struct Account {
    /// Its name, with the generation that its slot is in.
    id: TaskId,
    /// Fuel a slice.
    quantum: Fuel,
    /// Where it stands, whether it is ready or not.
    place: Place,
}

/// A task's place among the ready. Ordered by the fields from top to bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// Fuel charged so far.
    used: Fuel,
    /// Number of the arrival: equals take turns.
    arrival: u64,
    /// Whose place it is.
    index: usize,
}

impl LeastUsed {
    /// With this much fuel a slice.
    fn new(quantum: Fuel) -> LeastUsed {
        LeastUsed { quantum: quantum.max(Fuel(1)), tasks: Vec::new(), ready: BTreeSet::new(), arrivals: 0 }
    }

    /// Puts a task among the ready.
    fn enter(&mut self, id: TaskId) {
        let place = &mut self.tasks[id.index()].place;
        place.arrival = self.arrivals;
        self.arrivals += 1;
        self.ready.insert(*place);
    }
}

/// What a policy does not serve, it refuses; it never guesses.
fn quantum_of(quantum: Fuel) -> Result<Fuel> {
    if quantum > Fuel::ZERO {
        return Ok(quantum);
    }
    let message = "a quantum of 0 would be an empty slice; it must be at least 1".into();
    let policy = "least-used";
    Err(ErrorKind::Refused { policy, message }.into())
}

impl Policy for LeastUsed {
    fn name(&self) -> &'static str {
        "least-used"
    }

    fn admit(&mut self, id: TaskId, params: &Params) -> Result<()> {
        let account = Account {
            id,
            quantum: quantum_of(params.quantum.unwrap_or(self.quantum))?,
            place: Place { used: Fuel::ZERO, arrival: 0, index: id.index() },
        };
        if id.index() >= self.tasks.len() {
            self.tasks.resize(id.index() + 1, account);
        }
        self.tasks[id.index()] = account;
        Ok(())
    }

    fn ready(&mut self, id: TaskId, _why: ReadyReason, _now: Fuel) {
        self.enter(id);
    }

    fn pick(&mut self, _now: Fuel) -> Pick {
        // Taken out: from here to its `charge` it is running, not ready.
        let Some(place) = self.ready.pop_first() else {
            return Pick::Empty;
        };
        let Account { id, quantum, .. } = self.tasks[place.index];
        Pick::Run(Run { id, grant: quantum, why: PickReason::Other("used least") })
    }

    fn charge(&mut self, id: TaskId, used: Fuel, end: SliceEnd) {
        let place = &mut self.tasks[id.index()].place;
        place.used = place.used.plus(used);
        // Blocked, it waits for `ready`; ended, for `leave`.
        if let SliceEnd::Preempted | SliceEnd::Yielded = end {
            self.enter(id);
        }
    }

    fn leave(&mut self, id: TaskId) {
        self.ready.remove(&self.tasks[id.index()].place);
    }

    fn set(&mut self, id: TaskId, param: Param) -> Result<()> {
        match param {
            Param::Quantum(quantum) => {
                self.tasks[id.index()].quantum = quantum_of(quantum)?;
                Ok(())
            }
            _ => {
                Err(ErrorKind::Refused { policy: self.name(), message: "it knows no parameter but the quantum".into() }
                    .into())
            }
        }
    }

    fn numbers(&self, id: TaskId) -> Vec<(&'static str, i64)> {
        let used = self.tasks[id.index()].place.used.0;
        vec![("used", i64::try_from(used).unwrap_or(i64::MAX))]
    }
}

/// A task of the comparison.
#[derive(Clone, Copy)]
struct Job {
    /// What it is called.
    name: &'static str,
    /// Which Fibonacci number it computes.
    n: i32,
    /// When it arrives, in fuel that has run.
    arrives: Fuel,
}

/// Three long tasks from the start, four short ones later.
const JOBS: [Job; 7] = [
    Job::new("long 1", 20, 0),
    Job::new("long 2", 20, 0),
    Job::new("long 3", 20, 0),
    Job::new("short 1", 11, GAP),
    Job::new("short 2", 11, 2 * GAP),
    Job::new("short 3", 11, 3 * GAP),
    Job::new("short 4", 11, 4 * GAP),
];

impl Job {
    /// A job.
    const fn new(name: &'static str, n: i32, arrives: u64) -> Job {
        let arrives = Fuel(arrives);
        Job { name, n, arrives }
    }
}

/// Runs the jobs under a policy. Says when each ended, on the clock of the executor, which counts fuel.
fn ends<P: Policy>(fib: &Module, policy: P) -> Result<Vec<Fuel>> {
    let mut sched = Executor::builder().policy(policy).build();
    let mut ends = vec![Fuel::ZERO; JOBS.len()];
    for job in JOBS {
        run_until(&mut sched, job.arrives, &mut ends);
        sched.spawn(fib.call("main", &[Value::I32(job.n)]))?;
    }
    run_until(&mut sched, Fuel::MAX, &mut ends);
    Ok(ends)
}

/// Steps until the clock shows `then`, or nobody is left, and notes who ended when.
fn run_until<P: Policy>(sched: &mut Executor<P>, then: Fuel, ends: &mut [Fuel]) {
    while sched.now() < then
        && let Step::Ran(slice) = sched.step()
    {
        if slice.end == SliceEnd::Ended {
            ends[slice.spawn_index as usize] = sched.now();
        }
    }
}

/// From arrival to end, in fuel, for each job.
fn turnarounds(ends: &[Fuel]) -> Vec<Fuel> {
    JOBS.iter().zip(ends).map(|(job, end)| end.minus(job.arrives)).collect()
}

fn main() -> Result<()> {
    let engine = Engine::new(&EngineConfig::default())?;
    let fib = Module::from_bytes(&engine, "fib.wat", include_bytes!("../wasm/fib.wat"))?;
    let in_turn = ends(&fib, RoundRobin::new(QUANTUM))?;
    let by_use = ends(&fib, LeastUsed::new(QUANTUM))?;

    println!("from arrival to end, in fuel");
    println!("{:<10} {:>9} {:>12} {:>12}", "task", "arrives", "round-robin", "least-used");
    let (a, b) = (turnarounds(&in_turn), turnarounds(&by_use));
    for ((job, a), b) in JOBS.iter().zip(&a).zip(&b) {
        println!("{:<10} {:>9} {a:>12} {b:>12}", job.name, job.arrives);
        assert!(job.arrives == Fuel::ZERO || b < a, "a short task ends sooner under least-used");
    }
    // Neither makes work, nor loses any: the last task ends at the same moment.
    assert_eq!(in_turn.iter().max(), by_use.iter().max());
    Ok(())
}
