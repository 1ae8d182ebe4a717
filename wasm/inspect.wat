;; Counts in its memory until the host stops it: a guest to be looked into while it is suspended.
;;
;; `main` adds the global `step` to the 32-bit number at 0 in every round, and returns the number at 4 as soon as that is not 0.
(module
  (memory (export "memory") 1)
  (global $step (export "step") (mut i32) (i32.const 1))
  (func (export "main") (result i32)
    (loop $again
      (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (global.get $step)))
      (br_if $again (i32.eqz (i32.load (i32.const 4)))))
    (i32.load (i32.const 4))))
