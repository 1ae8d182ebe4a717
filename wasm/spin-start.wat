;; Runs for ever before it has begun: the endless loop is in the start function, so `main` is never reached.
;;
;; Start functions run while the module is instantiated. Whoever instantiates outside of the task hangs here.
(module
  (func $start (loop $again (br $again)))
  (start $start)
  (func (export "main")))
