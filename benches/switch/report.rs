//! The measurements as a table for readers, and as files for plots.

use crate::contestants::{ENTRANTS, Entrant, OURS};
use crate::paired::Measured;
use crate::table::{Table, grouped};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Prints one case: a row for each contestant.
pub(crate) fn print(measured: &Measured) {
    let case = measured.case;
    println!("\n{} tasks, quantum {}", case.tasks, case.quantum);
    println!("  {:<18} {:>9}  {:<17} {:>9}  95 % interval", "", "ns/switch", "quartiles", "ratio");
    for (entrant, Entrant { name, .. }) in ENTRANTS.iter().enumerate() {
        if let Some(why) = &measured.absent[entrant] {
            println!("  {name:<18} absent: {why}");
            continue;
        }
        let (times, ratio) = (measured.times(entrant), measured.verdict(entrant));
        let of = if entrant == OURS { "of bare" } else { "of fuelsched" };
        println!(
            "  {name:<18} {:>9.1}  {:<17} {:>9.3}  {:.3} to {:.3} {of}",
            times.median,
            format!("{:.1} to {:.1}", times.low, times.high),
            ratio.median,
            ratio.low,
            ratio.high,
        );
    }
}

/// Writes every measurement as CSV and the summaries as JSON; returns the folder that they are in.
pub(crate) fn write(all: &[Measured]) -> io::Result<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = target.parent().unwrap_or(target).join("switch");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("rounds.csv"), rounds(all))?;
    fs::write(folder.join("summary.json"), format!("{:#}\n", summary(all)))?;
    Ok(folder)
}

/// Every measurement, one a line.
fn rounds(all: &[Measured]) -> String {
    let mut csv = String::from("tasks,quantum,set,round,contestant,ns_per_switch\n");
    for measured in all {
        let case = measured.case;
        for (set, rounds) in measured.nanos.iter().enumerate() {
            for (round, nanos) in rounds.iter().enumerate() {
                for (entrant, nanos) in ENTRANTS.iter().zip(nanos).filter(|(_, nanos)| !nanos.is_nan()) {
                    let _ = writeln!(csv, "{},{},{set},{round},{},{nanos:.2}", case.tasks, case.quantum, entrant.name);
                }
            }
        }
    }
    csv
}

/// What [`print`] prints.
fn summary(all: &[Measured]) -> serde_json::Value {
    let row = |measured: &Measured, entrant: usize| {
        let (times, ratio) = (measured.times(entrant), measured.verdict(entrant));
        serde_json::json!({
            "tasks": measured.case.tasks,
            "quantum": measured.case.quantum,
            "contestant": ENTRANTS[entrant].name,
            "ns_per_switch": { "median": times.median, "quartiles": [times.low, times.high] },
            "ratio": {
                "of": if entrant == OURS { "bare" } else { "fuelsched" },
                "median": ratio.median,
                "interval95": [ratio.low, ratio.high],
            },
        })
    };
    all.iter().flat_map(|measured| measured.present().map(move |entrant| row(measured, entrant))).collect()
}

/// The tables of the page: one of all times with a column for each size, one of the ratios that are aimed at.
pub(crate) fn tables(all: &[Measured]) {
    for (quantum, name) in [(1, "switch-1"), (1000, "switch-1000"), (10_000, "switch-10000")] {
        let mut table = Table::new(name, &["contestant", "1", "10", "100", "1,000", "10,000", "100,000"]);
        let cases: Vec<&Measured> = all.iter().filter(|measured| measured.case.quantum == quantum).collect();
        for (entrant, Entrant { name, .. }) in ENTRANTS.iter().enumerate() {
            let cells = cases.iter().map(|measured| cell(measured, entrant));
            table.row(std::iter::once(format!("`{name}`")).chain(cells).collect());
            for measured in cases.iter().filter(|measured| measured.absent[entrant].is_none()) {
                table.point(name, measured.case.tasks as f64, measured.times(entrant).median);
            }
        }
        table.finish();
    }
    ratios(all);
    absences(all);
}

/// A median with its quartiles.
fn cell(measured: &Measured, entrant: usize) -> String {
    if measured.absent[entrant].is_some() {
        return "–".into();
    }
    let times = measured.times(entrant);
    format!("{:.1} ({:.1}–{:.1})", times.median, times.low, times.high)
}

/// Ours by the bare loop, and everybody by ours, with intervals.
fn ratios(all: &[Measured]) {
    let mut table = Table::new("switch-ratios", &["tasks", "quantum", "contestant", "by", "ratio", "95 % interval"]);
    for measured in all {
        for entrant in measured.present() {
            let ratio = measured.verdict(entrant);
            table.row(vec![
                grouped(measured.case.tasks as u64),
                grouped(measured.case.quantum),
                format!("`{}`", ENTRANTS[entrant].name),
                if entrant == OURS { "`bare`".into() } else { "`fuelsched`".into() },
                format!("{:.3}", ratio.median),
                format!("{:.3} to {:.3}", ratio.low, ratio.high),
            ]);
        }
    }
    table.finish();
}

/// Who did not take part, and why.
fn absences(all: &[Measured]) {
    let mut table = Table::new("switch-absent", &["tasks", "quantum", "contestant", "why"]);
    for measured in all {
        for (entrant, why) in measured.absent.iter().enumerate() {
            if let Some(why) = why {
                table.row(vec![
                    grouped(measured.case.tasks as u64),
                    grouped(measured.case.quantum),
                    format!("`{}`", ENTRANTS[entrant].name),
                    why.clone(),
                ]);
            }
        }
    }
    table.finish();
}
