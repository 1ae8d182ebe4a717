//! What is inside a suspended guest, exported or not, as Wasmtime's guest debugging shows it.

use crate::value::Value;

/// What is inside a guest. Nothing of it can be changed from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Insides {
    /// The sizes of its memories in bytes, by their indices in the module, imported ones counted.
    pub memories: Vec<usize>,
    /// Its globals, by their indices in the module, imported ones counted; `None` for one that holds a reference.
    pub globals: Vec<Option<Value>>,
    /// Whether there is more than was asked for.
    pub more: bool,
}
