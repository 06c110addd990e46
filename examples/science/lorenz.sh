#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Forecasts from nothing to a judgement: generates cases, trains rfm and vrfm, draws ensembles of test cases with 1, 2,
# 4 and 20 evaluations, and compares. What is there already is not done again.
#
#   lorenz.sh PROGRAMS OUTPUT
#
# PROGRAMS: folder of vrfm_science and vrfm_table. From the environment: STEPS [1 2 4 20], COUNT [50000] cases to train
# on, CASES [1000] to forecast, MEMBERS [50] of an ensemble, ARCHIVE [100000] states of exact forecasts, TRAIN
# [--iterations 6000 --width 128 --batch 256], options of both trainings.
set -u
if [ $# -ne 2 ]; then
  sed -n '/^#  /s/^#   //p' "$0" >&2
  exit 2
fi
science=$1/vrfm_science table=$1/vrfm_table output=$2
mkdir -p "$output" || exit 1
cases() { # file, count, seed
  [ -e "$output/$1" ] || "$science" lorenz generate --count "$2" --seed "$3" --output "$output/$1"
}
cases train.csv "${COUNT:-50000}" 1 && cases test.csv "${CASES:-1000}" 2 || exit 1
set --
for model in rfm vrfm; do
  rate=
  [ $model = rfm ] || rate="--rate 2"
  # shellcheck disable=SC2086
  [ -e "$output/$model/weights.safetensors" ] ||
    "$table" train --model $model $rate --data "$output/train.csv" --columns x,y,z --condition x_seen,z_seen \
      ${TRAIN:---iterations 6000 --width 128 --batch 256} --output "$output/$model" --resume || exit 1
  [ -e "$output/$model/weights.safetensors" ] || exit 0 # a signal has ended it
  for steps in ${STEPS:-1 2 4 20}; do
    # Conditions are taken round and round: row m CASES + i is member m of case i.
    [ -e "$output/$model-$steps.npy" ] ||
      "$table" sample --load "$output/$model" --solver euler --steps "$steps" \
        --count $((${CASES:-1000} * ${MEMBERS:-50})) --condition-file "$output/test.csv" \
        --output "$output/$model-$steps.npy" || exit 1
    set -- "$@" "$output/$model-$steps.npy"
  done
done
"$science" lorenz judge --truth "$output/test.csv" --ensembles "$@" --archive "${ARCHIVE:-100000}" \
  --output "$output/judgement" --overwrite
