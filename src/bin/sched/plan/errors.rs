//! Mistakes in a plan: where each is, with the line shown, and what is allowed there.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::ops::Range;

/// The most mistakes that are shown.
const MOST_SHOWN: usize = 20;

/// The most characters of a line that are shown; a plan may be one line.
const LONGEST_LINE: usize = 120;

/// The longest word that a suggestion is looked for, in bytes.
const LONGEST_WORD: usize = 64;

/// One mistake.
#[derive(Debug)]
struct Mistake {
    /// Where it is, in bytes.
    span: Range<usize>,
    /// What is wrong, and what is allowed.
    message: String,
}

/// The mistakes of one file, while it is read.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    /// Those that may be shown.
    kept: RefCell<Vec<Mistake>>,
    /// How many there are.
    count: Cell<usize>,
}

impl Mistakes {
    /// Adds one. Only so many are kept, or a large file of mistakes would become a larger list.
    pub(super) fn add(&self, span: Range<usize>, message: impl Into<String>) {
        self.count.set(self.count.get() + 1);
        let mut kept = self.kept.borrow_mut();
        if kept.len() < 50 * MOST_SHOWN {
            kept.push(Mistake { span, message: message.into() });
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.count.get() == 0
    }

    /// All that is wrong with the file, as it is shown; each mistake but the first begins with `error: `.
    pub(super) fn show(self, path: &str, text: &str) -> String {
        let mut kept = self.kept.into_inner();
        kept.sort_by_key(|mistake| mistake.span.start);
        let lines = Lines::new(text);
        let shown: Vec<String> = kept.iter().take(MOST_SHOWN).map(|mistake| lines.show(path, mistake)).collect();
        let mut all = shown.join("\nerror: ");
        let more = self.count.get() - shown.len();
        if more > 0 {
            // Writing to a `String` cannot fail.
            let _ = write!(all, "\nerror: {path}: {}", crate::output::count(more as u64, "more mistake"));
        }
        all
    }
}

/// A text, by lines.
struct Lines<'a> {
    /// The text.
    text: &'a str,
    /// Where each line begins.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    /// The lines of a text.
    fn new(text: &'a str) -> Lines<'a> {
        let starts = [0].into_iter().chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Lines { text, starts }
    }

    /// The number of the line that a place is in, from 0, and the line.
    fn line(&self, at: usize) -> (usize, &'a str) {
        let number = self.starts.partition_point(|start| *start <= at) - 1;
        let line = self.text[self.starts[number]..].lines().next().unwrap_or_default();
        (number, line)
    }

    /// A mistake, its place, and the line that it is in.
    fn show(&self, path: &str, mistake: &Mistake) -> String {
        let at = self.text.floor_char_boundary(mistake.span.start);
        let (number, line) = self.line(at);
        let before = at - self.starts[number];
        let column = line.get(..before).unwrap_or(line).chars().count();
        // Of what reaches over several lines, the first is shown.
        let end = self.text.floor_char_boundary(mistake.span.end).max(at);
        let length = self.text[at..end].lines().next().unwrap_or_default().chars().count();
        let skipped = if column < LONGEST_LINE { 0 } else { column - LONGEST_LINE / 2 };
        let shown: String = line.chars().skip(skipped).take(LONGEST_LINE).map(visible).collect();
        let carets = "^".repeat(length.clamp(1, LONGEST_LINE - (column - skipped)));
        let (number, gutter) = (number + 1, (number + 1).to_string().len());
        let (none, indent) = ("", column - skipped);
        format!(
            "{}\n{none:gutter$}--> {path}:{number}:{}\n{none:gutter$} |\n{number} | {shown}\n{none:gutter$} | {none:indent$}{carets}",
            mistake.message,
            column + 1,
        )
    }
}

/// A character as wide as one.
fn visible(c: char) -> char {
    if c == '\t' { ' ' } else { c }
}

/// The word that was probably meant.
pub(crate) fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST_WORD {
        return None;
    }
    let scored = known.into_iter().map(|name| (strsim::jaro_winkler(word, name), name));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(score, _)| *score > 0.8).map(|(_, name)| name)
}

/// The end of a message about an unknown word: what was probably meant, and what there is.
pub(super) fn instead(word: &str, known: &[&str]) -> String {
    let all = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match closest(word, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`? There are {all}"),
        None if known.is_empty() => "there is none".into(),
        None => format!("there are {all}"),
    }
}

/// A word of the file in a message, cut where it is long.
pub(super) fn quoted(word: &str) -> String {
    let mut short: String = word.chars().take(LONGEST_WORD).map(visible).collect();
    if short.len() < word.len() {
        short.push('…');
    }
    format!("`{short}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_line_and_a_column_in_characters() {
        let mistakes = Mistakes::default();
        let text = "a = 1\r\n\tümläut = 2\n";
        mistakes.add(text.find("ümläut").unwrap()..text.find(" = 2").unwrap(), "no such key");
        assert_eq!(mistakes.show("p.toml", text), "no such key\n --> p.toml:2:2\n  |\n2 |  ümläut = 2\n  |  ^^^^^^");
    }

    #[test]
    fn places_at_the_end_and_in_long_lines_are_shown() {
        let mistakes = Mistakes::default();
        let long = "x".repeat(100_000);
        mistakes.add(50_000..60_000, "long");
        mistakes.add(100_000..100_000, "end");
        mistakes.add(1..2, "first");
        let shown = mistakes.show("p", &long);
        assert!(shown.starts_with("first\n --> p:1:2\n") && shown.contains("--> p:1:100001"), "{shown}");
        assert!(shown.lines().all(|line| line.len() < 140), "{shown}");
        for _ in 0..3 {
            Mistakes::default().show("p", "");
        }
    }

    #[test]
    fn only_so_many_are_shown() {
        let mistakes = Mistakes::default();
        (0..100_000).for_each(|_| mistakes.add(0..1, "m"));
        assert!(mistakes.show("p", "x").ends_with("error: p: 99,980 more mistakes"));
    }
}
