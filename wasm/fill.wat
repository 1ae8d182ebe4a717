;; Fills 64 KiB of memory, for ever: one operation that costs far more than a quantum.
;;
;; A bulk operation is charged whole, a unit a byte, before it runs. So at quantum 1000 every slice of this guest uses 65,541 fuel: it
;; overshoots by 64,541, and a scheduler that counts slices lets it have 65 times its share.
(module
  (memory 1)
  (func (export "main")
    (loop $again
      (memory.fill (i32.const 0) (i32.const 170) (i32.const 65536))
      (br $again))))
