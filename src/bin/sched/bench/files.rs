//! The files that distributions are written to: comma-separated values, HdrHistogram's percentile files, and its log.

use super::measure::{Distribution, Measured};
use crate::args::BenchArgs;
use crate::places::keep_apart;
use crate::plan::Plan;
use anyhow::{Context, Result, ensure};
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, SystemTime};

/// The percentiles of the comma-separated values.
const PERCENTILES: [f64; 7] = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0];

/// Writes those that were asked for.
pub(crate) fn write(args: &BenchArgs, measured: &Measured) -> Result<()> {
    if let Some(path) = &args.csv {
        write_whole(Path::new(path), csv(measured).as_bytes())?;
    }
    if let Some(dir) = &args.hgrm {
        for (name, distribution) in measured.distributions() {
            write_whole(&Path::new(dir).join(name).with_extension("hgrm"), hgrm(distribution).as_bytes())?;
        }
    }
    if let Some(path) = &args.hdr_log {
        write_whole(Path::new(path), &log(measured)?)?;
    }
    Ok(())
}

/// Looks whether all that was asked for can be written, before it is measured: folders are made, and each file's place is tried.
pub(crate) fn check(args: &BenchArgs, plan: &Plan) -> Result<()> {
    for dir in [&args.hgrm, &args.plots].into_iter().flatten() {
        ensure!(!dir.is_empty(), "a folder without a name cannot be written to");
        fs::create_dir_all(dir).with_context(|| dir.clone())?;
        try_place(&Path::new(dir).join("try"))?;
    }
    let files = [
        ("--csv", args.csv.as_deref()),
        ("--hdr-log", args.hdr_log.as_deref()),
        ("--save", args.save.as_deref()),
        ("--samples", args.samples.as_deref()),
    ];
    for path in files.iter().filter_map(|(_, path)| *path) {
        try_place(Path::new(path))?;
    }
    // What is compared with has been read, and may be replaced.
    let modules = plan.modules.iter().filter(|module| !module.built_in).map(|module| module.path.as_str());
    keep_apart(&files, modules)
}

/// Whether a file can be written there, found out by beginning to; what is there is not touched.
fn try_place(path: &Path) -> Result<()> {
    let said = || path.display().to_string();
    ensure!(!path.as_os_str().is_empty(), "a file without a name cannot be written");
    ensure!(!path.is_dir(), "{}: this is a folder, and a file is to be written", said());
    // A pipe is not tried: its reader would take that for all.
    beside(path).map_or(Ok(()), |(_, part)| File::create(&part).and_then(|_| fs::remove_file(&part)).with_context(said))
}

/// Writes a file whole or not at all: beside its place, and then it is renamed. Whoever reads it meanwhile sees what was there before.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = match beside(path) {
        Some((place, part)) => fs::write(&part, bytes).and_then(|()| fs::rename(&part, place)).inspect_err(|_| {
            // It is in the way, or not there; there is nothing more to be done about it.
            let _ = fs::remove_file(&part);
        }),
        None => fs::write(path, bytes),
    };
    written.with_context(|| path.display().to_string())
}

/// Where a file goes in the end, and where it is written until it is whole; nothing for what is no plain file, such as a pipe or a terminal,
/// which cannot be replaced. A link is followed, so that it stays one.
fn beside(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let place = match path.metadata() {
        Ok(about) if !about.is_file() => return None,
        Ok(_) => path.canonicalize().ok()?,
        Err(_) => path.to_path_buf(),
    };
    let mut name = place.file_name()?.to_os_string();
    name.push(format!(".{}.part", process::id()));
    let part = place.with_file_name(name);
    Some((place, part))
}

/// A line for each distribution and percentile.
fn csv(measured: &Measured) -> String {
    let mut text = String::from("distribution,percentile,value,count\n");
    for (name, Distribution(histogram)) in measured.distributions() {
        for percentile in PERCENTILES {
            let value = histogram.value_at_percentile(percentile);
            let _ = writeln!(text, "{name},{percentile},{value},{}", histogram.len());
        }
    }
    text
}

/// HdrHistogram's percentile file: five lines in each halving of what is left to 100 %.
fn hgrm(Distribution(histogram): &Distribution) -> String {
    let mut text = format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let mut total = 0;
    for step in histogram.iter_quantiles(5) {
        total += step.count_since_last_iteration();
        let (value, quantile) = (step.value_iterated_to() as f64, step.quantile_iterated_to());
        let _ = write!(text, "{value:>12.3} {quantile:>2.12} {total:>10}");
        text += &if quantile < 1.0 { format!(" {:>14.2}\n", 1.0 / (1.0 - quantile)) } else { "\n".into() };
    }
    let (mean, deviation, max) = (histogram.mean(), histogram.stdev(), histogram.max() as f64);
    let _ = writeln!(text, "#[Mean    = {mean:>12.3}, StdDeviation   = {deviation:>12.3}]");
    let _ = writeln!(text, "#[Max     = {max:>12.3}, Total count    = {:>12}]", histogram.len());
    let (buckets, sub) = (histogram.buckets(), histogram.distinct_values() / usize::from(histogram.buckets()).max(1));
    let _ = writeln!(text, "#[Buckets = {buckets:>12}, SubBuckets     = {sub:>12}]");
    text
}

/// HdrHistogram's log: a line for each distribution, its name the tag. All begin at 0 of the log, which is of one measurement.
fn log(measured: &Measured) -> Result<Vec<u8>> {
    let (mut bytes, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
    let mut builder = IntervalLogWriterBuilder::new();
    builder.add_comment("sched bench").with_start_time(SystemTime::now());
    let mut writer = builder.begin_log_with(&mut bytes, &mut serializer)?;
    for (name, Distribution(histogram)) in measured.distributions() {
        let tag = Tag::new(name).context("a name without commas and blanks")?;
        writer
            .write_histogram(histogram, Duration::ZERO, Duration::ZERO, Some(tag))
            .map_err(|error| anyhow::anyhow!("{error:?}"))?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of one test.
    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("sched-files-{}-{name}", process::id()));
        fs::create_dir_all(&dir).expect("a folder");
        dir
    }

    /// The names in a folder.
    fn names(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn trying_a_place_leaves_it_as_it_was() {
        let dir = folder("try");
        let path = dir.join("a.csv");
        try_place(&path).expect("it can be written");
        assert_eq!(names(&dir), Vec::<String>::new());
        fs::write(&path, "old").expect("written");
        try_place(&path).expect("it can be written");
        assert_eq!((fs::read_to_string(&path).expect("there"), names(&dir)), ("old".into(), vec!["a.csv".into()]));
        fs::remove_dir_all(dir).expect("removed");
    }

    #[test]
    fn a_file_is_replaced_whole_and_a_link_stays_one() {
        let dir = folder("whole");
        let path = dir.join("a.csv");
        for text in ["one", "two"] {
            write_whole(&path, text.as_bytes()).expect("written");
            assert_eq!((fs::read_to_string(&path).expect("there"), names(&dir).len()), (text.into(), 1));
        }
        #[cfg(unix)]
        {
            let link = dir.join("link");
            std::os::unix::fs::symlink(&path, &link).expect("a link");
            write_whole(&link, b"three").expect("written");
            assert!(link.is_symlink() && fs::read_to_string(&path).expect("there") == "three");
        }
        fs::remove_dir_all(dir).expect("removed");
    }

    #[test]
    fn a_folder_is_no_place_for_a_file() {
        let dir = folder("folder");
        assert!(try_place(&dir).is_err() && try_place(&dir.join("no/such")).is_err());
        fs::remove_dir_all(dir).expect("removed");
    }
}
