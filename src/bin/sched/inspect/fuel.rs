//! The static pass over a module: for each function the longest stretch of fuel between two yield points, with its bulk operations; and what
//! follows for the module.
//!
//! | file | holds |
//! |---|---|
//! | `operators` | what each instruction costs |
//! | `lengths` | which lengths are constants |
//! | `walk` | one function's code, from the beginning: costs, yield points, control flow |
//! | `stretch` | the longest ways through it, from the end |
//! | `tails` | what goes on from one function to another, over returns |
//!
//! Time and memory are linear in the size of the code.

use super::lengths::Length;
use super::operators::SMALL;
use super::stretch::{Ahead, Call, ENTRY, Flow, Stretch, longest, measure};
use super::survey::{Setup, Survey, begins};
use super::tails::{Calls, Left, Longest};
use super::walk::{BulkAt, Callee, Walk};
use std::collections::BTreeSet;
use wasmparser::Result;

/// Bytes of stack that the smallest frame takes: where it returns to, and where the frame before it is.
const SMALLEST_FRAME: u64 = 16;

/// How much of its quantum a task may overshoot at most by its code at the quantum that is recommended: one part in so many.
pub(super) const PART: u64 = 10;

/// What was found.
#[derive(Debug)]
pub(super) struct Fuel {
    /// For each function that is not imported.
    pub(super) functions: Vec<FunctionFuel>,
    /// For what happens before the first call, if anything does.
    pub(super) startup: Option<FunctionFuel>,
    /// The most levels of recursion that fit a stack.
    pub(super) levels: u64,
}

/// What was found of a function.
#[derive(Debug)]
pub(super) struct FunctionFuel {
    /// The longest stretches that end in it.
    pub(super) longest: Longest,
    /// Its bulk operations that have yield points, or may have; one entry for each kind.
    pub(super) bulk: Vec<BulkSum>,
}

/// The bulk operations of one kind in a function.
#[derive(Clone, Copy, Debug)]
pub(super) struct BulkSum {
    /// What they are called.
    pub(super) name: &'static str,
    /// How many there are.
    pub(super) count: u64,
    /// The most fuel that one is charged for its length, without a trap.
    pub(super) fits: u64,
    /// The most that one can be charged at all.
    pub(super) most: u64,
    /// Whether all lengths are constants.
    pub(super) constant: bool,
}

/// How much a task may hold, and how deep it may go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes in all its memories and tables.
    pub(super) memory: u64,
    /// Bytes of its stack.
    pub(super) stack: u64,
}

/// The longest of all, and in which function it ends; `None` for what happens before the first call.
pub(super) type Worst = (Option<u32>, Stretch);

impl Fuel {
    /// Of a module; `progress` is told the offset of each function.
    pub(super) fn of(module: &Survey<'_>, bounds: Bounds, mut progress: impl FnMut(usize)) -> Result<Fuel> {
        let mut walk = Walk::new(module, bounds.memory);
        let (mut flows, mut bulks) = (Vec::with_capacity(module.bodies.len() + 1), Vec::new());
        for (function, body) in (module.imported..).zip(&module.bodies) {
            let at = begins(body);
            progress(at);
            walk.function(function, body, |_| {})?;
            flows.push(measure(&walk, u32::try_from(at).unwrap_or(u32::MAX)));
            bulks.push(sums(&walk.bulks));
        }
        flows.extend(startup(module));
        bulks.resize_with(flows.len(), Vec::new);
        let longest = Calls::new(&flows, module.imported, &members(module, &walk.referred)).longest();
        let mut functions: Vec<FunctionFuel> =
            longest.iter().zip(bulks).map(|((longest, _), bulk)| FunctionFuel { longest: *longest, bulk }).collect();
        for node in comes_before_others(module) {
            if let (Some(function), Some((_, left))) = (functions.get_mut(node), longest.get(node)) {
                function.goes_on(*left);
            }
        }
        let startup = if functions.len() > module.bodies.len() { functions.pop() } else { None };
        Ok(Fuel { functions, startup, levels: bounds.stack / SMALLEST_FRAME })
    }

    /// Each function with its place among those that are not imported; what happens before the first call has none.
    fn all(&self) -> impl Iterator<Item = (Option<u32>, &FunctionFuel)> {
        let startup = self.startup.iter().map(|startup| (None, startup));
        startup.chain((0..).map(Some).zip(&self.functions))
    }

    /// The longest stretch, without what bulk operations are charged for their lengths.
    pub(super) fn worst(&self) -> Worst {
        let most = |most: Worst, (place, function): (Option<u32>, &FunctionFuel)| {
            let code = function.longest.code;
            if code.fuel > most.1.fuel { (place, code) } else { most }
        };
        self.all().fold((None, Stretch::default()), most)
    }

    /// The longest with that, if there is any bulk operation.
    pub(super) fn worst_bulk(&self) -> Option<Worst> {
        let bulk = |(place, function): (Option<u32>, &FunctionFuel)| Some((place, function.longest.bulk?));
        let longer = |a: Worst, b: Worst| if b.1.fuel > a.1.fuel { b } else { a };
        self.all().filter_map(bulk).reduce(longer)
    }

    /// What each level of a recursion adds that returns; 0 if there is none.
    pub(super) fn a_level(&self) -> u64 {
        self.all().map(|(_, function)| function.longest.a_level).max().unwrap_or(0)
    }

    /// The most that one bulk operation can be charged at all, if there is any.
    pub(super) fn most_charged(&self) -> Option<u64> {
        self.all().flat_map(|(_, function)| &function.bulk).map(|bulk| bulk.most).max()
    }

    /// The smallest quantum that makes sense: so much that the code alone overshoots it by a tenth at most.
    pub(super) fn quantum(&self) -> u64 {
        self.worst().1.fuel.saturating_mul(PART)
    }
}

impl FunctionFuel {
    /// The host calls another function when this one has returned, and that goes on with what this one leaves.
    fn goes_on(&mut self, left: Left) {
        let entered = Stretch { fuel: left.fuel.saturating_add(ENTRY), from: None, to: None };
        self.longest.code = longest(Some(self.longest.code), Some(entered)).unwrap_or_default();
    }
}

/// The positions of what runs before the function that is called: the start-up, and a reactor's initialiser.
fn comes_before_others(module: &Survey<'_>) -> impl Iterator<Item = usize> {
    let initialize = module.exported_function("_initialize");
    let defined = initialize.and_then(|function| function.checked_sub(module.imported));
    std::iter::once(module.bodies.len()).chain(defined.map(|place| place as usize))
}

/// For each type, the functions that an indirect call of it may reach, by their places among those that are not imported.
fn members(module: &Survey<'_>, referred: &BTreeSet<u32>) -> Vec<Vec<u32>> {
    let mut members = vec![Vec::new(); module.types()];
    for function in (module.imported..module.functions()).filter(|f| module.is_referenced(*f, referred.contains(f))) {
        let ty = module.function_type_index(function).and_then(|ty| members.get_mut(ty as usize));
        if let Some(ty) = ty {
            ty.push(function - module.imported);
        }
    }
    members
}

/// What happens before the first call: values are worked out, segments copied, and the start function is called.
fn startup(module: &Survey<'_>) -> Option<Flow> {
    let setup = &module.startup;
    let anything = [&setup.tables, &setup.elements, &setup.data].iter().any(|copies| !copies.is_empty());
    if setup.spent == 0 && !anything && module.start.is_none() {
        return None;
    }
    let mut pass = Pass::default();
    pass.reach(ENTRY);
    pass.spent = setup.spent;
    for copy in setup.tables.iter().chain(&setup.elements) {
        pass.copy(copy, copy.length > SMALL);
    }
    for copy in &setup.data {
        // Of an empty one it is not known whether it is looked at.
        pass.copy(copy, copy.length > 0);
    }
    let called = module.start.filter(|start| *start >= module.imported);
    Some(pass.end(called, module.start.is_some() && called.is_none()))
}

/// The start-up, as it goes on.
#[derive(Debug, Default)]
struct Pass {
    /// Fuel since the last yield point.
    spent: u64,
    /// What was found.
    flow: Flow,
}

impl Pass {
    /// A yield point after so much more.
    fn reach(&mut self, fuel: u64) {
        self.flow.code = longest(self.flow.code, Some(unplaced(self.spent + fuel)));
        self.spent = 0;
    }

    /// Something is copied, with a yield point before it or not.
    fn copy(&mut self, copy: &Setup, yields: bool) {
        self.spent += copy.before;
        if yields {
            self.flow.bulk = longest(self.flow.bulk, Some(unplaced(self.spent + copy.length)));
            self.reach(0);
        } else {
            self.spent += copy.length;
        }
        self.spent += copy.after;
    }

    /// A start function is called, if there is one here, and that is all.
    fn end(mut self, start: Option<u32>, imported: bool) -> Flow {
        match start {
            Some(start) => {
                let after = Ahead { tail: Some(0), ..Ahead::default() };
                self.flow.calls.push(Call::new(Callee::Function(start), after));
                self.reach(1 + ENTRY);
            }
            // One that the host provides is called for 1, and is no yield point.
            None => self.flow.tail = Some(unplaced(self.spent + u64::from(imported))),
        }
        self.flow
    }
}

/// A stretch that is nowhere in the file.
fn unplaced(fuel: u64) -> Stretch {
    Stretch { fuel, from: None, to: None }
}

/// A function's bulk operations, by their kinds.
fn sums(bulks: &[BulkAt]) -> Vec<BulkSum> {
    let mut sums: Vec<BulkSum> = Vec::new();
    for bulk in bulks {
        let constant = matches!(bulk.length, Length::Known(_));
        let one = BulkSum { name: bulk.op.name, count: 1, fits: bulk.units(), most: bulk.most(), constant };
        match sums.iter_mut().find(|sum| sum.name == one.name) {
            Some(sum) => sum.add(&one),
            None => sums.push(one),
        }
    }
    sums
}

impl BulkSum {
    /// Takes in another of its kind.
    fn add(&mut self, other: &BulkSum) {
        self.count += other.count;
        self.fits = self.fits.max(other.fits);
        self.most = self.most.max(other.most);
        self.constant &= other.constant;
    }
}
