//! Which features of WebAssembly a module uses: those without which it is not valid.
//!
//! Asking the validator about each of forty features would take forty passes. A set of features that can be left out together is used by
//! nobody, so whole sets
//! are asked about, and only those are halved that cannot be left out; and a module that is not valid is mostly found to be so early.

use std::ops::Range;
use wasmparser::{FuncValidatorAllocations, Parser, Result, ValidPayload, Validator, WasmFeatures};

/// Features of components, which no module uses.
const OF_COMPONENTS: &str = "cm";

/// Features that are parts of others: what each is called, and of which it is one. Who uses the whole uses the part.
const PARTS: [(&str, &str, WasmFeatures); 2] = [
    ("call-indirect-overlong", "reference-types", WasmFeatures::CALL_INDIRECT_OVERLONG),
    ("bulk-memory-opt", "bulk-memory", WasmFeatures::BULK_MEMORY_OPT),
];

/// All features that the parser knows.
pub(super) fn all() -> WasmFeatures {
    WasmFeatures::all()
}

/// Checks that a module is valid with these features; `progress` is told how far it came.
pub(super) fn validate(binary: &[u8], features: WasmFeatures, mut progress: impl FnMut(usize)) -> Result<()> {
    let mut validator = Validator::new_with_features(features);
    let mut memory = FuncValidatorAllocations::default();
    let mut parser = Parser::new(0);
    parser.set_features(features);
    for payload in parser.parse_all(binary) {
        if let ValidPayload::Func(function, body) = validator.payload(&payload?)? {
            progress(body.range().start);
            let mut function = function.into_validator(std::mem::take(&mut memory));
            function.validate(&body)?;
            memory = function.into_allocations();
        }
    }
    Ok(())
}

/// The features that a valid module uses, as they are called in the proposals. `progress` is told how far each pass came.
pub(super) fn used(binary: &[u8], mut progress: impl FnMut(usize)) -> Vec<String> {
    let features = candidates();
    let mut used = Vec::new();
    let mut ranges: Vec<Range<usize>> = std::iter::once(0..features.len()).collect();
    while let Some(range) = ranges.pop() {
        let without = features[range.clone()].iter().fold(all(), |left, feature| left.difference(feature.1));
        if validate(binary, without, &mut progress).is_ok() {
            continue;
        }
        if range.len() == 1 {
            used.push(features[range.start].0.clone());
        } else {
            let middle = usize::midpoint(range.start, range.end);
            ranges.push(middle..range.end);
            ranges.push(range.start..middle);
        }
    }
    let is_used = |name: &str| used.iter().any(|other| other == name);
    let implied: Vec<&str> = PARTS.iter().filter(|(_, whole, _)| is_used(whole)).map(|(part, ..)| *part).collect();
    used.retain(|name| !implied.contains(&name.as_str()));
    used
}

/// The features that a module can use: what each is called, and the one bit that is its own.
fn candidates() -> Vec<(String, WasmFeatures)> {
    let own = |flags: WasmFeatures| WasmFeatures::from_bits_retain(1 << flags.bits().trailing_zeros());
    let one = |(name, flags): (&'static str, WasmFeatures)| {
        let name = name.to_lowercase().replace('_', "-");
        (!name.starts_with(OF_COMPONENTS) && name != "component-model").then_some((name, own(flags)))
    };
    // The list leaves them out, because they are in others.
    let parts = PARTS.map(|(part, _, flags)| (part, flags));
    all().iter_names().chain(parts).filter_map(one).collect()
}
