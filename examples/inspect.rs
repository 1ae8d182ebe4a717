//! A guest that is suspended in the middle of a loop, looked into, and changed.
//!
//! ```text
//! cargo run --example inspect
//! ```

use fuelsched::policy::RoundRobin;
use fuelsched::{Engine, EngineConfig, Executor, Fuel, Module, Result, TaskId, Value};

/// The 32-bit number at the beginning of the guest's memory.
fn count(sched: &mut Executor<RoundRobin>, id: TaskId) -> Result<u32> {
    let mut bytes = [0; 4];
    sched.read_memory(id, "memory", 0, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn main() -> Result<()> {
    let engine = Engine::new(&EngineConfig::default())?;
    let module = Module::from_file(&engine, concat!(env!("CARGO_MANIFEST_DIR"), "/wasm/inspect.wat"))?;
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(1_000))).build();
    let id = sched.spawn(module.call("main", &[]).inspectable())?;

    // One slice: a hundred rounds of its loop, one at a time.
    let _ = sched.step();
    println!("suspended: it has counted to {}, by {}", count(&mut sched, id)?, sched.global(id, "step")?);
    sched.set_global(id, "step", Value::I32(1_000))?;
    println!("changed:   still {}, now by {}", count(&mut sched, id)?, sched.global(id, "step")?);

    let _ = sched.step();
    println!("suspended: it has counted to {}", count(&mut sched, id)?);
    sched.write_memory(id, "memory", 4, &42_u32.to_le_bytes())?;

    sched.run();
    println!("ended:     it {}", sched.take_outcome(id).expect("it has ended"));
    Ok(())
}
