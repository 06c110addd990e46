#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Showers from nothing to a judgement: generates them, trains rfm and vrfm, draws showers of the test's energies with 1,
# 2, 4 and 20 evaluations, and compares. What is there already is not done again.
#
#   calorimeter.sh PROGRAMS OUTPUT
#
# PROGRAMS: folder of vrfm_science and vrfm_table. From the environment: STEPS [1 2 4 20], COUNT [50000] showers to
# train on, TEST [5000], TRAIN [--iterations 6000 --width 128 --batch 256], options of both trainings.
set -u
if [ $# -ne 2 ]; then
  sed -n '/^#  /s/^#   //p' "$0" >&2
  exit 2
fi
science=$1/vrfm_science table=$1/vrfm_table output=$2
mkdir -p "$output" || exit 1
shower() { # file, count, seed
  [ -e "$output/$1" ] || "$science" calorimeter generate --count "$2" --seed "$3" --output "$output/$1"
}
shower train.h5 "${COUNT:-50000}" 1 && shower test.h5 "${TEST:-5000}" 2 && shower other.h5 "${TEST:-5000}" 3 || exit 1
for set in train test; do
  [ -e "$output/$set-rows.h5" ] ||
    "$science" calorimeter rows --data "$output/$set.h5" --output "$output/$set-rows.h5" || exit 1
done
set --
for model in rfm vrfm; do
  latent=
  [ $model = rfm ] || latent="--latent 2"
  # shellcheck disable=SC2086
  [ -e "$output/$model/weights.safetensors" ] ||
    "$table" train --model $model $latent --data "$output/train-rows.h5:rows" \
      --condition "$output/train-rows.h5:incident_energies" --standardize log \
      ${TRAIN:---iterations 6000 --width 128 --batch 256} --output "$output/$model" --resume || exit 1
  [ -e "$output/$model/weights.safetensors" ] || exit 0 # a signal has ended it
  for steps in ${STEPS:-1 2 4 20}; do
    showers=$output/$model-$steps.h5
    [ -e "$showers" ] || {
      "$table" sample --load "$output/$model" --solver euler --steps "$steps" --count "${TEST:-5000}" \
        --condition-file "$output/test.h5:incident_energies" --output "$output/drawn-rows.h5" &&
        "$science" calorimeter showers --rows "$output/drawn-rows.h5" --data "$output/test.h5" --output "$showers"
    } || exit 1
    set -- "$@" "$showers"
  done
done
"$table" encode --load "$output/vrfm" --data "$output/test-rows.h5:rows" \
  --condition-file "$output/test-rows.h5:incident_energies" --output "$output/codes.h5" &&
  "$science" calorimeter judge --truth "$output/test.h5" --other "$output/other.h5" --showers "$@" \
    --codes "$output/codes.h5" --output "$output/judgement" --overwrite
