//! The tests of the whole, in one binary, because each binary links Wasmtime anew.

mod allocation;
mod bench_guests;
#[cfg(feature = "host")]
mod channels;
mod control;
#[cfg(feature = "debug")]
mod debug;
mod dense;
mod executor;
mod fairness;
mod guests;
#[cfg(feature = "host")]
mod host_functions;
#[cfg(all(feature = "host", feature = "wasi"))]
mod hundred;
mod inspect;
mod instances;
mod ledger;
mod modules;
mod pace;
mod policies;
mod replay;
mod supervisor;
mod support;
mod trace;
mod waiting;
#[cfg(all(feature = "wasi", unix))]
mod wasi;
mod workers;

// The binary, and what the documents say of it.
#[cfg(feature = "cli")]
mod bench;
#[cfg(feature = "cli")]
mod binary;
#[cfg(feature = "cli")]
mod browser;
#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "cli")]
mod compare;
#[cfg(feature = "cli")]
mod docs;
#[cfg(feature = "cli")]
mod hostile;
#[cfg(feature = "cli")]
mod html;
#[cfg(feature = "cli")]
mod inspect_command;
#[cfg(feature = "cli")]
mod lab;
#[cfg(feature = "cli")]
mod plan;
#[cfg(feature = "cli")]
mod precompiled;
#[cfg(feature = "cli")]
mod profile;
#[cfg(feature = "cli")]
mod recording;
#[cfg(feature = "cli")]
mod step;
#[cfg(feature = "cli")]
mod traces;
#[cfg(feature = "cli")]
mod wasi_programs;
#[cfg(feature = "cli")]
mod workers_command;
#[cfg(feature = "cli")]
mod world;
