//! Earliest deadline first: every decision is compared with a model that walks where the policy computes, every job with its deadline.
//!
//! `Watch` is a policy around the policy: it hears all that the executor says, keeps its own account of releases and deadlines, and checks what
//! is picked. A second test knows nothing of servers: it counts slices, and wants `k` runtimes by the `k`-th deadline.

use crate::support::{Slices, endless, work};
use fuelsched::policy::{Edf, FaultKind, Pick, Policy};
use fuelsched::reason::{Param, Params, PickReason, ReadyReason};
use fuelsched::{Budget, Executor, Fuel, Outcome, Result, Slice, SliceEnd, Task, TaskId};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::Poll;

/// Runtime, period and deadline.
type Terms = (u64, u64, u64);

/// What the model knows of a task.
#[derive(Clone, Copy, Debug)]
struct Job {
    /// The terms of the release, and of the next; `None` is the background.
    terms: Option<(Terms, Terms)>,
    /// The release, and its deadline.
    release: (u64, u64),
    /// When the terms of the next one were changed: it is not before.
    changed: u64,
    /// What is left of it; negative is a debt.
    left: i128,
    /// Whether the task is ready.
    ready: bool,
    /// Whether it is done for this period.
    yielded: bool,
    /// What it asked for: runtime, period, deadline.
    wanted: [Option<u64>; 3],
}

impl Job {
    /// The next release of whoever has nothing left, walked to, and what is left then.
    fn next(&self) -> (u64, i128) {
        let ((_, period, _), (runtime, next_period, _)) = self.terms.expect("it has a reservation");
        let mut at = self.release.0 + period;
        let mut left = i128::from(runtime) + self.left;
        while left <= 0 {
            left += i128::from(runtime);
            at += next_period;
        }
        (at.max(self.changed), left)
    }

    /// Releases it.
    fn start(&mut self, at: u64, left: i128) {
        let (_, next) = self.terms.expect("it has a reservation");
        self.terms = Some((next, next));
        self.release = (at, at + next.2);
        self.left = left;
        self.yielded = false;
        self.changed = 0;
    }

    /// The runtime of the next release.
    fn full(&self) -> i128 {
        i128::from(self.terms.expect("it has a reservation").1.0)
    }

    /// Whether it may run for its deadline.
    fn urgent(&self) -> bool {
        self.ready && self.terms.is_some() && self.left > 0
    }

    /// Whether it waits for its next release.
    fn throttled(&self) -> bool {
        self.ready && self.terms.is_some() && self.left <= 0
    }

    /// Whether it may run in the background.
    fn idle(&self) -> bool {
        self.ready && !self.urgent() && !self.yielded
    }
}

/// The terms that were asked for.
fn terms([runtime, period, deadline]: [Option<u64>; 3]) -> Option<Terms> {
    let period = period?;
    Some((runtime?, period, deadline.unwrap_or(period)))
}

/// The policy, watched.
struct Watch {
    /// The policy.
    edf: Edf,
    /// Whoever has not left.
    jobs: BTreeMap<TaskId, Job>,
    /// The largest overshoot of each task that ever was, and whether it ever had a reservation.
    overshoots: BTreeMap<TaskId, (u64, bool)>,
    /// The clock.
    now: u64,
    /// What the last pick granted, and why.
    picked: (u64, PickReason),
    /// Misses that the policy has to tell of.
    misses: Vec<(TaskId, u64)>,
}

impl Watch {
    /// Nobody.
    fn new(quantum: u64) -> Watch {
        Watch {
            edf: Edf::new(Fuel(quantum)),
            jobs: BTreeMap::new(),
            overshoots: BTreeMap::new(),
            now: 0,
            picked: (0, PickReason::Turn),
            misses: Vec::new(),
        }
    }

    /// How late anybody may be.
    fn bound(&self) -> u64 {
        let sum: u64 = self.overshoots.values().filter(|(_, reserved)| *reserved).map(|(overshoot, _)| overshoot).sum();
        sum + self.overshoots.values().map(|(overshoot, _)| *overshoot).max().unwrap_or_default()
    }

    /// A job was this late, or still is.
    fn late(&self, id: TaskId, by: u64) {
        assert!(by <= self.bound(), "task {id} is {by} late, and {} is allowed: {:?}", self.bound(), self.jobs[&id]);
    }

    /// The jobs that may run for their deadlines.
    fn urgent(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values().filter(|job| job.urgent())
    }

    /// Releases those whose time has come, in the order of that time.
    fn release_due(&mut self) {
        let mut due: Vec<(u64, TaskId)> = Vec::new();
        for (id, job) in &self.jobs {
            if job.throttled() && job.next().0 <= self.now {
                due.push((job.next().0, *id));
            }
        }
        for (at, id) in due {
            let job = self.jobs.get_mut(&id).expect("it is there");
            let (_, (_, period, deadline)) = job.terms.expect("it has a reservation");
            if at + deadline + period >= self.now {
                job.start(at, job.next().1);
            } else {
                job.start(self.now, job.full());
                let by = self.now - at - deadline;
                self.late(id, by);
                // One fault for all the periods that are lost.
                self.misses.push((id, by));
            }
        }
    }

    /// Looks at a pick for a deadline.
    fn check_urgent(&self, id: TaskId, grant: u64) {
        let job = &self.jobs[&id];
        assert!(job.urgent() && i128::from(grant) <= job.left, "{id}: {grant} of {job:?}");
        assert!(self.urgent().all(|other| other.release.1 >= job.release.1), "task {id} has not the earliest deadline");
        for other in self.jobs.values().filter(|other| other.throttled()) {
            let (_, (_, _, deadline)) = other.terms.expect("it has a reservation");
            let (at, _) = other.next();
            assert!(
                at + deadline >= job.release.1 || self.now + grant <= at,
                "a slice goes past a release that preempts"
            );
        }
    }

    /// Looks at a pick in the background.
    fn check_background(&self, id: TaskId, grant: u64) {
        assert!(self.jobs[&id].idle(), "task {id} may not run: {:?}", self.jobs[&id]);
        assert_eq!(self.urgent().count(), 0, "task {id} runs in the background, and somebody else is urgent");
        let first = self.jobs.values().filter(|job| job.throttled()).map(|job| job.next().0).min();
        assert!(first.is_none_or(|at| self.now + grant <= at), "a slice in the background goes past a release");
    }

    /// The policy has told of the same misses, and of no others.
    fn check_faults(&mut self) {
        let mut told = Vec::new();
        while let Some(fault) = self.edf.take_fault() {
            assert_eq!(fault.kind, FaultKind::DeadlineMiss);
            told.push((fault.id, fault.by.0));
        }
        let mut seen = std::mem::take(&mut self.misses);
        told.sort_unstable();
        seen.sort_unstable();
        assert_eq!(told, seen);
    }
}

impl Policy for Watch {
    fn name(&self) -> &'static str {
        "watched edf"
    }

    fn admit(&mut self, id: TaskId, params: &Params) -> Result<()> {
        self.edf.admit(id, params)?;
        let wanted = [params.runtime, params.period, params.deadline].map(|fuel| fuel.map(|fuel| fuel.0));
        let terms = terms(wanted).map(|terms| (terms, terms));
        let left = terms.map_or(0, |(terms, _)| i128::from(terms.0));
        self.jobs.insert(id, Job { terms, release: (0, 0), changed: 0, left, ready: false, yielded: false, wanted });
        self.overshoots.insert(id, (0, terms.is_some()));
        Ok(())
    }

    fn ready(&mut self, id: TaskId, why: ReadyReason, now: Fuel) {
        self.now = now.0;
        self.edf.ready(id, why, now);
        let job = self.jobs.get_mut(&id).expect("it was admitted");
        assert!(!job.ready);
        job.ready = true;
        if job.terms.is_none() {
            return;
        }
        if job.left <= 0 {
            let (at, left) = job.next();
            if at > now.0 {
                return;
            }
            job.start(at, left);
        }
        // More than its rate until the deadline: released anew.
        let ((runtime, _, deadline), _) = job.terms.expect("it has a reservation");
        let time = i128::from(job.release.1) - i128::from(now.0);
        if job.left * i128::from(deadline) > i128::from(runtime) * time {
            job.start(now.0, job.full());
        }
    }

    fn pick(&mut self, now: Fuel) -> Pick {
        self.now = now.0;
        self.release_due();
        let pick = self.edf.pick(now);
        self.check_faults();
        let ready = self.jobs.values().filter(|job| job.ready).count();
        match pick {
            Pick::Run(run) => {
                assert!(run.grant.0 >= 1);
                match run.why {
                    PickReason::Deadline => self.check_urgent(run.id, run.grant.0),
                    PickReason::Background => self.check_background(run.id, run.grant.0),
                    other => panic!("picked for {other}"),
                }
                self.picked = (run.grant.0, run.why);
                self.jobs.get_mut(&run.id).expect("it is there").ready = false;
            }
            Pick::IdleUntil(then) => {
                assert!(self.jobs.values().all(|job| !job.ready || job.yielded), "somebody could run");
                assert_eq!(self.jobs.values().filter(|job| job.ready).map(|job| job.next().0).min(), Some(then.0));
            }
            Pick::Empty => assert_eq!(ready, 0),
            other => panic!("{other:?}"),
        }
        pick
    }

    fn charge(&mut self, id: TaskId, used: Fuel, end: SliceEnd) {
        let began = self.now;
        self.now += used.0;
        self.edf.charge(id, used, end);
        let (grant, why) = self.picked;
        let overshoot = &mut self.overshoots.get_mut(&id).expect("it was admitted").0;
        *overshoot = used.0.saturating_sub(grant).max(*overshoot);
        let job = self.jobs.get_mut(&id).expect("it is there");
        job.ready = matches!(end, SliceEnd::Preempted | SliceEnd::Yielded);
        if why == PickReason::Deadline {
            let served = used.0.min(job.left as u64);
            job.left -= i128::from(used.0);
            let done = job.left <= 0 || end != SliceEnd::Preempted && used.0 > 0;
            let by = (began + served).saturating_sub(job.release.1);
            if end == SliceEnd::Yielded {
                job.left = job.left.min(0);
            }
            if done && by > 0 {
                self.misses.push((id, by));
            }
            if used.0 > 0 {
                self.late(id, by);
            }
        }
        let job = self.jobs.get_mut(&id).expect("it is there");
        if end == SliceEnd::Yielded && job.terms.is_some() {
            job.yielded = true;
        }
        self.check_faults();
    }

    fn leave(&mut self, id: TaskId) {
        self.edf.leave(id);
        self.jobs.remove(&id);
    }

    fn set(&mut self, id: TaskId, param: Param) -> Result<()> {
        self.edf.set(id, param)?;
        let now = self.now;
        let job = self.jobs.get_mut(&id).expect("it is there");
        match param {
            Param::Runtime(fuel) => job.wanted[0] = Some(fuel.0),
            Param::Period(fuel) => job.wanted[1] = Some(fuel.0),
            Param::Deadline(fuel) => job.wanted[2] = Some(fuel.0),
            _ => return Ok(()),
        }
        let Some(wanted) = terms(job.wanted) else { return Ok(()) };
        self.overshoots.get_mut(&id).expect("it was admitted").1 = true;
        match &mut job.terms {
            Some((_, next)) => {
                *next = wanted;
                job.changed = now;
            }
            None => {
                job.terms = Some((wanted, wanted));
                job.left = job.full();
                if job.ready {
                    job.start(now, job.full());
                }
            }
        }
        Ok(())
    }

    fn numbers(&self, id: TaskId) -> Vec<(&'static str, i64)> {
        self.edf.numbers(id)
    }
}

/// What a task does in a slice.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Uses its grant, and so much more.
    Use(u64),
    /// Uses at most so much, and gives the rest away.
    Yield(u64),
}

/// A random task.
#[derive(Clone, Debug)]
struct Shape {
    /// Its reservation.
    terms: Option<Terms>,
    /// What it does, over and over.
    acts: Vec<Act>,
    /// After how many slices it ends.
    ends: Option<usize>,
    /// Fuel a period, and the period: then it blocks now and then.
    allowance: Option<(u64, u64)>,
}

impl Shape {
    /// The task.
    fn task(&self) -> Task {
        let (acts, ends) = (self.acts.clone(), self.ends);
        let mut slices = 0;
        let mut task = Task::from_future(move |meter| {
            poll_fn(move |_| {
                if ends == Some(slices) {
                    return Poll::Ready(Outcome::Returned(Vec::new()));
                }
                let used = match acts[slices % acts.len()] {
                    Act::Use(overshoot) => meter.grant().plus(Fuel(overshoot)),
                    Act::Yield(used) => Fuel(used).min(meter.grant().minus(Fuel(1))),
                };
                slices += 1;
                meter.record(meter.used().plus(used));
                Poll::Pending
            })
        });
        if let Some((amount, period)) = self.allowance {
            task = task.replenishing(Fuel(amount), Fuel(period));
        }
        match self.terms {
            Some(terms) => reserve(task, terms),
            None => task,
        }
    }
}

/// The task with a reservation.
fn reserve(task: Task, (runtime, period, deadline): Terms) -> Task {
    task.param(Param::Runtime(Fuel(runtime))).param(Param::Period(Fuel(period))).param(Param::Deadline(Fuel(deadline)))
}

/// Random terms.
fn any_terms() -> impl Strategy<Value = Terms> {
    let lengths = prop_oneof![1..30_u64, 20..400_u64];
    (lengths, 0..3_u64, 1..=100_u64).prop_map(|(deadline, more, percent)| {
        ((deadline * percent / 100).max(1), deadline + more * deadline / 2, deadline)
    })
}

/// A random task, with overshoots up to this.
fn shape(largest: u64) -> impl Strategy<Value = Shape> {
    let overshoot = prop_oneof![3 => Just(0), 3 => 0..=largest.min(9), 1 => 0..=largest];
    let act = prop_oneof![5 => overshoot.prop_map(Act::Use), 1 => (1..40_u64).prop_map(Act::Yield)];
    let acts = prop_oneof![Just(vec![Act::Use(0)]), prop::collection::vec(act, 1..5)];
    let terms = prop_oneof![3 => any_terms().prop_map(Some), 1 => Just(None)];
    let ends = prop_oneof![2 => Just(None), 1 => (1..9_usize).prop_map(Some)];
    let allowance = prop_oneof![4 => Just(None), 1 => (1..60_u64, 1..200_u64).prop_map(Some)];
    (terms, acts, ends, allowance).prop_map(|(terms, acts, ends, allowance)| Shape { terms, acts, ends, allowance })
}

/// What a host does.
#[derive(Clone, Debug)]
enum Deed {
    /// Spawns a task, if the policy takes it.
    Spawn(Shape),
    /// Kills one.
    Kill(usize),
    /// Suspends one.
    Suspend(usize),
    /// Resumes one.
    Resume(usize),
    /// Changes one.
    Set(usize, Param),
    /// Runs for so much fuel and so many polls.
    Run(u64, u64),
}

/// A random deed.
fn deed(largest: u64) -> impl Strategy<Value = Deed> {
    let who = || 0..12_usize;
    let param = (0..3_u8, 1..300_u64).prop_map(|(which, n)| match which {
        0 => Param::Runtime(Fuel(n / 4)),
        1 => Param::Period(Fuel(n)),
        _ => Param::Deadline(Fuel(n)),
    });
    prop_oneof![
        6 => shape(largest).prop_map(Deed::Spawn),
        2 => who().prop_map(Deed::Kill),
        1 => who().prop_map(Deed::Suspend),
        2 => who().prop_map(Deed::Resume),
        1 => (who(), param).prop_map(|(who, param)| Deed::Set(who, param)),
        4 => (1..200_u64, 1..40_u64).prop_map(|(fuel, polls)| Deed::Run(fuel, polls)),
        2 => (1..60_u64).prop_map(|polls| Deed::Run(u64::MAX, polls)),
    ]
}

/// Does it all, watched, and says what became of the host.
fn host(quantum: u64, deeds: &[Deed]) -> Executor<Watch> {
    let mut sched = Executor::builder().policy(Watch::new(quantum)).build();
    let mut ids: Vec<TaskId> = Vec::new();
    for deed in deeds {
        match deed {
            Deed::Spawn(shape) => ids.extend(sched.spawn(shape.task().detached()).ok()),
            Deed::Run(fuel, polls) => {
                sched.run_for(Budget::fuel(*fuel).or_polls(*polls));
            }
            Deed::Kill(who) => drop(ids.get(*who).map(|id| sched.kill(*id))),
            Deed::Suspend(who) => drop(ids.get(*who).map(|id| sched.suspend(*id))),
            Deed::Resume(who) => drop(ids.get(*who).map(|id| sched.resume(*id))),
            Deed::Set(who, param) => drop(ids.get(*who).map(|id| sched.set(*id, *param))),
        }
        ids.retain(|id| sched.state(*id).is_some());
    }
    sched
}

/// Spawns tasks that always want to run until the shares, in 720ths, are all taken.
fn full_house(sched: &mut Executor<Edf, Slices>, wishes: &[(usize, u64, u64)], overshoots: &[u64]) -> Vec<Terms> {
    const LENGTHS: [u64; 8] = [60, 72, 80, 90, 120, 180, 240, 720];
    let mut free = 720;
    let mut taken = Vec::new();
    for (length, percent, more) in wishes {
        let deadline = LENGTHS[length % 8];
        let runtime = (deadline * percent / 100).max(1).min(free * deadline / 720);
        if runtime > 0 {
            free -= runtime * 720 / deadline;
            taken.push((runtime, deadline + more, deadline));
        }
    }
    if free > 0 {
        taken.push((free, 720, 720));
    }
    for (i, terms) in taken.iter().enumerate() {
        let acts = vec![Act::Use(overshoots[i % overshoots.len()]), Act::Use(0)];
        let shape = Shape { terms: Some(*terms), acts, ends: None, allowance: None };
        sched.spawn(shape.task()).expect("there is room for it");
    }
    taken
}

/// By how much the latest of all runtimes came after its deadline, counted from slices alone.
fn latest(slices: &[Slice], (runtime, period, deadline): Terms, until: u64) -> u64 {
    let mut served = 0;
    let mut jobs = 0;
    let mut latest = 0;
    for slice in slices.iter().filter(|slice| slice.why == PickReason::Deadline) {
        // Each runtime that is complete within this slice.
        while served + slice.charged.0 >= (jobs + 1) * runtime {
            let at = slice.at.0 + ((jobs + 1) * runtime).saturating_sub(served);
            latest = at.saturating_sub(jobs * period + deadline).max(latest);
            jobs += 1;
        }
        served += slice.charged.0;
    }
    // And the one that is not.
    until.saturating_sub(jobs * period + deadline).max(latest)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_no_job_is_later_than_the_overshoots_explain(
        quantum in prop_oneof![1..10_u64, 5..2_000_u64],
        deeds in prop::collection::vec(deed(3_000), 1..80),
    ) {
        host(quantum, &deeds);
    }

    #[test]
    fn without_overshoots_no_deadline_is_missed(
        quantum in prop_oneof![1..10_u64, 5..2_000_u64],
        deeds in prop::collection::vec(deed(0), 1..80),
    ) {
        let sched = host(quantum, &deeds);
        prop_assert_eq!(sched.policy().bound(), 0);
    }

    #[test]
    fn a_full_house_of_runaways_is_served_by_the_kth_deadline_k_times(
        quantum in prop_oneof![1..10_u64, 5..2_000_u64],
        wishes in prop::collection::vec((0..8_usize, 1..60_u64, 0..50_u64), 0..6),
        overshoots in prop_oneof![Just(vec![0]), prop::collection::vec(0..4_u64, 1..4)],
        background in 0..20_u64,
        polls in prop::collection::vec((1..400_u64, 1..200_u64), 1..12),
    ) {
        let mut sched = Executor::builder().policy(Edf::new(Fuel(quantum))).observer(Slices::default()).build();
        let taken = full_house(&mut sched, &wishes, &overshoots);
        let acts = vec![Act::Use(if overshoots == [0] { 0 } else { background })];
        sched.spawn(Shape { terms: None, acts, ends: None, allowance: None }.task()).unwrap();
        for (fuel, polls) in polls {
            sched.run_for(Budget::fuel(fuel).or_polls(polls));
            sched.run_for(Budget::polls(polls));
        }
        let over = |i: usize| sched.observer().of(i as u64).iter().map(|slice| slice.overshoot().0).max().unwrap_or(0);
        let bound = (0..taken.len()).map(over).sum::<u64>() + (0..=taken.len()).map(over).max().unwrap_or(0);
        for (i, terms) in taken.iter().enumerate() {
            let late = latest(&sched.observer().of(i as u64), *terms, sched.now().0);
            prop_assert!(late <= bound, "task {}, {:?}, is {} late; {} is allowed", i, terms, late, bound);
        }
    }

    #[test]
    fn however_fast_tasks_come_and_go_those_that_stay_are_served(
        slow in 1..90_u64,
        length in 2..60_u64,
        lives in prop::collection::vec((1..60_u64, any::<bool>()), 1..80),
    ) {
        let mut sched = Executor::builder().policy(Watch::new(7)).build();
        sched.spawn(reserve(endless(), (slow, 100, 100))).unwrap();
        // All that is free.
        let runtime = (length * (100 - slow) / 100).max(1);
        for (fuel, kill) in lives {
            let spawned = sched.spawn(reserve(endless(), (runtime, length, length)).detached());
            sched.run_for(Budget::fuel(if spawned.is_ok() { fuel } else { 1 }));
            if let (Ok(id), true) = (spawned, kill) {
                sched.kill(id).unwrap();
            }
        }
        prop_assert_eq!(sched.policy().bound(), 0);
    }

    #[test]
    fn admission_is_exact(wishes in prop::collection::vec((0..12_usize, 1..=100_u64), 1..40)) {
        const LENGTHS: [u64; 12] = [1, 2, 3, 5, 7, 9, 10, 16, 63, 720, 1_008, 5_040];
        let mut sched = Executor::builder().policy(Edf::new(Fuel(10))).build();
        let mut sum = 0;
        for (length, percent) in wishes {
            let deadline = LENGTHS[length];
            let runtime = (deadline * percent / 100).max(1);
            let share = runtime * 5_040 / deadline;
            let fits = sum + share <= 5_040;
            let spawned = sched.spawn(reserve(endless(), (runtime, deadline, deadline)));
            prop_assert_eq!(spawned.is_ok(), fits, "{} and {}", sum, share);
            sum += if fits { share } else { 0 };
        }
    }
}

/// The slices of a run: who, from when to when, and why.
fn log(sched: &Executor<Edf, Slices>) -> Vec<(u64, u64, u64, &'static str)> {
    let line = |slice: &Slice| {
        let why = if slice.why == PickReason::Deadline { "deadline" } else { "background" };
        (slice.spawn_index, slice.at.0, slice.at.0 + slice.charged.0, why)
    };
    sched.observer().0.iter().map(line).collect()
}

/// An executor of this policy that remembers its slices.
fn sched(quantum: u64) -> Executor<Edf, Slices> {
    Executor::builder().policy(Edf::new(Fuel(quantum))).observer(Slices::default()).build()
}

/// A task that yields after so much of each slice.
fn yielding(used: u64) -> Task {
    Shape { terms: None, acts: vec![Act::Yield(used)], ends: None, allowance: None }.task()
}

#[test]
fn releases_preempt_at_the_moment_when_they_come() {
    let mut sched = sched(100);
    sched.spawn(reserve(endless(), (2, 10, 5))).unwrap();
    sched.spawn(reserve(endless(), (9, 15, 15))).unwrap();
    sched.spawn(endless()).unwrap();
    sched.run_for(Budget::fuel(30));
    let expected = [
        (0, 0, 2, "deadline"),
        // Up to the release at 10, whose deadline will be 15 as well: it does not preempt.
        (1, 2, 11, "deadline"),
        (0, 11, 13, "deadline"),
        // Nobody has anything left: those who never wait, and the one without a reservation.
        (2, 13, 15, "background"),
        (1, 15, 20, "deadline"),
        // Here it does: 25 is before 30.
        (0, 20, 22, "deadline"),
        (1, 22, 26, "deadline"),
        (0, 26, 30, "background"),
    ];
    assert_eq!(log(&sched), expected);
}

#[test]
fn who_yields_is_done_until_the_next_period_and_the_clock_jumps_there() {
    let mut sched = sched(10);
    sched.spawn(reserve(yielding(3), (5, 20, 20))).unwrap();
    sched.run_for(Budget::polls(3));
    assert_eq!(log(&sched), [(0, 0, 3, "deadline"), (0, 20, 23, "deadline"), (0, 40, 43, "deadline")]);
    let numbers = sched.policy().numbers(TaskId::new(0, 0));
    assert!(numbers.contains(&("left", 0)), "what is forfeited is gone: {numbers:?}");
    assert_eq!(sched.policy_mut().take_fault(), None);
}

#[test]
fn a_debt_sits_out_whole_periods() {
    let mut sched = sched(100);
    // 5 in each 10. The first slice uses 5 and 12 more: 10 of them are two periods, and 2 are taken off the third.
    sched.spawn(reserve(work([17, 1, 1, 1, 4, 1]), (5, 10, 10))).unwrap();
    sched.spawn(reserve(endless(), (5, 10, 10))).unwrap();
    sched.run_for(Budget::fuel(40));
    let due: Vec<_> =
        log(&sched).into_iter().filter(|slice| slice.3 == "deadline").map(|slice| (slice.0, slice.1)).collect();
    // The other one is late and catches up: three jobs without a break, and each is less late. Since 30 the debt is paid.
    assert_eq!(due[..5], [(0, 0), (1, 17), (1, 22), (1, 27), (0, 32)]);
    let mut faults = Vec::new();
    while let Some(fault) = sched.policy_mut().take_fault() {
        faults.push((fault.id.index(), fault.by.0));
    }
    assert_eq!(faults, [(1, 12), (1, 7), (1, 2)]);
}

#[test]
fn a_runaway_has_its_reservation_and_what_is_idle() {
    let mut sched = sched(7);
    let runaway = sched.spawn(reserve(endless(), (100, 1_000, 1_000))).unwrap();
    let steady = sched.spawn(reserve(endless(), (900, 1_000, 1_000))).unwrap();
    sched.run_for(Budget::fuel(100_000));
    assert_eq!([runaway, steady].map(|id| sched.ledger(id).unwrap().used), [Fuel(10_000), Fuel(90_000)]);
    assert_eq!(sched.policy_mut().take_fault(), None);
}

#[test]
fn a_chain_of_killed_tasks_does_not_have_all_of_the_time() {
    let mut sched = sched(1_000);
    let slow = sched.spawn(reserve(endless(), (10, 100, 100))).unwrap();
    for _ in 0..200 {
        // 9 in each 10: that is all that is free. Killed once it has had its 9, it is replaced as soon as the policy lets it be.
        if let Ok(id) = sched.spawn(reserve(endless(), (9, 10, 10)).detached()) {
            sched.run_for(Budget::fuel(9));
            sched.kill(id).unwrap();
        } else {
            sched.run_for(Budget::fuel(1));
        }
    }
    assert_eq!(sched.policy_mut().take_fault(), None);
    let by_deadline: u64 = sched.observer().of(slow.index() as u64).iter().map(|slice| slice.charged.0).sum();
    assert!(by_deadline >= sched.now().0 / 100 * 10, "{by_deadline} by {}", sched.now());
}

#[test]
fn a_change_counts_from_the_next_release_and_is_refused_where_there_is_no_room() {
    let mut sched = sched(100);
    let id = sched.spawn(reserve(endless(), (2, 10, 10))).unwrap();
    sched.spawn(reserve(endless(), (5, 10, 10))).unwrap();
    let _ = sched.step();
    let refused = sched.set(id, Param::Runtime(Fuel(6))).unwrap_err().to_string();
    assert!(refused.contains("come to 1.100000, which is 0.100000 too much; 0.500000 is free"), "{refused}");
    sched.set(id, Param::Runtime(Fuel(5))).unwrap();
    sched.run_for(Budget::fuel(18));
    let deadlines: Vec<_> = log(&sched).into_iter().filter(|slice| slice.3 == "deadline").collect();
    assert_eq!(deadlines[..3], [(0, 0, 2, "deadline"), (1, 2, 7, "deadline"), (0, 10, 15, "deadline")]);
    // A smaller one is still taken until then.
    sched.set(id, Param::Runtime(Fuel(1))).unwrap();
    assert!(sched.spawn(reserve(endless(), (4, 10, 10))).is_err());
    sched.run_for(Budget::fuel(10));
    sched.spawn(reserve(endless(), (4, 10, 10))).unwrap();
}

#[test]
fn a_task_in_the_background_gets_a_reservation_when_period_and_runtime_are_known() {
    let mut sched = sched(10);
    let id = sched.spawn(endless()).unwrap();
    let refused = sched.set(id, Param::Runtime(Fuel(3))).unwrap_err().to_string();
    assert!(refused.contains("give the period first"), "{refused}");
    sched.set(id, Param::Period(Fuel(10))).unwrap();
    let _ = sched.step();
    sched.set(id, Param::Runtime(Fuel(3))).unwrap();
    let _ = sched.step();
    assert_eq!(log(&sched), [(0, 0, 10, "background"), (0, 10, 13, "deadline")]);
}

#[test]
fn background_tasks_take_turns_and_a_yield_ends_one() {
    let mut sched = sched(10);
    sched.spawn(yielding(1)).unwrap();
    sched.spawn(endless()).unwrap();
    sched.spawn(endless()).unwrap();
    sched.run_for(Budget::polls(9));
    let who: Vec<u64> = log(&sched).iter().map(|slice| slice.0).collect();
    assert_eq!(who, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
}

#[test]
fn a_monstrous_slice_costs_the_others_its_time_and_nothing_after_that() {
    let mut sched = sched(100);
    sched.spawn(reserve(work([1 << 62]), (5, 10, 10))).unwrap();
    let other = sched.spawn(reserve(endless(), (5, 10, 10))).unwrap();
    sched.run_for(Budget::polls(2));
    let began = sched.now().0;
    sched.run_for(Budget::fuel(1_000));
    let mut faults = Vec::new();
    while let Some(fault) = sched.policy_mut().take_fault() {
        faults.push((fault.id, fault.by.0));
    }
    // The job that was waiting, and the one that stands for all that were lost.
    assert_eq!(faults, [(other, (1 << 62) + 5 - 10), (other, (1 << 62) + 5 - 20)]);
    // As many as there were deadlines.
    let numbers = sched.policy().numbers(other);
    assert!(numbers.contains(&("misses", ((1 << 62) + 5) / 10)), "{numbers:?}");
    // The debtor sits out for longer than this run.
    let of_other = sched.observer().of(1);
    let since = |slice: &&Slice| slice.at.0 >= began && slice.why == PickReason::Deadline;
    assert_eq!(of_other.iter().filter(since).map(|slice| slice.charged.0).sum::<u64>(), 500);
}

#[test]
fn nobody_saves_up_for_the_background() {
    let mut sched = sched(10);
    let sleeper = sched.spawn(endless()).unwrap();
    sched.suspend(sleeper).unwrap();
    for _ in 0..2 {
        sched.spawn(endless()).unwrap();
    }
    sched.run_for(Budget::polls(100));
    sched.resume(sleeper).unwrap();
    sched.run_for(Budget::polls(6));
    let who: Vec<u64> = log(&sched)[100..].iter().map(|slice| slice.0).collect();
    // As if it had come now: one of three.
    assert_eq!(who, [0, 1, 2, 0, 1, 2]);
}
