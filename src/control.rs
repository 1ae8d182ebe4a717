//! Control while suspended: the mailbox through which an executor asks a guest that is parked, and the guest answers.
//!
//! A suspended guest's future owns its store, so nobody outside can look at the memory in it. The guest itself can be asked, inside a poll
//! that is no slice, a *control poll*:
//!
//! ```text
//!   executor                      Mailbox                       guest (the call hook, inside the poll)
//!   ────────────────────────────────────────────────────────────────────────────────────────────────
//!                                 parked         ◄───────────── park(): it is left, before it returns Pending
//!   ask(command)    ──────────►   the command
//!   poll            ──────────────────────────────────────────► command(): takes it
//!                                 the answer     ◄───────────── give(…), and Pending again  
//!   answer()        ◄──────────   empty
//!   Meter::begin, poll ───────────────────────────────────────► unpark(): a slice has begun, the guest goes on
//! ```
//!
//! **No guest instruction runs in a control poll.** The guest side goes on for one reason only, that [`Meter::begin`](crate::ledger::Meter::begin)
//! was called since it was left; a control poll does not call it. And the executor makes a control poll only while the mailbox says that the
//! guest is parked in the hook, which it does neither before its first slice nor in its start function.
//!
//! **A command is answered now or never.** Asking ends with [`Mailbox::answer`], which takes back what was not answered, so no later slice finds
//! a command of an earlier day.

use crate::error::Result;
use crate::frame::Frame;
use crate::value::Value;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a host wants to know or to change of a parked guest. The names are those of exports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Bytes of a memory.
    ReadMemory {
        /// The memory.
        export: String,
        /// From where.
        offset: usize,
        /// How many.
        len: usize,
    },
    /// Bytes into a memory.
    WriteMemory {
        /// The memory.
        export: String,
        /// To where.
        offset: usize,
        /// What.
        bytes: Vec<u8>,
    },
    /// The size of a memory.
    MemorySize {
        /// The memory.
        export: String,
    },
    /// The functions on its stack.
    Stack,
    /// All that is in it, but no more than so many globals.
    #[cfg(feature = "debug")]
    Insides {
        /// How many.
        most: usize,
    },
    /// Bytes of a memory, by its index.
    #[cfg(feature = "debug")]
    ReadPrivate {
        /// The memory.
        memory: u32,
        /// From where.
        offset: usize,
        /// How many.
        len: usize,
    },
    /// The value of a global, by its index.
    #[cfg(feature = "debug")]
    PrivateGlobal {
        /// The global.
        global: u32,
    },
    /// The value of a global.
    Global {
        /// The global.
        export: String,
    },
    /// A value into a global.
    SetGlobal {
        /// The global.
        export: String,
        /// What.
        value: Value,
    },
}

/// What a guest answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is done.
    Done,
    /// The bytes.
    Bytes(Vec<u8>),
    /// The size, in bytes.
    Size(usize),
    /// The value.
    Value(Value),
    /// The functions, the innermost first.
    Stack(Vec<Frame>),
    /// What is in it.
    #[cfg(feature = "debug")]
    Insides(crate::insides::Insides),
}

/// One command in, one answer out, and whether there is anybody to answer.
///
/// As with the meter, one thread at a time uses it, the one that polls; flag and lock make the future `Send`, and neither is ever waited for.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    /// Where the guest is: [`ELSEWHERE`], [`PARKED`] or [`IN_HOST`].
    place: AtomicU8,
    /// The command, or the answer.
    content: Mutex<Content>,
}

/// The guest runs, or has not started.
const ELSEWHERE: u8 = 0;
/// It is parked in the hook: left, and not gone on.
const PARKED: u8 = 1;
/// It waits in a function of the host's, whose future is what a poll would poll.
const IN_HOST: u8 = 2;

/// What is in a mailbox.
#[derive(Debug, Default)]
enum Content {
    /// Nothing.
    #[default]
    Empty,
    /// A command, not looked at.
    Command(Command),
    /// The answer to the last command.
    Answer(Result<Answer>),
}

/// The guest's side.
impl Mailbox {
    /// Says that the guest is left, and can be asked until it goes on.
    pub(crate) fn park(&self) {
        self.place.store(PARKED, Ordering::Relaxed);
    }

    /// Says that the guest goes on.
    pub(crate) fn unpark(&self) {
        self.place.store(ELSEWHERE, Ordering::Relaxed);
    }

    /// Says that the guest waits in a function of the host's.
    pub(crate) fn wait_in_host(&self) {
        self.place.store(IN_HOST, Ordering::Relaxed);
    }

    /// Whether there is a command.
    pub(crate) fn has_command(&self) -> bool {
        matches!(*self.content(), Content::Command(_))
    }

    /// Takes the command, if there is one.
    pub(crate) fn command(&self) -> Option<Command> {
        let mut content = self.content();
        match std::mem::take(&mut *content) {
            Content::Command(command) => Some(command),
            other => {
                *content = other;
                None
            }
        }
    }

    /// Answers it.
    pub(crate) fn give(&self, answer: Result<Answer>) {
        *self.content() = Content::Answer(answer);
    }
}

/// The executor's side.
impl Mailbox {
    /// Whether the guest can be asked.
    pub(crate) fn is_parked(&self) -> bool {
        self.place.load(Ordering::Relaxed) == PARKED
    }

    /// Whether the guest waits in a function of the host's.
    pub(crate) fn is_in_host(&self) -> bool {
        self.place.load(Ordering::Relaxed) == IN_HOST
    }

    /// Puts a command in.
    pub(crate) fn ask(&self, command: Command) {
        *self.content() = Content::Command(command);
    }

    /// Takes the answer out. A command that was not answered is taken back, and there is none.
    pub(crate) fn answer(&self) -> Option<Result<Answer>> {
        match std::mem::take(&mut *self.content()) {
            Content::Answer(answer) => Some(answer),
            Content::Command(_) | Content::Empty => None,
        }
    }
}

impl Mailbox {
    /// What is in it. Nothing that panics runs while it is locked.
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_answered_once() {
        let mailbox = Mailbox::default();
        let command = Command::MemorySize { export: "memory".into() };
        mailbox.ask(command.clone());
        assert!(mailbox.has_command());
        assert_eq!(mailbox.command(), Some(command));
        assert_eq!(mailbox.command(), None);
        mailbox.give(Ok(Answer::Size(65_536)));
        assert!(matches!(mailbox.answer(), Some(Ok(Answer::Size(65_536)))));
        assert!(mailbox.answer().is_none());
    }

    #[test]
    fn a_command_that_was_not_answered_is_taken_back() {
        let mailbox = Mailbox::default();
        mailbox.ask(Command::Global { export: "g".into() });
        assert!(mailbox.answer().is_none());
        assert_eq!(mailbox.command(), None, "nobody finds it later");
    }

    #[test]
    fn nobody_is_parked_at_first() {
        let mailbox = Mailbox::default();
        assert!(!mailbox.is_parked());
        mailbox.park();
        assert!(mailbox.is_parked());
        mailbox.wait_in_host();
        assert!(!mailbox.is_parked(), "its future is the host function's");
        mailbox.unpark();
        assert!(!mailbox.is_parked() && !mailbox.is_in_host());
    }
}
