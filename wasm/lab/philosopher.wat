;; A philosopher at a round table (Dijkstra, 1965): takes one fork, thinks with it in the hand, takes another, eats, and puts both back. Returns how
;; many meals that came to.
;;
;; A fork is a channel with room for one message, called "fork 0" and so on: who has sent has it, who receives puts it back.
;;
;; For deadlocks that depend on the schedule (docs/lab.md).
(module
  (import "sched" "open" (func $open (param i32 i32 i32) (result i32)))
  (import "sched" "send" (func $send (param i32 i32 i32) (result i32)))
  (import "sched" "recv" (func $recv (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "fork ")
  (func $fork (param $number i32) (result i32)
    (i32.store8 (i32.const 5) (i32.add (i32.const 48) (local.get $number)))
    (call $open (i32.const 0) (i32.const 6) (i32.const 1)))
  (func $work (param $rounds i32)
    (loop $again
      (br_if $again (i32.gt_s (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1))) (i32.const 0)))))
  (func (export "main") (param $first i32) (param $second i32) (param $meals i32) (param $thinks i32) (result i32)
    (local $eaten i32)
    (local.set $first (call $fork (local.get $first)))
    (local.set $second (call $fork (local.get $second)))
    (loop $again
      (drop (call $send (local.get $first) (i32.const 8) (i32.const 0)))
      (call $work (local.get $thinks))
      (drop (call $send (local.get $second) (i32.const 8) (i32.const 0)))
      (local.set $eaten (i32.add (local.get $eaten) (i32.const 1)))
      (drop (call $recv (local.get $second) (i32.const 8) (i32.const 0)))
      (drop (call $recv (local.get $first) (i32.const 8) (i32.const 0)))
      (br_if $again (i32.lt_u (local.get $eaten) (local.get $meals))))
    (local.get $eaten)))
