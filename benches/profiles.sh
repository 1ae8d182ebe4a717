#!/usr/bin/env bash
# Builds `sched` with several release profiles, one after the other, from nothing: size of the binary, seconds of the build on this
# machine, and what its own benchmark says of a run. A Markdown table. It takes minutes a profile: `benches/profiles.sh`, or
# `benches/profiles.sh 'thin 1 3' 'off 16 3'` for those alone (LTO, codegen units, optimisation level).
#
# Panics always unwind: an executor catches what a host function panics with (`catch_unwind`), and `abort` would end the process.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- 'fat 1 3' 'thin 1 3' 'thin 16 3' 'off 16 3' 'fat 1 2' 'fat 1 "s"'

to=$(mktemp -d)
trap 'rm -rf "$to"' EXIT
printf '| LTO | units | level | bytes | build, s | `sched --benchmark --runs 300`, s, best of 5 |\n|---|--:|--:|--:|--:|--:|\n'
for profile in "$@"; do
  read -r lto units level <<<"$profile"
  started=$SECONDS
  ${CARGO:-cargo} build --quiet --release --bin sched --target-dir "$to/target" --config "profile.release.lto=\"$lto\"" \
    --config "profile.release.codegen-units=$units" --config "profile.release.opt-level=$level"
  built=$((SECONDS - started))
  sched=$to/target/release/sched
  best=$(for _ in 1 2 3 4 5; do
    TIMEFORMAT=%R
    { time "$sched" --benchmark --runs 300 >/dev/null 2>&1; } 2>&1
  done | sort -n | head -1)
  printf '| %s | %s | %s | %s | %s | %s |\n' "$lto" "$units" "$level" "$(stat -c %s "$sched")" "$built" "$best"
  rm -rf "$to/target"
done
