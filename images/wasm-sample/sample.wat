;; A sample service in WebAssembly text, for WASI preview 1. Its first argument says what it does:
;;   tick    prints "tick" each second (also without an argument)
;;   env     prints its environment and ends
;;   cat P   prints what the first read of file P gives, of which the path goes without its first slash
;;   spin    uses all the CPU it gets
;;   eat     takes memory, 1 MiB at a time, and writes to all of it; traps when it gets no more
;;   trap    does what no program may
;;   exit    ends with code 7; anything else with 64
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  ;; 0 and 4: results of calls; 8: iovec; 64: subscription; 112: event
  (data (i32.const 160) "tick\n")
  (global $strings i32 (i32.const 65536))
  (global $pointers i32 (i32.const 4096))

  (func $print (param $text i32) (param $bytes i32)
    (i32.store (i32.const 8) (local.get $text))
    (i32.store (i32.const 12) (local.get $bytes))
    (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0))))

  ;; subscription: tag 0 = clock at 8, clock id 1 = monotonic at 16, timeout in ns at 24, flags 0 = relative at 40
  (func $sleep_a_second
    (i32.store (i32.const 80) (i32.const 1))
    (i64.store (i32.const 88) (i64.const 1000000000))
    (drop (call $poll_oneoff (i32.const 64) (i32.const 112) (i32.const 1) (i32.const 0))))

  (func $tick
    (loop $again
      (call $print (i32.const 160) (i32.const 5))
      (call $sleep_a_second)
      (br $again)))

  (func $env (local $at i32) (local $end i32)
    (drop (call $environ_sizes_get (i32.const 0) (i32.const 4)))
    (drop (call $environ_get (global.get $pointers) (global.get $strings)))
    (local.set $at (global.get $strings))
    (local.set $end (i32.add (local.get $at) (i32.load (i32.const 4))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (if (i32.eqz (i32.load8_u (local.get $at)))
          (then (i32.store8 (local.get $at) (i32.const 10))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (call $print (global.get $strings) (i32.load (i32.const 4))))

  (func $length (param $text i32) (result i32) (local $at i32)
    (local.set $at (local.get $text))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (i32.load8_u (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (i32.sub (local.get $at) (local.get $text)))

  ;; 3 is the first folder that the runtime gives, the root; right 2 is to read. Ends with the errno when it cannot.
  (func $cat (param $path i32) (local $errno i32)
    (local.set $errno (call $path_open (i32.const 3) (i32.const 0) (local.get $path) (call $length (local.get $path))
      (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 4)))
    (if (local.get $errno) (then (call $proc_exit (local.get $errno))))
    (i32.store (i32.const 8) (global.get $strings))
    (i32.store (i32.const 12) (i32.const 65536))
    (drop (call $fd_read (i32.load (i32.const 4)) (i32.const 8) (i32.const 1) (i32.const 0)))
    (call $print (global.get $strings) (i32.load (i32.const 0))))

  (func $spin
    (loop $again (br $again)))

  (func $eat (local $page i32)
    (loop $again
      (local.set $page (memory.grow (i32.const 16)))
      (if (i32.eq (local.get $page) (i32.const -1)) (then unreachable))
      (memory.fill (i32.mul (local.get $page) (i32.const 65536)) (i32.const 1) (i32.const 1048576))
      (br $again)))

  (func (export "_start") (local $first i32) (local $letters i32)
    (drop (call $args_sizes_get (i32.const 0) (i32.const 4)))
    (if (i32.lt_u (i32.load (i32.const 0)) (i32.const 2)) (then (call $tick)))
    (drop (call $args_get (global.get $pointers) (global.get $strings)))
    ;; The first two letters tell the words apart; little endian
    (local.set $first (i32.load offset=4 (global.get $pointers)))
    (local.set $letters (i32.load16_u (local.get $first)))
    (if (i32.eq (local.get $letters) (i32.const 0x6974)) (then (call $tick)))
    (if (i32.eq (local.get $letters) (i32.const 0x6e65)) (then (call $env) (return)))
    (if (i32.eq (local.get $letters) (i32.const 0x6163))
      (then (call $cat (i32.load offset=8 (global.get $pointers))) (return)))
    (if (i32.eq (local.get $letters) (i32.const 0x7274)) (then unreachable))
    (if (i32.eq (local.get $letters) (i32.const 0x7073)) (then (call $spin)))
    (if (i32.eq (local.get $letters) (i32.const 0x6165)) (then (call $eat)))
    (if (i32.eq (local.get $letters) (i32.const 0x7865)) (then (call $proc_exit (i32.const 7))))
    (call $proc_exit (i32.const 64)))
)
