//! The files that distributions are written to: comma-separated values, HdrHistogram's percentile files, and its log.

use super::measure::{Distribution, Measured};
use crate::args::BenchArgs;
use anyhow::{Context, Result};
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The percentiles of the comma-separated values.
const PERCENTILES: [f64; 7] = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0];

/// Writes those that were asked for.
pub(crate) fn write(args: &BenchArgs, measured: &Measured) -> Result<()> {
    if let Some(path) = &args.csv {
        fs::write(path, csv(measured)).with_context(|| path.clone())?;
    }
    if let Some(dir) = &args.hgrm {
        fs::create_dir_all(dir).with_context(|| dir.clone())?;
        for (name, distribution) in measured.distributions() {
            let path = Path::new(dir).join(name).with_extension("hgrm");
            fs::write(&path, hgrm(distribution)).with_context(|| path.display().to_string())?;
        }
    }
    if let Some(path) = &args.hdr_log {
        fs::write(path, log(measured)?).with_context(|| path.clone())?;
    }
    Ok(())
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
