//! Loading: text or binary told by content, and everything that can be wrong with a file, each with its exact message.

use crate::support::{alone, engine, guest, guest_path, i32s, wat};
use fuelsched::error::ErrorKind;
use fuelsched::{Engine, EngineConfig, Executor, Linker, Module, Value};
use std::path::{Path, PathBuf};

/// A module that returns 42, in the text format.
const TEXT: &str = "(module (func (export \"main\") (result i32) (i32.const 42)))";

/// The same in the binary format: 37 bytes.
fn binary() -> Vec<u8> {
    ::wat::parse_str(TEXT).expect("it is a module")
}

/// A file of a test's own, removed when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    /// A file of this name with this content. The name must be of one test alone.
    fn new(name: &str, content: &[u8]) -> Scratch {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()));
        std::fs::write(&path, content).expect("the target directory can be written to");
        Scratch(path)
    }

    /// Loads it.
    fn load(&self) -> fuelsched::Result<Module> {
        Module::from_file(engine(), &self.0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What is wrong with content of this name.
fn error(name: &str, content: impl AsRef<[u8]>) -> String {
    Module::from_bytes(engine(), name, content).expect_err("it is no module").to_string()
}

/// What a call of the module returns.
fn main_of(module: &Module) -> String {
    alone(module.call("main", &[]), 1_000).0.outcome.to_string()
}

// What is a module.

#[test]
fn text_or_binary_is_told_by_content_and_not_by_name() {
    let files = [
        Scratch::new("told.wat", TEXT.as_bytes()),
        Scratch::new("told.wasm", TEXT.as_bytes()),
        Scratch::new("told", &binary()),
        Scratch::new("told.txt", &binary()),
        Scratch::new("binary.wat", &binary()),
    ];
    for file in &files {
        assert_eq!(main_of(&file.load().unwrap()), "returned 42", "{}", file.0.display());
    }
}

#[test]
fn a_module_is_compiled_once_and_knows_its_name() {
    let file = Scratch::new("name.wat", TEXT.as_bytes());
    let module = file.load().unwrap();
    assert_eq!(module.name(), file.0.display().to_string());
    assert_eq!(main_of(&module.clone()), main_of(&module));
    assert!(module.has_function("main") && !module.has_function("other"));
}

#[cfg(feature = "digest")]
#[test]
fn text_and_binary_of_a_module_have_the_same_hash() {
    let [text, binary] = [TEXT.as_bytes().to_vec(), binary()];
    let hash = |content| Module::from_bytes(engine(), "m", content).unwrap().sha256().to_string();
    assert_eq!(hash(text), hash(binary));
}

// What is none.

#[test]
fn an_empty_file_is_said_to_be_empty() {
    assert_eq!(error("empty.wasm", ""), "empty.wasm: the file is empty; a WebAssembly module is wanted");
}

#[test]
fn a_text_that_is_no_module_is_shown_where_it_is_not() {
    let expected = "\
notes.txt: not a WebAssembly module in the text format: expected `(`
     --> notes.txt:1:1
      |
    1 | Hello, world!
      | ^";
    assert_eq!(error("notes.txt", "Hello, world!\nThis is no module.\n"), expected);
}

#[test]
fn a_syntax_error_has_a_line_and_a_column() {
    let text = "(module\n  (func (export \"main\") (result i32)\n    (i32.cnst 1)))\n";
    let expected = "\
typo.wat: not a WebAssembly module in the text format: unknown operator or unexpected token
     --> typo.wat:3:6
      |
    3 |     (i32.cnst 1)))
      |      ^";
    assert_eq!(error("typo.wat", text), expected);
    let expected = "\
name.wat: not a WebAssembly module in the text format: unknown local: failed to find name `$x`
     --> name.wat:1:26
      |
    1 | (module (func (local.get $x)))
      |                          ^";
    assert_eq!(error("name.wat", "(module (func (local.get $x)))"), expected);
}

#[test]
fn an_error_in_a_hostile_text_is_short_and_moves_no_cursor() {
    let text = format!("(module \u{1b}[2J{}", "(func) ".repeat(100_000));
    let message = error("hostile.wat", text);
    assert!(message.len() < 1_000, "{} bytes", message.len());
    assert!(message.chars().all(|c| c == '\n' || !c.is_control()), "{message:?}");
}

#[test]
fn a_truncated_binary_is_said_to_be_truncated() {
    let whole = binary();
    for (length, offset) in [(4, "0x4"), (7, "0x4"), (12, "0xa"), (20, "0x14"), (36, "0x21")] {
        let expected = format!("cut.wasm: truncated WebAssembly: unexpected end-of-file (at offset {offset})");
        assert_eq!(error("cut.wasm", &whole[..length]), expected, "{length} bytes");
    }
}

#[test]
fn no_prefix_and_no_flipped_byte_of_a_module_panics() {
    let whole = ::wat::parse_file(guest_path("exports")).unwrap();
    for length in 0..whole.len() {
        let _ = Module::from_bytes(engine(), "prefix", &whole[..length]);
    }
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0xff;
        let _ = Module::from_bytes(engine(), "flipped", &flipped);
    }
}

#[test]
fn a_malformed_or_invalid_binary_is_said_to_be_that() {
    let mut version = binary();
    version[4] = 2;
    let expected = "v2.wasm: invalid or unsupported WebAssembly: unknown binary version: 0x2 (at offset 0x4)";
    assert_eq!(error("v2.wasm", version), expected);
    let expected = "empty.wat: invalid or unsupported WebAssembly: Invalid input WebAssembly code at offset 24: \
                    type mismatch: expected i32 but nothing on stack";
    assert_eq!(error("empty.wat", "(module (func (result i32)))"), expected);
}

#[test]
fn what_wasmtime_was_not_asked_to_do_is_said_to_be_unsupported() {
    let expected =
        "x.wat: invalid or unsupported WebAssembly: threads must be enabled for shared memories (at offset 0xb)";
    assert_eq!(error("x.wat", "(module (memory 1 2 shared))"), expected);
    let expected = "x.wat: invalid or unsupported WebAssembly: gc types are disallowed but found type which requires gc (at offset 0xb)";
    assert_eq!(error("x.wat", "(module (func (export \"main\") (param externref)))"), expected);
}

#[test]
fn a_component_is_said_to_be_one() {
    let expected = "app.wasm: this is a component; a core module is wanted \
                    (compilers make one for wasm32-unknown-unknown or wasm32-wasip1)";
    assert_eq!(error("app.wasm", "(component)"), expected);
    assert_eq!(error("app.wasm", ::wat::parse_str("(component)").unwrap()), expected);
}

#[test]
fn garbage_that_is_no_text_either_is_said_to_be_neither() {
    let expected = "x.bin: not a WebAssembly module: neither the binary format (it does not start with \"\\0asm\") \
                    nor text (it is not UTF-8)";
    assert_eq!(error("x.bin", [0xff, 0xfe, 0x00, 0x01]), expected);
}

#[test]
fn files_that_cannot_be_read_are_named_with_the_systems_reason() {
    let dir = env!("CARGO_TARGET_TMPDIR");
    let error = |path: &str| Module::from_file(engine(), path).unwrap_err().to_string();
    assert_eq!(error(dir), format!("{dir}: Is a directory (os error 21)"));
    let none = format!("{dir}/no-such-file.wasm");
    assert_eq!(error(&none), format!("{none}: No such file or directory (os error 2)"));
}

#[test]
fn a_file_larger_than_any_module_is_not_read_to_its_end() {
    let file = Scratch::new("large.wasm", b"\0asm\x01\0\0\0");
    let handle = std::fs::File::options().write(true).open(&file.0).unwrap();
    handle.set_len(257 << 20).unwrap();
    let expected = format!("{}: larger than 268435456 bytes, the largest module that is read", file.0.display());
    assert_eq!(file.load().unwrap_err().to_string(), expected);
}

#[test]
fn a_file_without_an_end_is_too_large() {
    let error = Module::from_file(engine(), "/dev/zero").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TooLarge { .. }), "{error}");
}

// Imports.

#[test]
fn unknown_imports_are_all_named() {
    let module = guest("unknown-imports");
    let expected = format!(
        "{}: imports that nothing provides: \"env\" \"log\" (func(i32, i32)), \"env\" \"now\" (func() -> i64), \
         \"env\" \"memory\" (memory), \"env\" \"__stack_pointer\" (global), \"game\" \"sprites\" (table)",
        module.name()
    );
    assert_eq!(module.program().unwrap_err().to_string(), expected);
    assert_eq!(module.instance().unwrap_err().to_string(), expected);
    let mut sched = Executor::builder().build();
    assert_eq!(sched.spawn(module.call("main", &[])).unwrap_err().to_string(), expected);
    assert_eq!(module.imports().len(), 5);
}

#[test]
fn a_partly_served_module_names_what_is_left() {
    let mut linker = Linker::<()>::new(engine());
    linker.func("env", "now", || 7_i64).unwrap();
    linker.func("env", "log", |_: i32, _: i32| ()).unwrap();
    let error = linker.link(&guest("unknown-imports")).unwrap_err().to_string();
    let served = error.contains("\"now\"") || error.contains("\"log\"");
    assert!(!served && error.contains("\"env\" \"memory\" (memory), "), "{error}");
}

#[test]
fn names_in_a_module_move_no_cursor() {
    let module = wat("(module (import \"\\1b[2J\" \"a\\nb\" (func)) (func (export \"\\1b[H\")))");
    let expected = "test.wat: imports that nothing provides: \"\\u{1b}[2J\" \"a\\nb\" (func())";
    assert_eq!(module.program().unwrap_err().to_string(), expected);
    let expected = "test.wat: no export named 'x\\u{7}'; it exports \\u{1b}[H()";
    assert_eq!(module.signature("x\u{7}").unwrap_err().to_string(), expected);
}

// Exports and arguments.

/// What is wrong with this call of `exports.wat`, without the file's name.
fn call_error(export: &str, args: &[Value]) -> String {
    let module = guest("exports");
    let error = Executor::builder().build().spawn(module.call(export, args)).unwrap_err();
    let error = error.to_string();
    error.strip_prefix(&format!("{}: ", module.name())).expect("it names the file").to_string()
}

#[test]
fn a_missing_export_names_those_that_there_are() {
    let expected = "no export named 'nope'; it exports main(), all(i32, i64, f32, f64, v128) -> (i32, i64, f32, f64, v128), \
                    add(i32, i32) -> i32, takes a reference((ref null func)), returns a reference() -> (ref null func)";
    assert_eq!(call_error("nope", &[]), expected);
    let none = wat("(module (memory (export \"memory\") 1))");
    let expected = "test.wat: no export named 'main'; the module exports no function";
    assert_eq!(none.signature("main").unwrap_err().to_string(), expected);
}

#[test]
fn an_export_that_is_no_function_is_named_for_what_it_is() {
    for what in ["memory", "global", "table"] {
        assert_eq!(call_error(what, &[]), format!("the export '{what}' is a {what}, not a function"));
    }
}

#[test]
fn wrong_arguments_show_the_signature() {
    let too_few = "it takes 2 arguments, and 1 were given; the signature is add(i32, i32) -> i32";
    assert_eq!(call_error("add", &i32s([1])), too_few);
    let too_many = "it takes 0 arguments, and 1 were given; the signature is main()";
    assert_eq!(call_error("main", &i32s([1])), too_many);
    let of_another_type = "argument 2 is of type i64 where i32 is wanted; the signature is add(i32, i32) -> i32";
    assert_eq!(call_error("add", &[Value::I32(1), Value::I64(2)]), of_another_type);
}

#[test]
fn references_can_be_neither_passed_nor_taken() {
    let takes = "a host can pass and take only numbers and vectors; \
                 the signature is takes a reference((ref null func))";
    assert_eq!(call_error("takes a reference", &[]), takes);
    let returns = "a host can pass and take only numbers and vectors; \
                   the signature is returns a reference() -> (ref null func)";
    assert_eq!(call_error("returns a reference", &[]), returns);
}

#[test]
fn arguments_are_read_by_the_exports_own_signature() {
    let module = guest("exports");
    let add = module.signature("add").unwrap();
    assert_eq!(add.to_string(), "add(i32, i32) -> i32");
    assert_eq!(add.parse_args(&["0xff", "-1_000"]).unwrap(), i32s([255, -1_000]));
    let error = |args: &[&str]| {
        let error = add.parse_args(args).unwrap_err().to_string();
        error.strip_prefix(&format!("{}: ", module.name())).expect("it names the file").to_string()
    };
    let expected = "argument 2 is 'x\\u{1b}', which is no i32: it takes an integer from -2147483648 to 4294967295, \
                    such as -5, 0xff or 1_000; the signature is add(i32, i32) -> i32";
    assert_eq!(error(&["1", "x\u{1b}"]), expected);
    let expected = "it takes 2 arguments, and 3 were given; the signature is add(i32, i32) -> i32";
    assert_eq!(error(&["1", "2", "3"]), expected);
}

// Engines.

#[test]
fn a_module_of_another_engine_cannot_be_linked() {
    let other = Engine::new(&EngineConfig::default()).unwrap();
    let error = Linker::<()>::new(&other).link(&wat(TEXT)).unwrap_err();
    assert_eq!(error.to_string(), "test.wat: compiled by another engine than the linker's");
}

#[test]
fn an_engine_that_cannot_be_is_refused() {
    let error = |bytes| Engine::new(&EngineConfig::default().max_stack(bytes)).unwrap_err().to_string();
    let expected = "cannot set up the engine: a stack of 0 bytes is out of range; it can be 16384 to 268435456 bytes";
    assert_eq!(error(0), expected);
    assert!(error(usize::MAX).starts_with("cannot set up the engine: a stack of 18446744073709551615 bytes"));
}
