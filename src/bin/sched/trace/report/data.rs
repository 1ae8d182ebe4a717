//! The data that the page's script draws from, as JSON that may stand in a page.
//!
//! Columns of numbers rather than objects: twenty thousand slices are some 600 KB so. A row that is no task's stands for all tasks that have no row.

use super::Page;
use super::gather::{Gathered, Kept, Passed};
use crate::trace::timeline::Cells;
use fuelsched::Fuel;
use serde_json::{Value, json};

/// Rows of tasks in the chart.
pub(super) const MOST_SHOWN: usize = 200;

/// Which tasks have a row in the chart.
#[derive(Debug)]
pub(super) struct Rows {
    /// Their places, in the order of spawning.
    pub(super) places: Vec<usize>,
    /// How many tasks have none.
    pub(super) left: u64,
    /// The rows of places.
    of: Vec<Option<usize>>,
}

impl Rows {
    /// Those of the tasks that used the most.
    pub(super) fn of(gathered: &Gathered) -> Rows {
        let mut places: Vec<usize> = (0..gathered.tasks.len()).collect();
        places.sort_by_key(|place| (std::cmp::Reverse(gathered.tasks[*place].used), *place));
        let left = places.len().saturating_sub(MOST_SHOWN) as u64 + gathered.cells.others;
        places.truncate(MOST_SHOWN);
        places.sort_unstable();
        let mut of = vec![None; gathered.tasks.len()];
        places.iter().enumerate().for_each(|(row, place)| of[*place] = Some(row));
        Rows { places, left, of }
    }

    /// The row of a task: that of all others, if it has none.
    fn row(&self, place: Option<usize>) -> usize {
        place.and_then(|place| self.of[place]).unwrap_or(self.places.len())
    }

    /// Those with no row.
    fn others(&self) -> impl Iterator<Item = usize> {
        self.of.iter().enumerate().filter(|(_, row)| row.is_none()).map(|(place, _)| place)
    }
}

/// The data of a page, escaped.
pub(super) fn data(page: &Page) -> String {
    let gathered = &page.gathered;
    let rows = Rows::of(gathered);
    let whole = json!({
        "schema": 1,
        "origin": gathered.cells.origin(),
        "end": gathered.cells.end,
        "timed": gathered.is_timed(),
        "exactUntil": gathered.exact_until,
        "words": gathered.words.all,
        "rows": row_names(gathered, &rows),
        "slices": slices(gathered, &rows),
        "waits": waits(gathered, &rows),
        "messages": messages(gathered),
        "idle": gathered.idle.iter().flat_map(|(from, to)| [from, to]).collect::<Vec<_>>(),
        "cells": cells(gathered, &rows),
    });
    escaped(&whole.to_string())
}

/// JSON as it may stand in an element of a page. All of these characters can only be in its texts.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => text += &format!("\\u{:04x}", u32::from(c)),
            c => text.push(c),
        }
    }
    text
}

/// What there is to say about each row.
fn row_names(gathered: &Gathered, rows: &Rows) -> Vec<Value> {
    let one = |place: &usize| {
        let (row, task) = (&gathered.cells.rows()[*place], &gathered.tasks[*place]);
        json!({
            "name": task.name,
            "from": row.from,
            "to": row.to,
            "fuel": task.used,
            "slices": task.slices,
            "outcome": task.outcome,
        })
    };
    let mut all: Vec<Value> = rows.places.iter().map(one).collect();
    if rows.left > 0 {
        let sum = |of: fn(&super::gather::Tally) -> u64| {
            rows.others().fold(of(&gathered.others), |sum, place| sum.saturating_add(of(&gathered.tasks[place])))
        };
        all.push(json!({
            "name": format!("{} others", Fuel(rows.left)),
            "others": true,
            "from": 0,
            "to": null,
            "fuel": sum(|task| task.used),
            "slices": sum(|task| task.slices),
            "outcome": null,
        }));
    }
    all
}

/// The slices that are kept one by one, in columns.
fn slices(gathered: &Gathered, rows: &Rows) -> Value {
    let column = |of: fn(&Kept) -> u64| gathered.slices.iter().map(of).collect::<Vec<_>>();
    let mut columns = json!({
        "row": gathered.slices.iter().map(|slice| rows.row(slice.place)).collect::<Vec<_>>(),
        "at": column(|slice| slice.at),
        "charged": column(|slice| slice.charged),
        "used": column(|slice| slice.used),
        "grant": column(|slice| slice.grant),
        "number": column(|slice| slice.number),
        "why": column(|slice| slice.why as u64),
        "stop": column(|slice| slice.stop as u64),
    });
    if gathered.is_timed() {
        columns["ns"] = json!(column(|slice| slice.nanos));
    }
    columns
}

/// The waits of tasks that have a row.
fn waits(gathered: &Gathered, rows: &Rows) -> Value {
    let mut columns: [Vec<Value>; 4] = Default::default();
    for wait in gathered.waits.iter().filter(|wait| rows.of[wait.place].is_some()) {
        let values = [json!(rows.row(Some(wait.place))), json!(wait.from), json!(wait.to), json!(wait.on)];
        columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
    }
    let [row, from, to, on] = columns;
    json!({ "row": row, "from": from, "to": to, "on": on })
}

/// What slices sent and received.
fn messages(gathered: &Gathered) -> Value {
    let column = |of: fn(&Passed) -> u64| gathered.messages.iter().map(of).collect::<Vec<_>>();
    json!({
        "slice": column(|passed| passed.slice as u64),
        "channel": column(|passed| passed.channel as u64),
        "number": column(|passed| passed.number),
        "sent": column(|passed| u64::from(passed.sent)),
    })
}

/// The cells of all slices, where there are more of them than are kept by themselves: for each row pairs of a place and an amount.
fn cells(gathered: &Gathered, rows: &Rows) -> Value {
    let cells = &gathered.cells;
    if gathered.exact_until.is_none() {
        return Value::Null;
    }
    let pairs = |cells: &Cells| cells.filled().flat_map(|(place, filled)| [place as u64, filled]).collect::<Vec<_>>();
    let shown = || rows.places.iter().map(|place| &cells.rows()[*place]);
    let mut ran: Vec<Vec<u64>> = shown().map(|row| pairs(&row.ran)).collect();
    if rows.left > 0 {
        let mut rest = cells.rest.clone();
        rows.others().for_each(|place| rest.merge(&cells.rows()[place].ran));
        ran.push(pairs(&rest));
    }
    let waited: Vec<Vec<u64>> = shown().map(|row| pairs(&row.waited)).collect();
    json!({ "width": cells.width, "ran": ran, "waited": waited, "idle": pairs(&cells.idle) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_data_ends_its_element() {
        let text = "</script><!--&\u{2028}\u{2029}";
        let escaped = escaped(&json!([text]).to_string());
        assert!(!escaped.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{escaped}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&escaped).unwrap(), [text]);
    }
}
