//! What `sched run` says beforehand of a quantum that is far below what a module can keep to.
//!
//! If a task's longest stretch is longer than twenty quanta, then a slice may use twenty times what it was granted, and the debt is waited off in
//! as many turns. Stretches of less than [`WORTH_SAYING`] fuel are not spoken of, so that tiny quanta can be studied with small guests in
//! peace; bulk operations and recursions are not either, because what they cost is a matter of what they are given.

use super::fuel::{Bounds, Fuel};
use super::survey::Survey;
use crate::job::Job;
use crate::output;
use crate::plan::{Plan, Source};
use fuelsched::{Fuel as Amount, Module};

/// How many quanta a stretch may last before it is spoken of.
const QUANTA: u64 = 20;

/// How long a stretch is at least that is spoken of.
const WORTH_SAYING: u64 = 1_000;

/// The largest file that is looked at: that takes some milliseconds.
const LARGEST: u64 = 1 << 20;

/// Says of each module of a plan once that its tasks cannot keep to their quantum, if that is so. A plan whose slices go by time has none.
pub(crate) fn of_small_quanta(plan: &Plan, jobs: &[Job]) {
    if plan.slice_ns.is_some() {
        return;
    }
    for (index, source) in plan.modules.iter().enumerate() {
        let runs = |job: &&Job| job.call.is_ok() && plan.tasks[job.task].module == index;
        let quanta = jobs.iter().filter(runs).map(|job| plan.tasks[job.task].quantum.unwrap_or(plan.quantum));
        let Some(quantum) = quanta.min().filter(|quantum| *quantum < u64::MAX / QUANTA) else {
            continue;
        };
        let bounds = Bounds { memory: plan.max_memory as u64, stack: plan.max_stack as u64 };
        if let Some(fuel) =
            longest(source, bounds).filter(|fuel| fuel.worst().1.fuel > (quantum * QUANTA).max(WORTH_SAYING))
        {
            say(source, quantum, &fuel);
        }
    }
}

/// What is found of a module, if it is quickly found.
fn longest(source: &Source, bounds: Bounds) -> Option<Fuel> {
    let size = std::fs::metadata(&source.path).ok()?;
    if source.built_in || !size.is_file() || size.len() > LARGEST {
        return None;
    }
    let binary = Module::read_binary(&source.path).ok()?;
    let survey = Survey::of(&binary).ok()?;
    Fuel::of(&survey, bounds, |_| {}).ok()
}

/// Says it.
fn say(source: &Source, quantum: u64, fuel: &Fuel) {
    output::note(&format!(
        "warning: a quantum of {} is far below what {} can keep to: it has {} fuel without a yield point; {} would make sense \
         (sched inspect says more)",
        Amount(quantum),
        source.path,
        Amount(fuel.worst().1.fuel),
        Amount(fuel.quantum())
    ));
}
