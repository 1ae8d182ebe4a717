//! What a host does between steps with the memories and globals of a suspended guest: reads and writes them.
//!
//! Each of it is one *control poll*: the command goes into the task's mailbox, the future is polled once, and the answer is taken out. A control
//! poll is no slice. It is not picked by the policy, granted nothing and charged nothing, it moves no clock, and it runs no instruction of the
//! guest (`control` says why it cannot).

use super::{Executor, Observer};
use crate::control::{Answer, Command};
use crate::error::{ErrorKind, Result};
use crate::policy::Policy;
use crate::reason::Control;
use crate::unit::TaskId;
use crate::value::Value;

/// Inspecting: exported memories and globals of tasks that were spawned [`inspectable`](crate::Task::inspectable), between any two steps.
///
/// All of it works from the moment that the guest is preempted for the first time after its start functions, whatever the task then waits for,
/// until it ends. An error changes nothing, and the task goes on as if it had not been asked. Each has, beside its own, these errors:
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

    /// One control poll: one command, one answer.
    fn ask(&mut self, id: TaskId, command: Command) -> Result<Answer> {
        let task = self.live_mut(id)?;
        let meter = task.meter.clone();
        let Some(mailbox) = meter.mailbox() else {
            return Err(ErrorKind::NotInspectable(id).into());
        };
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
