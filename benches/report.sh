#!/usr/bin/env bash
# Measures everything that docs/benchmarks.md shows, and puts it there. `--quick` takes some minutes, without it it is more exact.
set -euo pipefail
cd "$(dirname "$0")/.."

quick=${1:-}
if [ -n "$quick" ] && [ "$quick" != --quick ]; then
  printf 'usage: %s [--quick]\n' "$0" >&2
  exit 2
fi

# All are built first, so that no compiler runs beside a measurement.
cargo bench --locked --no-run --bench switch --bench spawn --bench throughput --bench wake --bench workers --bench policy --bench report
measure() {
  local start=$SECONDS bench=$1
  shift
  cargo bench --locked --bench "$bench" -- "$@"
  printf '\n%s took %s s\n' "$bench" "$((SECONDS - start))"
}

measure switch paired $quick
measure spawn $quick
measure throughput $quick
measure wake $quick
measure workers $quick
measure policy $quick
cargo bench --locked --bench report
