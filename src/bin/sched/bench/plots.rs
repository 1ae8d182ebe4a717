//! The plots of a measurement as SVG: the quantum curve, and a percentile plot of each distribution.
//!
//! Everything is drawn on white, with named axes. The colours are told apart by colour-blind readers, too (Okabe and Ito, Color Universal
//! Design, 2008), and curves differ in their marks as well. Axes are logarithmic: what is measured spans decades.

use super::files;
use super::measure::{Distribution, Measured};
use super::report::{BenchReport, CurvePoint};
use crate::output;
use anyhow::Result;
use fuelsched::Fuel;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::ops::Range;
use std::path::Path;

/// Width and height of a plot, in pixels.
const SIZE: (u32, u32) = (900, 540);

/// The height of the quantum curve, which is two plots.
const TALL: u32 = 820;

/// The colours of curves, and the mark's.
const COLOURS: [RGBColor; 3] = [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115)];

/// The font of all texts: whatever the reader has.
const FONT: &str = "sans-serif";

/// Axis labels of a plot, about.
const LABELS: usize = 10;

/// How a number of an axis is written.
type Label = fn(&f64) -> String;

/// Where things are drawn.
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A plot to be drawn.
struct Plot<'a> {
    /// What stands above it.
    title: &'a str,
    /// What goes to the right, and how it is written.
    x: (&'a str, Label),
    /// What goes up.
    y: (&'a str, Label),
    /// The curves, with their names.
    curves: Vec<(&'a str, Vec<(f64, f64)>)>,
    /// A place on the way to the right that is marked, and what with.
    mark: Option<(f64, &'a str)>,
}

/// Draws all plots into a folder.
pub(crate) fn write(dir: &str, measured: &Measured, report: &BenchReport) -> Result<()> {
    let place = |name: &str| Path::new(dir).join(name).with_extension("svg");
    files::write_whole(&place("quantum-curve"), quantum_curve(report)?.as_bytes())?;
    for (name, distribution) in measured.distributions() {
        files::write_whole(&place(name), percentiles(name, distribution)?.as_bytes())?;
    }
    Ok(())
}

/// The quantum curve: speed above, how long others wait below.
fn quantum_curve(report: &BenchReport) -> Result<String> {
    let points = |value: fn(&CurvePoint) -> f64| -> Vec<(f64, f64)> {
        report.curve.iter().map(|point| (point.quantum as f64, value(point))).collect()
    };
    let mark = report.recommended_quantum.map(|quantum| (quantum as f64, "recommended"));
    let x: (&str, Label) = ("quantum (fuel)", |quantum| Fuel(*quantum as u64).to_string());
    let speed = Plot {
        title: "Throughput by quantum",
        x,
        y: ("million fuel a second", |speed| format!("{}", speed / 1e6)),
        curves: vec![("throughput", points(|point| point.fuel_per_s))],
        mark,
    };
    let waits = Plot {
        title: "Worst latency by quantum",
        x,
        y: ("time (log scale)", time),
        curves: vec![
            ("longest wait for a turn", points(|point| point.longest_wait_ns as f64)),
            ("longest slice", points(|point| point.longest_slice_ns as f64)),
        ],
        mark,
    };
    drawn((SIZE.0, TALL), |area| {
        let (above, below) = area.split_vertically(TALL / 2);
        draw(&above, &speed)?;
        draw(&below, &waits)
    })
}

/// A distribution by percentile: the further to the right, the rarer.
fn percentiles(name: &str, distribution: &Distribution) -> Result<String> {
    let unit = name.rsplit_once('_').map_or("", |(_, unit)| unit);
    let title = format!("{}: {} measured", title(name), Fuel(distribution.0.len()));
    let plot = Plot {
        title: &title,
        x: ("percentile", percentile),
        y: if unit == "fuel" { ("fuel (log scale)", fuel) } else { ("time (log scale)", time) },
        curves: vec![(name, rarity(distribution))],
        mark: None,
    };
    drawn(SIZE, |area| draw(area, &plot))
}

/// What a distribution is called above its plot.
fn title(name: &str) -> &str {
    match name {
        "switch_ns" => "Context switch at quantum 1",
        "slice_ns" => "Slice",
        "lateness_fuel" => "Lateness of a preemption",
        "turnaround_ns" => "Turnaround of a task",
        "wakeup_ns" => "Wake-up to the next slice",
        other => other,
    }
}

/// The points of a percentile plot: one in how many is larger, and than what. The largest of n is one in n.
fn rarity(Distribution(histogram): &Distribution) -> Vec<(f64, f64)> {
    let most = histogram.len().max(10) as f64;
    let point = |quantile: f64, value: u64| ((1.0 / (1.0 - quantile).max(1.0 / most)).min(most), value as f64);
    histogram.iter_quantiles(5).map(|step| point(step.quantile_iterated_to(), step.value_iterated_to())).collect()
}

/// One in so many as a percentile.
fn percentile(rarity: &f64) -> String {
    let digits = (rarity.log10().ceil() as usize).saturating_sub(2);
    format!("{:.digits$} %", 100.0 - 100.0 / rarity)
}

/// Nanoseconds as people read them.
fn time(nanos: &f64) -> String {
    output::nanos(*nanos as u64)
}

/// Fuel as people read it.
fn fuel(amount: &f64) -> String {
    Fuel(*amount as u64).to_string()
}

/// What `draw` draws, as SVG.
fn drawn((width, height): (u32, u32), draw: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
    area.fill(&WHITE)?;
    draw(&area)?;
    area.present()?;
    drop(area);
    Ok(text)
}

/// The range of an axis that has all of these values, with some room; nothing below 1, which has no place on a logarithmic axis.
fn span(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) =
        values.fold((f64::MAX, 1.0), |(low, high): (f64, f64), value| (low.min(value.max(1.0)), high.max(value)));
    low.min(high) / 1.3..high * 1.3
}

/// The range widened to whole decades, so that there are labels at both ends; from 1, where 0 is drawn, too.
fn decades(range: Range<f64>) -> Range<f64> {
    10_f64.powf(range.start.log10().floor()).max(1.0)..10_f64.powf(range.end.log10().ceil())
}

/// Draws a plot.
fn draw(area: &Area<'_>, plot: &Plot<'_>) -> Result<()> {
    let points = || plot.curves.iter().flat_map(|(_, points)| points);
    let (across, up) = (span(points().map(|(x, _)| *x)), decades(span(points().map(|(_, y)| *y))));
    let top = up.clone();
    let mut chart = ChartBuilder::on(area)
        .caption(plot.title, (FONT, 20))
        .margin(14)
        .margin_right(45)
        .x_label_area_size(48)
        .y_label_area_size(90)
        .build_cartesian_2d(across.log_scale(), up.log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.15))
        .x_labels(LABELS)
        .y_labels(LABELS)
        .x_desc(plot.x.0)
        .y_desc(plot.y.0)
        .x_label_formatter(&plot.x.1)
        .y_label_formatter(&plot.y.1)
        .label_style((FONT, 14))
        .axis_desc_style((FONT, 16))
        .draw()?;
    if let Some((at, name)) = plot.mark {
        let colour = COLOURS[2];
        let line = DashedLineSeries::new([(at, top.start), (at, top.end)], 6, 4, colour.stroke_width(2));
        chart
            .draw_series(line)?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    for (number, (name, points)) in plot.curves.iter().enumerate() {
        let colour = COLOURS[number % 2];
        let points: Vec<(f64, f64)> = points.iter().map(|(x, y)| (*x, y.max(1.0))).collect();
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        match number {
            0 => drop(chart.draw_series(points.into_iter().map(|at| Circle::new(at, 4, colour.filled())))?),
            _ => drop(chart.draw_series(points.into_iter().map(|at| TriangleMarker::new(at, 6, colour.filled())))?),
        }
    }
    if plot.mark.is_some() || plot.curves.len() > 1 {
        let labels = &mut chart.configure_series_labels();
        labels.background_style(WHITE.mix(0.9)).border_style(BLACK.mix(0.3)).label_font((FONT, 14));
        labels.position(SeriesLabelPosition::LowerRight).margin(16).draw()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_written_with_as_many_digits_as_they_need() {
        let written = [1.0, 10.0, 100.0, 1_000.0, 100_000.0].map(|rarity| percentile(&rarity));
        assert_eq!(written, ["0 %", "90 %", "99 %", "99.9 %", "99.999 %"]);
    }

    #[test]
    fn nothing_and_one_value_have_a_range() {
        for values in [vec![], vec![0.0], vec![5.0]] {
            let range = span(values.into_iter());
            assert!(range.start > 0.0 && range.start < range.end, "{range:?}");
        }
    }

    #[test]
    fn an_axis_ends_at_labels() {
        assert_eq!([decades(7.0..130.0), decades(0.8..1.3)], [1.0..1_000.0, 1.0..10.0]);
    }

    #[test]
    fn the_largest_of_a_few_is_one_in_ten_at_least() {
        let mut few = Distribution::default();
        few.0.saturating_record(7);
        let points = rarity(&few);
        assert_eq!(points.last(), Some(&(10.0, 7.0)));
    }
}
