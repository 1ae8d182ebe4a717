//! The units that every room speaks: fuel, and the names of a task and of a group.

use std::fmt;

/// An amount of Wasmtime's fuel: about one unit for each WebAssembly instruction that ran.
///
/// What costs how much, and where a guest can be stopped, is the subject of `docs/fuel.md`. All arithmetic saturates, because a
/// guest decides how large these numbers get: one `memory.fill` with a 64-bit length is charged 2<sup>62</sup>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fuel(
    /// The number of units.
    pub u64,
);

impl Fuel {
    /// No fuel.
    pub const ZERO: Fuel = Fuel(0);
    /// More fuel than any task can use; as a limit it means "no limit".
    pub const MAX: Fuel = Fuel(u64::MAX);

    /// The sum, or [`Fuel::MAX`] where it would be larger.
    #[must_use]
    pub const fn plus(self, other: Fuel) -> Fuel {
        Fuel(self.0.saturating_add(other.0))
    }

    /// The difference, or nothing where it would be negative.
    #[must_use]
    pub const fn minus(self, other: Fuel) -> Fuel {
        Fuel(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Fuel {
    /// Writes the number with a comma between thousands: `1,234,567`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        f.pad_integral(true, "", &grouped)
    }
}

/// The name of a task within its executor: a slot, and which of the slot's tasks is meant.
///
/// When a task's outcome has been taken its slot is used again, with the next generation, so an old id never means a new task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// Position in the executor's slots; dense, so that a policy can keep its own state in a `Vec`.
    index: u32,
    /// How many tasks had this slot before.
    generation: u32,
}

impl TaskId {
    /// An id from its parts. Executors hand ids out; a test of a policy makes its own.
    #[must_use]
    pub const fn new(index: u32, generation: u32) -> TaskId {
        TaskId { index, generation }
    }

    /// The slot: small, dense and used again once the task is gone.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// How many tasks had the slot before this one.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

impl fmt::Display for TaskId {
    /// Writes `slot.generation`, for example `3.0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

/// A group of tasks of one executor: a tenant, whose tasks share a budget and a weight.
///
/// As with a [`TaskId`], an old id never means a new group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId {
    /// Position among the executor's groups; dense.
    index: u32,
    /// How many groups had this position before.
    generation: u32,
}

impl GroupId {
    /// An id from its parts. Executors hand ids out; a test of a policy makes its own.
    #[must_use]
    pub const fn new(index: u32, generation: u32) -> GroupId {
        GroupId { index, generation }
    }

    /// The position: small, dense and used again once the group is gone.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// How many groups had the position before this one.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

impl fmt::Display for GroupId {
    /// Writes `position.generation`, for example `3.0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fuel_is_written_with_thousands_and_honours_a_width() {
        let written: Vec<String> = [0, 999, 1_000, 65_541, 1_234_567].map(|n| Fuel(n).to_string()).into();
        assert_eq!(written, ["0", "999", "1,000", "65,541", "1,234,567"]);
        assert_eq!(format!("{:>8}|", Fuel(1_000)), "   1,000|");
    }

    #[test]
    fn fuel_saturates_at_both_ends() {
        assert_eq!(Fuel(1 << 63).plus(Fuel(1 << 63)), Fuel::MAX);
        assert_eq!(Fuel(1).minus(Fuel(2)), Fuel::ZERO);
    }
}
