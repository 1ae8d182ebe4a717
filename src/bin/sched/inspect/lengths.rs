//! Which lengths are constants to Wasmtime's translation. A bulk operation of a small constant length has no yield point before it, and a
//! constant may come to it through locals.
//!
//! Cranelift's translation follows a local to where it was set, across blocks whose predecessors are all known. To do the same would mean to
//! build its SSA form; this keeps what is certain and cheap:
//!
//! * `Known`: the length was set in the same straight piece of code. If the translation did not see that, there would be a yield
//!   point more than assumed, and stretches shorter: the bound holds.
//! * `Computed`: the translation cannot have taken it for a constant, so there is a yield point. This one must be right. A local holds a
//!   computed value if nothing else was assigned to it in the function so far, and if it is a parameter or was assigned in a block that is
//!   still open: then the zero that it began with does not reach here. What is assigned further down reaches here by a loop's head alone,
//!   and what comes through the head of a loop that is not yet complete is no constant.
//! * `Unsure`: both have to be reckoned with.

use super::operators::computes;
use wasmparser::Operator;

/// A length, or another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// It is this constant.
    Known(u64),
    /// It is no constant.
    Computed,
    /// It may be one.
    Unsure,
}

/// What was last assigned to a local.
#[derive(Clone, Copy, Debug)]
struct Local {
    /// In which function; locals of others are forgotten.
    function: u64,
    /// In which straight piece of code.
    piece: u64,
    /// What.
    now: Length,
    /// The block that was open then, and how deep it is.
    open: (usize, u64),
    /// Whether everything assigned so far was computed.
    all_computed: bool,
}

/// The lengths of a function, from its beginning to where one is.
#[derive(Debug, Default)]
pub(super) struct Lengths {
    /// The locals, by index; those beyond were not assigned.
    locals: Vec<Local>,
    /// How many functions there were.
    function: u64,
    /// How many straight pieces of code there were.
    piece: u64,
    /// The first of them in this function.
    first: u64,
    /// How many blocks there were.
    blocks: u64,
    /// The blocks that are open.
    open: Vec<u64>,
    /// How many parameters the function has.
    params: usize,
    /// What is on top of the stack.
    top: Option<Length>,
}

impl Lengths {
    /// A function begins.
    pub(super) fn begin(&mut self, params: usize) {
        self.function += 1;
        self.params = params;
        self.open.clear();
        self.enter();
        self.meet();
        self.first = self.piece;
    }

    /// Control comes here from more than one place, or may have skipped what is above.
    pub(super) fn meet(&mut self) {
        self.piece += 1;
        self.top = None;
    }

    /// A block begins.
    pub(super) fn enter(&mut self) {
        self.blocks += 1;
        self.open.push(self.blocks);
        self.top = None;
    }

    /// A block ends.
    pub(super) fn leave(&mut self) {
        self.open.pop();
        self.top = None;
    }

    /// What is on top of the stack.
    pub(super) fn top(&self) -> Length {
        self.top.unwrap_or(Length::Unsure)
    }

    /// An instruction that can be reached has been passed; `returns` says whether it is a call that returns anything.
    pub(super) fn pass(&mut self, op: &Operator<'_>, returns: bool) {
        self.top = match *op {
            Operator::I32Const { value } => Some(Length::Known(u64::from(value.cast_unsigned()))),
            Operator::I64Const { value } => Some(Length::Known(value.cast_unsigned())),
            Operator::LocalGet { local_index } => Some(self.get(local_index as usize)),
            Operator::LocalTee { local_index } => {
                self.set(local_index as usize);
                self.top
            }
            Operator::LocalSet { local_index } => {
                self.set(local_index as usize);
                None
            }
            _ if returns || computes(op) => Some(Length::Computed),
            _ => None,
        };
    }

    /// What a local holds.
    fn get(&self, index: usize) -> Length {
        let param = index < self.params;
        match self.locals.get(index).filter(|local| local.function == self.function) {
            None if param => Length::Computed,
            // What it began with, unless it was assigned further down and control came back from there.
            None if self.piece == self.first => Length::Known(0),
            None => Length::Unsure,
            Some(local) if local.piece == self.piece => local.now,
            Some(local) if local.all_computed && (param || self.is_open(local.open)) => Length::Computed,
            Some(_) => Length::Unsure,
        }
    }

    /// Assigns what is on top of the stack to a local.
    fn set(&mut self, index: usize) {
        let never = Local { function: 0, piece: 0, now: Length::Unsure, open: (0, 0), all_computed: true };
        if index >= self.locals.len() {
            self.locals.resize(index + 1, never);
        }
        let before = Some(self.locals[index]).filter(|local| local.function == self.function);
        let here = (self.open.len().saturating_sub(1), self.open.last().copied().unwrap_or(0));
        let now = self.top();
        self.locals[index] = Local {
            function: self.function,
            piece: self.piece,
            now,
            // The outermost that is still open stays open longest.
            open: before.map(|local| local.open).filter(|open| self.is_open(*open)).unwrap_or(here),
            all_computed: before.is_none_or(|local| local.all_computed) && now == Length::Computed,
        };
    }

    /// Whether a block is still open.
    fn is_open(&self, (depth, block): (usize, u64)) -> bool {
        self.open.get(depth) == Some(&block)
    }
}
