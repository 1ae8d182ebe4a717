//! Puts what the benches found into `docs/benchmarks.md`: each table between its marks, and plots beside the page.
//!
//! ```text
//! benches/report.sh              measures everything, then runs this
//! cargo bench --bench report     this alone, with what `target/benches` has
//! ```
//!
//! A table NAME stands between `<!-- begin: NAME -->` and `<!-- end -->`. What is around is written by hand, and so are tables without a file.

#[path = "shared/table.rs"]
#[expect(dead_code, reason = "it reads tables, and makes none")]
mod table;

use plotters::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use table::{folder, is_test};

/// What can go wrong: a file, or what is in it.
type Outcome<T> = Result<T, Box<dyn Error>>;

/// How a table's place begins, up to its name.
const BEGIN: &str = "<!-- begin: ";
/// How a place ends.
const END: &str = "<!-- end -->";

/// The curves of a plot: points by name.
type Curves = BTreeMap<String, Vec<(f64, f64)>>;

/// The folder of the page.
fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// The file of a table, if it was measured.
fn measured(name: &str) -> Outcome<Option<Value>> {
    match fs::read_to_string(folder().join(format!("{name}.json"))) {
        Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The strings of an array.
fn cells(array: &Value) -> Vec<&str> {
    array.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A table in Markdown.
fn markdown(table: &Value) -> String {
    let columns = cells(&table["columns"]);
    let mut lines = vec![format!("| {} |", columns.join(" | ")), format!("|{}", "---|".repeat(columns.len()))];
    lines.extend(table["rows"].as_array().into_iter().flatten().map(|row| format!("| {} |", cells(row).join(" | "))));
    lines.join("\n")
}

/// The page with each place filled by what `table` has for its name, and kept where it has nothing.
fn filled(page: &str, mut table: impl FnMut(&str) -> Outcome<Option<String>>) -> Outcome<String> {
    let (mut done, mut rest) = (String::new(), page);
    while let Some((before, behind)) = rest.split_once(BEGIN) {
        let (name, behind) = behind.split_once(" -->").ok_or("a mark that does not end")?;
        let (old, behind) = behind.split_once(END).ok_or_else(|| format!("{name} has no end"))?;
        let new = table(name)?.map_or_else(|| old.into(), |table| format!("\n{table}\n"));
        done += &format!("{before}{BEGIN}{name} -->{new}{END}");
        rest = behind;
    }
    Ok(done + rest)
}

/// The curves of a table.
fn curves(table: &Value) -> Curves {
    let mut curves = Curves::new();
    for point in table["points"].as_array().into_iter().flatten() {
        if let (Some(curve), Some(x), Some(y)) = (point[0].as_str(), point[1].as_f64(), point[2].as_f64()) {
            curves.entry(curve.into()).or_default().push((x, y));
        }
    }
    curves
}

/// The least and the greatest of some values.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)))
}

/// Draws curves, both axes logarithmic: nanoseconds a switch by tasks.
fn draw(path: &Path, title: &str, curves: &Curves) -> Outcome<()> {
    let points = || curves.values().flatten();
    let ((left, right), (low, high)) = (range(points().map(|(x, _)| *x)), range(points().map(|(_, y)| *y)));
    let root = SVGBackend::new(path, (900, 540)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(72)
        .build_cartesian_2d((left..right * 1.2).log_scale(), (low * 0.8..high * 1.2).log_scale())?;
    chart.configure_mesh().x_desc("tasks").y_desc("ns a switch").draw()?;
    for (number, (name, points)) in curves.iter().enumerate() {
        let colour = Palette99::pick(number).to_rgba();
        let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3);
        chart
            .draw_series(line)?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
    root.present()?;
    Ok(())
}

/// Draws the plots of those tables that have one.
fn plots() -> Outcome<()> {
    fs::create_dir_all(docs().join("benchmarks"))?;
    for quantum in [1, 1000, 10_000] {
        let name = format!("switch-{quantum}");
        let curves = measured(&name)?.map(|table| curves(&table)).unwrap_or_default();
        if !curves.is_empty() {
            let path = docs().join("benchmarks").join(format!("{name}.svg"));
            draw(&path, &format!("one switch, quantum {quantum}"), &curves)?;
            println!("drawn: {}", path.display());
        }
    }
    Ok(())
}

/// A page, a plot, and what is to become of them, without files.
fn try_out() -> Outcome<()> {
    let page = "a\n<!-- begin: x -->\nold\n<!-- end -->\nb\n<!-- begin: y -->\nkept\n<!-- end -->\n";
    let new = filled(page, |name| Ok((name == "x").then(|| "new".into())))?;
    assert_eq!(new, "a\n<!-- begin: x -->\nnew\n<!-- end -->\nb\n<!-- begin: y -->\nkept\n<!-- end -->\n");
    assert!(filled("<!-- begin: x -->", |_| Ok(None)).is_err());
    let table =
        serde_json::json!({"columns": ["a", "b"], "rows": [["1", "2"]], "points": [["c", 1.0, 5.0], ["c", 9.0, 7.0]]});
    assert_eq!(markdown(&table), "| a | b |\n|---|---|\n| 1 | 2 |");
    assert_eq!(
        filled(&fs::read_to_string(docs().join("benchmarks.md"))?, |_| Ok(None))?,
        fs::read_to_string(docs().join("benchmarks.md"))?
    );
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report.svg");
    draw(&path, "a test", &curves(&table))?;
    assert!(fs::read_to_string(path)?.contains("a test"));
    Ok(())
}

fn main() -> Outcome<()> {
    if is_test() {
        return try_out();
    }
    let path = docs().join("benchmarks.md");
    let page = filled(&fs::read_to_string(&path)?, |name| {
        let table = measured(name)?;
        println!("{name}: {}", if table.is_some() { "measured" } else { "as it was" });
        Ok(table.as_ref().map(markdown))
    })?;
    fs::write(&path, page)?;
    plots()
}
