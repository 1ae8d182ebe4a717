;; Loads four bytes at its argument: in bounds up to 65,532, and beyond that a trap.
(module
  (memory 1)
  (func $main (export "main") (param $at i32) (result i32)
    (i32.load (local.get $at))))
