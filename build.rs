//! Finds out which Wasmtime this build runs guests with, and which compiler builds it. Reports and digests name it, and Wasmtime does not export its version.
//!
//! The lock file that Cargo builds by says so: that of the workspace around the target directory, or else this package's own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=FUELSCHED_RUSTC={}", compiler().as_deref().unwrap_or("rustc of unknown version"));
    let dir = |name| env::var_os(name).map(PathBuf::from).unwrap_or_default();
    let (out, manifest) = (dir("OUT_DIR"), dir("CARGO_MANIFEST_DIR"));
    let mut candidates = out.ancestors().chain([manifest.as_path()]);
    let found = candidates.find_map(|dir| locked_version(&dir.join("Cargo.lock")));
    println!("cargo::rustc-env=FUELSCHED_WASMTIME_VERSION={}", found.as_deref().unwrap_or("48"));
}

/// What the compiler says of itself: `rustc 1.95.0`, without the commit.
fn compiler() -> Option<String> {
    let output = Command::new(env::var_os("RUSTC")?).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

/// The version of `wasmtime` in a lock file.
fn locked_version(lock: &Path) -> Option<String> {
    let text = fs::read_to_string(lock).ok()?;
    println!("cargo::rerun-if-changed={}", lock.display());
    let (_, after) = text.split_once("name = \"wasmtime\"\nversion = \"")?;
    let (version, _) = after.split_once('"')?;
    Some(version.to_string())
}
