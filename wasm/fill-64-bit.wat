;; Fills as many bytes as it is told, in 64 bits: `main(0x8000_0000_0000_0000)` is charged 2^63 fuel, more than there can be.
(module
  (memory i64 1)
  (func (export "main") (param $bytes i64)
    (memory.fill (i64.const 0) (i32.const 1) (local.get $bytes))))
