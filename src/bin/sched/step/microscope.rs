//! A run that is made poll by poll, and can go back: by running again to the poll before, with all that was changed on the way changed again.

use super::command::{Change, Until};
use super::seen::{Known, Seen};
use crate::args::{Format, OutputArgs};
use crate::job::Job;
use crate::plan::Plan;
use crate::report::EndedBy;
use crate::run::{Extras, Sched, Session};
use fuelsched::channel::Channel;
use fuelsched::trace::Slice;
use fuelsched::{Fuel, TaskId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The run.
pub(super) struct Microscope<'a> {
    /// What is run.
    plan: &'a Plan,
    /// Its tasks.
    jobs: &'a [Job],
    /// Ctrl-C.
    interrupted: Arc<AtomicBool>,
    /// The run itself, as far as it has come.
    pub(super) session: Session<'a>,
    /// Whether the guests are instrumented.
    debug: bool,
    /// Polls so far.
    polls: u64,
    /// What was changed, and after how many polls.
    changes: Vec<(u64, Change)>,
    /// How long polls took, where that is limited.
    took: Duration,
    /// Who is told of long walks.
    watch: Option<Box<dyn Watch>>,
}

/// Somebody who is told how far a long walk came, and may end it.
pub(super) trait Watch {
    /// Says whether it is to go on. Asked from time to time.
    fn goes_on(&mut self, polls: u64, sched: &Sched) -> bool;

    /// It is over.
    fn over(&mut self) {}
}

/// Time from one look at the watch to the next.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What stopped a walk.
#[derive(Debug, PartialEq)]
pub(super) enum Stopped {
    /// It came where it was to come.
    There,
    /// Nobody can run, or no more of it may: why.
    Over(String),
    /// Somebody did not want it to go on.
    Interrupted,
}

impl<'a> Microscope<'a> {
    /// A run in which nothing has happened yet.
    pub(super) fn new(
        plan: &'a Plan,
        jobs: &'a [Job],
        interrupted: &Arc<AtomicBool>,
        debug: bool,
    ) -> anyhow::Result<Microscope<'a>> {
        let session = session(plan, jobs, interrupted)?;
        Ok(Microscope {
            plan,
            jobs,
            interrupted: interrupted.clone(),
            session,
            debug,
            polls: 0,
            changes: Vec::new(),
            took: Duration::ZERO,
            watch: None,
        })
    }

    /// Tells this of long walks from now on.
    pub(super) fn watch(&mut self, watch: Box<dyn Watch>) {
        self.watch = Some(watch);
    }

    /// Whether a signal has asked the program to end.
    pub(super) fn is_ended_by_signal(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Polls so far.
    pub(super) fn polls(&self) -> u64 {
        self.polls
    }

    /// Whether the guests are instrumented, so that what they do not export can be seen.
    pub(super) fn debugs(&self) -> bool {
        self.debug
    }

    /// What is run.
    pub(super) fn plan(&self) -> &Plan {
        self.plan
    }

    /// What was seen.
    pub(super) fn seen(&self) -> Option<&Seen> {
        self.session.sched.observer().seen.as_ref()
    }

    /// All tasks that have been there.
    pub(super) fn tasks(&self) -> &[Known] {
        self.seen().map_or(&[], |seen| &seen.tasks)
    }

    /// The latest slice.
    pub(super) fn slice(&self) -> Option<Slice> {
        self.seen()?.slice
    }

    /// The name of a task.
    pub(super) fn name(&self, task: usize) -> String {
        let label = self.tasks().get(task).map(|known| known.label);
        let job = label.and_then(|label| self.jobs.get(usize::try_from(label).ok()?)).map(|job| job.name.clone());
        job.or_else(|| self.session.spawned_name(label?)).unwrap_or_else(|| format!("task {task}"))
    }

    /// The task of that name, or of that place in the order of spawning. Of those that were started again, the latest.
    pub(super) fn find(&self, name: &str) -> Result<usize, String> {
        let named = (0..self.tasks().len()).rev().find(|task| self.name(*task) == name);
        let numbered = || name.parse().ok().filter(|task| *task < self.tasks().len());
        named.or_else(numbered).ok_or_else(|| {
            let names: Vec<String> = (0..self.tasks().len().min(8)).map(|task| self.name(task)).collect();
            format!("there is no task '{name}'; there are {}", names.join(", "))
        })
    }

    /// The id of the task of that name.
    pub(super) fn id(&self, name: &str) -> Result<TaskId, String> {
        self.find(name).map(|task| self.tasks()[task].id)
    }

    /// The names of the channels that there are.
    pub(super) fn channels(&self) -> Vec<String> {
        self.session.channels().names()
    }

    /// The channel of that name, which somebody has opened.
    pub(super) fn channel(&self, name: &str) -> Result<Channel, String> {
        let names = self.channels();
        if !names.iter().any(|known| known == name) {
            let open = match names.is_empty() {
                true => "none is open".into(),
                false => format!("there are {}", names[..names.len().min(8)].join(", ")),
            };
            return Err(format!("no task has opened a channel '{name}'; {open}"));
        }
        // It is there, so that its room is settled.
        self.session.channels().open(name, 1).map_err(|error| format!("channel '{name}': {error}"))
    }

    /// Makes one poll. Says why there was none.
    fn poll(&mut self) -> Option<Stopped> {
        let all = self.plan.run_fuel.is_some_and(|fuel| self.session.sched.totals().fuel >= Fuel(fuel));
        if all {
            return Some(Stopped::Over("the fuel of the run is used up".into()));
        }
        let left = self.plan.run_time_ns.map(|time| Duration::from_nanos(time).saturating_sub(self.took));
        if left == Some(Duration::ZERO) {
            return Some(Stopped::Over("the time of the run is used up".into()));
        }
        let before = self.session.sched.observer_mut().seen.as_mut().map(|seen| std::mem::take(&mut seen.since));
        let (began, polls) = (Instant::now(), self.polls);
        let (interrupted, watch) = (&self.interrupted, &mut self.watch);
        let (ran, end) = self.session.one_poll(&mut |sched| {
            interrupted.load(Ordering::Relaxed)
                || left.is_some_and(|left| began.elapsed() >= left)
                || !watch.as_mut().is_none_or(|watch| watch.goes_on(polls, sched))
        });
        if left.is_some() {
            self.took += began.elapsed();
        }
        self.polls += u64::from(ran);
        if let (false, Some(seen), Some(before)) = (ran, &mut self.session.sched.observer_mut().seen, before) {
            // What the latest poll brought about is still that.
            seen.since.splice(0..0, before);
        }
        let why = match end? {
            EndedBy::Interrupt if left.is_some_and(|left| began.elapsed() >= left) => {
                "the time of the run is used up".into()
            }
            EndedBy::Interrupt => return Some(Stopped::Interrupted),
            EndedBy::Shutdown(why) => format!("shut down: {why}"),
            _ if self.session.sched.live() == 0 => "all tasks have ended".into(),
            _ => "nobody can run; tasks shows what each waits for".into(),
        };
        Some(Stopped::Over(why))
    }

    /// Makes so many polls.
    pub(super) fn step(&mut self, polls: u64) -> Stopped {
        let to = self.polls.saturating_add(polls);
        self.walk(|microscope| microscope.polls >= to)
    }

    /// Polls until something.
    pub(super) fn until(&mut self, until: &Until) -> Result<Stopped, String> {
        let before = self.slice().map(|slice| slice.spawn_index);
        let task = match until {
            Until::Task(name) => Some(self.find(name)?),
            _ => None,
        };
        let first = self.polls;
        Ok(self.walk(|microscope| match until {
            _ if microscope.polls == first => false,
            Until::Switch => microscope.slice().map(|slice| slice.spawn_index) != before,
            Until::Task(_) => microscope.slice().is_some_and(|slice| usize::try_from(slice.spawn_index).ok() == task),
            Until::Fuel(fuel) => microscope.session.sched.now() >= Fuel(*fuel),
            Until::Trap => microscope.slice().is_some_and(|slice| {
                usize::try_from(slice.spawn_index)
                    .ok()
                    .and_then(|task| microscope.tasks().get(task))
                    .is_some_and(|task| task.trapped)
            }),
            Until::End => false,
        }))
    }

    /// Polls until it is there, nobody can run, or somebody interrupts.
    fn walk(&mut self, there: impl Fn(&Self) -> bool) -> Stopped {
        let stopped = self.walk_on(there);
        if let Some(watch) = &mut self.watch {
            watch.over();
        }
        stopped
    }

    /// The same, without an end to the walk.
    fn walk_on(&mut self, there: impl Fn(&Self) -> bool) -> Stopped {
        let mut looked = Instant::now();
        while !there(self) {
            if self.is_ended_by_signal() {
                return Stopped::Interrupted;
            }
            if looked.elapsed() >= LOOK_EVERY {
                let (polls, sched) = (self.polls, &self.session.sched);
                if !self.watch.as_mut().is_none_or(|watch| watch.goes_on(polls, sched)) {
                    return Stopped::Interrupted;
                }
                looked = Instant::now();
            }
            if let Some(stopped) = self.poll() {
                return stopped;
            }
        }
        Stopped::There
    }

    /// Goes back by so many polls.
    ///
    /// Stopped on the way, it is where it came to: what was changed later than that is not changed any more. An error says why there is no
    /// way back.
    pub(super) fn back(&mut self, polls: u64) -> Result<Stopped, String> {
        if self.polls == 0 {
            return Err("nothing has run yet, so there is no way back".into());
        }
        let came_in = self.session.what_came_in();
        if !came_in.is_empty() {
            return Err(format!(
                "there is no way back: {}, and would get something else this time",
                came_in.join(", and ")
            ));
        }
        let to = self.polls.saturating_sub(polls);
        let fresh = session(self.plan, self.jobs, &self.interrupted).map_err(|error| format!("{error:#}"))?;
        self.session = fresh;
        (self.polls, self.took) = (0, Duration::ZERO);
        let mut changes = std::mem::take(&mut self.changes);
        changes.retain(|(after, _)| *after <= to);
        for (after, change) in changes {
            let stopped = self.walk(|microscope| microscope.polls >= after);
            if stopped == Stopped::Interrupted {
                return Ok(stopped);
            }
            self.change(change)?;
        }
        Ok(self.walk(|microscope| microscope.polls >= to))
    }

    /// Changes something, and remembers that for the way back.
    pub(super) fn change(&mut self, change: Change) -> Result<(), String> {
        self.do_change(&change)?;
        self.changes.push((self.polls, change));
        Ok(())
    }

    /// Changes something.
    fn do_change(&mut self, change: &Change) -> Result<(), String> {
        let said = |error: fuelsched::Error| error.to_string();
        match change {
            Change::Set(task, param) => {
                let id = self.id(task)?;
                self.session.sched.set(id, *param).map_err(said)
            }
            Change::Kill(task) => {
                let id = self.id(task)?;
                self.session.sched.kill(id).map(drop).map_err(said)
            }
            Change::Suspend(task) => {
                let id = self.id(task)?;
                self.session.sched.suspend(id).map_err(said)
            }
            Change::Resume(task) => {
                let id = self.id(task)?;
                self.session.sched.resume(id).map_err(said)
            }
            Change::Refuel(task, fuel) => {
                let id = self.id(task)?;
                self.session.sched.refuel(id, Fuel(*fuel)).map_err(said)
            }
            Change::Send(channel, message) => {
                let sent = self.channel(channel)?.try_send(message);
                sent.map_err(|error| format!("channel '{channel}': {error}"))
            }
            Change::Close(channel) => {
                self.channel(channel)?.close();
                Ok(())
            }
            Change::Poke(task, export, address, bytes) => {
                let id = self.id(task)?;
                self.session.sched.write_memory(id, export, *address, bytes).map_err(said)
            }
            Change::SetGlobal(task, export, value) => {
                let id = self.id(task)?;
                self.session.sched.set_global(id, export, *value).map_err(said)
            }
        }
    }
}

/// A run of the plan at its beginning, that is looked at.
fn session<'a>(plan: &'a Plan, jobs: &'a [Job], interrupted: &Arc<AtomicBool>) -> anyhow::Result<Session<'a>> {
    let quiet = OutputArgs { format: Format::Human, log: false, timing: false, quiet: true };
    let extras = Extras { seen: Some(Seen::default()), ..Extras::default() };
    Session::new(plan, jobs, &plan.policy, quiet, interrupted, extras)
}
