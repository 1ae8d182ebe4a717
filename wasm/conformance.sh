#!/usr/bin/env bash
# Runs a public suite for WASI preview 1 against `sched run`: that of Node.js, 25 programs in C, compiled by its own authors with their own toolchain.
#
# `wasm/conformance.sh` takes the suite from Debian's source package `nodejs` (30 MB, kept in target/conformance/), builds the binary unless SCHED
# names one, and prints a table. Needs apt-get with Debian's archive among its sources. The exit code is 1 if a program failed that is not among those
# that are known to expect another answer, and the table says which those are and why. Wasmtime's own WASI fails the same ones, but `sock`.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$PWD/target/conformance
suite=$work/suite
sched=${SCHED:-}

# Downloads the sources and unpacks the suite out of them. The system's own lists of sources stay as they are: a copy is read that asks for source packages.
fetch() {
  local list=$work/apt/sources.list archive
  mkdir -p "$work"/apt/{lists,cache/archives}/partial "$work/download"
  printf 'deb-src %s %s main\n' "$(debian_archive)" "$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")" >"$list"
  local options=(-o "Dir::Etc::SourceList=$list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$work/apt/lists"
    -o "Dir::Cache=$work/apt/cache" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" -qq update
  (cd "$work/download" && apt-get "${options[@]}" -qq source --download-only nodejs)
  archive=$(ls "$work"/download/nodejs_*.orig.tar.*)
  mkdir -p "$suite.part"
  tar xf "$archive" -C "$suite.part" --strip-components=1 --wildcards '*/test/wasi/wasm' '*/test/fixtures/wasi' '*/LICENSE'
  mv "$suite.part" "$suite"
}

# Where this system gets Debian's packages from.
debian_archive() {
  apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' | grep -v security | head -n 1
}

# The folders that the programs find: `sandbox` with the suite's files, or with links for the programs about links; `tmp`, empty.
sandbox() {
  rm -rf "$work/run"
  mkdir -p "$work/run/tmp"
  cp -r "$suite/test/fixtures/wasi" "$work/run/sandbox"
}

# Node's own links lead from the preopened folder, wherever they lie; these lead to the same files from where they lie, as in POSIX.
sandbox_of_links() {
  rm -rf "$work/run"
  mkdir -p "$work"/run/{tmp,sandbox/subdir}
  printf 'hello from input.txt' >"$work/run/sandbox/input.txt"
  printf 'this should be inaccessible' >"$work/run/outside.txt"
  ln -s ../input.txt "$work/run/sandbox/subdir/input_link.txt"
  ln -s ../../outside.txt "$work/run/sandbox/subdir/outside.txt"
  ln -s loop2 "$work/run/sandbox/subdir/loop1"
  ln -s loop1 "$work/run/sandbox/subdir/loop2"
}

passed=0
failed=0
other=0

# Runs program $1, which has to end with code $2 and print $3, with $4 as standard input. $5 says why it is known to abort instead.
check() {
  local name=$1 code=$2 expected=$3 input=$4 known=${5:-} out got
  "$setup"
  printf '%s' "$input" >"$work/run/stdin"
  cp "$suite/test/wasi/wasm/$name.wasm" "$work/run/foo"
  # The exit code of the binary is 1 if that of the program is not 0.
  out=$("$sched" run --format json --dir "$work/run/sandbox::/sandbox" --dir "$work/run/tmp::/tmp" --env NODE_PLATFORM=linux \
    --stdin "$work/run/stdin" "$work/run/foo" -- -bar --baz=value 2>"$work/run/stderr") || true
  got=$(field outcome "$out")/$(field exit_code "$out")/$(field stdout "$out")
  if [ "$got" = "$(ending "$code")/$expected" ]; then
    passed=$((passed + 1))
    row "$name" passed ''
  elif [ -n "$known" ] && [ "$got" = trapped/null/ ]; then
    other=$((other + 1))
    row "$name" otherwise "$known"
  else
    failed=$((failed + 1))
    row "$name" FAILED "$got $(field stderr "$out")"
  fi
}

# How a program ends with a code of 0, and with another.
ending() {
  if [ "$1" = 0 ]; then printf 'returned/null'; else printf 'exited/%s' "$1"; fi
}

# The value of a task's field in a report: text without its quotes, its escapes as they stand.
field() {
  sed -n "s/.*\"$1\": *\(null\|[0-9]\+\|\"\([^\"\\\\]\|\\\\.\)*\"\).*/\1/p" <<<"$2" | sed 's/^"//; s/"$//'
}

row() {
  printf '%-24s %-10s %s\n' "$1" "$2" "$3"
}

[ -d "$suite" ] || fetch
if [ -z "$sched" ]; then
  cargo build --locked
  sched=target/debug/sched
fi

escape='asks for ENOTCAPABLE; a path that leads outside is EPERM here'
processor='asks for the clock of processor time, which is not served here'
setup=sandbox
check cant_dotdot 0 '' '' "$escape"
check clock_getres 0 '' '' "$processor"
check exitcode 120 '' ''
check fd_prestat_get_refresh 0 '' ''
check freopen 0 'hello from input2.txt\n' ''
check ftruncate 0 '' ''
check getentropy 0 '' ''
check getrusage 0 '' '' "$processor"
check gettimeofday 0 '' ''
check main_args 0 '' ''
check notdir 0 '' ''
check poll 0 '' '' 'asks for POLLHUP at the end of a file, which POSIX has for pipes and terminals alone'
check preopen_populates 0 '' ''
check readdir 0 '' '' 'counts 4 entries; a directory lists `.` and `..` too here'
check read_file 0 'hello from input.txt\n' ''
check read_file_twice 0 'hello from input.txt\nhello from input.txt\n' ''
check stat 0 '' ''
check sock 0 '' '' 'asks for EBADF of a descriptor that is not there; sockets are ENOTSUP here whatever the descriptor'
check write_file 0 '' ''
check stdin 0 'hello world' 'hello world'
check stdin 0 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
setup=sandbox_of_links
check create_symlink 0 'hello from input.txt' '' 'asks for the length of a link and one more, and that the link leads from the preopened folder'
check follow_symlink 0 'hello from input.txt' ''
check link 0 '' ''
check symlink_escape 0 '' '' "$escape"
check symlink_loop 0 '' ''
printf '%s passed, %s failed, %s answer otherwise\n' "$passed" "$failed" "$other"
[ "$failed" = 0 ]
