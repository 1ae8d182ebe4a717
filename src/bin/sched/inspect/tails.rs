//! What a function may have used since the last yield point when it returns, over calls.
//!
//! Returning is no yield point. So the stretch that a caller goes on with began in the one it called, or in whom that one called last. For
//! each function `f` with its own longest way from a yield point to its return, `tail(f)`, and the longest way from behind each call to
//! its return, `rest`,
//!
//! ```text
//!   left(f) = max(tail(f), left(g) + rest(f → g) for each g that f calls)
//! ```
//!
//! which is the longest path in a graph with one edge for each pair of caller and called. A cycle in it is a recursion that comes back with no
//! yield point on the way: each level that returns adds to the stretch, and how many levels there are is a matter of the stack. Such
//! a cycle is one node here, what its levels add is kept apart, as fuel a level, and the longest path is found over what remains.
//!
//! An indirect call may reach every function of its type that something refers to; a node for each type stands for them.

use super::stretch::{Flow, Stretch, Way, longest};
use super::walk::Callee;

/// What was used since the last yield point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// Fuel, where no recursion returns.
    pub(super) fuel: u64,
    /// Fuel that each level of a recursion adds that returns; 0 if there is none.
    pub(super) a_level: u64,
}

impl Left {
    /// The most of both: an upper bound of each.
    fn or(self, other: Left) -> Left {
        Left { fuel: self.fuel.max(other.fuel), a_level: self.a_level.max(other.a_level) }
    }

    /// After so much more.
    fn and(self, fuel: u64) -> Left {
        Left { fuel: self.fuel.saturating_add(fuel), ..self }
    }
}

/// The longest stretches that end in a function, wherever they began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Longest {
    /// Without what bulk operations are charged for their lengths.
    pub(super) code: Stretch,
    /// With that, if there is any bulk operation.
    pub(super) bulk: Option<Stretch>,
    /// What each level of a recursion adds that returns.
    pub(super) a_level: u64,
}

/// An edge of the graph: who is called, and what is used from there to the return.
#[derive(Clone, Copy, Debug)]
struct Edge {
    /// Who.
    to: usize,
    /// Fuel.
    fuel: u64,
}

/// The graph of calls that are followed by a return. Its nodes are the functions that are not imported, and behind them the types.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calls<'a> {
    /// The functions.
    flows: &'a [Flow],
    /// How many are imported.
    imported: u32,
    /// For each type, the functions that an indirect call of it may reach.
    members: &'a [Vec<u32>],
}

impl<'a> Calls<'a> {
    /// The graph of these functions; `members` says for each type which of them an indirect call of it may reach.
    pub(super) fn new(flows: &'a [Flow], imported: u32, members: &'a [Vec<u32>]) -> Calls<'a> {
        Calls { flows, imported, members }
    }

    /// How many nodes there are.
    fn nodes(&self) -> usize {
        self.flows.len() + self.members.len()
    }

    /// The node of whom is called.
    fn node(&self, callee: Callee) -> usize {
        match callee {
            Callee::Function(function) => function.saturating_sub(self.imported) as usize,
            Callee::Any(ty) => self.flows.len() + ty as usize,
        }
    }

    /// How many edges begin at a node, those counted that are none.
    fn count(&self, node: usize) -> usize {
        match self.flows.get(node) {
            Some(flow) => flow.calls.len(),
            None => self.members[node - self.flows.len()].len(),
        }
    }

    /// One of them; `None`, if a yield point comes before the return.
    fn edge(&self, node: usize, i: usize) -> Option<Edge> {
        match self.flows.get(node) {
            Some(flow) => flow.calls[i].tail().map(|fuel| Edge { to: self.node(flow.calls[i].callee), fuel }),
            None => Some(Edge { to: self.members[node - self.flows.len()][i] as usize, fuel: 0 }),
        }
    }

    /// Those of a node.
    fn edges(&self, node: usize) -> impl Iterator<Item = Edge> + '_ {
        (0..self.count(node)).filter_map(move |i| self.edge(node, i))
    }

    /// What a function has used since the last yield point when it returns, for each function and each type.
    fn left(&self) -> Vec<Left> {
        let own = |node: usize| self.flows.get(node).and_then(|flow| flow.tail).map_or(0, |tail| tail.fuel);
        let mut left: Vec<Left> = (0..self.nodes()).map(|node| Left { fuel: own(node), a_level: 0 }).collect();
        let components = Components::of(self);
        for (number, group) in components.groups.iter().enumerate() {
            let mut most = Left::default();
            for &node in group {
                most = most.or(left[node]);
                for edge in self.edges(node) {
                    if components.of[edge.to] == number {
                        most.a_level = most.a_level.max(edge.fuel);
                    } else {
                        most = most.or(left[edge.to].and(edge.fuel));
                    }
                }
            }
            group.iter().for_each(|&node| left[node] = most);
        }
        left
    }

    /// The longest stretches that end in each function, and what each has left when it returns.
    pub(super) fn longest(&self) -> Vec<(Longest, Left)> {
        let left = self.left();
        (0..self.flows.len()).map(|node| (self.longest_of(node, &left), left[node])).collect()
    }

    /// The longest stretches that end in a function, or where it returns.
    fn longest_of(&self, node: usize, left: &[Left]) -> Longest {
        let (flow, own) = (&self.flows[node], left[node]);
        let returning = Stretch { fuel: own.fuel, from: None, to: None };
        let code = longest(longest(flow.code, flow.tail), Some(returning)).unwrap_or_default();
        let mut most = Longest { code, bulk: flow.bulk, a_level: own.a_level };
        for call in &flow.calls {
            let (ahead, before) = (call.ahead(), left[self.node(call.callee)]);
            let stretch = |way: Way| Stretch { fuel: before.and(way.fuel).fuel, from: None, to: Some(way.to) };
            most.code = longest(Some(most.code), ahead.code.map(stretch)).unwrap_or_default();
            most.bulk = longest(most.bulk, ahead.bulk.map(stretch));
            most.a_level = most.a_level.max(before.a_level);
        }
        most
    }
}

/// The strongly connected components of the graph, by Tarjan's algorithm (SIAM Journal on Computing 1, 1972), with a list in place of recursion.
#[derive(Debug, Default)]
struct Components {
    /// The component of each node.
    of: Vec<usize>,
    /// The nodes of each component; those that it has edges to come before it.
    groups: Vec<Vec<usize>>,
    /// When each node was found; 0 if not yet.
    found: Vec<u32>,
    /// For each node, when the first was found that it leads to and that is in no component yet.
    low: Vec<u32>,
    /// How many were found.
    count: u32,
    /// The nodes that are in no component yet.
    stack: Vec<usize>,
    /// The nodes whose edges are being followed, and how many of them were.
    path: Vec<(usize, usize)>,
}

/// What is said of a node that is in no component yet.
const NOWHERE: usize = usize::MAX;

impl Components {
    /// Those of a graph.
    fn of(graph: &Calls<'_>) -> Components {
        let nodes = graph.nodes();
        let mut components = Components {
            of: vec![NOWHERE; nodes],
            found: vec![0; nodes],
            low: vec![0; nodes],
            ..Components::default()
        };
        for node in 0..nodes {
            if components.found[node] == 0 {
                components.find(node);
                while components.advance(graph) {}
            }
        }
        components
    }

    /// A node is found.
    fn find(&mut self, node: usize) {
        self.count += 1;
        (self.found[node], self.low[node]) = (self.count, self.count);
        self.stack.push(node);
        self.path.push((node, 0));
    }

    /// Follows the next edge of the last node on the path, or leaves it; says whether there is more to do.
    fn advance(&mut self, graph: &Calls<'_>) -> bool {
        let Some((node, next)) = self.path.last_mut() else {
            return false;
        };
        let (node, i) = (*node, *next);
        if i == graph.count(node) {
            self.leave(node);
            return true;
        }
        *next += 1;
        match graph.edge(node, i) {
            Some(edge) if self.found[edge.to] == 0 => self.find(edge.to),
            Some(edge) if self.of[edge.to] == NOWHERE => self.low[node] = self.low[node].min(self.found[edge.to]),
            _ => {}
        }
        true
    }

    /// All edges of a node were followed: it is the first of a component, or of that of the one before it on the path.
    fn leave(&mut self, node: usize) {
        self.path.pop();
        if let Some(&(before, _)) = self.path.last() {
            self.low[before] = self.low[before].min(self.low[node]);
        }
        if self.low[node] == self.found[node] {
            let first = self.stack.iter().rposition(|other| *other == node).unwrap_or(0);
            let group: Vec<usize> = self.stack.drain(first..).collect();
            group.iter().for_each(|member| self.of[*member] = self.groups.len());
            self.groups.push(group);
        }
    }
}
