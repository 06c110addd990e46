#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# vrfm_table as a user gets it: from a table of his own to new rows in the same format, with and without a condition;
# what the other commands write; a run that was interrupted goes on to the same bits; and what is refused.
# Usage: table.sh VRFM_TABLE
. "$(dirname "$0")/common.sh"
table=$1
export OMP_WAIT_POLICY=passive

# Rows of three scales: a point on a ring, b a hundred times its other coordinate, c given the energy; and a class.
awk 'BEGIN {
  srand(7); print "a,b,c,energy,kind,run"
  for (i = 0; i < 600; ++i) {
    t = 6.28318 * rand(); e = exp(3 * rand()); k = int(2 * rand())
    printf "%.5f,%.4f,%.6f,%.5f,%d,%d\n", cos(t) + k, 100 * sin(t), 0.01 * e * (1 + 0.2 * rand()), e, k, i % 50
  }
}' >"$dir/rows.csv"
run() { "$table" "$@" >"$dir/out" 2>"$dir/err" || fail "$*: $(cat "$dir/err")"; }
lines() { wc -l <"$1" | tr -d ' '; }
brief="--width 16 --blocks 1 --features 4 --posterior-width 8 --posterior-blocks 1 --batch 32 --no-cosine"

run inspect "$dir/rows.csv"
grep -q "600 rows of 6 columns" "$dir/out" || fail "inspect: $(cat "$dir/out")"
grep -q "kind .*a label?" "$dir/out" || fail "inspect sees no label: $(cat "$dir/out")"

train() { run train --data "$dir/rows.csv" --output "$dir/$@" $brief; }
train one --columns a,b,c --iterations 20 --model vrfm --rate 2
train two --columns a,b,c --iterations 8 --model vrfm --rate 2
train two --columns a,b,c --iterations 20 --model vrfm --rate 2 --resume
cmp -s "$dir/one/weights.safetensors" "$dir/two/weights.safetensors" || fail "another model after --resume"
train two --columns a,b,c --iterations 20 --model vrfm --rate 2 --resume
cmp -s "$dir/one/weights.safetensors" "$dir/two/weights.safetensors" || fail "another model after --resume of what was done"
for file in run.json held_out.csv losses.npz losses.csv; do
  [ -s "$dir/one/$file" ] || fail "train wrote no $file"
done
[ "$(lines "$dir/two/losses.csv")" -eq 21 ] || fail "not the losses of 20 steps"
cmp -s "$dir/one/losses.csv" "$dir/two/losses.csv" || fail "other losses after --resume"
ls "$dir"/two/events/events.out.tfevents.* >"$dir/events"
[ "$(lines "$dir/events")" -eq 3 ] || fail "not a file of events for each of three starts"
grep -q "brain.Event:2" "$dir"/one/events/* || fail "no events for TensorBoard"
grep -q "held-out/active dimensions" "$dir"/one/events/* || fail "no event of what z does"

run sample --load "$dir/one" --count 50 --output "$dir/new.csv"
[ "$(head -n 1 "$dir/new.csv")" = "a,b,c" ] || fail "columns: $(head -n 1 "$dir/new.csv")"
[ "$(lines "$dir/new.csv")" -eq 51 ] || fail "not 50 rows"
run sample --load "$dir/one" --count 50 --output "$dir/again.csv"
cmp -s "$dir/new.csv" "$dir/again.csv" || fail "other rows of the same seed"
run sample --load "$dir/one/weights.safetensors" --count 50 --seed 2 --output "$dir/again.csv"
cmp -s "$dir/new.csv" "$dir/again.csv" && fail "the same rows of another seed"

run encode --load "$dir/one" --data "$dir/new.csv" --output "$dir/codes.csv"
[ "$(head -n 1 "$dir/codes.csv")" = "mean0,mean1,mean2,log_variance0,log_variance1,log_variance2" ] ||
  fail "codes: $(head -n 1 "$dir/codes.csv")"
run reconstruct --load "$dir/one" --data "$dir/new.csv" --output "$dir/reconstructed.csv"
[ "$(lines "$dir/reconstructed.csv")" -eq 51 ] || fail "not 50 rows are reconstructed"
run interpolate --load "$dir/one" --data "$dir/new.csv" --between 0,7 --count 5 --output "$dir/between.csv"
[ "$(lines "$dir/between.csv")" -eq 6 ] || fail "not 5 rows between two"
run density --load "$dir/one" --data "$dir/new.csv" --draws 2 --tolerance 1e-2 --output "$dir/density.csv"
[ "$(lines "$dir/density.csv")" -eq 51 ] || fail "not 50 densities"
run evaluate --load "$dir/one"
for file in metrics.json report.html figures/marginals.png figures/pairs.png; do
  [ -s "$dir/one/evaluation/$file" ] || fail "evaluate wrote no $file"
done
grep -q "dimensions active" "$dir/one/evaluation/metrics.json" || fail "evaluate says nothing of z"

# Other formats, whose rows are trained on again.
formats="npy npz"
"$table" sample --load "$dir/one" --count 90 --output "$dir/rows.h5" >"$dir/out" 2>"$dir/err" && formats="npy npz h5" ||
  grep -q "was built without HDF5" "$dir/err" || fail "rows.h5: $(cat "$dir/err")"
for format in $formats; do
  run sample --load "$dir/one" --count 90 --output "$dir/rows.$format"
  run train --data "$dir/rows.$format" --model rfm --iterations 2 --output "$dir/$format" $brief
  run sample --load "$dir/$format" --count 3 --tolerance 1e-1 --output "$dir/three.$format"
done

# Given an energy and a class.
train given --columns a,b,c --condition energy --label kind --ids run --standardize energy=log,c=log \
  --condition-dropout 0.1 --iterations 5
run sample --load "$dir/given" --condition energy=3 --label 1 --guidance 1.5 --count 4 --output "$dir/four.csv"
awk -F, 'NR > 1 && $3 <= 0 { exit 1 }' "$dir/four.csv" || fail "a column of logarithms is below 0"
run evaluate --load "$dir/given" --count 40 --members 4 --steps 2
grep -q '"inside_90"' "$dir/given/evaluation/metrics.json" || fail "no calibration"
[ -s "$dir/given/evaluation/figures/ranks.png" ] || fail "no ranks.png"

refused "which are a, b, c, energy, kind, run; found 'q'" "$table" train --data "$dir/rows.csv" --columns a,q
refused "found no file 'none.csv'" "$table" train --data none.csv
refused "--resume continues, --overwrite replaces them" "$table" train --data "$dir/rows.csv" --output "$dir/one"
refused "expected a file *.csv, *.npy, *.npz or *.h5" "$table" sample --load "$dir/one" --output "$dir/x.txt"
refused "--condition has no effect" "$table" sample --load "$dir/one" --condition a=1 --output "$dir/x.csv"
refused "expected energy=NUMBER" "$table" sample --load "$dir/given" --label 0 --output "$dir/x.csv"
refused "this model has classes" "$table" sample --load "$dir/given" --condition energy=3 --output "$dir/x.csv"
refused "expected a column of the data or the condition, which are a, b, c; found 'q'" \
  "$table" train --data "$dir/rows.csv" --columns a,b,c --standardize q=log --output "$dir/none"
refused "above 0 (log), found" "$table" train --data "$dir/rows.csv" --columns a --standardize log \
  --output "$dir/none"
{ cat "$dir/rows.csv"; echo "nan,1,1,1,0,1"; } >"$dir/missing.csv"
refused "--drop-nan leaves them out" "$table" train --data "$dir/missing.csv" --output "$dir/none" $brief
run train --data "$dir/missing.csv" --drop-nan --model rfm --iterations 1 --output "$dir/dropped" $brief
grep -q "1 rows with a NaN" "$dir/err" || fail "rows left out are not told: $(cat "$dir/err")"
[ -e "$dir/none" ] && fail "a refused training left its folder"
finish
