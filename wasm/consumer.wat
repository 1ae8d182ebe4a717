;; Receives numbers of 4 bytes from the channel "numbers", at most `count` of them, until it is closed. Returns their sum, how many there were, and
;; the last result of `recv`.
;;
;; The other end of wasm/producer.wat.
(module
  (import "sched" "open" (func $open (param i32 i32 i32) (result i32)))
  (import "sched" "recv" (func $recv (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "numbers")
  (func (export "main") (param $count i32) (result i32 i32 i32)
    (local $channel i32) (local $sum i32) (local $received i32) (local $result i32)
    (local.set $channel (call $open (i32.const 0) (i32.const 7) (i32.const 2)))
    (block $done
      (loop $again
        (br_if $done (i32.ge_u (local.get $received) (local.get $count)))
        (local.set $result (call $recv (local.get $channel) (i32.const 8) (i32.const 4)))
        (br_if $done (i32.lt_s (local.get $result) (i32.const 0)))
        (local.set $sum (i32.add (local.get $sum) (i32.load (i32.const 8))))
        (local.set $received (i32.add (local.get $received) (i32.const 1)))
        (br $again)))
    (local.get $sum) (local.get $received) (local.get $result)))
