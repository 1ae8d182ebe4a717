//! Which part of a run is looked at: some tasks, and some stretch of the virtual clock.

use fuelsched::trace::events::{Happened, What};
use std::collections::HashSet;

/// What is left in. Of slices those that begin in the stretch.
#[derive(Debug, Default)]
pub(super) struct Filter {
    /// The names of the tasks; all, if there are none.
    names: Vec<String>,
    /// From when.
    from: u64,
    /// Until when, if not for ever.
    to: Option<u64>,
    /// Which of the tasks so far are so called.
    tasks: HashSet<u64>,
    /// Which of the names were seen.
    seen: HashSet<usize>,
}

impl Filter {
    /// Tasks with these names, in this stretch.
    pub(super) fn new(names: Vec<String>, from: Option<u64>, to: Option<u64>) -> Filter {
        Filter { names, from: from.unwrap_or(0), to, ..Filter::default() }
    }

    /// From when.
    pub(super) const fn from(&self) -> u64 {
        self.from
    }

    /// Learns the name of a task. `fib` stands for `fib[0]`, `fib[1]` and `fib#0` too.
    pub(super) fn name(&mut self, task: u64, name: &str) {
        for (place, wanted) in self.names.iter().enumerate() {
            let rest = name.strip_prefix(wanted.as_str());
            if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '#'])) {
                self.tasks.insert(task);
                self.seen.insert(place);
            }
        }
    }

    /// The names that no task had.
    pub(super) fn unseen(&self) -> impl Iterator<Item = &str> {
        let unseen = |(place, _): &(usize, &String)| !self.seen.contains(place);
        self.names.iter().enumerate().filter(unseen).map(|(_, name)| name.as_str())
    }

    /// Whether a task is left in.
    pub(super) fn has(&self, task: u64) -> bool {
        self.names.is_empty() || self.tasks.contains(&task)
    }

    /// Whether something is left in. That a task is there has to be known, whenever it came.
    pub(super) fn lets(&self, event: &Happened) -> bool {
        let (task, always) = match event.what {
            What::Spawned { task, .. } => (Some(task), true),
            What::Ended { task, .. } => (Some(task), event.at.0 < self.from),
            What::Ready { task, .. } | What::Input { task, .. } | What::Waits { task, .. } => (Some(task), false),
            What::Control { task, .. } => (Some(task), false),
            What::Ran(poll) => (Some(poll.task), false),
            _ => (None, false),
        };
        let wanted = task.map_or(self.names.is_empty(), |task| self.has(task));
        let within = event.at.0 >= self.from && self.to.is_none_or(|to| event.at.0 < to);
        wanted && (within || always)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fuelsched::Fuel;

    #[test]
    fn a_name_stands_for_its_copies_and_for_nobody_else() {
        let mut filter = Filter::new(vec!["fib".into(), "none".into()], None, None);
        for (task, name) in ["fib[0]", "fib#3", "fib", "fibre", "main"].iter().enumerate() {
            filter.name(task as u64, name);
        }
        let lets = |task| {
            let what = What::Spawned { task, label: 0, by: None, released: Fuel::ZERO };
            filter.lets(&Happened { at: Fuel::ZERO, time: 0, what })
        };
        assert_eq!([0, 1, 2, 3, 4].map(lets), [true, true, true, false, false]);
        assert_eq!(filter.unseen().collect::<Vec<_>>(), ["none"]);
    }

    #[test]
    fn a_stretch_has_its_beginning_and_not_its_end() {
        let filter = Filter::new(vec![], Some(10), Some(20));
        let idle = |at| Happened { at: Fuel(at), time: 0, what: What::Idle { until: Fuel(at + 1) } };
        assert_eq!([9, 10, 19, 20].map(|at| filter.lets(&idle(at))), [false, true, true, false]);
    }
}
