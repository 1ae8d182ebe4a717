//! `sched bench`: any tasks, run many times, and what that says about them and about preemption. docs/bench.md says what each number is.
//!
//! ```text
//! plan ─► work (compiled; run once, watched) ─► measure (all runs) ─┬─► report (table, JSON)
//!                                                                  ├─► files (CSV, .hgrm, V2 log)
//!                                                                  └─► compare (with what --save wrote)
//! ```
//!
//! Each round runs the same work in every way, one after the other, so that whatever disturbs the machine disturbs all of them.

mod compare;
pub(crate) mod demo;
mod files;
mod measure;
mod pin;
mod report;
mod work;

use crate::args::{BenchArgs, Format};
use crate::output;
use crate::progress;
use crate::report::INTERRUPTED;
use crate::run::catch_interrupt;
use anyhow::{Result, bail, ensure};
use compare::Saved;
use measure::Measured;
use report::BenchReport;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
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
    let interrupted = catch_interrupt()?;
    stay(args)?;
    let work = Work::new(args.plan()?)?;
    let Some((measured, whole)) = rounds(args, &work, &interrupted)? else {
        output::error("interrupted before the first round was over");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let saved = Saved::new(&work, &measured);
    let report = BenchReport::new(args, &work, &measured, base.map(|base| saved.against(&base)));
    files::write(args, &measured)?;
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

/// All rounds, or those that were over before an interrupt, and whether that is all; nothing, where not one was.
fn rounds(args: &BenchArgs, work: &Work, interrupted: &AtomicBool) -> Result<Option<(Measured, bool)>> {
    ensure!(args.quanta.len() <= 100, "--quanta takes up to 100 quanta");
    let bar = progress::bar(u64::from(args.warmup) + u64::from(args.runs), "measuring");
    let mut measured = Measured::new(&args.quanta);
    for round in 0..u64::from(args.warmup) + u64::from(args.runs) {
        if round == u64::from(args.warmup) {
            measured = Measured::new(&args.quanta);
        }
        let finished = measured.round(work, interrupted)?;
        if !finished || interrupted.load(Ordering::Relaxed) {
            bar.finish_and_clear();
            let some = round > u64::from(args.warmup) || (finished && round == u64::from(args.warmup));
            return Ok(some.then_some((measured, false)));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(Some((measured, true)))
}
