#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# vrfm_in_situ_mpi: the same lines, checksum included, on 1, 2 and 3 ranks and however its particles are spread
# over them; and a rank that fails ends all of them.
# Usage: in_situ_mpi.sh PROGRAM MPIEXEC NUMPROC-FLAG
. "$(dirname "$0")/common.sh"
program=$1
mpiexec=$2
numproc=$3

run() { # ranks, then the numbers of particles that they emit
  ranks=$1
  shift
  "$mpiexec" "$numproc" "$ranks" "$program" --kokkos-disable-warnings "$@" >"$dir/out" 2>"$dir/err" ||
    fail "status $? on $ranks ranks of: $*: $(cat "$dir/err")"
}

run 1
cp "$dir/out" "$dir/alone"
[ "$(wc -l <"$dir/alone")" -eq 4 ] || fail "expected 4 lines, found: $(cat "$dir/alone")"
grep -qE '^checksum of .*: [0-9a-f]{16}$' "$dir/alone" || fail "no checksum: $(cat "$dir/alone")"

same() {
  run "$@"
  cmp -s "$dir/alone" "$dir/out" || fail "other lines on these ranks: $*: $(cat "$dir/out")"
}
same 2
same 3
same 3 0 999 1

# Another number of particles is another simulation.
run 2 400 500
cmp -s "$dir/alone" "$dir/out" && fail "the checksum does not see the particles"

"$mpiexec" "$numproc" 2 "$program" --kokkos-disable-warnings 500 many >"$dir/out" 2>"$dir/err" &&
  fail "status 0 of a rank that failed"
grep -qF "rank 1: expected a number of particles, found many" "$dir/err" || fail "no reason: $(cat "$dir/err")"
finish
