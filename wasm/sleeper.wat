;; Sleeps for so many nanoseconds, so many times, and logs "." each time that it wakes. Returns how much later it is by the scheduler's clock.
;;
;; For the order of sleeps, and for tasks that cost nothing while they sleep.
(module
  (import "sched" "sleep_ns" (func $sleep (param i64)))
  (import "sched" "now_ns" (func $now (result i64)))
  (import "sched" "log" (func $log (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) ".\0a")
  (func (export "main") (param $time i64) (param $times i32) (result i64)
    (local $began i64)
    (local.set $began (call $now))
    (loop $again
      (call $sleep (local.get $time))
      (drop (call $log (i32.const 0) (i32.const 2)))
      (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
    (i64.sub (call $now) (local.get $began))))
