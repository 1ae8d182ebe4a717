//! What most policies are made of: a table with a row for each task, and a queue of the ready ones in the order of a key.

use crate::unit::TaskId;
use std::ops::{Index, IndexMut};

/// A policy's state of each task, by [`TaskId::index`], which is small and dense.
#[derive(Clone, Debug)]
pub struct Table<T>(Vec<Option<(TaskId, T)>>);

impl<T> Table<T> {
    /// No rows.
    #[must_use]
    pub const fn new() -> Table<T> {
        Table(Vec::new())
    }

    /// Puts in the row of a task, in place of the one that the task before it in the slot had.
    pub fn insert(&mut self, id: TaskId, row: T) {
        if id.index() >= self.0.len() {
            self.0.resize_with(id.index() + 1, || None);
        }
        self.0[id.index()] = Some((id, row));
    }

    /// Takes the row of a task out.
    pub fn remove(&mut self, id: TaskId) -> Option<T> {
        let place = self.0.get_mut(id.index())?;
        place.take_if(|(whose, _)| *whose == id).map(|(_, row)| row)
    }

    /// The row of a task.
    #[must_use]
    pub fn get(&self, id: TaskId) -> Option<&T> {
        let (whose, row) = self.0.get(id.index())?.as_ref()?;
        (*whose == id).then_some(row)
    }

    /// The row of a task, to be changed.
    pub fn get_mut(&mut self, id: TaskId) -> Option<&mut T> {
        let (whose, row) = self.0.get_mut(id.index())?.as_mut()?;
        (*whose == id).then_some(row)
    }

    /// The task in a slot, and its row.
    #[must_use]
    pub fn at(&self, slot: usize) -> Option<(TaskId, &T)> {
        let (id, row) = self.0.get(slot)?.as_ref()?;
        Some((*id, row))
    }

    /// All rows, in the order of the tasks' slots.
    pub fn iter(&self) -> impl Iterator<Item = (TaskId, &T)> {
        self.0.iter().flatten().map(|(id, row)| (*id, row))
    }
}

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table::new()
    }
}

/// The row of a task that is there.
///
/// # Panics
/// When it is not.
impl<T> Index<TaskId> for Table<T> {
    type Output = T;

    #[inline]
    fn index(&self, id: TaskId) -> &T {
        match &self.0[id.index()] {
            Some((_, row)) => row,
            None => no_row(id),
        }
    }
}

impl<T> IndexMut<TaskId> for Table<T> {
    #[inline]
    fn index_mut(&mut self, id: TaskId) -> &mut T {
        match &mut self.0[id.index()] {
            Some((_, row)) => row,
            None => no_row(id),
        }
    }
}

/// Stops a policy that speaks of a task it was not told of.
#[cold]
fn no_row(id: TaskId) -> ! {
    panic!("the policy was never told of task {id}")
}

/// No position.
const NOWHERE: u32 = u32::MAX;

/// Tasks in the order of their keys, the smallest first: a binary heap that knows where each task is, so that any of them can be taken out.
/// Entering and taking are O(log n), looking at the first is O(1), and nothing is allocated once the largest number of tasks has been seen.
///
/// Tasks with equal keys come in no particular order: let the key end in a number that counts arrivals.
#[derive(Clone, Debug)]
pub struct ReadyQueue<K> {
    /// The heap: no entry is smaller than the one at `(position - 1) / 2`.
    heap: Vec<(K, TaskId)>,
    /// The position of each task in it, by slot.
    positions: Vec<u32>,
}

impl<K: Ord + Copy> ReadyQueue<K> {
    /// Nobody.
    #[must_use]
    pub const fn new() -> ReadyQueue<K> {
        ReadyQueue { heap: Vec::new(), positions: Vec::new() }
    }

    /// How many tasks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// The first task, and its key.
    #[must_use]
    pub fn first(&self) -> Option<(K, TaskId)> {
        self.heap.first().copied()
    }

    /// The first three tasks, in their order. What [`Policy::upcoming`](super::Policy::upcoming) asks for, found in the first seven entries.
    #[must_use]
    pub fn first_three(&self) -> [Option<TaskId>; 3] {
        let earlier = |a: usize, b: usize| match (self.heap.get(a), self.heap.get(b)) {
            (Some(one), Some(other)) if other.0 < one.0 => b,
            (None, _) => b,
            _ => a,
        };
        let second = earlier(1, 2);
        let children = earlier(2 * second + 1, 2 * second + 2);
        let third = earlier(3 - second, children);
        [0, second, third].map(|position| self.heap.get(position).map(|(_, id)| *id))
    }

    /// The key of a task that is in here.
    #[must_use]
    pub fn key(&self, id: TaskId) -> Option<K> {
        self.position(id).map(|position| self.heap[position].0)
    }

    /// Puts a task in, or gives the one that is in here another key.
    pub fn insert(&mut self, key: K, id: TaskId) {
        self.remove(id);
        if id.index() >= self.positions.len() {
            self.positions.resize(id.index() + 1, NOWHERE);
        }
        self.heap.push((key, id));
        self.rise(self.heap.len() - 1);
    }

    /// Takes the first task out.
    pub fn pop(&mut self) -> Option<(K, TaskId)> {
        let (key, id) = self.first()?;
        self.remove(id);
        Some((key, id))
    }

    /// Takes a task out; says whether it was in here.
    pub fn remove(&mut self, id: TaskId) -> bool {
        let Some(position) = self.position(id) else {
            return false;
        };
        self.positions[id.index()] = NOWHERE;
        self.heap.swap_remove(position);
        if position < self.heap.len() {
            // Whoever came here from the end may belong further up or further down.
            let position = self.rise(position);
            self.sink(position);
        }
        true
    }

    /// Where a task is.
    fn position(&self, id: TaskId) -> Option<usize> {
        let position = *self.positions.get(id.index())? as usize;
        self.heap.get(position).is_some_and(|(_, whose)| *whose == id).then_some(position)
    }

    /// Lets an entry up to where it belongs, and says where that is.
    fn rise(&mut self, mut position: usize) -> usize {
        let entry = self.heap[position];
        while position > 0 {
            let parent = (position - 1) / 2;
            if self.heap[parent].0 <= entry.0 {
                break;
            }
            self.put(position, self.heap[parent]);
            position = parent;
        }
        self.put(position, entry);
        position
    }

    /// Lets an entry down to where it belongs.
    fn sink(&mut self, mut position: usize) {
        let entry = self.heap[position];
        loop {
            let left = 2 * position + 1;
            let Some(right) = self.heap.get(left + 1) else {
                if left < self.heap.len() && self.heap[left].0 < entry.0 {
                    self.put(position, self.heap[left]);
                    position = left;
                }
                break;
            };
            let child = if right.0 < self.heap[left].0 { left + 1 } else { left };
            if self.heap[child].0 >= entry.0 {
                break;
            }
            self.put(position, self.heap[child]);
            position = child;
        }
        self.put(position, entry);
    }

    /// Puts an entry at a position.
    fn put(&mut self, position: usize, entry: (K, TaskId)) {
        self.heap[position] = entry;
        self.positions[entry.1.index()] = position as u32;
    }
}

impl<K: Ord + Copy> Default for ReadyQueue<K> {
    fn default() -> ReadyQueue<K> {
        ReadyQueue::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_an_ordered_set(deeds in prop::collection::vec((0..4_u8, 0..20_u32, 0..50_u64), 0..300)) {
            let mut queue = ReadyQueue::new();
            let mut model: BTreeSet<(u64, TaskId)> = BTreeSet::new();
            for (deed, index, key) in deeds {
                let id = TaskId::new(index, 0);
                match deed {
                    0 | 1 => {
                        model.retain(|(_, whose)| *whose != id);
                        model.insert((key, id));
                        queue.insert(key, id);
                    }
                    2 => {
                        let there = model.iter().any(|(_, whose)| *whose == id);
                        model.retain(|(_, whose)| *whose != id);
                        prop_assert_eq!(queue.remove(id), there);
                    }
                    _ => {
                        let popped = queue.pop();
                        prop_assert_eq!(popped.map(|(key, _)| key), model.first().map(|(key, _)| *key));
                        if let Some(entry) = popped {
                            prop_assert!(model.remove(&entry));
                        }
                    }
                }
                prop_assert_eq!(queue.len(), model.len());
                let keys = queue.first_three().map(|id| id.and_then(|id| queue.key(id)));
                let mut first = model.iter().map(|(key, _)| *key);
                prop_assert_eq!(keys, [first.next(), first.next(), first.next()]);
                for (key, id) in &model {
                    prop_assert_eq!(queue.key(*id), Some(*key));
                }
            }
        }
    }

    #[test]
    fn the_row_of_the_task_before_is_no_row() {
        let mut table = Table::new();
        table.insert(TaskId::new(2, 0), 'a');
        assert_eq!(table.get(TaskId::new(2, 1)), None);
        table.insert(TaskId::new(2, 1), 'b');
        assert_eq!((table.remove(TaskId::new(2, 0)), table.remove(TaskId::new(2, 1))), (None, Some('b')));
    }
}
