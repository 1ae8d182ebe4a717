;; Takes all the memory that it can get, then fills all of it, for ever: the longest single operation that a guest has.
;;
;; It grows by doubling, then page by page, until it is refused. With a limit of 256 MiB one `memory.fill` is 268,435,456 fuel, and no
;; scheduler can stop it in between: only a smaller limit can.
(module
  (memory (export "memory") 1)
  (func (export "main")
    (loop $double
      (br_if $double (i32.ne (memory.grow (memory.size)) (i32.const -1))))
    (loop $page
      (br_if $page (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    (loop $again
      (memory.fill (i32.const 0) (i32.const 255) (i32.mul (memory.size) (i32.const 65536)))
      (br $again))))
