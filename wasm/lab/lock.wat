;; Takes a lock, works, gives it back, and works, so many times. Returns how many times it had to wait for the lock, where it asks without waiting
;; (`barging`), else 0.
;;
;; The lock is the channel "lock" with room for one message: who has sent has it, who receives gives it back. Those who wait for room stand in line,
;; so that the lock is handed on to the first of them. With `barging` nobody stands in line: who does not get it gives its turn away, and
;; asks again.
;;
;; For priority inversion and for convoys (docs/lab.md).
(module
  (import "sched" "open" (func $open (param i32 i32 i32) (result i32)))
  (import "sched" "send" (func $send (param i32 i32 i32) (result i32)))
  (import "sched" "try_send" (func $try_send (param i32 i32 i32) (result i32)))
  (import "sched" "recv" (func $recv (param i32 i32 i32) (result i32)))
  (import "sched" "yield" (func $yield))
  (memory (export "memory") 1)
  (data (i32.const 0) "lock")
  (func $work (param $rounds i32)
    (loop $again
      (br_if $again (i32.gt_s (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1))) (i32.const 0)))))
  (func (export "main") (param $times i32) (param $inside i32) (param $outside i32) (param $barging i32) (result i32)
    (local $lock i32) (local $waited i32)
    (local.set $lock (call $open (i32.const 0) (i32.const 4) (i32.const 1)))
    (loop $again
      (if (local.get $barging)
        (then
          (block $mine
            (loop $ask
              (br_if $mine (i32.eqz (call $try_send (local.get $lock) (i32.const 8) (i32.const 0))))
              (local.set $waited (i32.add (local.get $waited) (i32.const 1)))
              (call $yield)
              (br $ask))))
        (else (drop (call $send (local.get $lock) (i32.const 8) (i32.const 0)))))
      (call $work (local.get $inside))
      (drop (call $recv (local.get $lock) (i32.const 8) (i32.const 8)))
      (call $work (local.get $outside))
      (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
    (local.get $waited)))
