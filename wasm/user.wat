;; Imports from `adder`: its function, and the memory in which that counts its calls.
;;
;; `main(n)` adds up 1 to n with the other module's `add`, and returns the sum and how many calls the other module has counted.
(module
  (import "adder" "add" (func $add (param i32 i32) (result i32)))
  (import "adder" "memory" (memory 1))
  (func (export "main") (param $n i32) (result i32 i32)
    (local $sum i32)
    (loop $again
      (local.set $sum (call $add (local.get $sum) (local.get $n)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $again (local.get $n)))
    (local.get $sum)
    (i32.load (i32.const 0))))
