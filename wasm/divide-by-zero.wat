;; Divides by its argument: `main(0)` traps, `main(7)` returns 6.
(module
  (func $main (export "main") (param $by i32) (result i32)
    (i32.div_s (i32.const 42) (local.get $by))))
