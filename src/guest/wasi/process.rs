//! What a program is started with and how it ends: arguments, environment, exit code.

use super::abi::Errno;
use super::call::{Call, Door, Failure};
use super::{Find, Wasi};
use crate::guest::Exit;

/// Arguments, or variables: strings, each with a NUL at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Strings {
    /// Where each begins.
    starts: Vec<u32>,
    /// One after the other.
    bytes: Vec<u8>,
}

impl Strings {
    /// Packs strings; `None` if one has a NUL in it, or if they are too long for a guest's memory.
    pub(super) fn new(strings: impl IntoIterator<Item = String>) -> Option<Strings> {
        let mut packed = Strings::default();
        for string in strings {
            if string.contains('\0') {
                return None;
            }
            packed.starts.push(u32::try_from(packed.bytes.len()).ok()?);
            packed.bytes.extend_from_slice(string.as_bytes());
            packed.bytes.push(0);
        }
        u32::try_from(packed.bytes.len()).ok()?;
        Some(packed)
    }
}

/// Which of the two.
type Which = fn(&Wasi) -> &Strings;

impl Call<'_> {
    /// `args_get`.
    pub(super) fn args_get(&mut self, pointers: u32, buffer: u32) -> Result<(), Errno> {
        self.strings(|wasi| &wasi.args, pointers, buffer)
    }

    /// `args_sizes_get`.
    pub(super) fn args_sizes_get(&mut self, count: u32, size: u32) -> Result<(), Errno> {
        self.sizes(|wasi| &wasi.args, count, size)
    }

    /// `environ_get`.
    pub(super) fn environ_get(&mut self, pointers: u32, buffer: u32) -> Result<(), Errno> {
        self.strings(|wasi| &wasi.env, pointers, buffer)
    }

    /// `environ_sizes_get`.
    pub(super) fn environ_sizes_get(&mut self, count: u32, size: u32) -> Result<(), Errno> {
        self.sizes(|wasi| &wasi.env, count, size)
    }

    /// Writes strings, and where in the guest's memory each begins.
    fn strings(&mut self, which: Which, pointers: u32, buffer: u32) -> Result<(), Errno> {
        let Strings { starts, bytes } = which(self.wasi);
        self.charge_bytes(bytes.len() + 4 * starts.len());
        self.memory.write(buffer, bytes)?;
        let addresses: Vec<u8> = starts.iter().flat_map(|start| buffer.wrapping_add(*start).to_le_bytes()).collect();
        self.memory.write(pointers, &addresses)
    }

    /// Writes how many strings there are, and how long they are in all.
    fn sizes(&mut self, which: Which, count: u32, size: u32) -> Result<(), Errno> {
        let Strings { starts, bytes } = which(self.wasi);
        self.memory.write_u32(count, starts.len() as u32)?;
        self.memory.write_u32(size, bytes.len() as u32)
    }
}

/// `proc_exit`: an exit with a code that a process of the host's could have. Of a larger one its low bits would be left, and 256 be a success: that
/// is a trap.
pub(super) fn proc_exit(code: u32) -> wasmtime::Error {
    match u8::try_from(code) {
        Ok(code) => wasmtime::Error::new(Exit(code)),
        Err(_) => wasmtime::Error::msg(format!("proc_exit({code}): an exit code is a number from 0 to 255")),
    }
}

impl<D: Send + 'static, F: Find<D>> Door<'_, D, F> {
    /// `sched_yield`.
    pub(super) async fn sched_yield(self) -> Result<(), Failure> {
        self.meter.yield_now().await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_packed_with_their_ends() {
        let packed = Strings::new(["a".into(), String::new(), "bc".into()]).unwrap();
        assert_eq!((packed.starts, packed.bytes), (vec![0, 2, 3], b"a\0\0bc\0".to_vec()));
        assert_eq!(Strings::new(["a\0b".into()]), None);
    }
}
