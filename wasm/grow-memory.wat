;; Asks for another 64 KiB of memory, again and again: the memory.grow bomb.
;;
;; `main(rounds)` returns how many pages it got and how many times it was refused. `bomb` does not stop asking.
(module
  (memory (export "memory") 0)
  (func (export "main") (param $rounds i32) (result i32 i32)
    (local $got i32) (local $refused i32)
    (loop $again
      (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1))
        (then (local.set $refused (i32.add (local.get $refused) (i32.const 1))))
        (else (local.set $got (i32.add (local.get $got) (i32.const 1)))))
      (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
      (br_if $again (local.get $rounds)))
    (local.get $got) (local.get $refused))
  (func (export "bomb")
    (loop $again
      (drop (memory.grow (i32.const 1)))
      (br $again))))
