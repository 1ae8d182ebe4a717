;; Grows a memory and a table by nothing in every round, so that the host is called in every round, at no place where fuel may be set.
;;
;; `memory.grow` and `table.grow` leave the guest with its fuel counter in a register: whoever writes the counter then, writes what
;; is overwritten on return. `main(rounds)` returns how many pages and elements there were in all: none.
(module
  (memory 0)
  (table $t 0 funcref)
  (func (export "main") (param $rounds i32) (result i32)
    (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (memory.grow (i32.const 0))))
      (local.set $sum (i32.add (local.get $sum) (table.grow $t (ref.null func) (i32.const 0))))
      (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
      (br_if $again (local.get $rounds)))
    (local.get $sum)))
