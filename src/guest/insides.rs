//! What is inside a guest and not exported, from Wasmtime's guest debugging.
//!
//! Wasmtime would also tell locals and operands, by `FrameHandle`. It does not at every place where a guest can be stopped: at the fuel check on a
//! function's entry 48.0.8 has no record of the frame, and panics ("There must be a program point record in every frame"). So they are not here.

use super::exports::Exports;
use super::signature::{from_wasmtime, value_type};
use crate::error::{Error, ErrorKind, Result};
use crate::insides::Insides;
use crate::value::Value;
use wasmtime::{AsContextMut, Global, Memory};

impl Exports {
    /// All of it, but no more than so many globals. A module has a hundred memories at most.
    pub(super) fn insides<T: 'static>(
        &self,
        mut store: wasmtime::StoreContextMut<'_, T>,
        most: usize,
    ) -> Result<Insides> {
        self.debugs(&store)?;
        let mut insides = Insides::default();
        while let Some(memory) = self.instance.debug_memory(&mut store, insides.memories.len() as u32) {
            insides.memories.push(memory.data_size(&store));
        }
        while let Some(global) = self.instance.debug_global(&mut store, insides.globals.len() as u32) {
            if insides.globals.len() == most {
                insides.more = true;
                break;
            }
            insides.globals.push(value_of(&mut store, global));
        }
        Ok(insides)
    }

    /// Copies bytes out of a memory, whether it is exported or not.
    pub(super) fn read_private<T: 'static>(
        &self,
        mut store: wasmtime::StoreContextMut<'_, T>,
        memory: u32,
        offset: usize,
        len: usize,
    ) -> Result<Vec<u8>> {
        self.debugs(&store)?;
        let found: Option<Memory> = self.instance.debug_memory(&mut store, memory);
        let found = found.ok_or_else(|| self.no_such_index("memory", memory))?;
        Ok(self.region(&store, found, offset, len)?.to_vec())
    }

    /// The value of a global, whether it is exported or not.
    pub(super) fn private_global<T: 'static>(
        &self,
        mut store: wasmtime::StoreContextMut<'_, T>,
        global: u32,
    ) -> Result<Value> {
        self.debugs(&store)?;
        let found = self.instance.debug_global(&mut store, global);
        let found = found.ok_or_else(|| self.no_such_index("global", global))?;
        value_of(&mut store, found).ok_or_else(|| self.holds_a_reference(&format!("@{global}")))
    }

    /// There is no such thing of that number.
    fn no_such_index(&self, what: &'static str, index: u32) -> Error {
        ErrorKind::NoSuchIndex { module: self.module.name().into(), what, index }.into()
    }

    /// Whether the engine debugs its guests.
    fn debugs<T: 'static>(&self, store: &wasmtime::StoreContextMut<'_, T>) -> Result<()> {
        match store.engine().get_guest_debug() {
            true => Ok(()),
            false => Err(ErrorKind::NotInstrumented { module: self.module.name().into() }.into()),
        }
    }
}

/// The value of a global; `None` if it holds a reference, which is not looked at: it would be kept alive.
fn value_of(mut store: impl AsContextMut, global: Global) -> Option<Value> {
    value_type(global.ty(&store).content())?;
    from_wasmtime(&global.get(&mut store))
}
