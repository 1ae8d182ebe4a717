//! What a host does to tasks between steps: spawn, kill, suspend, resume, refuel, change, take, and look.
//!
//! None of it runs an instruction of a guest. All of it is safe at any time, because between two steps no task is running.

use super::{Executor, Slot, State, TaskState, Totals};
use crate::account::Group;
use crate::error::{ErrorKind, Result};
use crate::ledger::Ledger;
use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::reason::{Control, Param, Params, ReadyReason};
use crate::task::{Live, Suspended, Task};
use crate::trace::{Ended, GroupControl, Observer, Spawned};
use crate::unit::{Fuel, GroupId, TaskId};
use std::time::Duration;

/// Tasks.
impl<P: Policy, O: Observer> Executor<P, O> {
    /// Takes a task in. It runs from the next step on, when the policy picks it.
    ///
    /// # Errors
    /// What was wrong with the call that the task was made from (see [`Module::call`](crate::Module::call)), [`ErrorKind::NoSuchGroup`], or
    /// [`ErrorKind::Refused`] by the policy. Nothing has changed then.
    pub fn spawn(&mut self, task: Task) -> Result<TaskId> {
        self.fetch = task.fetch().unwrap_or(self.fetch);
        let mut live = task.into_live(self.totals.spawned, self.now)?;
        let params = live.params();
        if let Some(group) = params.group {
            self.groups.get(group)?;
        }
        let (index, generation) = match self.free.last() {
            Some(&index) => (index, self.slots[index as usize].generation),
            None => (self.slots.len() as u32, 0),
        };
        let id = TaskId::new(index, generation);
        self.policy.admit(id, &params)?;
        if let Some(group) = params.group {
            self.groups.get(group)?.tasks += 1;
        }
        self.reach_out(id, &mut live);
        let (label, released, until) = (live.label, live.released, live.until());
        let slot = Slot { generation, state: State::Live(live) };
        match self.free.pop() {
            Some(index) => self.slots[index as usize] = slot,
            None => self.slots.push(slot),
        }
        self.live += 1;
        let (spawn_index, by) = (self.totals.spawned, self.outside.spawner);
        self.observer.spawned(&Spawned { id, spawn_index, label, params, released, by });
        self.totals.spawned += 1;
        match until {
            Some(at) => self.timers.insert(at, id),
            None => self.make_ready(id, ReadyReason::Spawned),
        }
        Ok(id)
    }

    /// Ends a task now, as [`Outcome::Killed`], and returns its last account. That this returns is the confirmation that the future has been
    /// dropped: its stack is unwound, its instance is gone, and its memory is with the allocator that it came from.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchTask`], [`ErrorKind::TaskEnded`].
    pub fn kill(&mut self, id: TaskId) -> Result<Ledger> {
        let ledger = self.live_mut(id)?.ledger();
        self.tell(id, &Control::Kill);
        self.finish(id, Outcome::Killed);
        Ok(ledger)
    }

    /// Ends all tasks that have not ended, as [`Outcome::Stopped`], in the order of their slots.
    pub fn stop_all(&mut self) {
        for index in 0..self.slots.len() {
            let Slot { generation, state } = &self.slots[index];
            if matches!(state, State::Live(_)) {
                self.end_stopped(TaskId::new(index as u32, *generation));
            }
        }
    }

    /// Ends one task as [`Executor::stop_all`] does.
    pub(crate) fn stop(&mut self, id: TaskId) -> Result<()> {
        self.live_mut(id)?;
        self.end_stopped(id);
        Ok(())
    }

    /// Ends a task that lives, as [`Outcome::Stopped`].
    fn end_stopped(&mut self, id: TaskId) {
        self.tell(id, &Control::Stop);
        self.finish(id, Outcome::Stopped);
    }

    /// Lets picks pass a task over, until [`Executor::resume`]. Its debts stay. Suspending twice is suspending once.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchTask`], [`ErrorKind::TaskEnded`].
    pub fn suspend(&mut self, id: TaskId) -> Result<()> {
        let task = self.live_mut(id)?;
        if task.suspended == Suspended::No {
            // The policy waits already for whoever waits for something.
            task.suspended = if task.is_waiting() { Suspended::Known } else { Suspended::Asked };
            task.review();
        }
        self.tell(id, &Control::Suspend);
        Ok(())
    }

    /// Makes a suspended task ready again, unless it waits for something as well. Resuming a task that is not suspended does nothing.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchTask`], [`ErrorKind::TaskEnded`].
    pub fn resume(&mut self, id: TaskId) -> Result<()> {
        let task = self.live_mut(id)?;
        let known = std::mem::replace(&mut task.suspended, Suspended::No) == Suspended::Known;
        let ready = known && !task.is_waiting();
        task.review();
        if ready {
            self.make_ready(id, ReadyReason::Resumed);
        }
        self.tell(id, &Control::Resume);
        Ok(())
    }

    /// Adds to what a task may use: to its budget, if it has one, and to its allowance of the present period, if it has one. A task that waits
    /// for fuel goes on at once if it now has some.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchTask`], [`ErrorKind::TaskEnded`].
    pub fn refuel(&mut self, id: TaskId, fuel: Fuel) -> Result<()> {
        let now = self.now;
        let task = self.live_mut(id)?;
        task.budget = task.budget.plus(fuel);
        if let Some(outside) = task.meter.outside() {
            outside.set_budget(task.budget);
        }
        if let Some(allowance) = task.account_mut().and_then(|account| account.allowance.as_mut()) {
            allowance.refresh(now);
            allowance.refuel(fuel);
        }
        self.tell(id, &Control::Refuel(fuel));
        self.look_again(id);
        Ok(())
    }

    /// Lets a task that waits for fuel go on, if there now is some.
    fn look_again(&mut self, id: TaskId) {
        let Some(State::Live(task)) = self.slots.get_mut(id.index()).map(|slot| &mut slot.state) else {
            return;
        };
        // Whoever has not been released waits for its start, and not for fuel.
        let Some(until) = task.until().filter(|_| task.released <= self.now) else {
            return;
        };
        // A sleep until the same moment has the same timer.
        let shared = task.blocked().and_then(|blocked| blocked.until);
        let Some(account) = task.account_mut() else {
            return;
        };
        let shared = self.clock.is_simulated() && shared.is_some_and(|at| at == Duration::from_nanos(until.0));
        match account.available(&mut self.groups, self.now) {
            // Debts that are smaller now are paid sooner.
            Err(Some(sooner)) if sooner < until => {
                account.until = Some(sooner);
                if !shared {
                    self.timers.remove(until, id);
                }
                self.timers.insert(sooner, id);
            }
            Err(_) => {}
            Ok(_) => {
                account.until = None;
                if !shared {
                    self.timers.remove(until, id);
                }
                if task.suspended == Suspended::No && !task.is_waiting() {
                    self.make_ready(id, ReadyReason::Replenished);
                }
            }
        }
    }

    /// Changes a parameter of a task: from its next slice on, or as the policy says.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchTask`], [`ErrorKind::TaskEnded`], or [`ErrorKind::Refused`] by the policy.
    pub fn set(&mut self, id: TaskId, param: Param) -> Result<()> {
        self.live_mut(id)?;
        self.policy.set(id, param)?;
        let task = self.live_mut(id)?;
        task.set_param(param);
        self.tell(id, &Control::Set(param));
        Ok(())
    }

    /// [`Executor::set`] with a quantum.
    ///
    /// # Errors
    /// Those of [`Executor::set`].
    pub fn set_quantum(&mut self, id: TaskId, quantum: Fuel) -> Result<()> {
        self.set(id, Param::Quantum(quantum))
    }

    /// [`Executor::set`] with a weight.
    ///
    /// # Errors
    /// Those of [`Executor::set`].
    pub fn set_weight(&mut self, id: TaskId, weight: u32) -> Result<()> {
        self.set(id, Param::Weight(weight))
    }

    /// [`Executor::set`] with a priority.
    ///
    /// # Errors
    /// Those of [`Executor::set`].
    pub fn set_priority(&mut self, id: TaskId, priority: u8) -> Result<()> {
        self.set(id, Param::Priority(priority))
    }

    /// [`Executor::set`] with a relative deadline.
    ///
    /// # Errors
    /// Those of [`Executor::set`].
    pub fn set_deadline(&mut self, id: TaskId, deadline: Fuel) -> Result<()> {
        self.set(id, Param::Deadline(deadline))
    }

    /// Tells the observer what the host did to a task.
    pub(super) fn tell(&mut self, id: TaskId, control: &Control) {
        if let Some(State::Live(task)) = self.slots.get(id.index()).map(|slot| &slot.state) {
            self.observer.control(task.spawn_index, control);
        }
    }

    /// Takes an ended task, and frees its slot. `None` while it runs, and when it was taken before.
    pub fn take(&mut self, id: TaskId) -> Option<Ended> {
        let slot = self.slots.get_mut(id.index())?;
        match std::mem::replace(&mut slot.state, State::Vacant) {
            State::Ended(ended) if ended.id == id => {
                self.ended -= 1;
                self.vacate(id);
                Some(*ended)
            }
            other => {
                slot.state = other;
                None
            }
        }
    }

    /// The outcome of an ended task, which is thereby taken.
    pub fn take_outcome(&mut self, id: TaskId) -> Option<Outcome> {
        self.take(id).map(|ended| ended.outcome)
    }

    /// Takes all ended tasks, in the order of their slots.
    pub fn take_ended(&mut self) -> Vec<Ended> {
        let mut all = Vec::with_capacity(self.ended);
        for index in 0..self.slots.len() {
            if self.ended == 0 {
                break;
            }
            let id = TaskId::new(index as u32, self.slots[index].generation);
            all.extend(self.take(id));
        }
        all
    }

    /// The task, if it lives.
    pub(super) fn live_mut(&mut self, id: TaskId) -> Result<&mut Live> {
        match self.slots.get_mut(id.index()) {
            Some(Slot { generation, state }) if *generation == id.generation() => match state {
                State::Live(task) => Ok(task),
                State::Ended(_) => Err(ErrorKind::TaskEnded(id).into()),
                State::Vacant => Err(ErrorKind::NoSuchTask(id).into()),
            },
            _ => Err(ErrorKind::NoSuchTask(id).into()),
        }
    }
}

/// Groups.
impl<P: Policy, O: Observer> Executor<P, O> {
    /// Makes a group, for [`Task::group`]. The first period of its allowance begins now.
    pub fn add_group(&mut self, group: Group) -> GroupId {
        let id = self.groups.add(group, self.now);
        let weight = self.groups.get(id).map_or(1, |shared| shared.weight);
        self.policy.group(id, weight);
        self.observer.group(id, &GroupControl::Add(group));
        id
    }

    /// Forgets a group that has no tasks any more.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchGroup`], [`ErrorKind::GroupInUse`].
    pub fn remove_group(&mut self, id: GroupId) -> Result<()> {
        self.groups.remove(id)?;
        self.policy.ungroup(id);
        self.observer.group(id, &GroupControl::Remove);
        Ok(())
    }

    /// Changes the weight of a group.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchGroup`].
    pub fn set_group_weight(&mut self, id: GroupId, weight: u32) -> Result<()> {
        self.groups.get(id)?.weight = weight;
        self.policy.group(id, weight);
        self.observer.group(id, &GroupControl::Weight(weight));
        Ok(())
    }

    /// Adds to what the tasks of a group may use together: as [`Executor::refuel`] does for one task.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchGroup`].
    pub fn refuel_group(&mut self, id: GroupId, fuel: Fuel) -> Result<()> {
        let now = self.now;
        let shared = self.groups.get(id)?;
        shared.budget = shared.budget.plus(fuel);
        if let Some(allowance) = &mut shared.allowance {
            allowance.refresh(now);
            allowance.refuel(fuel);
        }
        self.observer.group(id, &GroupControl::Refuel(fuel));
        for index in 0..self.slots.len() {
            let Slot { generation, state } = &self.slots[index];
            if matches!(state, State::Live(task) if task.params().group == Some(id)) {
                self.look_again(TaskId::new(index as u32, *generation));
            }
        }
        Ok(())
    }

    /// Fuel that tasks of the group have used, those that have ended included; `None` if there is no such group.
    #[must_use]
    pub fn group_used(&self, id: GroupId) -> Option<Fuel> {
        self.groups.used(id)
    }
}

/// Looking.
impl<P: Policy, O: Observer> Executor<P, O> {
    /// Where the task is in its life; `None` when it was taken.
    #[must_use]
    pub fn state(&self, id: TaskId) -> Option<TaskState> {
        Some(match self.slot(id)? {
            State::Live(task) if task.suspended != Suspended::No => TaskState::Suspended,
            State::Live(task) if task.blocked().is_some() => TaskState::Blocked,
            State::Live(task) => task.until().map_or(TaskState::Ready, |until| TaskState::Waiting { until }),
            State::Ended(_) => TaskState::Ended,
            State::Vacant => return None,
        })
    }

    /// What the task has used so far; `None` when it was taken.
    #[must_use]
    pub fn ledger(&self, id: TaskId) -> Option<Ledger> {
        match self.slot(id)? {
            State::Live(task) => Some(task.ledger()),
            State::Ended(ended) => Some(ended.ledger),
            State::Vacant => None,
        }
    }

    /// How a task ended; `None` while it lives, and when it was taken.
    #[must_use]
    pub fn outcome(&self, id: TaskId) -> Option<&Outcome> {
        match self.slot(id)? {
            State::Ended(ended) => Some(&ended.outcome),
            _ => None,
        }
    }

    /// How many tasks have ended without a slice: when their turn came and their group had no fuel left, or in a deadlock.
    pub(crate) fn starved(&self) -> u64 {
        self.starved
    }

    /// How many tasks have not ended.
    #[must_use]
    pub fn live(&self) -> usize {
        self.live
    }

    /// Sums over all tasks so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The virtual clock: all fuel charged so far, and all that passed idle.
    #[must_use]
    pub fn now(&self) -> Fuel {
        self.now
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &P {
        &self.policy
    }

    /// The policy, for parameters that only it knows.
    pub fn policy_mut(&mut self) -> &mut P {
        &mut self.policy
    }

    /// Puts another policy in, admits all tasks to it in the order in which they were spawned, and returns the old one.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] when the new policy does not take one of the tasks; then the old policy stays.
    pub fn set_policy(&mut self, mut policy: P) -> Result<P> {
        let mut tasks: Vec<(u64, TaskId, Params)> = Vec::with_capacity(self.live);
        for (index, slot) in self.slots.iter().enumerate() {
            if let State::Live(task) = &slot.state {
                tasks.push((task.spawn_index, TaskId::new(index as u32, slot.generation), task.params()));
            }
        }
        for (id, weight) in self.groups.weights() {
            policy.group(id, weight);
        }
        tasks.sort_unstable_by_key(|(spawn_index, ..)| *spawn_index);
        for (_, id, params) in &tasks {
            policy.admit(*id, params)?;
        }
        let now = self.now;
        for (_, id, _) in tasks {
            let task = self.live_mut(id)?;
            if task.suspended == Suspended::Asked {
                task.suspended = Suspended::Known;
                task.review();
            }
            if task.is_ready() {
                policy.ready(id, ReadyReason::Inherited, now);
            }
        }
        Ok(std::mem::replace(&mut self.policy, policy))
    }

    /// Who watches.
    #[must_use]
    pub fn observer(&self) -> &O {
        &self.observer
    }

    /// Who watches, to be changed.
    pub fn observer_mut(&mut self) -> &mut O {
        &mut self.observer
    }

    /// Who watched, of an executor that is done with.
    pub(crate) fn into_observer(self) -> O {
        self.observer
    }

    /// What is in the slot, if it is that task's.
    pub(super) fn slot(&self, id: TaskId) -> Option<&State> {
        let slot = self.slots.get(id.index())?;
        (slot.generation == id.generation()).then_some(&slot.state)
    }
}
