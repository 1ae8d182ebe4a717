;; The n-th Fibonacci number, by the definition: two calls for each, so the stack is deep and the work exponential in n.
;;
;; One of the demo's two modules: `main(10)` returns 55. A longer run is one digit away: `main(30)` returns 832040.
;; Every function entry is a yield point, so this guest can be preempted at any depth.
(module
  (func $fib (export "main") (param $n i32) (result i32)
    (if (result i32) (i32.lt_s (local.get $n) (i32.const 2))
      (then (local.get $n))
      (else
        (i32.add
          (call $fib (i32.sub (local.get $n) (i32.const 1)))
          (call $fib (i32.sub (local.get $n) (i32.const 2))))))))
