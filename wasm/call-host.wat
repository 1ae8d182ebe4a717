;; Calls a function of the host's in every round: `main(rounds)` returns the sum of what "host" "tick" returned.
(module
  (import "host" "tick" (func $tick (param i32) (result i32)))
  (func (export "main") (param $rounds i32) (result i32)
    (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (call $tick (local.get $rounds))))
      (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
      (br_if $again (local.get $rounds)))
    (local.get $sum)))
