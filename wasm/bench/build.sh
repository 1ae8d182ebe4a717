#!/usr/bin/env bash
# Builds the guests of this folder from their C sources: `wasm/bench/build.sh` all of them, `wasm/bench/build.sh --check` all of them into
# a folder of their own, and compares with what is committed; `--native` compiles them for this machine instead, and prints what they
# return for the amounts that `tests/it/bench_guests.rs` expects results of: an oracle that has never seen Wasm.
#
# Nothing else needs it: the `.wasm` files are committed. The same compiler (clang 14) makes the same bytes.
set -euo pipefail
cd "$(dirname "$0")"
clang=${CLANG:-clang}
flags=(-std=gnu17 -O2 -Wall -Wextra -Werror -g0 -fno-ident -fno-builtin -fno-math-errno -ffp-contract=off)

# Small amounts: `name amount`.
small='fib 15
json 2
lz 8
matrix 12
nbody 50
search 8
sha256 4
sieve 5000
sort 2000
vm 60
xxhash 1'

native() {
  local to
  to=$(mktemp -d)
  printf '#include <stdio.h>\n#include <stdlib.h>\nlong guest(int);\nint main(int c, char **v) { printf("%%ld\\n", guest(c > 1 ? atoi(v[1]) : 0)); }\n' >"$to/host.c"
  while read -r name amount; do
    "$clang" "${flags[@]}" -o "$to/$name" "$name.c" "$to/host.c"
    printf '%s %s %s\n' "$name" "$amount" "$("$to/$name" "$amount")"
  done <<<"$small"
  rm -r "$to"
}

# Compiles $1.c to $2/$1.wasm: no libc, no start file, a stack of 64 KiB below the data, so that an overflow traps.
build() {
  "$clang" --target=wasm32 -mbulk-memory "${flags[@]}" -nostdlib -Wl,--no-entry -Wl,--strip-all -Wl,--stack-first -Wl,-z,stack-size=65536 \
    -o "$2/$1.wasm" "$1.c"
  chmod 644 "$2/$1.wasm"
}

[ "${1:-}" != --native ] || { native; exit; }
to=.
if [ "${1:-}" = --check ]; then
  to=$(mktemp -d)
  trap 'rm -rf "$to"' EXIT
fi
for source in *.c; do
  name=${source%.c}
  build "$name" "$to"
  printf '%7d  %s\n' "$(stat -c %s "$to/$name.wasm")" "$name.wasm"
  [ "$to" = . ] || cmp "$to/$name.wasm" "$name.wasm"
done
