#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# vrfm_image_metrics as a user runs it: SciPy's values from features and from NumPy's statistics,
# statistics of its own, and one clear error with status 1 for whatever is wrong.
# Usage: image_metrics.sh PROGRAM
. "$(dirname "$0")/common.sh"
program=$1
golden=$(dirname "$0")/../golden

# The number, or the first of a list, that golden/metrics.hpp has under a name.
golden_value() { sed -n "s/.* $1 = {*\([^,;}]*\).*/\1/p" "$golden/metrics.hpp"; }

# Runs the program; the number under KEY in its JSON must be VALUE.
expect() { # key, value, then arguments
  key=$1 value=$2
  shift 2
  "$program" "$@" >"$dir/out" 2>"$dir/err" || fail "exit status $? of: $*: $(cat "$dir/err")"
  [ "$(wc -l <"$dir/out")" -eq 1 ] || fail "more or less than one line from: $*"
  found=$(sed -n "s/.*\"$key\":\([^,}]*\).*/\1/p" "$dir/out")
  # Printed with all digits; the rest is rounding.
  awk -v f="${found:-nan}" -v v="$value" 'BEGIN { d = f - v; exit !(f != "nan" && d < 1e-12 * (1 + v) && -d < 1e-12 * (1 + v)) }' ||
    fail "$key is '$found', not '$value', in: $*"
}

a=$golden/metrics_features_a.npy
b=$golden/metrics_features_b.npy
distance=$(golden_value program_frechet)
expect distance "$distance" frechet "$a" "$b"
expect distance "$distance" frechet "$a" "$golden/metrics_statistics_b.npz"
expect distance 0 frechet "$b" "$golden/metrics_statistics_b.npz"
expect dimensions 5 statistics "$a" --output "$dir/a.npz"
expect distance "$distance" frechet "$dir/a.npz" "$b"
expect mean "$(golden_value program_inception)" inception "$b" --splits 4
expect rows 40 inception "$b"
# Enough images are nothing to warn of; no more of them than features are.
"$program" frechet "$a" "$b" 2>"$dir/err" >"$dir/out"
[ ! -s "$dir/err" ] || fail "a warning of enough images: $(cat "$dir/err")"
printf '\223NUMPY\001\000v\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }" >"$dir/few.npy"
printf '\000\000\200\077\000\000\000\000\000\000\000\000\000\000\200\077' >>"$dir/few.npy"
expect dimensions 2 statistics "$dir/few.npy" --output "$dir/few.npz"
grep -qF "few.npy has 2 images of 2 features" "$dir/err" || fail "no warning of few images: $(cat "$dir/err")"
"$program" --help | grep -q inception || fail "--help"

wrong() { # words, then arguments
  words=$1
  shift
  refused "$words" "$program" "$@"
  grep -qF -e "vrfm_image_metrics: " "$dir/err" || fail "no name in the error of: $*"
}

wrong "subcommand"
wrong "none.npy: cannot read" frechet "$a" none.npy
wrong "main.cpp: expected features in a file *.npy or statistics in a file *.npz" frechet "$a" main.cpp
wrong "expected values of type '<f2', '<f4' or '<f8', found '<i4'" frechet "$a" "$golden/io_i4.npy"
wrong "expected an array of shape [rows, columns], found []" frechet "$a" "$golden/io_f8_scalar.npy"
wrong "io_f4.npy: feature_statistics: features: row 0 holds a number that is not finite" frechet "$a" "$golden/io_f4.npy"
wrong "metrics_features_a.npy: inception_score: expected one to 30 splits of as many rows, but got 31" inception "$a" --splits 31
wrong "Value 0 not in range" inception "$a" --splits 0
wrong "arr_0.npz: expected statistics mu [D] and sigma [D, D] in a file *.npz, or features [images, D] in a file *.npy, found the array arr_0; features of images are made by another program and saved by numpy.save" \
  frechet "$a" "$golden/readers/features_as_arr_0.npz"
expect dimensions 16 statistics "$golden/readers/julia_statistics.npz" --output "$dir/julia.npz"
expect distance 0 frechet "$dir/julia.npz" "$golden/readers/julia_statistics.npz"
printf '<!DOCTYPE html>\n<html></html>\n' >"$dir/page.npz"
wrong "page.npz: expected an NPZ archive, found a web page (HTML)" frechet "$a" "$dir/page.npz"
wrong "expected 'mu' of shape [D]" frechet "$a" "$golden/io_stored.npz"
wrong "expected a file *.npz, found stats" statistics "$a" --output stats

finish
