//! Contestants that do not poll the library's futures: Wasmtime's epochs, which have no fuel, and Wasmi, an interpreter.

use crate::contestants::Contestant;
use crate::guests::{Guests, ROUND, check_room, started};
use fuelsched::Outcome;
use fuelsched::task::TaskFuture;
use std::task::{Context, Waker};

/// Guests that yield when an epoch is over, and whose next one is over at once: so each slice is one round of the guest's loop, as it is by fuel at
/// quantum 1. An epoch that is advanced before each poll would end no slice, because Wasmtime counts a deadline from when the guest goes on. Nobody
/// runs a ticker, whose slices would last a time and not a piece of work. Wasmtime's allocator is the one on demand.
pub(crate) struct Epochs {
    /// What is polled.
    futures: Vec<TaskFuture>,
    /// Polls so far.
    polls: u64,
}

impl Epochs {
    /// So many guests.
    pub(crate) fn new(guests: &Guests, tasks: usize, quantum: u64) -> Result<Epochs, String> {
        if quantum > ROUND {
            return Err("an epoch ends by the clock: there is no slice of so much work".into());
        }
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true).memory_init_cow(false);
        let engine = wasmtime::Engine::new(&config).map_err(|error| error.to_string())?;
        let module = wasmtime::Module::from_binary(&engine, &guests.binary()).map_err(|error| error.to_string())?;
        // What makes it yield at first is that its deadline is now.
        let one = || spin_by_epochs(&module);
        check_room(tasks, 0, one)?;
        Ok(Epochs { futures: started((0..tasks).map(|_| one()).collect())?, polls: 0 })
    }
}

/// One guest.
fn spin_by_epochs(module: &wasmtime::Module) -> TaskFuture {
    let module = module.clone();
    Box::pin(async move {
        let mut store = wasmtime::Store::new(module.engine(), ());
        store.set_epoch_deadline(0);
        store.epoch_deadline_async_yield_and_update(0);
        let instance = wasmtime::Instance::new_async(&mut store, &module, &[]).await.expect("no imports");
        let spin = instance.get_func(&mut store, "spin").expect("the export");
        spin.call_async(&mut store, &[], &mut []).await.expect("an endless loop");
        Outcome::OutOfFuel
    })
}

impl Contestant for Epochs {
    fn run(&mut self, switches: u64) {
        let mut cx = Context::from_waker(Waker::noop());
        let turns = switches.div_ceil(self.futures.len() as u64);
        for _ in 0..turns {
            for future in &mut self.futures {
                assert!(future.as_mut().poll(&mut cx).is_pending(), "an endless loop ended");
            }
        }
        self.polls += turns * self.futures.len() as u64;
    }

    fn switches(&self) -> u64 {
        self.polls
    }
}

/// One of Wasmi's guests: its store, and its call, which has run out of fuel.
type Suspended = (wasmi::Store<()>, Option<wasmi::ResumableCallOutOfFuel>);

/// Resumable calls of Wasmi, in a loop that gives each fuel for as many rounds of its loop as a slice of the others has.
pub(crate) struct Wasmi {
    /// The guests.
    guests: Vec<Suspended>,
    /// Wasmi's fuel for a slice. It counts in its own way.
    fuel: u64,
    /// Slices so far.
    slices: u64,
}

impl Wasmi {
    /// So many guests.
    pub(crate) fn new(guests: &Guests, tasks: usize, quantum: u64) -> Result<Wasmi, String> {
        let mut config = wasmi::Config::default();
        config.consume_fuel(true).compilation_mode(wasmi::CompilationMode::Eager);
        let engine = wasmi::Engine::new(&config);
        let module = wasmi::Module::new(&engine, guests.binary()).map_err(|error| error.to_string())?;
        let guests: Result<Vec<Suspended>, wasmi::Error> = (0..tasks).map(|_| suspended(&engine, &module)).collect();
        let mut made = Wasmi { guests: guests.map_err(|error| error.to_string())?, fuel: 0, slices: 0 };
        made.fuel = made.round()? * quantum.div_ceil(ROUND);
        Ok(made)
    }

    /// What one round of the loop takes, in Wasmi's fuel: how much must be given for a slice that ends at the next round's beginning.
    fn round(&mut self) -> Result<u64, String> {
        let (store, call) = &mut self.guests[0];
        let needed = call.as_ref().map_or(1, wasmi::ResumableCallOutOfFuel::required_fuel);
        slice(store, call, needed).map_err(|error| error.to_string())?;
        Ok(call.as_ref().map_or(1, wasmi::ResumableCallOutOfFuel::required_fuel))
    }
}

/// A guest at its first yield point.
fn suspended(engine: &wasmi::Engine, module: &wasmi::Module) -> Result<Suspended, wasmi::Error> {
    let mut store = wasmi::Store::new(engine, ());
    store.set_fuel(64)?;
    let instance = wasmi::Linker::new(engine).instantiate_and_start(&mut store, module)?;
    let spin = instance.get_func(&store, "spin").expect("the export");
    store.set_fuel(1)?;
    let call = spin.call_resumable(&mut store, &[], &mut [])?;
    Ok((store, out_of_fuel(call)))
}

/// The call that has run out of fuel.
fn out_of_fuel(call: wasmi::ResumableCall) -> Option<wasmi::ResumableCallOutOfFuel> {
    match call {
        wasmi::ResumableCall::OutOfFuel(call) => Some(call),
        _ => None,
    }
}

/// One slice.
fn slice(
    store: &mut wasmi::Store<()>,
    call: &mut Option<wasmi::ResumableCallOutOfFuel>,
    fuel: u64,
) -> Result<(), wasmi::Error> {
    let suspended = call.take().expect("an endless loop");
    store.set_fuel(fuel.max(suspended.required_fuel()))?;
    *call = out_of_fuel(suspended.resume(store, &mut [])?);
    Ok(())
}

impl Contestant for Wasmi {
    fn run(&mut self, switches: u64) {
        let turns = switches.div_ceil(self.guests.len() as u64);
        for _ in 0..turns {
            for (store, call) in &mut self.guests {
                slice(store, call, self.fuel).expect("it only runs out of fuel");
            }
        }
        self.slices += turns * self.guests.len() as u64;
    }

    fn switches(&self) -> u64 {
        self.slices
    }
}
