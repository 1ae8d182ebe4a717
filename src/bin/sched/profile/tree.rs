//! All stacks that were seen, as a tree, with the fuel that was used in each.
//!
//! A stack is a number: that of its innermost function's place in the tree. Functions and stacks are kept once, and there are at most so
//! many of them, because guests make up both: what comes after those is one stack, `(others)`.

use fuelsched::Fuel;
use fuelsched::frame::Frame;
use std::collections::HashMap;

/// The most stacks. Beyond them there is one more for all others.
const MOST_STACKS: usize = 100_000;
/// The longest name of a function, in bytes; what is longer is cut.
const LONGEST: usize = 512;
/// What all stacks are for which there was no room.
const OTHERS: &str = "(others)";
/// The stack of them.
const OTHER: u32 = 0;

/// The stacks.
#[derive(Debug)]
pub(super) struct Tree {
    /// By number.
    stacks: Vec<Stack>,
    /// The numbers, by who calls and the function's name.
    numbers: HashMap<(Option<u32>, u32), u32>,
    /// The names.
    names: Vec<Box<str>>,
    /// The numbers of the names.
    known: HashMap<Box<str>, u32>,
    /// Whether functions are told apart by their lines, too.
    lines: bool,
}

/// A stack.
#[derive(Clone, Copy, Debug)]
struct Stack {
    /// The stack of whoever calls; a task's own has none.
    caller: Option<u32>,
    /// The innermost function's name.
    name: u32,
    /// What was used in it.
    fuel: Fuel,
}

impl Tree {
    /// No stacks, but that of all for which there will be no room.
    pub(super) fn new(lines: bool) -> Tree {
        let mut tree =
            Tree { stacks: Vec::new(), numbers: HashMap::new(), names: Vec::new(), known: HashMap::new(), lines };
        tree.stack(None, OTHERS);
        tree
    }

    /// The stack that is nothing but a task.
    pub(super) fn task(&mut self, name: &str) -> u32 {
        self.stack(None, name)
    }

    /// The stack in which something is called that is no function.
    pub(super) fn called(&mut self, caller: u32, what: &str) -> u32 {
        self.stack(Some(caller), what)
    }

    /// The stack in which a function is called.
    pub(super) fn calls(&mut self, caller: u32, frame: &Frame) -> u32 {
        let place = match &frame.source {
            Some(source) if self.lines && source.line > 0 => format!(" ({}:{})", source.file, source.line),
            Some(source) if self.lines => format!(" ({})", source.file),
            _ => String::new(),
        };
        self.stack(Some(caller), &format!("{frame}{place}"))
    }

    /// A stack's number, which it gets if there is room.
    fn stack(&mut self, caller: Option<u32>, name: &str) -> u32 {
        if caller == Some(OTHER) {
            return OTHER;
        }
        let name = &name[..name.floor_char_boundary(LONGEST)];
        if let Some(number) = self.known.get(name).and_then(|name| self.numbers.get(&(caller, *name))) {
            return *number;
        }
        if self.stacks.len() > MOST_STACKS {
            return OTHER;
        }
        let name = self.name(name);
        let number = self.stacks.len() as u32;
        self.stacks.push(Stack { caller, name, fuel: Fuel::ZERO });
        self.numbers.insert((caller, name), number);
        number
    }

    /// A name's number.
    fn name(&mut self, name: &str) -> u32 {
        if let Some(number) = self.known.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.into());
        self.known.insert(name.into(), number);
        number
    }

    /// So much was used in a stack.
    pub(super) fn add(&mut self, stack: u32, fuel: Fuel) {
        if let Some(stack) = self.stacks.get_mut(stack as usize) {
            stack.fuel = stack.fuel.plus(fuel);
        }
    }

    /// The functions of a stack, the task first.
    pub(super) fn path(&self, stack: u32) -> Vec<&str> {
        let caller = |stack: &u32| self.stacks.get(*stack as usize).and_then(|stack| stack.caller);
        let mut path: Vec<&str> = std::iter::successors(Some(stack), caller).map(|stack| self.name_of(stack)).collect();
        path.reverse();
        path
    }

    /// The name of a stack's innermost function.
    fn name_of(&self, stack: u32) -> &str {
        let name = self.stacks.get(stack as usize).and_then(|stack| self.names.get(stack.name as usize));
        name.map_or(OTHERS, |name| name)
    }

    /// All stacks in which something was used, and how much.
    pub(super) fn used(&self) -> impl Iterator<Item = (u32, Fuel)> {
        self.stacks
            .iter()
            .zip(0..)
            .filter(|(stack, _)| stack.fuel > Fuel::ZERO)
            .map(|(stack, number)| (number, stack.fuel))
    }

    /// A line for each stack: its functions, with semicolons between, and what was used. In the order of the texts, so that it does not
    /// depend on who came first.
    pub(super) fn folded(&self) -> Vec<String> {
        let line = |(stack, fuel): (u32, Fuel)| {
            let path: Vec<String> = self.path(stack).iter().map(|name| name.replace(';', ":")).collect();
            format!("{} {}", path.join(";"), fuel.0)
        };
        let mut lines: Vec<String> = self.used().map(line).collect();
        lines.sort_unstable();
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_has_one_number_and_its_fuel_adds_up() {
        let mut tree = Tree::new(false);
        let task = tree.task("a;b");
        let main = tree.called(task, "main");
        let (deep, again) = (tree.called(main, "f"), tree.called(main, "f"));
        assert_eq!(deep, again);
        tree.add(deep, Fuel(3));
        tree.add(again, Fuel(4));
        tree.add(main, Fuel(1));
        assert_eq!(tree.folded(), ["a:b;main 1", "a:b;main;f 7"]);
    }

    #[test]
    fn when_there_is_no_more_room_all_is_others() {
        let mut tree = Tree::new(false);
        let task = tree.task("task");
        for n in 0..2 * MOST_STACKS {
            let stack = tree.called(task, &n.to_string());
            tree.add(stack, Fuel(1));
        }
        assert_eq!(tree.stacks.len(), MOST_STACKS + 1);
        let others: Vec<_> = tree.folded().into_iter().filter(|line| line.starts_with(OTHERS)).collect();
        assert_eq!(others, [format!("(others) {}", MOST_STACKS + 1)]);
        assert_eq!(tree.used().map(|(_, fuel)| fuel.0).sum::<u64>(), 2 * MOST_STACKS as u64);
        // What is called in there stays there, and what is known is found.
        assert_eq!((tree.called(OTHER, "x"), tree.called(task, "7")), (OTHER, tree.called(task, "7")));
    }
}
