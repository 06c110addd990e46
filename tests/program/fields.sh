#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# vrfm_table on fields: from an array [n, h, w], [n, h, w, c] or [n, c, h, w] to new fields of the same shape, with and
# without a field, a vector and a label that are given; and what is refused.
# Usage: fields.sh VRFM_TABLE
. "$(dirname "$0")/common.sh"
table=$1
export OMP_WAIT_POLICY=passive

# An array of bytes of one line of octal numbers a field.
npy() { # file, shape
  {
    printf '\223NUMPY\001\000\166\000'
    printf '%-117s\n' "{'descr': '|u1', 'fortran_order': False, 'shape': ($2), }"
    printf "$(sed 's/ *\([0-7][0-7]*\)/\\\1/g' | tr -d '\n')"
  } >"$1"
}
# 8 x 8 waves, high or low by their class; channels, points and the axis of the channels as asked.
waves() { # fields, channels, points along an axis, first or last
  awk -v n="$1" -v c="$2" -v h="$3" -v order="$4" 'function at(x, y, k) {
    return 130 + 30 * label + 40 * k + int(20 * sin(6.2832 * (x / h + u)) + 10 * sin(6.2832 * (y / h + v)) + 10 * rand())
  } BEGIN {
    srand(3)
    for (i = 0; i < n; ++i) {
      u = rand(); v = rand(); label = i % 2; line = ""
      if (order == "first")
        { for (k = 0; k < c; ++k) for (x = 0; x < h; ++x) for (y = 0; y < h; ++y) line = line sprintf(" %o", at(x, y, k)) }
      else
        { for (x = 0; x < h; ++x) for (y = 0; y < h; ++y) for (k = 0; k < c; ++k) line = line sprintf(" %o", at(x, y, k)) }
      print line
    }
  }'
}
waves 40 1 8 last | npy "$dir/plain.npy" 40,8,8
waves 40 2 8 last | npy "$dir/last.npy" 40,8,8,2
waves 40 2 8 first | npy "$dir/first.npy" 40,2,8,8
waves 40 1 4 last | npy "$dir/coarse.npy" 40,4,4
waves 40 1 5 last | npy "$dir/five.npy" 40,5,5
waves 30 1 8 last | npy "$dir/fewer.npy" 30,8,8
awk 'BEGIN { print "kind,size"; for (i = 0; i < 40; ++i) print i % 2 "," 3 + i % 2 }' >"$dir/given.csv"

run() { "$table" "$@" >"$dir/out" 2>"$dir/err" || fail "$*: $(cat "$dir/err")"; }
brief="--base 8 --multipliers 1,2 --attention 0 --batch 8 --no-cosine"
train() { folder=$1; shift; run train --output "$dir/$folder" $brief "$@"; }
shape() { head -c 120 "$1" | grep -aq "($2)" || fail "$1: not of shape $2: $(head -c 120 "$1")"; }

train plain --data "$dir/plain.npy" --posterior-base 4 --iterations 6 --rate 2
grep -q "fields of 8 x 8 points, 1 channel" "$dir/err" || fail "no shape: $(cat "$dir/err")"
grep -q "network unet" "$dir/err" || fail "no unet: $(cat "$dir/err")"
grep -q "nats, [0-8] of 8 dimensions active" "$dir/err" || fail "nothing of z: $(cat "$dir/err")"
train again --data "$dir/plain.npy" --posterior-base 4 --iterations 3 --rate 2
train again --data "$dir/plain.npy" --posterior-base 4 --iterations 6 --rate 2 --resume
cmp -s "$dir/plain/weights.safetensors" "$dir/again/weights.safetensors" || fail "another model after --resume"
run sample --load "$dir/plain" --count 5 --output "$dir/new.npy" --png "$dir/new.png"
shape "$dir/new.npy" "5, 8, 8"
[ -s "$dir/new.png" ] || fail "no picture"
run encode --load "$dir/plain" --data "$dir/new.npy" --output "$dir/codes.npy"
shape "$dir/codes.npy" "5, 16"
run reconstruct --load "$dir/plain" --data "$dir/new.npy" --steps 2 --output "$dir/reconstructed.npy"
shape "$dir/reconstructed.npy" "5, 8, 8"
run interpolate --load "$dir/plain" --data "$dir/new.npy" --between 0,4 --count 3 --steps 2 --output "$dir/between.npy"
shape "$dir/between.npy" "3, 8, 8"
run density --load "$dir/plain" --data "$dir/new.npy" --draws 1 --probes 1 --tolerance 1e-1 --output "$dir/density.csv"
grep -q "estimated by 1 draw" "$dir/err" || fail "nothing of the estimate: $(cat "$dir/err")"
run evaluate --load "$dir/plain" --data "$dir/plain.npy" --steps 2
for file in metrics.json report.html figures/spectra.png figures/drawn-0.png; do
  [ -s "$dir/plain/evaluation/$file" ] || fail "evaluate wrote no $file"
done
grep -q '"waves": "2 to 3"' "$dir/plain/evaluation/metrics.json" || fail "no bands of waves"

# The same numbers, whose channels come last or first: the same model, and samples each in their own order.
train last --data "$dir/last.npy" --model rfm --iterations 3
train first --data "$dir/first.npy" --model rfm --iterations 3
for order in last first; do
  run sample --load "$dir/$order" --count 2 --seed 5 --solver euler --steps 2 --output "$dir/$order-new.npy"
done
shape "$dir/last-new.npy" "2, 8, 8, 2"
shape "$dir/first-new.npy" "2, 2, 8, 8"
# One channel of it; a table whose rows are fields.
train one --data "$dir/first.npy" --columns 1 --model rfm --iterations 1
run sample --load "$dir/one" --count 2 --solver euler --steps 1 --output "$dir/one.npy"
shape "$dir/one.npy" "2, 1, 8, 8"
awk 'BEGIN { for (j = 0; j < 32; ++j) printf "p%d,", j; print "k"
  for (i = 0; i < 20; ++i) { for (j = 0; j < 32; ++j) printf "%d,", (i * j) % 7; print i % 2 } }' >"$dir/flat.csv"
train flat --data "$dir/flat.csv" --label k --grid 4,4 --model rfm --iterations 1
grep -q "4 x 4 points, 2 channels" "$dir/err" || fail "no grid: $(cat "$dir/err")"

# Signals of eight channels; volumes.
train signals --data "$dir/plain.npy" --channels last --model rfm --iterations 1
run sample --load "$dir/signals" --count 2 --steps 1 --output "$dir/signals.npy"
shape "$dir/signals.npy" "2, 8, 8"
train volumes --data "$dir/flat.csv" --label k --grid 2,4,4 --network unet --model rfm --iterations 1
run sample --load "$dir/volumes" --label 1 --count 2 --steps 1 --output "$dir/volumes.csv"

# Standardised by channel, and back: one deviation for all points of a channel.
train mean --data "$dir/last.npy" --model rfm --iterations 1
run sample --load "$dir/mean" --count 60 --solver euler --steps 1 --output "$dir/mean.npy"
run inspect "$dir/mean.npy"
awk '$1 == "0" && $3 > 130 && $3 < 170 || $1 == "1" && $3 > 170 && $3 < 210 { ++right } END { exit right != 2 }' "$dir/out" ||
  fail "samples are not in the data's units: $(cat "$dir/out")"

# Given a coarser field, a number and a class.
train given --data "$dir/plain.npy" --field "$dir/coarse.npy" --condition "$dir/given.csv:size" \
  --label "$dir/given.csv:kind" --condition-dropout 0.2 --posterior-base 4 --iterations 3
run sample --load "$dir/given" --field-file "$dir/coarse.npy" --condition size=3 --label 1 --guidance 1.5 --count 3 \
  --steps 2 --output "$dir/three.npy"
shape "$dir/three.npy" "3, 8, 8"
run evaluate --load "$dir/given" --data "$dir/plain.npy" --members 3 --steps 2
grep -q '"inside_90"' "$dir/given/evaluation/metrics.json" || fail "no calibration"

run train --data "$dir/plain.npy" --dry-run --output "$dir/none" $brief
grep -q "s a step, so" "$dir/err" || fail "a dry run tells no time: $(cat "$dir/err")"
refused "expected the extents of a row" "$table" train --data "$dir/plain.npy" --grid 5,5 --output "$dir/none"
refused "--network unet: expected fields" "$table" train --data "$dir/given.csv" --network unet --output "$dir/none"
refused "--field: an mlp takes no field" \
  "$table" train --data "$dir/plain.npy" --field "$dir/coarse.npy" --network mlp --output "$dir/none"
refused "or on one whose extents divide these, found rows of 5 x 5" \
  "$table" train --data "$dir/plain.npy" --field "$dir/five.npy" --output "$dir/none"
refused "has 40 rows but" \
  "$table" train --data "$dir/plain.npy" --field "$dir/fewer.npy" --output "$dir/none"
refused "found no file 'none.npy'" "$table" train --data "$dir/plain.npy" --field none.npy --output "$dir/none"
refused "the rows of $dir/plain.npy are fields" \
  "$table" train --data "$dir/plain.npy" --label kind --output "$dir/none"
refused "--width has no effect with --network unet" \
  "$table" train --data "$dir/plain.npy" --width 64 --output "$dir/none"
refused "expected their file, got none" "$table" sample --load "$dir/given" --condition size=3 --label 1 --output "$dir/x.npy"
refused "--field-file has no effect" \
  "$table" sample --load "$dir/plain" --field-file "$dir/coarse.npy" --output "$dir/x.npy"
refused "expected fields on the grid of 8 x 8 points, found rows of 5 x 5" \
  "$table" encode --load "$dir/plain" --data "$dir/five.npy" --output "$dir/x.npy"
[ -e "$dir/none" ] && fail "a refused training left its folder"
finish
