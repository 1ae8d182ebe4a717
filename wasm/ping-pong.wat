;; Two tasks that pass a number back and forth, over the channels "ping" and "pong" with room for one message each. Side 0 serves: it sends 1, and
;; each that receives the number sends it on, one higher. After so many rounds side 0 returns the number that came back last, side 1 the one
;; that it received last.
;;
;; For the order of slices when tasks wake each other.
(module
  (import "sched" "open" (func $open (param i32 i32 i32) (result i32)))
  (import "sched" "send" (func $send (param i32 i32 i32) (result i32)))
  (import "sched" "recv" (func $recv (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "pingpong")
  (func (export "main") (param $side i32) (param $rounds i32) (result i32)
    (local $out i32) (local $in i32)
    (local.set $out (call $open (i32.mul (local.get $side) (i32.const 4)) (i32.const 4) (i32.const 1)))
    (local.set $in (call $open (i32.sub (i32.const 4) (i32.mul (local.get $side) (i32.const 4))) (i32.const 4) (i32.const 1)))
    (loop $again
      ;; The number is at 8.
      (if (local.get $side)
        (then
          (drop (call $recv (local.get $in) (i32.const 8) (i32.const 4)))
          (i32.store (i32.const 12) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
          (drop (call $send (local.get $out) (i32.const 12) (i32.const 4))))
        (else
          (i32.store (i32.const 12) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
          (drop (call $send (local.get $out) (i32.const 12) (i32.const 4)))
          (drop (call $recv (local.get $in) (i32.const 8) (i32.const 4)))))
      (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
    (i32.load (i32.const 8))))
