//! Finds out which Wasmtime this build runs guests with. Reports and digests name it, and Wasmtime does not export its version.
//!
//! The lock file that Cargo builds by says so: that of the workspace around the target directory, or else this package's own.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let dir = |name| env::var_os(name).map(PathBuf::from).unwrap_or_default();
    let (out, manifest) = (dir("OUT_DIR"), dir("CARGO_MANIFEST_DIR"));
    let mut candidates = out.ancestors().chain([manifest.as_path()]);
    let found = candidates.find_map(|dir| locked_version(&dir.join("Cargo.lock")));
    println!("cargo::rustc-env=FUELSCHED_WASMTIME_VERSION={}", found.as_deref().unwrap_or("48"));
}

/// The version of `wasmtime` in a lock file.
fn locked_version(lock: &Path) -> Option<String> {
    let text = fs::read_to_string(lock).ok()?;
    println!("cargo::rerun-if-changed={}", lock.display());
    let (_, after) = text.split_once("name = \"wasmtime\"\nversion = \"")?;
    let (version, _) = after.split_once('"')?;
    Some(version.to_string())
}
