//! What a host does between steps with the memories, globals and stack of a suspended guest: reads and writes them.
//!
//! Each of it is one *control poll*: the command goes into the task's mailbox, the future is polled once, and the answer is taken out. A control
//! poll is no slice. It is not picked by the policy, granted nothing and charged nothing, it moves no clock, and it runs no instruction of the
//! guest (`control` says why it cannot).

use super::{Executor, Observer};
use crate::control::{Answer, Command};
use crate::error::{ErrorKind, Result};
use crate::frame::Frame;
use crate::policy::Policy;
use crate::reason::Control;
use crate::unit::TaskId;
use crate::value::Value;

/// Inspecting: exported memories and globals of tasks that were spawned [`inspectable`](crate::Task::inspectable), between any two steps.
///
/// All of it works from the moment that the guest is preempted for the first time after its start functions until it ends, whatever the task then waits
/// for, but not while it waits in a function of its host's ([`ErrorKind::InHostFunction`]). An error changes nothing, and the task goes on as if it had not been asked. Each has, beside its own, these errors:
/// [`ErrorKind::NoSuchTask`], [`ErrorKind::TaskEnded`], [`ErrorKind::NotInspectable`], [`ErrorKind::NotStarted`].
impl<P: Policy, O: Observer> Executor<P, O> {
    /// Copies bytes out of an exported memory.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchMemory`], [`ErrorKind::OutOfBounds`].
    pub fn read_memory(&mut self, id: TaskId, export: &str, offset: usize, into: &mut [u8]) -> Result<()> {
        let command = Command::ReadMemory { export: export.into(), offset, len: into.len() };
        if let Answer::Bytes(bytes) = self.ask(id, command)? {
            into.copy_from_slice(&bytes);
        }
        Ok(())
    }

    /// Copies bytes into an exported memory.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchMemory`], [`ErrorKind::OutOfBounds`].
    pub fn write_memory(&mut self, id: TaskId, export: &str, offset: usize, from: &[u8]) -> Result<()> {
        let (export, bytes) = (String::from(export), from.to_vec());
        self.ask(id, Command::WriteMemory { export: export.clone(), offset, bytes: bytes.clone() })?;
        self.tell(id, &Control::WriteMemory { export, offset, bytes });
        Ok(())
    }

    /// The size of an exported memory, in bytes.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchMemory`].
    pub fn memory_size(&mut self, id: TaskId, export: &str) -> Result<usize> {
        match self.ask(id, Command::MemorySize { export: export.into() })? {
            Answer::Size(size) => Ok(size),
            _ => Err(ErrorKind::NotStarted(id).into()),
        }
    }

    /// The value of an exported global.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchGlobal`], [`ErrorKind::GlobalType`] when it holds a reference.
    pub fn global(&mut self, id: TaskId, export: &str) -> Result<Value> {
        match self.ask(id, Command::Global { export: export.into() })? {
            Answer::Value(value) => Ok(value),
            _ => Err(ErrorKind::NotStarted(id).into()),
        }
    }

    /// Sets an exported global.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchGlobal`], [`ErrorKind::ImmutableGlobal`], [`ErrorKind::GlobalType`].
    pub fn set_global(&mut self, id: TaskId, export: &str, value: Value) -> Result<()> {
        self.ask(id, Command::SetGlobal { export: export.into(), value })?;
        self.tell(id, &Control::SetGlobal { export: export.into(), value });
        Ok(())
    }

    /// The functions on the guest's stack, the innermost first: where it was left. There are as many as the engine keeps
    /// ([`EngineConfig::stack_frames`](crate::EngineConfig::stack_frames)): one, unless set.
    pub fn stack(&mut self, id: TaskId) -> Result<Vec<Frame>> {
        match self.ask(id, Command::Stack)? {
            Answer::Stack(frames) => Ok(frames),
            _ => Err(ErrorKind::NotStarted(id).into()),
        }
    }

    /// What is inside a guest, exported or not: the sizes of its memories, and the values of its globals, but no more than `most` of them.
    ///
    /// # Errors
    /// [`ErrorKind::NotInstrumented`] unless the engine [debugs](crate::EngineConfig::guest_debug) its guests.
    #[cfg(feature = "debug")]
    pub fn insides(&mut self, id: TaskId, most: usize) -> Result<crate::insides::Insides> {
        match self.ask(id, Command::Insides { most })? {
            Answer::Insides(insides) => Ok(insides),
            _ => Err(ErrorKind::NotStarted(id).into()),
        }
    }

    /// Copies bytes out of a memory, by its index in the module, whether it is exported or not.
    ///
    /// # Errors
    /// [`ErrorKind::NotInstrumented`], as of [`Executor::insides`]; [`ErrorKind::NoSuchIndex`], [`ErrorKind::OutOfBounds`].
    #[cfg(feature = "debug")]
    pub fn read_private_memory(&mut self, id: TaskId, memory: u32, offset: usize, into: &mut [u8]) -> Result<()> {
        if let Answer::Bytes(bytes) = self.ask(id, Command::ReadPrivate { memory, offset, len: into.len() })? {
            into.copy_from_slice(&bytes);
        }
        Ok(())
    }

    /// The value of a global, by its index in the module, whether it is exported or not.
    ///
    /// # Errors
    /// [`ErrorKind::NotInstrumented`], as of [`Executor::insides`]; [`ErrorKind::NoSuchIndex`], [`ErrorKind::GlobalType`] when it holds a reference.
    #[cfg(feature = "debug")]
    pub fn private_global(&mut self, id: TaskId, global: u32) -> Result<Value> {
        match self.ask(id, Command::PrivateGlobal { global })? {
            Answer::Value(value) => Ok(value),
            _ => Err(ErrorKind::NotStarted(id).into()),
        }
    }

    /// One control poll: one command, one answer.
    fn ask(&mut self, id: TaskId, command: Command) -> Result<Answer> {
        let task = self.live_mut(id)?;
        let meter = task.meter.clone();
        let Some(mailbox) = meter.mailbox() else {
            return Err(ErrorKind::NotInspectable(id).into());
        };
        if mailbox.is_in_host() {
            return Err(ErrorKind::InHostFunction(id).into());
        }
        if !mailbox.is_parked() {
            return Err(ErrorKind::NotStarted(id).into());
        }
        mailbox.ask(command);
        let mut outcome = None;
        task.poll(&mut outcome);
        let answer = mailbox.answer();
        if let Some(outcome) = outcome {
            // A guest that answers stays pending. One that panics over a command is ended as by a panic in a slice.
            self.finish(id, outcome);
            return Err(ErrorKind::TaskEnded(id).into());
        }
        answer.unwrap_or_else(|| Err(ErrorKind::NotStarted(id).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;
    use crate::task::Task;
    use std::future::poll_fn;
    use std::task::Poll;

    /// What a stand-in for a guest does with a command in a control poll.
    #[derive(Clone, Copy)]
    enum Guest {
        /// Leaves it.
        Ignores,
        /// Panics.
        Panics,
        /// Answers with this, whatever it was.
        Says(usize),
    }

    /// An executor with one such guest, which has had its first slice. In a slice it returns if it finds a command, and else stays.
    fn parked(guest: Guest) -> (Executor, TaskId) {
        let task = Task::from_guest(
            crate::task::Reach::Nothing,
            |_| {},
            move |meter| {
                let mut seen = 0;
                poll_fn(move |_| {
                    let mailbox = meter.mailbox().expect("it is inspectable");
                    mailbox.park();
                    if meter.slice() != seen {
                        seen = meter.slice();
                        let late = mailbox.has_command();
                        return if late { Poll::Ready(Outcome::Exited(1)) } else { Poll::Pending };
                    }
                    match guest {
                        Guest::Ignores => {}
                        Guest::Panics => panic!("no"),
                        Guest::Says(size) => mailbox.give(Ok(Answer::Size(size))),
                    }
                    Poll::Pending
                })
            },
        );
        let policy: Box<dyn Policy> = Box::new(crate::policy::RoundRobin::new(crate::unit::Fuel(1)));
        let mut sched = Executor::builder().policy(policy).build();
        let id = sched.spawn(task.inspectable()).unwrap();
        assert!(matches!(sched.step(), super::super::Step::Ran(_)));
        (sched, id)
    }

    #[test]
    fn a_command_that_is_left_unanswered_is_an_error_and_is_not_found_later() {
        let (mut sched, id) = parked(Guest::Ignores);
        assert!(matches!(sched.global(id, "g").unwrap_err().kind(), ErrorKind::NotStarted(_)));
        assert!(matches!(sched.write_memory(id, "m", 0, &[1]).unwrap_err().kind(), ErrorKind::NotStarted(_)));
        assert!(matches!(sched.step(), super::super::Step::Ran(_)));
        assert_eq!((sched.live(), sched.totals().slices), (1, 2));
    }

    #[test]
    fn a_control_poll_that_panics_ends_that_task() {
        let (mut sched, id) = parked(Guest::Panics);
        assert!(matches!(sched.memory_size(id, "m").unwrap_err().kind(), ErrorKind::TaskEnded(_)));
        assert_eq!((sched.live(), sched.totals().slices), (0, 1));
        assert_eq!(sched.take_outcome(id).unwrap().to_string(), "trapped: host panic: no");
        assert!(matches!(sched.step(), super::super::Step::Done));
    }

    #[test]
    fn an_answer_is_the_one_to_this_command() {
        let (mut sched, id) = parked(Guest::Says(7));
        assert_eq!(sched.memory_size(id, "m").unwrap(), 7);
        assert!(sched.global(id, "g").is_err(), "a size is no value");
    }
}
