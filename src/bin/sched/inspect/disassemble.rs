//! `sched inspect --disassemble`: the text format, and before each line what its instruction costs and whether the guest can be stopped there.
//!
//! The printer says at which offset a line begins. Those of instructions come in the order of the code, so one function is annotated at a time, when
//! the first of its lines comes.

use super::survey::{Survey, begins};
use super::walk::{Note, Point, Walk};
use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write as _};
use wasmprinter::{Config, Print};

/// What stands before a line without an instruction.
const BLANK: &str = "                     ";

/// What stands at a yield point.
const MARK: &str = "●";

/// Above it all.
const LEGEND: &str = "\
;; Offset and fuel of each instruction, and ● where the guest can be stopped: on entering a function, at the head of a
;; loop, in the function that is called, and before a bulk operation, which is charged for its length (+n) first.
;; What costs - cannot be reached.
";

/// Prints a module.
pub(super) fn print(binary: &[u8], module: &Survey<'_>, memory: u64) -> anyhow::Result<()> {
    let mut out = Annotated {
        out: BufWriter::with_capacity(1 << 16, io::stdout().lock()),
        module,
        walk: Walk::new(module, memory),
        next: 0,
        end: 0,
        notes: Vec::new(),
        passed: 0,
    };
    let printed = out.write(LEGEND).map_err(anyhow::Error::from).and_then(|()| Config::new().print(binary, &mut out));
    let printed = printed.and_then(|()| Ok(out.out.flush()?));
    match printed {
        // That the reader has gone away is its own affair.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe) => {
            Ok(())
        }
        printed => printed,
    }
}

/// The text, with what stands before its lines.
struct Annotated<'m, 'o> {
    /// Where it goes.
    out: BufWriter<StdoutLock<'o>>,
    /// The module.
    module: &'m Survey<'m>,
    /// The pass that knows what instructions cost.
    walk: Walk<'m>,
    /// The next function to be annotated, by its place.
    next: usize,
    /// Where the code of the one before it ends.
    end: usize,
    /// The notes on that one, in order.
    notes: Vec<Note>,
    /// How many of them lie before the present line.
    passed: usize,
}

impl Annotated<'_, '_> {
    /// Writes as it is.
    fn write(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    /// What stands before a line that begins at this offset.
    fn before(&mut self, offset: usize) -> String {
        while offset >= self.end && self.next < self.module.bodies.len() {
            let body = &self.module.bodies[self.next];
            if offset < begins(body) {
                return BLANK.into();
            }
            self.annotate();
            if offset == begins(body) {
                return prefix(offset, "1", true);
            }
        }
        while self.notes.get(self.passed).is_some_and(|note| note.at < offset) {
            self.passed += 1;
        }
        match self.notes.get(self.passed) {
            Some(note) if note.at == offset => described(note),
            _ => BLANK.into(),
        }
    }

    /// Annotates the next function.
    fn annotate(&mut self) {
        let body = &self.module.bodies[self.next];
        let function = self.module.imported + u32::try_from(self.next).unwrap_or(u32::MAX);
        self.notes.clear();
        let notes = &mut self.notes;
        // The code was read before; should it not be readable, lines stay blank.
        let _ = self.walk.function(function, body, |note| notes.push(note));
        self.end = body.range().end;
        self.next += 1;
        self.passed = 0;
    }
}

impl Print for Annotated<'_, '_> {
    fn write_str(&mut self, text: &str) -> io::Result<()> {
        if text.contains(char::is_control) {
            return self.write(&crate::output::clean(text));
        }
        self.write(text)
    }

    fn newline(&mut self) -> io::Result<()> {
        self.write("\n")
    }

    fn start_line(&mut self, offset: Option<usize>) {
        let before = offset.map_or(BLANK.into(), |offset| self.before(offset));
        // The line itself fails as well, and that is reported.
        let _ = self.write(&before);
    }
}

/// What stands before an instruction.
fn described(note: &Note) -> String {
    match (note.fuel, note.point) {
        (None, _) => prefix(note.at, "-", false),
        (Some(fuel), Some(Point::Bulk { more: true })) => prefix(note.at, &format!("{fuel}+n"), true),
        (Some(fuel), point) => prefix(note.at, &fuel.to_string(), point.is_some()),
    }
}

/// Offset, fuel and mark, in their columns.
fn prefix(at: usize, fuel: &str, stops: bool) -> String {
    let at = format!("{at:#x}");
    format!("{at:>9} {fuel:>8} {} ", if stops { MARK } else { " " })
}
