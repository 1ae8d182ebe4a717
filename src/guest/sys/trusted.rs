//! The one line with which a program vouches for precompiled modules. No part of the library, whose functions for it are `unsafe`: the
//! binary, an example and the tests each take this file in as a module, so that `unsafe` is written in this folder and nowhere else.
#![allow(unsafe_code, reason = "somebody has to vouch for machine code")]

use fuelsched::{Engine, Module, Result};

/// Loads a precompiled module for whose origin whoever started this program vouches.
pub(crate) fn load_trusted(engine: &Engine, path: &str) -> Result<Module> {
    // SAFETY: the binary comes here by `--allow-precompiled` alone, whose help says what it means; the example is started with the file
    // that it is to trust, and says so; the tests have made the file, and what they change in it is caught by its checksum.
    unsafe { Module::from_precompiled_file(engine, path) }
}
