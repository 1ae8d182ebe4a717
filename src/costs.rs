//! What the host's work costs a guest. Wasmtime charges nothing inside a host call, whatever it does.

use crate::unit::Fuel;

/// What the functions that this library gives to guests charge for, in fuel. The numbers are of the order of what the work takes, on the
/// scale on which an instruction takes one.
///
/// ```
/// use fuelsched::{Fuel, costs::Costs};
///
/// let mut costs = Costs::default();
/// costs.byte = Fuel(2);
/// assert_eq!(costs.moving(1_000), Fuel(2_500));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Costs {
    /// Any call. 500, unless set.
    pub call: Fuel,
    /// Each byte that a call moves between guest and host, or makes up. 1, unless set.
    pub byte: Fuel,
    /// Each byte of random numbers, in place of `byte`. 16, unless set.
    pub random: Fuel,
    /// A call that asks the operating system for something, beside `call`: of files, or for up to 1 KiB of random numbers. 2,000, unless set.
    pub file: Fuel,
    /// Spawning a task, beside `call`. 10,000, unless set.
    pub spawn: Fuel,
}

impl Costs {
    /// What a call costs that moves so many bytes.
    #[must_use]
    pub fn moving(&self, bytes: usize) -> Fuel {
        self.call.plus(Fuel(self.byte.0.saturating_mul(bytes as u64)))
    }

    /// Nothing costs anything: host calls are free, and a guest can have as much of the host as it likes.
    #[must_use]
    pub const fn free() -> Costs {
        Costs { call: Fuel::ZERO, byte: Fuel::ZERO, random: Fuel::ZERO, file: Fuel::ZERO, spawn: Fuel::ZERO }
    }
}

impl Default for Costs {
    fn default() -> Costs {
        Costs { call: Fuel(500), byte: Fuel(1), random: Fuel(16), file: Fuel(2_000), spawn: Fuel(10_000) }
    }
}
