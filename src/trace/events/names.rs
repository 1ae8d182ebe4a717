//! The words that events speak of: names of channels and functions, outcomes.

use std::collections::HashMap;

/// How many there may be. Guests name channels, so there has to be an end.
const MOST: usize = 4_096;
/// The longest, in bytes; what is longer is cut.
const LONGEST: usize = 256;
/// What all stand for that there was no room for.
const OTHERS: &str = "…";

/// A word, by its number in [`Names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(u32);

/// The words of a stream of events: at most 4,096, of at most 256 bytes each. What comes after those is `…`.
#[derive(Clone, Debug)]
pub struct Names {
    /// By number.
    words: Vec<Box<str>>,
    /// The numbers.
    numbers: HashMap<Box<str>, u32>,
}

impl Names {
    /// None but the one for those that there is no room for.
    pub(in crate::trace) fn new() -> Names {
        Names { words: vec![OTHERS.into()], numbers: HashMap::new() }
    }

    /// The word.
    #[must_use]
    pub fn get(&self, name: Name) -> &str {
        self.words.get(name.0 as usize).map_or(OTHERS, |word| word)
    }

    /// The number of a word, which it gets if it has none.
    pub(in crate::trace) fn number(&mut self, word: &str) -> Name {
        let word = cut(word);
        if let Some(number) = self.numbers.get(word) {
            return Name(*number);
        }
        if self.words.len() > MOST {
            return Name(0);
        }
        let number = self.words.len() as u32;
        self.words.push(word.into());
        self.numbers.insert(word.into(), number);
        Name(number)
    }
}

/// As much of a word as is kept.
fn cut(word: &str) -> &str {
    &word[..word.floor_char_boundary(LONGEST)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_one_number_and_there_is_an_end_to_them() {
        let mut names = Names::new();
        let [a, b, again] = ["a", "b", "a"].map(|word| names.number(word));
        assert_eq!((a, names.get(a), names.get(b)), (again, "a", "b"));
        for n in 0..2 * MOST {
            names.number(&n.to_string());
        }
        assert_eq!(names.words.len(), MOST + 1);
        let (late, known) = (names.number("late"), names.number("b"));
        assert_eq!((names.get(late), known), ("…", b));
    }

    #[test]
    fn a_long_word_is_cut_between_characters() {
        let mut names = Names::new();
        let long = names.number(&"ä€".repeat(100));
        assert_eq!(names.get(long).len(), 255);
    }
}
