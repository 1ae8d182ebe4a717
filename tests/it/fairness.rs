//! Fairness of round robin, as properties over random task sets, and with real guests.
//!
//! The bound is the one that `policy::RoundRobin` promises: over any interval in which two tasks are ready throughout, their service
//! differs by at most one quantum and both largest overshoots. "Any interval" is every pair of switches, so the largest and
//! the smallest difference seen since both became ready is what is compared.

use crate::support::{Slices, endless, guest, work};
use fuelsched::policy::RoundRobin;
use fuelsched::reason::Param;
use fuelsched::trace::{Ended, Observer, Slice};
use fuelsched::{Budget, Executor, Fuel, Outcome, RunEnd, Task, TaskId};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::Poll;

/// How one random task behaves.
#[derive(Clone, Debug)]
struct Shape {
    /// Its quantum.
    quantum: u64,
    /// How far its slices go past their grants, in turn.
    overshoots: Vec<u64>,
}

impl Shape {
    /// The task: it never ends.
    fn task(&self) -> Task {
        let mut overshoots = self.overshoots.clone().into_iter().cycle();
        let future = Task::from_future(move |meter| {
            poll_fn(move |_| {
                let overshoot = overshoots.next().unwrap_or_default();
                meter.record(meter.used().plus(meter.grant()).plus(Fuel(overshoot)));
                Poll::<Outcome>::Pending
            })
        });
        future.param(Param::Quantum(Fuel(self.quantum)))
    }

    /// The largest overshoot.
    fn largest(&self) -> u64 {
        self.overshoots.iter().copied().max().unwrap_or_default()
    }
}

/// Random shapes: small overshoots, and now and then one of many quanta. Quanta are all equal, or all different.
fn shape(quantum: impl Strategy<Value = u64>) -> impl Strategy<Value = Shape> {
    let overshoot = prop_oneof![4 => 0..20_u64, 1 => 0..100_000_u64];
    (quantum, prop::collection::vec(overshoot, 1..5)).prop_map(|(quantum, overshoots)| Shape { quantum, overshoots })
}

/// A set of tasks that are all there from the start.
fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let equal = (1..5_000_u64).prop_flat_map(|quantum| prop::collection::vec(shape(Just(quantum)), 2..7));
    prop_oneof![equal, prop::collection::vec(shape(1..5_000_u64), 2..7)]
}

/// Service per task, and for each pair the smallest and largest difference since both became ready.
#[derive(Debug, Default)]
struct Pairs {
    /// By the order of spawning: shape, service so far, and whether it is ready.
    tasks: Vec<(Shape, i128, bool)>,
    /// By pair: the least and the most of the difference in normalised service.
    seen: BTreeMap<(usize, usize), (i128, i128)>,
}

impl Pairs {
    /// A task has become ready, or is not any more: intervals in which it was ready throughout begin anew.
    fn set_ready(&mut self, who: usize, ready: bool) {
        self.tasks[who].2 = ready;
        self.seen.retain(|(a, b), _| *a != who && *b != who);
        self.look();
    }

    /// Notes the difference of each pair of ready tasks. Service is counted in quanta, so that tasks with different quanta
    /// compare: `a / qa - b / qb`, times `qa × qb`.
    fn look(&mut self) {
        for (a, (x, used_a, _)) in self.tasks.iter().enumerate().filter(|(_, task)| task.2) {
            for (b, (y, used_b, _)) in self.tasks.iter().enumerate().skip(a + 1).filter(|(_, task)| task.2) {
                let difference = used_a * i128::from(y.quantum) - used_b * i128::from(x.quantum);
                let (least, most) = self.seen.entry((a, b)).or_insert((difference, difference));
                *least = difference.min(*least);
                *most = difference.max(*most);
                let (qa, qb) = (i128::from(x.quantum), i128::from(y.quantum));
                let bound = qa * qb + i128::from(x.largest()) * qb + i128::from(y.largest()) * qa;
                assert!(*most - *least <= bound, "tasks {a} and {b}: {least} to {most}, and {bound} is allowed");
            }
        }
    }
}

impl Observer for Pairs {
    fn slice(&mut self, slice: &Slice) {
        let who = slice.spawn_index as usize;
        assert!(self.tasks[who].2, "task {who} ran and was not ready");
        self.tasks[who].1 += i128::from(slice.used.0);
        self.look();
    }
    fn ended(&mut self, task: &Ended) {
        self.set_ready(task.spawn_index as usize, false);
    }
}

/// Runs the shapes for some steps, some of them cut short by the host.
fn run<O: Observer>(shapes: &[Shape], runs: &[(u64, u64)], observer: O) -> Executor<RoundRobin, O> {
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(1))).observer(observer).build();
    for shape in shapes {
        sched.spawn(shape.task()).unwrap();
    }
    for (fuel, polls) in runs {
        sched.run_for(Budget::fuel(*fuel).or_polls(*polls));
    }
    sched
}

/// Runs of the host's: how much fuel and how many polls each. Small ones cut turns.
fn runs() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let fuel = prop_oneof![1..1_000_u64, Just(u64::MAX)];
    prop::collection::vec((fuel, 1..60_u64), 1..12)
}

/// What a host may do between steps.
#[derive(Clone, Debug)]
enum Deed {
    /// Spawns an endless task.
    Spawn(Shape),
    /// Spawns a task of a few slices.
    Brief(Vec<u64>),
    /// Kills a task.
    Kill(usize),
    /// Suspends one.
    Suspend(usize),
    /// Resumes one.
    Resume(usize),
    /// Runs for so much fuel and so many polls.
    Run(u64, u64),
}

/// A random deed, among tasks with this quantum.
fn deed(quantum: u64) -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => shape(Just(quantum)).prop_map(Deed::Spawn),
        2 => prop::collection::vec(0..3_000_u64, 0..4).prop_map(Deed::Brief),
        1 => any::<prop::sample::Index>().prop_map(|i| Deed::Kill(i.index(8))),
        2 => any::<prop::sample::Index>().prop_map(|i| Deed::Suspend(i.index(8))),
        2 => any::<prop::sample::Index>().prop_map(|i| Deed::Resume(i.index(8))),
        3 => (1..4_000_u64, 1..30_u64).prop_map(|(fuel, polls)| Deed::Run(fuel, polls)),
        3 => (1..30_u64).prop_map(|polls| Deed::Run(u64::MAX, polls)),
    ]
}

/// A host, and the ids that it has.
struct Host {
    /// Its executor.
    sched: Executor<RoundRobin, Pairs>,
    /// Ids in the order of spawning; some of tasks long gone.
    ids: Vec<TaskId>,
    /// The quantum of all tasks.
    quantum: u64,
}

impl Host {
    /// A host with no tasks.
    fn new(quantum: u64) -> Host {
        let sched = Executor::builder().policy(RoundRobin::new(Fuel(quantum))).observer(Pairs::default()).build();
        Host { sched, ids: Vec::new(), quantum }
    }

    /// Spawns a task. A brief one is watched for nothing but being picked when it may be: it may yield, and forfeit.
    fn spawn(&mut self, task: Task, shape: Shape) {
        self.ids.push(self.sched.spawn(task).unwrap());
        let pairs = self.sched.observer_mut();
        pairs.tasks.push((shape, 0, false));
        pairs.set_ready(self.ids.len() - 1, true);
    }

    /// Does what the host does. Whether the task lives is the executor's to know.
    fn act(&mut self, deed: Deed) {
        match deed {
            Deed::Spawn(shape) => self.spawn(shape.task(), shape),
            Deed::Brief(costs) => {
                // Its own slices are no measure of fairness, so as many overshoots as there can be are allowed.
                let overshoots = vec![1 << 40];
                let quantum = self.quantum;
                self.spawn(work(costs).detached(), Shape { quantum, overshoots });
            }
            Deed::Kill(i) => {
                let _ = self.ids.get(i).map(|id| self.sched.kill(*id));
            }
            Deed::Suspend(i) => {
                if self.ids.get(i).is_some_and(|id| self.sched.suspend(*id).is_ok()) {
                    self.sched.observer_mut().set_ready(i, false);
                }
            }
            Deed::Resume(i) => {
                if self.ids.get(i).is_some_and(|id| self.sched.resume(*id).is_ok()) {
                    self.sched.observer_mut().set_ready(i, true);
                }
            }
            Deed::Run(fuel, polls) => {
                self.sched.run_for(Budget::fuel(fuel).or_polls(polls));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn service_differs_by_at_most_one_quantum_and_both_overshoots(shapes in shapes(), runs in runs()) {
        let tasks = shapes.iter().map(|shape| (shape.clone(), 0, true)).collect();
        let mut pairs = Pairs { tasks, ..Pairs::default() };
        pairs.look();
        run(&shapes, &runs, pairs);
    }

    #[test]
    fn nothing_is_lost_and_nothing_is_counted_twice(shapes in shapes(), runs in runs()) {
        let sched = run(&shapes, &runs, Slices::default());
        let slices = &sched.observer().0;
        let sum: u64 = slices.iter().map(|slice| slice.used.0).sum();
        prop_assert_eq!(sched.totals().fuel, Fuel(sum));
        prop_assert_eq!(sched.now(), Fuel(sum));
        prop_assert_eq!(sched.totals().slices, slices.len() as u64);
        for spawn_index in 0..shapes.len() {
            let own = sched.observer().of(spawn_index as u64);
            let ledger = sched.ledger(TaskId::new(spawn_index as u32, 0)).unwrap();
            prop_assert_eq!(ledger.used.0, own.iter().map(|slice| slice.used.0).sum::<u64>());
            prop_assert_eq!(ledger.slices, own.len() as u64);
        }
    }

    #[test]
    fn the_same_tasks_make_the_same_schedule(shapes in shapes(), runs in runs()) {
        let first = run(&shapes, &runs, Slices::default());
        let second = run(&shapes, &runs, Slices::default());
        prop_assert_eq!(&first.observer().0, &second.observer().0);
    }

    #[test]
    fn whatever_the_host_does_nobody_starves(
        (quantum, deeds) in (1..2_000_u64).prop_flat_map(|q| (Just(q), prop::collection::vec(deed(q), 1..60)))
    ) {
        let mut host = Host::new(quantum);
        for deed in deeds {
            host.act(deed);
        }
        // Whoever is still there can be ended.
        host.sched.stop_all();
        prop_assert_eq!(host.sched.run().why, RunEnd::Done);
        prop_assert_eq!(host.sched.live(), 0);
    }
}

#[test]
fn a_chain_of_new_tasks_starves_nobody() {
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(10))).build();
    let old = [(); 3].map(|()| sched.spawn(endless()).unwrap());
    for _ in 0..400 {
        // Two new ones for each poll, each of which ends in its first.
        for _ in 0..2 {
            sched.spawn(work([]).detached()).unwrap();
        }
        let _ = sched.step();
    }
    // Rounds grow as tasks pile up, and end all the same.
    for id in old {
        assert!(sched.ledger(id).unwrap().slices >= 5, "{:?}", sched.ledger(id));
    }
}

#[test]
fn fairness_outlasts_more_debt_than_a_u64_counts() {
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(1))).build();
    // Each owes 2^63 rounds, and pays them alone.
    for _ in 0..8 {
        sched.spawn(work([u64::MAX / 2]).detached()).unwrap();
        sched.run();
    }
    let [a, b] = [(); 2].map(|()| sched.spawn(endless()).unwrap());
    sched.run_for(Budget::polls(1_000));
    let used = [a, b].map(|id| sched.ledger(id).unwrap().used);
    assert_eq!(used, [Fuel(500); 2]);
}

#[test]
fn a_guest_of_65_541_fuel_a_slice_gets_no_more_than_its_neighbour() {
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(1_000))).build();
    let [fill, spin] = ["fill", "spin"].map(|name| sched.spawn(guest(name).call("main", &[])).unwrap());
    let ran = sched.run_for(Budget::fuel(70_000_000));
    assert_eq!(ran.why, RunEnd::BudgetSpent);
    let [fill, spin] = [fill, spin].map(|id| sched.ledger(id).unwrap());
    // A slice that is granted the little that a debt has left overshoots by nearly all of its 65,541.
    assert_eq!((fill.max_overshoot, spin.max_overshoot), (Fuel(65_533), Fuel(0)));
    assert!(fill.used.0.abs_diff(spin.used.0) <= 1_000 + 65_533, "{fill:?} {spin:?}");
    assert_eq!(spin.slices / fill.slices, 65);
}
