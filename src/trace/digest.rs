//! The digest of a schedule: one number that is the same exactly when two runs scheduled the same.
//!
//! SHA-256 over a list in little-endian bytes, of which this is version 1:
//!
//! ```text
//! "fuelsched digest 1\n"
//! each setting, in the order of the calls:  01  len:u32 name  len:u32 value
//! each slice, in order:                     02  spawn_index:u64  end:u8  used:u64
//! each end of a task, in order:             03  spawn_index:u64  len:u32 outcome  n:u32 (type:u8 bits:u128)*n
//! ```
//!
//! It holds for equal module bytes, settings, Wasmtime version and architecture. Overflow of the stack and exhaustion of the host's
//! memory are excepted.

use super::{Ended, Observer, Slice};
use crate::reason::SliceEnd;
use crate::value::ValueType;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// An observer that digests what it sees.
#[derive(Clone, Debug)]
pub struct Digest(Sha256);

impl Digest {
    /// The digest of nothing yet.
    #[must_use]
    pub fn new() -> Digest {
        Digest(Sha256::new_with_prefix(b"fuelsched digest 1\n"))
    }

    /// Adds a setting that the schedule depends on: the policy, a quantum, the bytes of a module.
    pub fn setting(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.0.update([1]);
        self.text(name.as_bytes());
        self.text(value.as_ref());
    }

    /// The digest so far, as 64 hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.0.clone().finalize())
    }

    /// Adds bytes behind their number.
    fn text(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u32).to_le_bytes());
        self.0.update(bytes);
    }
}

impl Default for Digest {
    fn default() -> Digest {
        Digest::new()
    }
}

impl Observer for Digest {
    fn slice(&mut self, slice: &Slice) {
        let end = match slice.end {
            SliceEnd::Preempted => 0,
            SliceEnd::Yielded => 1,
            SliceEnd::Blocked => 2,
            SliceEnd::Ended => 3,
        };
        // One update a slice: SHA-256 works on blocks, and a call has its price.
        let mut bytes = [0; 18];
        bytes[0] = 2;
        bytes[1..9].copy_from_slice(&slice.spawn_index.to_le_bytes());
        bytes[9] = end;
        bytes[10..].copy_from_slice(&slice.used.0.to_le_bytes());
        self.0.update(bytes);
    }

    fn ended(&mut self, task: &Ended) {
        self.0.update([3]);
        self.0.update(task.spawn_index.to_le_bytes());
        self.text(task.outcome.name().as_bytes());
        let values = task.outcome.values().unwrap_or_default();
        self.0.update((values.len() as u32).to_le_bytes());
        for value in values {
            let ty = match value.ty() {
                ValueType::I32 => 0,
                ValueType::I64 => 1,
                ValueType::F32 => 2,
                ValueType::F64 => 3,
                ValueType::V128 => 4,
            };
            self.0.update([ty]);
            self.0.update(value.bits().to_le_bytes());
        }
    }
}

/// The SHA-256 of some bytes, as 64 hexadecimal digits: how a report names a module's content.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_is_the_standard_one() {
        // The example "abc" of FIPS 180-2, appendix B.1.
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_setting_cannot_run_into_the_next() {
        let digest = |pairs: &[(&str, &str)]| {
            let mut digest = Digest::new();
            pairs.iter().for_each(|(n, v)| digest.setting(n, v));
            digest.hex()
        };
        assert_ne!(digest(&[("a", "bc")]), digest(&[("ab", "c")]));
        assert_ne!(digest(&[("a", "b")]), digest(&[("a", "b"), ("", "")]));
    }
}
