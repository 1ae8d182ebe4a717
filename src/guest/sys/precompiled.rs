//! Loading machine code that was compiled before.
#![allow(unsafe_code, reason = "what a file says is taken for machine code, and nothing can check machine code")]

use crate::error::Result;
use crate::guest::artifact;
use crate::guest::engine::Engine;
use crate::guest::module::{Module, read_file, wasmtime_says};
use std::path::Path;

impl Module {
    /// Loads a module that [`Module::precompile`] or `sched compile` made; needs no compiler, and a small part of the time.
    /// The name is for messages.
    ///
    /// # Safety
    /// The bytes are machine code that runs in this process with nothing between. They have to be, unchanged, what `precompile` made
    /// and what has been out of reach of anybody you would not let write your program's own executable. The checks here find accidents
    /// (another version, another machine, a file cut off or damaged), not forgery: docs/precompiled.md.
    ///
    /// # Errors
    /// [`ErrorKind::EmptyFile`](crate::ErrorKind::EmptyFile), [`ErrorKind::NotPrecompiled`](crate::ErrorKind::NotPrecompiled),
    /// [`ErrorKind::DamagedPrecompiled`](crate::ErrorKind::DamagedPrecompiled),
    /// [`ErrorKind::OtherEngine`](crate::ErrorKind::OtherEngine), which names the difference.
    pub unsafe fn from_precompiled(
        engine: &Engine,
        name: impl Into<String>,
        bytes: impl AsRef<[u8]>,
    ) -> Result<Module> {
        let name = name.into();
        let artifact = artifact::read(engine, &name, bytes.as_ref())?;
        // SAFETY: the caller vouches that the bytes are what `precompile` made, which is what Wasmtime made with a header before it. The
        // header is gone, and its checksum says that the rest is unchanged.
        let compiled = unsafe { wasmtime::Module::deserialize(engine.wasmtime(), artifact.code) };
        let compiled = compiled.map_err(|error| artifact::incompatible(&name, &wasmtime_says(&error)))?;
        #[cfg(feature = "digest")]
        let sha256 = artifact.sha256.into();
        Ok(Module::assemble(
            name,
            engine,
            compiled,
            #[cfg(feature = "digest")]
            sha256,
        ))
    }

    /// Loads a file that [`Module::precompile`] or `sched compile` made.
    ///
    /// # Safety
    /// As for [`Module::from_precompiled`], and the file's whole path is as safe from others as the file.
    ///
    /// # Errors
    /// [`ErrorKind::Read`](crate::ErrorKind::Read), [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge), and those of
    /// [`Module::from_precompiled`].
    pub unsafe fn from_precompiled_file(engine: &Engine, path: impl AsRef<Path>) -> Result<Module> {
        let (name, bytes) = read_file(path.as_ref())?;
        // SAFETY: the caller vouches for the file's content.
        unsafe { Module::from_precompiled(engine, name, bytes) }
    }
}
