//! The numbers by which a guest names what it has opened: small ones, from 0, the lowest that is free.

use super::call::GuestError;
use crate::channel::Channel;
use crate::join::Join;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a task has opened.
#[derive(Debug)]
pub(super) struct Handles {
    /// By number; `None` is free.
    all: Vec<Option<Handle>>,
    /// The numbers that are free.
    free: BTreeSet<usize>,
    /// The tasks that it has spawned, ended ones left out now and then.
    children: Vec<Join>,
    /// How many handles there can be.
    pub(super) at_most: usize,
    /// How many children can live.
    pub(super) children_at_most: usize,
}

/// One thing opened.
#[derive(Debug)]
enum Handle {
    /// A channel.
    Channel(Arc<Channel>),
    /// A task that it has spawned.
    Child(Join),
}

impl Handles {
    /// Nothing is open.
    pub(super) const fn new() -> Handles {
        Handles { all: Vec::new(), free: BTreeSet::new(), children: Vec::new(), at_most: 256, children_at_most: 64 }
    }

    /// Whether there is room for one more.
    pub(super) fn room(&self) -> Result<(), GuestError> {
        let open = self.all.len() - self.free.len();
        if open < self.at_most && open < i32::MAX as usize { Ok(()) } else { Err(GuestError::NoRoom) }
    }

    /// Whether there is room for one more child.
    pub(super) fn room_for_child(&mut self) -> Result<(), GuestError> {
        self.room()?;
        if self.children.len() >= self.children_at_most {
            self.children.retain(|child| child.ending().is_none());
        }
        if self.children.len() < self.children_at_most { Ok(()) } else { Err(GuestError::NoRoom) }
    }

    /// Enters a channel.
    pub(super) fn add_channel(&mut self, channel: Channel) -> Result<i32, GuestError> {
        self.add(Handle::Channel(Arc::new(channel)))
    }

    /// Enters a child.
    pub(super) fn add_child(&mut self, child: Join) -> Result<i32, GuestError> {
        self.children.push(child.clone());
        self.add(Handle::Child(child))
    }

    /// Enters something.
    fn add(&mut self, handle: Handle) -> Result<i32, GuestError> {
        self.room()?;
        let number = self.free.pop_first().unwrap_or(self.all.len());
        if number == self.all.len() {
            self.all.push(None);
        }
        self.all[number] = Some(handle);
        i32::try_from(number).map_err(|_| GuestError::NoRoom)
    }

    /// The channel with this number.
    pub(super) fn channel(&self, number: i32) -> Result<Arc<Channel>, GuestError> {
        match self.get(number)? {
            Handle::Channel(channel) => Ok(channel.clone()),
            Handle::Child(_) => Err(GuestError::BadHandle),
        }
    }

    /// The child with this number.
    pub(super) fn child(&self, number: i32) -> Result<Join, GuestError> {
        match self.get(number)? {
            Handle::Child(child) => Ok(child.clone()),
            Handle::Channel(_) => Err(GuestError::BadHandle),
        }
    }

    /// What has this number.
    fn get(&self, number: i32) -> Result<&Handle, GuestError> {
        let handle = usize::try_from(number).ok().and_then(|number| self.all.get(number));
        handle.and_then(Option::as_ref).ok_or(GuestError::BadHandle)
    }

    /// Closes the channel with this number, or lets go of the child; the number is free again.
    pub(super) fn close(&mut self, number: i32) -> Result<(), GuestError> {
        if let Handle::Channel(channel) = self.get(number)? {
            channel.close();
        }
        self.remove(number);
        Ok(())
    }

    /// Makes a number free.
    pub(super) fn remove(&mut self, number: i32) {
        let Ok(number) = usize::try_from(number) else {
            return;
        };
        if self.all.get_mut(number).and_then(Option::take).is_some() {
            self.free.insert(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Channels;

    #[test]
    fn the_lowest_free_number_is_taken_and_no_other_opens_anything() {
        let channels = Channels::default();
        let mut handles = Handles::new();
        handles.at_most = 3;
        let open = |handles: &mut Handles| handles.add_channel(channels.open("a", 1).unwrap());
        assert_eq!([open(&mut handles), open(&mut handles), open(&mut handles)], [Ok(0), Ok(1), Ok(2)]);
        assert_eq!(open(&mut handles), Err(GuestError::NoRoom));
        handles.close(1).unwrap();
        assert_eq!(handles.close(1), Err(GuestError::BadHandle));
        assert_eq!(open(&mut handles), Ok(1));
        for wrong in [-1, 3, i32::MIN, i32::MAX] {
            assert_eq!(handles.channel(wrong).map(drop), Err(GuestError::BadHandle));
            assert_eq!(handles.child(wrong).map(drop), Err(GuestError::BadHandle));
        }
        assert_eq!(handles.child(0).map(drop), Err(GuestError::BadHandle), "it is a channel");
    }
}
