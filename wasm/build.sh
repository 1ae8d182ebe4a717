#!/usr/bin/env bash
# Builds the WASI programs of `wasi/` from their C sources: `wasm/build.sh` all of them, `wasm/build.sh hello cat` those two,
# `wasm/build.sh --check` all of them into a folder of its own, and compares with what is committed.
#
# Nothing else needs it: the `.wasm` files are committed, and tests and CI use those. The same compiler makes the same bytes, wherever
# the repository lies: the programs are compiled from their own folder, by relative names, and keep no names, paths or producers.
set -euo pipefail
cd "$(dirname "$0")/wasi"

sysroot=/usr
clang=${CLANG:-clang}

# Says what is missing, and the Debian package that brings it.
need() {
  local what=$1 package=$2
  printf 'wasm/build.sh: %s is missing: apt-get install %s\n' "$what" "$package" >&2
  exit 1
}

check_tools() {
  command -v "$clang" >/dev/null || need clang clang
  command -v wasm-ld >/dev/null || need wasm-ld lld
  [ -e "$sysroot/lib/wasm32-wasi/libc.a" ] || need "a libc for wasm32-wasi" wasi-libc
  [ -e "$("$clang" --target=wasm32-wasi -print-libgcc-file-name)" ] || need 'the run time of clang for wasm32' libclang-rt-dev-wasm32
}

# Compiles $1.c to $2/$1.wasm.
build() {
  "$clang" --target=wasm32-wasi --sysroot="$sysroot" -std=gnu17 -Os -Wall -Wextra -Werror -DNDEBUG -g0 \
    -fno-ident -Wl,--strip-all -o "$2/$1.wasm" "$1.c"
  # For a host to load, and for no system to run.
  chmod 644 "$2/$1.wasm"
}

check_tools
to=.
if [ "${1:-}" = --check ]; then
  shift
  to=$(mktemp -d)
  trap 'rm -rf "$to"' EXIT
fi
[ $# -gt 0 ] || set -- $(ls -- *.c | sed 's/\.c$//')
for name in "$@"; do
  build "$name" "$to"
  printf '%7d  %s\n' "$(stat -c %s "$to/$name.wasm")" "$name.wasm"
  [ "$to" = . ] || cmp "$to/$name.wasm" "$name.wasm"
done
