;; Asks for another 1,000 table elements, again and again: the table.grow bomb. An element is 8 bytes of the host's memory.
;;
;; `main(rounds)` returns how many times it got them and how many times it was refused. `bomb` does not stop asking.
(module
  (table $t 0 funcref)
  (func (export "main") (param $rounds i32) (result i32 i32)
    (local $got i32) (local $refused i32)
    (loop $again
      (if (i32.eq (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))
        (then (local.set $refused (i32.add (local.get $refused) (i32.const 1))))
        (else (local.set $got (i32.add (local.get $got) (i32.const 1)))))
      (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
      (br_if $again (local.get $rounds)))
    (local.get $got) (local.get $refused))
  (func (export "bomb")
    (loop $again
      (drop (table.grow $t (ref.null func) (i32.const 1000)))
      (br $again))))
