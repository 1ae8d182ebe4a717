//! The exact ledger: fuel is read when a guest is left and granted when it is entered again, through Wasmtime's call hook.
//!
//! While a task is suspended its future holds the store, so nobody outside can read or write its fuel. The hook can:
//!
//! ```text
//!   guest                     Wasmtime                      hook                          executor
//!   ───────────────────────────────────────────────────────────────────────────────────────────────
//!   fuel runs out ─────────►  out_of_gas ── CallingHost ─►  reads the fuel, records it
//!                             refuels, returns Pending ──────────────────────────────────► charges, picks …
//!                             the fiber goes on  ◄──────────────────────────────────────── begin(grant), poll
//!   goes on  ◄──────────────  ReturningFromHost ─────────►  a new slice: sets the interval
//! ```
//!
//! It is not a hook on fuel, though: it fires just the same around imports, `memory.grow` and others, where the guest may still hold
//! its counter in a register, to overwrite whatever is written here. So:
//!
//! * **Reading** is always harmless. Where the counter is stale, a later reading corrects it before anybody looks: the executor looks
//!   only when a poll has ended, and a poll ends at a yield (the counter was just written back) or with the call.
//! * **Writing** happens in one place, [`on_event`], and only when a slice has begun since the guest was left, or a host function has charged
//!   something: then it was left by a yield or for a host function, with its counter written back, and reads the counter again when it goes on.
//! * A future that is dropped unwinds its fiber, and the hook fires on the way. No slice has begun, so it writes nothing.

use super::exports::Exports;
use super::inspect::Inspector;
use super::limits::{Limiter, Limits};
use crate::control::Mailbox;
use crate::ledger::Meter;
use crate::unit::Fuel;
use std::sync::Arc;
use wasmtime::{CallHook, Store, StoreContextMut};

/// What a store is filled with. A guest could not use it up in a century; its budget is the ledger's affair.
const TANK: u64 = 1 << 62;

/// What lives in each task's store: the library's own state, and the embedder's data.
#[derive(Debug)]
pub struct HostState<D = ()> {
    /// The embedder's data: what host functions find in `caller.data_mut().data`.
    pub data: D,
    /// Where the fuel is recorded; another one for each call on an instance that stays.
    meter: Arc<Meter>,
    /// The slice in which the guest was left.
    left_in: u64,
    /// The interval that Wasmtime has been given.
    interval: Fuel,
    /// Whether the engine counts fuel.
    metered: bool,
    /// Whether the hook is the one of inspectable tasks.
    inspectable: bool,
    /// Memory, tables and instances.
    limiter: Limiter,
}

impl<D> HostState<D> {
    /// The meter of the task whose call this is: what host functions charge, wait and spawn by.
    #[must_use]
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Whether a slice has begun since the guest was left.
    pub(super) fn slice_has_begun(&self) -> bool {
        self.meter.slice() != self.left_in
    }

    /// Where the host's commands come in, if the present call is inspectable.
    pub(super) fn mailbox(&self) -> Option<&Mailbox> {
        self.meter.mailbox()
    }
}

/// A store for one guest, with hook and limits in place.
pub(super) fn new_store<D: Send + 'static>(engine: &super::Engine, data: D, limits: Limits) -> Store<HostState<D>> {
    let state = HostState {
        data,
        meter: Arc::default(),
        left_in: 0,
        interval: Fuel::ZERO,
        metered: engine.metering(),
        inspectable: false,
        limiter: Limiter::new(limits),
    };
    let mut store = Store::new(engine.wasmtime(), state);
    store.limiter(|state| &mut state.limiter);
    if engine.metering() {
        store.call_hook(on_event);
    }
    store
}

/// Begins a call: fills the tank, and gives the first slice its grant. Not called while a guest is on the stack.
pub(super) fn begin<D: 'static>(store: &mut Store<HostState<D>>, meter: Arc<Meter>) -> wasmtime::Result<()> {
    let (slice, grant) = (meter.slice(), meter.grant().max(Fuel(1)));
    let state = store.data_mut();
    meter.set_store((&raw const *state).addr());
    state.meter = meter;
    state.left_in = slice;
    state.interval = grant;
    if store.data().metered {
        store.fuel_async_yield_interval(Some(grant.0))?;
        store.set_fuel(TANK)?;
    }
    Ok(())
}

/// Puts the kind of hook in that the present call asks for, now that there is an instance. Not called while a guest is on the stack.
///
/// A guest that is not metered is never left in the middle, so there is nothing to inspect it for, and no hook.
pub(super) fn attend<D: Send + 'static>(store: &mut Store<HostState<D>>, exports: impl FnOnce() -> Exports) {
    let state = store.data();
    let inspectable = state.mailbox().is_some();
    if !state.metered || inspectable == state.inspectable {
        return;
    }
    store.data_mut().inspectable = inspectable;
    if inspectable {
        store.call_hook_async(Inspector::new(exports()));
    } else {
        store.call_hook(on_event);
    }
}

/// Ends a call, however it ended: records the fuel as it now stands.
pub(super) fn end<D: 'static>(store: &Store<HostState<D>>) {
    if let Ok(left) = store.get_fuel() {
        let meter = &store.data().meter;
        // A host function that ended the guest has charged it all the same.
        meter.record(Fuel(TANK - left.min(TANK)).plus(meter.take_owed()));
    }
}

/// Called by Wasmtime whenever control passes between guest and host.
pub(super) fn on_event<D: 'static>(mut cx: StoreContextMut<'_, HostState<D>>, event: CallHook) -> wasmtime::Result<()> {
    match event {
        CallHook::CallingHost => {
            let left = cx.get_fuel()?;
            let here = 0_u8;
            let state = cx.data_mut();
            state.meter.set_stack((&raw const here).addr());
            state.left_in = state.meter.slice();
            state.meter.record(Fuel(TANK - left.min(TANK)));
        }
        CallHook::ReturningFromHost => {
            let state = cx.data_mut();
            if state.meter.is_unsettled() {
                return settle_up(cx);
            }
            if !state.slice_has_begun() {
                return Ok(());
            }
            state.left_in = state.meter.slice();
            let grant = state.meter.grant().max(Fuel(1));
            // Wasmtime has refuelled with the interval that it has; the same again need not be said.
            if grant != state.interval {
                state.interval = grant;
                cx.fuel_async_yield_interval(Some(grant.0))?;
            }
        }
        // A host function calls a guest back. What it has charged is settled now, where the fuel is exact, and not where the guest calls next.
        CallHook::CallingWasm => {
            if cx.data().meter.is_unsettled() {
                return settle_up(cx);
            }
        }
        CallHook::ReturningFromWasm => {}
    }
    Ok(())
}

/// Takes what host functions have charged off the guest's fuel, and leaves it the rest of its slice: at least 1, so that a guest whose slice is
/// used up is preempted at its next yield point. After a wait the slice is another one than that in which the guest was left.
#[cold]
fn settle_up<D: 'static>(mut cx: StoreContextMut<'_, HostState<D>>) -> wasmtime::Result<()> {
    let owed = cx.data().meter.take_owed();
    let left = cx.get_fuel()?.saturating_sub(owed.0);
    let state = cx.data_mut();
    state.left_in = state.meter.slice();
    state.meter.record(Fuel(TANK - left.min(TANK)));
    let rest = state.meter.grant().minus(state.meter.used_in_slice()).max(Fuel(1));
    state.interval = rest;
    cx.fuel_async_yield_interval(Some(rest.0))?;
    cx.set_fuel(left)
}
