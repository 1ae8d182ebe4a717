//! The guests of `wasm/bench`: each returns what the same C returns natively, for the same fuel at any quantum, metered or not.

use crate::support::{QUANTA, UNPREEMPTED, alone, engine, i32s};
use fuelsched::{Engine, EngineConfig, Fuel, Module};
use std::path::PathBuf;

/// Each guest, how much it does here, and what it returns for that: printed by `wasm/bench/build.sh --native`, where the same sources
/// run without Wasm. The last is the fuel that it uses, which is part of the contract as long as the `.wasm` files stay as they are.
const GUESTS: [(&str, i32, i64, u64); 11] = [
    ("fib", 15, 610, 26_868),
    ("json", 2, 2_261_699_258_302_796_926, 2_009_836),
    ("lz", 8, -6_637_806_009_008_337_048, 1_061_175),
    ("matrix", 12, 220_544, 44_764),
    ("nbody", 50, -29_702_844_270, 79_470),
    ("search", 8, 3_508_437_237_007_901_654, 2_445_005),
    ("sha256", 4, -9_208_078_364_926_240_630, 576_855),
    ("sieve", 5_000, 669, 253_096),
    ("sort", 2_000, 5_784_418_444_007_855_599, 732_795),
    ("vm", 60, 1_438, 323_291),
    ("xxhash", 1, -7_793_522_406_915_811_065, 383_098),
];

/// `wasm/bench`.
fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "wasm", "bench"].iter().collect()
}

/// One of its guests.
fn load(engine: &Engine, name: &str) -> Module {
    Module::from_file(engine, folder().join(format!("{name}.wasm"))).expect("a guest of this repository loads")
}

/// What all of them return and use at one quantum.
fn all_at(quantum: u64) -> Vec<(&'static str, i32, i64, u64)> {
    let end_of = |(name, amount, ..): (&'static str, i32, i64, u64)| {
        let (ended, _) = alone(load(engine(), name).call("main", &i32s([amount])), quantum);
        assert!(ended.ledger.exact, "{name}");
        let outcome = ended.outcome.to_string();
        let returned = outcome.strip_prefix("returned ").expect("it returns").parse().expect("a number");
        (name, amount, returned, ended.ledger.used.0)
    };
    GUESTS.map(end_of).to_vec()
}

#[test]
fn each_returns_what_it_returns_natively_for_the_same_fuel_at_any_quantum() {
    for quantum in QUANTA.into_iter().chain([10_000, UNPREEMPTED]) {
        assert_eq!(all_at(quantum), GUESTS, "quantum {quantum}");
    }
}

#[test]
fn each_returns_the_same_unmetered() {
    let engine = Engine::new(&EngineConfig::default().metering(false)).unwrap();
    for (name, amount, returned, _) in GUESTS {
        let (ended, slices) = alone(load(&engine, name).call("main", &i32s([amount])), 1);
        let got = (ended.outcome.to_string(), ended.ledger.used, slices.len());
        assert_eq!(got, (format!("returned {returned}"), Fuel(0), 1), "{name}");
    }
}

#[test]
fn all_that_is_built_is_tested_and_imports_nothing() {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, GUESTS.map(|guest| guest.0));
    for name in names {
        let bytes = std::fs::read(folder().join(format!("{name}.wasm"))).unwrap();
        let module = fuelsched::wasmtime::Module::new(engine().wasmtime(), bytes).unwrap();
        assert_eq!(module.imports().len(), 0, "{name}");
    }
}
