//! What each instruction costs, and which of them copy, fill or grow, as Wasmtime 48 has it: `default_operator_cost` in
//! `wasmtime-environ/src/tunables.rs`, and the calls of `pre_translate_bulk_op` in `wasmtime-internal-cranelift/src/func_environ.rs`.
//!
//! Where Wasmtime changes these, the test that runs modules against what is stated here fails (`tests/it/inspect_command.rs`).

use super::survey::Survey;
use wasmparser::{MemoryType, Operator, TableType};

/// A constant length that costs no more than this has no yield point before it.
pub(super) const SMALL: u64 = 128;

/// The most that one operation with a 64-bit length is charged.
const MOST_64: u64 = i64::MAX as u64;

/// The most that one operation with a 32-bit length is charged.
const MOST_32: u64 = u32::MAX as u64;

/// Bytes of the host's memory that an element of a table takes.
const ELEMENT: u64 = 8;

/// What an instruction costs, apart from what it copies.
pub(super) fn fuel(op: &Operator<'_>) -> u64 {
    match op {
        Operator::Nop
        | Operator::Drop
        | Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::Unreachable
        | Operator::Return
        | Operator::Else
        | Operator::End => 0,
        _ => 1,
    }
}

/// An instruction that copies, fills or grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bulk {
    /// What it is called.
    pub(super) name: &'static str,
    /// Fuel for each unit of its length: 0 or 1.
    pub(super) per_unit: u64,
    /// The most units that it may be asked for without a trap.
    pub(super) fits: u64,
    /// The most units that it can be charged at all: a length out of bounds is charged first, and traps second.
    pub(super) most: u64,
}

/// What an instruction copies, fills or grows by; `None` for all others. `memory` is how many bytes a task may hold.
pub(super) fn bulk(op: &Operator<'_>, module: &Survey<'_>, memory: u64) -> Option<Bulk> {
    let bytes = |index: u32| module.memories.get(index as usize).map_or((0, false), |ty| memory_bytes(ty, memory));
    let elements = |index: u32| module.tables.get(index as usize).map_or((0, false), |ty| table_elements(ty, memory));
    Some(match *op {
        Operator::MemoryFill { mem } => of("memory.fill", bytes(mem)),
        Operator::MemoryCopy { dst_mem, src_mem } => of("memory.copy", smaller(bytes(dst_mem), bytes(src_mem))),
        Operator::MemoryInit { data_index, mem } => {
            of("memory.init", (bytes(mem).0.min(module.data_length(data_index)), false))
        }
        Operator::TableFill { table } => of("table.fill", elements(table)),
        Operator::TableCopy { dst_table, src_table } => {
            of("table.copy", smaller(elements(dst_table), elements(src_table)))
        }
        Operator::TableInit { elem_index, table } => {
            of("table.init", (elements(table).0.min(module.element_length(elem_index)), false))
        }
        // A growth that is refused is charged too, and traps nothing.
        Operator::TableGrow { table } => {
            let grow = of("table.grow", elements(table));
            Bulk { fits: grow.most, ..grow }
        }
        Operator::MemoryGrow { mem } => Bulk { per_unit: 0, ..of("memory.grow", bytes(mem)) },
        _ => return None,
    })
}

/// One of so many units, with a 64-bit length or not.
fn of(name: &'static str, (fits, wide): (u64, bool)) -> Bulk {
    Bulk { name, per_unit: 1, fits, most: if wide { MOST_64 } else { MOST_32 } }
}

/// What is possible between two memories or tables. The length has the narrower of the two types.
fn smaller(a: (u64, bool), b: (u64, bool)) -> (u64, bool) {
    (a.0.min(b.0), a.1 && b.1)
}

/// How many bytes a memory can have, and whether its lengths have 64 bits. What it has from the start it has, whatever a task may hold.
pub(super) fn memory_bytes(ty: &MemoryType, memory: u64) -> (u64, bool) {
    let page = 1_u64 << ty.page_size_log2.unwrap_or(16).min(63);
    let declared = ty.maximum.map_or(u64::MAX, |pages| pages.saturating_mul(page));
    let least = ty.initial.saturating_mul(page);
    (declared.min(memory).max(least), ty.memory64)
}

/// How many elements a table can have, and whether its lengths have 64 bits.
fn table_elements(ty: &TableType, memory: u64) -> (u64, bool) {
    let declared = ty.maximum.unwrap_or(u64::MAX);
    (declared.min(memory / ELEMENT).max(ty.initial), ty.table64)
}

/// Says of each instruction whether all that it does is to push one number that it has computed, and that Wasmtime's translation cannot have
/// taken for a constant.
macro_rules! define_computes {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($arity:tt)*) )*) => {
        /// Whether an instruction pushes one number that is no constant to Wasmtime's translation.
        pub(super) fn computes(op: &Operator<'_>) -> bool {
            match op {
                $( Operator::$op $({ $($arg: _),* })? => const { is_computed(stringify!($proposal), stringify!($op), stringify!($($arity)*)) }, )*
                _ => false,
            }
        }
    };
}

wasmparser::for_each_operator!(define_computes);

/// Whether an instruction of this proposal, name and arity is arithmetic or a load. Of the others some may be folded into constants: of
/// those that are not on the list nothing is claimed.
const fn is_computed(proposal: &str, name: &str, arity: &str) -> bool {
    let arithmetic =
        same(proposal, "mvp") || same(proposal, "sign_extension") || same(proposal, "saturating_float_to_int");
    let pushes_one = ends_with(arity, "-> 1");
    // Constants are followed themselves, and of what they are copied through each has its own rule.
    let other = ends_with(name, "Const")
        || same(name, "LocalGet")
        || same(name, "LocalTee")
        || same(name, "GlobalGet")
        || same(name, "MemorySize");
    arithmetic && pushes_one && !other
}

/// Whether two texts are the same.
const fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && ends_with(a, b)
}

/// Whether a text ends with another.
const fn ends_with(text: &str, end: &str) -> bool {
    let (text, end) = (text.as_bytes(), end.as_bytes());
    if text.len() < end.len() {
        return false;
    }
    let mut i = 0;
    while i < end.len() {
        if text[text.len() - end.len() + i] != end[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::computes;
    use wasmparser::Operator;

    #[test]
    fn arithmetic_is_computed_and_what_may_be_a_constant_is_not() {
        let computed = [Operator::I32Add, Operator::I64ExtendI32U, Operator::I32Extend8S, Operator::I32TruncSatF32S];
        assert_eq!(computed.map(|op| computes(&op)), [true; 4]);
        let maybe = [
            Operator::I32Const { value: 1 },
            Operator::LocalGet { local_index: 0 },
            Operator::LocalTee { local_index: 0 },
            Operator::GlobalGet { global_index: 0 },
            Operator::MemorySize { mem: 0 },
            Operator::TableSize { table: 0 },
            Operator::RefIsNull,
            Operator::Drop,
            Operator::End,
        ];
        assert_eq!(maybe.map(|op| computes(&op)), [false; 9]);
    }
}
