#!/usr/bin/env bash
# Builds lines.wasm, with names and DWARF in it. Nothing else needs it: the file is committed. The same compiler (clang 14) makes the same bytes.
set -euo pipefail
cd "$(dirname "$0")"
"${CLANG:-clang}" --target=wasm32 -O1 -g -nostdlib -Wl,--no-entry -fdebug-prefix-map="$PWD"=. -o lines.wasm lines.c
chmod 644 lines.wasm
