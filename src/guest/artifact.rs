//! The form of a precompiled module: what it was made from, what it was made for, and whether it is whole.
//!
//! ```text
//!  offset  bytes  field, numbers little-endian
//!  ──────  ─────  ──────────────────────────────────────────────────────────────────────────
//!       0      8  magic: not UTF-8, and a line end that careless copying would change
//!       8      4  format, 1
//!      12      8  length of the whole, in bytes
//!      20      8  checksum of all that follows: FNV-1a of 64 bits
//!      28      …  four texts, each with its length in 2 bytes: SHA-256 of the module's binary form, in hexadecimal digits;
//!                 version of Wasmtime; architecture and system; settings that code is made by
//!       …      …  what Wasmtime makes, to the end
//! ```
//!
//! The checksum is against accidents, and nobody who writes such a file on purpose is stopped by one: see docs/precompiled.md. It is
//! not SHA-256, because a build that only loads modules need not have that. Each of its steps can be undone, so a change
//! of one byte never goes unnoticed.

use super::engine::{Engine, WASMTIME_VERSION};
use crate::error::{Error, ErrorKind, Result};
use std::env::consts::{ARCH, OS};

/// What each precompiled module begins with.
const MAGIC: [u8; 8] = *b"\x8fcwasm\r\n";

/// The form that is written and read.
const FORMAT: u32 = 1;

/// Where what the checksum is of begins.
#[cfg(all(feature = "cranelift", feature = "digest"))]
const COVERED: usize = 28;

/// A precompiled module that is whole, and made for this engine as far as its header says.
#[derive(Debug)]
pub(super) struct Artifact<'a> {
    /// SHA-256 of the module's binary form.
    #[cfg(feature = "digest")]
    pub(super) sha256: &'a str,
    /// What Wasmtime made.
    pub(super) code: &'a [u8],
}

/// Whether something begins as a precompiled module does.
pub(super) fn is_precompiled(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Puts what Wasmtime made into this form.
#[cfg(all(feature = "cranelift", feature = "digest"))]
pub(super) fn write(engine: &Engine, sha256: &str, code: &[u8]) -> Vec<u8> {
    let mut covered = Vec::with_capacity(code.len() + 256);
    for text in [sha256, WASMTIME_VERSION, &target(), &engine.code_settings()] {
        covered.extend((text.len() as u16).to_le_bytes());
        covered.extend(text.as_bytes());
    }
    covered.extend(code);
    let length = (COVERED + covered.len()) as u64;
    [&MAGIC[..], &FORMAT.to_le_bytes(), &length.to_le_bytes(), &checksum(&covered).to_le_bytes(), &covered].concat()
}

/// Reads the header, and refuses what is not whole or made for another engine.
pub(super) fn read<'a>(engine: &Engine, module: &str, bytes: &'a [u8]) -> Result<Artifact<'a>> {
    let mut rest = whole(module, bytes)?;
    let mut text = || take_text(&mut rest).ok_or_else(|| damaged(module, "its header does not say what it should"));
    let (sha256, version, made_for, settings) = (text()?, text()?, text()?, text()?);
    if sha256.len() != 64 || !sha256.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(damaged(module, "its header has no SHA-256"));
    }
    same(module, "by Wasmtime", version, WASMTIME_VERSION)?;
    same(module, "for", made_for, &target())?;
    same(module, "with", settings, &engine.code_settings())?;
    Ok(Artifact {
        #[cfg(feature = "digest")]
        sha256,
        code: rest,
    })
}

/// Why a precompiled module is not for this engine, and what to do.
pub(super) fn incompatible(module: &str, message: &str) -> Error {
    ErrorKind::OtherEngine { module: module.into(), message: message.into() }.into()
}

/// What the checksum is of, if it is right.
fn whole<'a>(module: &str, bytes: &'a [u8]) -> Result<&'a [u8]> {
    if bytes.is_empty() {
        return Err(ErrorKind::EmptyFile { module: module.into() }.into());
    }
    let Some(mut rest) = bytes.strip_prefix(&MAGIC) else {
        return Err(ErrorKind::NotPrecompiled { module: module.into() }.into());
    };
    let cut = || damaged(module, &format!("it is cut off after {} bytes", bytes.len()));
    let format = u32::from_le_bytes(take(&mut rest).ok_or_else(cut)?);
    if format != FORMAT {
        let message = format!("its format is {format}, and this build reads format {FORMAT}");
        return Err(incompatible(module, &message));
    }
    let length = u64::from_le_bytes(take(&mut rest).ok_or_else(cut)?);
    let sum = u64::from_le_bytes(take(&mut rest).ok_or_else(cut)?);
    if length != bytes.len() as u64 {
        return Err(damaged(module, &format!("it has {} bytes, and says that it has {length}", bytes.len())));
    }
    if sum != checksum(rest) {
        return Err(damaged(module, "its checksum is wrong"));
    }
    Ok(rest)
}

/// Checks one thing that the maker and this engine have to agree in.
fn same(module: &str, how: &str, theirs: &str, ours: &str) -> Result<()> {
    if theirs == ours {
        return Ok(());
    }
    // The checksum is right, but anybody can make one.
    let theirs: String = theirs.chars().take(80).flat_map(char::escape_default).collect();
    Err(incompatible(module, &format!("it was compiled {how} {theirs}, and this engine is {ours}")))
}

/// The file is not what was written.
fn damaged(module: &str, message: &str) -> Error {
    ErrorKind::DamagedPrecompiled { module: module.into(), message: message.into() }.into()
}

/// What machine code is for. Which instructions the processor has is Wasmtime's to check.
fn target() -> String {
    format!("{ARCH} {OS}")
}

/// The next bytes.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

/// The next text.
fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = u16::from_le_bytes(take(rest)?);
    let (text, after) = rest.split_at_checked(length.into())?;
    *rest = after;
    std::str::from_utf8(text).ok()
}

/// FNV-1a of 64 bits (Fowler, Noll and Vo).
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!([checksum(b""), checksum(b"foobar")], [0xcbf2_9ce4_8422_2325, 0x8594_4171_f739_67e8]);
    }

    #[cfg(all(feature = "cranelift", feature = "digest"))]
    mod forged {
        use super::*;
        use crate::guest::EngineConfig;

        /// A whole file with these four texts.
        fn made_of(texts: [&str; 4]) -> Vec<u8> {
            let mut covered = Vec::new();
            for text in texts {
                covered.extend((text.len() as u16).to_le_bytes());
                covered.extend(text.as_bytes());
            }
            let length = (COVERED + covered.len()) as u64;
            let sum = checksum(&covered).to_le_bytes();
            [&MAGIC[..], &FORMAT.to_le_bytes(), &length.to_le_bytes(), &sum, &covered].concat()
        }

        #[test]
        fn every_change_of_a_bit_and_every_cut_is_noticed() {
            let engine = Engine::new(&EngineConfig::default()).unwrap();
            let good = write(&engine, &"0".repeat(64), &[0x90; 300]);
            assert!(read(&engine, "m", &good).is_ok());
            for bit in 0..good.len() * 8 {
                let mut changed = good.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(read(&engine, "m", &changed).is_err(), "bit {bit}");
            }
            for length in 0..good.len() {
                assert!(read(&engine, "m", &good[..length]).is_err(), "{length} bytes");
            }
            assert!(read(&engine, "m", &[&good[..], b"\0"].concat()).is_err());
        }

        #[test]
        fn lengths_that_reach_past_the_end_are_noticed() {
            let engine = Engine::new(&EngineConfig::default()).unwrap();
            let mut file = made_of([&"0".repeat(64), "", "", ""]);
            file[COVERED..COVERED + 2].copy_from_slice(&u16::MAX.to_le_bytes());
            let sum = checksum(&file[COVERED..]).to_le_bytes();
            file[20..28].copy_from_slice(&sum);
            let error = read(&engine, "m", &file).unwrap_err().to_string();
            assert_eq!(error, "m: damaged precompiled module: its header does not say what it should");
        }

        #[test]
        fn each_difference_is_named() {
            let engine = Engine::new(&EngineConfig::default()).unwrap();
            let (hash, target, settings) = ("0".repeat(64), target(), engine.code_settings());
            let why = |texts| read(&engine, "m", &made_of(texts)).unwrap_err().to_string();
            let said = |what: &str| {
                format!("m: precompiled for another engine: {what}; compile it again, with `sched compile`")
            };
            assert_eq!(
                why([&hash, "1.2.3", &target, &settings]),
                said(&format!("it was compiled by Wasmtime 1.2.3, and this engine is {WASMTIME_VERSION}"))
            );
            assert_eq!(
                why([&hash, WASMTIME_VERSION, "vax vms\x1b", &settings]),
                said(&format!("it was compiled for vax vms\\u{{1b}}, and this engine is {target}"))
            );
            assert_eq!(
                why([&hash, WASMTIME_VERSION, &target, "metering off"]),
                said("it was compiled with metering off, and this engine is metering on")
            );
            let no_hash = why(["", WASMTIME_VERSION, &target, &settings]);
            assert_eq!(no_hash, "m: damaged precompiled module: its header has no SHA-256");
            assert!(read(&engine, "m", &made_of([&hash, WASMTIME_VERSION, &target, &settings])).is_ok());
        }
    }
}
