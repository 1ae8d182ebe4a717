//! One call from a guest: its memory looked up, its arguments checked, its fuel charged.
//!
//! A call may wait, and the guest's memory is looked up anew afterwards: nothing of it is held across a wait. An address that was good before is
//! good after it, because a memory never shrinks.

use super::super::hook::HostState;
use super::Host;
use crate::channel::{Channel, ChannelError};
use crate::join::Join;
use crate::ledger::Meter;
use crate::unit::Fuel;
use std::sync::Arc;
use wasmtime::{Caller, Extern, Memory};

/// What can be wrong with a call, as the guest is told: the number is what the function returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(i32)]
pub enum GuestError {
    /// The channel is closed, and there is nothing left in it to receive.
    Closed = -1,
    /// There is nothing to receive, or no room to send, without waiting.
    WouldBlock = -2,
    /// There is no such handle, or it is one of another kind.
    BadHandle = -3,
    /// The bytes are not all in the guest's memory, or it exports none as `memory`.
    BadAddress = -4,
    /// A name, a message, a capacity or a number of arguments is above its limit; or a message above the room for it.
    TooLarge = -5,
    /// A limit on how much there may be at a time is reached.
    NoRoom = -6,
    /// Nobody has allowed to spawn that.
    NotAllowed = -7,
    /// A name is empty or no UTF-8, a capacity is below 1, or arguments do not fit.
    Invalid = -8,
}

impl From<ChannelError> for GuestError {
    fn from(error: ChannelError) -> GuestError {
        match error {
            ChannelError::Closed => GuestError::Closed,
            ChannelError::WouldBlock | ChannelError::TimedOut => GuestError::WouldBlock,
            ChannelError::TooLarge => GuestError::TooLarge,
            ChannelError::NoRoom => GuestError::NoRoom,
            ChannelError::Invalid => GuestError::Invalid,
        }
    }
}

/// What a call returns to its guest.
pub(super) fn answer(result: Result<i32, GuestError>) -> i32 {
    result.unwrap_or_else(|error| error as i32)
}

/// A length, as a guest is told it.
pub(super) fn length(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

/// Some of the guest's memory: an address and a length, as the guest gives them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// The memory.
    memory: Memory,
    /// The first byte.
    start: usize,
    /// The one after the last.
    end: usize,
}

/// A call, under way.
pub(super) struct Call<'a, D: 'static> {
    /// The guest, stopped in it.
    caller: Caller<'a, HostState<D>>,
    /// Where in the embedder's data the task's own is.
    get: fn(&mut D) -> &mut Host,
}

impl<'a, D: 'static> Call<'a, D> {
    /// A call, the price of any call paid.
    pub(super) fn new(mut caller: Caller<'a, HostState<D>>, get: fn(&mut D) -> &mut Host) -> Call<'a, D> {
        let price = get(&mut caller.data_mut().data).costs.call;
        caller.data().meter().charge(price);
        Call { caller, get }
    }

    /// What the task has of this module.
    pub(super) fn host(&mut self) -> &mut Host {
        (self.get)(&mut self.caller.data_mut().data)
    }

    /// The task's meter.
    pub(super) fn meter(&self) -> &Arc<Meter> {
        self.caller.data().meter()
    }

    /// Charges for bytes moved.
    pub(super) fn charge_bytes(&mut self, bytes: usize) {
        let costs = self.host().costs;
        self.meter().charge(costs.moving(bytes).minus(costs.call));
    }

    /// Charges for spawning.
    pub(super) fn charge_spawn(&mut self) {
        let price: Fuel = self.host().costs.spawn;
        self.meter().charge(price);
    }

    /// The channel with this handle.
    pub(super) fn channel(&mut self, handle: i32) -> Result<Arc<Channel>, GuestError> {
        self.host().handles.channel(handle)
    }

    /// The child with this handle.
    pub(super) fn child(&mut self, handle: i32) -> Result<Join, GuestError> {
        self.host().handles.child(handle)
    }

    /// So many bytes of memory, all of which are there.
    pub(super) fn span(&mut self, address: u32, bytes: u64) -> Result<Span, GuestError> {
        let Some(Extern::Memory(memory)) = self.caller.get_export("memory") else {
            return Err(GuestError::BadAddress);
        };
        let end = u64::from(address).checked_add(bytes).and_then(|end| usize::try_from(end).ok());
        let end = end.filter(|end| *end <= memory.data_size(&self.caller)).ok_or(GuestError::BadAddress)?;
        Ok(Span { memory, start: address as usize, end })
    }

    /// What is there.
    pub(super) fn read(&self, span: Span) -> Result<&[u8], GuestError> {
        span.memory.data(&self.caller).get(span.start..span.end).ok_or(GuestError::BadAddress)
    }

    /// Writes at the beginning of a span; what does not fit is left out.
    pub(super) fn write(&mut self, span: Span, bytes: &[u8]) -> Result<(), GuestError> {
        let room =
            span.memory.data_mut(&mut self.caller).get_mut(span.start..span.end).ok_or(GuestError::BadAddress)?;
        room.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Ok(())
    }

    /// A name, of at most so many bytes.
    pub(super) fn name(&mut self, address: u32, bytes: u32, at_most: usize) -> Result<String, GuestError> {
        let span = self.span(address, bytes.into())?;
        if bytes as usize > at_most {
            return Err(GuestError::TooLarge);
        }
        self.charge_bytes(bytes as usize);
        match std::str::from_utf8(self.read(span)?) {
            Ok(name) if !name.is_empty() => Ok(name.into()),
            _ => Err(GuestError::Invalid),
        }
    }
}
