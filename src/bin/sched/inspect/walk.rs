//! One pass over a function's code, from its beginning: what each instruction costs, where the yield points are, and a short form of the
//! control flow that `stretch` then goes through backwards.
//!
//! It keeps to what Wasmtime's translation takes for reachable, because what is unreachable costs nothing. Its time is linear in the code, and
//! nothing in it recurses: what is open is in a list.

use super::lengths::{Length, Lengths};
use super::operators::{Bulk, SMALL, bulk, fuel};
use super::survey::Survey;
use std::collections::BTreeSet;
use wasmparser::{FunctionBody, Operator, Result};

/// What control flow does at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A block begins. What it is, its end says.
    Open,
    /// The second arm of an `if` begins.
    Else,
    /// A block ends.
    End(Kind),
    /// Control goes to the end of a block, or to the head of a loop, so many blocks outward.
    Jump(u32),
    /// It may do so.
    MayJump(u32),
    /// It goes to one of these targets, by their positions in `Walk::targets`.
    Table(u32, u32),
    /// The function returns.
    Return,
    /// The guest ends.
    Trap,
    /// A function is called.
    Call(Callee),
    /// A function is called in place of this one.
    TailCall(Callee),
    /// A yield point before a bulk operation, by its position in `Walk::bulks`.
    Bulk(u32),
}

/// What kind of block ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One whose label is its end; the function itself is one.
    Block,
    /// One whose label is its head.
    Loop,
    /// `if`, with or without `else`.
    If,
}

/// Who is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Callee {
    /// This function, which is not imported.
    Function(u32),
    /// Any function of this type.
    Any(u32),
}

/// A place in a function's code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// Fuel of the instructions since the last mark, up to and including this one.
    pub(super) fuel: u32,
    /// Where it is in the file.
    pub(super) at: u32,
    /// What it is.
    pub(super) step: Step,
}

/// A bulk operation with a yield point before it, or perhaps.
#[derive(Clone, Copy, Debug)]
pub(super) struct BulkAt {
    /// Which.
    pub(super) op: Bulk,
    /// Its length.
    pub(super) length: Length,
}

impl BulkAt {
    /// The most fuel that it is charged for its length, without a trap.
    pub(super) fn units(&self) -> u64 {
        match self.length {
            Length::Known(length) => length.saturating_mul(self.op.per_unit),
            _ => self.op.fits.saturating_mul(self.op.per_unit),
        }
    }

    /// The most fuel that it can be charged at all.
    pub(super) fn most(&self) -> u64 {
        match self.length {
            Length::Known(_) => self.units(),
            _ => self.op.most.saturating_mul(self.op.per_unit),
        }
    }

    /// Whether there is a yield point, and the most that is charged without one.
    fn yields(&self) -> (bool, u64) {
        let small = SMALL * self.op.per_unit;
        match self.length {
            Length::Known(_) if self.units() <= SMALL => (false, self.units()),
            Length::Known(_) | Length::Computed => (true, 0),
            Length::Unsure => (true, small),
        }
    }

    /// The most that it is charged where there is no yield point, if that is possible.
    pub(super) fn without(&self) -> Option<u64> {
        (self.length == Length::Unsure).then(|| self.yields().1)
    }
}

/// What there is to say of an instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Note {
    /// Where it is in the file.
    pub(super) at: usize,
    /// What it costs, apart from a length that is not known; `None` where it cannot be reached.
    pub(super) fuel: Option<u64>,
    /// Whether a guest may be stopped at it, and why.
    pub(super) point: Option<Point>,
}

/// A yield point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    /// The head of a loop.
    Loop,
    /// A call, which enters a function.
    Call,
    /// Before a bulk operation, which is charged for its length first, unless that is known and part of the note's fuel.
    Bulk {
        /// Whether a length that is not known is charged.
        more: bool,
    },
}

/// A block that is open.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// What kind.
    kind: Kind,
    /// Whether anything reachable jumps to its end.
    left: bool,
    /// Of an `if`, that had an `else`: whether the end of the first arm can be reached.
    first: Option<bool>,
}

/// The pass, over one function after another.
#[derive(Debug)]
pub(super) struct Walk<'m> {
    /// The module.
    module: &'m Survey<'m>,
    /// How many bytes a task may hold.
    memory: u64,
    /// Whether an imported function may be called where any of a type is, by type.
    host: Vec<bool>,
    /// The function's control flow.
    pub(super) marks: Vec<Mark>,
    /// Its bulk operations.
    pub(super) bulks: Vec<BulkAt>,
    /// The targets of its tables.
    pub(super) targets: Vec<u32>,
    /// The functions that code refers to, of all functions so far.
    pub(super) referred: BTreeSet<u32>,
    /// The blocks that are open.
    frames: Vec<Frame>,
    /// Blocks that were opened where nothing can be reached.
    dead: u32,
    /// Whether control comes here.
    reachable: bool,
    /// Fuel since the last mark.
    fuel: u64,
    /// Which lengths are constants.
    lengths: Lengths,
}

impl<'m> Walk<'m> {
    /// Over the functions of a module, whose tasks may hold so many bytes.
    pub(super) fn new(module: &'m Survey<'m>, memory: u64) -> Walk<'m> {
        let mut host = vec![false; module.types()];
        // Which of them code refers to is known at the end only, so all that it may refer to count.
        for function in (0..module.imported).filter(|f| module.is_referenced(*f, module.is_exported(*f))) {
            if let Some(ty) = module.function_type_index(function).and_then(|ty| host.get_mut(ty as usize)) {
                *ty = true;
            }
        }
        Walk {
            module,
            memory,
            host,
            marks: Vec::new(),
            bulks: Vec::new(),
            targets: Vec::new(),
            referred: BTreeSet::new(),
            frames: Vec::new(),
            dead: 0,
            reachable: true,
            fuel: 0,
            lengths: Lengths::default(),
        }
    }

    /// Goes over a function's code, and says of each instruction what there is to say.
    pub(super) fn function(&mut self, function: u32, body: &FunctionBody<'_>, mut say: impl FnMut(Note)) -> Result<()> {
        let params = self.module.function_type(function).map_or(0, |ty| ty.params().len());
        self.marks.clear();
        self.bulks.clear();
        self.targets.clear();
        self.frames.clear();
        self.frames.push(Frame { kind: Kind::Block, left: false, first: None });
        (self.dead, self.reachable, self.fuel) = (0, true, 0);
        self.lengths.begin(params);
        let mut code = body.get_operators_reader()?;
        while !code.eof() {
            let (op, at) = code.read_with_offset()?;
            say(self.op(&op, at)?);
        }
        Ok(())
    }

    /// Whether an indirect call of this type may call the host.
    pub(super) fn may_call_host(&self, ty: u32) -> bool {
        self.host.get(ty as usize).copied().unwrap_or(false)
    }

    /// Takes in an instruction.
    fn op(&mut self, op: &Operator<'_>, at: usize) -> Result<Note> {
        if !self.reachable {
            self.pass_unreachable(op, at);
            return Ok(Note { at, fuel: None, point: None });
        }
        let fuel = fuel(op);
        self.fuel += fuel;
        let returns = self.returns(op);
        if let Some(op) = bulk(op, self.module, self.memory) {
            return Ok(self.bulk(op, fuel, at));
        }
        let point = self.control(op, at)?;
        self.lengths.pass(op, returns);
        Ok(Note { at, fuel: Some(fuel), point })
    }

    /// Takes in an instruction that cannot be reached: only how blocks are nested matters.
    fn pass_unreachable(&mut self, op: &Operator<'_>, at: usize) {
        match op {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                self.dead += 1;
            }
            Operator::End if self.dead > 0 => self.dead -= 1,
            Operator::End => self.end(at),
            Operator::Else if self.dead == 0 => self.second_arm(at),
            _ => {}
        }
    }

    /// A bulk operation.
    fn bulk(&mut self, op: Bulk, fuel: u64, at: usize) -> Note {
        let bulk = BulkAt { op, length: self.lengths.top() };
        let (yields, without) = bulk.yields();
        let known = matches!(bulk.length, Length::Known(_));
        if yields {
            self.mark(Step::Bulk(position(self.bulks.len())), at);
            self.bulks.push(bulk);
        } else {
            self.fuel += without;
        }
        // Growing pushes what was there before, which is no constant; the others push nothing.
        self.lengths.pass(&Operator::Nop, op.name.ends_with("grow"));
        let point = yields.then_some(Point::Bulk { more: !known && op.per_unit > 0 });
        Note { at, fuel: Some(if known { fuel + bulk.units() } else { fuel }), point }
    }

    /// Whether this is a call that returns anything.
    fn returns(&self, op: &Operator<'_>) -> bool {
        let ty = match *op {
            Operator::Call { function_index } => self.module.function_type(function_index),
            Operator::CallIndirect { type_index, .. } | Operator::CallRef { type_index } => {
                self.module.function_type_at(type_index)
            }
            _ => None,
        };
        ty.is_some_and(|ty| !ty.results().is_empty())
    }

    /// Control flow at an instruction that can be reached.
    fn control(&mut self, op: &Operator<'_>, at: usize) -> Result<Option<Point>> {
        match *op {
            Operator::Block { .. } => self.open(Kind::Block, at),
            Operator::Loop { .. } => {
                self.open(Kind::Loop, at);
                self.lengths.meet();
                return Ok(Some(Point::Loop));
            }
            Operator::If { .. } => self.open(Kind::If, at),
            Operator::TryTable { ref try_table } => self.open_try(try_table, at),
            Operator::Else => self.second_arm(at),
            Operator::End => self.end(at),
            Operator::Br { relative_depth } => self.leave(Step::Jump(relative_depth), at),
            Operator::BrIf { relative_depth }
            | Operator::BrOnNull { relative_depth }
            | Operator::BrOnNonNull { relative_depth }
            | Operator::BrOnCast { relative_depth, .. }
            | Operator::BrOnCastFail { relative_depth, .. } => self.may_jump(relative_depth, at),
            Operator::BrTable { ref targets } => return self.table(targets, at).map(|()| None),
            Operator::Return => self.leave(Step::Return, at),
            Operator::Unreachable | Operator::Throw { .. } | Operator::ThrowRef => self.leave(Step::Trap, at),
            Operator::RefFunc { function_index } => {
                self.referred.insert(function_index);
            }
            _ => return Ok(self.call(op, at)),
        }
        Ok(None)
    }

    /// A call, if it is one.
    fn call(&mut self, op: &Operator<'_>, at: usize) -> Option<Point> {
        let any = |ty: u32| Some(Callee::Any(self.module.same_type(ty)));
        let (callee, tail) = match *op {
            Operator::Call { function_index } => (self.direct(function_index), false),
            Operator::ReturnCall { function_index } => (self.direct(function_index), true),
            Operator::CallIndirect { type_index, .. } | Operator::CallRef { type_index } => (any(type_index), false),
            Operator::ReturnCallIndirect { type_index, .. } | Operator::ReturnCallRef { type_index } => {
                (any(type_index), true)
            }
            _ => return None,
        };
        match (callee, tail) {
            (Some(callee), false) => self.mark(Step::Call(callee), at),
            (Some(callee), true) => self.leave(Step::TailCall(callee), at),
            // The host uses no fuel of the guest's, and calling it is no yield point.
            (None, false) => {}
            (None, true) => self.leave(Step::Return, at),
        }
        callee.map(|_| Point::Call)
    }

    /// Who is called by this index; nobody, if that is the host.
    fn direct(&self, function: u32) -> Option<Callee> {
        (function >= self.module.imported).then_some(Callee::Function(function))
    }

    /// Notes what control flow does here.
    fn mark(&mut self, step: Step, at: usize) {
        let fuel = u32::try_from(std::mem::take(&mut self.fuel)).unwrap_or(u32::MAX);
        self.marks.push(Mark { fuel, at: u32::try_from(at).unwrap_or(u32::MAX), step });
    }

    /// Control does not go on from here.
    fn leave(&mut self, step: Step, at: usize) {
        if let Step::Jump(depth) = step {
            self.jumped_to(depth);
        }
        self.mark(step, at);
        self.reachable = false;
    }

    /// A block begins.
    fn open(&mut self, kind: Kind, at: usize) {
        self.mark(Step::Open, at);
        self.frames.push(Frame { kind, left: false, first: None });
        self.lengths.enter();
    }

    /// A block begins from anywhere in which control may go to where it is caught. Wasmtime refuses these as it is built here.
    fn open_try(&mut self, block: &wasmparser::TryTable, at: usize) {
        for catch in &block.catches {
            let (wasmparser::Catch::One { label, .. }
            | wasmparser::Catch::OneRef { label, .. }
            | wasmparser::Catch::All { label }
            | wasmparser::Catch::AllRef { label }) = *catch;
            self.may_jump(label, at);
        }
        self.open(Kind::Block, at);
    }

    /// The first arm of an `if` has ended, and the second begins: control comes from the head.
    fn second_arm(&mut self, at: usize) {
        let reachable = self.reachable;
        if let Some(frame) = self.frames.last_mut() {
            frame.first = Some(reachable);
        }
        self.mark(Step::Else, at);
        self.reachable = true;
        self.lengths.leave();
        self.lengths.enter();
        self.lengths.meet();
    }

    /// A block ends.
    fn end(&mut self, at: usize) {
        let Some(frame) = self.frames.pop() else {
            return;
        };
        self.mark(Step::End(frame.kind), at);
        let around = match (frame.kind, frame.first) {
            (Kind::If, None) => true,
            (Kind::If, Some(first)) => first || frame.left,
            (Kind::Block, _) => frame.left,
            (Kind::Loop, _) => false,
        };
        self.reachable |= around;
        self.lengths.leave();
        if around {
            self.lengths.meet();
        }
    }

    /// Control may go to a label.
    fn may_jump(&mut self, depth: u32, at: usize) {
        self.jumped_to(depth);
        self.mark(Step::MayJump(depth), at);
    }

    /// Control goes to one of many labels.
    fn table(&mut self, table: &wasmparser::BrTable<'_>, at: usize) -> Result<()> {
        let first = self.targets.len();
        self.targets.push(table.default());
        for target in table.targets() {
            self.targets.push(target?);
        }
        self.targets[first..].sort_unstable();
        let mut kept = first;
        for i in first..self.targets.len() {
            if i == first || self.targets[i] != self.targets[kept - 1] {
                self.targets[kept] = self.targets[i];
                kept += 1;
            }
        }
        self.targets.truncate(kept);
        for i in first..kept {
            self.jumped_to(self.targets[i]);
        }
        self.leave(Step::Table(position(first), position(kept)), at);
        Ok(())
    }

    /// Notes that a block is left by a jump.
    fn jumped_to(&mut self, depth: u32) {
        let outward = self.frames.len().checked_sub(depth as usize + 1);
        if let Some(frame) = outward.and_then(|index| self.frames.get_mut(index)) {
            frame.left = true;
        }
    }
}

/// A position in a list that is no longer than a function.
fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
