//! Fuel that comes back: allowances that are replenished every period, and groups of tasks that share what they may use.
//!
//! A *total* budget ends its task. An *allowance* only makes it wait: "out of fuel for now" is a wait until the next period, "out of fuel for
//! good" is [`Outcome::OutOfFuel`](crate::Outcome::OutOfFuel).

use crate::error::{ErrorKind, Result};
use crate::join::Join;
use crate::unit::{Fuel, GroupId};

/// So much fuel in each period of the virtual clock.
///
/// What is left at a period's end is lost, so that nobody can save up for a burst. What was used beyond the amount, because a guest cannot be
/// stopped before its next yield point, is taken off the periods that follow: over `k` whole periods an allowance lets pass at most
/// `k × amount` and one overshoot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Fuel in each period; at least 1.
    amount: u64,
    /// The length of a period; at least 1.
    period: u64,
    /// When the present period ends.
    ends: Fuel,
    /// Fuel left of the present period; negative while there are debts. Wide enough for any debt.
    left: i128,
}

impl Allowance {
    /// An allowance whose first period begins at `now`. A slice cannot be empty, and neither can a period: 0 is taken as 1.
    pub(crate) fn new(amount: Fuel, period: Fuel, now: Fuel) -> Allowance {
        let (amount, period) = (amount.0.max(1), period.0.max(1));
        Allowance { amount, period, ends: now.plus(Fuel(period)), left: i128::from(amount) }
    }

    /// Goes over to the period that `now` is in. O(1), however many have passed.
    pub(crate) fn refresh(&mut self, now: Fuel) {
        // The clock stands still at the end of all time, so a period that lasts until then never ends. Looking twice has to be looking once.
        if now < self.ends || self.ends == Fuel::MAX {
            return;
        }
        let periods = now.minus(self.ends).0 / self.period + 1;
        self.ends = self.ends.plus(Fuel(periods.saturating_mul(self.period)));
        let amount = i128::from(self.amount);
        self.left = self.left.saturating_add(amount.saturating_mul(i128::from(periods))).min(amount);
    }

    /// Takes off what was used.
    pub(crate) fn spend(&mut self, used: Fuel) {
        self.left = self.left.saturating_sub(i128::from(used.0));
    }

    /// Adds to the present period.
    pub(crate) fn refuel(&mut self, fuel: Fuel) {
        self.left = self.left.saturating_add(i128::from(fuel.0));
    }

    /// Fuel left of the present period.
    pub(crate) fn left(&self) -> Fuel {
        Fuel(u64::try_from(self.left.max(0)).unwrap_or(u64::MAX))
    }

    /// When there will be fuel, if there is none now: as many periods on as the debts take.
    pub(crate) fn empty_until(&self) -> Option<Fuel> {
        if self.left > 0 {
            return None;
        }
        let periods = u64::try_from(-self.left / i128::from(self.amount)).unwrap_or(u64::MAX);
        Some(self.ends.plus(Fuel(periods.saturating_mul(self.period))))
    }
}

/// A group of tasks, to be made by [`Executor::add_group`](crate::Executor::add_group): a tenant, say. Its tasks share what is set here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "a group does nothing until an executor has it"]
pub struct Group {
    /// Fuel that its tasks may use in all.
    pub(crate) budget: Option<Fuel>,
    /// Fuel that they may use in each period, and the period.
    pub(crate) allowance: Option<(Fuel, Fuel)>,
    /// Its weight among the other groups and the tasks in none.
    pub(crate) weight: Option<u32>,
}

impl Group {
    /// A group with no limits and the weight 1.
    pub fn new() -> Group {
        Group::default()
    }

    /// Fuel that all its tasks together may use. Once it is used up, each of them ends as
    /// [`Outcome::OutOfFuel`](crate::Outcome::OutOfFuel) when its turn comes.
    pub fn budget(mut self, fuel: Fuel) -> Group {
        self.budget = Some(fuel);
        self
    }

    /// Fuel that all its tasks together may use in each period of the virtual clock; then they wait for the next one.
    pub fn replenishing(mut self, amount: Fuel, period: Fuel) -> Group {
        self.allowance = Some((amount, period));
        self
    }

    /// Its weight, for policies that know weights of groups; 1 unless given.
    pub fn weight(mut self, weight: u32) -> Group {
        self.weight = Some(weight);
        self
    }
}

/// All groups of an executor.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// By [`GroupId::index`], with the generation; `None` is free.
    all: Vec<(u32, Option<Shared>)>,
    /// Positions that are free.
    free: Vec<u32>,
}

/// What the tasks of a group share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shared {
    /// Fuel used by tasks that are, or were, in it.
    pub(crate) used: Fuel,
    /// Fuel that they may use in all; [`Fuel::MAX`] for no limit.
    pub(crate) budget: Fuel,
    /// Fuel that they may use in each period.
    pub(crate) allowance: Option<Allowance>,
    /// Its weight.
    pub(crate) weight: u32,
    /// Tasks in it that have not ended.
    pub(crate) tasks: usize,
}

impl Groups {
    /// Makes a group.
    pub(crate) fn add(&mut self, group: Group, now: Fuel) -> GroupId {
        let shared = Shared {
            used: Fuel::ZERO,
            budget: group.budget.unwrap_or(Fuel::MAX),
            allowance: group.allowance.map(|(amount, period)| Allowance::new(amount, period, now)),
            weight: group.weight.unwrap_or(1),
            tasks: 0,
        };
        match self.free.pop() {
            Some(index) => {
                let (generation, place) = &mut self.all[index as usize];
                *place = Some(shared);
                GroupId::new(index, *generation)
            }
            None => {
                self.all.push((0, Some(shared)));
                GroupId::new(self.all.len() as u32 - 1, 0)
            }
        }
    }

    /// Forgets a group that has no tasks. A position whose generations are used up stays empty for good.
    pub(crate) fn remove(&mut self, id: GroupId) -> Result<()> {
        if self.get(id)?.tasks > 0 {
            return Err(ErrorKind::GroupInUse(id).into());
        }
        let (generation, place) = &mut self.all[id.index()];
        *place = None;
        if let Some(next) = generation.checked_add(1) {
            *generation = next;
            self.free.push(id.index() as u32);
        }
        Ok(())
    }

    /// The group, if there is one of that id.
    pub(crate) fn get(&mut self, id: GroupId) -> Result<&mut Shared> {
        match self.all.get_mut(id.index()) {
            Some((generation, Some(shared))) if *generation == id.generation() => Ok(shared),
            _ => Err(ErrorKind::NoSuchGroup(id).into()),
        }
    }

    /// What the group has used, if there is one of that id.
    pub(crate) fn used(&self, id: GroupId) -> Option<Fuel> {
        match self.all.get(id.index())? {
            (generation, Some(shared)) if *generation == id.generation() => Some(shared.used),
            _ => None,
        }
    }

    /// All groups with their weights, in the order of their positions.
    pub(crate) fn weights(&self) -> impl Iterator<Item = (GroupId, u32)> + '_ {
        self.all.iter().enumerate().filter_map(|(index, (generation, shared))| {
            Some((GroupId::new(index as u32, *generation), shared.as_ref()?.weight))
        })
    }
}

/// What few tasks have beside their total budget.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Fuel in each period.
    pub(crate) allowance: Option<Allowance>,
    /// The group whose fuel it uses as well.
    pub(crate) group: Option<GroupId>,
    /// Until when it cannot run, if it waits: for its start, or for fuel. There is a timer for then.
    pub(crate) until: Option<Fuel>,
    /// Who waits for its end.
    pub(crate) join: Option<Join>,
}

impl Account {
    /// Whether there is nothing in it.
    pub(crate) fn is_plain(&self) -> bool {
        self.allowance.is_none() && self.group.is_none() && self.until.is_none() && self.join.is_none()
    }

    /// What a slice may use, as the account and the group stand at `now`; `Err` with when there will be something, or with `None` where the
    /// group's budget is used up for good.
    pub(crate) fn available(&mut self, groups: &mut Groups, now: Fuel) -> std::result::Result<Fuel, Option<Fuel>> {
        let mut limit = Fuel::MAX;
        let mut until = None;
        let mut look = |allowance: &mut Option<Allowance>| {
            if let Some(allowance) = allowance {
                allowance.refresh(now);
                limit = limit.min(allowance.left());
                until = until.max(allowance.empty_until());
            }
        };
        look(&mut self.allowance);
        if let Some(shared) = self.group.and_then(|id| groups.get(id).ok()) {
            look(&mut shared.allowance);
            limit = limit.min(shared.budget.minus(shared.used));
            if shared.used >= shared.budget {
                return Err(None);
            }
        }
        match until {
            None => Ok(limit),
            Some(at) => Err(Some(at)),
        }
    }

    /// Takes off what a slice used.
    pub(crate) fn spend(&mut self, groups: &mut Groups, used: Fuel) {
        if let Some(allowance) = &mut self.allowance {
            allowance.spend(used);
        }
        if let Some(shared) = self.group.and_then(|id| groups.get(id).ok()) {
            shared.used = shared.used.plus(used);
            if let Some(allowance) = &mut shared.allowance {
                allowance.spend(used);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_lost_and_what_was_used_too_much_is_taken_off() {
        let mut allowance = Allowance::new(Fuel(10), Fuel(100), Fuel(0));
        allowance.spend(Fuel(4));
        allowance.refresh(Fuel(99));
        assert_eq!((allowance.left(), allowance.empty_until()), (Fuel(6), None));
        allowance.refresh(Fuel(100));
        assert_eq!(allowance.left(), Fuel(10), "and not 16");
        allowance.spend(Fuel(10));
        assert_eq!((allowance.left(), allowance.empty_until()), (Fuel(0), Some(Fuel(200))));
        // 25 more: two periods pay 20, the third pays 5 and has 5 left.
        allowance.spend(Fuel(25));
        assert_eq!(allowance.empty_until(), Some(Fuel(400)));
        allowance.refresh(Fuel(400));
        assert_eq!((allowance.left(), allowance.empty_until()), (Fuel(5), None));
    }

    #[test]
    fn no_debt_is_too_large_to_be_counted() {
        let mut allowance = Allowance::new(Fuel(1), Fuel(u64::MAX), Fuel(0));
        for _ in 0..4 {
            allowance.spend(Fuel::MAX);
        }
        assert_eq!(allowance.empty_until(), Some(Fuel::MAX));
        allowance.refresh(Fuel::MAX);
        assert!(allowance.left() <= Fuel(1));
    }

    #[test]
    fn at_the_end_of_all_time_no_more_periods_begin() {
        let mut allowance = Allowance::new(Fuel(1), Fuel(10), Fuel(0));
        allowance.spend(Fuel::MAX);
        allowance.refresh(Fuel::MAX);
        let once = allowance;
        allowance.refresh(Fuel::MAX);
        assert_eq!(allowance, once);
    }

    #[test]
    fn an_old_id_never_means_a_new_group() {
        let mut groups = Groups::default();
        let old = groups.add(Group::new(), Fuel::ZERO);
        groups.remove(old).unwrap();
        let new = groups.add(Group::new(), Fuel::ZERO);
        assert_eq!(old.index(), new.index());
        assert!(groups.get(old).is_err() && groups.get(new).is_ok());
        groups.get(new).unwrap().tasks = 1;
        assert!(groups.remove(new).is_err());
    }
}
