;; A module for others to import from: a function, and a memory in which it counts its calls.
(module
  (memory (export "memory") 1)
  (func (export "add") (param i32 i32) (result i32)
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
    (i32.add (local.get 0) (local.get 1))))
