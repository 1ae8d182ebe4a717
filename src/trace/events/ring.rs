//! The latest events, in bounded memory.

use super::{Happened, Names, Sink};

/// Keeps so many events, and counts those that had to go, the oldest first.
#[derive(Clone, Debug)]
pub struct Ring {
    /// The events; once all room is taken, the oldest is at `next`.
    events: Vec<Happened>,
    /// How many there is room for.
    capacity: usize,
    /// Where the next one goes, once all room is taken.
    next: usize,
    /// How many had to go.
    dropped: u64,
}

impl Ring {
    /// Room for so many events, of [`Ring::EVENT`] bytes each. The room is taken as they come.
    #[must_use]
    pub const fn new(capacity: usize) -> Ring {
        Ring { events: Vec::new(), capacity, next: 0, dropped: 0 }
    }

    /// Bytes of an event.
    pub const EVENT: usize = size_of::<Happened>();

    /// The events, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Happened> {
        let (late, early) = self.events.split_at(self.next);
        early.iter().chain(late)
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// How many there is room for.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many had to go, exactly: they came before all that are there.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Forgets all events; those that had to go stay counted.
    pub fn clear(&mut self) {
        self.events.clear();
        self.next = 0;
    }
}

impl Sink for Ring {
    #[inline]
    fn take(&mut self, event: &Happened, _names: &Names) {
        if self.events.len() < self.capacity {
            self.events.push(*event);
            return;
        }
        self.dropped += 1;
        if let Some(oldest) = self.events.get_mut(self.next) {
            *oldest = *event;
            self.next += 1;
            if self.next == self.capacity {
                self.next = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::What;
    use super::*;
    use crate::unit::Fuel;

    #[test]
    fn the_oldest_go_first_and_are_counted() {
        for (capacity, kept) in [(0, 0..0), (1, 6..7), (3, 4..7), (7, 0..7), (8, 0..7)] {
            let (mut ring, names) = (Ring::new(capacity), Names::new());
            for at in 0..7 {
                ring.take(&Happened { at: Fuel(at), time: 0, what: What::Idle { until: Fuel(at + 1) } }, &names);
            }
            let seen: Vec<u64> = ring.iter().map(|event| event.at.0).collect();
            assert_eq!(seen, kept.clone().collect::<Vec<_>>(), "room for {capacity}");
            assert_eq!(ring.dropped(), kept.start.max(7 * u64::from(capacity == 0)));
            ring.clear();
            assert!(ring.is_empty());
            ring.take(&Happened { at: Fuel(9), time: 0, what: What::Idle { until: Fuel(9) } }, &names);
            assert_eq!(ring.len(), capacity.min(1));
        }
    }
}
