//! The measurements as a table for readers, and as files for plots.

use crate::contestants::{ENTRANTS, Entrant, OURS};
use crate::paired::Measured;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Prints one case: a row for each contestant.
pub(crate) fn print(measured: &Measured) {
    let case = measured.case;
    println!("\n{} tasks, quantum {}", case.tasks, case.quantum);
    println!("  {:<18} {:>9}  {:<17} {:>9}  95 % interval", "", "ns/switch", "quartiles", "ratio");
    for (entrant, Entrant { name, .. }) in ENTRANTS.iter().enumerate() {
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
                for (entrant, nanos) in ENTRANTS.iter().zip(nanos) {
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
    all.iter().flat_map(|measured| (0..ENTRANTS.len()).map(move |entrant| row(measured, entrant))).collect()
}
