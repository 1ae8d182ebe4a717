;; Fills 1,000,000 bytes of a memory of 65,536: charged first, trapped second.
;;
;; What a guest has used up to a trap is only partly written back, and how much of it depends on the quantum. Whoever charges what he
;; reads gives restarting on traps away for free.
(module
  (memory 1)
  (func $main (export "main") (param $bytes i32)
    (memory.fill (i32.const 0) (i32.const 1) (local.get $bytes))))
