#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# The Frechet distance over evaluations as a user gets it: by few_steps.sh from nothing but the files, by the command
# sweep again without computing anything twice, to the same figures on another number of threads; and what it refuses.
# Usage: sweep.sh VRFM_MNIST VRFM_STANDINS FEW_STEPS
. "$(dirname "$0")/common.sh"
mnist=$1
standins=$2
few_steps=$3
export OMP_WAIT_POLICY=passive

"$standins" mnist --train 200 --test 20 --output "$dir" >"$dir/out" 2>&1 || {
  "$standins" --help
  fail "stand-ins: $(cat "$dir/out")"
}
SEEDS=1 STEPS=1,2 COUNT=12 CLASSIFY="--iterations 2 --base 4 --features 5" TRAIN="--iterations 2 --features 4 --samples 1"
export SEEDS STEPS COUNT CLASSIFY TRAIN
few() {
  "$few_steps" "$(dirname "$mnist")" mnist "$dir/mnist" "$dir/few" rfm-small vrfm-soflow-small >"$dir/out" 2>"$dir/err" ||
    fail "few_steps.sh: $(cat "$dir/err")"
}
OMP_NUM_THREADS=1 few
for file in report.html table.md sweep.json figures/sweep.png; do
  [ -s "$dir/few/sweep/$file" ] || fail "no $file"
done
grep -q "^| V-SoFlow (vrfm-soflow-small-seed1) | [0-9.]* | [0-9.]* | [0-9.]* |$" "$dir/few/sweep/table.md" ||
  fail "table.md: $(cat "$dir/few/sweep/table.md")"
[ "$(grep -c '"distance"' "$dir/few/sweep/sweep.json")" -eq 6 ] || fail "sweep.json: not six distances"
cp "$dir/few/sweep/table.md" "$dir/first"
rm "$dir/few/sweep/report.html"
few
grep -q "^1/6" "$dir/err" && fail "a distance computed twice"
cmp -s "$dir/first" "$dir/few/sweep/table.md" || fail "another table from what was known"
[ -s "$dir/few/sweep/report.html" ] || fail "no report of what was known"

weights=$dir/few/vrfm-soflow-small-seed1/weights-ema.safetensors
classifier=$dir/few/classifier/weights.safetensors
sweep() { "$mnist" sweep --load "$weights" --data "$dir/mnist" --count 12 --steps 2 "$@"; }
OMP_NUM_THREADS=3 sweep --classifier "$classifier" --output "$dir/three" >"$dir/out" 2>"$dir/err" || fail "$(cat "$dir/err")"
one=$(sed -n 's/.*SoFlow[^|]*|[^|]*| \([0-9.]*\) |.*/\1/p' "$dir/first")
[ "$one" = "$(sed -n 's/.*SoFlow[^|]*| \([0-9.]*\) |.*/\1/p' "$dir/three/table.md")" ] || fail "other distances by three threads"

refused "expected --inception or --classifier" sweep --output "$dir/none"
refused "--inception excludes --classifier" sweep --classifier "$classifier" --inception "$classifier" --output "$dir/none"
refused "expected weights that train-classifier wrote" sweep --classifier "$weights" --output "$dir/none"
refused "option --tolerance has no effect without dopri5" sweep --classifier "$classifier" --output "$dir/none" \
  --solvers auto --tolerance 1e-3
refused "--resume" sweep --classifier "$classifier" --output "$dir/none" --resume
echo 'no json' >"$dir/three/sweep.json"
refused "--overwrite begins anew" sweep --classifier "$classifier" --output "$dir/three"
finish
