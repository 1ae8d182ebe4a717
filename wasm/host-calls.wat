;; Guests that do nothing but call WASI, for ever, one function each: to see what host calls cost in fuel, and take in time.
;;
;;   sched run --timing --run-fuel 40_000_000 --stdout discard --dir wasm::/d wasm/spin.wat wasm/host-calls.wat:clock
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 4)
  ;; One buffer for `fd_write`: 64 KiB from 16.
  (data (i32.const 0) "\10\00\00\00" "\00\00\01\00")
  (data (i32.const 96) "nothing")
  (func (export "random") (loop $again (drop (call $random_get (i32.const 1024) (i32.const 65536))) (br $again)))
  (func (export "random8") (loop $again (drop (call $random_get (i32.const 1024) (i32.const 8))) (br $again)))
  (func (export "write")
    (loop $again
      (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br $again)))
  (func (export "clock")
    (loop $again (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 8))) (br $again)))
  (func (export "open")
    (loop $again
      (drop
        (call $path_open (i32.const 3) (i32.const 0) (i32.const 96) (i32.const 7) (i32.const 0)
          (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 80)))
      (br $again))))
