//! Writing to the terminal or a pipe: results to standard output, everything else to standard error, and a closed pipe is no panic.

use comfy_table::{CellAlignment, ContentArrangement, Table};
use fuelsched::Fuel;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use terminal_size::{Width, terminal_size};

/// How wide a table may be where there is no terminal to ask.
const PIPE_WIDTH: u16 = 120;

/// The lines of a table, by position as comfy-table has them: a rule below the header, and nothing else.
const HEADER_RULE: &str = "     ──            ";

/// Writes a result.
pub(crate) fn result(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    heard(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// That a reader has gone away is its own affair; that a disk is full is not.
pub(crate) fn heard(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// How wide what is written to standard output may be: as the terminal, or so much where it is none.
pub(crate) fn width(piped: usize) -> usize {
    let terminal = terminal_size().filter(|_| io::stdout().is_terminal());
    terminal.map_or(piped, |(Width(columns), _)| columns.into())
}

/// Says what is wrong.
pub(crate) fn error(message: &str) {
    note(&format!("error: {message}"));
}

/// Whether nothing is to be said beside the result.
static HUSHED: AtomicBool = AtomicBool::new(false);

/// Says nothing beside the result from now on, or does again: while the terminal is a screen, a line would only disturb it.
pub(crate) fn hush(hushed: bool) {
    HUSHED.store(hushed, Ordering::Relaxed);
}

/// Says something beside the result. If nobody can hear it, so be it.
pub(crate) fn note(line: &str) {
    if HUSHED.load(Ordering::Relaxed) {
        return;
    }
    let _ = writeln!(io::stderr().lock(), "{}", clean(line));
}

/// A text without the characters that move a terminal's cursor or change its colours: paths and messages may come from anybody.
pub(crate) fn clean(text: &str) -> String {
    let visible = |c: char| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(visible).collect()
}

/// A table for people, as wide as the terminal at most; `numbers` are the columns that are aligned to the right.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>, numbers: &[usize]) -> String {
    let mut table = Table::new();
    table
        .load_preset(HEADER_RULE)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(terminal_size().map_or(PIPE_WIDTH, |(Width(columns), _)| columns))
        .set_header(header);
    for row in rows {
        table.add_row(row.iter().map(|cell| clean(cell)));
    }
    for &column in numbers {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_string()).collect();
    lines.join("\n") + "\n"
}

/// A number of things: `1 slice`, `80 context switches`.
pub(crate) fn count(n: u64, thing: &str) -> String {
    let plural = match thing {
        _ if n == 1 => "",
        _ if thing.ends_with("ch") => "es",
        _ => "s",
    };
    format!("{} {thing}{plural}", Fuel(n))
}

/// Nanoseconds as people read them, to three digits: `842 ns`, `1.25 µs`, `3.10 s`.
pub(crate) fn nanos(nanos: u64) -> String {
    let (value, unit) = match nanos {
        0..1_000 => return format!("{nanos} ns"),
        1_000..1_000_000 => (nanos as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (nanos as f64 / 1e6, "ms"),
        _ => (nanos as f64 / 1e9, "s"),
    };
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn things_are_counted_in_english() {
        let counted = [(1, "slice"), (0, "slice"), (1_000, "context switch")].map(|(n, thing)| super::count(n, thing));
        assert_eq!(counted, ["1 slice", "0 slices", "1,000 context switches"]);
    }

    #[test]
    fn times_are_written_to_three_digits() {
        let written = [0, 842, 1_250, 12_500, 999_999, 3_100_000_000].map(super::nanos);
        assert_eq!(written, ["0 ns", "842 ns", "1.25 µs", "12.5 µs", "1000 µs", "3.10 s"]);
    }
}
