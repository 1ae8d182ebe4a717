;; Exports one of each kind, and functions that return what they are given, of every type that a host can pass.
(module
  (memory (export "memory") 1)
  (global (export "global") i32 (i32.const 7))
  (table (export "table") 1 funcref)
  (func (export "main"))
  (func (export "all") (param i32 i64 f32 f64 v128) (result i32 i64 f32 f64 v128)
    (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "takes a reference") (param funcref))
  (func (export "returns a reference") (result funcref) (ref.null func)))
