;; A reactor: `_initialize` must run once before anything else is called, and `main` tells whether it did.
(module
  (global $runs (mut i32) (i32.const 0))
  (func (export "_initialize") (global.set $runs (i32.add (global.get $runs) (i32.const 1))))
  (func (export "main") (result i32) (global.get $runs)))
