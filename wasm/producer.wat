;; Sends the numbers from `first` on, so many of them, as 4 bytes each to the channel "numbers", which it opens with room for `capacity` messages,
;; and closes it if `close` is not 0. Returns how many were sent; less than 0 is the error that ended it.
;;
;; For back-pressure, and for what becomes of messages whose sender is gone. wasm/consumer.wat is the other end.
(module
  (import "sched" "open" (func $open (param i32 i32 i32) (result i32)))
  (import "sched" "send" (func $send (param i32 i32 i32) (result i32)))
  (import "sched" "close" (func $close (param i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "numbers")
  (func (export "main") (param $first i32) (param $count i32) (param $capacity i32) (param $close i32) (result i32)
    (local $channel i32) (local $sent i32) (local $error i32)
    (local.set $channel (call $open (i32.const 0) (i32.const 7) (local.get $capacity)))
    (block $done
      (loop $again
        (br_if $done (i32.ge_u (local.get $sent) (local.get $count)))
        (i32.store (i32.const 8) (i32.add (local.get $first) (local.get $sent)))
        (local.set $error (call $send (local.get $channel) (i32.const 8) (i32.const 4)))
        (if (i32.lt_s (local.get $error) (i32.const 0))
          (then (return (local.get $error))))
        (local.set $sent (i32.add (local.get $sent) (i32.const 1)))
        (br $again)))
    (if (local.get $close)
      (then (drop (call $close (local.get $channel)))))
    (local.get $sent)))
