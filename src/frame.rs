//! Where a guest is: the functions on its stack.

use std::fmt;

/// A function on the stack of a suspended guest, and the place in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Frame {
    /// The name that the module has by its name section, if it has one.
    pub module: Option<String>,
    /// The function, by its index in the module, imported ones counted.
    pub function: u32,
    /// Its name by the name section, if it has one. Whatever the guest has put there.
    pub name: Option<String>,
    /// Where in the module's file it is, in bytes, if that is known.
    pub offset: Option<usize>,
    /// Where in its source, if the module carries DWARF and the engine was told to [read it](crate::EngineConfig::stack_frames).
    pub source: Option<Source>,
}

/// A place in a guest's source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Source {
    /// The file, by the path that the compiler was given.
    pub file: String,
    /// The line, from 1; 0 if it is not known.
    pub line: u32,
}

impl Frame {
    /// A frame, by what a guest's engine says of it.
    pub(crate) fn new(module: Option<String>, function: u32, name: Option<String>, offset: Option<usize>) -> Frame {
        Frame { module, function, name, offset, source: None }
    }

    /// The same, with its place in the source.
    #[cfg(feature = "dwarf")]
    pub(crate) fn at(self, file: String, line: u32) -> Frame {
        Frame { source: Some(Source { file, line }), ..self }
    }
}

/// The name of the function, or its number. Control characters are shown escaped: a guest's names move no cursor.
impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            None => write!(f, "function {}", self.function),
            Some(name) => name.chars().try_for_each(|c| match c.is_control() {
                true => write!(f, "{}", c.escape_default()),
                false => write!(f, "{c}"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_without_a_name_has_a_number_and_a_name_moves_no_cursor() {
        assert_eq!(Frame::new(None, 7, None, None).to_string(), "function 7");
        assert_eq!(Frame::new(None, 7, Some("a\u{1b}[2Jé\n".into()), None).to_string(), "a\\u{1b}[2Jé\\n");
    }
}
