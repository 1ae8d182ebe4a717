//! The language of the microscope: what can be typed at its prompt, and stand in its scripts.

use crate::units;
use fuelsched::reason::Param;
use fuelsched::value::Value;
use fuelsched::{Fuel, ValueType};
use std::fmt::Write as _;

/// Where to run to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Until {
    /// Another task than the present one runs.
    Switch,
    /// This task runs.
    Task(String),
    /// The virtual clock has come so far.
    Fuel(u64),
    /// A task has trapped.
    Trap,
    /// Nobody is left who could run.
    End,
}

/// Something that changes the run, so that going back has to do it again.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// A parameter of a task.
    Set(String, Param),
    /// It ends.
    Kill(String),
    /// It is not picked.
    Suspend(String),
    /// It is again.
    Resume(String),
    /// It may use more.
    Refuel(String, u64),
    /// A message of the host's into a channel.
    Send(String, Vec<u8>),
    /// A channel is closed.
    Close(String),
    /// Bytes into a task's memory: export, address, bytes.
    Poke(String, String, usize, Vec<u8>),
    /// A global of a task: export, value.
    SetGlobal(String, String, Value),
}

/// Something to look at.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Show {
    /// All tasks.
    Tasks,
    /// Who can run, and who is next.
    Ready,
    /// The policy's numbers.
    Policy,
    /// The ledgers.
    Ledger,
    /// The channels.
    Channels,
    /// The latest poll.
    Last,
    /// The functions on a task's stack.
    Stack(String),
    /// A part of a task's memory: export, address, length.
    Memory(String, String, usize, usize),
    /// A global of a task: export.
    Global(String, String),
    /// What is inside a task, exported or not.
    Insides(String),
    /// What a task has printed.
    Output(String),
    /// This list.
    Help,
}

/// A command.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Command {
    /// So many polls.
    Step(u64),
    /// So many polls less.
    Back(u64),
    /// Polls until something.
    Until(Until),
    /// Something is changed.
    Change(Change),
    /// Something is shown.
    Show(Show),
    /// That is all.
    Quit,
}

/// The commands, for people: how each is written, and what it does.
pub(super) const HELP: &[(&str, &str)] = &[
    ("step [N]", "make N polls (1)"),
    ("back [N]", "undo N polls (1): run again to there"),
    ("until switch|trap|end", "run until another task runs, one traps, or none is left"),
    ("until task TASK", "run until that task has run"),
    ("until fuel N", "run until the virtual clock is at N"),
    ("tasks, ready, policy, ledger, last", "all tasks; who is next; the policy's numbers; accounts; the latest poll"),
    ("channels", "what is in each, and who waits"),
    ("stack TASK", "the functions it is in"),
    ("memory TASK ADDRESS [LENGTH] [EXPORT]", "its memory (64 bytes of \"memory\")"),
    ("global TASK EXPORT", "one of its globals"),
    ("insides TASK", "with --debug: all memories and globals; EXPORT may be @0, @1 then"),
    ("output TASK", "what it has printed"),
    ("set TASK quantum|weight|priority|deadline N", "change a parameter"),
    ("kill TASK, suspend TASK, resume TASK", "end it; pass it over; no more"),
    ("refuel TASK N", "let it use N more than its budget"),
    ("send CHANNEL TEXT, close CHANNEL", "a message of the host's; no more of them"),
    ("poke TASK ADDRESS HEX [EXPORT]", "write bytes into its memory"),
    ("setglobal TASK EXPORT TYPE VALUE", "set one of its globals"),
    ("help, quit", "this list; that is all"),
];

/// The list of commands as text.
pub(super) fn help() -> String {
    let widest = HELP.iter().map(|(form, _)| form.len()).max().unwrap_or_default();
    HELP.iter().fold(String::new(), |mut text, (form, what)| {
        let _ = writeln!(text, "{form:widest$}  {what}");
        text
    })
}

/// Reads a command; nothing, where there is nothing but blanks or a comment. An error says what would be right.
pub(super) fn parse(line: &str) -> Result<Option<Command>, String> {
    let words: Vec<&str> = line.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
    let Some((first, rest)) = words.split_first() else {
        return Ok(None);
    };
    let form = || {
        let form = HELP.iter().find(|(form, _)| form.split([' ', ',']).any(|word| word == *first));
        match form {
            Some((form, _)) => format!("'{}' is not complete, or too much: {form}", line.trim()),
            None => format!("there is no command '{first}'; help lists all"),
        }
    };
    command(first, rest, line).unwrap_or_else(|| Err(form())).map(Some)
}

/// A command of these words; nothing, if it has no such form.
fn command(first: &str, rest: &[&str], line: &str) -> Option<Result<Command, String>> {
    let text = |word: &str| word.to_string();
    let show = |show| Some(Ok(Command::Show(show)));
    let change = |change| Some(Ok(Command::Change(change)));
    match (first, rest) {
        ("step" | "s", []) => Some(Ok(Command::Step(1))),
        ("step" | "s", [n]) => Some(number(n).map(Command::Step)),
        ("back" | "b", []) => Some(Ok(Command::Back(1))),
        ("back" | "b", [n]) => Some(number(n).map(Command::Back)),
        ("until" | "u", words) => until(words).map(|until| until.map(Command::Until)),
        ("tasks", []) => show(Show::Tasks),
        ("ready", []) => show(Show::Ready),
        ("policy", []) => show(Show::Policy),
        ("ledger", []) => show(Show::Ledger),
        ("channels", []) => show(Show::Channels),
        ("last", []) => show(Show::Last),
        ("help" | "?", []) => show(Show::Help),
        ("stack", [task]) => show(Show::Stack(text(task))),
        ("insides", [task]) => show(Show::Insides(text(task))),
        ("output", [task]) => show(Show::Output(text(task))),
        ("global", [task, export]) => show(Show::Global(text(task), text(export))),
        ("memory", [task, address, rest @ ..]) => memory(task, address, rest),
        ("set", [task, param, value]) => Some(set(task, param, value)),
        ("kill", [task]) => change(Change::Kill(text(task))),
        ("suspend", [task]) => change(Change::Suspend(text(task))),
        ("resume", [task]) => change(Change::Resume(text(task))),
        ("refuel", [task, fuel]) => Some(number(fuel).map(|fuel| Command::Change(Change::Refuel(text(task), fuel)))),
        ("send", [channel, _, ..]) => {
            // As it was typed, blanks and all.
            let message = line.trim_start().strip_prefix("send")?.trim_start().strip_prefix(channel)?;
            change(Change::Send(text(channel), message.trim_start().into()))
        }
        ("close", [channel]) => change(Change::Close(text(channel))),
        ("poke", [task, address, hex, rest @ ..]) => poke(task, address, hex, rest),
        ("setglobal", [task, export, ty, value]) => Some(set_global(task, export, ty, value)),
        ("quit" | "q", []) => Some(Ok(Command::Quit)),
        _ => None,
    }
}

/// A number.
fn number(word: &str) -> Result<u64, String> {
    units::whole(word).ok_or_else(|| format!("'{word}' is not a whole number, such as 10 or 1_000"))
}

/// An address, in decimal digits or as 0x and hexadecimal ones.
fn address(word: &str) -> Result<usize, String> {
    let hex = word.strip_prefix("0x").map(|digits| usize::from_str_radix(digits, 16).ok());
    let address = hex.unwrap_or_else(|| units::whole(word).and_then(|address| usize::try_from(address).ok()));
    address.ok_or_else(|| format!("'{word}' is not an address, such as 1024 or 0x400"))
}

/// Where to run to.
fn until(words: &[&str]) -> Option<Result<Until, String>> {
    Some(Ok(match words {
        ["switch"] => Until::Switch,
        ["trap"] => Until::Trap,
        ["end"] => Until::End,
        ["task", task] => Until::Task((*task).into()),
        ["fuel", fuel] => return Some(number(fuel).map(Until::Fuel)),
        _ => return None,
    }))
}

/// A part of a memory.
fn memory(task: &str, from: &str, rest: &[&str]) -> Option<Result<Command, String>> {
    let (length, export) = match rest {
        [] => ("64", "memory"),
        [length] => (*length, "memory"),
        [length, export] => (*length, *export),
        _ => return None,
    };
    let parts = || Ok((address(from)?, address(length)?));
    Some(parts().map(|(from, length)| Command::Show(Show::Memory(task.into(), export.into(), from, length))))
}

/// Bytes for a memory.
fn poke(task: &str, to: &str, hex: &str, rest: &[&str]) -> Option<Result<Command, String>> {
    let export = match rest {
        [] => "memory",
        [export] => export,
        _ => return None,
    };
    let bytes = || -> Result<Vec<u8>, String> {
        let wrong = || format!("'{hex}' is not bytes in hexadecimal digits, such as 00ff");
        let digits = hex.as_bytes();
        if digits.is_empty() || !digits.len().is_multiple_of(2) || !hex.is_ascii() {
            return Err(wrong());
        }
        let byte = |pair: &[u8]| u8::from_str_radix(&String::from_utf8_lossy(pair), 16).map_err(|_| wrong());
        digits.chunks(2).map(byte).collect()
    };
    let both = || Ok((address(to)?, bytes()?));
    Some(both().map(|(to, bytes)| Command::Change(Change::Poke(task.into(), export.into(), to, bytes))))
}

/// A parameter.
fn set(task: &str, param: &str, value: &str) -> Result<Command, String> {
    let n = number(value)?;
    let param = match param {
        "quantum" => Param::Quantum(Fuel(n)),
        "deadline" => Param::Deadline(Fuel(n)),
        "weight" => Param::Weight(u32::try_from(n).map_err(|_| format!("a weight of {value} is too much"))?),
        "priority" => Param::Priority(u8::try_from(n).map_err(|_| format!("a priority is 0 to 255, not {value}"))?),
        other => return Err(format!("there is no '{other}' to set: it is quantum, weight, priority or deadline")),
    };
    Ok(Command::Change(Change::Set(task.into(), param)))
}

/// A value for a global.
fn set_global(task: &str, export: &str, ty: &str, value: &str) -> Result<Command, String> {
    let types = [ValueType::I32, ValueType::I64, ValueType::F32, ValueType::F64];
    let ty = types
        .into_iter()
        .find(|known| known.to_string() == ty)
        .ok_or_else(|| format!("'{ty}' is not a type: it is i32, i64, f32 or f64"))?;
    let value = Value::parse(ty, value).ok_or_else(|| format!("'{value}' is not a value of type {ty}"))?;
    Ok(Command::Change(Change::SetGlobal(task.into(), export.into(), value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a line comes to.
    fn read(line: &str) -> Result<Command, String> {
        parse(line).map(|command| command.expect("a command"))
    }

    #[test]
    fn commands_are_read_as_they_are_listed() {
        let task = || String::from("t");
        let changes = [
            ("set t quantum 1_000", Change::Set(task(), Param::Quantum(Fuel(1000)))),
            ("set t priority 7 # why", Change::Set(task(), Param::Priority(7))),
            ("refuel t 5", Change::Refuel(task(), 5)),
            ("  send c  two  words ", Change::Send("c".into(), b"two  words ".into())),
            ("poke t 0x10 00fF", Change::Poke(task(), "memory".into(), 16, vec![0, 255])),
            ("setglobal t g i64 -3", Change::SetGlobal(task(), "g".into(), Value::I64(-3))),
        ];
        for (line, change) in changes {
            assert_eq!(read(line), Ok(Command::Change(change)), "{line}");
        }
        assert_eq!(read("memory t 64"), Ok(Command::Show(Show::Memory(task(), "memory".into(), 64, 64))));
        assert_eq!(read("until task t"), Ok(Command::Until(Until::Task(task()))));
        assert_eq!((parse(""), parse("  # nothing")), (Ok(None), Ok(None)));
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        let said = [
            ("fly", "there is no command 'fly'; help lists all"),
            ("until", "'until' is not complete, or too much: until switch|trap|end"),
            ("kill", "'kill' is not complete, or too much: kill TASK, suspend TASK, resume TASK"),
            ("step x", "'x' is not a whole number, such as 10 or 1_000"),
            ("set t colour 3", "there is no 'colour' to set: it is quantum, weight, priority or deadline"),
            ("set t priority 256", "a priority is 0 to 255, not 256"),
            ("poke t 0 abc", "'abc' is not bytes in hexadecimal digits, such as 00ff"),
            ("poke t 0 äb", "'äb' is not bytes in hexadecimal digits, such as 00ff"),
            ("memory t 0xg", "'0xg' is not an address, such as 1024 or 0x400"),
            ("setglobal t g i32 x", "'x' is not a value of type i32"),
            ("setglobal t g v9 1", "'v9' is not a type: it is i32, i64, f32 or f64"),
        ];
        for (line, expected) in said {
            assert_eq!(read(line), Err(expected.to_string()), "{line}");
        }
    }
}
