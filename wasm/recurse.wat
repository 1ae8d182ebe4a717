;; Calls itself without end, until the stack is used up: the recursion bomb.
;;
;; Each frame holds a value across the call, so that no compiler turns the recursion into a loop.
(module
  (func $deeper (export "main") (param $depth i32) (result i32)
    (i32.add
      (local.get $depth)
      (call $deeper (i32.add (local.get $depth) (i32.const 1))))))
