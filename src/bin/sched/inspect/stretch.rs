//! The longest way through a function from one yield point to the next, in fuel.
//!
//! Control flow in WebAssembly is nested, and it goes backwards to the heads of loops alone, which are yield points. So without the ways that
//! pass a yield point there is no cycle, and one pass from the end of the code to its beginning finds the longest: what can come after an
//! instruction is known before the instruction itself is looked at.
//!
//! ```text
//!   entry ──► yield point          at each place, three lengths are kept:
//!     │  2                           code   to the next yield point, or to the end of the guest
//!     ▼                              bulk   to the next yield point that is a bulk operation's, its length included
//!   loop ───► yield point ◄─┐        tail   to where the function returns, with no yield point before that
//!     │  5                  │
//!     ├── br_if ── 8 ───────┘      before `loop`: code 2; before `br_if`: code 3, tail 1
//!     │  1
//!   return
//! ```
//!
//! A call ends a stretch, because entering a function is a yield point. What comes after it is kept with the call, since it goes on
//! from whatever the one who was called had used when it returned (`tails`).

use super::walk::{Callee, Kind, Mark, Step, Walk};

/// What a call costs until the yield point of the function that is entered: 1 there. The instruction itself is counted with the caller.
pub(super) const ENTRY: u64 = 1;

/// A way to somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// Fuel on it.
    pub(super) fuel: u64,
    /// Where it ends, in the file.
    pub(super) to: u32,
}

/// What can come, from some place on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ahead {
    /// The longest way to the next yield point or the end of the guest. What a bulk operation is charged for its length is left out.
    pub(super) code: Option<Way>,
    /// The longest way to the next yield point of a bulk operation, with what that is charged.
    pub(super) bulk: Option<Way>,
    /// The longest way to where the function returns that passes no yield point.
    pub(super) tail: Option<u64>,
}

impl Ahead {
    /// A yield point, here.
    fn point(to: u32) -> Ahead {
        Ahead { code: Some(Way { fuel: 0, to }), ..Ahead::default() }
    }

    /// The function returns, here.
    fn returns() -> Ahead {
        Ahead { tail: Some(0), ..Ahead::default() }
    }

    /// The same, from an instruction of this cost on.
    fn after(self, fuel: u64) -> Ahead {
        let more = |way: Way| Way { fuel: way.fuel.saturating_add(fuel), ..way };
        Ahead {
            code: self.code.map(more),
            bulk: self.bulk.map(more),
            tail: self.tail.map(|tail| tail.saturating_add(fuel)),
        }
    }

    /// One or the other.
    pub(super) fn or(self, other: Ahead) -> Ahead {
        Ahead {
            code: longer(self.code, other.code),
            bulk: longer(self.bulk, other.bulk),
            tail: self.tail.max(other.tail),
        }
    }
}

/// The longer of two ways; the first, if both are of one length.
fn longer(a: Option<Way>, b: Option<Way>) -> Option<Way> {
    match (a, b) {
        (Some(a), Some(b)) if b.fuel > a.fuel => Some(b),
        (None, b) => b,
        (a, _) => a,
    }
}

/// A stretch: from a yield point to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Fuel.
    pub(super) fuel: u64,
    /// Where it begins, in the file; `None`, if that is in a function that was called.
    pub(super) from: Option<u32>,
    /// Where it ends; `None`, if the function returns there.
    pub(super) to: Option<u32>,
}

/// All that has to be known of a function.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    /// The longest stretch that begins and ends in it.
    pub(super) code: Option<Stretch>,
    /// The longest that ends in a bulk operation, with what that is charged.
    pub(super) bulk: Option<Stretch>,
    /// The longest way from a yield point in it to where it returns.
    pub(super) tail: Option<Stretch>,
    /// What comes after its calls: one entry for each that is called, in their order.
    pub(super) calls: Vec<Call>,
}

/// What comes after calls of one function: an [`Ahead`] in half the room, because a module may consist of calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// Who is called.
    pub(super) callee: Callee,
    /// `Ahead::tail`, or `NONE`.
    tail: u32,
    /// The fuel of `Ahead::code`, or `NONE`.
    code: u32,
    /// Where that ends.
    to: u32,
    /// Where `Ahead::bulk` ends, or `NONE`.
    bulk_to: u32,
    /// The fuel of `Ahead::bulk`.
    bulk: u64,
}

/// What stands for nothing in a [`Call`]. No function is so long.
const NONE: u32 = u32::MAX;

impl Call {
    /// A call of a function, and what comes after it.
    pub(super) fn new(callee: Callee, ahead: Ahead) -> Call {
        let short = |fuel: u64| u32::try_from(fuel).unwrap_or(NONE).min(NONE - 1);
        Call {
            callee,
            tail: ahead.tail.map_or(NONE, short),
            code: ahead.code.map_or(NONE, |way| short(way.fuel)),
            to: ahead.code.map_or(NONE, |way| way.to),
            bulk_to: ahead.bulk.map_or(NONE, |way| way.to),
            bulk: ahead.bulk.map_or(0, |way| way.fuel),
        }
    }

    /// What comes after it.
    pub(super) fn ahead(&self) -> Ahead {
        let some = |short: u32| (short != NONE).then_some(u64::from(short));
        Ahead {
            code: some(self.code).map(|fuel| Way { fuel, to: self.to }),
            bulk: (self.bulk_to != NONE).then_some(Way { fuel: self.bulk, to: self.bulk_to }),
            tail: self.tail(),
        }
    }

    /// The longest way from there to the return that passes no yield point.
    pub(super) fn tail(&self) -> Option<u64> {
        (self.tail != NONE).then_some(u64::from(self.tail))
    }
}

impl Flow {
    /// A yield point is here, and this comes after it.
    fn begins(&mut self, from: u32, ahead: Ahead) {
        let stretch = |way: Way| Stretch { fuel: way.fuel, from: Some(from), to: Some(way.to) };
        self.code = longest(self.code, ahead.code.map(stretch));
        self.bulk = longest(self.bulk, ahead.bulk.map(stretch));
        self.tail = longest(self.tail, ahead.tail.map(|fuel| Stretch { fuel, from: Some(from), to: None }));
    }

    /// Leaves one entry for each that is called.
    fn merge_calls(&mut self) {
        self.calls.sort_unstable_by_key(|call| call.callee);
        self.calls.dedup_by(|call, first| {
            let same = call.callee == first.callee;
            if same {
                *first = Call::new(first.callee, first.ahead().or(call.ahead()));
            }
            same
        });
        self.calls.shrink_to_fit();
    }
}

/// The longer of two stretches.
pub(super) fn longest(a: Option<Stretch>, b: Option<Stretch>) -> Option<Stretch> {
    match (a, b) {
        (Some(a), Some(b)) if b.fuel > a.fuel => Some(b),
        (None, b) => b,
        (a, _) => a,
    }
}

/// A block, seen from its end.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// What kind.
    kind: Kind,
    /// What comes after its end.
    after: Ahead,
    /// What comes from the beginning of the second arm of an `if` on.
    second: Option<Ahead>,
}

/// Goes through a function's control flow from its end to its beginning; `entry` is where the function begins.
pub(super) fn measure(walk: &Walk<'_>, entry: u32) -> Flow {
    let mut pass = Pass { walk, flow: Flow::default(), frames: Vec::new(), ahead: Ahead::default() };
    for mark in walk.marks.iter().rev() {
        pass.step(mark);
        pass.ahead = pass.ahead.after(u64::from(mark.fuel));
    }
    pass.flow.begins(entry, pass.ahead);
    // Whoever enters it has used this much.
    let entered = Stretch { fuel: ENTRY, from: None, to: Some(entry) };
    pass.flow.code = longest(pass.flow.code, Some(entered));
    pass.flow.merge_calls();
    pass.flow
}

/// The pass.
struct Pass<'w, 'm> {
    /// What there is to go through.
    walk: &'w Walk<'m>,
    /// What was found.
    flow: Flow,
    /// The blocks that are open, seen from their ends.
    frames: Vec<Frame>,
    /// What comes from here on.
    ahead: Ahead,
}

impl Pass<'_, '_> {
    /// Goes back over a place.
    fn step(&mut self, mark: &Mark) {
        match mark.step {
            Step::End(kind) => self.end(kind),
            Step::Else => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.second = Some(self.ahead);
                    self.ahead = frame.after;
                }
            }
            Step::Open => self.open(mark.at),
            Step::Jump(depth) => self.ahead = self.target(depth, mark.at),
            Step::MayJump(depth) => self.ahead = self.ahead.or(self.target(depth, mark.at)),
            Step::Table(first, end) => self.ahead = self.targets(first, end, mark.at),
            Step::Return => self.ahead = Ahead::returns(),
            Step::Trap => self.ahead = Ahead::point(mark.at),
            Step::Call(callee) => self.call(callee, mark.at),
            Step::TailCall(callee) => {
                self.ahead = Ahead::returns();
                self.call(callee, mark.at);
            }
            Step::Bulk(index) => self.bulk(index, mark.at),
        }
    }

    /// A block ends here. The last one that does is the function, which returns.
    fn end(&mut self, kind: Kind) {
        if self.frames.is_empty() {
            self.ahead = Ahead::returns();
        }
        self.frames.push(Frame { kind, after: self.ahead, second: None });
    }

    /// A block begins here.
    fn open(&mut self, at: u32) {
        let Some(frame) = self.frames.pop() else {
            return;
        };
        match frame.kind {
            Kind::Block => {}
            Kind::If => self.ahead = self.ahead.or(frame.second.unwrap_or(frame.after)),
            Kind::Loop => {
                self.flow.begins(at, self.ahead);
                self.ahead = Ahead::point(at);
            }
        }
    }

    /// What comes after a jump.
    fn target(&self, depth: u32, at: u32) -> Ahead {
        let frame = self.frames.len().checked_sub(depth as usize + 1).and_then(|index| self.frames.get(index));
        match frame {
            Some(Frame { kind: Kind::Loop, .. }) => Ahead::point(at),
            Some(frame) => frame.after,
            None => Ahead::returns(),
        }
    }

    /// What comes after a jump to one of many.
    fn targets(&self, first: u32, end: u32, at: u32) -> Ahead {
        let targets = self.walk.targets.get(first as usize..end as usize).unwrap_or_default();
        targets.iter().fold(Ahead::default(), |ahead, depth| ahead.or(self.target(*depth, at)))
    }

    /// A function is called here.
    fn call(&mut self, callee: Callee, at: u32) {
        self.flow.calls.push(Call::new(callee, self.ahead));
        let entered = Ahead::point(at).after(ENTRY);
        self.ahead = match callee {
            Callee::Any(ty) if self.walk.may_call_host(ty) => self.ahead.or(entered),
            _ => entered,
        };
    }

    /// A bulk operation is here, and before it a yield point, or perhaps.
    fn bulk(&mut self, index: u32, at: u32) {
        let Some(bulk) = self.walk.bulks.get(index as usize) else {
            return;
        };
        self.flow.begins(at, self.ahead);
        let charged = Ahead { bulk: Some(Way { fuel: bulk.units(), to: at }), ..Ahead::point(at) };
        self.ahead = match bulk.without() {
            Some(fuel) => self.ahead.after(fuel).or(charged),
            None => charged,
        };
    }
}
