;; Declares 4 GiB of memory, all that 32 bits can address, and wants it from the start.
(module
  (memory 65536)
  (func (export "main")))
