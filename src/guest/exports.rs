//! The memories and globals that an instance exports, read and written by the host: between the calls of an instance that stays, and between
//! the slices of a task that is inspectable.

use super::module::{Module, kind};
use super::signature::{escape, from_wasmtime, to_wasmtime, value_type};
use super::stack;
use crate::control::{Answer, Command};
use crate::error::{Error, ErrorKind, Result};
use crate::value::Value;
use wasmtime::{AsContext, AsContextMut, Extern, Global, Memory, Mutability};

/// What an instance exports. None of it runs an instruction of the guest, and an error has changed nothing.
#[derive(Clone, Debug)]
pub(super) struct Exports {
    /// The module, for messages.
    pub(super) module: Module,
    /// The instance.
    pub(super) instance: wasmtime::Instance,
}

impl Exports {
    /// The exports of this instance of the module.
    pub(super) fn new(module: &Module, instance: wasmtime::Instance) -> Exports {
        Exports { module: module.clone(), instance }
    }

    /// Does what a command says.
    pub(super) fn serve(&self, mut store: impl AsContextMut, command: &Command) -> Result<Answer> {
        Ok(match command {
            Command::ReadMemory { export, offset, len } => {
                let memory = self.memory(&mut store, export)?;
                Answer::Bytes(self.region(&store, memory, *offset, *len)?.to_vec())
            }
            Command::WriteMemory { export, offset, bytes } => {
                self.write_memory(store, export, *offset, bytes)?;
                Answer::Done
            }
            Command::Stack => Answer::Stack(stack::frames(&store)),
            #[cfg(feature = "debug")]
            Command::Insides { most } => Answer::Insides(self.insides(store.as_context_mut(), *most)?),
            #[cfg(feature = "debug")]
            Command::ReadPrivate { memory, offset, len } => {
                Answer::Bytes(self.read_private(store.as_context_mut(), *memory, *offset, *len)?)
            }
            #[cfg(feature = "debug")]
            Command::PrivateGlobal { global } => Answer::Value(self.private_global(store.as_context_mut(), *global)?),
            Command::MemorySize { export } => Answer::Size(self.memory_size(store, export)?),
            Command::Global { export } => Answer::Value(self.global(store, export)?),
            Command::SetGlobal { export, value } => {
                self.set_global(store, export, value)?;
                Answer::Done
            }
        })
    }

    /// Copies bytes out of a memory.
    pub(super) fn read_memory(
        &self,
        mut store: impl AsContextMut,
        export: &str,
        offset: usize,
        into: &mut [u8],
    ) -> Result<()> {
        let memory = self.memory(&mut store, export)?;
        into.copy_from_slice(self.region(&store, memory, offset, into.len())?);
        Ok(())
    }

    /// Copies bytes into a memory.
    pub(super) fn write_memory(
        &self,
        mut store: impl AsContextMut,
        export: &str,
        offset: usize,
        from: &[u8],
    ) -> Result<()> {
        let memory = self.memory(&mut store, export)?;
        let written = memory.write(&mut store, offset, from);
        written.map_err(|_| self.out_of_bounds("write", offset, from.len(), memory.data_size(&store)))
    }

    /// The size of a memory, in bytes.
    pub(super) fn memory_size(&self, mut store: impl AsContextMut, export: &str) -> Result<usize> {
        Ok(self.memory(&mut store, export)?.data_size(&store))
    }

    /// The value of a global.
    pub(super) fn global(&self, mut store: impl AsContextMut, export: &str) -> Result<Value> {
        let global = self.find_global(&mut store, export)?;
        // A reference is not looked at: it would be kept alive.
        value_type(global.ty(&store).content()).ok_or_else(|| self.holds_a_reference(export))?;
        from_wasmtime(&global.get(&mut store)).ok_or_else(|| self.holds_a_reference(export))
    }

    /// Sets a global.
    pub(super) fn set_global(&self, mut store: impl AsContextMut, export: &str, value: &Value) -> Result<()> {
        let global = self.find_global(&mut store, export)?;
        let ty = global.ty(&store);
        if ty.mutability() == Mutability::Const {
            return Err(ErrorKind::ImmutableGlobal { module: self.name(), export: escape(export).to_string() }.into());
        }
        let wanted = value_type(ty.content()).ok_or_else(|| self.holds_a_reference(export))?;
        let given = value.ty();
        let wrong = || self.wrong_type(format!("the global '{}' is of type {wanted}, not {given}", escape(export)));
        // Wasmtime checks the type itself; nothing else can be wrong by now.
        global.set(&mut store, to_wasmtime(value)).map_err(|_| wrong())
    }

    /// The memory of that name.
    fn memory(&self, store: &mut impl AsContextMut, export: &str) -> Result<Memory> {
        match self.find(store, export) {
            Some(Extern::Memory(memory)) => Ok(memory),
            other => Err(no_such_memory(&self.module, export, other.map(|found| kind(&found.ty(&*store))))),
        }
    }

    /// The global of that name.
    fn find_global(&self, store: &mut impl AsContextMut, export: &str) -> Result<Global> {
        match self.find(store, export) {
            Some(Extern::Global(global)) => Ok(global),
            other => Err(no_such_global(&self.module, export, other.map(|found| kind(&found.ty(&*store))))),
        }
    }

    /// The export of that name, whatever it is.
    fn find(&self, store: &mut impl AsContextMut, export: &str) -> Option<Extern> {
        self.instance.get_export(store, export)
    }

    /// So many bytes of a memory, from there.
    pub(super) fn region<'a>(
        &self,
        store: &'a impl AsContext,
        memory: Memory,
        offset: usize,
        len: usize,
    ) -> Result<&'a [u8]> {
        let data = memory.data(store.as_context());
        let region = data.get(offset..).and_then(|rest| rest.get(..len));
        region.ok_or_else(|| self.out_of_bounds("read", offset, len, data.len()))
    }

    /// An access past the end.
    fn out_of_bounds(&self, what: &str, offset: usize, len: usize, size: usize) -> Error {
        ErrorKind::OutOfBounds {
            module: self.name(),
            message: format!("a {what} of {len} bytes at {offset} reaches past the end of a memory of {size} bytes"),
        }
        .into()
    }

    /// A global that no host can look at.
    pub(super) fn holds_a_reference(&self, export: &str) -> Error {
        self.wrong_type(format!(
            "the global '{}' holds a reference, which a host can neither read nor set",
            escape(export)
        ))
    }

    /// A type that does not fit.
    fn wrong_type(&self, message: String) -> Error {
        ErrorKind::GlobalType { module: self.name(), message }.into()
    }

    /// The module's name.
    fn name(&self) -> String {
        self.module.name().into()
    }
}

/// There is no memory of that name, but perhaps something else.
pub(super) fn no_such_memory(module: &Module, export: &str, actual: Option<&'static str>) -> Error {
    let (module, export) = (module.name().into(), escape(export).to_string());
    ErrorKind::NoSuchMemory { module, export, actual }.into()
}

/// There is no global of that name, but perhaps something else.
pub(super) fn no_such_global(module: &Module, export: &str, actual: Option<&'static str>) -> Error {
    let (module, export) = (module.name().into(), escape(export).to_string());
    ErrorKind::NoSuchGlobal { module, export, actual }.into()
}
