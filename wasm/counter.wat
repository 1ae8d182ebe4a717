;; Counts its calls in memory: an instance that stays, such as a character of a game whose `update` is called every frame.
;;
;; `update(by)` returns the new count, which also stands at offset 0 of the exported memory. The other exports end a call in the
;; ways in which a call can end other than by returning, after they have written -1 over the count.
(module
  (memory (export "memory") 1)
  (func (export "update") (param $by i32) (result i32)
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (local.get $by)))
    (i32.load (i32.const 0)))
  (func $spoil (i32.store (i32.const 0) (i32.const -1)))
  (func (export "trap") (call $spoil) (unreachable))
  (func (export "spin") (call $spoil) (loop $again (br $again))))
