//! A chart of a run: a row a task, the virtual clock from left to right, as wide as the terminal.
//!
//! **It takes bounded memory**, however long the run is and whatever its tasks do. Each row has at most 1,024 cells. A cell begins as one
//! unit of fuel; where the run grows out of the last, each two become one. Only the first 1,000 tasks that are spawned have rows; what the
//! others used is added up, and said.
//!
//! **It is honest about what it leaves out.** A column is many slices wide, so what it shows is how much of it the task ran: a shade. What
//! has no row is in a line below the rows.

use crate::output::{clean, count};
use fuelsched::Fuel;
use fuelsched::trace::events::{Happened, Poll, What};
use std::collections::HashMap;
use std::fmt::Write as _;

/// Cells of a row, at most.
const CELLS: u64 = 1_024;
/// Tasks that have a row.
pub(super) const MOST_ROWS: usize = 1_000;
/// Rows that are shown.
const SHOWN: usize = 20;
/// The longest name that is shown, in characters.
const LONGEST_NAME: usize = 24;
/// What the symbols mean.
const LEGEND: &str = "█ ran over 3/4 of it, ▓ over 1/2, ▒ over 1/4, ░ less; · was ready, ╌ waited";
/// The fewest columns that a chart is drawn in.
const NARROWEST: usize = 10;

/// So much of each cell.
#[derive(Clone, Debug, Default)]
pub(super) struct Cells(Vec<u64>);

impl Cells {
    /// Adds a stretch, where a cell is so wide.
    fn add(&mut self, from: u64, to: u64, width: u64) {
        let mut at = from;
        while at < to {
            let cell = at / width;
            let end = (cell + 1).saturating_mul(width).min(to);
            let cell = cell as usize;
            if cell >= self.0.len() {
                self.0.resize(cell + 1, 0);
            }
            self.0[cell] += end - at;
            at = end;
        }
    }

    /// Makes one cell of each two.
    fn halve(&mut self) {
        self.0 = self.0.chunks(2).map(|two| two.iter().sum()).collect();
    }

    /// Adds what others have in theirs, which are as wide.
    pub(super) fn merge(&mut self, others: &Cells) {
        self.0.resize(self.0.len().max(others.0.len()), 0);
        self.0.iter_mut().zip(&others.0).for_each(|(mine, other)| *mine += other);
    }

    /// The cells that have something, with their places.
    pub(super) fn filled(&self) -> impl Iterator<Item = (usize, u64)> {
        self.0.iter().copied().enumerate().filter(|(_, filled)| *filled > 0)
    }

    /// How much of a stretch, which is measured in cells, is filled, from 0 to 1.
    pub(super) fn share(&self, from: f64, to: f64, width: u64) -> f64 {
        let mut filled = 0.0;
        for cell in from as usize..=(to as usize).min(self.0.len().saturating_sub(1)) {
            let part = to.min(cell as f64 + 1.0) - from.max(cell as f64);
            filled += self.0.get(cell).map_or(0.0, |cell| *cell as f64) * part.max(0.0);
        }
        (filled / width as f64 / (to - from)).clamp(0.0, 1.0)
    }
}

/// The row of a task. All moments are since the beginning of the chart.
#[derive(Debug)]
pub(super) struct Row {
    /// Its name.
    pub(super) name: String,
    /// When it ran.
    pub(super) ran: Cells,
    /// When it waited, for anything but its turn.
    pub(super) waited: Cells,
    /// From when it is there.
    pub(super) from: u64,
    /// Until when.
    pub(super) to: Option<u64>,
    /// Fuel that it used.
    pub(super) fuel: Fuel,
    /// Since when it waits.
    waits: Option<u64>,
}

/// A chart.
#[derive(Debug)]
pub(super) struct Timeline {
    /// Where it begins, on the virtual clock.
    origin: u64,
    /// How much fuel a cell is.
    pub(super) width: u64,
    /// How far it goes.
    pub(super) end: u64,
    /// The rows, in the order of spawning.
    rows: Vec<Row>,
    /// Where each task's row is.
    places: HashMap<u64, usize>,
    /// When nobody ran.
    pub(super) idle: Cells,
    /// When those ran that have no row.
    pub(super) rest: Cells,
    /// How many tasks have no row.
    pub(super) others: u64,
    /// Fuel that all tasks used, those without a row too.
    pub(super) fuel: Fuel,
}

impl Timeline {
    /// A chart that begins at this moment of the virtual clock.
    pub(super) fn new(origin: u64) -> Timeline {
        Timeline {
            origin,
            width: 1,
            end: 0,
            rows: Vec::new(),
            places: HashMap::new(),
            idle: Cells::default(),
            rest: Cells::default(),
            others: 0,
            fuel: Fuel::ZERO,
        }
    }

    /// Takes what happened; `name` is that of a task that was spawned.
    pub(super) fn take(&mut self, event: &Happened, name: &str) {
        let at = event.at.0.saturating_sub(self.origin);
        match event.what {
            What::Spawned { task, released, .. } => self.spawned(task, released.0.saturating_sub(self.origin), name),
            What::Ready { task, .. } => self.end_wait(task, at),
            What::Ran(poll) => self.ran(at, &poll),
            What::Ended { task, .. } => {
                self.end_wait(task, at);
                if let Some(place) = self.places.remove(&task) {
                    self.rows[place].to = Some(at);
                }
            }
            What::Idle { until } => {
                let until = until.0.saturating_sub(self.origin);
                self.reach(until);
                self.idle.add(at, until, self.width);
            }
            _ => {}
        }
    }

    /// A task is there, or will be.
    fn spawned(&mut self, task: u64, from: u64, name: &str) {
        if self.rows.len() >= MOST_ROWS {
            self.others += 1;
            return;
        }
        self.places.insert(task, self.rows.len());
        self.rows.push(Row {
            name: clean(name).replace('\n', "␊"),
            ran: Cells::default(),
            waited: Cells::default(),
            from,
            to: None,
            fuel: Fuel::ZERO,
            waits: None,
        });
    }

    /// A task ran.
    fn ran(&mut self, at: u64, poll: &Poll) {
        self.end_wait(poll.task, at);
        let end = at.saturating_add(poll.charged().0);
        self.reach(end);
        self.fuel = self.fuel.plus(poll.used);
        let Some(&place) = self.places.get(&poll.task) else {
            return self.rest.add(at, end, self.width);
        };
        let row = &mut self.rows[place];
        row.fuel = row.fuel.plus(poll.used);
        row.ran.add(at, end, self.width);
        row.waits = (!poll.stop.is_ready() && !poll.stop.is_end()).then_some(end);
    }

    /// A task waits no more.
    fn end_wait(&mut self, task: u64, at: u64) {
        let Some(&place) = self.places.get(&task) else {
            return;
        };
        if let Some(since) = self.rows[place].waits.take() {
            self.reach(at);
            self.rows[place].waited.add(since, at, self.width);
        }
    }

    /// Makes room as far as there.
    fn reach(&mut self, end: u64) {
        self.end = self.end.max(end);
        while end.div_ceil(self.width) > CELLS {
            self.width *= 2;
            for row in &mut self.rows {
                row.ran.halve();
                row.waited.halve();
            }
            self.idle.halve();
            self.rest.halve();
        }
    }

    /// All rows, in the order of spawning.
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Where it begins, on the virtual clock.
    pub(super) const fn origin(&self) -> u64 {
        self.origin
    }

    /// The rows of those that used the most, in the order of spawning, and how many tasks there are beside them.
    pub(super) fn chosen(&self, most: usize) -> (Vec<&Row>, u64) {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by_key(|place| (std::cmp::Reverse(self.rows[*place].fuel), *place));
        order.truncate(most);
        order.sort_unstable();
        let left = (self.rows.len() - order.len()) as u64 + self.others;
        (order.into_iter().map(|place| &self.rows[place]).collect(), left)
    }

    /// What is said of those that have no row.
    pub(super) fn rest(&self, rows: &[&Row], left: u64) -> Option<String> {
        let shown = rows.iter().fold(Fuel::ZERO, |sum, row| sum.plus(row.fuel));
        let fuel = self.fuel.minus(shown);
        let ended = if self.others > 0 {
            format!(" (only the first {} can have a row)", Fuel(MOST_ROWS as u64))
        } else {
            String::new()
        };
        (left > 0).then(|| format!("… and {}, which used {fuel} fuel{ended}", more(left)))
    }

    /// The part of all fuel that a row used, in per cent.
    pub(super) fn percent(&self, row: &Row) -> String {
        let part = row.fuel.0 as f64 / self.fuel.0.max(1) as f64;
        format!("{:.1} %", part * 100.0)
    }

    /// The moment at a place from 0 to 1, on the virtual clock.
    pub(super) fn moment(&self, place: f64) -> Fuel {
        Fuel(self.origin.saturating_add((self.end as f64 * place) as u64))
    }

    /// The end of the chart, in cells.
    pub(super) fn end_in_cells(&self) -> f64 {
        self.end as f64 / self.width as f64
    }

    /// The chart in so many columns.
    pub(super) fn render(&self, columns: usize) -> String {
        let (rows, left) = self.chosen(SHOWN);
        if self.end == 0 || rows.is_empty() {
            return "\nno timeline: nothing ran\n".into();
        }
        let name_width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).clamp(4, LONGEST_NAME);
        let width = columns.saturating_sub(name_width + 13).max(NARROWEST);
        let mut text = String::from("\n");
        for row in &rows {
            let cells: String = (0..width).map(|column| self.symbol(row, column, width)).collect();
            let _ = writeln!(text, " {:<name_width$} ▕{cells}▏{:>8}", cut(&row.name, name_width), self.percent(row));
        }
        if self.idle.0.iter().any(|idle| *idle > 0) {
            let cells: String =
                (0..width).map(|column| shade(self.part(&self.idle, column, width)).unwrap_or(' ')).collect();
            let _ = writeln!(text, " {:<name_width$} ▕{cells}▏", "idle");
        }
        let _ = writeln!(text, " {:<name_width$}  {}", "fuel", self.scale(width));
        let each = (self.end as f64 / width as f64).ceil() as u64;
        let column = format!("a column is {} fuel; at the right is each task's part of all fuel", Fuel(each));
        for line in self.rest(&rows, left).into_iter().chain([column, LEGEND.into()]) {
            wrap(&mut text, &line, columns);
        }
        text
    }

    /// How much of a column is filled.
    fn part(&self, cells: &Cells, column: usize, width: usize) -> f64 {
        let each = self.end_in_cells() / width as f64;
        cells.share(column as f64 * each, (column + 1) as f64 * each, self.width)
    }

    /// What a task did in a column.
    fn symbol(&self, row: &Row, column: usize, width: usize) -> char {
        if let Some(shade) = shade(self.part(&row.ran, column, width)) {
            return shade;
        }
        if self.part(&row.waited, column, width) > 0.5 {
            return '╌';
        }
        let middle = (column as f64 + 0.5) / width as f64 * self.end as f64;
        let there = middle >= row.from as f64 && row.to.is_none_or(|to| middle < to as f64);
        let waits = row.waits.is_some_and(|since| middle >= since as f64);
        match (there, waits) {
            (true, true) => '╌',
            (true, false) => '·',
            _ => ' ',
        }
    }

    /// The line with the moments: where the chart begins, its middle, and its end.
    fn scale(&self, width: usize) -> String {
        let [begin, middle, end] = [0.0, 0.5, 1.0].map(|place| self.moment(place).to_string());
        let mut line = begin;
        let places = [(width / 2).saturating_sub(middle.len() / 2), width.saturating_sub(end.len())];
        for (text, place) in [middle, end].into_iter().zip(places) {
            if line.len() + 2 <= place {
                line = format!("{line:<place$}{text}");
            }
        }
        line
    }
}

/// Writes words, in lines of so many columns with a space before each.
fn wrap(text: &mut String, words: &str, columns: usize) {
    let mut room = columns;
    for (place, word) in words.split(' ').enumerate() {
        let length = word.chars().count() + 1;
        if place > 0 && length > room {
            text.push('\n');
            room = columns;
        }
        room = room.saturating_sub(length);
        let _ = write!(text, " {word}");
    }
    text.push('\n');
}

/// `983 more tasks`.
fn more(n: u64) -> String {
    count(n, "more task")
}

/// How much of a column it was, as a shade; nothing if it was nothing.
fn shade(part: f64) -> Option<char> {
    match part {
        _ if part <= 0.0 => None,
        _ if part <= 0.25 => Some('░'),
        _ if part <= 0.5 => Some('▒'),
        _ if part <= 0.75 => Some('▓'),
        _ => Some('█'),
    }
}

/// A name, with its end cut off if it is longer than there is room for.
fn cut(name: &str, width: usize) -> String {
    if name.chars().count() <= width {
        return name.into();
    }
    name.chars().take(width - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_kept_whole_however_wide_the_cells_become() {
        let mut cells = Cells::default();
        cells.add(3, 10, 4);
        assert_eq!(cells.0, [1, 4, 2]);
        cells.halve();
        assert_eq!(cells.0, [5, 2]);
        assert_eq!(cells.share(0.0, 1.0, 8), 5.0 / 8.0);
        assert_eq!(cells.share(0.5, 1.5, 8), (2.5 + 1.0) / 8.0);
        assert_eq!(cells.share(2.0, 3.0, 8), 0.0);
    }

    #[test]
    fn words_are_wrapped_where_there_is_no_room() {
        let mut text = String::new();
        wrap(&mut text, "one two three four", 8);
        assert_eq!(text, " one two\n three\n four\n");
        text.clear();
        wrap(&mut text, "one", 2);
        assert_eq!(text, " one\n");
    }

    #[test]
    fn a_chart_fits_its_columns() {
        let mut timeline = Timeline::new(0);
        let mut take =
            |what, at| timeline.take(&Happened { at: Fuel(at), time: 0, what }, "a task with a rather long name");
        for task in 0..30 {
            take(What::Spawned { task, label: task, by: None, released: Fuel(0) }, 0);
        }
        take(What::Idle { until: Fuel(123_456_789) }, 0);
        for columns in [1, 40, 80, 300] {
            let chart = timeline.render(columns);
            let widest = chart.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(columns.max(NARROWEST + LONGEST_NAME + 12)), "{chart}");
            assert!(chart.contains(" …"), "{chart}");
        }
    }

    #[test]
    fn no_amount_of_fuel_is_too_much() {
        let mut timeline = Timeline::new(0);
        timeline.reach(u64::MAX);
        timeline.idle.add(5, u64::MAX, timeline.width);
        assert_eq!(timeline.idle.0.len() as u64, CELLS);
        assert!(timeline.idle.share(0.0, CELLS as f64, timeline.width) > 0.99);
    }
}
