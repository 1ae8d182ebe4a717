;; Works for so many rounds, and returns their number. A round is 8 fuel, and a yield point.
;;
;; For exercises in which it matters how long a task is, and nothing else about it (docs/lab.md).
(module
  (func (export "main") (param $rounds i32) (result i32)
    (local $i i32)
    (loop $again
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (local.get $rounds))))
    (local.get $i)))
