//! The tests of the whole, in one binary, because each binary links Wasmtime anew.

mod allocation;
mod control;
mod executor;
mod fairness;
mod guests;
mod inspect;
mod instances;
mod ledger;
mod modules;
mod pace;
mod policies;
mod replay;
mod supervisor;
mod support;
mod waiting;

// The binary, and what the documents say of it.
#[cfg(feature = "cli")]
mod binary;
#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "cli")]
mod compare;
#[cfg(feature = "cli")]
mod docs;
#[cfg(feature = "cli")]
mod hostile;
#[cfg(feature = "cli")]
mod plan;
#[cfg(feature = "cli")]
mod recording;
