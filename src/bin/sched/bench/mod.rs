//! `sched bench`: any tasks, run many times, and what that says about them and about preemption. docs/bench.md says what each number is.
//!
//! ```text
//! plan ─► work (compiled) ─► memory (a suspended task) ─► measure (all rounds) ─┬─► report (table, JSON)
//!                             probe (who watches; clock)      counters, samples  ├─► files (CSV, .hgrm, V2 log)
//!                                                                                ├─► plots (SVG)
//!                                                                                └─► compare (with what --save wrote)
//! ```
//!
//! Each round runs the same work in every way, one after the other, so that whatever disturbs the machine disturbs all of them.

mod clock;
mod compare;
mod counters;
pub(crate) mod demo;
mod files;
mod measure;
pub(crate) mod memory;
mod pin;
mod plots;
mod probe;
mod report;
mod samples;
mod turns;
mod work;

use crate::args::{BenchArgs, Format};
use crate::output;
use crate::progress;
use crate::report::INTERRUPTED;
use crate::run::catch_interrupt;
use anyhow::{Result, bail, ensure};
use clock::Clock;
use compare::Saved;
use counters::Counters;
use indicatif::ProgressBar;
use measure::{Idle, Lab, Measured};
use report::BenchReport;
use samples::Samples;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use work::Work;

/// Measures, and reports; or compares two files, where two are named.
pub(crate) fn run(args: &BenchArgs) -> Result<ExitCode> {
    let base = match &args.compare[..] {
        [] => None,
        [base] => Some(Saved::read(base)?),
        [base, other] => {
            output::result(&Saved::read(other)?.against(&Saved::read(base)?).render(args.format)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => bail!("--compare takes one file, or two"),
    };
    // Beside TASKs, with which --density does not go, clap does not miss it.
    ensure!(!args.memory, "--memory goes with --density; TASKs have the memories that they declare");
    ensure!(args.quanta.len() <= 100, "--quanta takes up to 100 quanta");
    let interrupted = catch_interrupt()?;
    stay(args)?;
    let plan = args.plan()?;
    files::check(args, &plan)?;
    let work = Work::new(plan)?;
    let memory = memory::of_a_task(&work, &interrupted)?;
    let mut lab = Lab {
        work: &work,
        clock: Clock::new(),
        quanta: &args.quanta,
        modules: 0,
        counters: Counters::new(),
        samples: args.samples.as_deref().map(Samples::create).transpose()?,
        interrupted: &interrupted,
        idle: Idle::default(),
        bar: ProgressBar::hidden(),
    };
    let Some((measured, whole)) = rounds(&mut lab, args.warmup, args.runs)? else {
        return Ok(too_early());
    };
    let saved = Saved::new(&lab, &measured);
    let report = BenchReport::new(args, &lab, memory, &measured, base.map(|base| saved.against(&base)));
    files::write(args, &measured)?;
    args.plots.as_deref().map_or(Ok(()), |dir| plots::write(dir, &measured, &report))?;
    args.save.as_deref().map_or(Ok(()), |path| saved.write(path))?;
    output::result(&match args.format {
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
        Format::Human => report.tables(),
    })?;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(INTERRUPTED) })
}

/// Stays on the processor that was named, if one was.
pub(crate) fn stay(args: &BenchArgs) -> Result<()> {
    args.pin.map_or(Ok(()), pin::pin)
}

/// Says that there is nothing to report.
fn too_early() -> ExitCode {
    output::error("interrupted before the first round was over");
    ExitCode::from(INTERRUPTED)
}

/// All rounds, or those that were over before an interrupt, and whether that is all; nothing, where not one was.
fn rounds(lab: &mut Lab<'_>, warm_up: u32, runs: u32) -> Result<Option<(Measured, bool)>> {
    let (mut measured, mut unmeasured) = (lab.nothing(), lab.nothing());
    let each = lab.runs_in_a_round();
    lab.bar = progress::bar((u64::from(warm_up) + u64::from(runs)) * each, "measuring, runs");
    let mut position = 0;
    let mut go = |measured: &mut Measured, run: u32| -> Result<bool> {
        let finished = !lab.interrupted.load(Ordering::Relaxed) && lab.round(measured, run)?;
        position += each;
        lab.bar.set_position(position);
        Ok(finished)
    };
    let (mut warm, mut done) = (0, 0);
    while warm < warm_up && go(&mut unmeasured, 0)? {
        warm += 1;
    }
    while warm == warm_up && done < runs && go(&mut measured, done + 1)? {
        done += 1;
    }
    lab.bar.finish_and_clear();
    Ok((done > 0).then_some((measured, done == runs)))
}
