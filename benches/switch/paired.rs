//! Paired rounds: every contestant once in each round, so that whatever disturbs the machine disturbs all of them.

use crate::contestants::{BARE, Contestant, ENTRANTS, OURS};
use crate::guests::{Guests, MANY};
use crate::stats::{Estimate, Spread};

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// Sets of futures, made anew: where the stacks of a set happen to lie is part of what it costs.
    pub(crate) sets: usize,
    /// Rounds with each set.
    pub(crate) rounds: usize,
    /// Switches in each measurement.
    pub(crate) switches: u64,
    /// The most tasks.
    pub(crate) most: usize,
}

impl Plan {
    /// For numbers to be written down.
    pub(crate) const FULL: Plan = Plan { sets: 16, rounds: 40, switches: 4000, most: 100_000 };
    /// For a look.
    pub(crate) const QUICK: Plan = Plan { sets: 4, rounds: 20, switches: 2000, most: 100_000 };
    /// To see that it runs.
    pub(crate) const TEST: Plan = Plan { sets: 1, rounds: 2, switches: 10, most: 100 };
}

/// How many tasks, and how much fuel each is granted at a time.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    /// Tasks.
    pub(crate) tasks: usize,
    /// Fuel.
    pub(crate) quantum: u64,
}

/// All cases.
pub(crate) fn cases() -> impl Iterator<Item = Case> {
    let tasks = [1, 10, 100, 1000, 10_000, 100_000];
    [1, 1000, 10_000].into_iter().flat_map(move |quantum| tasks.map(|tasks| Case { tasks, quantum }))
}

/// The measurements of one case: `nanos[set][round][entrant]`, in ns a switch; not a number where a contestant is absent.
pub(crate) struct Measured {
    /// The case.
    pub(crate) case: Case,
    /// The measurements.
    pub(crate) nanos: Vec<Vec<[f64; ENTRANTS.len()]>>,
    /// Why a contestant is not there.
    pub(crate) absent: [Option<String>; ENTRANTS.len()],
}

impl Measured {
    /// The times of one contestant that is there.
    pub(crate) fn times(&self, entrant: usize) -> Spread {
        Spread::of(self.nanos.iter().flatten().map(|round| round[entrant]))
    }

    /// One contestant's time by another's, round by round.
    pub(crate) fn ratio(&self, entrant: usize, by: usize) -> Estimate {
        let of_set = |set: &Vec<[f64; ENTRANTS.len()]>| set.iter().map(|round| round[entrant] / round[by]).collect();
        let groups: Vec<Vec<f64>> = self.nanos.iter().map(of_set).collect();
        Estimate::of(&groups)
    }

    /// Those that are there. Nothing can be said where ours or the bare loop is not.
    pub(crate) fn present(&self) -> impl Iterator<Item = usize> {
        let compared = self.absent[OURS].is_none() && self.absent[BARE].is_none();
        (0..ENTRANTS.len()).filter(move |entrant| compared && self.absent[*entrant].is_none())
    }

    /// The ratio to look at: ours by the bare loop, and the others by ours.
    pub(crate) fn verdict(&self, entrant: usize) -> Estimate {
        if entrant == OURS { self.ratio(OURS, BARE) } else { self.ratio(entrant, OURS) }
    }
}

/// Measures one case.
///
/// Where there are many tasks only one contestant is alive at a time: there is no room for the guests of all.
pub(crate) fn measure(guests: &Guests, case: Case, plan: Plan) -> Measured {
    let mut absent = [const { None }; ENTRANTS.len()];
    let of_set = if case.tasks < MANY { measure_together } else { measure_alone };
    let sets = if case.tasks < MANY { plan.sets } else { plan.sets.min(4) };
    let nanos = (0..sets).map(|set| of_set(guests, case, plan, set, &mut absent)).collect();
    Measured { case, nanos, absent }
}

/// A contestant, unless it is known to be absent or turns out to be.
fn make(guests: &Guests, case: Case, entrant: usize, absent: &mut Option<String>) -> Option<Box<dyn Contestant>> {
    if absent.is_some() {
        return None;
    }
    match (ENTRANTS[entrant].make)(guests, case.tasks, case.quantum) {
        Ok(contestant) => Some(contestant),
        Err(why) => {
            *absent = Some(why);
            None
        }
    }
}

/// All rounds with one set of futures for each contestant, all of them alive.
fn measure_together(
    guests: &Guests,
    case: Case,
    plan: Plan,
    set: usize,
    absent: &mut [Option<String>; ENTRANTS.len()],
) -> Vec<[f64; ENTRANTS.len()]> {
    let mut contestants = [const { None }; ENTRANTS.len()];
    // Whoever comes first gets the lowest addresses, so everybody does in turn.
    for entrant in order(set) {
        contestants[entrant] = make(guests, case, entrant, &mut absent[entrant]);
    }
    (0..plan.rounds).map(|round| measure_round(&mut contestants, case, plan, round)).collect()
}

/// The same, one contestant after the other, with few rounds of many switches: all of a contestant's, and then the next one's.
fn measure_alone(
    guests: &Guests,
    case: Case,
    plan: Plan,
    set: usize,
    absent: &mut [Option<String>; ENTRANTS.len()],
) -> Vec<[f64; ENTRANTS.len()]> {
    let mut rounds = vec![[f64::NAN; ENTRANTS.len()]; plan.rounds.min(4)];
    for entrant in order(set) {
        if let Some(mut contestant) = make(guests, case, entrant, &mut absent[entrant]) {
            for round in &mut rounds {
                round[entrant] = measure_one(&mut *contestant, entrant, case, plan);
            }
        }
    }
    rounds
}

/// Nanoseconds a switch of one contestant.
fn measure_one(contestant: &mut dyn Contestant, entrant: usize, case: Case, plan: Plan) -> f64 {
    // Untimed: its futures come back into the caches, and the first time around they are started.
    contestant.run((2 * case.tasks as u64).min(MANY as u64));
    let switches = plan.switches.max(2 * case.tasks as u64 * u64::from(case.tasks >= MANY));
    let (made, time) = contestant.measure((switches / ENTRANTS[entrant].fewer).max(1));
    time.as_nanos() as f64 / made as f64
}

/// Every contestant once.
fn measure_round(
    contestants: &mut [Option<Box<dyn Contestant>>; ENTRANTS.len()],
    case: Case,
    plan: Plan,
    round: usize,
) -> [f64; ENTRANTS.len()] {
    let mut nanos = [f64::NAN; ENTRANTS.len()];
    for entrant in order(round) {
        if let Some(contestant) = &mut contestants[entrant] {
            nanos[entrant] = measure_one(&mut **contestant, entrant, case, plan);
        }
    }
    nanos
}

/// The order of contestants in this round: it begins one further on in each, and runs backwards in every other.
fn order(round: usize) -> impl Iterator<Item = usize> {
    let n = ENTRANTS.len();
    (0..n).map(move |place| {
        let place = if round.is_multiple_of(2) { place } else { n - 1 - place };
        (place + round / 2) % n
    })
}
