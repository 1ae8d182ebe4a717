//! A task: a future with its meter, and the life that an executor leads it through.
//!
//! ```text
//!                 ① spawn ──────────────► Waiting ◄──┐ ⑨ its fuel of the period is used up, or
//!                    │       ⑩ its time comes │        │    it is blocked in a function of its host's
//!                    ▼ ◄──────────────────────┘        │
//!                    │       ② step: the policy picked it
//!      ┌────────► Ready ─────────────────────► Running ───┐
//!      │            ▲                             │       │ ④ the future is done, the budget
//!      │ ⑥ resume   └───────── ③ Pending ─────────┘       │   is used up, or it panicked
//!      │            ⑤ suspend                             ▼
//!      └──────── Suspended ──────── ⑦ kill, stop ─────► Ended ──── ⑧ take ────► gone
//! ```
//!
//! | | what happens | in |
//! |---|---|---|
//! | ① | gets a slot and an id; the policy admits it | `Executor::spawn` |
//! | ② | gets its grant, is polled once | `Executor::run_slice` |
//! | ③ | used up its grant (*preempted*), or gave the rest away (*yielded*) | `settle`, in `executor` |
//! | ④ | its future is dropped, its outcome kept | `conclude` where it is the budget; `Executor::finish` |
//! | ⑤ ⑥ | is passed over by picks, and not any more | `Executor::suspend`, `Executor::resume` |
//! | ⑦ | the same as ④, from any state but Running | `Executor::kill`, `Executor::stop_all` |
//! | ⑧ | the slot is free for the next task, with a new generation | `Executor::take` |
//! | ⑨ ⑩ | a timer is set, and fires: it waits for its start, or for the fuel of its next period | `conclude`, `Executor::fire` |
//! | ⑨ ⑩ | its future said that it waits; its waker is woken, or its sleep is over | `Executor::block`, `Executor::attend` |
//!
//! A task can wait for several things, and be suspended meanwhile; it then is ready once all of that is over.

use crate::account::{Account, Allowance};
use crate::error::Error;
use crate::join::{Ending, Join};
use crate::ledger::{Last, Ledger, Meter, Tally};
use crate::near::Fetch;
use crate::outcome::Outcome;
use crate::reason::{BlockedOn, Param, Params};
use crate::signal::{Signal, WakeList};
use crate::unit::{Fuel, GroupId, TaskId};
use crate::wait::Waits;
use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The future of a task, wherever it comes from.
pub type TaskFuture = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Something to run, not yet spawned: a call on a module or on an instance, or any future of the host's.
///
/// Calls are made by [`Module::call`](crate::Module::call) and its like. What was wrong with the call (no such export, wrong arguments) is
/// kept here, and [`Executor::spawn`](crate::Executor::spawn) returns it, so that the builder reads in one line.
#[must_use = "a task does nothing until it is spawned"]
pub struct Task {
    /// The future with its meter, or why there is none.
    body: Result<(TaskFuture, Arc<Meter>), Error>,
    /// Fuel that it may use in all.
    budget: Option<Fuel>,
    /// Fuel that it may use in each period, and the period.
    allowance: Option<(Fuel, Fuel)>,
    /// When it can first run.
    start: Fuel,
    /// What the policy is told.
    params: Params,
    /// Whether the outcome is dropped as soon as there is one.
    detached: bool,
    /// Whether it is a guest's call, which can be made inspectable; and what brings its memory near.
    guest: Option<Fetch>,
    /// Whether it calls its host, and can wait for it.
    reach: Reach,
    /// Who waits for its end.
    join: Option<Join>,
    /// The host's own number for it.
    label: u64,
}

impl Task {
    /// A task from a future of the host's. `make` is given the meter, in which the future records the fuel that it uses.
    ///
    /// The future is polled with a waker that does nothing: after `Pending` it is simply ready again, and its turn comes. One that waits is made
    /// by [`Task::with_waker`].
    pub fn from_future<F>(make: impl FnOnce(Arc<Meter>) -> F) -> Task
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let meter = Arc::new(Meter::default());
        Task::new(Ok((Box::pin(make(meter.clone())), meter)))
    }

    /// A task from a future of the host's that can wait: it is polled with a waker that works, from any thread, and after `Pending` it is polled
    /// again once that was woken. While it waits it costs nothing.
    ///
    /// ```
    /// use fuelsched::{Executor, Outcome, Task};
    /// use std::time::Duration;
    ///
    /// # fn main() -> fuelsched::Result<()> {
    /// let mut sched = Executor::builder().build();
    /// let task = Task::with_waker(|meter| async move {
    ///     meter.sleep_until(Duration::from_millis(5)).await;
    ///     Outcome::Returned(vec![])
    /// });
    /// sched.spawn(task)?;
    /// sched.run();
    /// assert_eq!(sched.live(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_waker<F>(make: impl FnOnce(Arc<Meter>) -> F) -> Task
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let meter = Arc::new(Meter::default());
        meter.open_outside();
        let future = Box::pin(make(meter.clone()));
        let future = Box::pin(Waits::new(meter.clone(), Arc::from("a future"), future));
        Task { reach: Reach::Waits, ..Task::new(Ok((future, meter))) }
    }

    /// A task from the future of a guest's call, which answers at the meter's mailbox if there is one.
    pub(crate) fn from_guest<F>(reach: Reach, fetch: Fetch, make: impl FnOnce(Arc<Meter>) -> F) -> Task
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let make = |meter: Arc<Meter>| {
            if reach != Reach::Nothing {
                meter.open_outside();
            }
            make(meter)
        };
        Task { guest: Some(fetch), reach, ..Task::from_future(make) }
    }

    /// A task that cannot be spawned, and why.
    pub fn from_error(error: Error) -> Task {
        Task::new(Err(error))
    }

    /// A task with the settings that nobody has changed yet.
    fn new(body: Result<(TaskFuture, Arc<Meter>), Error>) -> Task {
        Task {
            body,
            budget: None,
            allowance: None,
            start: Fuel::ZERO,
            params: Params::default(),
            detached: false,
            guest: None,
            reach: Reach::Nothing,
            join: None,
            label: 0,
        }
    }

    /// The fuel that the task may use in all. At the first yield point at which it has used that much it ends as
    /// [`Outcome::OutOfFuel`]; what it used is reported as it is, and may be more.
    pub fn budget(mut self, fuel: Fuel) -> Task {
        self.budget = Some(fuel);
        self
    }

    /// The fuel that the task may use in each period of the virtual clock, counted from its start. Used up, it waits for the next period; what
    /// is left at a period's end is lost, and what a slice used too much is taken off the next. An amount or a period of 0 is taken as 1.
    pub fn replenishing(mut self, amount: Fuel, period: Fuel) -> Task {
        self.allowance = Some((amount, period));
        self
    }

    /// The group whose budget and weight the task shares.
    pub fn group(mut self, group: GroupId) -> Task {
        self.params.group = Some(group);
        self
    }

    /// When the task can first run, on the executor's virtual clock ([`Executor::now`](crate::Executor::now)). At once, unless set.
    pub fn start_at(mut self, moment: Fuel) -> Task {
        self.start = moment;
        self
    }

    /// A parameter for the policy.
    pub fn param(mut self, param: Param) -> Task {
        self.params = self.params.with(param);
        self
    }

    /// Drops the outcome as soon as there is one (the observer still sees it), so that the slot is free without a `take`.
    pub fn detached(mut self) -> Task {
        self.detached = true;
        self
    }

    /// The task, kept when it ends until it is taken; says whether it was [`Task::detached`].
    pub(crate) fn kept(mut self) -> (Task, bool) {
        let detached = std::mem::replace(&mut self.detached, false);
        (self, detached)
    }

    /// Lets the host read and write the guest's exported memories and globals while it is suspended:
    /// [`Executor::read_memory`](crate::Executor::read_memory), [`Executor::set_global`](crate::Executor::set_global) and the others beside them.
    ///
    /// A switch of an inspectable task takes a little longer (`docs/control.md`); what it uses and how it runs is the same. It is for calls of guests; a
    /// future of the host's has no memory to show, and stays as it is.
    pub fn inspectable(self) -> Task {
        if let (Some(_), Ok((_, meter))) = (self.guest, &self.body) {
            meter.open_mailbox();
        }
        self
    }

    /// The host's own number for what this is a run of, 0 unless given: observers are told it, and a recording keeps it, so that a replay can
    /// make the same task again. Many tasks can have the same.
    pub fn label(mut self, label: u64) -> Task {
        self.label = label;
        self
    }

    /// What brings its memory near, if that is known.
    pub(crate) fn fetch(&self) -> Option<Fetch> {
        self.guest
    }

    /// The task, at whose end those are woken who wait for it.
    fn joined(self, join: Join) -> Task {
        Task { join: Some(join), ..self }
    }

    /// The future and its meter, for whoever polls it some other way than by an [`Executor`](crate::Executor). Budget and parameters
    /// are for an executor to see to, and are lost.
    ///
    /// The future takes its grant from the meter: [`Meter::begin`] before the first poll, and again only where the grant changes.
    ///
    /// # Errors
    /// What was wrong with the call that the task was made from.
    pub fn into_parts(self) -> Result<(TaskFuture, Arc<Meter>), Error> {
        self.body
    }

    /// The task as the executor keeps it.
    pub(crate) fn into_live(self, spawn_index: u64, now: Fuel) -> Result<Live, Error> {
        let (future, meter) = self.body?;
        let released = self.start.max(now);
        let account = Account {
            allowance: self.allowance.map(|(amount, period)| Allowance::new(amount, period, released)),
            group: self.params.group,
            until: (released > now).then_some(released),
            join: self.join,
        };
        let plain = account.is_plain() && self.params == Params::default();
        let mut live = Live {
            detour: false,
            reach: self.reach,
            suspended: Suspended::No,
            last: Last::None,
            detached: self.detached,
            future,
            meter,
            budget: self.budget.unwrap_or(Fuel::MAX),
            tally: Tally::default(),
            spawn_index,
            released,
            label: self.label,
            beside: (!plain).then(|| Box::new(Beside { params: self.params, account, outlook: None })),
        };
        live.review();
        Ok(live)
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("error", &self.body.as_ref().err())
            .field("budget", &self.budget)
            .field("allowance", &self.allowance)
            .field("start", &self.start)
            .field("params", &self.params)
            .field("detached", &self.detached)
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

/// How far a task's future reaches beyond the guest's own code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// Nowhere: it is polled with a waker that does nothing.
    Nothing,
    /// To functions of the host's, which return at once.
    Host,
    /// To functions of the host's which may wait: it is polled with a waker.
    Waits,
}

/// What an executor keeps of a task that reaches to its host.
#[derive(Debug)]
pub(crate) struct Outlook {
    /// Flag and waker, if it can wait.
    pub(crate) waker: Option<(Arc<Signal>, Waker)>,
    /// What it waits for, if it does.
    pub(crate) blocked: Option<Blocked>,
}

/// What a task waits for.
#[derive(Clone, Debug)]
pub(crate) struct Blocked {
    /// What.
    pub(crate) on: BlockedOn,
    /// How many wakers are held for other tasks of the same executor.
    pub(crate) inside: usize,
    /// Since when, on the virtual clock.
    pub(crate) since: Fuel,
    /// The moment of the executor's clock at which the wait ends by itself.
    pub(crate) until: Option<Duration>,
}

impl Outlook {
    /// A poll begins. The waker to poll with.
    fn begin(&mut self) -> &Waker {
        match &self.waker {
            Some((signal, waker)) => {
                signal.begin();
                waker
            }
            None => Waker::noop(),
        }
    }

    /// How many clones of the waker there are, elsewhere than here.
    pub(crate) fn wakers_held(&self) -> usize {
        self.waker.as_ref().map_or(0, |(signal, _)| Arc::strong_count(signal).saturating_sub(2))
    }
}

/// A task that has been spawned and has not ended. In this order, because every switch touches all fields down to `spawn_index`.
#[repr(C)]
pub(crate) struct Live {
    /// Whether a pick has to look further before it polls: at `suspended`, at the account.
    pub(crate) detour: bool,
    /// How far the future reaches.
    pub(crate) reach: Reach,
    /// Whether picks pass it over.
    pub(crate) suspended: Suspended,
    /// Whether a slice has ended it.
    pub(crate) last: Last,
    /// Whether the outcome is dropped as soon as there is one.
    pub(crate) detached: bool,
    /// What is polled.
    future: TaskFuture,
    /// Shared with the future.
    pub(crate) meter: Arc<Meter>,
    /// Fuel that it may use in all; [`Fuel::MAX`] for no limit.
    pub(crate) budget: Fuel,
    /// What it has used.
    pub(crate) tally: Tally,
    /// Its place in the order of spawning.
    pub(crate) spawn_index: u64,
    /// When it could first run, on the virtual clock.
    pub(crate) released: Fuel,
    /// The host's own number for it.
    pub(crate) label: u64,
    /// What few tasks have.
    beside: Option<Box<Beside>>,
}

/// What few tasks have: a million others need not have room for it.
#[derive(Debug, Default)]
struct Beside {
    /// What the policy was told, for the next policy.
    params: Params,
    /// What it has beside its total budget.
    account: Account,
    /// What it has if it reaches to its host.
    outlook: Option<Outlook>,
}

/// Whether the host has suspended a task, and whether its policy knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suspended {
    /// It is not suspended.
    No,
    /// It is, and the policy still counts it among the ready: the next pick of it will tell the policy.
    Asked,
    /// It is, and the policy waits for it.
    Known,
}

impl Live {
    /// Polls the future once, with a waker that does nothing unless the task can wait. Sets the outcome if the future is done, or panicked.
    #[inline(always)]
    pub(crate) fn poll(&mut self, outcome: &mut Option<Outcome>) {
        let waker = match self.reach {
            // One byte that is at hand says that there is nothing to look at.
            Reach::Nothing => Waker::noop(),
            _ => match self.beside.as_deref_mut() {
                Some(Beside { outlook: Some(outlook), .. }) => outlook.begin(),
                _ => Waker::noop(),
            },
        };
        let mut cx = Context::from_waker(waker);
        let future = self.future.as_mut();
        // Unwind safety: after a panic the future is dropped and never polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            if let Poll::Ready(ended) = future.poll(&mut cx) {
                *outcome = Some(ended);
            }
        }));
        if let Err(panic) = polled {
            *outcome = Some(host_panic(panic));
        }
    }

    /// Drops the future, which frees the instance with all that it holds, and keeps the account.
    ///
    /// A host value in the guest's store may panic while it is dropped; that, too, is this task's trouble alone.
    pub(crate) fn into_ledger(self) -> Ledger {
        let ledger = self.ledger();
        drop_quietly(self.future);
        ledger
    }

    /// The account.
    pub(crate) fn ledger(&self) -> Ledger {
        self.tally.ledger(self.last)
    }

    /// What the policy was told.
    pub(crate) fn params(&self) -> Params {
        self.beside.as_ref().map_or(Params::default(), |beside| beside.params)
    }

    /// Notes what the policy is told.
    pub(crate) fn set_param(&mut self, param: Param) {
        let params = &mut self.beside.get_or_insert_default().params;
        *params = params.with(param);
    }

    /// What it has beside its total budget; `None` if that is nothing.
    pub(crate) fn account(&self) -> Option<&Account> {
        self.beside.as_ref().map(|beside| &beside.account)
    }

    /// The same, to be changed.
    pub(crate) fn account_mut(&mut self) -> Option<&mut Account> {
        self.beside.as_mut().map(|beside| &mut beside.account)
    }

    /// What it has if it reaches to its host.
    pub(crate) fn outlook(&self) -> Option<&Outlook> {
        self.beside.as_ref()?.outlook.as_ref()
    }

    /// The same, to be changed.
    pub(crate) fn outlook_mut(&mut self) -> Option<&mut Outlook> {
        self.beside.as_mut()?.outlook.as_mut()
    }

    /// Whether there is nothing to look at but the fuel: it is polled with a waker that does nothing, shares with nobody, asks for nothing.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        !self.detour & (self.reach as u8 == Reach::Nothing as u8)
    }

    /// The executor has taken the task in: it has an id, and can be woken.
    pub(crate) fn attach(&mut self, id: TaskId, list: &Arc<WakeList>) {
        if self.reach == Reach::Nothing {
            return;
        }
        let waker = (self.reach == Reach::Waits).then(|| {
            let signal = Arc::new(Signal::new(id, list.clone()));
            (signal.clone(), Waker::from(signal))
        });
        self.beside.get_or_insert_default().outlook = Some(Outlook { waker, blocked: None });
    }

    /// What it waits for, if it does.
    pub(crate) fn blocked(&self) -> Option<&Blocked> {
        self.outlook()?.blocked.as_ref()
    }

    /// Whether there is a waker to wake it.
    pub(crate) fn can_wait(&self) -> bool {
        self.reach == Reach::Waits && self.outlook().is_some()
    }

    /// Ends the wait for a moment that has come by `now`.
    pub(crate) fn take_sleep(&mut self, now: Duration) -> Option<Blocked> {
        self.outlook_mut()?.blocked.take_if(|blocked| blocked.until.is_some_and(|until| until <= now))
    }

    /// Sets `detour` anew, after `suspended` or `account` have changed.
    pub(crate) fn review(&mut self) {
        let shares = |account: &Account| account.allowance.is_some() || account.group.is_some();
        self.detour = self.suspended == Suspended::Asked || self.account().is_some_and(shares);
    }

    /// Until when it waits, if it does: for its start, or for fuel.
    pub(crate) fn until(&self) -> Option<Fuel> {
        self.account().and_then(|account| account.until)
    }

    /// Whether it waits for anything: its start, fuel, or what a function of its host's waits for.
    pub(crate) fn is_waiting(&self) -> bool {
        self.until().is_some() || self.blocked().is_some()
    }

    /// Whether the policy counts it among the ready, between two steps.
    pub(crate) fn is_ready(&self) -> bool {
        self.suspended != Suspended::Known && !self.is_waiting()
    }

    /// Fuel left of the budget.
    pub(crate) fn budget_left(&self) -> Fuel {
        self.budget.minus(self.tally.used)
    }
}

/// Tasks spawned by tasks.
impl Meter {
    /// Spawns another task, from within a slice of this one: the executor takes it in when the slice is over, in the order of these calls, and
    /// the handle tells how it ends. What is wrong with the task ends it as `failed`.
    pub fn spawn(&self, task: Task) -> Join {
        let join = Join::default();
        let asked = (Box::new(task.joined(join.clone())) as Box<dyn Any + Send>, join.clone());
        match self.outside() {
            Some(outside) => outside.ask(|all| all.spawned.push(asked)),
            None => join.end(Ending::of(&Outcome::Stopped)),
        }
        join
    }
}

/// The outcome of a task whose future panicked with this payload.
#[cold]
fn host_panic(payload: Box<dyn Any + Send>) -> Outcome {
    let text = payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".into());
    drop_quietly(payload);
    Outcome::Trapped(crate::outcome::Trap::new(format!("host panic: {text}")))
}

/// Drops a value, whose destructor may panic; so may that of the panic's payload, and what that one panics with is leaked, because
/// there need be no end to it.
fn drop_quietly<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value)))
        && let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
    {
        std::mem::forget(another);
    }
}
