# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# What the tests of programs share: a folder that goes when they end, and the count of failures.
# shellcheck shell=sh
set -u
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failures=0

fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

# The call must end with status 1 and the words on stderr.
refused() { # words, then the call
  words=$1
  shift
  "$@" >"$dir/out" 2>"$dir/err"
  status=$?
  [ $status -eq 1 ] || fail "status $status, not 1, of: $*"
  grep -qF -e "$words" "$dir/err" || fail "no '$words' in the error of: $* -- $(cat "$dir/err")"
}

# The last line of a test: its exit status.
finish() {
  if [ $failures -gt 0 ]; then
    echo "$failures failures"
    exit 1
  fi
  echo "all passed"
}
