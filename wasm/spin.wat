;; Runs for ever and does nothing: the smallest runaway.
;;
;; One round of the loop is 1 fuel, and every round is a yield point, so it can be preempted to the unit: of two guests, this is the
;; one that never overshoots.
(module
  (func (export "main")
    (loop $again (br $again))))
