;; Runs into `unreachable`, which is what a compiled `abort()` or panic ends in.
(module
  (func $main (export "main") (result i32)
    (unreachable)))
