;; Counts to 10,000 in a loop, and returns where it came to.
;;
;; The other of the demo's two modules. One round of the loop is 8 fuel and every round a yield point, so at a quantum of 1000
;; this guest is preempted every 125 rounds.
(module
  (func (export "main") (result i32)
    (local $i i32)
    (loop $again
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_s (local.get $i) (i32.const 10000))))
    (local.get $i)))
