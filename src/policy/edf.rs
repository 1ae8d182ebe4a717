//! Earliest deadline first, with a reservation for each task that asks for one: so much fuel in each period, by a deadline.
//!
//! **Source.** L. Abeni and G. Buttazzo, "Integrating Multimedia Applications in Hard Real-Time Systems", RTSS 1998: the constant-bandwidth
//! server, and its rule for a task that wakes up. C. L. Liu and J. W. Layland, Journal of the ACM 20(1), 1973: why earliest deadline first
//! serves whatever can be served. Hard reservations, where who has used up its runtime waits for its next period, are those of L. Marzario
//! et al., "IRIS: A New Reclaiming Algorithm for Server-Based Real-Time Systems", RTAS 2004, and of Linux's `SCHED_DEADLINE`.
//!
//! **Algorithm.** A task with a runtime `Q`, a period `T` and a deadline `D` (`Q ≤ D ≤ T`, all in fuel of the virtual clock) has a *server*.
//! A release at `r` gives the server `Q` to spend and the deadline `r + D`. Of all that have something left the one with the earliest
//! deadline runs.
//!
//! ```text
//!              ready: the wake-up rule             charge: used up
//!   waiting ───────────────────────────► urgent ───────────────────► throttled, and in the background
//!      ▲                                  ▲  │                          │      │
//!      │                                  │  └─ charge: yielded ─► yielded ◄───┘ charge: yielded
//!      │                                  │                             │
//!      │                                  └──── pick, from r + T on ────┘ either
//!      └─ charge: blocked, ended
//! ```
//!
//! * *Used up*, the server is throttled until `r + T`. What was used too much is taken off that release, and a debt of more than `Q`
//!   sits out whole periods. They are computed, not walked through.
//! * *Yielded*, the task is done for this period: the rest is forfeited, and it does not run before its next release. A spin of yields
//!   is one slice a period.
//! * *Woken up* at `now` with `left` before the deadline `d`, the task goes on where it was if `left / (d - now) ≤ Q / D`. Otherwise it is
//!   released anew: the old numbers would let it run at more than its rate.
//! * *In the background* run those without a reservation and those that are throttled, when nobody else can. Who has used the least there
//!   comes first; nobody saves up by staying away, and who yields forfeits its turn. None of it is charged to a reservation, so a runaway
//!   gets its reservation and what is idle, and no more.
//! * *Releases to come* are known, so a slice ends where one of them may preempt it. (It does where any throttled server will have an earlier
//!   deadline; the cut is then at the first release of all.)
//!
//! **Admission.** The shares `Q / D` may add up to 1. A share is rounded down to a multiple of 2<sup>-64</sup>: three times 1/3 is 1, and
//! what is admitted too much comes to less than one fuel a task within the 2<sup>64</sup> that the clock can count. A task that leaves after it has
//! used `u` of a release gives its share back when it would have used that much at its rate, at `r + u × D / Q`. Otherwise a chain of tasks,
//! each killed when it has used up its runtime, would have all of the time. (So does `SCHED_DEADLINE`, at the *zero-lag time*.) With `set` the
//! larger one of the old and the new share is taken until the next release, from which on the new one counts.
//!
//! **Deadlines.** Let `Oᵢ` be the largest overshoot of task `i`. A job is served by its deadline, but for a lateness of at most
//! **`ΣOᵢ` over those with a reservation, plus `max Oᵢ` over all tasks**. With no overshoots nothing is ever late.
//! Take a job that ends late, at `e`, with the deadline `d`, and let `s` be the last moment before `e` at which no work with a deadline up
//! to `d` was pending. From `s` on only such work runs, but for one slice that had begun before: its grant ends at `s`, because `s` is a release
//! that was known, or one that came between slices. So it takes at most `max Oᵢ`. The work itself was released from `s` on and is
//! due by `d`: `kᵢ` releases of server `i` fit in there only if `kᵢ × Qᵢ ≤ (d - s) × Qᵢ / Dᵢ`, and they use `kᵢ × Qᵢ` and at most one
//! overshoot, since each one but the last is taken off the next release. With shares that add up to 1 all this is at most `(d - s) + ΣOᵢ + max Oᵢ`,
//! and there was no idling, so `e - d ≤ ΣOᵢ + max Oᵢ`. Those that have left keep their share until what they have used is covered, and
//! count like those that are there. What a guest does within its grant harms nobody else, and in the long run neither does an overshoot: it is
//! paid from the guest's own reservation. A server that is more than a period late when it comes to its next job has lost the jobs up to
//! now (they are misses), and is released anew: one monstrous slice must not leave all others behind for as long as they live.
//!
//! **Cost.** O(log n) a decision and a release, and a release for each job. Nothing is allocated in a step.

use super::{Fault, FaultKind, Pick, Policy, ReadyQueue, Run, Table, refuse, refuse_param};
use crate::error::{Error, Result};
use crate::reason::{Param, Params, PickReason, ReadyReason, SliceEnd};
use crate::unit::{Fuel, TaskId};
use std::collections::{BTreeMap, VecDeque};

/// The policy's name.
const NAME: &str = "edf";

/// Faults that are kept for a host that does not take them.
const FAULTS: usize = 256;

/// The share that is all of the time. Shares are multiples of its 2<sup>64</sup>th part.
const ALL: u128 = 1 << 64;

/// A share that is given back later may be held back for longer by one part in two to this, so that there are few moments to remember.
const COARSENESS: u32 = 6;

/// The policy `edf`: earliest deadline first, with a constant-bandwidth server for each task that has a runtime and a period.
///
/// It knows the parameters runtime, period, deadline (the period unless given) and quantum. A task without a runtime runs in the background.
/// A deadline that was missed is a [`Fault`].
///
/// ```
/// use fuelsched::policy::Edf;
/// use fuelsched::reason::Param;
/// use fuelsched::{Executor, Fuel, Outcome, Task};
///
/// # fn main() -> fuelsched::Result<()> {
/// let mut sched = Executor::builder().policy(Edf::new(Fuel(1000))).build();
/// let task = || Task::from_future(|_| async { Outcome::Returned(vec![]) });
/// // 3,000 fuel in each 10,000.
/// sched.spawn(task().param(Param::Period(Fuel(10_000))).param(Param::Runtime(Fuel(3_000))))?;
/// let more = task().param(Param::Period(Fuel(10_000))).param(Param::Runtime(Fuel(8_000)));
/// assert!(sched.spawn(more).unwrap_err().to_string().contains("0.100000 too much"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Edf {
    /// Fuel a slice, for tasks with no quantum of their own.
    quantum: u64,
    /// The state of each task.
    tasks: Table<Task>,
    /// Tasks with something left of their reservation, by [`Server::place`].
    urgent: ReadyQueue<(u64, u64)>,
    /// Tasks whose reservation is used up, by the next release; then as for `urgent`.
    releases: ReadyQueue<(u64, u64)>,
    /// The same tasks, by the deadlines that those releases will have.
    deadlines: ReadyQueue<u64>,
    /// Tasks that can run in the background, by what they have used there; then as they came.
    background: ReadyQueue<(u128, u64)>,
    /// What the task that was last picked in the background had used there: nobody enters with less.
    floor: u128,
    /// How the running task was picked.
    running: Running,
    /// Which shares are taken.
    admission: Admission,
    /// The virtual clock, as far as it is known: that of the last pick or arrival, and what was charged since.
    now: u64,
    /// Numbers of arrivals given out.
    arrivals: u64,
    /// Deadlines missed that nobody has asked for yet.
    faults: VecDeque<Fault>,
}

/// How the running task was picked.
#[derive(Clone, Copy, Debug)]
struct Running {
    /// In the background, and not for its deadline.
    background: bool,
    /// Fuel granted.
    grant: u64,
}

/// The state of one task.
#[derive(Clone, Debug)]
struct Task {
    /// Fuel a slice.
    quantum: u64,
    /// What was asked for.
    wanted: Wanted,
    /// Its reservation, if it has one.
    server: Option<Server>,
    /// Fuel used in the background, and what of it was forfeited or not asked for in time.
    service: u128,
    /// Jobs that had not been served by their deadlines.
    misses: u64,
    /// The longest that one was late.
    max_lateness: u64,
}

/// What was asked for: nothing, something, or enough for a reservation.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    /// Fuel in each period.
    runtime: Option<Fuel>,
    /// The period.
    period: Option<Fuel>,
    /// From a release until the runtime is due.
    deadline: Option<Fuel>,
}

/// The terms of a reservation: `1 ≤ runtime ≤ deadline ≤ period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Terms {
    /// Fuel in each period.
    runtime: u64,
    /// From one release to the next.
    period: u64,
    /// From a release until the runtime is due.
    deadline: u64,
}

/// A reservation at work.
#[derive(Clone, Debug)]
struct Server {
    /// The terms of the last release.
    terms: Terms,
    /// The terms of the next one; the same unless they were changed since.
    next: Terms,
    /// When that was. A change never makes a release in the past.
    changed: u64,
    /// When the last release was.
    release: u64,
    /// The deadline of the last release.
    due: u64,
    /// Fuel left of it. 0 is throttled, or yielded.
    left: u64,
    /// Fuel used beyond it; 0 while there is something left.
    debt: u64,
    /// Number of the release among all: of equal deadlines the one that was first, and it stays first.
    arrival: u64,
}

/// Which shares are taken.
#[derive(Debug, Default)]
struct Admission {
    /// The sum of those that are.
    taken: u128,
    /// What of it is given back at which moment.
    returning: BTreeMap<u64, u128>,
}

impl Wanted {
    /// What these parameters ask for.
    fn of(params: &Params) -> Wanted {
        Wanted { runtime: params.runtime, period: params.period, deadline: params.deadline }
    }

    /// The terms that this makes; `None` is the background.
    fn terms(self) -> Result<Option<Terms>> {
        for (name, fuel) in [("runtime", self.runtime), ("period", self.period), ("deadline", self.deadline)] {
            if fuel == Some(Fuel::ZERO) {
                return Err(refuse(NAME, format!("a {name} of 0 cannot be served; it must be at least 1")));
            }
        }
        if let (Some(deadline), Some(period)) = (self.deadline, self.period)
            && deadline > period
        {
            let message =
                format!("a deadline of {deadline} is after the next release; it must be at most the period, {period}");
            return Err(refuse(NAME, message));
        }
        match (self.runtime, self.period) {
            (None, _) => Ok(None),
            (Some(runtime), None) => Err(refuse(
                NAME,
                format!("a runtime of {runtime} says nothing without a period; give the period first"),
            )),
            (Some(runtime), Some(period)) => Terms::new(runtime, period, self.deadline.unwrap_or(period)).map(Some),
        }
    }
}

impl Terms {
    /// Terms from what is not zero, and in order but for the runtime.
    fn new(runtime: Fuel, period: Fuel, deadline: Fuel) -> Result<Terms> {
        if runtime > deadline {
            let message =
                format!("a runtime of {runtime} does not fit before the deadline; it must be at most {deadline}");
            return Err(refuse(NAME, message));
        }
        Ok(Terms { runtime: runtime.0, period: period.0, deadline: deadline.0 })
    }

    /// The share of all time, rounded down.
    fn share(self) -> u128 {
        (u128::from(self.runtime) << 64) / u128::from(self.deadline)
    }

    /// How long it takes to use this much at the task's rate, rounded up.
    fn time_for(self, fuel: u64) -> u128 {
        (u128::from(fuel) * u128::from(self.deadline)).div_ceil(u128::from(self.runtime))
    }
}

impl Server {
    /// A server that was not released yet. Its deadline is long past, so that it will be when its task is ready.
    fn new(terms: Terms) -> Server {
        Server { terms, next: terms, changed: 0, release: 0, due: 0, left: terms.runtime, debt: 0, arrival: 0 }
    }

    /// The share that it takes: until the next release the old one, and for a larger one the new one from the beginning.
    fn share(&self) -> u128 {
        if self.next == self.terms {
            return self.terms.share();
        }
        self.terms.share().max(self.next.share())
    }

    /// Its place among the urgent.
    fn place(&self) -> (u64, u64) {
        (self.due, self.arrival)
    }

    /// When a server that has nothing left is released next, and how much it then has: at least 1.
    fn next_release(&self) -> (u64, u64) {
        let sat_out = u128::from(self.debt / self.next.runtime) * u128::from(self.next.period);
        let first = self.release.saturating_add(self.terms.period);
        let at = clamp(sat_out.saturating_add(u128::from(first))).max(self.changed);
        (at, self.next.runtime - self.debt % self.next.runtime)
    }

    /// Whether a task that wakes up goes on with what it has: if that is no more than its rate until its deadline.
    fn goes_on(&self, now: u64) -> bool {
        let Terms { runtime, deadline, .. } = self.terms;
        let time = u128::from(self.due.saturating_sub(now));
        u128::from(self.left) * u128::from(deadline) <= u128::from(runtime) * time
    }

    /// When it would have used what it has used of this release, if it had at its rate.
    fn covered_at(&self) -> u64 {
        let used = self.terms.runtime.saturating_sub(self.left).saturating_add(self.debt);
        clamp(self.terms.time_for(used).saturating_add(u128::from(self.release)))
    }

    /// Releases it.
    fn start(&mut self, at: u64, left: u64, arrival: u64) {
        let terms = self.next;
        *self = Server {
            terms,
            next: terms,
            changed: 0,
            release: at,
            due: at.saturating_add(terms.deadline),
            left,
            debt: 0,
            arrival,
        };
    }
}

impl Admission {
    /// Takes one share in place of another (0 is none).
    fn exchange(&mut self, old: u128, new: u128, now: u64) -> Result<()> {
        self.collect(now);
        let others = self.taken - old;
        // A smaller share than before is never too much.
        if new > old && others + new > ALL {
            return Err(self.refusal(others, new));
        }
        self.taken = others + new;
        Ok(())
    }

    /// Gives a share back, from some moment on.
    fn give_back(&mut self, share: u128, at: u64, now: u64) {
        if at <= now {
            self.taken -= share;
        } else {
            *self.returning.entry(coarse(at, now)).or_default() += share;
        }
    }

    /// Collects what has been given back by now.
    fn collect(&mut self, now: u64) {
        while let Some(first) = self.returning.first_entry().filter(|first| *first.key() <= now) {
            self.taken -= first.remove();
        }
    }

    /// Says by how much a share is too large.
    #[cold]
    fn refusal(&self, others: u128, share: u128) -> Error {
        let sum = decimal(millionths_up(others + share));
        let excess = decimal(millionths_up(others + share - ALL));
        let free = decimal(millionths(ALL.saturating_sub(others)));
        let mut message = format!("the utilisation would come to {sum}, which is {excess} too much; {free} is free");
        if let Some((last, _)) = self.returning.last_key_value() {
            let more = decimal(millionths(self.returning.values().sum()));
            message += &format!(", and {more} more comes back from tasks that have left, by {}", Fuel(*last));
        }
        refuse(NAME, message)
    }
}

impl Edf {
    /// Earliest deadline first, in slices of at most this much fuel; a quantum of 0 is taken as 1, because a slice cannot be empty.
    ///
    /// A task is preempted for another's release whatever the quantum is. It says how long tasks in the background run at a time, and how long
    /// somebody who was not expected has to wait.
    #[must_use]
    pub fn new(quantum: Fuel) -> Edf {
        Edf {
            quantum: quantum.0.max(1),
            tasks: Table::new(),
            urgent: ReadyQueue::new(),
            releases: ReadyQueue::new(),
            deadlines: ReadyQueue::new(),
            background: ReadyQueue::new(),
            floor: 0,
            running: Running { background: false, grant: 0 },
            admission: Admission::default(),
            now: 0,
            arrivals: 0,
            faults: VecDeque::new(),
        }
    }

    /// Fuel a slice, for tasks with no quantum of their own.
    #[must_use]
    pub fn quantum(&self) -> Fuel {
        Fuel(self.quantum)
    }

    /// A number that is larger than all before.
    fn arrival(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }

    /// Releases the task's server, on the terms that it has from now on.
    fn release(&mut self, id: TaskId, at: u64, left: u64) {
        let arrival = self.arrival();
        if let Some(server) = &mut self.tasks[id].server {
            let taken = server.share();
            server.start(at, left, arrival);
            self.admission.taken -= taken - server.share();
        }
    }

    /// Files a task for its deadline.
    fn file_urgent(&mut self, id: TaskId) {
        if let Some(server) = &self.tasks[id].server {
            self.urgent.insert(server.place(), id);
        }
    }

    /// Files a task for its next release.
    fn file_release(&mut self, id: TaskId) {
        if let Some(server) = &self.tasks[id].server {
            let (at, _) = server.next_release();
            self.releases.insert((at, server.arrival), id);
            self.deadlines.insert(at.saturating_add(server.next.deadline), id);
        }
    }

    /// Files a task for when nobody else runs.
    fn file_background(&mut self, id: TaskId) {
        let arrival = self.arrival();
        let task = &mut self.tasks[id];
        task.service = task.service.max(self.floor);
        self.background.insert((task.service, arrival), id);
    }

    /// Takes a task out of wherever it is filed; says whether it was filed.
    fn withdraw(&mut self, id: TaskId) -> bool {
        let released = self.releases.remove(id);
        let known = self.deadlines.remove(id);
        let background = self.background.remove(id);
        self.urgent.remove(id) || released || known || background
    }

    /// Whether a task is ready.
    fn is_ready(&self, id: TaskId) -> bool {
        self.urgent.key(id).is_some() || self.releases.key(id).is_some() || self.background.key(id).is_some()
    }

    /// Releases all whose next period has begun.
    fn release_due(&mut self) {
        while let Some(((at, _), id)) = self.releases.first()
            && at <= self.now
        {
            self.withdraw(id);
            self.renew(id);
            self.file_urgent(id);
        }
    }

    /// Releases a server that had nothing left, at the moment when it should have been released. If it is late by more than a period already, this
    /// job is lost, and so are those after it up to now.
    fn renew(&mut self, id: TaskId) {
        let Some(server) = &self.tasks[id].server else {
            return;
        };
        let (at, left) = server.next_release();
        let Terms { runtime, period, deadline } = server.next;
        let due = at.saturating_add(deadline);
        if self.now <= due.saturating_add(period) {
            self.release(id, at, left);
        } else {
            let late = self.now - due;
            self.miss(id, late / period + 1, late);
            self.release(id, self.now, runtime);
        }
    }

    /// Notes that jobs have missed their deadlines, the first of them by this much.
    #[cold]
    fn miss(&mut self, id: TaskId, jobs: u64, by: u64) {
        let task = &mut self.tasks[id];
        task.misses = task.misses.saturating_add(jobs);
        task.max_lateness = task.max_lateness.max(by);
        if self.faults.len() == FAULTS {
            self.faults.pop_front();
        }
        self.faults.push_back(Fault { id, kind: FaultKind::DeadlineMiss, by: Fuel(by) });
    }

    /// How long it is until the first release that is known.
    fn until_release(&self) -> u64 {
        self.releases.first().map_or(u64::MAX, |((at, _), _)| at - self.now)
    }

    /// Picks the task with the earliest deadline.
    fn pick_urgent(&mut self) -> Option<Run> {
        let ((due, _), id) = self.urgent.pop()?;
        let preempted = self.deadlines.first().is_some_and(|(earliest, _)| earliest < due);
        let limit = if preempted { self.until_release() } else { u64::MAX };
        let task = &self.tasks[id];
        let left = task.server.as_ref().map_or(1, |server| server.left);
        let grant = task.quantum.min(left).min(limit);
        self.running = Running { background: false, grant };
        Some(Run { id, grant: Fuel(grant), why: PickReason::Deadline })
    }

    /// Picks the task that has used the least in the background. If it is throttled it stays among those that will be released.
    fn pick_background(&mut self) -> Option<Run> {
        let ((service, _), id) = self.background.pop()?;
        self.floor = service;
        let grant = self.tasks[id].quantum.min(self.until_release());
        self.running = Running { background: true, grant };
        Some(Run { id, grant: Fuel(grant), why: PickReason::Background })
    }

    /// Books a slice of a task that was picked for its deadline.
    fn charge_urgent(&mut self, id: TaskId, used: u64, end: SliceEnd) {
        let began = self.now.saturating_sub(used);
        let Some(server) = &mut self.tasks[id].server else {
            return;
        };
        let served = used.min(server.left);
        server.left -= served;
        server.debt = used - served;
        let late = began.saturating_add(served).saturating_sub(server.due);
        // It has had all, or wants no more; nothing at all is what a task uses that the host has suspended.
        let over = server.left == 0 || (end != SliceEnd::Preempted && used > 0);
        if end == SliceEnd::Yielded {
            server.left = 0;
        }
        let throttled = server.left == 0;
        if over && late > 0 {
            self.miss(id, 1, late);
        }
        match end {
            SliceEnd::Preempted if throttled => {
                self.file_release(id);
                self.file_background(id);
            }
            SliceEnd::Preempted => self.file_urgent(id),
            SliceEnd::Yielded => self.file_release(id),
            SliceEnd::Blocked | SliceEnd::Ended => {}
        }
    }

    /// Books a slice of a task that was picked in the background.
    fn charge_background(&mut self, id: TaskId, used: u64, end: SliceEnd) {
        let forfeited = if end == SliceEnd::Yielded { self.running.grant.saturating_sub(used) } else { 0 };
        let task = &mut self.tasks[id];
        task.service = task.service.saturating_add(u128::from(used) + u128::from(forfeited));
        let throttled = task.server.is_some();
        match end {
            // Done for this period, which is to say until the release that it is filed for.
            SliceEnd::Yielded if throttled => {}
            SliceEnd::Preempted | SliceEnd::Yielded => self.file_background(id),
            SliceEnd::Blocked | SliceEnd::Ended => {
                self.withdraw(id);
            }
        }
    }

    /// Gives a task what it wants now, if there is room.
    fn renegotiate(&mut self, id: TaskId, wanted: Wanted) -> Result<()> {
        let terms = wanted.terms()?;
        if let Some(terms) = terms {
            let under_way = self.is_under_way(id);
            let server = self.tasks[id].server.as_ref();
            let old = server.map_or(0, Server::share);
            let kept = server.filter(|_| under_way).map_or(0, |server| server.terms.share());
            self.admission.exchange(old, kept.max(terms.share()), self.now)?;
            self.change(id, terms, under_way);
        }
        self.tasks[id].wanted = wanted;
        Ok(())
    }

    /// Whether the terms of the task's last release still count for something.
    fn is_under_way(&self, id: TaskId) -> bool {
        let server = self.tasks[id].server.as_ref();
        server.is_some_and(|server| server.left == 0 || server.due > self.now) || self.is_ready(id)
    }

    /// Puts new terms in force: at the next release, or at once.
    fn change(&mut self, id: TaskId, terms: Terms, under_way: bool) {
        match &mut self.tasks[id].server {
            Some(server) if under_way => {
                server.next = terms;
                server.changed = self.now;
                if self.releases.key(id).is_some() {
                    self.file_release(id);
                }
            }
            server => {
                *server = Some(Server::new(terms));
                // It was ready, in the background.
                if self.withdraw(id) {
                    self.release(id, self.now, terms.runtime);
                    self.file_urgent(id);
                }
            }
        }
    }
}

impl Policy for Edf {
    fn name(&self) -> &'static str {
        NAME
    }

    fn admit(&mut self, id: TaskId, params: &Params) -> Result<()> {
        let quantum = params.quantum.map_or(Ok(self.quantum), quantum)?;
        let wanted = Wanted::of(params);
        let terms = wanted.terms()?;
        if let Some(terms) = terms {
            self.admission.exchange(0, terms.share(), self.now)?;
        }
        let server = terms.map(Server::new);
        self.tasks.insert(id, Task { quantum, wanted, server, service: 0, misses: 0, max_lateness: 0 });
        Ok(())
    }

    fn ready(&mut self, id: TaskId, _why: ReadyReason, now: Fuel) {
        self.now = now.0;
        let Some(server) = &self.tasks[id].server else {
            return self.file_background(id);
        };
        if server.left == 0 {
            let (at, left) = server.next_release();
            if at > self.now {
                self.file_release(id);
                return self.file_background(id);
            }
            self.release(id, at, left);
        }
        if let Some(server) = &self.tasks[id].server
            && !server.goes_on(self.now)
        {
            self.release(id, self.now, server.next.runtime);
        }
        self.file_urgent(id);
    }

    fn pick(&mut self, now: Fuel) -> Pick {
        self.now = now.0;
        self.release_due();
        if let Some(run) = self.pick_urgent().or_else(|| self.pick_background()) {
            return Pick::Run(run);
        }
        match self.releases.first() {
            Some(((at, _), _)) => Pick::IdleUntil(Fuel(at)),
            None => Pick::Empty,
        }
    }

    fn charge(&mut self, id: TaskId, used: Fuel, end: SliceEnd) {
        self.now = self.now.saturating_add(used.0);
        if self.running.background {
            self.charge_background(id, used.0, end);
        } else {
            self.charge_urgent(id, used.0, end);
        }
    }

    fn leave(&mut self, id: TaskId) {
        self.withdraw(id);
        if let Some(server) = self.tasks.remove(id).and_then(|task| task.server) {
            self.admission.give_back(server.share(), server.covered_at(), self.now);
        }
    }

    fn set(&mut self, id: TaskId, param: Param) -> Result<()> {
        let mut wanted = self.tasks[id].wanted;
        match param {
            Param::Quantum(fuel) => {
                self.tasks[id].quantum = quantum(fuel)?;
                return Ok(());
            }
            Param::Runtime(fuel) => wanted.runtime = Some(fuel),
            Param::Period(fuel) => wanted.period = Some(fuel),
            Param::Deadline(fuel) => wanted.deadline = Some(fuel),
            other => return Err(refuse_param(NAME, other, "a runtime, a period, a deadline and a quantum")),
        }
        self.renegotiate(id, wanted)
    }

    fn take_fault(&mut self) -> Option<Fault> {
        self.faults.pop_front()
    }

    fn numbers(&self, id: TaskId) -> Vec<(&'static str, i64)> {
        let task = &self.tasks[id];
        let mut numbers = vec![("quantum", shown(task.quantum))];
        if let Some(server) = &task.server {
            let Terms { runtime, period, deadline } = server.next;
            numbers.extend([
                ("runtime", shown(runtime)),
                ("period", shown(period)),
                ("deadline", shown(deadline)),
                ("left", if server.debt > 0 { -shown(server.debt) } else { shown(server.left) }),
                ("due", shown(server.due)),
                ("misses", shown(task.misses)),
                ("max-lateness", shown(task.max_lateness)),
                ("utilisation-ppm", shown(millionths(server.next.share()))),
            ]);
        }
        numbers
    }
}

/// A quantum that can be served.
fn quantum(fuel: Fuel) -> Result<u64> {
    match fuel {
        Fuel::ZERO => Err(refuse(NAME, "a quantum of 0 would be an empty slice; it must be at least 1")),
        Fuel(fuel) => Ok(fuel),
    }
}

/// A moment, or the last one that there is.
fn clamp(moment: u128) -> u64 {
    u64::try_from(moment).unwrap_or(u64::MAX)
}

/// A moment that comes little later. Of all moments that lie ahead fewer than `2^(COARSENESS + 7)` are ever left to choose from.
fn coarse(at: u64, now: u64) -> u64 {
    let digits = u64::BITS - at.saturating_sub(now).leading_zeros();
    let step = 1_u64 << digits.saturating_sub(COARSENESS + 1);
    at.checked_next_multiple_of(step).unwrap_or(u64::MAX)
}

/// A share in millionths, rounded down.
fn millionths(share: u128) -> u64 {
    clamp((share * 1_000_000) >> 64)
}

/// A share in millionths, rounded up.
fn millionths_up(share: u128) -> u64 {
    clamp((share * 1_000_000).div_ceil(ALL))
}

/// Millionths as a decimal fraction.
fn decimal(millionths: u64) -> String {
    format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
}

/// A number as it is displayed.
fn shown(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A task of a slot.
    fn id(index: u32) -> TaskId {
        TaskId::new(index, 0)
    }

    /// Parameters with these terms.
    fn terms(runtime: u64, period: u64, deadline: u64) -> Params {
        let params = Params::default().with(Param::Runtime(Fuel(runtime))).with(Param::Period(Fuel(period)));
        params.with(Param::Deadline(Fuel(deadline)))
    }

    /// The message of a refusal.
    fn refused(policy: &mut Edf, params: &Params) -> String {
        policy.admit(id(9), params).unwrap_err().to_string()
    }

    #[test]
    fn three_thirds_are_one_and_a_refusal_says_by_how_much() {
        let mut policy = Edf::new(Fuel(10));
        for index in 0..3 {
            policy.admit(id(index), &terms(1, 3, 3)).unwrap();
        }
        let message = refused(&mut policy, &terms(1, 1_000, 1_000));
        assert!(message.contains("come to 1.001000, which is 0.001000 too much; 0.000000 is free"), "{message}");
        policy.leave(id(0));
        let message = refused(&mut policy, &terms(1, 2, 2));
        assert!(message.contains("come to 1.166667, which is 0.166667 too much; 0.333333 is free"), "{message}");
        policy.admit(id(0), &terms(1, 3, 3)).unwrap();
    }

    #[test]
    fn what_is_out_of_order_is_refused_with_what_is_allowed() {
        let mut policy = Edf::new(Fuel(10));
        let runtime = Params::default().with(Param::Runtime(Fuel(3)));
        for (params, expected) in [
            (terms(0, 9, 9), "a runtime of 0 cannot be served; it must be at least 1"),
            (terms(1, 0, 9), "a period of 0"),
            (terms(1, 9, 0), "a deadline of 0"),
            (terms(5, 9, 4), "it must be at most 4"),
            (terms(1, 9, 10), "it must be at most the period, 9"),
            (runtime, "give the period first"),
            (runtime.with(Param::Quantum(Fuel(0))), "a quantum of 0"),
        ] {
            let message = refused(&mut policy, &params);
            assert!(message.contains(expected), "{message}");
        }
        policy.admit(id(0), &Params::default()).unwrap();
        let message = policy.set(id(0), Param::Weight(3)).unwrap_err().to_string();
        assert!(message.contains("it has no weight; it has a runtime"), "{message}");
        policy.admit(id(1), &terms(10, 10, 10)).unwrap();
    }

    #[test]
    fn a_share_comes_back_once_what_was_used_is_covered() {
        let mut policy = Edf::new(Fuel(100));
        policy.admit(id(0), &terms(50, 100, 100)).unwrap();
        policy.ready(id(0), ReadyReason::Spawned, Fuel(0));
        assert!(matches!(policy.pick(Fuel(0)), Pick::Run(_)));
        policy.charge(id(0), Fuel(20), SliceEnd::Ended);
        policy.leave(id(0));
        // 20 at half the rate are 40, and it is 20.
        let message = refused(&mut policy, &terms(51, 100, 100));
        assert!(message.contains("0.500000 is free, and 0.500000 more comes back from tasks that have left, by 40"));
        assert_eq!(policy.pick(Fuel(39)), Pick::Empty);
        policy.admit(id(0), &terms(51, 100, 100)).unwrap_err();
        assert_eq!(policy.pick(Fuel(40)), Pick::Empty);
        policy.admit(id(0), &terms(100, 100, 100)).unwrap();
    }

    #[test]
    fn moments_to_come_are_few_and_little_later() {
        let mut policy = Edf::new(Fuel(1));
        let mut now = 0;
        for wait in 0..200_000_u64 {
            now += wait % 3;
            let at = coarse(now + wait * wait, now);
            assert!(at >= now + wait * wait && at - now <= wait * wait + wait * wait / 64);
            policy.admission.taken += 1;
            policy.admission.give_back(1, at, now);
            policy.admission.collect(now);
        }
        assert!(policy.admission.returning.len() < 1 << (COARSENESS + 7), "{}", policy.admission.returning.len());
    }

    #[test]
    fn the_largest_numbers_are_served() {
        for (runtime, period) in [(u64::MAX, u64::MAX), (1, u64::MAX), (1, 1), (u64::MAX - 1, u64::MAX)] {
            let mut policy = Edf::new(Fuel::MAX);
            policy.admit(id(0), &terms(runtime, period, period)).unwrap();
            policy.admit(id(1), &Params::default()).unwrap();
            policy.ready(id(0), ReadyReason::Spawned, Fuel(0));
            policy.ready(id(1), ReadyReason::Spawned, Fuel(0));
            let mut now = Fuel::ZERO;
            let ends = [SliceEnd::Preempted, SliceEnd::Yielded, SliceEnd::Blocked];
            for (used, end) in [0, 1, 1 << 62, u64::MAX, 1].into_iter().cycle().zip(ends.into_iter().cycle()).take(60) {
                let run = match policy.pick(now) {
                    Pick::Run(run) => run,
                    Pick::IdleUntil(then) => {
                        assert!(then > now);
                        now = then;
                        continue;
                    }
                    other => panic!("{other:?}"),
                };
                now = now.plus(Fuel(used));
                policy.charge(run.id, Fuel(used), end);
                if end == SliceEnd::Blocked {
                    policy.set(run.id, Param::Quantum(Fuel(3))).unwrap();
                    policy.ready(run.id, ReadyReason::Resumed, now);
                }
                policy.numbers(run.id);
            }
            policy.leave(id(0));
            policy.leave(id(1));
            assert_eq!(policy.pick(now), Pick::Empty);
        }
    }

    #[test]
    fn faults_that_nobody_takes_are_few() {
        let mut policy = Edf::new(Fuel(1));
        policy.admit(id(0), &terms(1, 1, 1)).unwrap();
        for late in 0..1_000 {
            policy.miss(id(0), 1, late);
        }
        let by: Vec<u64> = std::iter::from_fn(|| policy.take_fault()).map(|fault| fault.by.0).collect();
        assert_eq!(by, (1_000 - FAULTS as u64..1_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_hundred_thousand_tasks_are_no_trouble() {
        let mut policy = Edf::new(Fuel(10));
        let count = 100_000_u32;
        let mut now = 0;
        for index in 0..count {
            policy.admit(id(index), &terms(1, 200_000, 100_000 + u64::from(index))).unwrap();
            policy.ready(id(index), ReadyReason::Spawned, Fuel(0));
        }
        let mut order = Vec::new();
        for _ in 0..2 * count {
            match policy.pick(Fuel(now)) {
                Pick::Run(run) if run.why == PickReason::Deadline => {
                    order.push(run.id.index());
                    now += 1;
                    policy.charge(run.id, Fuel(1), SliceEnd::Yielded);
                }
                Pick::IdleUntil(then) => now = then.0,
                other => panic!("{other:?}"),
            }
        }
        assert!(order.iter().take(count as usize).copied().eq(0..count as usize));
        assert_eq!((now, policy.take_fault()), (299_999, None));
    }
}
