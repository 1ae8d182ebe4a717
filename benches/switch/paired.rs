//! Paired rounds: every contestant once in each round, so that whatever disturbs the machine disturbs all of them.

use crate::contestants::{BARE, Contestant, ENTRANTS, OURS};
use crate::guests::Guests;
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
}

impl Plan {
    /// For numbers to be written down.
    pub(crate) const FULL: Plan = Plan { sets: 16, rounds: 40, switches: 4000 };
    /// For a look.
    pub(crate) const QUICK: Plan = Plan { sets: 4, rounds: 20, switches: 2000 };
    /// To see that it runs.
    pub(crate) const TEST: Plan = Plan { sets: 1, rounds: 2, switches: 10 };
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
pub(crate) const CASES: [Case; 8] = [
    Case { tasks: 1, quantum: 1 },
    Case { tasks: 10, quantum: 1 },
    Case { tasks: 100, quantum: 1 },
    Case { tasks: 1000, quantum: 1 },
    Case { tasks: 1, quantum: 1000 },
    Case { tasks: 10, quantum: 1000 },
    Case { tasks: 100, quantum: 1000 },
    Case { tasks: 1000, quantum: 1000 },
];

/// The measurements of one case: `nanos[set][round][entrant]`, in ns a switch.
pub(crate) struct Measured {
    /// The case.
    pub(crate) case: Case,
    /// The measurements.
    pub(crate) nanos: Vec<Vec<[f64; ENTRANTS.len()]>>,
}

impl Measured {
    /// The times of one contestant.
    pub(crate) fn times(&self, entrant: usize) -> Spread {
        Spread::of(self.nanos.iter().flatten().map(|round| round[entrant]))
    }

    /// One contestant's time by another's, round by round.
    pub(crate) fn ratio(&self, entrant: usize, by: usize) -> Estimate {
        let of_set = |set: &Vec<[f64; ENTRANTS.len()]>| set.iter().map(|round| round[entrant] / round[by]).collect();
        let groups: Vec<Vec<f64>> = self.nanos.iter().map(of_set).collect();
        Estimate::of(&groups)
    }

    /// The ratio to look at: ours by the bare loop, and the others by ours.
    pub(crate) fn verdict(&self, entrant: usize) -> Estimate {
        if entrant == OURS { self.ratio(OURS, BARE) } else { self.ratio(entrant, OURS) }
    }
}

/// Measures one case.
pub(crate) fn measure(guests: &Guests, case: Case, plan: Plan) -> Measured {
    let nanos = (0..plan.sets).map(|set| measure_set(guests, case, plan, set)).collect();
    Measured { case, nanos }
}

/// All rounds with one set of futures for each contestant.
fn measure_set(guests: &Guests, case: Case, plan: Plan, set: usize) -> Vec<[f64; ENTRANTS.len()]> {
    let mut contestants: Vec<Option<Box<dyn Contestant>>> = ENTRANTS.iter().map(|_| None).collect();
    // Whoever comes first gets the lowest addresses, so everybody does in turn.
    for entrant in order(set) {
        contestants[entrant] = Some((ENTRANTS[entrant].make)(guests, case.tasks, case.quantum));
    }
    let mut contestants: Vec<_> = contestants.into_iter().flatten().collect();
    (0..plan.rounds).map(|round| measure_round(&mut contestants, case, plan, round)).collect()
}

/// Every contestant once.
fn measure_round(
    contestants: &mut [Box<dyn Contestant>],
    case: Case,
    plan: Plan,
    round: usize,
) -> [f64; ENTRANTS.len()] {
    let mut nanos = [0.0; ENTRANTS.len()];
    for entrant in order(round) {
        let contestant = &mut contestants[entrant];
        // Untimed: its futures come back into the caches, and the first time around they are started.
        contestant.run(2 * case.tasks as u64);
        let (switches, time) = contestant.measure(plan.switches);
        nanos[entrant] = time.as_nanos() as f64 / switches as f64;
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
