//! What `sched inspect` found, as tables for people and as one JSON object.

use super::Inspection;
use super::fuel::{Bounds, BulkSum, Fuel, FunctionFuel, PART, Worst};
use super::imports::Provider;
use super::stretch::Stretch;
use super::survey::{Export, Import, Section, Survey, limits, signature};
use crate::output::{self, count};
use fuelsched::Fuel as Amount;
use serde::Serialize;
use wasmparser::{ExternalKind, GlobalType, MemoryType, TableType, TypeRef};

/// The version of the JSON form. Fields may be added within a version.
const SCHEMA: u32 = 1;

/// What the start-up is called where functions are.
const STARTUP: &str = "(start-up)";

/// A whole module.
#[derive(Debug, Serialize)]
struct Report {
    /// The version of this form.
    schema: u32,
    /// The file.
    module: String,
    /// Bytes of the binary form.
    bytes: usize,
    /// Why `sched run` would refuse it, if it would.
    refused: Option<String>,
    /// The features that it uses.
    features: Vec<String>,
    /// The export that is called unless another is named, if there is one.
    entry: Option<String>,
    /// The index of the start function.
    start: Option<u32>,
    /// The sections.
    sections: Vec<SectionReport>,
    /// How many functions the name section names.
    named_functions: usize,
    /// Bytes of DWARF sections.
    dwarf_bytes: usize,
    /// The producers section.
    producers: Vec<(String, Vec<String>)>,
    /// The imports.
    imports: Vec<ImportReport>,
    /// The exports.
    exports: Vec<ExportReport>,
    /// The memories.
    memories: Vec<LimitsReport>,
    /// The tables.
    tables: Vec<LimitsReport>,
    /// The globals.
    globals: Vec<GlobalReport>,
    /// The fuel, unless the module is refused.
    fuel: Option<FuelReport>,
}

/// A section.
#[derive(Debug, Serialize)]
struct SectionReport {
    /// What it is.
    name: String,
    /// Whether it is a custom section.
    custom: bool,
    /// How many items it has.
    items: Option<u32>,
    /// Bytes of its contents.
    bytes: usize,
}

/// An import.
#[derive(Debug, Serialize)]
struct ImportReport {
    /// From which module.
    module: String,
    /// Under which name.
    name: String,
    /// Of which kind.
    kind: &'static str,
    /// What.
    ty: String,
    /// Who provides it.
    provider: &'static str,
}

/// An export.
#[derive(Debug, Serialize)]
struct ExportReport {
    /// Under which name.
    name: String,
    /// Of which kind.
    kind: &'static str,
    /// Which of that kind.
    index: u32,
    /// What.
    ty: String,
}

/// A memory or a table.
#[derive(Debug, Serialize)]
struct LimitsReport {
    /// What it has at first: pages or elements.
    initial: u64,
    /// The most that it can have.
    maximum: Option<u64>,
    /// Whether it is addressed with 64 bits.
    wide: bool,
    /// What is in it.
    ty: String,
}

/// A global.
#[derive(Debug, Serialize)]
struct GlobalReport {
    /// Its type.
    ty: String,
    /// Whether it can be assigned to.
    mutable: bool,
}

/// The fuel.
#[derive(Debug, Serialize)]
struct FuelReport {
    /// The longest stretch between two yield points.
    longest: PlaceReport,
    /// The longest with what a bulk operation is charged for its length, if there is any.
    longest_with_bulk: Option<PlaceReport>,
    /// The most that one bulk operation can be charged, out of bounds, if there is any.
    most_charged: Option<u64>,
    /// What each level of recursion adds that returns.
    recursion_per_level: u64,
    /// How many levels there can be at most.
    recursion_levels: u64,
    /// The most by which a slice can overshoot its grant, without bulk operations and recursion.
    overshoot: u64,
    /// The smallest quantum that makes sense.
    smallest_quantum: u64,
    /// Bytes that a task may hold, by which lengths are bounded.
    max_memory: u64,
    /// Bytes of stack, by which recursion is bounded.
    max_stack: u64,
    /// What happens before the first call.
    startup: Option<FunctionReport>,
    /// The functions that are not imported, by index, or the worst of them.
    functions: Vec<FunctionReport>,
}

/// A stretch.
#[derive(Debug, Serialize)]
struct PlaceReport {
    /// Fuel.
    fuel: u64,
    /// In which function it ends; none for the start-up.
    function: Option<u32>,
    /// What that is called.
    name: String,
    /// Offset in the binary form at which it begins; none, if that is in a function that was called.
    from: Option<u32>,
    /// Offset at which it ends; none, if that is where the function returns.
    to: Option<u32>,
}

/// A function.
#[derive(Debug, Serialize)]
struct FunctionReport {
    /// The longest stretch that ends in it.
    #[serde(flatten)]
    longest: PlaceReport,
    /// With bulk operations.
    with_bulk: Option<u64>,
    /// What each level of recursion adds that returns.
    recursion_per_level: u64,
    /// The bulk operations.
    bulk: Vec<BulkReport>,
}

/// The bulk operations of one kind.
#[derive(Debug, Serialize)]
struct BulkReport {
    /// What they are called.
    name: &'static str,
    /// How many there are.
    count: u64,
    /// Whether all lengths are constants.
    constant: bool,
    /// The most fuel for the length of one that does not trap.
    fits: u64,
    /// The most fuel for the length of one.
    most: u64,
}

/// As one JSON object, in which no more functions are than asked for.
pub(super) fn json(found: &Inspection<'_>, top: Option<usize>) -> anyhow::Result<String> {
    let module = &found.module;
    let imports = module.imports.iter().zip(&found.providers);
    let report = Report {
        schema: SCHEMA,
        module: found.path.clone(),
        bytes: module.bytes,
        refused: found.refused.clone(),
        features: found.features.clone(),
        entry: found.entry.map(String::from),
        start: module.start,
        sections: module.sections.iter().map(section_report).collect(),
        named_functions: module.named(),
        dwarf_bytes: module.dwarf(),
        producers: module.producers.clone(),
        imports: imports.map(|(import, provider)| import_report(module, import, *provider)).collect(),
        exports: module.exports.iter().map(|export| export_report(module, export)).collect(),
        memories: module.memories.iter().map(memory_report).collect(),
        tables: module.tables.iter().map(table_report).collect(),
        globals: module.globals.iter().map(global_report).collect(),
        fuel: found.fuel.as_ref().map(|fuel| fuel_report(module, fuel, found.bounds, top)),
    };
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

/// A section for JSON.
fn section_report(section: &Section) -> SectionReport {
    SectionReport { name: section.name.clone(), custom: section.custom, items: section.items, bytes: section.bytes }
}

/// An import for JSON.
fn import_report(module: &Survey<'_>, import: &Import<'_>, provider: Provider) -> ImportReport {
    let (kind, ty) = import_type(module, import);
    ImportReport { module: import.module.into(), name: import.name.into(), kind, ty, provider: provider.word() }
}

/// An export for JSON.
fn export_report(module: &Survey<'_>, export: &Export<'_>) -> ExportReport {
    let (kind, ty) = export_type(module, export);
    ExportReport { name: export.name.into(), kind, index: export.index, ty }
}

/// A memory for JSON.
fn memory_report(ty: &MemoryType) -> LimitsReport {
    let what = format!("{} bytes a page", 1_u64 << ty.page_size_log2.unwrap_or(16).min(63));
    LimitsReport { initial: ty.initial, maximum: ty.maximum, wide: ty.memory64, ty: what }
}

/// A table for JSON.
fn table_report(ty: &TableType) -> LimitsReport {
    LimitsReport { initial: ty.initial, maximum: ty.maximum, wide: ty.table64, ty: ty.element_type.to_string() }
}

/// A global for JSON.
fn global_report(ty: &GlobalType) -> GlobalReport {
    GlobalReport { ty: ty.content_type.to_string(), mutable: ty.mutable }
}

/// The fuel for JSON.
fn fuel_report(module: &Survey<'_>, fuel: &Fuel, bounds: Bounds, top: Option<usize>) -> FuelReport {
    let place = |(place, stretch): Worst| place_report(module, place, stretch);
    FuelReport {
        longest: place(fuel.worst()),
        longest_with_bulk: fuel.worst_bulk().map(place),
        most_charged: fuel.most_charged(),
        recursion_per_level: fuel.a_level(),
        recursion_levels: fuel.levels,
        overshoot: fuel.worst().1.fuel.saturating_sub(1),
        smallest_quantum: fuel.quantum(),
        max_memory: bounds.memory,
        max_stack: bounds.stack,
        startup: fuel.startup.as_ref().map(|startup| function_report(module, None, startup)),
        functions: shown(fuel, top)
            .into_iter()
            .map(|place| function_report(module, Some(place), &fuel.functions[place as usize]))
            .collect(),
    }
}

/// The functions to be shown, by their places: all in their order, or so many of the worst.
fn shown(fuel: &Fuel, top: Option<usize>) -> Vec<u32> {
    let mut places: Vec<u32> = (0..).take(fuel.functions.len()).collect();
    if let Some(top) = top {
        let key = |place: &u32| {
            let longest = &fuel.functions[*place as usize].longest;
            std::cmp::Reverse(longest.bulk.map_or(0, |bulk| bulk.fuel).max(longest.code.fuel))
        };
        places.sort_by_key(key);
        places.truncate(top);
    }
    places
}

/// A function for JSON.
fn function_report(module: &Survey<'_>, place: Option<u32>, function: &FunctionFuel) -> FunctionReport {
    let bulk = |sum: &BulkSum| BulkReport {
        name: sum.name,
        count: sum.count,
        constant: sum.constant,
        fits: sum.fits,
        most: sum.most,
    };
    FunctionReport {
        longest: place_report(module, place, function.longest.code),
        with_bulk: function.longest.bulk.map(|bulk| bulk.fuel),
        recursion_per_level: function.longest.a_level,
        bulk: function.bulk.iter().map(bulk).collect(),
    }
}

/// A stretch for JSON.
fn place_report(module: &Survey<'_>, place: Option<u32>, stretch: Stretch) -> PlaceReport {
    let function = place.map(|place| place + module.imported);
    PlaceReport {
        fuel: stretch.fuel,
        function,
        name: function.map_or(STARTUP.into(), |function| raw_name(module, function)),
        from: stretch.from,
        to: stretch.to,
    }
}

/// What a function is called, as the module has it.
fn raw_name(module: &Survey<'_>, function: u32) -> String {
    module.name_of(function).map_or_else(|| format!("function {function}"), String::from)
}

/// What an import is: its kind, and its type.
fn import_type(module: &Survey<'_>, import: &Import<'_>) -> (&'static str, String) {
    match import.ty {
        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
            ("function", module.function_type_at(ty).map_or(String::new(), |ty| signature("", ty)))
        }
        TypeRef::Table(ty) => ("table", table_text(&ty)),
        TypeRef::Memory(ty) => ("memory", memory_text(&ty)),
        TypeRef::Global(ty) => ("global", global_text(&ty)),
        TypeRef::Tag(_) => ("tag", String::new()),
    }
}

/// What an export is: its kind, and its type.
fn export_type(module: &Survey<'_>, export: &Export<'_>) -> (&'static str, String) {
    let at = export.index as usize;
    match export.kind {
        ExternalKind::Func | ExternalKind::FuncExact => {
            ("function", module.function_type(export.index).map_or(String::new(), |ty| signature("", ty)))
        }
        ExternalKind::Table => ("table", module.tables.get(at).map_or(String::new(), table_text)),
        ExternalKind::Memory => ("memory", module.memories.get(at).map_or(String::new(), memory_text)),
        ExternalKind::Global => ("global", module.globals.get(at).map_or(String::new(), global_text)),
        ExternalKind::Tag => ("tag", String::new()),
    }
}

/// A memory for people.
fn memory_text(ty: &MemoryType) -> String {
    let page = if ty.page_size_log2 == Some(0) { "byte" } else { "page" };
    let wide = if ty.memory64 { ", 64-bit" } else { "" };
    let shared = if ty.shared { ", shared" } else { "" };
    format!("{}{wide}{shared}", limits(ty.initial, ty.maximum, page))
}

/// A table for people.
fn table_text(ty: &TableType) -> String {
    let wide = if ty.table64 { ", 64-bit" } else { "" };
    format!("{}{wide}", limits(ty.initial, ty.maximum, &ty.element_type.to_string()))
}

/// A global for people.
fn global_text(ty: &GlobalType) -> String {
    let mutable = if ty.mutable { "mutable " } else { "" };
    format!("{mutable}{}", ty.content_type)
}

/// For people, in tables of so many rows at most.
pub(super) fn human(found: &Inspection<'_>, top: usize) -> String {
    let module = &found.module;
    let mut text = head(found);
    text += &parts(module, found, top);
    if let Some(fuel) = found.fuel.as_ref().filter(|fuel| fuel.startup.is_some() || !fuel.functions.is_empty()) {
        text += &format!("\nFuel between two yield points\n{}", functions(module, fuel, top));
        text += &summary(module, fuel);
    }
    text
}

/// A line with what it is about before it.
fn line(about: &str, text: &str) -> String {
    output::clean(&format!("{about:<10} {text}\n"))
}

/// What there is to say in a few lines.
fn head(found: &Inspection<'_>) -> String {
    let module = &found.module;
    let mut text =
        line("module", &format!("{}, {} in the binary format", found.path, count(module.bytes as u64, "byte")));
    if let Some(refused) = &found.refused {
        text += &line("refused", &format!("by sched run: {refused}"));
    }
    text += &line("entry", &entry(found));
    if let Some(start) = module.start {
        text += &line("start", &format!("{}, before the first call", module.label_of(start)));
    }
    let features =
        if found.features.is_empty() { "none beyond WebAssembly 1.0".into() } else { found.features.join(", ") };
    text += &line("features", &features);
    text + &line("debugging", &debugging(module))
}

/// What would be called.
fn entry(found: &Inspection<'_>) -> String {
    let called = found.entry.and_then(|entry| Some((entry, found.module.exported_function(entry)?)));
    match called.and_then(|(entry, function)| Some((entry, found.module.function_type(function)?))) {
        Some((entry, ty)) => signature(entry, ty),
        None => "none: sched run has to be told which export to call".into(),
    }
}

/// What the module says of where it came from.
fn debugging(module: &Survey<'_>) -> String {
    let names = match module.named() {
        0 => "no names".into(),
        named => format!("names of {}", count(named as u64, "function")),
    };
    let dwarf = match module.dwarf() {
        0 => "no DWARF".into(),
        bytes => format!("{} of DWARF", count(bytes as u64, "byte")),
    };
    let value = |(field, values): &(String, Vec<String>)| format!("{field} {}", values.join(" and "));
    let producers: Vec<String> = module.producers.iter().map(value).collect();
    let producers = if producers.is_empty() { "no producers".into() } else { producers.join(", ") };
    format!("{names}; {dwarf}; {producers}").escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\"")
}

/// The sections, and what is in them.
fn parts(module: &Survey<'_>, found: &Inspection<'_>, top: usize) -> String {
    let mut text = table(&["section", "items", "bytes"], &[1, 2], module.sections.iter().map(section_row), top);
    let imports =
        module.imports.iter().zip(&found.providers).map(|(import, provider)| import_row(module, import, *provider));
    text += &table(&["import", "kind", "type", "provided by"], &[], imports, top);
    text +=
        &table(&["export", "kind", "type"], &[], module.exports.iter().map(|export| export_row(module, export)), top);
    let memories = module.memories.iter().enumerate().map(|(i, ty)| vec![i.to_string(), memory_text(ty)]);
    text += &table(&["memory", "size"], &[], memories, top);
    let tables = module.tables.iter().enumerate().map(|(i, ty)| vec![i.to_string(), table_text(ty)]);
    text += &table(&["table", "size"], &[], tables, top);
    let globals = module.globals.iter().enumerate().map(|(i, ty)| vec![i.to_string(), global_text(ty)]);
    text + &table(&["global", "type"], &[], globals, top)
}

/// A table after an empty line, if it has any rows, and how many there are beyond those that are shown.
fn table(header: &[&str], numbers: &[usize], rows: impl ExactSizeIterator<Item = Vec<String>>, top: usize) -> String {
    let total = rows.len();
    if total == 0 {
        return String::new();
    }
    let mut text = String::from("\n") + &output::table(header, rows.take(top), numbers);
    if total > top {
        text += &format!(" … and {} more (--top shows them)\n", Amount((total - top) as u64));
    }
    text
}

/// A section for people.
fn section_row(section: &Section) -> Vec<String> {
    let custom = if section.custom { "custom: " } else { "" };
    let name = format!("{custom}{}", section.name.escape_debug());
    vec![name, section.items.map_or(String::new(), |n| number(u64::from(n))), number(section.bytes as u64)]
}

/// An import for people.
fn import_row(module: &Survey<'_>, import: &Import<'_>, provider: Provider) -> Vec<String> {
    let (kind, ty) = import_type(module, import);
    let name = format!("{} {}", import.module.escape_debug(), import.name.escape_debug());
    let provider = match provider {
        Provider::Wasi => "WASI preview 1",
        Provider::Sched => "sched's own import module",
        Provider::OtherType => "nobody: it is of another type",
        Provider::Nobody => "nobody",
    };
    vec![name, kind.into(), ty, provider.into()]
}

/// An export for people.
fn export_row(module: &Survey<'_>, export: &Export<'_>) -> Vec<String> {
    let (kind, ty) = export_type(module, export);
    vec![export.name.escape_debug().to_string(), kind.into(), ty]
}

/// The functions, the worst first.
fn functions(module: &Survey<'_>, fuel: &Fuel, top: usize) -> String {
    let startup = fuel.startup.iter().map(|startup| (STARTUP.to_string(), startup));
    let label = |place: u32| (module.label_of(place + module.imported), &fuel.functions[place as usize]);
    let rows: Vec<Vec<String>> = startup
        .chain(shown(fuel, Some(top)).into_iter().map(label))
        .map(|(name, function)| function_row(name, function))
        .collect();
    let mut text = output::table(&["function", "longest", "a level", "from", "to", "bulk operations"], rows, &[1, 2]);
    if fuel.functions.len() > top {
        text += &format!(" … and {} more (--top shows them)\n", Amount((fuel.functions.len() - top) as u64));
    }
    text
}

/// A function for people.
fn function_row(name: String, function: &FunctionFuel) -> Vec<String> {
    let Stretch { fuel, from, to } = function.longest.code;
    let level = function.longest.a_level;
    let bulk: Vec<String> = function.bulk.iter().map(bulk_text).collect();
    let startup = name == STARTUP;
    let place = |at: Option<u32>, nowhere: &str| match at {
        Some(at) => format!("{at:#x}"),
        None if startup => String::new(),
        None => nowhere.into(),
    };
    let (from, to) = (place(from, "a call"), place(to, "return"));
    let level = if level == 0 { String::new() } else { format!("+{}", number(level)) };
    vec![name, number(fuel), level, from, to, bulk.join(", ")]
}

/// Bulk operations for people.
fn bulk_text(sum: &BulkSum) -> String {
    let times = if sum.count == 1 { String::new() } else { format!(" × {}", Amount(sum.count)) };
    match (sum.fits, sum.constant) {
        (0, _) => format!("{}{times}", sum.name),
        (fits, true) if sum.count == 1 => format!("{} of {}", sum.name, Amount(fits)),
        (fits, _) => format!("{}{times} of up to {}", sum.name, Amount(fits)),
    }
}

/// A number for people.
fn number(n: u64) -> String {
    Amount(n).to_string()
}

/// What follows for the module.
fn summary(module: &Survey<'_>, fuel: &Fuel) -> String {
    let (place, worst) = fuel.worst();
    let name = |place: Option<u32>| place.map_or(STARTUP.into(), |place| module.label_of(place + module.imported));
    let overshoot = number(worst.fuel.saturating_sub(1));
    let longest = format!("{} fuel, in {}: a slice overshoots by {overshoot} at most", number(worst.fuel), name(place));
    let mut text = String::from("\n") + &line("longest", &longest);
    if let Some((place, bulk)) = fuel.worst_bulk() {
        let mut with = format!("{} fuel with a bulk operation, in {}", number(bulk.fuel), name(place));
        if let Some(most) = fuel.most_charged().filter(|most| *most > bulk.fuel) {
            with += &format!("; up to {} where a length is out of bounds", number(most));
        }
        text += &line("bulk", &with);
    }
    if fuel.a_level() > 0 {
        let (level, levels) = (number(fuel.a_level()), number(fuel.levels));
        let more = format!("{level} fuel more for each level that returns, of which a stack holds less than {levels}");
        text += &line("recursion", &more);
    }
    text + &line("quantum", &format!("{} or more: {PART} times the longest", number(fuel.quantum())))
}
