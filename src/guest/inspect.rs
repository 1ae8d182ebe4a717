//! The hook of an inspectable task: the exact ledger's, and in it the place where a guest is parked and answers.
//!
//! Wasmtime has two kinds of call hook. The asynchronous one may suspend the guest once more on its way back into its code, store in hand, and
//! this is what inspecting needs:
//!
//! ```text
//!   guest           Wasmtime                       hook                                            executor
//!   ────────────────────────────────────────────────────────────────────────────────────────────────────────
//!   out of fuel ──► out_of_gas ── CallingHost ──►  records the fuel, ① park()
//!                   refuels, returns Pending ────────────────────────────────────────────────────► …
//!                   the fiber goes on ◄────────────────────────────────────────────────────────────  ② ask, poll
//!                   ReturningFromHost ──────────►  no slice has begun, and there is a command:
//!                                                  Parked answers it ── Pending ─────────────────► takes the answer
//!                                                  Parked answers it ◄─ ② ─ ask, poll, as often as it likes
//!                                                  ③ Parked sees a new slice ◄──────────────────── begin(grant), poll
//!   goes on ◄─────  ◄────────────────────────────  unpark(), sets the interval
//! ```
//!
//! * Parked is left by ③ alone. In a control poll the guest's code is not reached.
//! * Without a command nobody is parked here: a guest that is not inspected goes on as any other, and so it does around imports, `memory.grow`
//!   and other calls into the host, where no slice has begun and there is no command, because a host asks only between polls.
//! * Between ① and ③ a guest's future is `Pending` at the yield, or in an import that waits. There a control poll would poll the import's future, so the
//!   import's wrapper says where the guest is ([`Mailbox::wait_in_host`](crate::control::Mailbox::wait_in_host)), and it is not asked.
//! * A future that is dropped while it is parked unwinds its fiber. Wasmtime does not call asynchronous hooks then.
//!
//! What it costs is Wasmtime's: it asks for a boxed future for each event, and polls it. The box is of something without a size, so nothing is
//! allocated, unless the guest is asked.

use super::exports::Exports;
use super::hook::{HostState, on_event};
use std::future::{Future, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use wasmtime::{AsContextMut, CallHook, CallHookHandler, StoreContextMut};

/// The hook, and what it answers with.
#[derive(Debug)]
pub(super) struct Inspector {
    /// The exports of the task's instance.
    exports: Exports,
}

impl Inspector {
    /// The hook for an instance with these exports.
    pub(super) fn new(exports: Exports) -> Inspector {
        Inspector { exports }
    }

    /// Does what every task's hook does, and keeps the mailbox's flag.
    fn pass<D: 'static>(cx: &mut StoreContextMut<'_, HostState<D>>, event: CallHook) -> wasmtime::Result<()> {
        on_event(cx.as_context_mut(), event)?;
        if let Some(mailbox) = cx.data().mailbox() {
            match event {
                CallHook::CallingHost => mailbox.park(),
                _ => mailbox.unpark(),
            }
        }
        Ok(())
    }

    /// Whether the guest stays where it is, to be asked.
    fn stays<D: 'static>(cx: &StoreContextMut<'_, HostState<D>>, event: CallHook) -> bool {
        let asked = || cx.data().mailbox().is_some_and(crate::control::Mailbox::has_command);
        matches!(event, CallHook::ReturningFromHost) && !cx.data().slice_has_begun() && asked()
    }
}

/// What an event comes to.
type Handled<'a> = Pin<Box<dyn Future<Output = wasmtime::Result<()>> + Send + 'a>>;

/// As `#[async_trait]` would write it.
impl<D: Send + 'static> CallHookHandler<HostState<D>> for Inspector {
    fn handle_call_event<'s, 'c, 'a>(
        &'s self,
        mut cx: StoreContextMut<'c, HostState<D>>,
        event: CallHook,
    ) -> Handled<'a>
    where
        's: 'a,
        'c: 'a,
        Self: 'a,
    {
        if Inspector::stays(&cx, event) {
            return Box::pin(Parked { exports: &self.exports, cx });
        }
        match Inspector::pass(&mut cx, event) {
            Ok(()) => Box::pin(Passed),
            Err(error) => Box::pin(ready(Err(error))),
        }
    }
}

/// An event at which there was nothing to wait for. It has no size, so a box of it is no allocation.
struct Passed;

impl Future for Passed {
    type Output = wasmtime::Result<()>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<wasmtime::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A guest that stays where it is until a slice begins, and answers one command in each poll until then.
struct Parked<'a, D: 'static> {
    /// What it answers with.
    exports: &'a Exports,
    /// The store.
    cx: StoreContextMut<'a, HostState<D>>,
}

impl<D: 'static> Future for Parked<'_, D> {
    type Output = wasmtime::Result<()>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<wasmtime::Result<()>> {
        let Parked { exports, cx } = self.get_mut();
        if cx.data().slice_has_begun() {
            return Poll::Ready(Inspector::pass(cx, CallHook::ReturningFromHost));
        }
        if let Some(command) = cx.data().mailbox().and_then(crate::control::Mailbox::command) {
            let answer = exports.serve(&mut *cx, &command);
            if let Some(mailbox) = cx.data().mailbox() {
                mailbox.give(answer);
            }
        }
        Poll::Pending
    }
}
