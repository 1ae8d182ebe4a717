;; Imports one of each kind from places that nobody provides. A loader should name all of them, not the first.
(module
  (import "env" "log" (func (param i32 i32)))
  (import "env" "now" (func (result i64)))
  (import "env" "memory" (memory 1))
  (import "env" "__stack_pointer" (global (mut i32)))
  (import "game" "sprites" (table 4 funcref))
  (func (export "main")))
