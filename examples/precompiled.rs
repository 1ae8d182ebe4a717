//! A host without a compiler: it runs a module that was compiled before, somewhere else.
//!
//! ```text
//! cargo run -- compile wasm/fib.wat -o /tmp/fib.cwasm
//! cargo run --no-default-features --example precompiled /tmp/fib.cwasm
//! ```
//!
//! A precompiled module is machine code. This program takes any file that it is given for one, so **start it with files that you made
//! yourself**. It calls `Module::from_precompiled_file` through a function that is all of the file named below; a program of your own
//! writes `unsafe { Module::from_precompiled_file(&engine, path) }` in a place where it knows why that is right.

#[path = "../src/guest/sys/trusted.rs"]
mod trusted;

use fuelsched::policy::RoundRobin;
use fuelsched::{Engine, EngineConfig, ErrorKind, Executor, Fuel, Module, Result, Value};
use trusted::load_trusted;

fn main() -> Result<()> {
    let engine = Engine::new(&EngineConfig::default())?;
    match std::env::args().nth(1) {
        Some(path) => run(&load_trusted(&engine, &path)?),
        None => without_a_file(&engine),
    }
}

/// Calls `main(20)`.
fn run(module: &Module) -> Result<()> {
    let mut sched = Executor::builder().policy(RoundRobin::new(Fuel(1_000))).build();
    let task = sched.spawn(module.call("main", &[Value::I32(20)]))?;
    sched.run();
    println!("{}: main(20): {:?}", module.name(), sched.take_outcome(task));
    Ok(())
}

/// Says what a module in text comes to in this build.
fn without_a_file(engine: &Engine) -> Result<()> {
    match Module::from_bytes(engine, "text", "(module)") {
        Ok(_) => println!("this build has a compiler; give it a precompiled file to see that it can do without"),
        Err(error) if matches!(error.kind(), ErrorKind::NoCompiler { .. }) => println!("{error}"),
        Err(error) => return Err(error),
    }
    Ok(())
}
