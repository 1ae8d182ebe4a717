//! What the page is made of, gathered while the run goes on, in bounded memory.
//!
//! The first so many slices are kept one by one, and all of them in the cells of a [`Timeline`], which become wider as the run goes on. Where a slice
//! does not fit, nothing more is kept by itself from that moment on, so that what is shown one by one is the run without gaps up to there.

use super::shown;
use crate::trace::timeline::{MOST_ROWS, Timeline};
use fuelsched::reason::WokenBy;
use fuelsched::trace::events::{Happened, Names, Poll, Stop, What};
use hdrhistogram::Histogram;
use std::collections::HashMap;

/// Slices that are kept one by one.
pub(super) const MOST_SLICES: usize = 20_000;
/// Idle times that are.
const MOST_IDLE: usize = 20_000;
/// Messages that are.
const MOST_MESSAGES: usize = 20_000;
/// Decimal digits to which amounts are counted.
const DIGITS: u8 = 4;

/// All of it.
#[derive(Debug)]
pub(super) struct Gathered {
    /// Cells of all slices.
    pub(super) cells: Timeline,
    /// What each task comes to that has a row in the cells, in the same order.
    pub(super) tasks: Vec<Tally>,
    /// What the others come to together.
    pub(super) others: Tally,
    /// Where each task is that has not ended.
    places: HashMap<u64, usize>,
    /// The slices, as they came.
    pub(super) slices: Vec<Kept>,
    /// What tasks with a row waited for.
    pub(super) waits: Vec<Wait>,
    /// What they sent and received.
    pub(super) messages: Vec<Passed>,
    /// What the slice that follows sent and received.
    passed: Vec<Passed>,
    /// When nobody could run: from, and until.
    pub(super) idle: Vec<(u64, u64)>,
    /// From when on nothing is kept by itself.
    pub(super) exact_until: Option<u64>,
    /// The words that slices, waits and messages speak of.
    pub(super) words: Words,
    /// Fuel of the slices.
    pub(super) fuel: Amounts,
    /// Their lengths in nanoseconds; none where no clock is read.
    pub(super) lengths: Amounts,
    /// From the end of each to the beginning of the next, where there was always somebody who could run.
    pub(super) switches: Amounts,
    /// When the slice before ended, in nanoseconds.
    ended: Option<u64>,
    /// Whether a clock is read.
    timed: bool,
}

/// What a task comes to, or several.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// What it is called, as it is shown.
    pub(super) name: String,
    /// Slices.
    pub(super) slices: u64,
    /// Fuel used.
    pub(super) used: u64,
    /// Fuel charged: by so much the virtual clock went on.
    pub(super) charged: u64,
    /// Slices whose fuel ran out.
    pub(super) preempted: u64,
    /// Slices that were given away.
    pub(super) yielded: u64,
    /// Slices that ended in waiting.
    pub(super) blocked: u64,
    /// The most that a slice used past its grant.
    pub(super) overshoot: u64,
    /// Nanoseconds that it ran.
    pub(super) nanos: u64,
    /// How it ended, as it is shown.
    pub(super) outcome: Option<String>,
    /// Which task of the plan it is, if that is known.
    pub(super) task: Option<usize>,
    /// The wait that is not over.
    open: Option<usize>,
}

impl Tally {
    /// What two come to together.
    pub(super) fn and(mut self, other: &Tally) -> Tally {
        self.slices += other.slices;
        self.used = self.used.saturating_add(other.used);
        self.charged = self.charged.saturating_add(other.charged);
        self.preempted += other.preempted;
        self.yielded += other.yielded;
        self.blocked += other.blocked;
        self.overshoot = self.overshoot.max(other.overshoot);
        self.nanos = self.nanos.saturating_add(other.nanos);
        self
    }

    /// Adds a slice.
    fn add(&mut self, poll: &Poll) {
        self.slices += 1;
        self.used = self.used.saturating_add(poll.used.0);
        self.charged = self.charged.saturating_add(poll.charged().0);
        self.overshoot = self.overshoot.max(poll.overshoot().0);
        self.nanos = self.nanos.saturating_add(poll.length.nanos());
        match poll.stop {
            Stop::Preempted => self.preempted += 1,
            Stop::Yielded => self.yielded += 1,
            stop if !stop.is_end() => self.blocked += 1,
            _ => {}
        }
    }
}

/// A slice. Moments are those of the virtual clock, since the beginning of the page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    /// The place of its task; nothing if that has no row.
    pub(super) place: Option<usize>,
    /// When it began.
    pub(super) at: u64,
    /// By how much the clock went on.
    pub(super) charged: u64,
    /// Fuel used.
    pub(super) used: u64,
    /// Fuel granted.
    pub(super) grant: u64,
    /// Which of its task's slices it was.
    pub(super) number: u64,
    /// Why its task was picked, as a word.
    pub(super) why: usize,
    /// Why it stopped, as a word.
    pub(super) stop: usize,
    /// How long it took, in nanoseconds.
    pub(super) nanos: u64,
}

/// A wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// The place of its task.
    pub(super) place: usize,
    /// Since when.
    pub(super) from: u64,
    /// Until when; nothing if it was not over.
    pub(super) to: Option<u64>,
    /// What for, as a word.
    pub(super) on: usize,
}

/// A message that a slice sent or received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    /// The slice, by its place among those that are kept.
    pub(super) slice: usize,
    /// The channel, as a word.
    pub(super) channel: usize,
    /// The message's number in it.
    pub(super) number: u64,
    /// Whether it was sent.
    pub(super) sent: bool,
}

/// Words by number, each once. There are as many as there are reasons, and as events can speak of.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// By number, as they are shown.
    pub(super) all: Vec<String>,
    /// The numbers.
    numbers: HashMap<String, usize>,
}

impl Words {
    /// The number of a word.
    fn number(&mut self, word: &str) -> usize {
        if let Some(number) = self.numbers.get(word) {
            return *number;
        }
        self.numbers.insert(word.into(), self.all.len());
        self.all.push(shown(word));
        self.all.len() - 1
    }
}

/// A distribution of amounts, to four digits; the least and the largest exactly.
#[derive(Debug, Default)]
pub(super) struct Amounts {
    /// How often each, once there is one.
    counts: Option<Histogram<u64>>,
    /// The least and the largest.
    ends: Option<(u64, u64)>,
}

impl Amounts {
    /// Counts an amount.
    pub(super) fn add(&mut self, amount: u64) {
        // That so many digits can be had was tested.
        let counts = self.counts.take().or_else(|| Histogram::new(DIGITS).ok());
        self.counts = counts.map(|mut counts| {
            counts.auto(true);
            // It grows until there is room for everything.
            if counts.record(amount).is_err() {
                counts.saturating_record(amount);
            }
            counts
        });
        let (least, most) = self.ends.unwrap_or((amount, amount));
        self.ends = Some((least.min(amount), most.max(amount)));
    }

    /// The least and the largest, if there are any.
    pub(super) const fn ends(&self) -> Option<(u64, u64)> {
        self.ends
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.counts.as_ref().map_or(0, Histogram::len)
    }

    /// What so great a part of them does not exceed.
    pub(super) fn quantile(&self, part: f64) -> u64 {
        let (least, most) = self.ends.unwrap_or_default();
        self.counts.as_ref().map_or(0, |counts| counts.value_at_quantile(part)).clamp(least, most)
    }

    /// The least amount that cannot be told from this one.
    pub(super) fn least_like(&self, amount: u64) -> u64 {
        self.counts.as_ref().map_or(amount, |counts| counts.lowest_equivalent(amount))
    }

    /// The amounts, and how many there are of each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        let (least, most) = self.ends.unwrap_or_default();
        let steps = self.counts.as_ref().map(Histogram::iter_recorded).into_iter().flatten();
        steps.map(move |step| (step.value_iterated_to().clamp(least, most), step.count_since_last_iteration()))
    }
}

impl Gathered {
    /// Of a run that is looked at from this moment on.
    pub(super) fn new(origin: u64) -> Gathered {
        Gathered {
            cells: Timeline::new(origin),
            tasks: Vec::new(),
            others: Tally::default(),
            places: HashMap::new(),
            slices: Vec::new(),
            waits: Vec::new(),
            messages: Vec::new(),
            passed: Vec::new(),
            idle: Vec::new(),
            exact_until: None,
            words: Words::default(),
            fuel: Amounts::default(),
            lengths: Amounts::default(),
            switches: Amounts::default(),
            ended: None,
            timed: false,
        }
    }

    /// Times are known, too.
    pub(super) const fn timed(&mut self) {
        self.timed = true;
    }

    /// Whether times are known.
    pub(super) const fn is_timed(&self) -> bool {
        self.timed
    }

    /// Takes what happened; `name` is that of a task that was spawned, and `of` its place in the plan.
    pub(super) fn take(&mut self, event: &Happened, names: &Names, name: &str, of: Option<usize>) {
        self.cells.take(event, name);
        let at = event.at.0.saturating_sub(self.cells.origin());
        match event.what {
            What::Spawned { task, .. } => self.spawned(task, name, of),
            What::Ready { task, by, .. } => {
                // Perhaps nobody could run before.
                self.ended = self.ended.filter(|_| !matches!(by, Some(WokenBy::Moment | WokenBy::Outside)));
                self.end_wait(task, at);
            }
            What::Ran(poll) => self.ran(at, event.time, &poll, names),
            What::Message { channel, number, sent, .. } if self.exact_until.is_none() => {
                let (slice, channel) = (self.slices.len(), self.words.number(names.get(channel)));
                self.passed.push(Passed { slice, channel, number, sent });
            }
            What::Waits { task, on } => self.waits(task, &format!("waits {}", on.show(names))),
            What::Ended { task, outcome, .. } => {
                self.end_wait(task, at);
                if let Some(place) = self.places.remove(&task) {
                    self.tasks[place].outcome = Some(shown(names.get(outcome)));
                }
            }
            What::Idle { until } => self.idle(at, until.0.saturating_sub(self.cells.origin())),
            _ => {}
        }
    }

    /// A task is there. It has a place if it has a row.
    fn spawned(&mut self, task: u64, name: &str, of: Option<usize>) {
        if self.tasks.len() < MOST_ROWS {
            self.places.insert(task, self.tasks.len());
            self.tasks.push(Tally { name: shown(name), task: of, ..Tally::default() });
        }
    }

    /// Whether what begins now is kept by itself, while there is room.
    fn keeps(&mut self, at: u64, room: bool) -> bool {
        if self.exact_until.is_none() && !room {
            self.exact_until = Some(at);
        }
        self.exact_until.is_none()
    }

    /// A task ran.
    fn ran(&mut self, at: u64, time: u64, poll: &Poll, names: &Names) {
        self.end_wait(poll.task, at);
        self.fuel.add(poll.used.0);
        self.clocked(time, poll);
        let place = self.places.get(&poll.task).copied();
        place.map_or(&mut self.others, |place| &mut self.tasks[place]).add(poll);
        let passed = std::mem::take(&mut self.passed);
        let room = self.slices.len() < MOST_SLICES && self.messages.len() + passed.len() <= MOST_MESSAGES;
        if !self.keeps(at, room) {
            return;
        }
        self.messages.extend(passed);
        let (why, stop) = (self.words.number(&poll.why.show(names)), self.words.number(poll.stop.name()));
        let (charged, nanos) = (poll.charged().0, poll.length.nanos());
        let Poll { grant, used, number, .. } = *poll;
        self.slices.push(Kept { place, at, charged, used: used.0, grant: grant.0, number, why, stop, nanos });
        if let (Some(place), false) = (place, poll.stop.is_ready() || poll.stop.is_end()) {
            self.tasks[place].open = Some(self.waits.len());
            self.waits.push(Wait { place, from: at.saturating_add(charged), to: None, on: stop });
        }
    }

    /// Counts the times of a slice, where there are some.
    fn clocked(&mut self, time: u64, poll: &Poll) {
        if !self.timed {
            return;
        }
        self.lengths.add(poll.length.nanos());
        if let Some(ended) = self.ended.replace(time.saturating_add(poll.length.nanos())) {
            self.switches.add(time.saturating_sub(ended));
        }
    }

    /// It is known what a task waits for.
    fn waits(&mut self, task: u64, on: &str) {
        let open = self.places.get(&task).and_then(|place| self.tasks[*place].open);
        if let Some(open) = open {
            self.waits[open].on = self.words.number(on);
        }
    }

    /// A task waits no more.
    fn end_wait(&mut self, task: u64, at: u64) {
        let open = self.places.get(&task).and_then(|place| self.tasks[*place].open.take());
        if let Some(open) = open {
            self.waits[open].to = Some(at);
        }
    }

    /// Nobody could run. What comes after it is no switch.
    fn idle(&mut self, from: u64, until: u64) {
        self.ended = None;
        if self.keeps(from, self.idle.len() < MOST_IDLE) {
            self.idle.push((from, until));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fuelsched::Fuel;
    use fuelsched::reason::ReadyReason;
    use fuelsched::trace::Events;
    use fuelsched::trace::events::{Length, Why};

    #[test]
    fn a_switch_is_where_somebody_could_run_all_the_time() {
        let (_, names) = Events::new(|_: &Happened, _: &Names| {}).finish();
        let (mut gathered, mut at) = (Gathered::new(0), 0);
        gathered.timed();
        let ran = |task| {
            let length = Length::from_nanos(5);
            What::Ran(Poll {
                task,
                number: 1,
                grant: Fuel(1),
                used: Fuel(1),
                length,
                why: Why::Turn,
                stop: Stop::Preempted,
            })
        };
        let woken = |by| What::Ready { task: 0, why: ReadyReason::Woken, by: Some(by) };
        let mut switches = |events: &[What]| {
            for what in events {
                at += 10;
                gathered.take(&Happened { at: Fuel(at), time: at, what: *what }, &names, "", None);
            }
            (gathered.switches.count(), gathered.switches.ends())
        };
        assert_eq!(switches(&[ran(0)]), (0, None));
        assert_eq!(switches(&[ran(1), woken(WokenBy::Task(1)), ran(0)]), (2, Some((5, 15))));
        // Perhaps nobody could run before, or certainly not.
        for gap in [woken(WokenBy::Moment), woken(WokenBy::Outside), What::Idle { until: Fuel(1) }] {
            assert_eq!(switches(&[gap, ran(0)]), (2, Some((5, 15))), "{gap:?}");
        }
        assert_eq!(switches(&[ran(0)]), (3, Some((5, 15))));
    }

    #[test]
    fn amounts_are_counted_to_four_digits_and_their_ends_exactly() {
        let mut amounts = Amounts::default();
        assert_eq!((amounts.ends(), amounts.count(), amounts.quantile(0.5), amounts.iter().count()), (None, 0, 0, 0));
        for amount in [7, 10_001, 10_000, 10_001, 1_234_567] {
            amounts.add(amount);
        }
        assert_eq!((amounts.ends(), amounts.count()), (Some((7, 1_234_567)), 5));
        assert_eq!([0.2, 0.4, 0.8, 1.0].map(|part| amounts.quantile(part)), [7, 10_000, 10_001, 1_234_567]);
        assert_eq!(amounts.iter().collect::<Vec<_>>(), [(7, 1), (10_000, 1), (10_001, 2), (1_234_567, 1)]);
        assert_eq!([10_001, 1_234_567].map(|amount| amounts.least_like(amount)), [10_001, 1_234_560]);
        amounts.add(u64::MAX);
        assert!(amounts.quantile(1.0) >= u64::MAX - 1);
    }
}
