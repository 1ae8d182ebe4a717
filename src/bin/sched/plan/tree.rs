//! Reading a table of TOML key by key: each value checked where it stands, unknown keys found in the end.

use super::errors::{Mistakes, instead, quoted};
use crate::units::{self, A_SIZE, A_STACK, A_TIME, MOST_FUEL};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value as it was read, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Found<T> {
    /// The value.
    pub(super) value: T,
    /// Where.
    pub(super) span: Range<usize>,
}

/// What reading a value comes to: the value, or what is allowed.
pub(super) type Read<T> = Result<T, String>;

/// A table, while its keys are taken.
#[derive(Debug)]
pub(super) struct Keys<'a> {
    /// What it is called in messages: `[[task]]`.
    place: &'static str,
    /// The table.
    table: &'a DeTable<'a>,
    /// Where it stands.
    pub(super) span: Range<usize>,
    /// Keys that were asked for.
    known: Vec<&'static str>,
    /// Where mistakes go.
    mistakes: &'a Mistakes,
}

impl<'a> Keys<'a> {
    /// A table to be read.
    pub(super) fn new(
        place: &'static str,
        table: &'a DeTable<'a>,
        span: Range<usize>,
        mistakes: &'a Mistakes,
    ) -> Keys<'a> {
        Keys { place, table, span, known: Vec::new(), mistakes }
    }

    /// The value of a key, if it is there and what it should be.
    pub(super) fn get<T>(&mut self, key: &'static str, read: impl FnOnce(&DeValue<'a>) -> Read<T>) -> Option<T> {
        self.find(key, read).map(|found| found.value)
    }

    /// The value of a key, and where it stands.
    pub(super) fn find<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&DeValue<'a>) -> Read<T>,
    ) -> Option<Found<T>> {
        self.known.push(key);
        let value = self.table.get(key)?;
        match read(value.get_ref()) {
            Ok(read) => Some(Found { value: read, span: value.span() }),
            Err(allowed) => {
                self.mistakes.add(value.span(), format!("`{key}` takes {allowed}; this is {}", what(value.get_ref())));
                None
            }
        }
    }

    /// The value of a key that must be there.
    pub(super) fn must<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&DeValue<'a>) -> Read<T>,
    ) -> Option<Found<T>> {
        self.needs(key);
        self.find(key, read)
    }

    /// Says so if a key that must be there is not.
    pub(super) fn needs(&self, key: &str) {
        if !self.has(key) {
            self.mistakes.add(self.span.clone(), format!("{} needs `{key}`", self.place));
        }
    }

    /// The table under a key.
    pub(super) fn table(&mut self, key: &'static str, place: &'static str) -> Option<Keys<'a>> {
        self.known.push(key);
        let value = self.table.get(key)?;
        self.as_table(value, key, place)
    }

    /// The tables of the array under a key.
    pub(super) fn tables(&mut self, key: &'static str, place: &'static str) -> Vec<Keys<'a>> {
        self.known.push(key);
        let Some(value) = self.table.get(key) else {
            return Vec::new();
        };
        let DeValue::Array(array) = value.get_ref() else {
            self.mistakes.add(value.span(), format!("`{key}` takes a list of tables, each under {place}"));
            return Vec::new();
        };
        array.iter().filter_map(|value| self.as_table(value, key, place)).collect()
    }

    /// A value that should be a table.
    fn as_table(&self, value: &'a Spanned<DeValue<'a>>, key: &str, place: &'static str) -> Option<Keys<'a>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(Keys::new(place, table, value.span(), self.mistakes)),
            other => {
                self.mistakes.add(value.span(), format!("`{key}` takes a table; this is {}", what(other)));
                None
            }
        }
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Ends the reading: whatever was not asked for should not be there.
    pub(super) fn finish(self) {
        for (key, _) in self.table.iter() {
            let word: &str = key.get_ref();
            if !self.known.contains(&word) {
                let message = format!("unknown key {} in {}; {}", quoted(word), self.place, instead(word, &self.known));
                self.mistakes.add(key.span(), message);
            }
        }
    }
}

/// A value in a message.
fn what(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text).replace('`', "\""),
        DeValue::Integer(number) => quoted(&number.to_string()).replace('`', ""),
        DeValue::Float(number) => quoted(number.as_str()).replace('`', ""),
        DeValue::Boolean(yes) => yes.to_string(),
        DeValue::Datetime(_) => "a date".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}

/// A whole number in these bounds.
pub(super) fn whole(least: u64, most: u64) -> impl Fn(&DeValue<'_>) -> Read<u64> {
    move |value| {
        let number = match value {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        number.filter(|n| (least..=most).contains(n)).ok_or_else(|| format!("a whole number from {least} to {most}"))
    }
}

/// An amount of fuel.
pub(super) fn fuel(value: &DeValue<'_>) -> Read<u64> {
    whole(1, MOST_FUEL)(value).map_err(|allowed| format!("{allowed}, such as 10_000"))
}

/// A number of 32 bits that is not zero.
pub(super) fn positive(value: &DeValue<'_>) -> Read<u32> {
    whole(1, u64::from(u32::MAX))(value).map(|n| n as u32)
}

/// A text.
pub(super) fn text(value: &DeValue<'_>) -> Read<String> {
    value.as_str().map(String::from).ok_or_else(|| "a text in quotes".into())
}

/// A name: a text that is not empty.
pub(super) fn name(value: &DeValue<'_>) -> Read<String> {
    text(value).ok().filter(|name| !name.is_empty()).ok_or_else(|| "a name in quotes".into())
}

/// A time, in nanoseconds.
pub(super) fn time(value: &DeValue<'_>) -> Read<u64> {
    value.as_str().and_then(units::time).map(units::nanos).ok_or_else(|| format!("{A_TIME}, in quotes"))
}

/// A size of memory, in bytes.
pub(super) fn size(value: &DeValue<'_>) -> Read<usize> {
    sized(value).and_then(|text| units::size(&text)).ok_or_else(|| A_SIZE.into())
}

/// A size of stack, in bytes.
pub(super) fn stack(value: &DeValue<'_>) -> Read<usize> {
    sized(value).and_then(|text| units::stack(&text)).ok_or_else(|| A_STACK.into())
}

/// A size as it is written: in quotes with its unit, or a number of bytes.
fn sized(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n.to_string()),
        _ => None,
    }
}

/// Yes or no.
pub(super) fn yes(value: &DeValue<'_>) -> Read<bool> {
    value.as_bool().ok_or_else(|| "true or false".into())
}

/// A seed, `true` for the usual one, or `false` for none.
pub(super) fn seed(value: &DeValue<'_>) -> Read<Option<u64>> {
    match value {
        DeValue::Boolean(yes) => Ok(yes.then_some(0)),
        other => whole(0, u64::MAX)(other).map(Some).map_err(|number| format!("true, false or {number}")),
    }
}

/// Texts that can be handed on as C strings.
pub(super) fn texts(value: &DeValue<'_>) -> Read<Vec<String>> {
    let text =
        |value: &Spanned<DeValue<'_>>| value.get_ref().as_str().filter(|text| !text.contains('\0')).map(String::from);
    let all = value.as_array().and_then(|list| list.iter().map(text).collect());
    all.ok_or_else(|| "a list of texts without NUL, such as [\"a\", \"b\"]".into())
}

/// Variables of an environment.
pub(super) fn variables(value: &DeValue<'_>) -> Read<Vec<(String, String)>> {
    let DeValue::Table(table) = value else {
        return Err("a table of texts, such as { LANG = \"C\" }".into());
    };
    let variable = |(name, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let name: &std::borrow::Cow<'_, str> = name.get_ref();
        let value = value.get_ref().as_str()?;
        let sound = !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
        sound.then(|| (name.to_string(), value.to_string()))
    };
    table.iter().map(variable).collect::<Option<_>>().ok_or_else(|| "a table of names and texts without NUL".into())
}

/// One of these words.
pub(super) fn one_of<T: Copy + 'static>(words: &'static [(&'static str, T)]) -> impl Fn(&DeValue<'_>) -> Read<T> {
    move |value| {
        let found = value.as_str().and_then(|word| words.iter().find(|(name, _)| *name == word));
        found.map(|(_, value)| *value).ok_or_else(|| {
            let all: Vec<String> = words.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            let (last, others) = all.split_last().map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
            format!("{} or {last}", others.join(", "))
        })
    }
}

/// Arguments of a call: numbers, or texts for what the text format can write and TOML cannot.
pub(super) fn args(value: &DeValue<'_>) -> Read<Vec<String>> {
    let allowed = || "a list of numbers and texts, such as [30, \"0x1.8p3\"]".to_string();
    let arg = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 || number.radix() == 16 => Some(number.to_string()),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n.to_string()),
        DeValue::Float(number) => Some(number.as_str().to_string()),
        _ => None,
    };
    value.as_array().and_then(|list| list.iter().map(arg).collect()).ok_or_else(allowed)
}
