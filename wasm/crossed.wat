;; Receives from the channel "left" (side 0) or "right" (side 1), and would then send to the other one. Two of them wait for each other for ever.
;;
;; For deadlocks.
(module
  (import "sched" "open" (func $open (param i32 i32 i32) (result i32)))
  (import "sched" "send" (func $send (param i32 i32 i32) (result i32)))
  (import "sched" "recv" (func $recv (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "left")
  (data (i32.const 4) "right")
  (func $side (param $side i32) (result i32)
    (if (result i32) (local.get $side)
      (then (call $open (i32.const 4) (i32.const 5) (i32.const 1)))
      (else (call $open (i32.const 0) (i32.const 4) (i32.const 1)))))
  (func (export "main") (param $side i32) (result i32)
    (local $in i32) (local $out i32)
    (local.set $in (call $side (local.get $side)))
    (local.set $out (call $side (i32.eqz (local.get $side))))
    (drop (call $recv (local.get $in) (i32.const 16) (i32.const 16)))
    (call $send (local.get $out) (i32.const 16) (i32.const 1))))
