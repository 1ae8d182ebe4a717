//! What a bench has found, as one table: printed, and left in `target/benches` for `benches/report.rs`, which puts it into `docs/benchmarks.md`.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// A table, with what of it is worth a plot.
pub(crate) struct Table {
    /// The name of its file, and of its place in the page.
    name: &'static str,
    /// What the columns hold.
    columns: Vec<&'static str>,
    /// The rows.
    rows: Vec<Vec<String>>,
    /// What is plotted: the curve's name, and a point of it. Tasks or a quantum, by nanoseconds.
    points: Vec<(String, f64, f64)>,
}

impl Table {
    /// An empty one.
    pub(crate) fn new(name: &'static str, columns: &[&'static str]) -> Table {
        Table { name, columns: columns.to_vec(), rows: Vec::new(), points: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Adds a point to a curve.
    #[allow(dead_code, reason = "not every bench has something to plot")]
    pub(crate) fn point(&mut self, curve: &str, x: f64, y: f64) {
        self.points.push((curve.into(), x, y));
    }

    /// Prints it as Markdown, and leaves it for the report if this was a measurement, and not a test.
    pub(crate) fn finish(&self) {
        println!("\n| {} |\n|{}", self.columns.join(" | "), "---|".repeat(self.columns.len()));
        for row in &self.rows {
            println!("| {} |", row.join(" | "));
        }
        if !is_test() {
            match self.save() {
                Ok(path) => println!("\nkept in {}", path.display()),
                Err(error) => println!("\ncannot be kept: {error}"),
            }
        }
    }

    /// Writes its file.
    fn save(&self) -> io::Result<PathBuf> {
        let path = folder().join(format!("{}.json", self.name));
        let content = serde_json::json!({
            "columns": self.columns,
            "rows": self.rows,
            "points": self.points,
        });
        fs::create_dir_all(folder())?;
        fs::write(&path, format!("{content:#}\n"))?;
        Ok(path)
    }
}

/// Where tables are kept.
pub(crate) fn folder() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    target.parent().unwrap_or(target).join("benches")
}

/// Whether the program is only to show that it runs. Without `--bench` it is `cargo test` that runs it.
pub(crate) fn is_test() -> bool {
    has("--test") || !has("--bench")
}

/// Whether an argument is there.
pub(crate) fn has(name: &str) -> bool {
    std::env::args().any(|arg| arg == name)
}

/// A whole number with its thousands apart.
#[allow(dead_code, reason = "not every bench has large numbers")]
pub(crate) fn grouped(number: u64) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", grouped(number / 1000), number % 1000) }
}
