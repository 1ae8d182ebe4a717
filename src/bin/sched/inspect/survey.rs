//! What a module declares, read from its binary form: all that `sched inspect` shows, and all that the passes over its code ask for.
//!
//! It is read after it was validated, so an index that is out of range does not occur; where one could, there is a harmless answer instead.

use fuelsched::Fuel;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use wasmparser::{
    CompositeInnerType, ConstExpr, Data, DataKind, Element, ElementItems, ElementKind, ExternalKind, FuncType,
    FunctionBody, Global, GlobalType, KnownCustom, MemoryType, Name, Operator, Parser, Payload, ProducersSectionReader,
    Result, SectionLimited, Table, TableInit, TableType, TypeRef,
};

/// A module, read.
#[derive(Debug, Default)]
pub(super) struct Survey<'a> {
    /// Bytes in all.
    pub(super) bytes: usize,
    /// The types, by index; `None` for those that are no functions.
    types: Vec<Option<FuncType>>,
    /// For each type, the first that is the same.
    same: Vec<u32>,
    /// The imports, in order.
    pub(super) imports: Vec<Import<'a>>,
    /// The exports, in order.
    pub(super) exports: Vec<Export<'a>>,
    /// The type of each function, those imported first.
    functions: Vec<u32>,
    /// How many functions are imported.
    pub(super) imported: u32,
    /// How many tables are imported.
    imported_tables: u32,
    /// Whether there is a table that others see.
    shares_tables: bool,
    /// The memories, those imported first.
    pub(super) memories: Vec<MemoryType>,
    /// The tables, those imported first.
    pub(super) tables: Vec<TableType>,
    /// The globals, those imported first.
    pub(super) globals: Vec<GlobalType>,
    /// The start function.
    pub(super) start: Option<u32>,
    /// Whether a segment or a global refers to this function, by index.
    referenced: Vec<bool>,
    /// Bytes of each data segment.
    data: Vec<u64>,
    /// Elements of each element segment.
    elements: Vec<u64>,
    /// The code of the functions that are not imported.
    pub(super) bodies: Vec<FunctionBody<'a>>,
    /// The sections, in order.
    pub(super) sections: Vec<Section>,
    /// What the name section calls functions.
    names: BTreeMap<u32, &'a str>,
    /// The functions that are exported, each under its first name.
    exported: BTreeMap<u32, &'a str>,
    /// What the producers section says: field, and its values.
    pub(super) producers: Vec<(String, Vec<String>)>,
    /// What happens before the first call.
    pub(super) startup: Startup,
}

/// Something that the module wants from others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Import<'a> {
    /// From which module.
    pub(super) module: &'a str,
    /// Under which name.
    pub(super) name: &'a str,
    /// What.
    pub(super) ty: TypeRef,
}

/// Something that the module gives to others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Export<'a> {
    /// Under which name.
    pub(super) name: &'a str,
    /// Of which kind.
    pub(super) kind: ExternalKind,
    /// Which of that kind.
    pub(super) index: u32,
}

/// A section.
#[derive(Debug)]
pub(super) struct Section {
    /// What it is; of a custom section, its own name.
    pub(super) name: String,
    /// Whether it is a custom section.
    pub(super) custom: bool,
    /// How many items it has, where it has items.
    pub(super) items: Option<u32>,
    /// Bytes of its contents, without the name of a custom section.
    pub(super) bytes: usize,
}

/// What the function does that Wasmtime makes for setting a module up. What Wasmtime works out when it compiles is not in here:
/// constants of globals, and segments of functions whose place in a table is known (`wasmtime-environ`, `try_func_table_init`).
#[derive(Debug, Default)]
pub(super) struct Startup {
    /// Instructions that give values to globals and to passive segments.
    pub(super) spent: u64,
    /// Tables that are filled with a value.
    pub(super) tables: Vec<Setup>,
    /// Element segments that are copied into tables.
    pub(super) elements: Vec<Setup>,
    /// Data segments that are copied into memories.
    pub(super) data: Vec<Setup>,
    /// Whether there was an element segment that cannot be worked out, so that those after it are not.
    past: bool,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    /// Instructions before it.
    pub(super) before: u64,
    /// What is copied: elements or bytes.
    pub(super) length: u64,
    /// Instructions of its elements.
    pub(super) after: u64,
}

/// The largest table that Wasmtime works out when it compiles.
const LARGEST_WORKED_OUT: u64 = 1 << 20;

impl<'a> Survey<'a> {
    /// Reads a valid module.
    pub(super) fn of(binary: &'a [u8]) -> Result<Survey<'a>> {
        let mut survey = Survey { bytes: binary.len(), ..Survey::default() };
        for payload in Parser::new(0).parse_all(binary) {
            survey.payload(payload?)?;
        }
        survey.same = same(&survey.types);
        let shared = survey.exports.iter().any(|export| export.kind == ExternalKind::Table);
        survey.shares_tables = shared || survey.imported_tables > 0;
        Ok(survey)
    }

    /// Takes in a section, or the code of one function.
    fn payload(&mut self, payload: Payload<'a>) -> Result<()> {
        self.section(&payload);
        match payload {
            Payload::TypeSection(types) => self.type_section(types)?,
            Payload::ImportSection(imports) => {
                imports.into_imports().try_for_each(|import| import.map(|import| self.import(import)))?;
            }
            Payload::FunctionSection(functions) => each(functions, |ty| self.functions.push(ty))?,
            Payload::TableSection(tables) => tables.into_iter().try_for_each(|table| self.table(&table?))?,
            Payload::MemorySection(memories) => each(memories, |ty| self.memories.push(ty))?,
            Payload::GlobalSection(globals) => {
                globals.into_iter().try_for_each(|global| self.global(&global?))?;
            }
            Payload::ExportSection(exports) => each(exports, |export| self.export(export))?,
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(segments) => {
                segments.into_iter().try_for_each(|segment| self.element(&segment?))?
            }
            Payload::DataSection(segments) => segments.into_iter().try_for_each(|segment| self.data(&segment?))?,
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            // What is wrong with a custom section is no reason to refuse a module.
            Payload::CustomSection(section) => self.custom(&section.as_known()),
            _ => {}
        }
        Ok(())
    }

    /// Notes that there is such a section.
    fn section(&mut self, payload: &Payload<'a>) {
        let Some((_, range)) = payload.as_section() else {
            return;
        };
        let (name, items) = match payload {
            Payload::TypeSection(s) => ("type", Some(s.count())),
            Payload::ImportSection(s) => ("import", Some(s.count())),
            Payload::FunctionSection(s) => ("function", Some(s.count())),
            Payload::TableSection(s) => ("table", Some(s.count())),
            Payload::MemorySection(s) => ("memory", Some(s.count())),
            Payload::TagSection(s) => ("tag", Some(s.count())),
            Payload::GlobalSection(s) => ("global", Some(s.count())),
            Payload::ExportSection(s) => ("export", Some(s.count())),
            Payload::StartSection { .. } => ("start", None),
            Payload::ElementSection(s) => ("element", Some(s.count())),
            Payload::DataCountSection { .. } => ("data count", None),
            Payload::DataSection(s) => ("data", Some(s.count())),
            Payload::CodeSectionStart { count, .. } => ("code", Some(*count)),
            Payload::CustomSection(s) => (s.name(), None),
            _ => return,
        };
        let (custom, bytes) = match payload {
            Payload::CustomSection(s) => (true, s.data().len()),
            _ => (false, range.len()),
        };
        self.sections.push(Section { name: name.into(), custom, items, bytes });
    }

    /// Takes in the types.
    fn type_section(&mut self, types: SectionLimited<'a, wasmparser::RecGroup>) -> Result<()> {
        for group in types {
            for ty in group?.into_types() {
                self.types.push(match ty.composite_type.inner {
                    CompositeInnerType::Func(ty) => Some(ty),
                    _ => None,
                });
            }
        }
        Ok(())
    }

    /// Takes in an import.
    fn import(&mut self, import: wasmparser::Import<'a>) {
        match import.ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                self.functions.push(ty);
                self.imported += 1;
            }
            TypeRef::Table(ty) => {
                self.tables.push(ty);
                self.imported_tables += 1;
            }
            TypeRef::Memory(ty) => self.memories.push(ty),
            TypeRef::Global(ty) => self.globals.push(ty),
            TypeRef::Tag(_) => {}
        }
        self.imports.push(Import { module: import.module, name: import.name, ty: import.ty });
    }

    /// Takes in a table.
    fn table(&mut self, table: &Table<'a>) -> Result<()> {
        self.tables.push(table.ty);
        if let TableInit::Expr(value) = &table.init {
            let before = self.expression(value)?;
            let is_function = matches!(value.get_operators_reader().read()?, Operator::RefFunc { .. });
            if !is_function || table.ty.initial > LARGEST_WORKED_OUT {
                self.startup.tables.push(Setup { before, length: table.ty.initial, after: 0 });
            }
        }
        Ok(())
    }

    /// Takes in a global.
    fn global(&mut self, global: &Global<'a>) -> Result<()> {
        self.globals.push(global.ty);
        let instructions = self.expression(&global.init_expr)?;
        if constant(&global.init_expr)?.is_none() {
            self.startup.spent += instructions;
        }
        Ok(())
    }

    /// Takes in an export.
    fn export(&mut self, export: wasmparser::Export<'a>) {
        if export.kind == ExternalKind::Func {
            self.exported.entry(export.index).or_insert(export.name);
        }
        self.exports.push(Export { name: export.name, kind: export.kind, index: export.index });
    }

    /// Takes in an element segment.
    fn element(&mut self, segment: &Element<'a>) -> Result<()> {
        let mut after = 0;
        let count = match &segment.items {
            ElementItems::Functions(functions) => {
                each(functions.clone(), |function| self.refer(function))?;
                functions.count()
            }
            ElementItems::Expressions(_, values) => {
                for value in values.clone() {
                    after += self.expression(&value?)?;
                }
                values.count()
            }
        };
        let length = u64::from(count);
        self.elements.push(length);
        match &segment.kind {
            ElementKind::Declared => {}
            ElementKind::Passive => self.startup.spent += after,
            ElementKind::Active { table_index, offset_expr } => {
                let before = self.expression(offset_expr)?;
                let functions = matches!(segment.items, ElementItems::Functions(_));
                if !(functions && self.is_worked_out(table_index.unwrap_or(0), constant(offset_expr)?, length)) {
                    self.startup.past = true;
                    self.startup.elements.push(Setup { before, length, after });
                }
            }
        }
        Ok(())
    }

    /// Whether Wasmtime works out, when it compiles, where functions go in a table.
    fn is_worked_out(&self, table: u32, offset: Option<u64>, length: u64) -> bool {
        let end = offset.and_then(|offset| offset.checked_add(length));
        let fits = |ty: &TableType| end.is_some_and(|end| end <= ty.initial.min(LARGEST_WORKED_OUT));
        !self.startup.past
            && self.startup.tables.is_empty()
            && table >= self.imported_tables
            && self.tables.get(table as usize).is_some_and(|ty| ty.element_type.is_func_ref() && fits(ty))
    }

    /// Takes in a data segment.
    fn data(&mut self, segment: &Data<'a>) -> Result<()> {
        let length = segment.data.len() as u64;
        self.data.push(length);
        if let DataKind::Active { offset_expr, .. } = &segment.kind {
            let before = self.expression(offset_expr)?;
            self.startup.data.push(Setup { before, length, after: 0 });
        }
        Ok(())
    }

    /// Counts the instructions of a constant expression, and notes the functions that it refers to.
    fn expression(&mut self, expression: &ConstExpr<'a>) -> Result<u64> {
        let mut instructions = 0;
        for op in expression.get_operators_reader() {
            match op? {
                Operator::End => continue,
                Operator::RefFunc { function_index } => self.refer(function_index),
                _ => {}
            }
            instructions += 1;
        }
        Ok(instructions)
    }

    /// Notes that a reference to a function can be had.
    fn refer(&mut self, function: u32) {
        let index = function as usize;
        if index >= self.referenced.len() {
            self.referenced.resize(self.functions.len().max(index + 1), false);
        }
        self.referenced[index] = true;
    }

    /// Takes in a custom section, as far as it can be read.
    fn custom(&mut self, section: &KnownCustom<'a>) {
        match section {
            KnownCustom::Name(names) => {
                let functions = names.clone().map_while(Result::ok).filter_map(|name| match name {
                    Name::Function(names) => Some(names),
                    _ => None,
                });
                let each = functions.flat_map(|names| names.into_iter().map_while(Result::ok));
                self.names.extend(each.map(|naming| (naming.index, naming.name)));
            }
            KnownCustom::Producers(fields) => self.producers = producers(fields).unwrap_or_default(),
            _ => {}
        }
    }

    /// The type of a function, by its index.
    pub(super) fn function_type(&self, function: u32) -> Option<&FuncType> {
        self.function_type_index(function).and_then(|ty| self.function_type_at(ty))
    }

    /// The type at this index, if it is a function's.
    pub(super) fn function_type_at(&self, ty: u32) -> Option<&FuncType> {
        self.types.get(ty as usize)?.as_ref()
    }

    /// Which type a function has: of equal ones the first.
    pub(super) fn function_type_index(&self, function: u32) -> Option<u32> {
        self.functions.get(function as usize).map(|ty| self.same_type(*ty))
    }

    /// Of the types that are equal to this one, the first.
    pub(super) fn same_type(&self, ty: u32) -> u32 {
        self.same.get(ty as usize).copied().unwrap_or(ty)
    }

    /// How many functions there are, those imported included.
    pub(super) fn functions(&self) -> u32 {
        u32::try_from(self.functions.len()).unwrap_or(u32::MAX)
    }

    /// How many types there are.
    pub(super) fn types(&self) -> usize {
        self.types.len()
    }

    /// Whether a reference to a function can be had, so that an indirect call may reach it: where a segment or a global refers to it, where code does
    /// (`by_code`), or where it is exported and others can put it into a table that they share.
    pub(super) fn is_referenced(&self, function: u32, by_code: bool) -> bool {
        let referenced = self.referenced.get(function as usize).copied().unwrap_or(false);
        referenced || by_code || (self.shares_tables && self.is_exported(function))
    }

    /// Whether a function is exported, which is what code must have done that refers to it, unless a segment or a global does.
    pub(super) fn is_exported(&self, function: u32) -> bool {
        self.exported.contains_key(&function)
    }

    /// Bytes of a data segment.
    pub(super) fn data_length(&self, segment: u32) -> u64 {
        self.data.get(segment as usize).copied().unwrap_or(0)
    }

    /// Elements of an element segment.
    pub(super) fn element_length(&self, segment: u32) -> u64 {
        self.elements.get(segment as usize).copied().unwrap_or(0)
    }

    /// What the module itself calls a function, if anything: in its name section, or where it exports it.
    pub(super) fn name_of(&self, function: u32) -> Option<&'a str> {
        self.names.get(&function).or_else(|| self.exported.get(&function)).copied()
    }

    /// A function for people: by its name, and if it has none by its number.
    pub(super) fn label_of(&self, function: u32) -> String {
        match self.name_of(function) {
            Some(name) => name.escape_debug().to_string(),
            None => format!("function {function}"),
        }
    }

    /// How many functions the name section names.
    pub(super) fn named(&self) -> usize {
        self.names.len()
    }

    /// Bytes of DWARF sections.
    pub(super) fn dwarf(&self) -> usize {
        let is_dwarf = |section: &&Section| section.custom && section.name.starts_with(".debug_");
        self.sections.iter().filter(is_dwarf).map(|section| section.bytes).sum()
    }

    /// Whether it exports a function of this name.
    pub(super) fn exports_function(&self, name: &str) -> bool {
        self.exported_function(name).is_some()
    }

    /// The function that is exported under this name.
    pub(super) fn exported_function(&self, name: &str) -> Option<u32> {
        let named = |export: &&Export<'_>| export.kind == ExternalKind::Func && export.name == name;
        self.exports.iter().find(named).map(|export| export.index)
    }
}

/// The constant that a constant expression is, if it is nothing else: an integer as it is, another number as 0.
fn constant(expression: &ConstExpr<'_>) -> Result<Option<u64>> {
    let mut code = expression.get_operators_reader();
    let value = match code.read()? {
        Operator::I32Const { value } => Some(u64::from(value.cast_unsigned())),
        Operator::I64Const { value } => Some(value.cast_unsigned()),
        Operator::F32Const { .. } | Operator::F64Const { .. } | Operator::V128Const { .. } => Some(0),
        _ => None,
    };
    Ok(value.filter(|_| code.is_end_then_eof()))
}

/// Gives each item of a section to a function.
fn each<'a, T: wasmparser::FromReader<'a>>(items: SectionLimited<'a, T>, mut take: impl FnMut(T)) -> Result<()> {
    items.into_iter().try_for_each(|item| item.map(&mut take))
}

/// For each type, the first that is equal.
fn same(types: &[Option<FuncType>]) -> Vec<u32> {
    let mut first: HashMap<&FuncType, u32> = HashMap::new();
    (0..).zip(types).map(|(index, ty)| ty.as_ref().map_or(index, |ty| *first.entry(ty).or_insert(index))).collect()
}

/// The fields of the producers section, each with its values and their versions.
fn producers(fields: &ProducersSectionReader<'_>) -> Result<Vec<(String, Vec<String>)>> {
    let mut all = Vec::new();
    for field in fields.clone() {
        let field = field?;
        let mut values = Vec::new();
        for value in field.values {
            let value = value?;
            values.push(format!("{} {}", value.name, value.version).trim().to_string());
        }
        all.push((field.name.to_string(), values));
    }
    Ok(all)
}

/// A function's name and type for people: `add(i32, i32) -> i32`.
pub(super) fn signature(name: &str, ty: &FuncType) -> String {
    let (name, params, results) = (name.escape_debug(), list(ty.params()), list(ty.results()));
    match ty.results().len() {
        0 => format!("{name}({params})"),
        1 => format!("{name}({params}) -> {results}"),
        _ => format!("{name}({params}) -> ({results})"),
    }
}

/// Things in a row.
fn list<T: Display>(things: &[T]) -> String {
    things.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The limits of a memory or table: `1 to 16 pages`.
pub(super) fn limits(least: u64, most: Option<u64>, unit: &str) -> String {
    let plural = |n: u64| if n == 1 { unit.to_string() } else { format!("{unit}s") };
    match most {
        Some(most) if most == least => format!("{} {}, fixed", Fuel(least), plural(least)),
        Some(most) => format!("{} to {} {}", Fuel(least), Fuel(most), plural(most)),
        None => format!("{} {} or more", Fuel(least), plural(least)),
    }
}

/// Where the code of a function begins.
pub(super) fn begins(body: &FunctionBody<'_>) -> usize {
    body.get_binary_reader().original_position()
}
