//! `--report`: one page about a run, for a browser, with nothing beside it.
//!
//! ```text
//!  events ─┬─► gather   sums, distributions, the first slices, cells of all ─┬─► html   tables, bars, a picture: read without a script
//!          └─► promise  what the policy promised to whom ────────────────────┴─► data   JSON, from which the script draws
//! ```
//!
//! **What a guest can do to it.** Names and output are text of anybody's. In the page's text they are escaped, in its data too (so that no `</script>` ends
//! it), and the script takes them for text only. Should all that fail, the page's Content-Security-Policy lets no other script and
//! no other style work than those whose hashes it has, and nothing be loaded from anywhere. (Hashes, because `'unsafe-inline'` would let in what
//! a hostile name brings, and a nonce that is the same in each page is none.)
//!
//! **What it takes.** Memory as [`gather`] says, until the run is over; and a file of a few megabytes at most. Without times the page is a function of
//! the schedule.

mod data;
mod gather;
mod html;
mod promise;

use super::Aside;
use crate::make::Workshop;
use crate::output;
use crate::plan::Plan;
use fuelsched::trace::events::{Happened, Names, What};
use gather::Gathered;
use promise::Promise;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{self, Write};

/// The longest name that is shown, in characters.
const LONGEST_NAME: usize = 120;

/// A page that is being made.
#[derive(Debug)]
pub(super) struct Page {
    /// Where it goes.
    file: File,
    /// What is run.
    plan: Plan,
    /// Whether this is told by a recording.
    told: bool,
    /// What happened.
    gathered: Gathered,
    /// What was promised.
    promise: Promise,
}

impl Page {
    /// A page about a run of this plan from this moment on. It is looked at as a whole, or not; a recording tells it, or not.
    pub(super) fn new(file: File, plan: &Plan, from: u64, whole: bool, told: bool) -> Page {
        let (gathered, promise) = (Gathered::new(from), Promise::of(plan, whole));
        Page { file, plan: plan.clone(), told, gathered, promise }
    }

    /// Times are known, too.
    pub(super) const fn timed(&mut self) {
        self.gathered.timed();
    }

    /// Takes what happened; `name` is that of a task that was spawned. This workshop knows those that tasks spawn.
    pub(super) fn take(&mut self, event: &Happened, names: &Names, name: &str, shop: Option<&Workshop>) {
        let of = match event.what {
            What::Spawned { label, .. } => promise::task_of(&self.plan, shop, label),
            _ => None,
        };
        self.gathered.take(event, names, name, of);
        self.promise.take(event, &self.plan, of, self.told);
    }

    /// Writes the page.
    pub(super) fn finish(mut self, about: &Map<String, Value>, aside: &Aside) -> io::Result<()> {
        let text = html::page(&self, about, aside);
        self.file.write_all(text.as_bytes())
    }
}

/// A name as the page shows it: cut where it is very long, and with what cannot be seen, or turns the text around it, written out.
fn shown(name: &str) -> String {
    let mut shown = String::new();
    for (place, c) in name.chars().enumerate() {
        match c {
            _ if place == LONGEST_NAME => {
                shown.push('…');
                break;
            }
            c if is_hidden(c) => shown += &format!("⟨U+{:04X}⟩", u32::from(c)),
            c => shown.push(c),
        }
    }
    shown
}

/// Whether a character cannot be seen, or turns the text around it.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || super::svg::turns(c)
        || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2028}' | '\u{2029}' | '\u{2060}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// A part of all, in per cent.
fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

/// `1 task`.
fn tasks(n: u64) -> String {
    output::count(n, "task")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_with_what_cannot_be_seen() {
        assert_eq!(shown("a\u{202e}b\n<é>"), "a⟨U+202E⟩b⟨U+000A⟩<é>");
        let long = shown(&"x".repeat(10_000));
        assert_eq!(long.chars().count(), LONGEST_NAME + 1);
        assert!(long.ends_with('…'));
    }
}
