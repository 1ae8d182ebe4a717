//! What a suspended task takes of memory: the process's resident set, page tables included, before and after.
//!
//! Tasks are spawned, each runs [`MOST_SLICES`] slices at quantum 1, or as many as all of them have before the first one ends, and the resident
//! set is read. So their data is there, which is written after the first of these slices, and some of their stack is in use. A first few, one of
//! each, are there before, so that what is made once is not on the account of the rest. The work is spawned again and again, all of it kept, until
//! there are [`ENOUGH`] tasks or they hold [`MUCH`]: the system counts in pages, which is rough for a few. It comes before all runs, because what
//! ended tasks leave behind would be used again and cost nothing.

use super::work::{self, Work};
use anyhow::{Context, Result};
use serde::Serialize;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

/// So many tasks are enough.
const ENOUGH: u64 = 100;

/// The most slices of each.
const MOST_SLICES: u64 = 100;

/// The most slices of all tasks of the work, so that it does not take long where there are many; each has one at least.
const MOST_IN_ALL: u64 = 1_000_000;

/// So many bytes are, too.
const MUCH: u64 = 64 << 20;

/// Memory of the process, in bytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Resident {
    /// Pages in memory.
    pub(crate) pages: u64,
    /// Page tables.
    pub(crate) tables: u64,
}

/// What a suspended task takes.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct TaskMemory {
    /// Bytes of one.
    pub(crate) bytes: u64,
    /// Over so many it was measured.
    pub(crate) tasks: u64,
}

impl Resident {
    /// As it is now.
    pub(crate) fn now() -> Result<Resident> {
        let status = fs::read_to_string("/proc/self/status")
            .context("memory is read from /proc/self/status, which is Linux's")?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.trim_start_matches(':').trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) * 1024
        };
        Ok(Resident { pages: field("VmRSS"), tables: field("VmPTE") })
    }

    /// All of it.
    pub(crate) const fn all(self) -> u64 {
        self.pages + self.tables
    }
}

/// Measures it; nothing where the system does not say, where no task is ever suspended, or where somebody interrupted.
pub(crate) fn of_a_task(work: &Work, interrupted: &AtomicBool) -> Result<Option<TaskMemory>> {
    let (plan, jobs) = (&work.plan, &work.metered);
    let first_of_its_kind = |label: usize| label == 0 || jobs[label].task != jobs[label - 1].task;
    let most = (MOST_IN_ALL / jobs.len().max(1) as u64).clamp(1, MOST_SLICES);
    let slices = work::slices_at_once(plan, jobs, first_of_its_kind, most, interrupted)?;
    let _first = work::suspend(plan, jobs, first_of_its_kind, slices, interrupted)?;
    let Ok(before) = Resident::now() else {
        return Ok(None);
    };
    let (mut sets, mut tasks, mut grown) = (Vec::new(), 0, 0);
    while tasks < ENOUGH && grown < MUCH && !interrupted.load(Ordering::Relaxed) {
        // That there is no room for a further set is no reason to have no number.
        let Ok(set) = work::suspend(plan, jobs, |_| true, slices, interrupted) else {
            break;
        };
        if set.tasks == 0 {
            break;
        }
        tasks += set.tasks;
        sets.push(set);
        grown = Resident::now()?.all().saturating_sub(before.all());
    }
    Ok((tasks > 0).then(|| TaskMemory { bytes: grown / tasks, tasks }))
}
